import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { contiguous, type Tensor } from '../../src/checkpoint/types.ts'
import { cost, identityOf, matricesOf, type Recipe } from '../../src/recipe/recipe.ts'
import {
  concat,
  difference,
  item,
  norm,
  permute,
  product,
  reshape,
  scale,
  shapeOf,
  shuffle,
  slice,
  stored,
  sum,
  transpose,
  type Values,
  viewOf,
} from '../../src/recipe/values.ts'
import { Evaluator } from '../../src/spectrum/evaluate.ts'
import { WorkerPool } from '../../src/spectrum/pool.ts'
import { elementsOf } from '../support/elements.ts'
import { generate } from '../support/golden.ts'
import { oracleEigenvalues } from '../support/oracle.ts'
import { writeSafetensors } from '../support/safetensors.ts'

const pool = new WorkerPool(new URL('../../dist/worker.js', import.meta.url), 1)
const folder = mkdtempSync(join(tmpdir(), 'spectral-gate-'))
afterAll(async () => {
  await pool.close()
  rmSync(folder, { recursive: true })
})

const SHAPES = {
  a: [30, 20],
  b: [30, 20],
  mask: [30, 20],
  row: [30, 1],
  left: [40, 5],
  right: [5, 36],
  base: [40, 36],
  stack: [4, 30, 20],
  filters: [12, 10, 3, 2],
  gains: [12, 1, 1, 1],
  flat: [12, 60],
  long: [3000, 500],
  other: [3000, 500],
  tallLeft: [3000, 8],
  wideRight: [8, 500],
}
const path = writeSafetensors(
  Object.fromEntries(Object.entries(SHAPES).map(([name, shape], i) => [name, generate(i + 1, shape, i % 2 === 0)])),
  'net.safetensors',
  folder,
)
const tensors = new Map((await openCheckpoint(path)).tensors.map(tensor => [tensor.name, tensor]))
const t = (name: keyof typeof SHAPES): Values => stored(tensors.get(name)!)
const numbers = Object.fromEntries(
  Object.entries(SHAPES).map(([name, shape], i) => [name, generate(i + 1, shape, i % 2 === 0).values as Float32Array]),
)

const PINNED = [89, 215, 49, 515, 347, 330]

const all = (values: Values) => elementsOf(values, numbers)

const CASES: Record<string, Values> = {
  'a tensor': t('a'),
  'a block': slice(t('a'), [3, 5], [11, 7]),
  'an item of a stack': item(t('stack'), 2),
  'a transpose': transpose(t('a')),
  'a block of a transpose': slice(transpose(t('a')), [3, 5], [11, 7]),
  'dimensions in another order': permute(t('filters'), [3, 0, 2, 1]),
  'a kernel as a matrix': reshape(t('filters'), [12, 60]),
  'a matrix as a kernel': reshape(t('flat'), [12, 10, 3, 2]),
  'a reshaped permutation': reshape(permute(t('filters'), [2, 3, 0, 1]), [6, 120]),
  'a difference': difference(t('a'), t('b')),
  'a sum of three': sum({ of: t('a'), factor: 0.5 }, { of: t('b'), factor: -2 }, { of: t('mask'), factor: 3 }),
  'a mask': scale(t('a'), t('mask')),
  'rows scaled': scale(t('a'), t('row')),
  'rows divided': scale(t('a'), t('row'), { inverse: true }),
  'norms of rows': norm(t('a'), 0),
  'norms of columns': norm(t('a'), 1),
  'the norm of all': norm(t('filters'), -1),
  'norms of the third dimension': norm(t('filters'), 2),
  'weight normalisation': scale(scale(t('filters'), norm(t('filters'), 0), { inverse: true }), t('gains')),
  'a product': product(t('left'), t('right'), 2),
  'a product of transposes': product(transpose(t('right')), transpose(t('left'))),
  'a product onto a base': sum({ of: t('base'), factor: 1 }, { of: product(t('left'), t('right')), factor: 0.25 }),
  'a block of a transposed difference': slice(transpose(difference(t('a'), t('b'))), [2, 1], [8, 9]),
  'columns side by side': concat([t('a'), t('row'), t('b')], 1),
  'rows under each other': concat(
    [t('b'), transpose(t('a'))].map((of, i) => (i === 0 ? transpose(of) : of)),
    0,
  ),
  'kernels side by side': concat([t('filters'), difference(t('filters'), t('filters')), t('filters')], 1),
  'a transposed sum with a reshape': transpose(reshape(difference(t('filters'), t('filters')), [60, 12])),
}

describe('values are computed as they are described', () => {
  test.each(Object.keys(CASES))('%s', async name => {
    const values = CASES[name]
    const expected = all(values)
    const evaluator = await Evaluator.open(values)
    try {
      const whole = evaluator.whole(values)
      expect(whole).toHaveLength(expected.length)
      for (const [i, value] of expected.entries()) expect(whole[i]).toBeCloseTo(value, 12)
      // A block from the middle of each dimension.
      const shape = shapeOf(values)
      const start = shape.map(n => Math.floor(n / 3))
      const part = shape.map((n, d) => Math.max(1, Math.min(n - start[d], Math.ceil(n / 2))))
      const block = evaluator.block(values, start, part)
      const [strides, inner] = [contiguous(shape), contiguous(part)]
      for (const [i, value] of block.entries()) {
        const at = part.reduce((at, n, d) => at + (start[d] + (Math.floor(i / inner[d]) % n)) * strides[d], 0)
        expect(value).toBeCloseTo(expected[at], 12)
      }
    } finally {
      await evaluator.close()
    }
  })
})

describe('the spectrum of what is computed', () => {
  test.each(Object.keys(CASES).filter(name => shapeOf(CASES[name]).length === 2 && !name.startsWith('norms')))(
    '%s',
    async name => {
      const values = CASES[name]
      const [rows, columns] = shapeOf(values)
      const numbers = all(values)
      const expected = oracleEigenvalues(
        Array.from({ length: rows }, (_, i) => numbers.subarray(i * columns, (i + 1) * columns)),
      )
      const { matrices } = await pool.spectrum({ read: 'matrix', values })
      const most = expected.at(-1)!
      expect(matrices[0]).toHaveLength(Math.min(rows, columns))
      for (const [i, value] of matrices[0].entries())
        expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(1e-13 * most)
    },
  )

  test.each(['weight normalisation', 'dimensions in another order'])('kernel slices of %s', async name => {
    const values = CASES[name]
    const [outputs, inputs, height, width] = shapeOf(values)
    const numbers = all(values)
    const { matrices } = await pool.spectrum({ read: 'kernel-slices', values })
    expect(matrices).toHaveLength(height * width)
    for (const [slice, eigenvalues] of matrices.entries()) {
      const expected = oracleEigenvalues(
        Array.from({ length: outputs }, (_, i) =>
          Float64Array.from({ length: inputs }, (_, j) => numbers[(i * inputs + j) * height * width + slice]),
        ),
      )
      for (const [i, value] of eigenvalues.entries()) expect(value).toBeCloseTo(expected[i], 12)
    }
  })

  test('in several windows it is that of the same matrix stored', async () => {
    const values = difference(t('long'), t('other'))
    const stored = await pool.spectrum({ read: 'matrix', values: await writtenOut(values) })
    const { matrices } = await pool.spectrum({ read: 'matrix', values })
    const turned = await pool.spectrum({ read: 'matrix', values: transpose(values) })
    const most = matrices[0].at(-1)!
    for (const [i, value] of matrices[0].entries()) {
      expect(Math.abs(value - stored.matrices[0][i])).toBeLessThanOrEqual(1e-13 * most)
      expect(Math.abs(value - turned.matrices[0][i])).toBeLessThanOrEqual(1e-13 * most)
    }
  })

  test('a product of low rank has its zeros, and is not formed', async () => {
    const values = product(t('tallLeft'), t('wideRight'), 0.5)
    const recipe: Recipe = { read: 'matrix', values }
    expect(matricesOf(recipe)).toEqual([{ k: 8, n: 8, zeros: 492 }])
    expect(cost(recipe)).toBeLessThan(cost({ read: 'matrix', values: difference(t('long'), t('other')) }) / 50)
    const { matrices } = await pool.spectrum(recipe)
    const formed = await pool.spectrum({ read: 'matrix', values: await writtenOut(values) })
    expect(matrices[0]).toHaveLength(500)
    expect(matrices[0].subarray(0, 492).every(value => value === 0)).toBe(true)
    for (let i = 492; i < 500; i++) expect(matrices[0][i] / formed.matrices[0][i]).toBeCloseTo(1, 9)
  })

  test('NaN in an operand is an error of the layer', async () => {
    const written = generate(1, [20, 20], false)
    ;(written.values as Float32Array)[7] = Number.NaN
    const [bad] = (await openCheckpoint(writeSafetensors({ w: written }))).tensors
    const values = difference(stored(bad), slice(t('base'), [0, 0], [20, 20]))
    await expect(pool.spectrum({ read: 'matrix', values })).rejects.toMatchObject({ code: 'non-finite' })
  })
})

describe('a shuffle', () => {
  /** The values, all and those of one matrix of a kernel. */
  async function whole(values: Values): Promise<Float64Array> {
    const evaluator = await Evaluator.open(values)
    const numbers = evaluator.whole(values)
    await evaluator.close()
    return numbers
  }

  test('keeps the elements of each matrix, and moves almost all', async () => {
    const [before, after] = [await whole(t('filters')), await whole(shuffle(t('filters'), 0))]
    const matrix = (numbers: Float64Array, slice: number) => numbers.filter((_, i) => i % 6 === slice)
    for (let slice = 0; slice < 6; slice++) {
      expect([...matrix(after, slice)].sort()).toEqual([...matrix(before, slice)].sort())
      expect(matrix(after, slice).filter((value, i) => value === matrix(before, slice)[i]).length).toBeLessThan(10)
    }
  })

  test('is the same in every run, for every matrix of its shape, and another for each replica and slice', async () => {
    const places = async (values: Values, of: Values) => {
      const [before, after] = [await whole(of), await whole(values)]
      return [...after].map(value => before.indexOf(value))
    }
    const first = await places(shuffle(t('a'), 0), t('a'))
    // Pinned: a baseline's numbers are of the same order.
    expect(first.slice(0, 6)).toEqual(PINNED)
    expect(await places(shuffle(t('b'), 0), t('b'))).toEqual(first)
    expect(await places(shuffle(t('a'), 1), t('a'))).not.toEqual(first)
    const kernel = await places(shuffle(t('filters'), 0), t('filters'))
    const of = (slice: number) => kernel.filter((_, i) => i % 6 === slice).map(at => Math.floor(at / 6))
    expect(of(0)).not.toEqual(of(1))
  })

  test('every order is as likely as any other', async () => {
    const small = slice(t('a'), [0, 0], [2, 2])
    const before = await whole(small)
    const counts = new Map<string, number>()
    for (let replica = 0; replica < 2400; replica++) {
      const order = [...(await whole(shuffle(small, replica)))].map(value => before.indexOf(value)).join('')
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    expect(counts.size).toBe(24)
    const chi = [...counts.values()].reduce((sum, n) => sum + (n - 100) ** 2 / 100, 0)
    // The 99.9 % quantile of χ² with 23 degrees of freedom.
    expect(chi).toBeLessThan(49.7)
  })

  test('its spectrum is that of the shuffled numbers', async () => {
    const values = shuffle(t('a'), 2)
    const { matrices } = await pool.spectrum({ read: 'matrix', values })
    const stored = await pool.spectrum({ read: 'matrix', values: await writtenOut(values) })
    for (const [i, value] of matrices[0].entries()) expect(value).toBeCloseTo(stored.matrices[0][i], 12)
  })
})

/** The same values as a stored tensor. */
async function writtenOut(values: Values): Promise<Values> {
  const evaluator = await Evaluator.open(values)
  const path = writeSafetensors({ w: { dtype: 'F64', shape: shapeOf(values), values: evaluator.whole(values) } })
  await evaluator.close()
  return stored((await openCheckpoint(path)).tensors[0])
}

describe('views', () => {
  test.each<[string, Values, readonly number[] | null]>([
    ['a transpose', transpose(t('a')), [1, 20]],
    ['an item', item(t('stack'), 1), [20, 1]],
    ['a kernel as a matrix', reshape(t('filters'), [12, 60]), [60, 1]],
    ['a column of blocks', reshape(t('flat'), [12, 10, 3, 2]), [60, 6, 2, 1]],
    ['a transposed matrix, flattened', reshape(transpose(t('a')), [600]), null],
    ['a difference', difference(t('a'), t('b')), null],
  ])('%s', (_, values, strides) => {
    expect(viewOf(values)?.strides ?? null).toEqual(strides)
  })
})

test('recipes that differ have different identities', () => {
  const recipes = [...Object.values(CASES), product(t('left'), t('right'), 3), difference(t('b'), t('b'))]
  const identities = recipes.map(values => JSON.stringify(identityOf({ read: 'matrix', values })))
  expect(new Set(identities).size).toBe(recipes.length)
})

test.each<[() => Values, string]>([
  [() => difference(t('a'), t('left')), "[30,20] and [40,5] can't be added"],
  [() => product(t('left'), t('a')), 'no product of [40,5] and [30,20]'],
  [() => scale(t('a'), t('gains')), "[30,20] can't be scaled by [12,1,1,1]"],
  [() => slice(t('a'), [20, 0], [11, 20]), 'no block [11,20] at [20,0] of [30,20]'],
  [() => reshape(t('a'), [7, 7]), '[30,20] is no [7,7]'],
  [() => permute(t('a'), [0, 0]), '[0,0] is no order of 2 dimensions'],
  [() => shuffle(slice(reshape(t('a'), [600]), [0], [10]), 0), '[10] is no matrix'],
])('%s', (build, message) => {
  expect(build).toThrow(new RangeError(message))
})

test('recipes are plain data', () => {
  const values = CASES['weight normalisation']
  expect(structuredClone(values)).toEqual(values)
  const [tensor] = [...new Set([...tensors.values()])] as Tensor[]
  expect(structuredClone(stored(tensor))).toEqual(stored(tensor))
})

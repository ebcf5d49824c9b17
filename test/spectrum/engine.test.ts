import { execFileSync } from 'node:child_process'
import { rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import type { Tensor } from '../../src/checkpoint/types.ts'
import { UserError } from '../../src/errors.ts'
import { limits } from '../../src/limits.ts'
import type { Recipe } from '../../src/recipe/recipe.ts'
import { stored } from '../../src/recipe/values.ts'
import { fingerprint } from '../../src/spectrum/engine.ts'
import { WorkerPool } from '../../src/spectrum/pool.ts'
import { temporaryFolder } from '../support/folder.ts'
import { generate } from '../support/golden.ts'
import { oracleSpectrum } from '../support/oracle.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'

const WORKER = new URL('../../dist/worker.js', import.meta.url)
const pool = new WorkerPool(WORKER, 2)
afterAll(() => pool.close())

async function tensorsOf(written: Record<string, Written>): Promise<Tensor[]> {
  return [...(await openCheckpoint(writeSafetensors(written))).tensors]
}

const recipe = (tensor: Tensor): Recipe => ({
  read: tensor.shape.length === 4 ? 'kernel-slices' : 'matrix',
  values: stored(tensor),
})

function expectClose(ours: readonly Float64Array[], truth: readonly Float64Array[], tolerance = 1e-13): void {
  expect(ours).toHaveLength(truth.length)
  for (const [slice, values] of truth.entries()) {
    expect(ours[slice]).toHaveLength(values.length)
    const most = values[values.length - 1]
    for (const [i, value] of values.entries())
      expect(Math.abs(ours[slice][i] - value)).toBeLessThanOrEqual(tolerance * most)
  }
}

/** The same tensor with its dimensions in another order: a view, as PyTorch's `permute`. */
function permuted(tensor: Tensor, order: number[]): Tensor {
  const strides = order.map(d => tensor.source.strides[d])
  return { ...tensor, shape: order.map(d => tensor.shape[d]), source: { ...tensor.source, strides } }
}

describe('reads every layout', () => {
  test.each<[string, number[], number[] | undefined]>([
    ['tall', [90, 40], undefined],
    ['wide', [40, 90], undefined],
    ['transposed', [90, 40], [1, 0]],
    ['convolution', [24, 16, 3, 3], undefined],
    ['convolution with fewer outputs', [8, 30, 3, 5], undefined],
    ['Keras kernel', [3, 3, 20, 12], [3, 2, 0, 1]],
    ['depthwise', [12, 1, 5, 5], undefined],
  ])('%s, whole in the window', async (_, shape, order) => {
    const [stored] = await tensorsOf({ w: generate(3, shape, false) })
    const tensor = order ? permuted(stored, order) : stored
    const { matrices } = await pool.spectrum(recipe(tensor))
    expectClose(matrices, oracleSpectrum(tensor))
  })

  test.each<[string, number[], number[] | undefined]>([
    ['tall', [90_000, 30], undefined],
    ['wide', [30, 90_000], undefined],
    ['transposed', [30, 90_000], [1, 0]],
    ['convolution', [700, 40, 9, 9], undefined],
    ['convolution with fewer outputs', [40, 700, 9, 9], undefined],
    ['Keras kernel', [3, 3, 8_000, 32], [3, 2, 0, 1]],
  ])(
    '%s, in chunks',
    async (_, shape, order) => {
      const [stored] = await tensorsOf({ w: generate(3, shape, false) })
      expect(shape.reduce((a, b) => a * b) * 4).toBeGreaterThan(limits.spectrum.chunkBytes)
      const tensor = order ? permuted(stored, order) : stored
      const { matrices } = await pool.spectrum(recipe(tensor))
      const slice = matrices.length >> 1
      const one: Tensor = {
        ...tensor,
        shape: tensor.shape.slice(0, 2),
        source: { ...tensor.source, strides: tensor.source.strides.slice(0, 2) } as Tensor['source'],
      }
      // Over 90,000 rows it is ml-matrix that is good to 2e-13 only.
      if (matrices.length === 1) expectClose(matrices, oracleSpectrum(one), 1e-12)
      else {
        const [, , height, width] = tensor.shape
        const [, , y, x] = tensor.source.strides
        const offset = Math.floor(slice / width) * y + (slice % width) * x
        expect(height * width).toBe(matrices.length)
        if (one.source.kind !== 'file') throw new Error('a file')
        expectClose(
          [matrices[slice]],
          oracleSpectrum({ ...one, source: { ...one.source, offset: one.source.offset + 4 * offset } }),
        )
      }
    },
    120_000,
  )
})

test('a large layer goes to a worker, with its progress', async () => {
  const [tensor] = await tensorsOf({ w: generate(5, [700, 600], true) })
  const shares: number[] = []
  const { matrices } = await pool.spectrum(recipe(tensor), share => shares.push(share))
  expectClose(matrices, oracleSpectrum(tensor))
  expect(shares.at(-1)).toBe(1)
})

test('digests and fingerprints tell apart dtype, shape, layout and bytes, and nothing else', async () => {
  const values = generate(1, [40, 40], false).values as Float32Array<ArrayBuffer>
  const bytes = new Uint8Array(values.buffer)
  const changed = Float32Array.from(values)
  changed[77] += 1e-7
  const tensors = await tensorsOf({
    a: { shape: [40, 40], values },
    same: { shape: [40, 40], values },
    other: { shape: [40, 40], values: changed },
    shaped: { shape: [20, 80], values },
    halves: { dtype: 'F16', shape: [40, 80], values: bytes },
    bfloats: { dtype: 'BF16', shape: [40, 80], values: bytes },
  })
  const all = [...tensors, permuted(tensors[0], [1, 0])]
  const digests = (await Promise.all(all.map(tensor => pool.scan(tensor)))).map(({ digest }) => digest)
  const fingerprints = all.map((tensor, i) => fingerprint(recipe(tensor), [digests[i]]))
  for (const [a, same, ...others] of [digests, fingerprints]) {
    expect(a).toMatch(/^[0-9a-f]{64}$/)
    expect(same).toBe(a)
    expect(new Set([a, ...others]).size).toBe(others.length + 1)
  }
})

test('the bytes of a stored tensor are hashed whole, however large it is', async () => {
  const values = new Float32Array(3_000_000)
  const [whole] = await tensorsOf({ w: { shape: [3_000_000 / 30, 30], values } })
  values[2_999_999] = 1
  const [changed] = await tensorsOf({ w: { shape: [3_000_000 / 30, 30], values } })
  expect((await pool.scan(changed)).digest).not.toBe((await pool.scan(whole)).digest)
})

test.each([
  [[20, 20], 45, 'NaN at index [2, 5]'],
  [[4, 3, 5, 5], 133, 'NaN at index [1, 2, 1, 3]'],
  [[90_000, 30], 2_699_999, 'NaN at index [89999, 29]'],
])('NaN in %j is found, and where', async (shape, at, message) => {
  const values = new Float32Array(shape.reduce((a, b) => a * b)).fill(1)
  values[at] = Number.NaN
  const [tensor] = await tensorsOf({ w: { shape, values } })
  expect(await pool.scan(tensor)).toMatchObject({ nonFinite: message })
  await expect(pool.spectrum(recipe(tensor))).rejects.toMatchObject({ code: 'non-finite' })
})

test.each<[string, number, string | undefined]>([
  ['bn.running_var', -0.3, '-0.3 at index [5], a variance, whose root is NaN'],
  ['bn/moving_variance', -0.3, '-0.3 at index [5], a variance, whose root is NaN'],
  ['bn.running_var', -1e-4, undefined],
  ['bn.running_mean', -0.3, undefined],
])('the variance %s of %d', async (name, value, nonFinite) => {
  const values = new Float32Array(9).fill(1)
  values[5] = value
  const [tensor] = await tensorsOf({ [name]: { shape: [9], values } })
  expect((await pool.scan(tensor)).nonFinite).toBe(nonFinite)
})

test('what is no file any more is not waited for', async () => {
  const path = writeSafetensors({ w: generate(1, [100, 100], false) })
  const [tensor] = (await openCheckpoint(path)).tensors
  rmSync(path)
  execFileSync('mkfifo', [path])
  await expect(pool.scan(tensor)).rejects.toThrow('changed while it was being read')
  await expect(pool.spectrum(recipe(tensor))).rejects.toThrow('changed while it was being read')
})

test('a file that shrinks while it is read is an error that names tensor and file', async () => {
  const path = writeSafetensors({ w: generate(1, [100, 100], false) })
  const [tensor] = (await openCheckpoint(path)).tensors
  truncateSync(path, 5000)
  const error = await pool.spectrum(recipe(tensor)).catch(error => error)
  expect(error).toBeInstanceOf(UserError)
  expect(error.message).toBe(`${path}: ends in the middle of tensor "w"`)
})

test('a matrix beyond the memory of WebAssembly is an error of that layer', async () => {
  const [tensor] = await tensorsOf({ w: { shape: [2, 2] } })
  const huge = { ...tensor, shape: [40_000, 40_000], source: { ...tensor.source, strides: [0, 0] } as Tensor['source'] }
  const error = await pool.spectrum(recipe(huge)).catch(error => error)
  expect(error).toMatchObject({
    code: 'memory',
    message: expect.stringMatching(/its 40000 × 40000 Gram matrix needs \d+ MB/),
  })
})

test('a worker that dies takes its own layer with it, and the others go on', async () => {
  const script = join(temporaryFolder(), 'worker.mjs')
  writeFileSync(
    script,
    `import { parentPort } from 'node:worker_threads'
     parentPort.on('message', ({ id, of: recipe }) => {
       if (recipe.values.tensor.name === 'bomb') process.exit(7)
       parentPort.postMessage({ id, kind: 'done', result: { matrices: [] } })
     })`,
  )
  const fragile = new WorkerPool(new URL(`file://${script}`), 2)
  const tensors = await tensorsOf(
    Object.fromEntries(['a', 'bomb', 'c', 'd'].map(name => [name, { shape: [700, 700] }])),
  )
  const results = await Promise.allSettled(tensors.map(tensor => fragile.spectrum(recipe(tensor))))
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
  expect((results[1] as PromiseRejectedResult).reason).toMatchObject({
    code: 'worker',
    message: expect.stringContaining('exit code 7'),
  })
  await fragile.close()
})

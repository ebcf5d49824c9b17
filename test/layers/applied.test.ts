import { describe, expect, test } from 'vitest'
import type { LowRank } from '../../src/checkpoint/low-rank.ts'
import { contiguous, type DType, size, type Tensor } from '../../src/checkpoint/types.ts'
import { effectiveWeights } from '../../src/layers/effective.ts'
import { shapeOf } from '../../src/recipe/values.ts'
import { elementsOf } from '../support/elements.ts'

type Matrix = readonly (readonly number[])[]

const tensor = (name: string, shape: number[], more: Partial<Tensor> = {}): Tensor => {
  return {
    name,
    dtype: 'F32',
    shape,
    source: { kind: 'file', path: `dir/${name}.bin`, offset: 0, strides: contiguous(shape) },
    ...more,
  }
}
/** A tensor and its elements, which are never 0. */
const numbersIn = (tensors: readonly Tensor[]) =>
  Object.fromEntries(
    tensors.map(({ name, shape }, t) => [
      name,
      Array.from({ length: size(shape) }, (_, i) => Math.sin(1 + 7 * t + i) + 1.5),
    ]),
  )
const matrix = (numbers: readonly number[], columns: number): Matrix =>
  Array.from({ length: numbers.length / columns }, (_, i) => numbers.slice(i * columns, (i + 1) * columns))
const times = (a: Matrix, b: Matrix): Matrix =>
  a.map(row => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)))
const transposed = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map(row => row[j]!))
const plus = (a: Matrix, b: Matrix, factor: number): Matrix =>
  a.map((row, i) => row.map((x, j) => x + factor * b[i]![j]!))
const length = (row: readonly number[]) => Math.hypot(...row)

/** The only weight that is made of some tensors, with what it amounts to. */
function applied(tensors: Tensor[], updates: LowRank[] = []) {
  const { weights, parts } = effectiveWeights(tensors, updates)
  expect(weights.size).toBe(1)
  const [[name, { key, tensor, values, broken }]] = [...weights] as [
    [string, NonNullable<ReturnType<typeof weights.get>>],
  ]
  expect(tensor.name).toBe(name)
  const numbers = numbersIn(tensors)
  return {
    name,
    key,
    broken,
    parts: Object.fromEntries(parts),
    shape: shapeOf(values),
    elements: [...elementsOf(values, numbers)],
    numbers,
  }
}
const near = (found: readonly number[], wanted: Matrix) => {
  expect(found).toHaveLength(wanted.flat().length)
  for (const [i, value] of wanted.flat().entries()) expect(found[i]).toBeCloseTo(value, 10)
}

describe.each([
  ['weight_norm', 'a.weight_v', 'a.weight_g'],
  ['its parametrization', 'a.parametrizations.weight.original1', 'a.parametrizations.weight.original0'],
])('%s', (_, v, g) => {
  test.each<[string, number[], (rows: Matrix, gains: readonly number[]) => Matrix]>([
    ['of rows', [3, 1], (rows, gains) => rows.map((row, i) => row.map(x => (x * gains[i]!) / length(row)))],
    [
      'of columns',
      [1, 4],
      (rows, gains) => rows.map(row => row.map((x, j) => (x * gains[j]!) / length(rows.map(r => r[j]!)))),
    ],
    ['of all', [1, 1], (rows, [gain]) => rows.map(row => row.map(x => (x * gain!) / length(rows.flat())))],
    ['of all, a scalar', [], (rows, [gain]) => rows.map(row => row.map(x => (x * gain!) / length(rows.flat())))],
  ])('%s', (_, shape, wanted) => {
    const { name, key, parts, broken, shape: made, elements, numbers } = applied([tensor(g, shape), tensor(v, [3, 4])])
    expect([name, key, parts, broken, made]).toEqual([v, 'a.weight', { [g]: 'a.weight' }, undefined, [3, 4]])
    near(elements, wanted(matrix(numbers[v]!, 4), numbers[g]!))
  })

  test('of a single row', () => {
    const { elements, numbers } = applied([tensor(g, [1, 1]), tensor(v, [1, 4])])
    near(elements, [numbers[v]!.map(x => (x * numbers[g]![0]!) / length(numbers[v]!))])
  })

  test.each<[string, Tensor, Tensor]>([
    ['gains of another length', tensor(g, [2, 1]), tensor(v, [3, 4])],
    ['gains of more than one dimension', tensor(g, [3, 4]), tensor(v, [3, 4])],
    ['gains of another rank', tensor(g, [3]), tensor(v, [3, 4])],
    ['gains that are integers', tensor(g, [3, 1], { dtype: 'I32' as DType }), tensor(v, [3, 4])],
    ['a direction of integers', tensor(g, [3, 1]), tensor(v, [3, 4], { dtype: 'I32' as DType })],
    ['an empty one', tensor(g, [0, 1]), tensor(v, [0, 4])],
  ])('%s do not fit', (_, gains, direction) => {
    const { weights } = effectiveWeights([gains, direction])
    expect([...weights.values()].filter(({ broken }) => broken === undefined)).toEqual([])
  })

  test('a vector has none', () => {
    expect(effectiveWeights([tensor(g, [1]), tensor(v, [4])]).weights.size).toBe(0)
  })
})

test('a weight beside what weight_norm makes it of is the one that counts', () => {
  expect(
    effectiveWeights(['a.weight', 'a.weight_v', 'a.weight_g'].map(name => tensor(name, [3, 4]))).weights.size,
  ).toBe(0)
  expect(effectiveWeights([tensor('a.weight_v', [3, 4])]).weights.size).toBe(0)
})

describe.each([
  ['spectral_norm', 'a.weight_orig', 'a.weight_u', 'a.weight_v'],
  [
    'its parametrization',
    'a.parametrizations.weight.original',
    'a.parametrizations.weight.0._u',
    'a.parametrizations.weight.0._v',
  ],
])('%s', (_, original, u, v) => {
  test.each<
    [string, number[], number, (at: (i: number, j: number, k: number) => number, a: number, b: number) => number]
  >([
    ['rows first', [3, 4], 3, (at, a, b) => at(a, b, 0)],
    ['columns first', [3, 4], 4, (at, a, b) => at(b, a, 0)],
    ['of a kernel', [3, 2, 2], 3, (at, a, b) => at(a, Math.floor(b / 2), b % 2)],
    ['of a transposed kernel', [3, 2, 5], 2, (at, a, b) => at(Math.floor(b / 5), a, b % 5)],
    ['square', [4, 4], 4, (at, a, b) => at(a, b, 0)],
  ])('%s', (_, shape, rows, place) => {
    const columns = size(shape) / rows
    const { name, key, parts, broken, elements, numbers } = applied([
      tensor(original, shape),
      tensor(u, [rows]),
      tensor(v, [columns]),
    ])
    expect([name, key, broken, parts]).toEqual([original, 'a.weight', undefined, { [u]: 'a.weight', [v]: 'a.weight' }])
    const strides = contiguous(shape)
    const at = (...index: number[]) =>
      numbers[original]![strides.reduce((sum, stride, d) => sum + stride * index[d]!, 0)]!
    let sigma = 0
    for (let a = 0; a < rows; a++)
      for (let b = 0; b < columns; b++) sigma += numbers[u]![a]! * place(at, a, b) * numbers[v]![b]!
    near(elements, [numbers[original]!.map(x => x / sigma)])
  })

  test.each<[string, Tensor[]]>([
    ['u of another length', [tensor(original, [3, 4]), tensor(u, [5]), tensor(v, [4])]],
    ['lengths of no dimension', [tensor(original, [3, 4]), tensor(u, [2]), tensor(v, [6])]],
    ['u of integers', [tensor(original, [3, 4]), tensor(u, [3], { dtype: 'I32' }), tensor(v, [4])]],
    ['v of integers', [tensor(original, [3, 4]), tensor(u, [3]), tensor(v, [4], { dtype: 'I32' })]],
    ['a weight of integers', [tensor(original, [3, 4], { dtype: 'I32' }), tensor(u, [3]), tensor(v, [4])]],
    ['u alone', [tensor(original, [3, 4]), tensor(u, [3])]],
    ['an empty weight', [tensor(original, [0, 4]), tensor(u, [0]), tensor(v, [4])]],
  ])('%s do not fit', (_, tensors) => {
    const { weights } = effectiveWeights(tensors)
    expect([...weights.values()].map(({ key, broken }) => [key, broken])).toEqual([
      ['a.weight', expect.stringMatching(/do not fit together|in a way that is not known/)],
    ])
  })
})

describe.each([
  ['pruning', 'a.weight_orig', 'a.weight_mask'],
  ['its parametrization', 'a.parametrizations.weight.original', 'a.parametrizations.weight.0.mask'],
])('%s', (_, original, mask) => {
  test.each<DType>(['F32', 'BOOL', 'U8', 'F16'])('with a mask of %s', dtype => {
    const { name, key, parts, broken, elements, numbers } = applied([
      tensor(original, [3, 4]),
      tensor(mask, [3, 4], { dtype }),
    ])
    expect([name, key, broken, parts]).toEqual([original, 'a.weight', undefined, { [mask]: 'a.weight' }])
    near(elements, [numbers[original]!.map((x, i) => x * numbers[mask]![i]!)])
  })

  test.each<[string, Partial<Tensor>, Partial<Tensor>]>([
    ['a mask of another shape', {}, { shape: [4, 3] }],
    ['a mask of integers', {}, { dtype: 'I32' }],
    ['a weight of integers', { dtype: 'I8' }, {}],
  ])('%s does not fit', (_, one, other) => {
    const { weights } = effectiveWeights([
      { ...tensor(original, [3, 4]), ...one },
      { ...tensor(mask, [3, 4]), ...other },
    ])
    expect([...weights.values()].map(({ broken }) => broken)).toEqual([expect.stringMatching(/do not fit|not known/)])
  })
})

describe('what lies beside an original', () => {
  const names = (tensors: Tensor[]) => {
    const { weights, parts } = effectiveWeights(tensors)
    return [[...weights.values()].map(({ key, broken }) => [key, broken]), Object.fromEntries(parts)]
  }
  const of = (...all: string[]) => names(all.map(name => tensor(name, [3, 4])))

  test('the weight that was applied: the original is a part of it', () => {
    expect(of('a.weight', 'a.weight_orig')).toEqual([[], { 'a.weight_orig': 'a.weight' }])
    expect(of('a.weight', 'a.weight_orig', 'a.weight_u', 'a.weight_v')).toEqual([
      [],
      { 'a.weight_orig': 'a.weight', 'a.weight_u': 'a.weight', 'a.weight_v': 'a.weight' },
    ])
  })

  test('a weight beside a mask is one too many', () => {
    expect(of('a.weight', 'a.weight_orig', 'a.weight_mask', 'a.weight_u')).toEqual([
      [['a.weight', expect.stringMatching(/it is pruned, and a weight that pruning does not apply/)]],
      { 'a.weight': 'a.weight', 'a.weight_mask': 'a.weight' },
    ])
  })

  test('nothing: of a weight or a kernel that is not known, of others it means nothing', () => {
    const unknown = expect.stringMatching(/remove the parametrization before saving/)
    expect(of('a.weight_orig')).toEqual([[['a.weight', unknown]], {}])
    expect(of('kernel_orig')).toEqual([[['kernel', unknown]], {}])
    expect(of('a.table_orig')).toEqual([[], {}])
    expect(of('a.myweight_orig')).toEqual([[], {}])
  })
})

describe('parametrizations', () => {
  const at = (...all: string[]) => all.map(name => `a.parametrizations.weight.${name}`)
  const unknown = expect.stringMatching(/remove the parametrization before saving/)

  test.each<[string, string[], string[]]>([
    ['an original alone', ['original'], []],
    ['an original with what is not known', ['original', '0.base'], ['0.base']],
    ['two parametrizations', ['original', '0._u', '0._v', '1.mask'], ['0._u', '0._v', '1.mask']],
    ['two originals of another kind', ['original0', 'original1', '0.base'], ['original0', '0.base']],
    ['no original', ['0.base', '0.other'], ['0.other']],
    ['the first of two alone', ['original0'], []],
  ])('%s', (_, members, parts) => {
    const { weights, parts: found } = effectiveWeights(at(...members).map(name => tensor(name, [3, 4])))
    expect([...weights.values()].map(({ key, broken }) => [key, broken])).toEqual([['a.weight', unknown]])
    expect([...found]).toEqual(at(...parts).map(name => [name, 'a.weight']))
  })

  test('of a bias there is none', () => {
    expect(effectiveWeights(at('original').map(name => tensor(name, [4]))).weights.size).toBe(0)
    expect(effectiveWeights(at('0.a', '0.b').map(name => tensor(name, [4]))).weights.size).toBe(0)
  })

  test('within parametrizations, and at the top', () => {
    const key = (name: string) => [...effectiveWeights([tensor(name, [3, 4])]).weights.values()].map(({ key }) => key)
    expect(key('parametrizations.weight.original')).toEqual(['weight'])
    expect(key('a.parametrizations.b.parametrizations.w.original')).toEqual(['a.parametrizations.b.w'])
    expect(key('a.parametrizations.weight')).toEqual([])
    expect(key('a.parametrizations.weight.')).toEqual([])
    expect(key('a.parametrizations')).toEqual([])
    expect(key('a.my_parametrizations.weight.original')).toEqual([])
  })
})

describe('low-rank updates', () => {
  const [A, B] = ['m.lora_A.weight', 'm.lora_B.weight']
  const update = (more: Partial<LowRank> = {}): LowRank => ({
    key: 'm.weight',
    down: A,
    up: B,
    embedding: false,
    scale: 0.5,
    ...more,
  })
  const factors = [tensor(A, [2, 4]), tensor(B, [3, 2])]
  const productOf = (numbers: Record<string, number[]>) => times(matrix(numbers[B]!, 2), matrix(numbers[A]!, 4))

  test('alone', () => {
    const { name, key, parts, shape, elements, numbers } = applied(factors, [update()])
    expect([name, key, parts, shape]).toEqual([B, 'm.weight', { [A]: 'm.weight' }, [3, 4]])
    near(
      elements,
      productOf(numbers).map(row => row.map(x => 0.5 * x)),
    )
  })

  test('of an embedding: (rows of it, width)', () => {
    const { shape, elements, numbers } = applied([tensor(A, [2, 5]), tensor(B, [4, 2])], [update({ embedding: true })])
    expect(shape).toEqual([5, 4])
    const whole = times(transposed(matrix(numbers[A]!, 5)), transposed(matrix(numbers[B]!, 2)))
    near(
      elements,
      whole.map(row => row.map(x => 0.5 * x)),
    )
  })

  test('of a kernel', () => {
    const { shape, elements, numbers } = applied([tensor(A, [2, 3, 2, 2]), tensor(B, [5, 2, 1, 1])], [update()])
    expect(shape).toEqual([5, 3, 2, 2])
    near(
      elements,
      times(matrix(numbers[B]!, 2), matrix(numbers[A]!, 12)).map(row => row.map(x => 0.5 * x)),
    )
  })

  test.each([
    ['m.weight', undefined],
    ['m.base_layer.weight', undefined],
    ['elsewhere', 'elsewhere'],
  ])('added to %s', (name, base) => {
    const found = applied([...factors, tensor(name, [3, 4])], [update(base === undefined ? {} : { base })])
    expect([found.name, found.key, found.parts]).toEqual([name, 'm.weight', { [A]: 'm.weight', [B]: 'm.weight' }])
    near(found.elements, plus(matrix(found.numbers[name]!, 4), productOf(found.numbers), 0.5))
  })

  test('added to a weight that lies as (in, out), by its shape or by the config', () => {
    const lying = applied([...factors, tensor('m.weight', [4, 3])], [update()])
    expect(lying.shape).toEqual([4, 3])
    near(lying.elements, plus(matrix(lying.numbers['m.weight']!, 3), transposed(productOf(lying.numbers)), 0.5))
    const square = [tensor(A, [2, 3]), tensor(B, [3, 2]), tensor('m.weight', [3, 3])]
    const productOfSquare = (numbers: Record<string, number[]>) => times(matrix(numbers[B]!, 2), matrix(numbers[A]!, 3))
    for (const turned of [true, undefined] as const) {
      const { elements, numbers } = applied(square, [update(turned && { turned })])
      const change = productOfSquare(numbers)
      near(elements, plus(matrix(numbers['m.weight']!, 3), turned ? transposed(change) : change, 0.5))
    }
  })

  test('an embedding is never turned', () => {
    const { elements, numbers } = applied(
      [tensor(A, [2, 3]), tensor(B, [3, 2]), tensor('m.weight', [3, 3])],
      [update({ embedding: true, turned: true })],
    )
    const change = times(transposed(matrix(numbers[A]!, 3)), transposed(matrix(numbers[B]!, 2)))
    near(elements, plus(matrix(numbers['m.weight']!, 3), change, 0.5))
  })

  test.each([[[3, 4]], [[4, 3]]])('DoRA: rows have the magnitudes, of a weight [%s]', shape => {
    const M = 'm.lora_magnitude_vector'
    const found = applied([...factors, tensor('m.weight', shape), tensor(M, [3])], [update({ magnitude: M })])
    expect(found.parts).toEqual({ [A]: 'm.weight', [B]: 'm.weight', [M]: 'm.weight' })
    const weight = matrix(found.numbers['m.weight']!, shape[1]!)
    const whole = plus(shape[0] === 3 ? weight : transposed(weight), productOf(found.numbers), 0.5)
    const made = whole.map((row, i) => row.map(x => (x * found.numbers[M]![i]!) / length(row)))
    near(found.elements, shape[0] === 3 ? made : transposed(made))
  })

  test('DoRA of an embedding: its columns have the magnitudes', () => {
    const M = 'm.lora_magnitude_vector'
    const found = applied(
      [...factors, tensor('m.weight', [4, 3]), tensor(M, [3])],
      [update({ magnitude: M, embedding: true })],
    )
    const weight = transposed(matrix(found.numbers['m.weight']!, 3))
    const whole = plus(weight, productOf(found.numbers), 0.5)
    const made = whole.map((row, i) => row.map(x => (x * found.numbers[M]![i]!) / length(row)))
    near(found.elements, transposed(made))
  })

  test('DoRA alone is its product', () => {
    const M = 'm.lora_magnitude_vector'
    const found = applied([...factors, tensor(M, [3])], [update({ magnitude: M })])
    expect(found.parts).toEqual({ [A]: 'm.weight', [M]: 'm.weight' })
    near(
      found.elements,
      productOf(found.numbers).map(row => row.map(x => 0.5 * x)),
    )
  })

  const M = 'm.lora_magnitude_vector'
  test.each<[string, Tensor[], Partial<LowRank>, RegExp]>([
    ['another shape', [tensor('m.weight', [3, 5])], {}, /^the tensors that it is made of do not fit together$/],
    ['integers', [tensor('m.weight', [3, 4], { dtype: 'I8' })], {}, /^the tensors that it is made of do not fit/],
    ['a kernel', [tensor('m.weight', [3, 4, 1, 1])], {}, /^the tensors/],
    ['what is broken', [tensor('m.weight', [3, 4], { broken: 'in pieces' })], {}, /^in pieces$/],
    [
      'another shape in another file',
      [tensor('base', [3, 5])],
      { base: 'base' },
      /^the weight in base\.bin is \[3,5\] of F32, and what m\.lora_B\.weight\.bin adds to it \[3,4\]$/,
    ],
    ['magnitudes of another length', [tensor('m.weight', [3, 4]), tensor(M, [4])], { magnitude: M }, /^the tensors/],
    [
      'magnitudes of integers',
      [tensor('m.weight', [3, 4]), tensor(M, [3], { dtype: 'I32' })],
      { magnitude: M },
      /^the tensors/,
    ],
  ])('%s does not fit', (_, more, change, why) => {
    const { broken, parts } = applied([...factors, ...more], [update(change)])
    expect(broken).toMatch(why)
    expect(Object.keys(parts)).toEqual([A, B, ...(change.magnitude ? [M] : [])])
  })
})

test('of a weight_norm in both of its forms nobody knows which is loaded', () => {
  const [old, now] = [['a.weight_g', 'a.weight_v'], [0, 1].map(i => `a.parametrizations.weight.original${i}`)]
  const tensors = [old, now].flatMap(([g, v]) => [tensor(g, [3, 1]), tensor(v, [3, 4])])
  const { weights } = effectiveWeights(tensors)
  expect([...weights].map(([name, { broken }]) => [name, broken])).toEqual([
    [old[1], expect.stringContaining('in two forms')],
    [now[1], expect.stringContaining('in two forms')],
  ])
})

test.each(['a.in_proj_weight', 'a.base_layer.in_proj_weight'])(
  'an update is added to the weight of its key: %s',
  name => {
    const [down, up, base] = [
      tensor('a.lora_A.weight', [2, 4]),
      tensor('a.lora_B.weight', [12, 2]),
      tensor(name, [12, 4]),
    ]
    const update = { key: 'a.in_proj_weight', down: down.name, up: up.name, embedding: false, scale: 1 }
    const { weights, parts } = effectiveWeights([down, up, base], [update])
    expect([...weights.keys()]).toEqual([name])
    expect([...parts.keys()]).toEqual([down.name, up.name])
  },
)

test('what two adapters add to, nobody knows', () => {
  const factors = ['a', 'b'].flatMap(name => [tensor(`m.lora_A.${name}`, [2, 4]), tensor(`m.lora_B.${name}`, [3, 2])])
  const updates = ['a', 'b'].map(name => ({
    key: 'm.weight',
    down: `m.lora_A.${name}`,
    up: `m.lora_B.${name}`,
    embedding: false,
    scale: 1,
  }))
  const { weights } = effectiveWeights([...factors, tensor('m.base_layer.weight', [3, 4])], updates)
  expect([...weights.values()].map(({ broken }) => broken)).toEqual([expect.stringMatching(/^two adapters/)])
  const alone = [...effectiveWeights(factors, updates).weights]
  expect(alone.map(([name, { broken }]) => [name, broken])).toEqual([
    ['m.lora_B.a', expect.stringMatching(/^two adapters/)],
    ['m.lora_B.b', expect.stringMatching(/^two adapters/)],
  ])
})

test.each<[string, string[]]>([
  ['weight_norm of what is pruned', ['weight_g', 'weight_v_orig', 'weight_v_mask']],
  ['spectral_norm of what is pruned', ['weight_orig_orig', 'weight_orig_mask', 'weight_u', 'weight_v']],
  ['pruning of what weight_norm makes', ['weight_mask', 'weight_orig_g', 'weight_orig_v']],
  ['weight_norm of what spectral_norm makes', ['weight_g', 'weight_v_orig', 'weight_v_u', 'weight_v_v']],
])('hooks upon each other are not read: %s', (_, names) => {
  const shape = (name: string) =>
    /_g$/.test(name) ? [4, 1] : /_[uv]$/.test(name) && !/orig_v$/.test(name) ? [4] : [4, 4]
  const { weights } = effectiveWeights(names.map(name => tensor(`a.${name}`, shape(name))))
  expect([...weights.values()].map(({ broken }) => broken)).toEqual([
    expect.stringMatching(/in a way that is not known/),
  ])
})

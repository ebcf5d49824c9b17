import fc from 'fast-check'
import picomatch from 'picomatch'
import { describe, expect, test } from 'vitest'
import { contiguous, type DType, type Tensor } from '../../src/checkpoint/types.ts'
import { planLayers } from '../../src/layers/select.ts'
import { defaults } from '../support/analyse.ts'

function tensor(name: string, shape: number[], dtype: DType = 'F32'): Tensor {
  return { name, dtype, shape, source: { kind: 'file', path: 'x', offset: 0, strides: contiguous(shape) } }
}
const plan = (tensors: Tensor[], options = {}) => planLayers({ tensors, unread: [] }, { ...defaults, ...options })
const reasons = (tensors: Tensor[], options = {}) =>
  plan(tensors, options).skipped.map(({ row: { code, reason } }) => `${code}: ${reason}`)

test('2-D tensors are dense, 4-D ones convolutions, with N ≥ M', () => {
  const { layers, skipped } = plan([tensor('fc.weight', [10, 64]), tensor('conv.weight', [16, 32, 3, 5], 'BF16')])
  expect(skipped).toEqual([])
  expect(layers).toMatchObject([
    {
      name: 'fc',
      tensor: 'fc.weight',
      layer_type: 'dense',
      N: 64,
      M: 10,
      Q: 6.4,
      rf: 1,
      num_evals: 10,
      scale: 1,
      recipe: { read: 'matrix' },
    },
    {
      name: 'conv',
      layer_type: 'conv2d',
      dtype: 'BF16',
      N: 32,
      M: 16,
      Q: 2,
      rf: 15,
      num_evals: 240,
      scale: 0.5,
      recipe: { read: 'kernel-slices' },
    },
  ])
})

test.each([
  [tensor('norm.weight', [64]), 'rank: 1-D'],
  [tensor('scale', []), 'rank: 0-D'],
  [tensor('conv1d.weight', [64, 32, 3]), 'rank: 3-D'],
  [tensor('qweight', [64, 64], 'I32'), 'dtype: I32 is not a floating-point type'],
  [tensor('cls_token', [1, 64]), 'size: its first dimension is 1'],
  [tensor('none', [0, 64]), 'size: empty'],
  [tensor('attn.relative_position_index', [49, 49]), 'buffer: a known buffer, not a parameter'],
  [tensor('h.0.attn.bias', [1, 1, 1024, 1024]), 'buffer: a known buffer, not a parameter'],
  [tensor('optimizer.state.0.exp_avg', [64, 64]), 'optimizer: optimizer state'],
  [tensor('fc.weight.exp_avg_sq', [64, 64]), 'optimizer: optimizer state'],
  [tensor('tiny', [3, 3]), 'size: 3 eigenvalues, fewer than min-evals 10'],
  [tensor('huge', [20000, 16000]), 'size: 16000 eigenvalues, more than max-evals 15000'],
  [tensor('embedding', [50257, 768]), 'size: N = 50257, more than max-n 50000'],
])('%o is skipped', (one, reason) => {
  expect(reasons([one])).toEqual([reason])
})

test('0 lifts a limit', () => {
  const lifted = { min_evals: 0, max_evals: 0, max_N: 0 }
  expect(reasons([tensor('a', [3, 3]), tensor('b', [20000, 16000]), tensor('c', [50257, 768])], lifted)).toEqual([])
})

test('include and exclude match a layer’s name or its tensor', () => {
  const tensors = ['layer1.conv', 'layer2.conv', 'head'].map(name => tensor(`${name}.weight`, [64, 64]))
  const names = (options: object) => plan(tensors, options).layers.map(({ name }) => name)
  expect(names({ include: ['layer*'] })).toEqual(['layer1.conv', 'layer2.conv'])
  expect(names({ exclude: ['head'] })).toEqual(['layer1.conv', 'layer2.conv'])
  expect(names({ include: ['layer*'], exclude: ['*2*.weight'] })).toEqual(['layer1.conv'])
  expect(reasons(tensors, { include: ['layer1*'], exclude: ['layer1*'] })).toEqual([
    'excluded: matches an exclude pattern',
    'excluded: matches no include pattern',
    'excluded: matches no include pattern',
  ])
})

test('patterns match what picomatch matches', () => {
  const word = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(word('ab.*'), word('ab./'), (glob, name) => {
      const own = plan([tensor(`${name}x`, [64, 64])], { include: [`${glob}x`] }).layers.length === 1
      expect(own).toBe(picomatch(`${glob}x`, { dot: true, bash: true })(`${name}x`))
    }),
    { numRuns: 2_000 },
  )
})

test('a hostile name does not make a pattern slow', () => {
  const begin = performance.now()
  for (const [glob, piece] of [
    ['**.**.**.x', '.'],
    ['*a*b*c*', 'ab'],
    ['*.layers.*.mlp.*', '.layers'],
  ] as const) {
    const name = piece.repeat(Math.floor(4_000 / piece.length))
    expect(plan([tensor(`${name}y`, [64, 64])], { include: [glob] }).layers).toEqual([])
  }
  expect(performance.now() - begin).toBeLessThan(1_000)
})

describe('limits', () => {
  test.each<[string, number[], object, string[]]>([
    ['as many eigenvalues as there must be', [10, 64], {}, []],
    ['one fewer', [9, 64], {}, ['size: 9 eigenvalues, fewer than min-evals 10']],
    ['as many as there may be', [50, 60], { max_evals: 50 }, []],
    ['one more', [51, 60], { max_evals: 50 }, ['size: 51 eigenvalues, more than max-evals 50']],
    ['N as it may be', [20, 64], { max_N: 64 }, []],
    ['a larger one', [20, 65], { max_N: 64 }, ['size: N = 65, more than max-n 64']],
    ['those of all slices', [4, 8, 3, 1], {}, []],
    ['of too few slices', [4, 8, 2, 1], {}, ['size: 8 eigenvalues, fewer than min-evals 10']],
    ['those of an operator', [4, 8, 1, 1], { conv2d: 'operator', conv_grid: 2 }, []],
    [
      'too few of an operator',
      [2, 8, 1, 1],
      { conv2d: 'operator', conv_grid: 2 },
      ['size: 8 eigenvalues, fewer than min-evals 10'],
    ],
    ['one block of an operator', [40, 48, 3, 3], { conv2d: 'operator', conv_grid: 8, max_evals: 40 }, []],
    [
      'a larger block',
      [41, 48, 3, 3],
      { conv2d: 'operator', conv_grid: 8, max_evals: 40 },
      ['size: 41 eigenvalues, more than max-evals 40'],
    ],
  ])('%s', (_, shape, options, wanted) => expect(reasons([tensor('a', shape)], options)).toEqual(wanted))

  test('are none for what can’t be read: it is a layer all the same', () => {
    for (const shape of [[2, 2], [0, 4], [3], [1, 9]]) {
      const { layers, skipped } = plan([{ ...tensor('a', shape), broken: 'no reader' }], { max_evals: 1, max_N: 1 })
      expect([layers.map(({ broken }) => broken), skipped]).toEqual([['no reader'], []])
    }
  })
})

describe('readings of a convolution', () => {
  const conv = tensor('conv.weight', [16, 32, 3, 5])

  test('each slice by itself', () => {
    const { layers } = plan([conv], { conv2d: 'slices' })
    expect(layers).toHaveLength(15)
    expect(layers[7]).toMatchObject({
      ...{ name: 'conv', tensor: 'conv.weight', part: 'slice 7', layer_type: 'conv2d', shape: [16, 32] },
      ...{ N: 32, M: 16, rf: 15, num_evals: 16, scale: 7.5, recipe: { read: 'matrix' } },
    })
    expect(layers[7].recipe.values).toMatchObject({
      op: 'reshape',
      of: { op: 'slice', start: [0, 0, 1, 2], shape: [16, 32, 1, 1] },
    })
  })

  test('slices that are too small are the tensor’s reason once', () => {
    expect(reasons([tensor('conv.weight', [4, 8, 3, 3])], { conv2d: 'slices' })).toEqual([
      'size: 4 eigenvalues, fewer than min-evals 10',
    ])
  })

  test('a matrix has no slices, and an operator is one of a kernel alone', () => {
    for (const conv2d of ['slices', 'operator']) {
      expect(plan([tensor('fc', [16, 32])], { conv2d }).layers).toMatchObject([
        { layer_type: 'dense', scale: 1, rf: 1, recipe: { read: 'matrix' } },
      ])
    }
  })

  test('the operator', () => {
    expect(plan([conv], { conv2d: 'operator', conv_grid: 8 }).layers).toMatchObject([
      {
        layer_type: 'conv2d',
        shape: [16, 32, 3, 5],
        rf: 15,
        num_evals: 16 * 64,
        scale: 1,
        recipe: { read: 'operator', grid: 8 },
      },
    ])
  })

  test('what can’t be read has none', () => {
    const { layers } = plan([{ ...conv, broken: 'no reader' }], { conv2d: 'slices' })
    expect(layers.map(({ part, broken }) => [part, broken])).toEqual([[undefined, 'no reader']])
  })

  test.each<[string, number[], object, object]>([
    [
      'of one dimension',
      [16, 32, 5],
      {},
      { layer_type: 'conv1d', shape: [16, 32, 5], rf: 5, num_evals: 80, scale: 0.5 },
    ],
    [
      'of three',
      [16, 32, 2, 3, 4],
      {},
      { layer_type: 'conv3d', shape: [16, 32, 2, 3, 4], rf: 24, num_evals: 384, scale: 0.5 },
    ],
    [
      'a slice of one',
      [16, 32, 5],
      { conv2d: 'slices' },
      { layer_type: 'conv1d', shape: [16, 32], rf: 5, num_evals: 16, scale: 2.5 },
    ],
    [
      'its operator',
      [16, 32, 5],
      { conv2d: 'operator', conv_grid: 8 },
      { layer_type: 'conv1d', num_evals: 128, scale: 1, recipe: { read: 'operator', kernel: [5] } },
    ],
  ])('%s', (_, shape, options, wanted) => {
    const tensors = [tensor('conv.weight', shape), tensor('conv.bias', [16])]
    expect(plan(tensors, { conv_dims: 'all', ...options }).layers[0]).toMatchObject(wanted)
    expect(plan(tensors, options).layers).toEqual([])
  })
})

describe('stacked matrices', () => {
  const partsOf = (name: string, shape: number[], more: Partial<Tensor> = {}) =>
    plan([{ ...tensor(name, shape), ...more }]).layers.map(({ part, shape }) => `${part} ${shape}`)
  const TWO = ['expert 0 16,32', 'expert 1 16,32']

  test.each([
    'experts.w1',
    'mlp.experts.gate_up_proj',
    'blk.0.ffn_up_exps.weight',
    'moe/w1',
    'expert_weights',
    'ffn.moe_w1',
    '_x_experts',
    'moe.0.w1',
    'layers.0.moe.3.experts.w1',
    'experts_0.w1',
  ])('%s are of experts', name => expect(partsOf(name, [2, 16, 32])).toEqual(TWO))

  test.each([
    'expertise.w1',
    'myexperts.w1',
    '_experts.w1',
    'experts_.w1',
    'moe-x.w1',
    'conv.weight',
    'moebius.weight',
    'moe.experts.0.conv.weight',
    'expert_12.conv.weight',
    'expert3.conv.weight',
    'my_expert.3.conv.weight',
  ])('%s is of none', name => expect(reasons([tensor(name, [2, 16, 32])])).toEqual(['rank: 3-D']))

  test('by the label of a tensor', () => {
    expect(partsOf('onnx::1', [2, 16, 32], { label: 'experts.w1' })).toEqual(TWO)
    expect(reasons([{ ...tensor('experts.w1', [2, 16, 32]), label: 'conv.weight' }])).toEqual(['rank: 3-D'])
  })

  test('a stack of one is none, and neither are vectors', () => {
    for (const shape of [
      [1, 16, 32],
      [4, 1, 32],
      [4, 32, 1],
    ])
      expect(reasons([tensor('experts.w1', shape)])).toEqual(['rank: 3-D'])
  })

  test('as a reader names them, where it names each', () => {
    expect(partsOf('a', [2, 16, 32], { stack: ['forward', 'backward'] })).toEqual(['forward 16,32', 'backward 16,32'])
    expect(partsOf('a', [1, 16, 32], { stack: [''] })).toEqual(['undefined 16,32'])
    expect(reasons([{ ...tensor('a', [3, 16, 32]), stack: ['x', 'y'] }])).toEqual(['rank: 3-D'])
  })

  test('with their gates, where blocks are asked for', () => {
    const one = { ...tensor('a', [2, 30, 32]), stack: ['forward', 'backward'], gates: ['z', 'r', 'h'] }
    const { layers, whole } = plan([one], { split_packed: true })
    expect(layers.map(({ part, shape }) => `${part} ${shape}`)).toEqual(
      ['forward', 'backward'].flatMap(way => ['z', 'r', 'h'].map(gate => `${way} gate ${gate} 10,32`)),
    )
    expect(whole).toEqual([])
  })

  test('a reason why their blocks are not told apart is said once', () => {
    const { layers, whole } = plan([tensor('moe.experts.gate_up_proj', [2, 20, 60])], { split_packed: true })
    expect(layers.map(({ part }) => part)).toEqual(['expert 0', 'expert 1'])
    expect(whole).toEqual([{ tensor: 'moe.experts.gate_up_proj', reason: expect.stringMatching(/^gate and up/) }])
  })
})

describe('what is left of a tensor', () => {
  test('blocks that are too small stand by their names, the rest are layers', () => {
    const { layers, skipped } = plan([tensor('a.weight_ih', [36, 20]), tensor('a.weight_hh', [36, 9])], {
      split_packed: true,
    })
    expect(layers).toEqual([])
    expect(skipped.map(({ row: { tensor, shape, reason } }) => [tensor, shape, reason])).toEqual([
      ['a.weight_ih', [36, 20], '9 eigenvalues, fewer than min-evals 10'],
      ['a.weight_hh', [36, 9], '9 eigenvalues, fewer than min-evals 10'],
    ])
  })

  test('values that may be looked at come along: not those of an optimizer, of what is unread, broken or empty', () => {
    const { skipped } = plan([
      tensor('norm', [64]),
      { ...tensor('unknown', [64, 64]), skip: 'no reader' },
      tensor('optimizer.a', [64]),
      tensor('none', [0]),
    ])
    expect(skipped.map(({ row: { tensor }, tensor: one }) => [tensor, one?.name])).toEqual([
      ['norm', 'norm'],
      ['unknown', undefined],
      ['optimizer.a', undefined],
      ['none', undefined],
    ])
  })

  test('what has no reader comes first', () => {
    const unread = [{ name: 'x', shape: [3], dtype: 'Odd', reason: 'no tensor' }]
    const { skipped } = planLayers({ tensors: [tensor('norm', [64])], unread }, defaults)
    expect(skipped.map(({ row }) => row)).toMatchObject([
      { tensor: 'x', shape: [3], dtype: 'Odd', code: 'unread', reason: 'no tensor' },
      { tensor: 'norm' },
    ])
  })

  test('a part of a weight says of which', () => {
    const tensors = [tensor('a.weight_g', [20, 1]), tensor('a.weight_v', [20, 30])]
    const { layers, skipped } = plan(tensors)
    expect(layers).toMatchObject([{ name: 'a', tensor: 'a.weight_v' }])
    expect(skipped.map(({ row: { code, reason } }) => [code, reason])).toEqual([['buffer', 'a part of "a.weight"']])
  })

  test('layers stand in the order of the network', () => {
    const names = ['layers.10.w', 'layers.2.w', 'layers.1.w'].map(name => tensor(name, [20, 30]))
    expect(plan(names).layers.map(({ name }) => name)).toEqual(['layers.1.w', 'layers.2.w', 'layers.10.w'])
  })
})

test.each([
  ['a', 'a', true],
  ['a', 'ab', false],
  ['a*', 'a', true],
  ['a*c', 'abc', true],
  ['a*c', 'ac', true],
  ['ab*bc', 'abc', false],
  ['*a*', 'bab', true],
  ['*b', 'ab', true],
  ['a*b*c', 'axcxb', false],
  ['a.*.c', 'a.b.c', true],
  ['{a,b}', 'b', true],
  ['[ab]', 'b', true],
  ['?', 'b', true],
])('%s matches %s: %s', (glob, name, wanted) => {
  expect(plan([tensor(name, [64, 64])], { include: [glob] }).layers.length === 1).toBe(wanted)
})

import fc from 'fast-check'
import picomatch from 'picomatch'
import { expect, test } from 'vitest'
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

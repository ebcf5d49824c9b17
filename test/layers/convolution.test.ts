import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { contiguous, type Tensor } from '../../src/checkpoint/types.ts'
import { resolveSettings } from '../../src/config/settings.ts'
import { planLayers } from '../../src/layers/select.ts'
import { analyseFile, defaults } from '../support/analyse.ts'
import { hasShared, sharedCheckpoint } from '../support/shared.ts'

const folder = new URL('../fixtures/convolutions/', import.meta.url).pathname
const expected: Record<string, number[][]> = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'))
const net = join(folder, 'net.safetensors')

function expectClose(ours: number | null, theirs: number): void {
  expect(Math.abs(ours! - theirs)).toBeLessThanOrEqual(1e-6 * theirs)
}

test('pooled: the eigenvalues are those of what torch makes of impulses', async () => {
  const { layers, skipped } = await analyseFile(net, { conv_dims: 'all' })
  expect(layers.map(({ name, layer_type, shape, rf, N, M }) => [name, layer_type, shape, rf, N, M])).toEqual([
    ['0', 'conv1d', [16, 12, 5], 5, 16, 12],
    ['conv', 'conv1d', [16, 12, 3], 3, 16, 12],
    ['video.conv', 'conv3d', [12, 10, 2, 1, 3], 6, 12, 10],
  ])
  for (const layer of layers) {
    const values = expected[layer.name].flat()
    expect(layer.num_evals).toBe(values.length)
    expectClose(layer.lambda_max, Math.max(...values))
    expectClose(
      layer.norm,
      values.reduce((a, b) => a + b),
    )
    expectClose(layer.sv_min! * layer.sv_min!, Math.min(...values))
  }
  expect(skipped.find(({ tensor }) => tensor === 'bilinear.weight')?.reason).toBe('3-D')
})

test('slices: each is a layer, in row-major order', async () => {
  const { layers, convolutions } = await analyseFile(net, { conv_dims: 'all', conv2d: 'slices' })
  for (const [name, slices] of Object.entries(expected)) {
    const rows = layers.filter(layer => layer.name === name)
    expect(rows.map(({ part }) => part)).toEqual(slices.map((_, i) => `slice ${i}`))
    // Of one slice alone the factor is half of how many there are.
    for (const [i, values] of slices.entries()) expectClose(rows[i].lambda_max, Math.max(...values) * slices.length)
  }
  expect(convolutions?.map(({ slices }) => slices)).toEqual([5, 3, 6])
})

test('operators on images of three dimensions have a bound of their own; by default the layers are skipped', async () => {
  expect(() => resolveSettings({ 'conv-dims': 'all', conv: 'operator', 'conv-grid': '41' })).toThrow('takes 1 to 40')
  await expect(analyseFile(net)).rejects.toThrow('3-D')
})

const tensor = (name: string, shape: number[]): Tensor => {
  return { name, dtype: 'F32', shape, source: { kind: 'file', path: 'x', offset: 0, strides: contiguous(shape) } }
}
const types = (...tensors: Tensor[]) =>
  planLayers({ tensors, unread: [] }, { ...defaults, conv_dims: 'all' }).layers.map(
    ({ layer_type, shape, part = '' }) => `${layer_type} ${shape} ${part}`,
  )

describe('what a 3-D tensor is', () => {
  test.each([
    [
      'experts of a mixture',
      [tensor('mlp.experts.gate_up_proj', [2, 32, 31])],
      ['dense 32,31 expert 0', 'dense 32,31 expert 1'],
    ],
    [
      'named conv all the same',
      [tensor('conv_experts.weight', [2, 32, 15])],
      ['dense 32,15 expert 0', 'dense 32,15 expert 1'],
    ],
    ['experts under another name', [tensor('block.w1.weight', [8, 64, 128])], []],
    ['with a bias each', [tensor('block.w1.weight', [8, 64, 16]), tensor('block.w1.bias', [8, 16])], []],
    ['attention of JAX', [tensor('attention/query/kernel', [64, 4, 16])], []],
    ['a table of positions', [tensor('pos_embed', [16, 64, 20])], []],
    ['JAX’s kernel', [tensor('Conv_0/kernel', [3, 16, 32])], ['conv1d 32,16,3 ']],
    ['Keras’ depthwise kernel', [tensor('separable_conv1d/depthwise_kernel:0', [12, 20, 2])], ['conv1d 40,1,12 ']],
    ['Keras’ conv3d', [tensor('conv3d/kernel:0', [2, 3, 4, 16, 32])], ['conv3d 32,16,2,3,4 ']],
  ])('%s', (_, tensors, wanted) => {
    expect(types(...tensors)).toEqual(wanted)
  })
})

test.runIf(hasShared)('a real network of conv1d', async () => {
  const { layers } = await analyseFile(sharedCheckpoint('silero-16k'), { conv_dims: 'all' })
  const shapes = layers.filter(({ layer_type }) => layer_type === 'conv1d').map(({ name, shape }) => `${name} ${shape}`)
  expect(shapes).toEqual([
    ...['stft_conv 258,1,256', 'conv1 128,129,3', 'conv2 64,128,3', 'conv3 64,64,3', 'conv4 128,64,3'],
  ])
})

import { describe, expect, test } from 'vitest'
import { contiguous, type Tensor } from '../../src/checkpoint/types.ts'
import { withoutHeads } from '../../src/layers/heads.ts'
import { shapeOf, stored } from '../../src/recipe/values.ts'
import { analyseFile } from '../support/analyse.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'

const filled = (...shape: number[]): Written => ({
  shape,
  values: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * i + shape.length)),
})

async function layers(tensors: Record<string, Written>, more: { conv_dims?: 'all' } = {}) {
  const { layers } = await analyseFile(writeSafetensors(tensors), { min_evals: 0, ...more })
  return Object.fromEntries(layers.map(layer => [layer.name, layer]))
}

const QUERY = filled(24, 4, 6)
const OUT = filled(4, 6, 24)

describe('kernels of an attention with a dimension for its heads', () => {
  test.each(['query', 'q_proj', 'key_dense'])('%s is (in, heads · size), its bias no layer', async module => {
    const found = await layers({ [`a.${module}.kernel`]: QUERY, [`a.${module}.bias`]: filled(4, 6) })
    expect(Object.keys(found)).toEqual([`a.${module}.kernel`])
    const flat = await layers({ 'a.weight': { shape: [24, 24], values: QUERY.values! } })
    expect(found[`a.${module}.kernel`]).toMatchObject({
      shape: [24, 24],
      lambda_max: flat.a!.lambda_max,
      layer_type: 'dense',
    })
  })

  test('what projects out is (heads · size, out), by what projects in beside it', async () => {
    const found = await layers({ 'a/key/kernel': filled(24, 2, 6), 'a/query/kernel': QUERY, 'a/out/kernel': OUT })
    const flat = await layers({ 'a.weight': { shape: [24, 24], values: OUT.values! } })
    expect(Object.keys(found).sort()).toEqual(['a/key', 'a/out', 'a/query'])
    expect(found['a/out']!.lambda_max).toBe(flat.a!.lambda_max)
    expect(found['a/key']!.shape).toEqual([24, 12])
  })

  test('a conv1d is none, whatever its module is called', async () => {
    const kernels = {
      'a.query.kernel': filled(3, 12, 10),
      'a.query.bias': filled(10),
      'a.out.kernel': filled(3, 12, 10),
    }
    await expect(layers(kernels)).rejects.toThrow(/none of its 3 tensors qualifies/)
    await expect(layers({ 'a.query.kernel': filled(3, 12, 10) })).rejects.toThrow(/qualifies/)
  })

  test('nor are other modules’ tensors of three dimensions', async () => {
    await expect(layers({ 'a.mixer.kernel': QUERY, 'a.mixer.bias': filled(4, 6) })).rejects.toThrow(/qualifies/)
    await expect(layers({ 'a.query.weight': QUERY, 'a.query.bias': filled(4, 6) })).rejects.toThrow(/qualifies/)
  })
})

test('biases and norms of two dimensions are no layers', async () => {
  const found = await layers({
    'a.weight': filled(16, 16),
    'a.bias': filled(16, 16),
    'ln.gamma': filled(12, 16),
    'ln.beta': filled(12, 16),
    'relative_attention_bias.weight': filled(12, 16),
  })
  expect(Object.keys(found)).toEqual(['a', 'relative_attention_bias'])
})

describe('by names and shapes', () => {
  const tensor = (name: string, shape: number[]): Tensor => {
    return { name, dtype: 'F32', shape, source: { kind: 'file', path: 'x', offset: 0, strides: contiguous(shape) } }
  }
  const shapeWithout = (key: string, shape: number[], beside: Record<string, number[]>) => {
    const found = withoutHeads(key, stored(tensor(key, shape)), new Map(Object.entries(beside)))
    return found && shapeOf(found).join()
  }

  test.each<[string, number[], Record<string, number[]>, string | undefined]>([
    ['query/kernel', [24, 4, 6], { 'query/bias': [4, 6] }, '24,24'],
    ['a.b/query/kernel:0', [24, 4, 6], { 'a.b/query/bias:0': [4, 6] }, '24,24'],
    ['a/query/kernel:1', [24, 4, 6], { 'a/query/bias:1': [4, 6] }, undefined],
    ['a/query/kernels', [24, 4, 6], { 'a/query/biass': [4, 6] }, undefined],
    ['a/query/kernel', [24, 4, 6], { 'a/query/bias': [24] }, undefined],
    ['a/query/kernel', [24, 4, 6], { 'b/query/bias': [4, 6] }, undefined],
    ['a/to_q/kernel', [24, 4, 6], { 'a/to_out/kernel': [4, 6, 24] }, '24,24'],
    ['a/to_q/kernel', [24, 4, 6], { 'a/to_out/kernel': [4, 5, 24] }, undefined],
    ['a/to_q/kernel', [24, 4, 6], { 'a/to_out/kernel': [4, 6] }, undefined],
    ['a/to_q/kernel', [24, 4], { 'a/to_q/bias': [4] }, undefined],
    ['a/out/kernel', [4, 6, 20], { 'a/v/kernel': [24, 4, 6] }, '24,20'],
    ['a/out/kernel', [4, 6, 20], { 'a/v/kernel': [24, 4, 5] }, undefined],
    ['a/out/kernel', [4, 6, 20], { 'a/v/kernel': [24, 3, 6] }, undefined],
    ['a/out/kernel', [4, 6, 20], { 'b/v/kernel': [24, 4, 6] }, undefined],
    ['a/mix/kernel', [4, 6, 20], { 'a/v/kernel': [24, 4, 6] }, undefined],
  ])('%s [%s] beside %o', (key, shape, beside, wanted) => expect(shapeWithout(key, shape, beside)).toBe(wanted))
})

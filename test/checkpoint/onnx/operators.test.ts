import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openCheckpoint, size, type Tensor } from '../../../src/checkpoint/index.ts'
import { openTensor } from '../../../src/spectrum/spool.ts'

const fixture = (name: string) => `test/fixtures/operators/${name}`

/** Row-major values of a tensor, whatever its strides. */
async function values(tensor: Tensor): Promise<number[]> {
  const { file, source } = await openTensor(tensor)
  try {
    const floats = new Float32Array(size(tensor.shape))
    await file.read(new Uint8Array(floats.buffer), 0, floats.byteLength, source.offset)
    return Array.from(floats, (_, i) => {
      let rest = i
      let at = 0
      for (let d = tensor.shape.length - 1; d >= 0; d--) {
        at += (rest % tensor.shape[d]!) * source.strides[d]!
        rest = Math.floor(rest / tensor.shape[d]!)
      }
      return floats[at]!
    })
  } finally {
    await file.close()
  }
}

const layers = (tensors: readonly Tensor[]) => tensors.filter(({ companion, shape }) => !companion && shape.length > 1)

test.each([
  'all',
  'columns',
  'rows',
  'blocks-0',
  'blocks-1',
  'f8',
  'int4',
  'uint4',
  'transposed',
  'transposed-quantised',
  'qlinearconv',
  'nbits',
  'nbits-zeros',
])('%s: the weight is what its operators make of it, and nothing else is a layer', async name => {
  const npy = readFileSync(fixture(`${name}.expected.npy`))
  const { tensors } = await openCheckpoint(fixture(`${name}.onnx`))
  const [weight, ...more] = layers(tensors)
  expect(more).toEqual([])
  expect(weight).toMatchObject({ dtype: 'F32' })
  expect([weight!.broken, weight!.skip]).toEqual([undefined, undefined])
  expect(npy.toString('latin1', 0, 128)).toContain(`'shape': (${weight!.shape.join(', ')})`)
  const found = await values(weight!)
  for (const [i, value] of found.entries()) {
    expect(value).toBeCloseTo(npy.readFloatLE(npy.length - 4 * (found.length - i)), 4)
  }
})

test.each([
  ['integer', /the layout of MatMulInteger has no reader/],
  ['scale-given', /the layout of DequantizeLinear without a constant scale has no reader/],
])('%s: integers without a scale are a layer that is not read', async (name, reason) => {
  expect(layers((await openCheckpoint(fixture(`${name}.onnx`))).tensors)).toMatchObject([
    { name: 'q', broken: expect.stringMatching(reason) },
  ])
})

test('the weight is named by the node that uses it', async () => {
  const { tensors } = await openCheckpoint('test/fixtures/onnx/quantised.onnx')
  expect(layers(tensors)).toMatchObject([{ name: 'onnx::MatMul_1_quantized', label: 'fc.weight', dtype: 'F32' }])
})

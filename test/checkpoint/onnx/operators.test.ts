import { closeSync, readFileSync, readSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openCheckpoint, size, type Tensor } from '../../../src/checkpoint/index.ts'
import { openTensor } from '../../../src/spectrum/spool.ts'
import { analyseFile } from '../../support/analyse.ts'
import { writeSafetensors } from '../../support/safetensors.ts'
import { message, model, number, tensor } from './build.ts'
import { write } from './open.ts'

const fixture = (name: string) => `test/fixtures/operators/${name}`

/** Row-major values of a tensor, whatever its strides. */
async function values(tensor: Tensor): Promise<number[]> {
  const { fd, source } = await openTensor(tensor)
  try {
    const floats = new Float32Array(size(tensor.shape))
    readSync(fd, floats, 0, floats.byteLength, source.offset)
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
    closeSync(fd)
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
  'int4-odd',
  'middle',
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

test('zero points of 4 bits are looked at, as all that belongs to a weight', async () => {
  const { layers, skipped } = await analyseFile(fixture('int4-odd.onnx'), { min_evals: 0 })
  expect(layers).toMatchObject([{ name: 'q', status: 'success' }])
  expect(skipped).toMatchObject([
    { tensor: 's', code: 'buffer' },
    { tensor: 'z', code: 'buffer', digest: expect.any(String) },
  ])
})

test('recurrent layers stack the weights of their directions', async () => {
  const wave = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(seed + i * i))
  const [W, R, single] = [wave(2 * 16 * 12, 1), wave(2 * 16 * 14, 2), wave(15 * 12, 3)]
  const weight = (name: string, dims: number[], values: Float32Array) =>
    message(5, tensor(name, dims, number(2, 1), message(9, Buffer.from(values.buffer))))
  const node = (op: string, ...inputs: string[]) =>
    message(1, ...inputs.map(input => message(1, input)), message(2, `${op}_y`), message(4, op))
  const graph = model(
    node('LSTM', 'x', 'W', 'R', 'B'),
    node('GRU', 'x', 'single'),
    node('Einsum', 'x', 'other'),
    ...[weight('W', [2, 16, 12], W), weight('R', [2, 16, 14], R), weight('single', [1, 15, 12], single)],
    weight('other', [2, 16, 12], W),
    weight('B', [2, 32], wave(64, 4)),
  )
  const { layers, skipped } = await analyseFile(write(graph, 'net.onnx'), { min_evals: 0 })
  const matrices = (values: Float32Array, columns: number) =>
    [0, 1].map(i => ({ shape: [16, columns], values: values.subarray(i * 16 * columns, (i + 1) * 16 * columns) }))
  const [w0, w1, r0, r1] = [...matrices(W, 12), ...matrices(R, 14)]
  const plain = await analyseFile(
    writeSafetensors({ w0: w0!, w1: w1!, r0: r0!, r1: r1!, s: { shape: [15, 12], values: single } }),
    { min_evals: 0 },
  )
  const expected = Object.fromEntries(plain.layers.map(({ name, lambda_max }) => [name, lambda_max]))
  expect(layers.map(({ name, part, lambda_max }) => [name, part, lambda_max])).toEqual([
    ['W', 'forward', expected.w0],
    ['W', 'backward', expected.w1],
    ['R', 'forward', expected.r0],
    ['R', 'backward', expected.r1],
    ['single', undefined, expected.s],
  ])
  expect(skipped).toMatchObject([
    { tensor: 'other', code: 'rank' },
    { tensor: 'B', code: 'buffer', reason: 'biases of a recurrent layer' },
  ])
  const split = await analyseFile(write(graph, 'net.onnx'), { min_evals: 0, split_packed: true })
  const gates = ['i', 'o', 'f', 'c'].map(gate => `gate ${gate}`)
  expect(split.layers.map(({ part, shape: [rows] }) => [part, rows])).toEqual([
    ...['W', 'R'].flatMap(() => ['forward', 'backward'].flatMap(way => gates.map(gate => [`${way} ${gate}`, 4]))),
    ...['z', 'r', 'h'].map(gate => [`gate ${gate}`, 5]),
  ])
  const forget = { shape: [4, 12], values: W.subarray(16 * 12 + 8 * 12, 16 * 12 + 12 * 12) }
  const alone = await analyseFile(writeSafetensors({ forget }), { min_evals: 0 })
  expect(split.layers.find(({ part }) => part === 'backward gate f')?.lambda_max).toBe(alone.layers[0].lambda_max)
})

/** Weights of bytes that nodes make values of, each with a scale and a domain of its own. */
function dequantised(...nodes: { scale: number; domain?: string }[]): Buffer {
  const int8 = number(2, 3)
  const floats = number(2, 1)
  const scale = (value: number) => Buffer.from(Float32Array.of(value).buffer)
  return model(
    message(5, tensor('w', [12, 10], int8, message(9, new Uint8Array(120).fill(3)))),
    ...nodes.map(({ scale: value }, i) => message(5, tensor(`s${i}`, [], floats, message(9, scale(value))))),
    ...nodes.map(({ domain }, i) =>
      message(
        1,
        ...['w', `s${i}`].map(input => message(1, input)),
        message(2, `y${i}`),
        message(4, 'DequantizeLinear'),
        ...(domain === undefined ? [] : [message(7, domain)]),
      ),
    ),
  )
}

const weightOf = async (bytes: Buffer) =>
  (await openCheckpoint(write(bytes, 'net.onnx'))).tensors.find(({ name }) => name === 'w')!

/** As ONNX Runtime's quantize_static writes them: zero points as a list of numbers. */
function quantised(op: string, inputs: string[], ...more: Uint8Array[]): Buffer {
  const raw = (name: string, dims: number[], type: number, values: Uint8Array) =>
    message(5, tensor(name, dims, number(2, type), message(9, values)))
  return model(
    raw('fc.weight_quantized', [12, 10], 3, new Uint8Array(120).fill(3)),
    raw('fc.bias_quantized', [12], 6, new Uint8Array(48).fill(1)),
    message(5, tensor('fc.bias_zero_point', [], number(2, 6), number(5, 0))),
    message(5, tensor('zero', [], number(2, 3), number(5, 1))),
    message(5, tensor('zeros', [12], number(2, 3), ...Array.from({ length: 12 }, (_, i) => number(5, i)))),
    raw('scale', [], 1, Buffer.from(Float32Array.of(0.5).buffer)),
    message(
      5,
      tensor('scales', [12], number(2, 1), ...[message(4, Buffer.from(new Float32Array(12).fill(0.5).buffer))]),
    ),
    message(
      1,
      ...inputs.map(input => message(1, input)),
      message(2, 'w'),
      message(3, '/fc/MatMul_quant'),
      message(4, op),
      ...more,
    ),
    message(
      1,
      ...['fc.bias_quantized', 'scale', 'fc.bias_zero_point'].map(input => message(1, input)),
      message(2, 'b'),
      message(4, 'DequantizeLinear'),
    ),
  )
}
const axis = (value: number) => message(5, message(1, 'axis'), number(3, value), number(20, 2))
const transB = message(5, message(1, 'transB'), number(3, 1), number(20, 2))
const weighted = (scale: string, zero: string) => ['x', 'scale', 'zero', 'fc.weight_quantized', scale, zero]

test.each<[string, Buffer, number, number]>([
  ['DequantizeLinear', quantised('DequantizeLinear', ['fc.weight_quantized', 'scale', 'zero']), 1, 1],
  ['by rows', quantised('DequantizeLinear', ['fc.weight_quantized', 'scales', 'zeros'], axis(0)), 1.5, -4],
  ['QLinearMatMul', quantised('QLinearMatMul', weighted('scale', 'zero')), 1, 1],
  ['QGemm, as (out, in)', quantised('QGemm', weighted('scales', 'zeros'), transB), 1.5, -4],
])('ONNX Runtime’s own quantisation is read under the names of before: %s', async (_, bytes, first, last) => {
  const { tensors } = await openCheckpoint(write(bytes, 'net.onnx'))
  const weight = tensors.find(({ name }) => name === 'fc.weight_quantized')!
  expect(weight).toMatchObject({ label: 'fc.weight', dtype: 'F32' })
  expect(weight.broken).toBeUndefined()
  const found = await values(weight)
  expect([found[0], found.at(-1)]).toEqual([first, last])
  expect(tensors.find(({ name }) => name === 'fc.bias_quantized')?.broken).toBeUndefined()
})

test('a weight of one dimension that can’t be read hides no layer', async () => {
  const wave = Buffer.from(Float32Array.from({ length: 1200 }, (_, i) => Math.sin(i * i)).buffer)
  const bytes = model(
    message(5, tensor('q', [200], number(2, 3), message(9, new Uint8Array(200).fill(3)))),
    message(5, tensor('m', [30, 40], message(9, wave))),
    message(1, message(1, 'x'), message(1, 'q'), message(2, 'a'), message(4, 'MatMulInteger')),
    message(1, message(1, 'x'), message(1, 'm'), message(2, 'b'), message(4, 'MatMul')),
  )
  const { layers } = await analyseFile(write(bytes, 'net.onnx'), { min_evals: 0 })
  expect(layers.map(({ name, status }) => [name, status])).toEqual([
    ['q', 'error'],
    ['m', 'success'],
  ])
})

test('several nodes that make the same values of a weight are as one', async () => {
  const weight = await weightOf(dequantised({ scale: 0.5 }))
  expect(weight.broken).toBeUndefined()
  expect((await values(weight))[0]).toBe(1.5)
})

test('nodes that make different values of a weight leave it unread', async () => {
  const { broken } = await weightOf(dequantised({ scale: 0.5 }, { scale: 2 }))
  expect(broken).toBe('it is quantised, and the layout of operators that make different values of it has no reader')
})

test.each([undefined, '', 'ai.onnx', 'com.microsoft'])('an operator of the domain %j is known', async domain => {
  expect((await weightOf(dequantised({ scale: 0.5, ...(domain !== undefined && { domain }) }))).dtype).toBe('F32')
})

test('an operator of another domain is not what its name says', async () => {
  const weight = await weightOf(dequantised({ scale: 0.5, domain: 'custom' }))
  expect(weight.dtype).toBe('I8')
})

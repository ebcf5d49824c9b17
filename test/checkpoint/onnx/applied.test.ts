import { describe, expect, test } from 'vitest'
import { openCheckpoint, type Tensor } from '../../../src/checkpoint/index.ts'
import { message, model, number, tensor } from './build.ts'
import { write } from './open.ts'

const INT64 = number(2, 7)

const weight = (dims: number[], name = 'w') => {
  const values = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => i)
  return message(5, tensor(name, dims, number(2, 1), message(9, Buffer.from(values.buffer))))
}
/** As the raw bytes of an initializer, as its list of numbers, or as a node that makes it. */
const ints = {
  raw: (name: string, values: number[]) =>
    message(
      5,
      tensor(name, [values.length], INT64, message(9, Buffer.from(BigInt64Array.from(values.map(BigInt)).buffer))),
    ),
  listed: (name: string, values: number[]) =>
    message(5, tensor(name, [values.length], INT64, ...values.map(value => number(7, value)))),
  made: (name: string, values: number[]) =>
    message(1, message(2, name), message(4, 'Constant'), attribute('value_ints', values)),
}
const attribute = (name: string, values: number[]) =>
  message(5, message(1, name), ...values.map(value => number(8, value)), number(20, 7))
const node = (op: string, inputs: string[], output: string, ...attributes: Uint8Array[]) =>
  message(1, ...inputs.map(input => message(1, input)), message(2, output), message(4, op), ...attributes)

async function read(...graph: Uint8Array[]): Promise<Tensor> {
  const { tensors } = await openCheckpoint(write(model(...graph), 'net.onnx'))
  return tensors.find(({ name }) => name === 'w')!
}
const seen = ({ shape, source, stack, broken }: Tensor) => ({
  shape: shape.join(),
  strides: source.strides.join(),
  ...(stack && { stack: stack.length }),
  ...(broken !== undefined && { broken }),
})

describe('a matrix is read as MatMul applies it', () => {
  test.each(['raw', 'listed', 'made'] as const)('after a Reshape to a shape that is %s', async kind => {
    const w = await read(
      weight([12]),
      ints[kind]('s', [-1, 4]),
      node('Reshape', ['w', 's'], 'm'),
      node('MatMul', ['x', 'm'], 'y'),
    )
    expect(seen(w)).toEqual({ shape: '3,4', strides: '4,1' })
  })

  test.each<[string, number[], Uint8Array, string]>([
    ['0 keeps a dimension', [3, 2, 2], node('Reshape', ['w', 's'], 'm', attribute('shape', [0, 4])), '3,4'],
    ['Squeeze of all', [1, 3, 1, 4], node('Squeeze', ['w'], 'm'), '3,4'],
    ['Squeeze of the last', [3, 4, 1], node('Squeeze', ['w'], 'm', attribute('axes', [-1])), '3,4'],
    ['Unsqueeze', [3, 4], node('Unsqueeze', ['w'], 'm', attribute('axes', [0])), '3,4'],
    ['Flatten', [3, 2, 2], node('Flatten', ['w'], 'm', attribute('axis', [-2])), '3,4'],
    ['Flatten at its default', [3, 2, 2], node('Flatten', ['w'], 'm'), '3,4'],
    ['Identity', [1, 3, 4], node('Identity', ['w'], 'm'), '3,4'],
    ['two dimensions that become others', [6, 2], node('Reshape', ['w'], 'm', attribute('shape', [3, 4])), '3,4'],
    ['a single row', [1, 1, 12], node('Identity', ['w'], 'm'), '1,12'],
    ['a single number', [1, 1, 1], node('Identity', ['w'], 'm'), '1,1'],
  ])('%s', async (_, dims, on, shape) => {
    expect((await read(weight(dims), on, node('Gemm', ['x', 'm'], 'y'))).shape.join()).toBe(shape)
    expect((await read(weight(dims), on, node('MatMul', ['m', 'x'], 'y'))).shape.join()).toBe(shape)
  })

  test('a batch is one matrix each', async () => {
    const w = await read(weight([1, 2, 3, 4]), node('MatMul', ['x', 'w'], 'y'))
    expect(seen(w)).toEqual({ shape: '2,3,4', strides: '12,4,1', stack: 2 })
  })

  test('in a graph within the graph, whose own values may have the names of others', async () => {
    const branch = message(6, node('Reshape', ['w', 's'], 'm'), node('MatMul', ['x', 'm'], 'y'))
    const w = await read(
      weight([12]),
      ints.raw('s', [3, 4]),
      message(1, message(2, 'o'), message(4, 'If'), message(5, message(1, 'then_branch'), branch)),
      node('Reshape', ['z', 'q'], 'm'),
    )
    expect(w.shape).toEqual([3, 4])
  })

  test.each<[string, Uint8Array[]]>([
    ['a vector', [node('MatMul', ['x', 'w'], 'y')]],
    ['nothing', [node('Reshape', ['w', 's'], 'm')]],
    ['another input of a node', [node('Reshape', ['x', 'w'], 'm'), node('MatMul', ['x', 'm'], 'y')]],
    ['a bias', [node('Gemm', ['x', 'x', 'w'], 'y')]],
  ])('%s stays as it is', async (_, nodes) => {
    expect(seen(await read(weight([12]), ints.raw('s', [3, 4]), ...nodes))).toEqual({ shape: '12', strides: '1' })
  })

  test('what is transposed on the way stays as it is', async () => {
    const w = await read(weight([3, 4]), node('Transpose', ['w'], 'm'), node('MatMul', ['x', 'm'], 'y'))
    expect(seen(w)).toEqual({ shape: '3,4', strides: '4,1' })
  })

  test.each<[string, number[], Uint8Array[]]>([
    ['to a shape that is computed', [12], [node('Reshape', ['w', 'q'], 'm')]],
    ['to axes that are computed', [12], [node('Unsqueeze', ['w', 'q'], 'm')]],
    ['to another number of elements', [12], [node('Reshape', ['w'], 'm', attribute('shape', [5, 2]))]],
    ['by a transposition', [3, 2, 2], [node('Transpose', ['w'], 't'), node('Reshape', ['t', 's'], 'm')]],
    [
      'in two ways',
      [12],
      [node('Reshape', ['w', 's'], 'm'), node('Reshape', ['w', 'u'], 'n'), node('MatMul', ['x', 'n'], 'z')],
    ],
    ['by an operator that is not known', [3, 2, 2], [node('Transpose', ['w'], 'm', attribute('perm', [0, 1, 1]))]],
    [
      'to a batch of batches',
      [2, 2, 1, 3],
      [
        node('Unsqueeze', ['w'], 't', attribute('axes', [0])),
        node('Reshape', ['t'], 'm', attribute('shape', [2, 1, 2, 3])),
      ],
    ],
  ])('%s: nobody knows', async (_, dims, nodes) => {
    const graph = [
      weight(dims),
      ints.raw('s', [3, 4]),
      ints.raw('u', [4, 3]),
      ...nodes,
      node('MatMul', ['x', 'm'], 'y'),
    ]
    const isLayer = dims.length === 4
    expect((await read(...graph)).broken).toBe(
      isLayer ? undefined : 'how it is reshaped before it is applied is not known',
    )
  })
})

describe('a kernel is read as a convolution applies it', () => {
  test('after a Reshape', async () => {
    const w = await read(
      weight([2, 18]),
      node('Reshape', ['w'], 'k', attribute('shape', [2, 2, 3, 3])),
      node('Conv', ['x', 'k'], 'y'),
    )
    expect(seen(w)).toEqual({ shape: '2,2,3,3', strides: '18,9,3,1' })
  })

  test('after a Transpose, where other nodes see the same', async () => {
    const turned = [weight([3, 3, 2, 4]), node('Transpose', ['w'], 'k', attribute('perm', [3, 2, 0, 1]))]
    const conv = (kernel: string, output: string) => node('Conv', ['x', kernel], output)
    const expected = { shape: '4,2,3,3', strides: '1,4,24,8' }
    expect(seen(await read(...turned, conv('k', 'y')))).toEqual(expected)
    expect(seen(await read(...turned, conv('k', 'y'), conv('k', 'z')))).toEqual(expected)
    expect(seen(await read(...turned, conv('k', 'y'), conv('w', 'z')))).toEqual({
      shape: '3,3,2,4',
      strides: '24,8,4,1',
    })
  })
})

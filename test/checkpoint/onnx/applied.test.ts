import { describe, expect, test } from 'vitest'
import { openCheckpoint, type Tensor } from '../../../src/checkpoint/index.ts'
import { message, model, number, tensor, varint } from './build.ts'
import { write } from './open.ts'

const INT64 = number(2, 7)
const bytesOf = (values: ArrayLike<number>) => Buffer.from(Float32Array.from(values).buffer)

const weight = (dims: number[], name = 'w') => {
  const values = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * i))
  return message(5, tensor(name, dims, number(2, 1), message(9, bytesOf(values))))
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
const integer = (name: string, value: number) => message(5, message(1, name), number(3, value), number(20, 2))
const real = (name: string, value: number) =>
  message(5, message(1, name), varint(2 * 8 + 5), bytesOf([value]), number(20, 1))
const node = (op: string, inputs: string[], output: string, ...attributes: Uint8Array[]) =>
  message(1, ...inputs.map(input => message(1, input)), message(2, output), message(4, op), ...attributes)
const graph = (name: string, ...content: Uint8Array[]) => message(5, message(1, name), message(6, ...content))
const product = node('MatMul', ['x', 'm'], 'y')
const conv = (kernel: string, output = 'y') => node('Conv', ['x', kernel], output)

async function tensorsOf(...content: Uint8Array[]): Promise<readonly Tensor[]> {
  return (await openCheckpoint(write(model(...content), 'net.onnx'))).tensors
}
const read = async (...content: Uint8Array[]) => (await tensorsOf(...content)).find(({ name }) => name === 'w')!
const seen = ({ shape, source, stack, broken }: Tensor) => ({
  shape: shape.join(),
  strides: source.strides.join(),
  ...(stack && { stack: stack.length }),
  ...(broken !== undefined && { broken }),
})
const UNKNOWN = 'how it is applied is not known: it is reshaped on the way, or in several ways'

describe('a matrix is read as MatMul applies it', () => {
  test.each(['raw', 'listed', 'made'] as const)('after a Reshape to a shape that is %s', async kind => {
    const w = await read(weight([1200]), ints[kind]('s', [-1, 40]), node('Reshape', ['w', 's'], 'm'), product)
    expect(seen(w)).toEqual({ shape: '30,40', strides: '40,1' })
  })

  test.each<[string, number[], Uint8Array[], string]>([
    ['0 keeps a dimension', [30, 20, 2], [node('Reshape', ['w'], 'm', attribute('shape', [0, 40]))], '30,40'],
    ['Squeeze of all', [1, 30, 1, 40], [node('Squeeze', ['w'], 'm')], '30,40'],
    ['Squeeze of the last', [30, 40, 1], [node('Squeeze', ['w'], 'm', attribute('axes', [-1]))], '30,40'],
    ['Unsqueeze', [30, 40], [node('Unsqueeze', ['w'], 'm', attribute('axes', [0]))], '30,40'],
    ['Flatten', [30, 20, 2], [node('Flatten', ['w'], 'm', integer('axis', -2))], '30,40'],
    ['Flatten at its default', [30, 20, 2], [node('Flatten', ['w'], 'm')], '30,40'],
    [
      'Flatten of all',
      [30, 40, 1],
      [node('Flatten', ['w'], 't', integer('axis', 3)), node('Reshape', ['t'], 'm', attribute('shape', [30, 40]))],
      '30,40',
    ],
    ['Identity', [1, 30, 40], [node('Identity', ['w'], 'm')], '30,40'],
    ['CastLike', [1, 30, 40], [node('CastLike', ['w', 'x'], 'm')], '30,40'],
    ['a Cast to other floats', [1, 30, 40], [node('Cast', ['w'], 'm', integer('to', 10))], '30,40'],
    [
      'two dimensions that become others',
      [60, 20],
      [node('Reshape', ['w'], 'm', attribute('shape', [30, 40]))],
      '30,40',
    ],
    ['a single row', [1, 1, 1200], [node('Identity', ['w'], 'm')], '1,1200'],
    [
      'dimensions that are put together',
      [1200],
      [ints.raw('a', [30]), ints.made('b', [40]), node('Concat', ['a', 'b'], 's'), node('Reshape', ['w', 's'], 'm')],
      '30,40',
    ],
    [
      'more nodes than anybody has',
      [1, 30, 40],
      Array.from({ length: 40 }, (_, i) => node('Identity', [i === 0 ? 'w' : `i${i}`], i === 39 ? 'm' : `i${i + 1}`)),
      '30,40',
    ],
  ])('%s', async (_, dims, nodes, shape) => {
    expect(seen(await read(weight(dims), ...nodes, node('Gemm', ['x', 'm'], 'y')))).toMatchObject({ shape })
    expect(seen(await read(weight(dims), ...nodes, node('MatMul', ['m', 'x'], 'y')))).toMatchObject({ shape })
  })

  test.each<[number[], object]>([
    [[2, 30, 40], { shape: '2,30,40', strides: '1200,40,1', stack: 2 }],
    [[1, 2, 30, 40], { shape: '2,30,40', strides: '1200,40,1', stack: 2 }],
    [[2, 3, 30, 40], { shape: '6,30,40', strides: '1200,40,1', stack: 6 }],
    [[2, 1, 30, 40], { shape: '2,30,40', strides: '1200,40,1', stack: 2 }],
  ])('a batch [%s] is one matrix each', async (dims, wanted) => {
    expect(seen(await read(weight(dims), node('MatMul', ['x', 'w'], 'y')))).toEqual(wanted)
  })

  test('of batches with dimensions of 1 between them', async () => {
    const w = await read(weight([6, 30, 40]), node('Unsqueeze', ['w'], 'm', attribute('axes', [1])), product)
    expect(seen(w)).toEqual({ shape: '6,30,40', strides: '1200,40,1', stack: 6 })
    const apart = [node('Transpose', ['w'], 'm', attribute('perm', [1, 0, 2, 3])), product]
    expect((await read(weight([2, 3, 30, 40]), ...apart)).broken).toBe(UNKNOWN)
  })

  test('uses that differ by a transposition are one', async () => {
    const turned = await read(weight([30, 40]), node('MatMul', ['x', 'w'], 'z'), node('Transpose', ['w'], 'm'), product)
    expect(seen(turned)).toEqual({ shape: '30,40', strides: '40,1' })
    const swap = node('Transpose', ['w'], 'm', attribute('perm', [0, 2, 1]))
    expect(seen(await read(weight([1, 30, 40]), node('MatMul', ['x', 'w'], 'z'), swap, product)).shape).toBe('30,40')
  })

  test.each<[string, Uint8Array[]]>([
    ['a vector', [node('MatMul', ['x', 'w'], 'y')]],
    ['nothing', [node('Reshape', ['w', 's'], 'm')]],
    ['another input of a node', [node('Reshape', ['x', 'w'], 'm'), product]],
    ['a bias', [node('Gemm', ['x', 'x', 'w'], 'y')]],
    ['what a convolution is applied to', [node('Conv', ['w', 'k'], 'm'), product]],
    ['what is added to', [node('Add', ['w', 'b'], 'm'), product]],
  ])('%s stays as it is', async (_, nodes) => {
    expect(seen(await read(weight([1200]), ints.raw('s', [30, 40]), ...nodes))).toEqual({ shape: '1200', strides: '1' })
  })

  test('what is small is no layer, however it is used', async () => {
    expect(seen(await read(weight([99]), node('Reshape', ['w', 'q'], 'm'), product))).toEqual({
      shape: '99',
      strides: '1',
    })
  })

  test('what is transposed on the way stays as it is', async () => {
    const w = await read(weight([30, 40]), node('Transpose', ['w'], 'm'), product)
    expect(seen(w)).toEqual({ shape: '30,40', strides: '40,1' })
  })

  test.each<[string, number[], Uint8Array[]]>([
    ['to a shape that is computed', [1200], [node('Reshape', ['w', 'q'], 'm')]],
    ['to axes that are computed', [1200], [node('Unsqueeze', ['w', 'q'], 'm')]],
    ['without axes that are computed', [1, 30, 40], [node('Squeeze', ['w', 'q'], 'm')]],
    ['by axes that are none', [30, 40], [node('Unsqueeze', ['w'], 'm', attribute('axes', [7, 8]))]],
    ['by an axis twice', [30, 40], [node('Unsqueeze', ['w'], 'm', attribute('axes', [0, 0]))]],
    ['by an axis that is not 1', [30, 40], [node('Squeeze', ['w'], 'm', attribute('axes', [0]))]],
    ['by an axis beyond', [30, 40], [node('Flatten', ['w'], 'm', integer('axis', 3))]],
    ['to another number of elements', [1200], [node('Reshape', ['w'], 'm', attribute('shape', [50, 20]))]],
    ['to dimensions of which one is missing', [1200], [node('Reshape', ['w'], 'm', attribute('shape', [1200, 0]))]],
    ['by a transposition', [30, 20, 2], [node('Transpose', ['w'], 't'), node('Reshape', ['t', 's'], 'm')]],
    [
      'in two ways',
      [1200],
      [node('Reshape', ['w', 's'], 'm'), node('Reshape', ['w', 'u'], 'n'), node('MatMul', ['x', 'n'], 'z')],
    ],
    ['as a matrix and as a kernel', [2, 2, 30, 10], [conv('w', 'z'), node('Reshape', ['w', 's'], 'm')]],
    ['by an order that is none', [30, 20, 2], [node('Transpose', ['w'], 'm', attribute('perm', [0, 1, 1]))]],
    [
      'as truth values',
      [30, 40],
      [node('Cast', ['w'], 't', integer('to', 9)), node('Cast', ['t'], 'm', integer('to', 1))],
    ],
    [
      'to next to nothing',
      [30, 40],
      [node('MatMul', ['x', 'w'], 'z'), node('Gemm', ['x', 'w'], 'o', real('alpha', 0.04))],
    ],
    ['to too much', [30, 40], [node('Gemm', ['x', 'w'], 'o', real('alpha', 21)), node('Identity', ['w'], 'm')]],
    ['to codes', [30, 40], [node('QuantizeLinear', ['w', 's'], 'm')]],
  ])('%s: nobody knows', async (_, dims, nodes) => {
    expect((await read(weight(dims), ints.raw('s', [30, 40]), ints.raw('u', [40, 30]), ...nodes, product)).broken).toBe(
      UNKNOWN,
    )
  })

  test('a modest factor is none of the weight', async () => {
    const w = await read(weight([30, 40]), node('Gemm', ['x', 'w'], 'u', real('alpha', 0.125)))
    expect(seen(w)).toEqual({ shape: '30,40', strides: '40,1' })
  })

  test('floats of a Constant are a tensor', async () => {
    const values = Float32Array.from({ length: 1200 }, (_, i) => i)
    const made = (...fields: Uint8Array[]) =>
      message(
        1,
        message(2, 'w'),
        message(4, 'Constant'),
        message(5, message(1, 'value_floats'), ...fields, number(20, 6)),
      )
    const use = [ints.raw('s', [30, 40]), node('Reshape', ['w', 's'], 'm'), product]
    const single = [...values].map(value => Buffer.concat([varint(7 * 8 + 5), bytesOf([value])]))
    for (const fields of [
      [message(7, bytesOf(values))],
      single,
      [message(7, bytesOf(values.slice(0, 7))), message(7, bytesOf(values.slice(7)))],
    ]) {
      const w = await read(made(...fields), ...use)
      expect(w).toMatchObject({ dtype: 'F32', shape: [30, 40], source: { kind: 'packed', codec: 'onnx-values' } })
    }
    expect(await tensorsOf(weight([4, 4], 'z'), made(message(7, bytesOf(values.slice(0, 99)))))).toHaveLength(1)
  })
})

describe('graphs within a graph', () => {
  const branch = (...content: Uint8Array[]) =>
    message(1, message(2, 'o'), message(4, 'If'), graph('then_branch', ...content))
  const reshape = node('Reshape', ['w', 's'], 'm')

  test('apply what is around them, and names of their own are theirs', async () => {
    const w = await read(
      weight([1200]),
      ints.raw('s', [30, 40]),
      branch(reshape, product),
      node('Reshape', ['z', 'q'], 'm'),
    )
    expect(w.shape).toEqual([30, 40])
  })

  test('know its constants, and it theirs are not', async () => {
    const inside = await tensorsOf(branch(weight([1200]), reshape, product), ints.raw('s', [30, 40]))
    expect(inside.find(({ name }) => name.endsWith('/w'))).toMatchObject({ shape: [30, 40] })
    expect(await read(weight([1200]), branch(ints.made('s', [30, 40]), reshape, product))).toMatchObject({
      shape: [30, 40],
    })
    expect((await read(weight([1200]), branch(ints.made('s', [30, 40])), reshape, product)).broken).toBe(UNKNOWN)
  })

  test('hide a value by an input or a tensor of its name', async () => {
    const hidden = message(11, message(1, 'w'))
    expect(seen(await read(weight([1200]), ints.raw('s', [30, 40]), branch(hidden, reshape, product)))).toMatchObject({
      shape: '1200',
    })
    expect(
      seen(await read(weight([1200]), ints.raw('s', [30, 40]), branch(weight([1200]), reshape, product))),
    ).toMatchObject({ shape: '1200' })
  })

  test('in several depths', async () => {
    const w = await read(weight([1200]), branch(branch(reshape, product)), ints.raw('s', [30, 40]))
    expect(w.shape).toEqual([30, 40])
  })
})

describe('a kernel is read as a convolution applies it', () => {
  test('after a Reshape', async () => {
    const w = await read(weight([20, 18]), node('Reshape', ['w'], 'k', attribute('shape', [20, 2, 3, 3])), conv('k'))
    expect(seen(w)).toEqual({ shape: '20,2,3,3', strides: '18,9,3,1' })
  })

  const turned = (perm: number[], output = 'k') => node('Transpose', ['w'], output, attribute('perm', perm))
  const expected = { shape: '4,8,3,3', strides: '1,4,96,32' }
  test.each<[string, Uint8Array[]]>([
    ['once', [turned([3, 2, 0, 1]), conv('k')]],
    ['twice', [turned([3, 2, 0, 1]), conv('k'), conv('k', 'z')]],
    ['with its sides exchanged', [turned([3, 2, 0, 1]), conv('k'), turned([2, 3, 1, 0], 'l'), conv('l', 'z')]],
  ])('after a Transpose, %s', async (_, nodes) => {
    expect(seen(await read(weight([3, 3, 8, 4]), ...nodes))).toEqual(expected)
  })

  test('in two ways it is not read', async () => {
    const w = await read(weight([3, 3, 8, 4]), turned([3, 2, 0, 1]), conv('k'), conv('w', 'z'))
    expect(w.broken).toBe(UNKNOWN)
  })

  test('of one dimension, that of a matrix stays a matrix', async () => {
    const three = node('Unsqueeze', ['w'], 'k', attribute('axes', [2]))
    expect(seen(await read(weight([30, 40]), three, conv('k')))).toEqual({ shape: '30,40', strides: '40,1' })
    const lying = turned([2, 1, 0])
    expect(seen(await read(weight([3, 20, 30]), lying, conv('k')))).toEqual({ shape: '30,20,3', strides: '1,30,600' })
  })
})

describe('what is rounded on the way', () => {
  const floats = (name: string, values: number[], dims = values.length === 1 ? [] : [values.length]) =>
    message(5, tensor(name, dims, number(2, 1), message(9, bytesOf(values))))
  const zero = (type: number, count = 1, bytes = count) =>
    message(5, tensor('z', count === 1 ? [] : [count], number(2, type), message(9, new Uint8Array(bytes))))
  const pair = (inputs: string[], again = inputs, axis?: number) => [
    node('QuantizeLinear', ['w', ...inputs], 'q', ...(axis === undefined ? [] : [integer('axis', axis)])),
    node('DequantizeLinear', ['q', ...again], 'm', ...(axis === undefined ? [] : [integer('axis', axis)])),
  ]
  const INT8 = 3
  const UINT8 = 2

  test.each<[string, Uint8Array[], Uint8Array[]]>([
    ['a little', [floats('s', [1 / 127]), zero(INT8)], pair(['s', 'z'])],
    ['by rows', [floats('s', new Array(30).fill(1 / 127)), zero(INT8, 30)], pair(['s', 'z'], undefined, 0)],
    ['by columns', [floats('s', new Array(40).fill(1 / 127)), zero(INT8, 40)], pair(['s', 'z'], undefined, -1)],
  ])('%s stays as it is', async (_, content, nodes) => {
    expect(seen(await read(weight([30, 40]), ...content, ...nodes, product))).toEqual({
      shape: '30,40',
      strides: '40,1',
    })
  })

  const OTHER = 'QuantizeLinear makes other numbers of it'
  test.each<[string, Uint8Array[], Uint8Array[], string]>([
    ['to nothing', [floats('s', [1000]), zero(INT8)], pair(['s', 'z']), OTHER],
    ['to what can’t be negative', [floats('s', [1 / 255]), zero(UINT8)], pair(['s', 'z']), OTHER],
    ['to what can’t be negative, by default', [floats('s', [1 / 255])], pair(['s']), OTHER],
    ['to the end of its codes', [floats('s', [1e-4]), zero(INT8)], pair(['s', 'z']), OTHER],
    ['by a scale that is computed', [zero(INT8)], pair(['s', 'z']), OTHER],
    ['by a zero that is computed', [floats('s', [1 / 127])], pair(['s', 'z']), OTHER],
    ['by scales of another number', [floats('s', new Array(7).fill(1 / 127)), zero(INT8, 7)], pair(['s', 'z']), OTHER],
    ['to codes of another type', [floats('s', [1 / 127]), zero(7, 1, 8)], pair(['s', 'z']), OTHER],
    [
      'with another scale back',
      [floats('s', [1 / 127]), floats('t', [1]), zero(INT8)],
      pair(['s', 'z'], ['t', 'z']),
      UNKNOWN,
    ],
  ])('%s is not read', async (_, content, nodes, why) => {
    expect((await read(weight([30, 40]), ...content, ...nodes, product)).broken).toBe(why)
  })
})

describe('protobuf takes the last, or both as one', () => {
  const axis = (...fields: Uint8Array[]) =>
    read(weight([30, 20, 2]), node('Flatten', ['w'], 'm', message(5, message(1, 'axis'), ...fields)), product)

  test('of a number that is there twice it is the last', async () => {
    expect(seen(await axis(number(3, 2), number(3, 1), number(20, 2))).shape).toBe('30,40')
    expect(seen(await axis(number(3, 1), number(8, 2), number(20, 2))).shape).toBe('30,40')
  })

  test.each<[string, Uint8Array, RegExp]>([
    [
      'two kinds of numbers without a type',
      model(weight([30, 40]), node('Flatten', ['w'], 'm', message(5, message(1, 'axis'), number(3, 1), number(8, 2)))),
      /a value of the attribute "axis" twice/,
    ],
    [
      'two attributes of a name',
      model(weight([30, 40]), node('Flatten', ['w'], 'm', integer('axis', 1), integer('axis', 0))),
      /the attribute "axis" twice/,
    ],
    [
      'two graphs of an attribute',
      model(
        weight([30, 40]),
        message(1, message(4, 'If'), message(5, message(1, 'then_branch'), message(6), message(6))),
      ),
      /a graph twice/,
    ],
    [
      'two graphs of a model',
      Buffer.concat([number(1, 10), message(7, weight([30, 40])), message(7, product)]),
      /has its graph in two pieces/,
    ],
  ])('%s are refused', async (_, bytes, why) => {
    await expect(openCheckpoint(write(bytes, 'net.onnx'))).rejects.toThrow(why)
  })
})

describe('weights of recurrent layers', () => {
  const gates = ['i', 'o', 'f', 'c']
  const lstm = node('LSTM', ['x', 'm', 'r'], 'y')
  test.each<[string, number[], Uint8Array[], object]>([
    ['as they are', [1, 80, 20], [node('Identity', ['w'], 'm')], { shape: [1, 80, 20], stack: [''], gates }],
    [
      'of two directions',
      [2, 80, 20],
      [node('Cast', ['w'], 'm', integer('to', 1))],
      { stack: ['forward', 'backward'], gates },
    ],
    ['turned', [20, 80, 1], [node('Transpose', ['w'], 'm')], { shape: [1, 80, 20], stack: [''], gates }],
    [
      'of one direction',
      [80, 20],
      [node('Unsqueeze', ['w'], 'm', attribute('axes', [0]))],
      { shape: [1, 80, 20], stack: [''] },
    ],
  ])('%s', async (_, dims, nodes, wanted) => expect(await read(weight(dims), ...nodes, lstm)).toMatchObject(wanted))

  test('of more directions than there are, or of no matrix, are not read', async () => {
    for (const dims of [
      [3, 80, 20],
      [80, 20],
    ])
      expect((await read(weight(dims), node('Identity', ['w'], 'm'), lstm)).broken).toBe(UNKNOWN)
  })

  test('what they are applied to is none', async () => {
    const w = await read(weight([20, 10, 20]), node('LSTM', ['w', 'a', 'r'], 'm'), product)
    expect(seen(w)).toEqual({ shape: '20,10,20', strides: '200,20,1' })
  })
})

test('dimensions of 1 go and come in any order of the elements', async () => {
  const turned = node('Transpose', ['w'], 't', attribute('perm', [2, 1, 0]))
  const kernel = [turned, node('Unsqueeze', ['t'], 'k', attribute('axes', [-1])), conv('k')]
  expect(seen(await read(weight([3, 20, 30]), ...kernel))).toEqual({ shape: '30,20,3,1', strides: '1,30,600,1' })
  const squeezed = [
    node('Transpose', ['w'], 't', attribute('perm', [1, 0, 2])),
    node('Squeeze', ['t'], 'm', attribute('axes', [1])),
    product,
  ]
  expect(seen(await read(weight([1, 30, 40]), ...squeezed))).toEqual({ shape: '30,40', strides: '40,1' })
})

describe('what a product is applied to is none of its matrices', () => {
  const stored = weight([40, 50], 'v')
  test.each<[string, number[], Uint8Array[]]>([
    ['tokens that are put before others', [1, 30, 40], [node('Concat', ['w', 'x'], 'm')]],
    ['latents of a shape that is computed', [1, 30, 40], [node('Reshape', ['w', 'q'], 'm')]],
    ['positions that are added', [1, 30, 40], [node('Add', ['x', 'w'], 'm')]],
    ['a vector of gains', [1200], [node('Mul', ['x', 'w'], 'm')]],
  ])('%s', async (_, dims, nodes) => {
    for (const turned of [[], [node('Transpose', ['v'], 'u')]]) {
      const matrix = turned.length > 0 ? 'u' : 'v'
      const w = await read(weight(dims), stored, ...nodes, ...turned, node('MatMul', ['m', matrix], 'y'))
      expect(seen(w)).toMatchObject({ shape: dims.join() })
      expect(w.broken).toBeUndefined()
    }
  })
})

test.each(['Mul', 'Sub', 'Sign', 'Where', 'RandomNormalLike'])('%s makes other numbers of a matrix', async op => {
  const w = await read(weight([30, 40]), node(op, ['w', 'w'], 't'), node('Transpose', ['t'], 'm'), product)
  expect(w.broken).toBe('what is applied are other numbers, which nodes of the graph make of it: fold its constants')
  const kernel = await read(weight([20, 5, 3, 3]), node(op, ['s', 'w'], 'k'), conv('k'))
  expect(kernel.broken).toMatch(/fold its constants/)
})

test.each<[string, string[]]>([
  ['ScatterND', ['w', 'i', 'u']],
  ['ScatterElements', ['z', 'i', 'w']],
  ['CumSum', ['w', 'i']],
  ['Trilu', ['w', 'i']],
  ['TopK', ['w', 'i']],
  ['Softmax', ['w', 'i']],
  ['own::Kind', ['w', 'i']],
])('%s with what is made at run time makes other numbers of a matrix', async (op, inputs) => {
  const [domain, name] = op.includes('::') ? op.split('::') : ['', op]
  const other = node(name!, inputs, 'm', ...(domain ? [message(7, domain)] : []))
  expect((await read(weight([30, 40]), other, product)).broken).toMatch(/^what is applied are other numbers/)
})

test.each<[string, string[]]>([
  ['GatherND', ['w', 'i']],
  ['Tile', ['w', 'i']],
  ['Einsum', ['w', 'x']],
  ['SkipLayerNormalization', ['w', 'x']],
])('%s does not, as far as is known', async (op, inputs) => {
  expect((await read(weight([30, 40]), node(op, inputs, 'm'), product)).broken).toBeUndefined()
})

test('channels of a rounding are those of the tensor as it is seen there', async () => {
  const scales = (count: number, of: (i: number) => number) =>
    message(5, tensor('s', [count], number(2, 1), message(9, bytesOf(Array.from({ length: count }, (_, i) => of(i))))))
  const zeros = (count: number) => message(5, tensor('z', [count], number(2, 3), message(9, new Uint8Array(count))))
  const at = (count: number, of: (i: number) => number) => [
    ...[scales(count, of), zeros(count), node('Transpose', ['w'], 't')],
    node('QuantizeLinear', ['t', 's', 'z'], 'q', integer('axis', 1)),
    node('DequantizeLinear', ['q', 's', 'z'], 'm', integer('axis', 1)),
    product,
  ]
  expect((await read(weight([30, 40]), ...at(30, () => 1 / 127))).broken).toBeUndefined()
  expect((await read(weight([40, 40]), ...at(40, i => (i < 20 ? 1 / 127 : 1e-4)))).broken).toMatch(/other numbers/)
})

describe('functions of the model', () => {
  const call = (name: string, inputs: string[], outputs: string[], ...more: Uint8Array[]) =>
    message(
      1,
      ...inputs.map(input => message(1, input)),
      ...outputs.map(output => message(2, output)),
      ...[message(4, name), message(7, 'own'), ...more],
    )
  /** A field of the model, not of its graph. */
  const defined = (name: string, inputs: string[], outputs: string[], ...content: Uint8Array[]) =>
    message(
      25,
      ...inputs.map(input => message(4, input)),
      ...outputs.map(output => message(5, output)),
      ...[message(1, name), message(10, 'own'), ...content],
    )
  /** A node of a function. */
  const inner = (bytes: Uint8Array) => Buffer.concat([Buffer.from([7 * 8 + 2]), bytes.subarray(1)])
  const reference = (name: string, of: string) => message(5, message(1, name), message(21, of), number(20, 7))
  async function all(content: Uint8Array[], ...functions: Uint8Array[]): Promise<readonly Tensor[]> {
    const bytes = Buffer.concat([model(...content), ...functions])
    return (await openCheckpoint(write(bytes, 'net.onnx'))).tensors
  }
  const one = async (...given: Parameters<typeof all>) => seen((await all(...given)).find(({ name }) => name === 'w')!)
  const OTHER = 'what is applied are other numbers, which nodes of the graph make of it: fold its constants'
  const linear = defined(
    'Linear',
    ['x', 'v'],
    ['y'],
    inner(node('Transpose', ['v'], 't', reference('perm', 'order'))),
    inner(node('MatMul', ['x', 't'], 'y')),
    message(11, message(1, 'order'), number(8, 0), number(8, 1), number(8, 2), number(20, 7)),
  )

  test('apply a weight as their nodes do', async () => {
    const w = await one([weight([1, 30, 40]), call('Linear', ['x', 'w'], ['y'])], linear)
    expect(w).toEqual({ shape: '30,40', strides: '40,1' })
  })

  test('with the attributes of the call', async () => {
    const order = attribute('order', [1, 0, 2])
    const w = await one([weight([30, 1, 40]), call('Linear', ['x', 'w'], ['y'], order)], linear)
    expect(w).toEqual({ shape: '30,40', strides: '40,1' })
  })

  test('what they make of a weight is followed beyond them, to any depth', async () => {
    const turn = defined('Turn', ['v'], ['', 'r'], inner(node('Reshape', ['v'], 'r', attribute('shape', [30, 40]))))
    const twice = defined('Twice', ['v'], ['s'], inner(call('Turn', ['v'], ['', 's'])))
    const w = await one([call('Twice', ['w'], ['m']), product, weight([1200])], turn, twice)
    expect(w).toEqual({ shape: '30,40', strides: '40,1' })
  })

  test('other numbers are none of the file', async () => {
    const scaled = defined('Scaled', ['v', 'c'], ['s'], inner(node('Mul', ['v', 'c'], 's')))
    const content = [weight([30, 40]), weight([1], 'c'), call('Scaled', ['w', 'c'], ['m']), product]
    expect(await one(content, scaled)).toEqual({ shape: '30,40', strides: '40,1', broken: OTHER })
  })

  test('of two calls, each with names of its own', async () => {
    const content = [weight([1200]), weight([1, 30, 40], 'v')]
    const reshape = defined('R', ['v'], ['s'], inner(node('Reshape', ['v'], 's', attribute('shape', [30, 40]))))
    const calls = [call('R', ['w'], ['m']), call('R', ['v'], ['n']), product, node('MatMul', ['x', 'n'], 'z')]
    const tensors = await all([...content, ...calls], reshape)
    expect(tensors.map(({ shape }) => shape.join())).toEqual(['30,40', '30,40'])
  })

  test('hold weights, which all calls apply', async () => {
    const constant = (name: string) =>
      inner(message(1, message(2, name), message(4, 'Constant'), message(5, message(1, 'value'), held, number(20, 4))))
    const held = message(5, tensor('', [1, 30, 40], number(2, 1), message(9, bytesOf(new Float32Array(1200)))))
    const body = [constant('v'), inner(node('MatMul', ['x', 'v'], 'y'))]
    const read = async (content: Uint8Array[], ...more: Uint8Array[]) =>
      (await all(content, defined('Held', ['x', 'p'], ['y'], ...body, ...more))).map(held => [held.name, seen(held)])
    const matrix = [['Held/v', { shape: '30,40', strides: '40,1' }]]
    expect(await read([product])).toEqual(matrix)
    expect(await read([call('Held', ['x', ''], ['y']), call('Held', ['y', ''], ['z'])])).toEqual(matrix)
    // Only the second call turns it.
    const turned = [inner(node('Reshape', ['v', 'p'], 'q')), inner(node('MatMul', ['x', 'q'], 'r'))]
    const content = [ints.raw('p', [40, 30]), call('Held', ['x', ''], ['y']), call('Held', ['y', 'p'], ['z'])]
    expect((await read(content, ...turned))[1]).toMatchObject(['Held/v', { broken: UNKNOWN }])
  })

  test('a weight as an attribute of a call is not read', async () => {
    const value = message(5, tensor('', [30, 40], number(2, 1), message(9, bytesOf(new Float32Array(1200)))))
    const held = message(5, message(1, 'kernel'), value, number(20, 4))
    const tensors = await all([call('Linear', ['x'], ['y'], held)], linear)
    expect(tensors.map(({ name, broken }) => [name, broken])).toEqual([
      ['y/kernel', 'it is an attribute of a node of a kind that is not known here, "own::Linear"'],
    ])
  })

  test.each<[string, Uint8Array[], Uint8Array[], RegExp]>([
    [
      'themselves',
      [call('A', ['x'], ['y'])],
      [defined('A', ['x'], ['y'], inner(call('A', ['x'], ['y'])))],
      /in itself/,
    ],
    [
      'one that is there twice',
      [product],
      [defined('A', ['x'], ['y']), defined('A', ['x'], ['y'])],
      /the model has the function "own::A" twice/,
    ],
    [
      'an operator of ONNX',
      [product],
      [message(25, message(1, 'MatMul'), message(10, ''))],
      /function of its own named "MatMul"/,
    ],
  ])('that call %s are refused', async (_, content, functions, why) => {
    await expect(all(content, ...functions)).rejects.toThrow(why)
  })

  test('that stand for too many nodes are refused', async () => {
    const level = (n: number) =>
      defined(
        `F${n}`,
        ['x'],
        ['y'],
        ...Array.from({ length: 10 }, (_, i) => inner(call(`F${n + 1}`, ['x'], [`y${i}`]))),
      )
    const last = defined('F6', ['x'], ['y'], inner(node('Relu', ['x'], 'y')))
    const functions = [...Array.from({ length: 6 }, (_, n) => level(n)), last]
    await expect(all([call('F0', ['x'], ['y'])], ...functions)).rejects.toThrow(/stand for more than 100000 nodes/)
  })
})

describe('a node of another kind', () => {
  const other = (inputs: string[], output: string) =>
    message(1, ...inputs.map(input => message(1, input)), message(2, output), message(4, 'Quant'), message(7, 'qonnx'))

  test('that makes a matrix of stored ones alone makes other numbers', async () => {
    const w = await read(weight([30, 40]), weight([1], 's'), other(['w', 's'], 'm'), product)
    expect(w.broken).toMatch(/other numbers/)
    const soft = await read(product, node('Softmax', ['w'], 'm'), weight([30, 40]))
    expect(soft.broken).toMatch(/other numbers/)
  })

  test.each([
    ['what takes some of its elements', [node('Mul', ['w', 's'], 'v'), node('Concat', ['v'], 'm'), product]],
    ['a product with another matrix', [node('MatMul', ['w', 'p'], 'm'), product]],
    ['a product with itself', [node('MatMul', ['w', 'w'], 'm'), product]],
    ['repeated elements', [node('Tile', ['w', 's'], 'm'), product]],
  ])('other numbers stay so behind %s', async (_, nodes) => {
    expect((await read(weight([30, 30]), weight([30, 30], 'p'), ints.raw('s', [1]), ...nodes)).broken).toMatch(
      /other numbers/,
    )
  })

  test.each(['Slice', 'Split', 'BatchNormalization'])('but for %s, which is not followed', async op => {
    expect((await read(weight([30, 40]), ints.raw('s', [0]), node(op, ['w', 's'], 'm'), product)).broken).toBe(
      undefined,
    )
  })

  test('that applies it is as good as any', async () => {
    const w = await read(weight([30, 40]), other(['x', 'w'], 'h'), node('MatMul', ['h', 'k'], 'y'))
    expect(w.broken).toBe(undefined)
  })
})

test('what no node uses is none of the model, unless nothing is used', async () => {
  const constants = async (...content: Uint8Array[]) =>
    (await tensorsOf(...content)).map(({ name, constant }) => [name, constant])
  const both = [weight([30, 40]), weight([30, 40], 'v')]
  expect(await constants(...both, node('MatMul', ['x', 'w'], 'y'))).toEqual([
    ['w', undefined],
    ['v', 'no node of the graph uses it'],
  ])
  expect(await constants(...both, product)).toEqual([
    ['w', undefined],
    ['v', undefined],
  ])
})

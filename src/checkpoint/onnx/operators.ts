import { isDeepStrictEqual } from 'node:util'
import { limits } from '../../limits.ts'
import { piecesOf } from '../pieces.ts'
import type { Coded, Grid, Part } from '../quantised/scheme.ts'
import { contiguous, DTYPE_BITS, isFloat, size } from '../types.ts'
import { applied, DIRECTIONS, type Graph, isApplied, isRecurrent } from './applied.ts'
import type { OnnxTensor, Operator } from './types.ts'

/** What ONNX Runtime puts behind the name of what it quantises. */
const QUANTISED_NAME = /(?:_quantized|(?:_DQ)?_Q[248])$/
/** Where the weight, its scale and its zero point are among the inputs, and the default of its axis. */
const QUANTISED: ReadonlyMap<string, { weight: number; scale: number; zero: number; axis: number }> = new Map([
  ['DequantizeLinear', { weight: 0, scale: 1, zero: 2, axis: 1 }],
  ['QLinearConv', { weight: 3, scale: 4, zero: 5, axis: 0 }],
  ['QLinearMatMul', { weight: 3, scale: 4, zero: 5, axis: 1 }],
  ['QGemm', { weight: 3, scale: 4, zero: 5, axis: 1 }],
  ['DynamicQuantizeMatMul', { weight: 1, scale: 2, zero: 3, axis: 1 }],
  ['MatMulIntegerToFloat', { weight: 1, scale: 3, zero: 5, axis: 1 }],
])
/** Nodes whose integer weights have no scale of their own, or one in a layout of their own: the place of the weight. */
const UNREAD: ReadonlyMap<string, number> = new Map([
  ['MatMulInteger', 1],
  ['ConvInteger', 1],
  ['MatMulBnb4', 1],
  ['GatherBlockQuantized', 0],
  ['QAttention', 1],
  ['DynamicQuantizeLSTM', 1],
  ['QMoE', 2],
])
const BLOCKS = 'MatMulNBits'

/** Whether what a node of this kind does is known here. */
export function isKnown(op: string): boolean {
  return QUANTISED.has(op) || UNREAD.has(op) || op === BLOCKS || isApplied(op)
}

/** Why an operator's weight can't be read. */
class Misfit extends Error {}

/**
 * The tensors of a graph as what its operators make of them: quantised weights as their values, with scales and zero points as
 * companions; those that are turned or reshaped before they are applied; the weights of recurrent layers as a stack.
 * @returns those that are another than they were
 */
export async function interpreted(graph: Graph): Promise<Map<string, OnnxTensor>> {
  const { operators, tensors } = graph
  const found = new Map<string, OnnxTensor>()
  for (const operator of operators) {
    const { op, inputs } = operator
    const place = op === BLOCKS ? { weight: 1, scale: 2, zero: 3, axis: 0 } : QUANTISED.get(op)
    const weight = tensors.get(inputs[place?.weight ?? UNREAD.get(op) ?? -1] ?? '')
    if (!weight || found.get(weight.name)?.companion || isFloat(weight.dtype) === !/^F8/.test(weight.dtype)) continue
    const [scale, zero] = place
      ? await Promise.all(
          [place.scale, place.zero].map(i => {
            const tensor = tensors.get(inputs[i] ?? '')
            return tensor && unpacked(tensor)
          }),
        )
      : []
    if (op === 'DequantizeLinear' && weight.shape.length < 2) {
      // A bias, of 32 bits where it is quantised, and no layer.
      markCompanions([scale, zero], found)
      continue
    }
    const known = found.get(weight.name)
    // Of QGemm, whose weight may lie as (out, in).
    const axis = op === 'QGemm' && operator.numbers.get('transB')?.[0] === 1 ? 0 : (place?.axis ?? 0)
    const made = place ? valuesOf(operator, axis, weight, scale, zero) : broken(weight, `of ${op}`)
    const isSame = known === undefined || isDeepStrictEqual(known, made)
    found.set(weight.name, isSame ? made : broken(weight, 'of operators that make different values of it'))
    markCompanions([scale, zero, ...(op === BLOCKS ? [tensors.get(inputs[4] ?? '')] : [])], found)
  }
  const made = new Map([...tensors].map(([name, tensor]) => [name, found.get(tensor.name) ?? tensor]))
  for (const [name, tensor] of await applied({ ...graph, tensors: made })) found.set(name, tensor)
  for (const { op, inputs } of operators) {
    if (!isRecurrent(op)) continue
    const biases = tensors.get(inputs[3] ?? '')
    if (biases?.shape.length === 2 && biases.shape[0] <= DIRECTIONS.length)
      found.set(biases.name, { ...biases, constant: 'biases of a recurrent layer' })
  }
  return found
}

function markCompanions(all: readonly (OnnxTensor | undefined)[], found: Map<string, OnnxTensor>): void {
  for (const one of all) if (one) found.set(one.name, { ...(one.pairs ?? one), companion: true })
}

/** A tensor with its elements, where it has few and they lie otherwise than one after the other: `int32_data`. */
async function unpacked(tensor: OnnxTensor): Promise<OnnxTensor> {
  if (tensor.pairs) return { ...tensor, pairs: await unpacked(tensor.pairs) }
  if (tensor.source.kind !== 'packed' || tensor.source.codec !== 'onnx-values') return tensor
  const bytes = (size(tensor.shape) * DTYPE_BITS[tensor.dtype]) / 8
  if (bytes === 0 || bytes > limits.onnx.inlineBytes) return tensor
  const pieces: Uint8Array[] = []
  for await (const piece of piecesOf(tensor, bytes)) pieces.push(piece)
  return { ...tensor, bytes: Uint8Array.from(Buffer.concat(pieces)) }
}

function broken(weight: OnnxTensor, why: string): OnnxTensor {
  const { skip: _, ...tensor } = weight
  return { ...tensor, dtype: 'F32', broken: `it is quantised, and the layout ${why} has no reader` }
}

function valuesOf(
  operator: Operator,
  axis: number,
  weight: OnnxTensor,
  scale: OnnxTensor | undefined,
  zero: OnnxTensor | undefined,
): OnnxTensor {
  try {
    const own = scale && (operator.op === BLOCKS ? nBits : linear)(operator, axis, weight, scale, zero)
    return own ?? broken(weight, `of ${operator.op} without a constant scale`)
  } catch (error) {
    if (!(error instanceof Misfit)) throw error
    return broken(weight, `of ${operator.op}, ${error.message},`)
  }
}

function one(numbers: Operator['numbers'], name: string, otherwise: number): number {
  return numbers.get(name)?.[0] ?? otherwise
}

/** Where its elements lie one after the other, or themselves. */
function partOf({ dtype, shape, source, bytes, skip }: OnnxTensor): Part | undefined {
  if (skip !== undefined) return undefined
  if (source.kind === 'file') return { path: source.path, offset: source.offset, dtype, shape }
  return bytes && { path: source.path, offset: 0, dtype, shape, bytes }
}

/** Codes in the file; of 4 bits two a byte, the first in the lower half. */
function codesOf(tensor: OnnxTensor): { part: Part; bits: number; numbers: Coded['numbers'] } {
  const { dtype, pairs } = tensor
  const kinds = { I8: 'signed', U8: 'unsigned', F8_E4M3: 'e4m3', F8_E5M2: 'e5m2' } as const
  const numbers = (kinds as Partial<Record<string, Coded['numbers']>>)[dtype]
  const part = partOf(pairs ?? tensor)
  if (!numbers || !part) throw new Misfit('whose values are of an unusual kind or place')
  return { part, bits: pairs ? 4 : 8, numbers }
}

/** DequantizeLinear and what is like it: (q − zero) · scale, for all, along an axis, or in blocks along it. */
function linear(
  { numbers }: Operator,
  defaultAxis: number,
  weight: OnnxTensor,
  scale: OnnxTensor,
  zero: OnnxTensor | undefined,
): OnnxTensor {
  const { shape } = weight
  const given = one(numbers, 'axis', defaultAxis)
  const axis = given < 0 ? given + shape.length : given
  // One of a kernel's, as ConvTranspose has it: a row is what lies behind it.
  const isMiddle = size(scale.shape) > 1 && axis > 0 && axis < shape.length - 1
  const columns = isMiddle ? size(shape.slice(axis)) : (shape.at(-1) ?? 1)
  const block = gridOf(shape, columns, axis, one(numbers, 'block_size', 0), scale)
  const codes = codesOf(weight)
  if (codes.part.bytes) throw new Misfit('whose values are of an unusual place')
  return valuesIn(
    weight,
    shape,
    {
      ...{ codes: codes.part, bits: codes.bits, numbers: codes.numbers, unpadded: true },
      scale: { part: floats(scale), ...block },
      ...(zero && { zero: zeroGrid(zero, scale, block) }),
    },
    columns,
  )
}

/** @param columns of the matrix that the weight is taken for */
function gridOf(
  shape: readonly number[],
  columns: number,
  axis: number,
  blockSize: number,
  scale: OnnxTensor,
): Omit<Grid, 'part'> {
  const rows = size(shape) / columns
  if (size(scale.shape) === 1) return { blockRows: rows, blockColumns: columns, across: 1 }
  if (blockSize > 0) {
    const wanted = shape.map((n, d) => (d === axis ? Math.ceil(n / blockSize) : n))
    if (shape.length !== 2 || scale.shape.join() !== wanted.join()) throw new Misfit('whose blocks do not fit')
    return axis === 0
      ? { blockRows: blockSize, blockColumns: 1, across: columns }
      : { blockRows: 1, blockColumns: blockSize, across: wanted[1] }
  }
  if (scale.shape.length !== 1 || scale.shape[0] !== shape[axis]) throw new Misfit('whose scale does not fit')
  if (axis === 0) return { blockRows: rows / shape[0], blockColumns: columns, across: 1 }
  return { blockRows: rows, blockColumns: columns / shape[axis], across: shape[axis] }
}

function floats(scale: OnnxTensor): Part {
  const part = isFloat(scale.dtype) ? partOf(scale) : undefined
  if (!part) throw new Misfit('whose scale is of an unusual kind or place')
  return part
}

function zeroGrid(zero: OnnxTensor, scale: OnnxTensor, block: Omit<Grid, 'part'>): Grid {
  if (size(zero.shape) !== size(scale.shape)) throw new Misfit('whose zero point does not fit')
  const { part, bits, numbers } = codesOf(zero)
  return { part, ...block, ...(bits === 4 && { nibbles: { signed: numbers === 'signed' } }) }
}

/** A weight as MatMulNBits has it, on its side: as the MatMul that it stands for. */
function nBits(...parameters: Parameters<typeof linear>): OnnxTensor {
  const weight = onItsSide(...parameters)
  const { shape, source } = weight
  return { ...weight, shape: [...shape].reverse(), source: { ...source, strides: [1, shape[1]] } }
}

/** ONNX Runtime's MatMulNBits: B (N, blocks, bytes) along K, scales (N, blocks), zeros packed as B is, 2^(bits−1) by default. */
function onItsSide(
  { numbers, inputs }: Operator,
  _: number,
  weight: OnnxTensor,
  scale: OnnxTensor,
  zero: OnnxTensor | undefined,
): OnnxTensor {
  const [K, N, bits, block] = ['K', 'N', 'bits', 'block_size'].map(name => one(numbers, name, name === 'bits' ? 4 : 0))
  const blocks = Math.ceil(K / block)
  const bytes = (block * bits) / 8
  const fits =
    [2, 4, 8].includes(bits) &&
    size(weight.shape) === N * blocks * bytes &&
    size(scale.shape) === N * blocks &&
    weight.dtype === 'U8'
  if (!fits || inputs[4] || weight.source.kind !== 'file') throw new Misfit('whose parts do not fit together')
  const codes: Part = {
    path: weight.source.path,
    offset: weight.source.offset,
    dtype: 'U8',
    shape: [N, blocks * bytes],
  }
  const grid = { blockRows: 1, blockColumns: block, across: blocks }
  const coded = { codes, bits, rowBytes: blocks * bytes, scale: { part: floats(scale), ...grid } }
  if (!zero) return valuesIn(weight, [N, K], { ...coded, numbers: 'offset' })
  if (isFloat(zero.dtype)) {
    if (size(zero.shape) !== N * blocks) throw new Misfit('whose zeros do not fit')
    return valuesIn(weight, [N, K], { ...coded, numbers: 'unsigned', zero: { part: floats(zero), ...grid } })
  }
  const zeroBytes = Math.ceil((blocks * bits) / 8)
  if (bits !== 4 && bits !== 8) throw new Misfit('whose zeros are of 2 bits')
  if (zero.dtype !== 'U8' || size(zero.shape) !== N * zeroBytes || zero.source.kind !== 'file') {
    throw new Misfit('whose zeros do not fit')
  }
  const part: Part = { path: zero.source.path, offset: zero.source.offset, dtype: 'U8', shape: [N, zeroBytes] }
  const packed = bits === 4 ? { nibbles: { signed: false, rowBytes: zeroBytes } } : {}
  return valuesIn(weight, [N, K], { ...coded, numbers: 'unsigned', zero: { part, ...grid, ...packed } })
}

function valuesIn(
  weight: OnnxTensor,
  shape: readonly number[],
  codes: Omit<Coded, 'kind' | 'rows' | 'columns'>,
  columns = shape.at(-1) ?? 1,
): OnnxTensor {
  const { skip: _, pairs: __, ...tensor } = weight
  const { name, label = name.replace(QUANTISED_NAME, '') } = tensor
  return {
    ...tensor,
    ...(label !== '' && label !== name && { label }),
    dtype: 'F32',
    shape,
    source: {
      ...{ kind: 'packed', path: codes.codes.path, codec: 'quantised', strides: contiguous(shape) },
      parameters: { kind: 'coded', rows: size(shape) / columns, columns, ...codes },
    },
  }
}

import { piecesOf } from '../pieces.ts'
import { numbers } from '../quantised/codec.ts'
import { type DType, type FloatDType, isFloat, size } from '../types.ts'
import { widen } from '../widen.ts'
import type { OnnxTensor } from './types.ts'

/** What QuantizeLinear and DequantizeLinear do to a weight one after the other, as quantisation-aware training exports it. */
export interface Rounding {
  /** Undefined where it is no constant. */
  readonly scale: OnnxTensor | undefined
  readonly zero: OnnxTensor | undefined
  /** Of the tensor as it is stored; −1 where it is none. */
  readonly axis: number
}

/** The least and the largest code, by the type of the zero point. */
const CODES: Partial<Record<DType, readonly [number, number]>> = {
  U8: [0, 255],
  I8: [-128, 127],
  I16: [-32_768, 32_767],
}
/** Part of a weight's norm that rounding takes: 8 bits take a hundredth. */
const MOST_LOST = 0.25
const PIECE = 1024 * 1024

/** Whether a weight is about what it was, once it is rounded: then it is read as it is stored. All of it is looked at. */
export async function staysAsItIs(weight: OnnxTensor, { scale, zero, axis }: Rounding): Promise<boolean> {
  const codes = CODES[zero?.dtype ?? 'U8']
  if (!scale || !codes || !isFloat(scale.dtype) || scale.source.kind !== 'file') return false
  if (zero && (zero.source.kind !== 'file' || size(zero.shape) !== size(scale.shape) || zero.skip !== undefined))
    return false
  const { shape } = weight
  const each = size(scale.shape)
  if (each !== 1 && each !== shape[axis]) return false
  const scales = await numbers({ ...scale.source, dtype: scale.dtype, shape: scale.shape })
  const zeros = zero && (await zerosOf(zero))
  const inner = each === 1 ? size(shape) : size(shape.slice(axis + 1))
  let [all, lost, i] = [0, 0, 0]
  for await (const bytes of piecesOf(weight, PIECE)) {
    for (const value of widen(weight.dtype as FloatDType, bytes)) {
      const channel = Math.floor(i++ / inner) % each
      const [step, middle] = [scales[channel], zeros?.[channel] ?? 0]
      const code = Math.min(codes[1], Math.max(codes[0], Math.round(value / step) + middle))
      const difference = value - (code - middle) * step
      all += value * value
      lost += difference * difference
    }
  }
  return Math.sqrt(lost) <= MOST_LOST * Math.sqrt(all)
}

async function zerosOf({ source, dtype, shape }: OnnxTensor): Promise<Float64Array | undefined> {
  if (source.kind !== 'file' || (dtype !== 'U8' && dtype !== 'I8' && dtype !== 'I16')) return undefined
  return numbers({ path: source.path, offset: source.offset, dtype, shape })
}

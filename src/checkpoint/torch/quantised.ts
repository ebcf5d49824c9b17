import { RandomAccessFile } from '../../bytes/file.ts'
import type { ByteSource } from '../types.ts'
import type { Value } from './values.ts'

/** Storages of quantised elements, as they lie in the file. Sub-byte types have no reader. */
export const QUANTISED_STORAGES: Record<string, 'I8' | 'U8'> = { QInt8Storage: 'I8', QUInt8Storage: 'U8' }

/** A quantised tensor's bytes. */
interface Quantised {
  readonly dtype: 'I8' | 'U8'
  readonly at: ByteSource
  readonly shape: readonly number[]
  readonly strides: readonly number[]
}

/** What the codec `torch-quantised` needs to know: value = (stored - zeroPoint) · scale. */
export interface QuantisedParameters {
  readonly offset: number
  readonly bytes: number
  readonly signed: boolean
  /** One of each, or one for each index along a dimension: element i has the index `⌊i / stride⌋ mod scales.length`. */
  readonly scales: readonly number[]
  readonly zeroPoints: readonly number[]
  readonly stride: number
}

const PIECE = 64 * 1024

/**
 * Where the numbers of a quantised tensor come from, or the reason why they can't be read. Per-tensor and per-channel affine
 * schemes: torch/_utils.py, `_rebuild_qtensor`.
 */
export async function describeQuantised(
  { dtype, at, shape, strides }: Quantised,
  scheme: Value | undefined,
  readList: (list: Value) => Promise<number[] | undefined>,
): Promise<ByteSource | string> {
  const [kind, scale, zero, axis] = Array.isArray(scheme) ? scheme : []
  const name = String(kind).slice(0, 100)
  const perChannel = /^torch\.per_channel_affine(_float_qparams)?$/.test(name)
  if (name !== 'torch.per_tensor_affine' && !perChannel) return `is quantised by the scheme ${name}`
  const scales = await readList(perChannel ? scale : [scale])
  const zeroPoints = await readList(perChannel ? zero : [zero])
  const channels = perChannel ? shape[axis as number] : 1
  if (!scales?.every(Number.isFinite) || !zeroPoints?.every(Number.isFinite))
    return 'is quantised without finite scales'
  if (scales.length !== channels || zeroPoints.length !== channels) {
    return `is quantised with ${scales.length} scales and ${zeroPoints.length} zero points for ${channels} channels`
  }
  if (at.kind !== 'file') return 'is quantised within a compressed file: pack that again without compression'
  if (perChannel && !isDense(shape, strides)) return 'is a quantised view with gaps: save its dequantize() instead'
  const bytes = shape.reduce((last, n, d) => last + (n - 1) * strides[d], 1)
  const stride = perChannel ? Math.max(1, strides[axis as number]) : 1
  const parameters: QuantisedParameters = {
    ...{ offset: at.offset, bytes: shape.includes(0) ? 0 : bytes, signed: dtype === 'I8' },
    ...{ scales, zeroPoints, stride },
  }
  return { kind: 'packed', path: at.path, codec: 'torch-quantised', parameters, strides }
}

/** The F32 values of a quantised tensor, in the order of its bytes. */
export async function* torchQuantised(
  path: string,
  { offset, bytes, signed, scales, zeroPoints, stride }: QuantisedParameters,
): AsyncGenerator<Uint8Array> {
  const file = await RandomAccessFile.open(path)
  try {
    for (let from = 0; from < bytes; from += PIECE) {
      const raw = await file.read(offset + from, Math.min(PIECE, bytes - from))
      const values = new Float32Array(raw.length)
      for (let i = 0; i < raw.length; i++) {
        const channel = Math.floor((from + i) / stride) % scales.length
        values[i] = ((signed ? raw.readInt8(i) : raw[i]) - zeroPoints[channel]) * scales[channel]
      }
      yield new Uint8Array(values.buffer)
    }
  } finally {
    await file.close()
  }
}

/** Whether the elements fill their range without gaps, in whatever order of dimensions. */
function isDense(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1
  const order = shape.map((_, d) => d).filter(d => shape[d] !== 1)
  for (const d of order.sort((a, b) => strides[a] - strides[b])) {
    if (strides[d] !== expected) return false
    expected *= shape[d]
  }
  return true
}

import type { ByteSource } from '../types.ts'
import type { QuantisedParameters } from './affine.ts'
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

/**
 * Where the numbers of a quantised tensor come from, or the reason why they can't be read. Per-tensor and per-channel affine
 * schemes: torch/_utils.py, `_rebuild_qtensor`.
 */
export async function describeQuantised(
  { dtype, at, shape, strides }: Quantised,
  scheme: Value | undefined,
  readList: (list: Value, length: number) => Promise<number[] | undefined>,
): Promise<ByteSource | string> {
  const [kind, scale, zero, axis] = Array.isArray(scheme) ? scheme : []
  const name = String(kind).slice(0, 100)
  const perChannel = /^torch\.per_channel_affine(_float_qparams)?$/.test(name)
  if (name !== 'torch.per_tensor_affine' && !perChannel) return `is quantised by the scheme ${name}`
  const channels = perChannel ? shape[axis as number] : 1
  if (perChannel && !isDense(shape, strides)) return 'is a quantised view with gaps: save its dequantize() instead'
  const scales = await readList(perChannel ? scale : [scale], channels)
  const zeroPoints = await readList(perChannel ? zero : [zero], channels)
  if (!scales?.every(Number.isFinite) || !zeroPoints?.every(Number.isFinite))
    return 'is quantised without finite scales'
  if (scales.length !== channels || zeroPoints.length !== channels) {
    return `is quantised with ${scales.length} scales and ${zeroPoints.length} zero points for ${channels} channels`
  }
  if (at.kind !== 'file') return 'is quantised within a compressed file: pack that again without compression'
  const bytes = shape.reduce((last, n, d) => last + (n - 1) * strides[d], 1)
  const stride = perChannel ? Math.max(1, strides[axis as number]) : 1
  const parameters: QuantisedParameters = {
    ...{ offset: at.offset, bytes: shape.includes(0) ? 0 : bytes, signed: dtype === 'I8' },
    ...{ scales, zeroPoints, stride },
  }
  return { kind: 'packed', path: at.path, codec: 'torch-quantised', parameters, strides }
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

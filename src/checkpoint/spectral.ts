import { piecesOf } from './pieces.ts'
import { numbers } from './quantised/codec.ts'
import { contiguous, type FloatDType, isFloat, size, type Tensor } from './types.ts'
import { widen } from './widen.ts'

/** Keys of what spectral_norm keeps of a weight, with what follows their common beginning: the weight, u and v. */
const KINDS = [
  ['_orig', '_u', '_v'],
  ['.original', '.0._u', '.0._v'],
] as const
/** Of ‖Wv‖ the part that uᵀWv is, at the least, where u and v were iterated on W: 1 but for the last step of the training. */
const ITERATED = 0.9
const PIECE = 1024 * 1024

/**
 * Marks weights of spectral_norm whose matrix has the second dimension first, as that of a transposed convolution, where the lengths
 * do not tell: with as many inputs as outputs. u and v tell, which are iterated until Wv is σu: all of it is read.
 * Source: torch/nn/utils/spectral_norm.py (`dim`).
 */
export async function markSpectral(tensors: readonly Tensor[]): Promise<Tensor[]> {
  const all = new Map(tensors.map(tensor => [tensor.name, tensor]))
  const marked: Tensor[] = []
  for (const tensor of tensors) {
    const parts = isSquare(tensor) ? partsOf(tensor, all) : undefined
    marked.push(parts && (await isSecond(tensor, parts)) ? { ...tensor, uAxis: 1 } : tensor)
  }
  return marked
}

function isSquare(tensor: Tensor): boolean {
  const { shape, source } = tensor
  const isOrdered = source.strides.join() === contiguous(shape).join()
  return isPlain(tensor) && isOrdered && shape.length > 2 && shape[0] === shape[1]
}

function isPlain({ dtype, source, skip, broken }: Tensor): boolean {
  return (
    isFloat(dtype) && source.kind === 'file' && source.fd === undefined && skip === undefined && broken === undefined
  )
}

function partsOf({ name, shape }: Tensor, all: ReadonlyMap<string, Tensor>): readonly [Tensor, Tensor] | undefined {
  for (const [weight, ...ends] of KINDS) {
    if (!name.endsWith(weight)) continue
    const [u, v] = ends.map(end => all.get(name.slice(0, -weight.length) + end))
    const fits = u && v && size(u.shape) === shape[0] && size(v.shape) === size(shape) / shape[0]
    if (fits && isPlain(u) && isPlain(v)) return [u, v]
  }
  return undefined
}

/** Whether Wv is along u where the rows of W are along its second dimension, and not where they are along its first. */
async function isSecond(tensor: Tensor, parts: readonly [Tensor, Tensor]): Promise<boolean> {
  const [u, v] = await Promise.all(parts.map(valuesOf))
  const [rows, columns, ...kernel] = tensor.shape
  const k = size(kernel)
  const [first, second] = [new Float64Array(rows), new Float64Array(rows)]
  let i = 0
  for await (const bytes of piecesOf(tensor, PIECE)) {
    for (const value of widen(tensor.dtype as FloatDType, bytes)) {
      const [row, column, place] = [Math.floor(i / (columns * k)), Math.floor(i / k) % columns, i % k]
      first[row] += v[column * k + place] * value
      second[column] += v[row * k + place] * value
      i++
    }
  }
  return isAlong(second, u) && !isAlong(first, u)
}

function isAlong(product: Float64Array, u: Float64Array): boolean {
  const along = product.reduce((sum, value, i) => sum + value * u[i], 0)
  return Math.abs(along) > ITERATED * Math.hypot(...product)
}

async function valuesOf({ dtype, shape, source }: Tensor): Promise<Float64Array> {
  return source.kind === 'file'
    ? numbers({ path: source.path, offset: source.offset, dtype, shape })
    : new Float64Array(0)
}

import { DTYPE_BITS, size, type Tensor } from '../checkpoint/types.ts'
import { limits } from '../limits.ts'
import { operands, shapeOf, tensorsOf, type Values, viewOf } from './values.ts'

/**
 * What to compute for a layer, as plain data: values, and how matrices are read from them.
 * - `matrix`: 2-D values as they are.
 * - `kernel-slices`: 4-D values (out, in, kh, kw) as kh·kw matrices W[:, :, i, j], in row-major order of (i, j).
 * - `operator`: 4-D values as the linear operator that the convolution is on a grid×grid image with periodic boundary. It falls into
 *   one complex out×in matrix for each frequency of the image, Σ W[:, :, i, j]·exp(−2πι(ui + vj)/grid). A kernel of one or three
 *   dimensions lies in them flattened, and its image has as many.
 */
export interface Recipe {
  readonly read: 'matrix' | 'kernel-slices' | 'operator'
  readonly values: Values
  /** Of an operator: the side of the image, and those of the kernel where they are not the last two of the values. */
  readonly grid?: number
  readonly kernel?: readonly number[]
}

/** A matrix with k rows and n columns, n ≤ k, that has the non-zero singular values of one of a recipe's, and how many zeros it lacks. */
export interface MatrixShape {
  readonly k: number
  readonly n: number
  readonly zeros: number
  /** It has each of them twice. */
  readonly paired?: true
  /** How many such matrices there are, all the same. */
  readonly copies?: number
}

/**
 * A frequency of an image, (u, v) of one of two dimensions, and whether its matrix is real: where it is not, −(u, v) has the conjugate
 * one, of the same singular values.
 */
export interface Frequency {
  readonly at: readonly number[]
  readonly real: boolean
}

/** Of each pair of opposite frequencies of an image with sides of `grid` one, the first in row-major order. */
export function frequenciesOf(grid: number, dimensions: number): Frequency[] {
  const points = size(Array.from({ length: dimensions }, () => grid))
  const found: Frequency[] = []
  for (let point = 0; point < points; point++) {
    const at = indicesOf(point, dimensions, grid)
    const opposite = at.reduce((index, u) => index * grid + ((grid - u) % grid), 0)
    if (point <= opposite) found.push({ at, real: point === opposite })
  }
  return found
}

function indicesOf(point: number, dimensions: number, grid: number): number[] {
  const indices: number[] = []
  for (let rest = point; indices.length < dimensions; rest = Math.floor(rest / grid)) indices.unshift(rest % grid)
  return indices
}

/** Sides of an operator's kernel: (kh, kw), or those of one or three dimensions. */
export function kernelOf({ values, kernel }: Recipe): readonly number[] {
  return kernel ?? shapeOf(values).slice(2)
}

/** The matrices whose singular values a recipe asks for, in order. */
export function matricesOf(recipe: Recipe): MatrixShape[] {
  const { read, values, grid = 1 } = recipe
  const [rows, columns, height = 1, width = 1] = shapeOf(values)
  const [k, n] = rows >= columns ? [rows, columns] : [columns, rows]
  if (read === 'operator') {
    // Of a 1×1 kernel all matrices are the same; a complex one as a real one of twice the sides has each singular value twice.
    const dimensions = kernelOf(recipe).length
    if (height * width === 1) return [{ k, n, zeros: 0, copies: size(Array.from({ length: dimensions }, () => grid)) }]
    return frequenciesOf(grid, dimensions).map(({ real }) =>
      real ? { k, n, zeros: 0 } : { k: 2 * k, n: 2 * n, zeros: 0, paired: true },
    )
  }
  const rank = innerDimension(values)
  if (read === 'matrix' && rank < n) return [{ k: rank, n: rank, zeros: n - rank }]
  return Array.from({ length: read === 'matrix' ? 1 : height * width }, () => ({ k, n, zeros: 0 }))
}

/** The inner dimension of a product of two factors; infinite for all else. */
function innerDimension(values: Values): number {
  return values.op === 'product' ? shapeOf(values.left)[1] : Number.POSITIVE_INFINITY
}

/** Multiply-adds that a recipe's eigenvalues take, about: the values, the Gram matrices and their reduction. */
export function cost(recipe: Recipe): number {
  const reduction = matricesOf(recipe).reduce((sum, { k, n }) => sum + n * n * (k + 1.6 * n), 0)
  return reduction + (viewOf(recipe.values) ? 0 : evaluationCost(recipe.values))
}

/** The same measure for a pass over a tensor: a byte is hashed in the time of about five. */
export function scanCost({ shape, dtype }: Tensor): number {
  return (5 * size(shape) * DTYPE_BITS[dtype]) / 8
}

/** The same measure for the values: about ten for each element of each step, and the multiplications of the products. */
export function evaluationCost(values: Values): number {
  const own = 10 * size(shapeOf(values)) * (values.op === 'product' ? shapeOf(values.left)[1] / 10 : 1)
  return operands(values).reduce((sum, operand) => sum + evaluationCost(operand), own)
}

/**
 * Bytes that evaluating values block by block holds at the most, beside the blocks themselves: what is not had in blocks.
 * @param block elements of one block
 */
export function evaluationMemory(values: Values, block: number): number {
  if (viewOf(values)) return 2 * 8 * block
  if (values.op === 'shuffle') {
    const together = shuffledTogether(shapeOf(values))
    return 8 * block + 8 * together + evaluationMemory(values.of, viewOf(values.of) ? block : together)
  }
  const inner = operands(values).reduce((sum, operand) => sum + evaluationMemory(operand, block), 8 * block)
  switch (values.op) {
    case 'reshape':
      return inner + 8 * size(values.shape)
    case 'product':
      return inner + 8 * (size(shapeOf(values.left)) + size(shapeOf(values.right)))
    default:
      return inner
  }
}

/** Elements that are shuffled at once: of all of an array's matrices, or of as many as fit. */
export function shuffledTogether([rows, columns, ...kernel]: readonly number[]): number {
  const matrices = Math.floor(limits.spectrum.shuffledBytes / (8 * rows * columns))
  return rows * columns * Math.max(1, Math.min(matrices, size(kernel)))
}

/** What a recipe's spectrum follows from, but for the stored bytes: equal for equal steps on tensors of equal type and layout. */
export function identityOf({ read, values, grid, kernel }: Recipe): readonly unknown[] {
  if (read === 'operator') return [read, grid, ...(kernel ? [kernel] : []), describe(values, tensorsOf(values))]
  const view = viewOf(values)
  if (!view) return [read, describe(values, tensorsOf(values))]
  const { tensor, shape, offset, strides } = view
  return [read, tensor.dtype, shape, strides, ...(offset === 0 ? [] : [offset])]
}

function describe(values: Values, tensors: readonly Tensor[]): unknown {
  const inner = operands(values).map(operand => describe(operand, tensors))
  switch (values.op) {
    case 'tensor': {
      const { dtype, shape, source } = values.tensor
      return [tensors.indexOf(values.tensor), dtype, shape, source.strides]
    }
    case 'slice':
      return [values.op, values.start, values.shape, inner]
    case 'permute':
      return [values.op, values.axes, inner]
    case 'reshape':
      return [values.op, values.shape, inner]
    case 'sum':
      return [values.op, values.terms.map(({ factor }) => factor), inner]
    case 'scale':
      return [values.op, values.inverse, inner]
    case 'norm':
      return [values.op, values.axis, inner]
    case 'product':
      return [values.op, values.factor, inner]
    case 'concat':
      return [values.op, values.axis, inner]
    case 'shuffle':
      return [values.op, values.replica, inner]
  }
}

import { createHash } from 'node:crypto'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator'
import { contiguous, DTYPE_BITS, type FloatDType, type MaskDType, size, type Tensor } from '../checkpoint/types.ts'
import { widen } from '../checkpoint/widen.ts'
import { limits } from '../limits.ts'
import { shuffledTogether } from '../recipe/recipe.ts'
import { extentOf, reshape, type StridedView, shapeOf, tensorsOf, type Values, viewOf } from '../recipe/values.ts'
import { TensorStream } from './stream.ts'

/** A view is read at once where the file has at most this many elements for each that is wanted. */
const WASTE = 4
/** So many are read at once whatever is wanted of them: another read takes longer. */
const NEAR = 4096

/** Computes blocks of values, in doubles, from the stored bytes of their tensors. */
export class Evaluator {
  readonly #streams: ReadonlyMap<Tensor, TensorStream>
  readonly #norms = new Map<Values, Float64Array>()
  readonly #shuffled = new Map<Values, Shuffled>()

  private constructor(streams: ReadonlyMap<Tensor, TensorStream>) {
    this.#streams = streams
  }

  /** @throws CheckpointError as TensorStream does */
  static async open(values: Values): Promise<Evaluator> {
    const streams = new Map<Tensor, TensorStream>()
    try {
      for (const tensor of tensorsOf(values)) streams.set(tensor, await TensorStream.open(tensor))
    } catch (error) {
      closeAll(streams)
      throw error
    }
    return new Evaluator(streams)
  }

  async close(): Promise<void> {
    closeAll(this.#streams)
  }

  /**
   * The block of `shape` that begins at the indices `start`, row-major.
   * @throws CheckpointError where a file ends early
   */
  block(values: Values, start: readonly number[], shape: readonly number[]): Float64Array {
    const view = viewOf(values)
    if (view) return this.#read(view, start, shape)
    switch (values.op) {
      case 'tensor':
        throw new Error('a tensor is a view')
      case 'slice':
        return this.block(
          values.of,
          values.start.map((at, d) => at + start[d]),
          shape,
        )
      case 'permute': {
        const { axes, of } = values
        const inner = <T>(list: readonly T[]) => axes.map((_, d) => list[axes.indexOf(d)])
        const block = this.block(of, inner(start), inner(shape))
        const strides = contiguous(inner(shape))
        return gather(
          block,
          shape,
          axes.map(axis => strides[axis]),
        )
      }
      case 'reshape':
        return this.#reshaped(values.of, values.shape, start, shape)
      case 'sum': {
        const total = new Float64Array(size(shape))
        for (const { of, factor } of values.terms) {
          const term = this.block(of, start, shape)
          for (let i = 0; i < total.length; i++) total[i] += factor * term[i]
        }
        return total
      }
      case 'scale': {
        const factors = shapeOf(values.by)
        const block = this.block(values.of, start, shape)
        const byShape = shape.map((n, d) => (factors[d] === 1 ? 1 : n))
        const by = this.block(
          values.by,
          start.map((at, d) => (factors[d] === 1 ? 0 : at)),
          byShape,
        )
        const strides = contiguous(byShape).map((stride, d) => (byShape[d] === 1 ? 0 : stride))
        const repeated = gather(by, shape, strides)
        for (let i = 0; i < block.length; i++)
          block[i] = values.inverse ? block[i] / repeated[i] : block[i] * repeated[i]
        return block
      }
      case 'norm': {
        const norms = this.#normsOf(values)
        return values.axis < 0
          ? norms.slice()
          : norms.slice(start[values.axis], start[values.axis] + shape[values.axis])
      }
      case 'product': {
        const inner = shapeOf(values.left)[1]
        const left = this.block(values.left, [start[0], 0], [shape[0], inner])
        const right = this.block(values.right, [0, start[1]], [inner, shape[1]])
        return multiply(left, right, shape[0], inner, shape[1], values.factor)
      }
      case 'concat': {
        const block = new Float64Array(size(shape))
        const strides = contiguous(shape)
        let first = 0
        for (const part of values.parts) {
          const { axis } = values
          const length = shapeOf(part)[axis]
          const from = Math.max(start[axis], first)
          const count = Math.min(start[axis] + shape[axis], first + length) - from
          if (count > 0) {
            const own = shape.map((n, d) => (d === axis ? count : n))
            const piece = this.block(
              part,
              start.map((at, d) => (d === axis ? from - first : at)),
              own,
            )
            scatter(piece, contiguous(own), block, (from - start[axis]) * strides[axis], strides, own)
          }
          first += length
        }
        return block
      }
      case 'shuffle':
        return this.#shuffledBlock(values, start, shape)
    }
  }

  /** All of the values. */
  whole(values: Values): Float64Array {
    const shape = shapeOf(values)
    return this.block(
      values,
      shape.map(() => 0),
      shape,
    )
  }

  #read(view: StridedView, start: readonly number[], shape: readonly number[]): Float64Array {
    const { tensor, strides } = view
    const stream = this.#streams.get(tensor)!
    const result = new Float64Array(size(shape))
    const to = contiguous(shape)
    // Where the elements lie far apart, each index of the dimension with the longest stride by itself.
    const fill = (from: number, at: number, shape: readonly number[]) => {
      const extent = extentOf(shape, strides)
      const longest = shape.reduce((most, n, d) => (n > 1 && (most < 0 || strides[d] > strides[most]) ? d : most), -1)
      const wanted = size(shape)
      if (longest >= 0 && extent > NEAR && (extent > WASTE * wanted || extent > limits.spectrum.chunkBytes / 8)) {
        const one = shape.map((n, d) => (d === longest ? 1 : n))
        for (let i = 0; i < shape[longest]; i++) fill(from + i * strides[longest], at + i * to[longest], one)
        return
      }
      const bytes = new Uint8Array((extent * DTYPE_BITS[tensor.dtype]) / 8)
      stream.read(bytes, 0, from, extent)
      scatter(widen(tensor.dtype as FloatDType | MaskDType, bytes), strides, result, at, to, shape)
    }
    fill(
      start.reduce((from, index, d) => from + index * strides[d], view.offset),
      0,
      shape,
    )
    return result
  }

  #reshaped(of: Values, outer: readonly number[], start: readonly number[], shape: readonly number[]): Float64Array {
    const strides = contiguous(outer)
    const first = start.reduce((at, index, d) => at + index * strides[d], 0)
    const last = first + extentOf(shape, strides) - 1
    const [rows, ...rest] = shapeOf(of)
    const row = size(rest)
    const from = Math.floor(first / row)
    const count = Math.min(rows, Math.floor(last / row) + 1) - from
    const block = this.block(of, [from, ...rest.map(() => 0)], [count, ...rest])
    return gather(block.subarray(first - from * row), shape, strides)
  }

  #shuffledBlock(
    values: Values & { readonly op: 'shuffle' },
    start: readonly number[],
    shape: readonly number[],
  ): Float64Array {
    const [rows, columns, ...kernel] = shapeOf(values)
    const slices = size(kernel)
    if (shuffledTogether(shapeOf(values)) === rows * columns * slices) {
      const { elements } = this.#shuffle(values, -1, () => {
        const elements = this.whole(values.of)
        for (let slice = 0; slice < slices; slice++)
          permuteEach(elements, slice, slices, order(rows, columns, slice, values.replica))
        return elements
      })
      const strides = contiguous(shapeOf(values))
      return gather(elements.subarray(start.reduce((at, index, d) => at + index * strides[d], 0)), shape, strides)
    }
    const result = new Float64Array(size(shape))
    const [startOfSlice, sliceShape] = [start.slice(2), shape.slice(2)]
    const [sliceStrides, kernelStrides] = [contiguous(sliceShape), contiguous(kernel)]
    const step = size(sliceShape)
    // Matrices that lie among each other are read together, where they can be counted through as they are stored.
    const flat = reshape(values.of, [rows, columns, slices])
    const most = viewOf(flat) ? shuffledTogether(shapeOf(values)) / (rows * columns) : 1
    for (let at = 0; at < step; at++) {
      const index = sliceShape.map((n, d) => startOfSlice[d] + (Math.floor(at / sliceStrides[d]) % n))
      const slice = index.reduce((sum, i, d) => sum + i * kernelStrides[d], 0)
      const first = slice - (slice % most)
      const together = Math.min(most, slices - first)
      const { elements } = this.#shuffle(values, first, () => {
        const elements =
          most === 1
            ? this.block(values.of, [0, 0, ...index], [rows, columns, ...index.map(() => 1)])
            : this.block(flat, [0, 0, first], [rows, columns, together])
        for (let i = 0; i < together; i++)
          permuteEach(elements, i, together, order(rows, columns, first + i, values.replica))
        return elements
      })
      const from = elements.subarray((start[0] * columns + start[1]) * together + slice - first)
      scatter(from, [columns * together, together], result, at, [shape[1] * step, step], [shape[0], shape[1]])
    }
    return result
  }

  /** What has been shuffled last is kept: blocks of it are asked for one after another. */
  #shuffle(values: Values, slice: number, elements: () => Float64Array): Shuffled {
    const known = this.#shuffled.get(values)
    if (known?.slice === slice) return known
    this.#shuffled.delete(values)
    const shuffled = { slice, elements: elements() }
    this.#shuffled.set(values, shuffled)
    return shuffled
  }

  /** √Σx² along an axis, a few rows at a time; scaled, so that no square overflows. */
  #normsOf(values: Values & { readonly op: 'norm' }): Float64Array {
    const known = this.#norms.get(values)
    if (known) return known
    const { of, axis } = values
    const shape = shapeOf(of)
    const norms = new Float64Array(axis < 0 ? 1 : shape[axis])
    const [rows, ...rest] = shape
    const step = Math.max(1, Math.floor(limits.spectrum.chunkBytes / 8 / size(rest)))
    for (let row = 0; row < rows; row += step) {
      const part = [Math.min(step, rows - row), ...rest]
      const block = this.block(of, [row, ...rest.map(() => 0)], part)
      const stride = axis < 0 ? 0 : contiguous(part)[axis]
      for (const [i, value] of block.entries()) {
        const at = axis < 0 ? 0 : (axis === 0 ? row : 0) + (Math.floor(i / stride) % part[axis])
        norms[at] += value * value
      }
    }
    const roots = norms.map(Math.sqrt)
    this.#norms.set(values, roots)
    return roots
  }
}

interface Shuffled {
  /** The first of those that were shuffled together; −1 for all. */
  readonly slice: number
  readonly elements: Float64Array
}

/** Random numbers for the order of one matrix's elements, the same in every run. */
function order(rows: number, columns: number, slice: number, replica: number): RandomGenerator {
  const seed = createHash('sha256')
    .update(JSON.stringify([rows, columns, slice, replica]))
    .digest()
  return xoroshiro128plus(seed.readInt32LE())
}

/** Puts every step-th element from the first on in a random order (Fisher and Yates; Knuth, TAOCP 3.4.2, algorithm P). */
function permuteEach(elements: Float64Array, first: number, step: number, random: RandomGenerator): void {
  for (let i = Math.floor((elements.length - 1 - first) / step); i > 0; i--) {
    const [a, b] = [first + i * step, first + uniformInt(random, 0, i) * step]
    const value = elements[a]
    elements[a] = elements[b]
    elements[b] = value
  }
}

/** The elements of a strided array, row-major. */
function gather(from: Float64Array, shape: readonly number[], strides: readonly number[]): Float64Array {
  const result = new Float64Array(size(shape))
  scatter(from, strides, result, 0, contiguous(shape), shape)
  return result
}

/** An innermost loop that is shorter takes more time than its elements. */
const SHORT = 16

function longestOf(axes: readonly number[], shape: readonly number[]): number {
  return axes.reduce((most, axis, at) => (shape[axis] > shape[axes[most]] ? at : most), 0)
}

/** Copies an array from one layout into another. */
function scatter(
  from: Float64Array,
  fromStrides: readonly number[],
  to: Float64Array,
  at: number,
  toStrides: readonly number[],
  shape: readonly number[],
): void {
  // Of a kernel slice the last two are of length 1, or short: a call for each element would be most of the time.
  const long = shape.map((_, d) => d).filter(d => shape[d] !== 1)
  const last = long.length - 1
  if (last > 0 && shape[long[last]] < SHORT) long.push(...long.splice(longestOf(long, shape), 1))
  const copy = (d: number, source: number, target: number) => {
    const axis = long[d]
    const [n, sourceStride, targetStride] = [shape[axis], fromStrides[axis], toStrides[axis]]
    if (d < last) {
      for (let i = 0; i < n; i++) copy(d + 1, source + i * sourceStride, target + i * targetStride)
    } else {
      for (let i = 0; i < n; i++) to[target + i * targetStride] = from[source + i * sourceStride]
    }
  }
  if (last < 0) to[at] = from[0]
  else copy(0, 0, at)
}

/** Sums run over the inner dimension in order, whatever is added at once. */
function multiply(
  left: Float64Array,
  right: Float64Array,
  rows: number,
  inner: number,
  columns: number,
  factor: number,
): Float64Array {
  const result = new Float64Array(rows * columns)
  const rights = Array.from({ length: inner }, (_, k) => right.subarray(k * columns, (k + 1) * columns))
  for (let i = 0; i < rows; i++) {
    const row = result.subarray(i * columns, (i + 1) * columns)
    const value = (k: number) => factor * left[i * inner + k]
    let k = 0
    for (; k + 4 <= inner; k += 4)
      addFour(row, rights.slice(k, k + 4), [value(k), value(k + 1), value(k + 2), value(k + 3)])
    for (; k < inner; k++) addOne(row, rights[k], value(k))
  }
  return result
}

function addOne(row: Float64Array, right: Float64Array, value: number): void {
  for (let j = 0; j < row.length; j++) row[j] += value * right[j]
}

/** A third of the time of four by themselves: each element is read and written once. */
function addFour(row: Float64Array, [a, b, c, d]: readonly Float64Array[], [p, q, r, s]: readonly number[]): void {
  for (let j = 0; j < row.length; j++) row[j] = row[j] + p * a[j] + q * b[j] + r * c[j] + s * d[j]
}

function closeAll(streams: ReadonlyMap<Tensor, TensorStream>): void {
  for (const stream of streams.values()) stream.close()
}

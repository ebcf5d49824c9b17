import { readSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { DTYPE_BITS, type FileSource, type Tensor } from '../checkpoint/types.ts'
import { CheckpointError } from '../errors.ts'
import { limits } from '../limits.ts'
import { openTensor, stored } from './spool.ts'

/**
 * One matrix A (k×n) inside a tensor, n ≤ k: element (p, i) lies `offset + p·pStride + i·iStride` elements after the tensor's
 * first. Wide matrices are read as their transpose, so that AᵀA is always the smaller Gram matrix.
 */
export interface MatrixView {
  readonly k: number
  readonly n: number
  readonly offset: number
  readonly pStride: number
  readonly iStride: number
}

/** A part of a view's rows in the window: element (p, i) lies `base + p·pStride + i·iStride` elements after its begin. */
export interface Chunk {
  readonly k: number
  readonly base: number
  readonly pStride: number
  readonly iStride: number
}

/** The matrices of a tensor: itself, or the kernel slices W[:, :, i, j] in row-major order of (i, j). */
export function matrixViews({ shape, source: { strides } }: Tensor): MatrixView[] {
  const [rows, columns, height = 1, width = 1] = shape
  const [rowStride, columnStride, heightStride = 0, widthStride = 0] = strides
  const tall = rows >= columns
  return Array.from({ length: height * width }, (_, slice) => ({
    k: tall ? rows : columns,
    n: tall ? columns : rows,
    offset: Math.floor(slice / width) * heightStride + (slice % width) * widthStride,
    pStride: tall ? rowStride : columnStride,
    iStride: tall ? columnStride : rowStride,
  }))
}

/**
 * Bytes of window that a tensor's matrices need: all of it where it is small, else at least `multiple` rows.
 */
export function windowBytes(tensor: Tensor, multiple: number): number {
  const bytes = DTYPE_BITS[tensor.dtype] / 8
  const whole = stored(tensor.shape, tensor.source.strides) * bytes
  if (whole <= limits.chunk) return whole
  const [view] = matrixViews(tensor)
  return Math.max(limits.chunk, elements(view, Math.min(multiple, view.k)) * bytes)
}

/** Elements that so many rows of a view take in the window: with what lies between them, or gathered column by column. */
function elements({ n, pStride, iStride }: MatrixView, rows: number): number {
  const run = (rows - 1) * pStride + 1
  return pStride >= iStride ? run + (n - 1) * iStride : n * run
}

/**
 * Reads a tensor's matrices in chunks of rows, from the file straight into a window that the caller gives. A tensor that fits into
 * the window is read once for all of its matrices.
 */
export class TensorStream {
  readonly #name: string
  readonly #bytes: number
  readonly #file: FileHandle
  readonly #source: FileSource
  /** Elements from the first to the last that the tensor covers in the file. */
  readonly #extent: number
  #resident: { readonly buffer: ArrayBufferLike; readonly byteOffset: number } | undefined

  private constructor(tensor: Tensor, file: FileHandle, source: FileSource) {
    this.#name = tensor.name
    this.#bytes = DTYPE_BITS[tensor.dtype] / 8
    this.#file = file
    this.#source = source
    this.#extent = stored(tensor.shape, source.strides)
  }

  static async open(tensor: Tensor): Promise<TensorStream> {
    const { file, source } = await openTensor(tensor)
    return new TensorStream(tensor, file, source)
  }

  /**
   * The chunks of one matrix, in order.
   * @param multiple rows of every chunk but the last are a multiple of it
   */
  *chunks(view: MatrixView, window: Uint8Array, multiple: number): Generator<Chunk> {
    const { k, n, offset, pStride, iStride } = view
    if (this.#extent * this.#bytes <= window.length) {
      if (this.#resident?.buffer !== window.buffer || this.#resident.byteOffset !== window.byteOffset) {
        this.#read(window, 0, 0, this.#extent)
        this.#resident = { buffer: window.buffer, byteOffset: window.byteOffset }
      }
      yield { k, base: offset, pStride, iStride }
      return
    }
    const room = Math.floor(window.length / this.#bytes)
    let step = multiple
    while (step < k && elements(view, 2 * step) <= room) step *= 2
    // Whole rows where they lie far apart, pieces of columns where they are interleaved.
    const byRows = pStride >= iStride
    for (let p = 0; p < k; p += step) {
      const rows = Math.min(step, k - p)
      const run = (rows - 1) * pStride + 1
      const from = offset + p * pStride
      if (byRows) this.#read(window, 0, from, run + (n - 1) * iStride)
      else for (let i = 0; i < n; i++) this.#read(window, i * run, from + i * iStride, run)
      yield { k: rows, base: 0, pStride, iStride: byRows ? iStride : run }
    }
  }

  /** All stored bytes that the tensor covers, whole elements, in the order of the file. */
  *bytes(): Generator<Uint8Array> {
    const step = limits.chunk / 8
    const buffer = new Uint8Array(Math.min(step, this.#extent) * this.#bytes)
    for (let from = 0; from < this.#extent; from += step) {
      const count = Math.min(step, this.#extent - from)
      this.#read(buffer, 0, from, count)
      yield buffer.subarray(0, count * this.#bytes)
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  /** Fills the window from element `at` on with `count` elements of the tensor from element `from` on. */
  #read(window: Uint8Array, at: number, from: number, count: number): void {
    const { path, offset } = this.#source
    const end = (at + count) * this.#bytes
    const position = offset + (from - at) * this.#bytes
    for (let done = at * this.#bytes; done < end; ) {
      const read = readSync(this.#file.fd, window, done, end - done, position + done)
      if (read === 0)
        throw new CheckpointError(path, `ends in the middle of tensor ${JSON.stringify(this.#name.slice(0, 200))}`)
      done += read
    }
  }
}

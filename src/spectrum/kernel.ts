import { DTYPE_BITS, FLOATS, type FloatDType } from '../checkpoint/types.ts'

declare global {
  // The types of Node lack it.
  namespace WebAssembly {
    function instantiate(bytes: Uint8Array<ArrayBuffer>): Promise<{ instance: { exports: unknown } }>
  }
}

/** The functions of kernel/index.ts. Addresses and sizes are numbers of bytes and elements in the linear memory. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  heapBase(): number
  pack(dtype: number, source: number, pStride: number, iStride: number, k: number, n: number, panels: number): number
  gram(panels: number, groups: number, k: number, c: number, ld: number): void
  gramTimes(a: number, wide: boolean, k: number, n: number, v: number, r: number): void
  scale(a: number, ld: number, n: number): number
  bandWork(n: number, b: number): number
  bandStep(a: number, ld: number, n: number, b: number, j: number, work: number): void
  extractBand(a: number, ld: number, n: number, b: number, band: number): void
  chase(band: number, n: number, b: number, from: number, to: number, work: number): void
  extractTridiagonal(band: number, n: number, b: number, d: number, e: number): void
  tridiagonalise(a: number, ld: number, n: number, d: number, e: number, work: number): void
  eigenvalues(d: number, e: number, n: number): number
}

/** Rows of A that are packed at once. */
const DEPTH = 256
/** Orders up to which a matrix is tridiagonalised without a band in between, and up to which the narrow band pays. */
const DIRECT = 64
const NARROW = 1024
/** Sweeps of the chase in one call: V8 replaces a function by its optimised form at a call only. */
const SWEEPS = 64
const PAGE = 65_536
const DOUBLE = 8

/** Where things lie in the linear memory for one matrix: offsets in bytes. */
interface Layout {
  readonly n: number
  /** Bandwidth; 0 where there is no band. */
  readonly b: number
  /** n rounded up to what the blocks need. */
  readonly padded: number
  /** Doubles from column to column of the Gram matrix. */
  readonly ld: number
  readonly window: number
  readonly gram: number
  /** Packed panels, then the work space of the reduction, then the band. */
  readonly scratch: number
  readonly diagonal: number
  readonly offDiagonal: number
  readonly vectors: number
  readonly end: number
}

/** A matrix in the kernel's memory. */
export interface Held {
  /** Row-major, `stride` elements from row to row. */
  readonly elements: Float32Array | Float64Array
  readonly stride: number
  /** AᵀAx, a new array. */
  readonly times: (x: Float64Array) => Float64Array
}

/** Which stage of the kernel a time was spent in. */
export type Stage = 'gram' | 'band' | 'tridiagonal' | 'ql'

/**
 * All eigenvalues of AᵀA for one matrix after another, A streamed in chunks: `begin`, then `window` and `add` for each chunk, then
 * `eigenvalues`. One instance serves many matrices; its memory grows to what the largest needs.
 */
export class Kernel {
  /** Rows of every chunk but the last have to be a multiple of it: then the sums do not depend on how A is cut into chunks. */
  static readonly depth = DEPTH
  readonly #exports: Exports
  #layout: Layout | undefined
  /** Seconds by stage, where somebody wants to know. */
  readonly times: Record<Stage, number> = { gram: 0, band: 0, tridiagonal: 0, ql: 0 }

  private constructor(exports: Exports) {
    this.#exports = exports
  }

  /** @param wasm the compiled kernel */
  static async create(wasm: Uint8Array<ArrayBuffer>): Promise<Kernel> {
    const { instance } = await WebAssembly.instantiate(wasm)
    return new Kernel(instance.exports as Exports)
  }

  /** Bytes of memory that a matrix of order n takes with a window of so many bytes, about. */
  static memoryFor(n: number, windowBytes: number): number {
    return layOut(n, windowBytes, 0).end
  }

  /**
   * Starts a Gram matrix of order n.
   * @throws RangeError where the memory would not do
   */
  begin(n: number, windowBytes: number): void {
    const { memory, heapBase } = this.#exports
    const layout = layOut(n, windowBytes, heapBase())
    const missing = Math.ceil((layout.end - memory.buffer.byteLength) / PAGE)
    if (missing > 0) memory.grow(missing)
    this.#layout = layout
    this.#doubles(layout.gram, layout.padded * layout.ld).fill(0)
  }

  /** The raw bytes of the next chunk go here: a view of the linear memory, valid until the next `begin`. */
  window(bytes: number): Uint8Array {
    return new Uint8Array(this.#exports.memory.buffer, this.#current().window, bytes)
  }

  /**
   * C += AᵀA for a chunk of k rows that lies in the window: element (p, i) at element `base + p·pStride + i·iStride`.
   * @returns whether all of it is finite
   */
  add(dtype: FloatDType, base: number, k: number, pStride: number, iStride: number): boolean {
    const { n, ld, window, gram, scratch } = this.#current()
    const bytes = DTYPE_BITS[dtype] / 8
    const type = FLOATS.indexOf(dtype)
    const start = performance.now()
    let finite = true
    for (let p = 0; p < k && finite; p += DEPTH) {
      const depth = Math.min(DEPTH, k - p)
      const source = window + (base + p * pStride) * bytes
      finite = this.#exports.pack(type, source, pStride * bytes, iStride * bytes, depth, n, scratch) !== 0
      if (finite) this.#exports.gram(scratch, Math.ceil(n / 4), depth, gram, ld)
    }
    this.#spent('gram', start)
    return finite
  }

  /**
   * All n eigenvalues, ascending; what rounding made negative is 0. The Gram matrix is destroyed. Infinite where the squares of A's
   * elements exceed a double's range.
   * @param onWork told the share of the work done
   */
  eigenvalues(onWork: (share: number) => void = () => {}): Float64Array {
    const { n, b, padded, ld, gram, scratch, diagonal, offDiagonal, vectors } = this.#current()
    const kernel = this.#exports
    this.#layout = undefined
    const undo = kernel.scale(gram, ld, n)
    if (undo === 0) return new Float64Array(n)
    if (!Number.isFinite(undo)) return new Float64Array(n).fill(Number.POSITIVE_INFINITY)
    let start = performance.now()
    if (b === 0) {
      kernel.tridiagonalise(gram, ld, n, diagonal, offDiagonal, vectors)
      start = this.#spent('tridiagonal', start)
    } else {
      for (let j = 0; j + b < padded; j += b) {
        kernel.bandStep(gram, ld, padded, b, j, scratch)
        const left = 1 - (j + b) / padded
        onWork(0.85 * (1 - left * left * left))
      }
      start = this.#spent('band', start)
      kernel.extractBand(gram, ld, n, b, scratch)
      for (let j = 0; j + 1 < n; j += SWEEPS) kernel.chase(scratch, n, b, j, Math.min(n - 1, j + SWEEPS), vectors)
      kernel.extractTridiagonal(scratch, n, b, diagonal, offDiagonal)
      start = this.#spent('tridiagonal', start)
      onWork(0.95)
    }
    if (!kernel.eigenvalues(diagonal, offDiagonal, n)) throw new Error(`no convergence for order ${n}`)
    this.#spent('ql', start)
    onWork(1)
    return this.#doubles(diagonal, n)
      .map(value => (value > 0 ? undo * value : 0))
      .sort()
  }

  /**
   * Room for a matrix of k rows and n columns, in place of all else in the memory: zeros, to be filled before the next call of another
   * method, after which it is gone.
   * @param wide whether its elements are doubles; floats otherwise
   * @throws RangeError where the memory would not do
   */
  hold(k: number, n: number, wide: boolean): Held {
    const { memory, heapBase, gramTimes } = this.#exports
    const [rows, stride] = [roundUp(k, 4), roundUp(n, 4)]
    const start = roundUp(heapBase(), 64)
    const v = roundUp(start + rows * stride * (wide ? 8 : 4), 64)
    const result = v + stride * DOUBLE
    const missing = Math.ceil((result + stride * DOUBLE - memory.buffer.byteLength) / PAGE)
    if (missing > 0) memory.grow(missing)
    this.#layout = undefined
    const Elements = wide ? Float64Array : Float32Array
    const elements = new Elements(memory.buffer, start, rows * stride)
    elements.fill(0)
    const [input, output] = [this.#doubles(v, stride), this.#doubles(result, n)]
    input.fill(0)
    const times = (x: Float64Array) => {
      input.set(x)
      gramTimes(start, wide, rows, stride, v, result)
      return output.slice()
    }
    return { elements, stride, times }
  }

  /** Bytes that `hold` takes, about. */
  static heldBytes(k: number, n: number, wide: boolean): number {
    return roundUp(k, 4) * roundUp(n, 4) * (wide ? 8 : 4) + 4 * n * DOUBLE
  }

  #current(): Layout {
    if (!this.#layout) throw new Error('begin() comes first')
    return this.#layout
  }

  #doubles(offset: number, length: number): Float64Array {
    return new Float64Array(this.#exports.memory.buffer, offset, length)
  }

  #spent(stage: Stage, start: number): number {
    const now = performance.now()
    this.times[stage] += (now - start) / 1000
    return now
  }
}

function layOut(n: number, windowBytes: number, heap: number): Layout {
  const b = n <= DIRECT ? 0 : n <= NARROW ? 16 : 32
  const padded = roundUp(n, b || 4)
  // Columns a large power of two apart would share their cache sets.
  const ld = padded >= 256 ? padded + 8 : padded
  const scratchDoubles = b === 0 ? DEPTH * padded : Math.max(DEPTH * padded, bandWork(padded, b), 2 * b * n)
  const window = roundUp(heap, 64)
  const gram = roundUp(window + windowBytes, 64)
  const scratch = gram + padded * ld * DOUBLE
  const diagonal = scratch + roundUp(scratchDoubles, 8) * DOUBLE
  const offDiagonal = diagonal + roundUp(n, 8) * DOUBLE
  const vectors = offDiagonal + roundUp(n, 8) * DOUBLE
  const end = vectors + roundUp(Math.max(2 * n, 3 * b), 8) * DOUBLE
  return { n, b, padded, ld, window, gram, scratch, diagonal, offDiagonal, vectors, end }
}

/** The same as the kernel's own, which is not at hand before there is an instance; a test holds them equal. */
function bandWork(n: number, b: number): number {
  return 8 * n * b + 64 * 64 + 6 * b * b + 2 * b
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}

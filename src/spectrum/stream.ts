import { closeSync, readSync } from 'node:fs'
import { DTYPE_BITS, type FileSource, type Tensor } from '../checkpoint/types.ts'
import { CheckpointError } from '../errors.ts'
import { limits } from '../limits.ts'
import { extentOf } from '../recipe/values.ts'
import { openTensor } from './spool.ts'

/** An open tensor whose stored elements can be read from any of them on. */
export class TensorStream {
  readonly tensor: Tensor
  /** Bytes of an element. */
  readonly bytes: number
  readonly #fd: number
  readonly #source: FileSource
  /** Whether the file is closed with it: it may be somebody else's. */
  readonly #isOwn: boolean

  private constructor(tensor: Tensor, source: FileSource, fd: number, isOwn: boolean) {
    this.tensor = tensor
    this.bytes = DTYPE_BITS[tensor.dtype] / 8
    this.#fd = fd
    this.#source = source
    this.#isOwn = isOwn
  }

  /** @throws CheckpointError where the file can't be opened, or does not unpack to the tensor */
  static async open(tensor: Tensor): Promise<TensorStream> {
    const { source: own } = tensor
    if (own.kind === 'file' && own.fd !== undefined) return new TensorStream(tensor, own, own.fd, false)
    const { fd, source } = await openTensor(tensor)
    return new TensorStream(tensor, source, fd, true)
  }

  /**
   * Fills the window from its element `at` on with `count` stored elements from element `from` on.
   * @throws CheckpointError where the file ends early
   */
  read(window: Uint8Array, at: number, from: number, count: number): void {
    const { path, offset } = this.#source
    const end = (at + count) * this.bytes
    const position = offset + (from - at) * this.bytes
    for (let done = at * this.bytes; done < end; ) {
      const read = readSync(this.#fd, window, done, end - done, position + done)
      if (read === 0)
        throw new CheckpointError(
          path,
          `ends in the middle of tensor ${JSON.stringify(this.tensor.name.slice(0, 200))}`,
        )
      done += read
    }
  }

  /**
   * `count` stored elements from element `from` on, in order, in pieces of whole elements that are valid until the next.
   * @param most elements of a piece
   */
  *pieces(from: number, count: number, most: number): Generator<Uint8Array> {
    const buffer = new Uint8Array(Math.min(most, count) * this.bytes)
    for (let done = 0; done < count; done += most) {
      const length = Math.min(most, count - done)
      this.read(buffer, 0, from + done, length)
      yield buffer.subarray(0, length * this.bytes)
    }
  }

  /** All stored elements that the tensor covers, as `pieces` gives them. */
  all(): Generator<Uint8Array> {
    const { shape, source } = this.tensor
    return this.pieces(0, extentOf(shape, source.strides), limits.spectrum.chunkBytes / 8)
  }

  close(): void {
    if (this.#isOwn) closeSync(this.#fd)
  }
}

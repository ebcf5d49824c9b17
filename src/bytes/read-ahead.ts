import { Budget } from './budget.ts'
import type { RandomAccessFile } from './file.ts'

const WINDOW = 64 * 1024

/** What is read through the window: a file, or an unpacked copy of one under its own name. */
export type ReadAheadSource = Pick<RandomAccessFile, 'path' | 'size' | 'readInto'> &
  Partial<Pick<RandomAccessFile, 'budget'>>

/** A file behind a small window, for headers that are many small fields with large gaps between them. */
export class ReadAhead {
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** Where the next byte is taken from. May be set to any offset: nothing between is read. */
  position = 0
  readonly budget: Budget
  readonly #source: ReadAheadSource
  readonly #window: Buffer
  #start = 0
  #length = 0

  constructor(source: ReadAheadSource) {
    this.path = source.path
    this.size = source.size
    this.budget = source.budget ?? new Budget(source.path, source.size)
    this.#source = source
    this.#window = Buffer.allocUnsafe(Math.min(WINDOW, source.size))
  }

  /** Bytes at hand from `position` on. */
  get ahead(): number {
    return this.position < this.#start ? 0 : Math.max(0, this.#start + this.#length - this.position)
  }

  /** Whether fewer than `count` bytes are at hand although the file has more. */
  lacks(count: number): boolean {
    const { ahead } = this
    return ahead < count && this.position + ahead < this.size
  }

  /** Moves the window to `position`. */
  async fill(): Promise<void> {
    this.#length = 0
    const length = Math.max(0, Math.min(this.#window.length, this.size - this.position))
    await this.#source.readInto(this.#window.subarray(0, length), this.position)
    this.#start = this.position
    this.#length = length
  }

  /** The byte at `position`, which must be at hand. */
  byte(): number {
    return this.#window[this.position++ - this.#start]
  }

  /** At most `most` bytes at hand, valid until the next `fill`. `position` moves behind them. */
  take(most: number): Buffer {
    const from = this.position - this.#start
    const bytes = this.#window.subarray(from, from + Math.min(most, this.ahead))
    this.position += bytes.length
    return bytes
  }

  /** `length` bytes from `position`, copied. The caller has bounded `length`. */
  async bytes(length: number): Promise<Buffer> {
    if (this.lacks(length)) {
      if (length > this.#window.length) {
        const copy = Buffer.allocUnsafe(length)
        await this.#source.readInto(copy, this.position)
        this.position += length
        return copy
      }
      await this.fill()
    }
    return Buffer.from(this.take(length))
  }
}

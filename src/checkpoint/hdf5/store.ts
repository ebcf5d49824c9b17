import { Budget } from '../../bytes/budget.ts'
import { CheckpointError, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { Cursor, type Widths } from './cursor.ts'

/** What an HDF5 file is read from: a file, a part of one, or a temporary file with what a member inflated to. */
export interface Bytes {
  readonly path: string
  readonly size: number
  /** What reading the file has taken that it lies in. */
  readonly budget?: Budget
  read(offset: number, length: number): Promise<Buffer>
}

const PAGE = 64 * 1024
const PAGES = 64
/** Bytes of structure that count as one step. */
const STEP = 32

/**
 * The structures of one HDF5 file, by address. All that is read of them counts as steps, so that structures that are referred to over
 * and over end in an error.
 */
export class Store {
  #links = 0
  readonly path: string
  readonly size: number
  /** Of address 0 in `bytes`. */
  readonly base: number
  readonly widths: Widths
  readonly #bytes: Bytes
  readonly #pages = new Map<number, Buffer>()
  readonly budget: Budget

  constructor(bytes: Bytes, base = 0, widths: Widths = { address: 8, length: 8 }) {
    this.path = bytes.path
    this.size = bytes.size - base
    this.base = base
    this.widths = widths
    this.#bytes = bytes
    this.budget = bytes.budget ?? new Budget(bytes.path, bytes.size)
  }

  /** `length` bytes of structure at an address. */
  async at(address: number, length: number): Promise<Cursor> {
    this.check(address, length)
    if (length > limits.hdf5.blockBytes) {
      throw new CheckpointError(
        this.path,
        `an HDF5 structure of it claims ${length} bytes, more than ${limits.hdf5.blockBytes}`,
      )
    }
    this.budget.step(1 + length / STEP)
    return new Cursor(this.path, address, await this.#read(address + this.base, length), this.widths)
  }

  /** Up to `length` bytes: fewer where the file ends. */
  upTo(address: number, length: number): Promise<Cursor> {
    return this.at(address, Math.max(0, Math.min(length, this.size - address)))
  }

  /** Raw data of a chunk, outside of what structures may take. */
  data(address: number, length: number): Promise<Buffer> {
    this.check(address, length)
    return this.#read(address + this.base, length)
  }

  /** @throws CheckpointError where the file has no such bytes */
  check(address: number, length: number, where = this.path): void {
    if (Number.isSafeInteger(address + length) && address >= 0 && length >= 0 && address + length <= this.size) return
    throw new CheckpointError(
      where,
      `bytes ${address} to ${address + length} of HDF5 are needed, but there are ${this.size}`,
      RESAVE,
    )
  }

  async #read(offset: number, length: number): Promise<Buffer> {
    const start = offset - (offset % PAGE)
    if (offset + length > start + PAGE) return this.#bytes.read(offset, length)
    let page = this.#pages.get(start)
    if (!page) {
      page = await this.#bytes.read(start, Math.min(PAGE, this.#bytes.size - start))
      if (this.#pages.size === PAGES) this.#pages.delete(this.#pages.keys().next().value!)
      this.#pages.set(start, page)
    }
    return page.subarray(offset - start, offset - start + length)
  }

  /**
   * Counts a link by its name: groups may share what holds their links, so that a small file has them many times over.
   * @throws CheckpointError beyond what any file has, BudgetError beyond the characters of all names
   */
  counted(cursor: Cursor, name: string): string {
    this.#links++
    this.budget.name(name.length)
    if (this.#links > limits.hdf5.linksCount) {
      throw cursor.error(`holds one of more than ${limits.hdf5.linksCount} links`)
    }
    return name
  }
}

import type { ReadAhead } from '../../bytes/read-ahead.ts'
import { CheckpointError, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'

/** The number types of metadata values, and bool: how many bytes one has, and what these say. */
const NUMBERS: ReadonlyMap<number, { readonly bytes: number; readonly read: (bytes: Buffer) => number }> = new Map([
  [0, { bytes: 1, read: bytes => bytes.readUInt8() }],
  [1, { bytes: 1, read: bytes => bytes.readInt8() }],
  [2, { bytes: 2, read: bytes => bytes.readUInt16LE() }],
  [3, { bytes: 2, read: bytes => bytes.readInt16LE() }],
  [4, { bytes: 4, read: bytes => bytes.readUInt32LE() }],
  [5, { bytes: 4, read: bytes => bytes.readInt32LE() }],
  [6, { bytes: 4, read: bytes => Number(bytes.readFloatLE().toPrecision(7)) }],
  [7, { bytes: 1, read: bytes => bytes.readUInt8() }],
  [10, { bytes: 8, read: bytes => Number(bytes.readBigUInt64LE()) }],
  [11, { bytes: 8, read: bytes => Number(bytes.readBigInt64LE()) }],
  [12, { bytes: 8, read: bytes => bytes.readDoubleLE() }],
])
const STRING = 8
const ARRAY = 9

/** Reads a GGUF header in order: little-endian numbers, strings with their length in front, values that are only skipped. */
export class Header {
  readonly #bytes: ReadAhead

  constructor(bytes: ReadAhead) {
    this.#bytes = bytes
  }

  get position(): number {
    return this.#bytes.position
  }

  async u16(what: string): Promise<number> {
    return (await this.#take(2, what)).readUInt16LE()
  }

  async u32(what: string): Promise<number> {
    return (await this.#take(4, what)).readUInt32LE()
  }

  /** A number or bool of this type, as its bytes have it; undefined for any other type, of which nothing is read. */
  async scalar(type: number, what: string): Promise<number | undefined> {
    const number = NUMBERS.get(type)
    return number?.read(await this.#take(number.bytes, what))
  }

  /** A 64-bit number; one that is beyond 2^53 stays beyond, though not exact. */
  async u64(what: string): Promise<number> {
    if (this.#bytes.lacks(8)) await this.#bytes.fill()
    return this.#number(what)
  }

  async string(what: string): Promise<string> {
    const length = await this.u64(what)
    if (length > limits.checkpoint.nameCharacters) {
      throw new CheckpointError(
        this.#bytes.path,
        `${what} has ${length} bytes, more than ${limits.checkpoint.nameCharacters}`,
        RESAVE,
      )
    }
    return (await this.#take(length, what)).toString('utf8')
  }

  /** Passes over a metadata value of this type. Of an array of numbers nothing is read. */
  async skip(type: number, what: string, depth = 0): Promise<void> {
    const bytes = NUMBERS.get(type)?.bytes
    if (bytes !== undefined) {
      this.#pass(bytes, what)
    } else if (type === STRING) {
      await this.#skipStrings(1, what)
    } else if (type === ARRAY) {
      await this.#skipArray(what, depth + 1)
    } else {
      throw new CheckpointError(this.#bytes.path, `${what} has the unknown type ${type}`, RESAVE)
    }
  }

  async #skipArray(what: string, depth: number): Promise<void> {
    if (depth > limits.gguf.nestingLevels) {
      throw new CheckpointError(this.#bytes.path, `${what} nests arrays more than ${limits.gguf.nestingLevels} deep`)
    }
    const type = await this.u32(what)
    const length = await this.u64(what)
    const bytes = NUMBERS.get(type)?.bytes
    if (bytes !== undefined) {
      this.#pass(bytes * length, what)
      return
    }
    if (type === STRING) {
      await this.#skipStrings(length, what)
      return
    }
    for (let i = 0; i < length; i++) {
      this.#bytes.budget.step()
      await this.skip(type, what, depth)
    }
  }

  async #skipStrings(count: number, what: string): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.#bytes.budget.step()
      if (this.#bytes.lacks(8)) await this.#bytes.fill()
      this.#pass(this.#number(what), what)
    }
  }

  /** A 64-bit number whose bytes are at hand. */
  #number(what: string): number {
    this.#check(8, what)
    const bytes = this.#bytes.take(8)
    return bytes.readUInt32LE(4) * 4294967296 + bytes.readUInt32LE(0)
  }

  #pass(length: number, what: string): void {
    this.#check(length, what)
    this.#bytes.position += length
  }

  async #take(length: number, what: string): Promise<Buffer> {
    this.#check(length, what)
    if (this.#bytes.lacks(length)) await this.#bytes.fill()
    return this.#bytes.take(length)
  }

  #check(length: number, what: string): void {
    const { path, position, size } = this.#bytes
    if (position + length <= size) return
    throw new CheckpointError(path, `${what} reaches to byte ${position + length}, but the file has ${size}`, RESAVE)
  }
}

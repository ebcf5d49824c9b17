import { CheckpointError, RESAVE } from '../../errors.ts'

/** Widths of addresses and lengths, which the superblock states, in bytes. */
export interface Widths {
  readonly address: number
  readonly length: number
}

/** Reads the fields of one structure in order, little-endian, and never beyond its end. */
export class Cursor {
  readonly path: string
  /** Of its first byte, relative to the base of addresses. */
  readonly origin: number
  readonly bytes: Buffer
  readonly widths: Widths
  at = 0

  constructor(path: string, origin: number, bytes: Buffer, widths: Widths) {
    this.path = path
    this.origin = origin
    this.bytes = bytes
    this.widths = widths
  }

  get left(): number {
    return this.bytes.length - this.at
  }

  /** The address of the next byte. */
  get address(): number {
    return this.origin + this.at
  }

  u8(): number {
    return this.bytes[this.#advance(1)]
  }

  u16(): number {
    return this.bytes.readUInt16LE(this.#advance(2))
  }

  u32(): number {
    return this.bytes.readUInt32LE(this.#advance(4))
  }

  /** An unsigned integer of 1 to 8 bytes. */
  uint(width: number): number {
    const at = this.#advance(width)
    if (width <= 6) return width === 0 ? 0 : this.bytes.readUIntLE(at, width)
    const value = this.bytes.readUIntLE(at, 6) + this.bytes.readUIntLE(at + 6, width - 6) * 0x1000000000000
    if (!Number.isSafeInteger(value)) throw this.error('holds a number beyond 2^53')
    return value
  }

  size(): number {
    return this.uint(this.widths.length)
  }

  /** An address, or undefined where all of its bits are set: HDF5's way of saying that there is none. */
  pointer(): number | undefined {
    const at = this.at
    const bytes = this.take(this.widths.address)
    if (bytes.every(byte => byte === 0xff)) return undefined
    this.at = at
    return this.uint(this.widths.address)
  }

  /** @throws CheckpointError where there is no address */
  target(what: string): number {
    const address = this.pointer()
    if (address === undefined) throw this.error(`has no ${what}`)
    return address
  }

  take(count: number): Buffer {
    const at = this.#advance(count)
    return this.bytes.subarray(at, at + count)
  }

  skip(count: number): void {
    this.#advance(count)
  }

  /** The next `count` bytes as a structure of their own. */
  sub(count: number): Cursor {
    const origin = this.address
    return new Cursor(this.path, origin, this.take(count), this.widths)
  }

  /** Text up to a zero byte, or to the end. */
  text(): string {
    const end = this.bytes.indexOf(0, this.at)
    const text = this.bytes.toString('utf8', this.at, end < 0 ? this.bytes.length : end)
    this.at = end < 0 ? this.bytes.length : end + 1
    return text
  }

  /** Four letters that tell what a structure is. */
  signature(expected: string): void {
    const found = this.take(4).toString('latin1')
    if (found !== expected) throw this.error(`is ${JSON.stringify(found)} where ${expected} is due`)
  }

  version(...known: number[]): number {
    const version = this.u8()
    if (!known.includes(version)) throw this.error(`is of version ${version}; known are ${known.join(', ')}`)
    return version
  }

  error(found: string): CheckpointError {
    return new CheckpointError(this.path, `its HDF5 structure at byte ${this.origin} ${found}`, RESAVE)
  }

  #advance(count: number): number {
    const at = this.at
    if (!(count >= 0) || count > this.left) throw this.error(`ends ${count - this.left} bytes early`)
    this.at = at + count
    return at
  }
}

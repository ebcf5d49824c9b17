import type { ReadAhead } from '../../bytes/read-ahead.ts'
import { CheckpointError, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'

export const VARINT = 0
export const FIXED64 = 1
export const LENGTH = 2
export const FIXED32 = 5

/** A field's tag on the wire: its number and the kind of its value. */
export const tag = (number: number, type: number) => number * 8 + type

/** One field of a message. Its value lies at `start` to `end` of the file; a varint's is decoded already. */
export interface Field {
  readonly tag: number
  readonly start: number
  readonly end: number
  /** Of a varint: exact up to 2^53; int64's negative numbers are 2^63 and above. */
  readonly value: number
  /** Of a varint, its lower 32 bits with their sign: what protobuf makes of an int32 or an enumeration. */
  readonly int32: number
}

/** Called for each field. What it does not look at is not read. */
export type Visit = (field: Field) => Promise<void> | void

/**
 * Walks the fields of protobuf messages in a file, without reading the values that nobody asks for.
 * Source: protobuf.dev/programming-guides/encoding; groups, which ONNX never had, are refused.
 */
export class Wire {
  readonly bytes: ReadAhead
  /** The last varint's lower and upper 32 bits. */
  low = 0
  high = 0

  constructor(bytes: ReadAhead) {
    this.bytes = bytes
  }

  /** Calls `visit` for each field of the message at `start` to `end`. */
  async walk(start: number, end: number, visit: Visit): Promise<void> {
    for (let at = start; at < end; ) {
      const next = this.field(at, end)
      const field = next instanceof Promise ? await next : next
      const pending = visit(field)
      if (pending) await pending
      at = field.end
    }
  }

  /**
   * The field at `at` of a message that ends at `end`.
   * @throws CheckpointError where it is malformed or reaches beyond its message
   */
  field(at: number, end: number): Field | Promise<Field> {
    this.bytes.budget.step()
    this.bytes.position = at
    return this.bytes.lacks(20) ? this.bytes.fill().then(() => this.#field(end)) : this.#field(end)
  }

  /** The varint at `position`, whose bytes are at hand; `end` is that of the message. */
  varint(end: number): number {
    const { bytes } = this
    const from = bytes.position
    let low = 0
    let high = 0
    for (let shift = 0; ; shift += 7) {
      if (bytes.position >= end) throw this.#damaged(from, 'has a number that reaches beyond its message')
      const byte = bytes.byte()
      const bits = byte & 0x7f
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high = bits >>> 4
      } else if (shift < 63) high |= bits << (shift - 32)
      else if (byte <= 1) high |= byte << 31
      else throw this.#damaged(from, 'has a number of more than 64 bits')
      if (byte < 0x80) break
    }
    this.low = low >>> 0
    this.high = high >>> 0
    return this.high * 4294967296 + this.low
  }

  /** The numbers of one occurrence of a repeated field, packed or not; not more than `most` of them. */
  varints(field: Field, most: number): Promise<number[]> {
    return this.#each(field, most, value => value)
  }

  /** The same as int64s, of which those that are negative and large stay as they are: as doubles they have lost their lower bits. */
  integers(field: Field, most: number): Promise<number[]> {
    return this.#each(field, most, value => (this.high === 0xffffffff ? this.low | 0 : value))
  }

  async #each(field: Field, most: number, as: (value: number) => number): Promise<number[]> {
    if ((field.tag & 7) === VARINT) return [as(field.value)]
    const values: number[] = []
    const { bytes } = this
    for (bytes.position = field.start; bytes.position < field.end && values.length < most; ) {
      if (bytes.lacks(10)) await bytes.fill()
      values.push(as(this.varint(field.end)))
    }
    return values
  }

  /** The number in a field of four bytes. */
  async float({ start }: Field): Promise<number> {
    this.bytes.position = start
    return (await this.bytes.bytes(4)).readFloatLE()
  }

  /** A string of at most `most` bytes; undefined where it is longer. */
  async string(field: Field, most: number): Promise<string | undefined> {
    if (field.end - field.start > most) return undefined
    this.bytes.position = field.start
    return (await this.bytes.bytes(field.end - field.start)).toString('utf8')
  }

  /** A string that names something. @throws CheckpointError where it is longer than any name may be. */
  async name(field: Field, what: string): Promise<string> {
    const name = await this.string(field, limits.checkpoint.nameCharacters)
    if (name === undefined) throw this.#tooLong(field, what)
    this.bytes.budget.name(name.length)
    return name
  }

  /** A StringStringEntryProto: key and value. */
  async entry(field: Field): Promise<[string, string]> {
    let key = ''
    let value = ''
    await this.walk(field.start, field.end, async part => {
      if (part.tag === tag(1, LENGTH)) key = await this.name(part, 'a key')
      else if (part.tag === tag(2, LENGTH)) value = await this.name(part, 'a value')
    })
    return [key, value]
  }

  #field(end: number): Field {
    const { bytes } = this
    const from = bytes.position
    const tag = this.varint(end)
    if (tag < 8 || tag > 0xffffffff) throw this.#damaged(from, `has a field with the impossible tag ${tag}`)
    let value = 0
    let int32 = 0
    let start = bytes.position
    let stop: number
    switch (tag & 7) {
      case VARINT:
        value = this.varint(end)
        int32 = this.low | 0
        stop = bytes.position
        break
      case FIXED64:
        stop = start + 8
        break
      case LENGTH: {
        const length = this.varint(end)
        start = bytes.position
        stop = start + length
        break
      }
      case FIXED32:
        stop = start + 4
        break
      default:
        throw this.#damaged(from, `has a field of the wire type ${tag & 7}`)
    }
    if (stop > end) {
      const beyond = stop > bytes.size ? `the file, which has ${bytes.size}` : `its message, which ends at ${end}`
      throw this.#damaged(from, `has a field that reaches to byte ${stop}, beyond ${beyond}`)
    }
    return { tag, start, end: stop, value, int32 }
  }

  #tooLong({ start, end }: Field, what: string): CheckpointError {
    const found = `has a name of ${end - start} bytes for ${what} at byte ${start}`
    return new CheckpointError(this.bytes.path, `${found}: more than ${limits.checkpoint.nameCharacters}`)
  }

  #damaged(at: number, found: string): CheckpointError {
    return new CheckpointError(this.bytes.path, `${found}, at byte ${at}`, RESAVE)
  }
}

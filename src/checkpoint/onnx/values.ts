import { RandomAccessFile } from '../../bytes/file.ts'
import { ReadAhead } from '../../bytes/read-ahead.ts'
import { type Field, LENGTH, Wire } from './wire.ts'

/** Where the values of a TensorProto lie that has no raw_data. */
export interface ValuesParameters {
  /** Of the TensorProto, in the file. */
  readonly start: number
  readonly end: number
  /** The number of the field that holds them, any number of times, packed or one by one. */
  readonly field: number
  /** Bytes that a value takes in the file; 0 for a varint. */
  readonly width: 0 | 4 | 8
  /** Of an element, if `width` is 0: the lower ones of the varint. */
  readonly bytes: number
}

const PIECE = 64 * 1024

/**
 * The elements of a TensorProto's `int32_data` (FLOAT16 and BFLOAT16 too: one bit pattern a number), `int64_data`, `uint64_data`,
 * or of `float_data` and `double_data` in several parts.
 */
export async function* onnxValues(path: string, parameters: ValuesParameters): AsyncGenerator<Uint8Array> {
  const file = await RandomAccessFile.open(path)
  try {
    yield* joined(values(new Wire(new ReadAhead(file)), parameters))
  } finally {
    await file.close()
  }
}

async function* values(wire: Wire, { start, end, field: number, width, bytes }: ValuesParameters) {
  for (let at = start; at < end; ) {
    const field = await wire.field(at, end)
    at = field.end
    if (field.tag >>> 3 !== number) continue
    if (width > 0) yield* copied(wire, field)
    else yield* decoded(wire, field, bytes)
  }
}

async function* copied({ bytes }: Wire, field: Field): AsyncGenerator<Uint8Array> {
  for (bytes.position = field.start; bytes.position < field.end; ) {
    if (bytes.ahead === 0) await bytes.fill()
    yield bytes.take(field.end - bytes.position)
  }
}

async function* decoded(wire: Wire, field: Field, bytes: number): AsyncGenerator<Uint8Array> {
  const piece = Buffer.allocUnsafe(PIECE)
  let length = 0
  const put = () => {
    piece.writeUInt32LE(wire.low, length)
    piece.writeUInt32LE(wire.high, length + 4)
    length += bytes
  }
  if ((field.tag & 7) === LENGTH) {
    for (let at = field.start; at < field.end; at = wire.bytes.position) {
      if (wire.bytes.lacks(10)) await wire.bytes.fill()
      wire.varint(field.end)
      put()
      if (length + 8 <= PIECE) continue
      yield piece.subarray(0, length)
      length = 0
    }
  } else {
    put()
  }
  yield piece.subarray(0, length)
}

/** Pieces of any size as pieces of a useful one, each a copy. */
async function* joined(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const whole = Buffer.allocUnsafe(PIECE)
  let length = 0
  for await (const piece of pieces) {
    for (let from = 0; from < piece.length; ) {
      const part = piece.subarray(from, from + PIECE - length)
      whole.set(part, length)
      length += part.length
      from += part.length
      if (length < PIECE) continue
      yield Buffer.from(whole)
      length = 0
    }
  }
  if (length > 0) yield whole.subarray(0, length)
}

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { unpack } from '../../../src/checkpoint/codecs.ts'
import { DTYPE_BITS, size, type Tensor } from '../../../src/checkpoint/types.ts'

/** Protobuf's wire format, right or wrong. */
export function varint(value: number | bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Buffer.from(bytes)
}

export const number = (field: number, value: number | bigint) => Buffer.concat([varint(field * 8), varint(value)])

export function message(field: number, ...parts: (Uint8Array | string)[]): Buffer {
  const content = Buffer.concat(parts.map(part => Buffer.from(part as string)))
  return Buffer.concat([varint(field * 8 + 2), varint(content.length), content])
}

export const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer)

/** A TensorProto's content. */
export function tensor(name: string, dims: (number | bigint)[], ...more: Uint8Array[]): Buffer {
  return Buffer.concat([...dims.map(n => number(1, n)), number(2, 1), message(8, name), ...more])
}

/** A ModelProto around the content of its graph. */
export function model(...graph: Uint8Array[]): Buffer {
  return Buffer.concat([number(1, 10), message(7, ...graph), message(8, number(2, 20))])
}

/** A ModelProto whose only tensor is this one. */
export const initializer = (...content: Parameters<typeof tensor>) => model(message(5, tensor(...content)))

/** A tensor's bytes, whatever its source. */
export async function bytesOf({ dtype, shape, source }: Tensor): Promise<Buffer> {
  const length = (size(shape) * DTYPE_BITS[dtype]) / 8
  if (source.kind === 'file') return readFileSync(source.path).subarray(source.offset, source.offset + length)
  const pieces: Uint8Array[] = []
  for await (const piece of unpack(source)) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}

export const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

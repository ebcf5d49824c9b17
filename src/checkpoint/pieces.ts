import { RandomAccessFile } from '../bytes/file.ts'
import { unpack } from './codecs.ts'
import { DTYPE_BITS, size, type Tensor } from './types.ts'

/** A tensor's bytes as they are stored, in pieces of so many; the last has the rest. */
export async function* piecesOf(tensor: Tensor, length: number): AsyncGenerator<Uint8Array> {
  const { dtype, shape, source } = tensor
  if (source.kind === 'packed') {
    let rest: Uint8Array = new Uint8Array(0)
    for await (const piece of unpack(source)) {
      rest = Buffer.concat([rest, piece])
      for (; rest.length >= length; rest = rest.subarray(length)) yield rest.subarray(0, length)
    }
    if (rest.length > 0) yield rest
    return
  }
  // What repeats its elements stores fewer than it has.
  const extent = shape.reduce((last, n, d) => last + (n - 1) * source.strides[d], 1)
  const file = await RandomAccessFile.open(source.path)
  try {
    const bytes = Math.min((Math.min(size(shape), extent) * DTYPE_BITS[dtype]) / 8, file.size - source.offset)
    for (let at = 0; at < bytes; at += length) yield await file.read(source.offset + at, Math.min(length, bytes - at))
  } finally {
    await file.close()
  }
}

import { CheckpointError, RESAVE } from '../errors.ts'
import { limits } from '../limits.ts'
import { RandomAccessFile } from './file.ts'
import { openInflated } from './inflated.ts'
import { type RangeParameters, readRange } from './range.ts'

const PIECE = 1024 * 1024

/** The codec `range`: a part of a deflated member, or big-endian elements. */
export async function* unpackRange(
  path: string,
  { range, skip, bytes, swap }: RangeParameters,
): AsyncGenerator<Uint8Array> {
  const file = await RandomAccessFile.open(path)
  try {
    const { size = 0 } = range.inflated ?? {}
    // One of many parts of a member: it is not inflated again for each.
    const isPart = 2 * bytes < size && size <= limits.zip.memberBytes
    let at = isPart ? skip : 0
    let carry: Uint8Array = new Uint8Array(0)
    for await (const piece of isPart ? part(file, range, skip, bytes) : readRange(file, range)) {
      const wanted = piece.subarray(Math.max(0, skip - at), Math.max(0, skip + bytes - at))
      at += piece.length
      if (swap === 1) {
        if (wanted.length > 0) yield wanted
      } else {
        const joined = Buffer.concat([carry, wanted])
        const whole = joined.length - (joined.length % swap)
        carry = joined.subarray(whole)
        if (whole > 0) yield reverse(joined.subarray(0, whole), swap)
      }
      // What is deflated is read to its end, where its checksum is known.
      if (at >= skip + bytes && !range.inflated) return
    }
    if (at < skip + bytes)
      throw new CheckpointError(path, `unpacks to ${at} bytes, but ${skip + bytes} are needed`, RESAVE)
  } finally {
    await file.close()
  }
}

async function* part(
  file: RandomAccessFile,
  range: RangeParameters['range'],
  skip: number,
  bytes: number,
): AsyncGenerator<Buffer> {
  const inflated = await openInflated(file, range)
  try {
    for (let at = 0; at < bytes; at += PIECE) yield await inflated.read(skip + at, Math.min(PIECE, bytes - at))
  } finally {
    await inflated.close()
  }
}

function reverse(bytes: Buffer, swap: number): Buffer {
  if (swap === 2) return bytes.swap16()
  return swap === 4 ? bytes.swap32() : bytes.swap64()
}

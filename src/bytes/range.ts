import { Readable } from 'node:stream'
import { crc32, createInflateRaw } from 'node:zlib'
import { CheckpointError, RESAVE } from '../errors.ts'
import { limits } from '../limits.ts'
import type { RandomAccessFile } from './file.ts'

const PIECE = 256 * 1024

/** Where bytes lie in a file, deflated or as they are. */
export interface FileRange {
  readonly offset: number
  readonly length: number
  /** Where they are deflated: how many bytes they inflate to, and the CRC-32 of all of these. */
  readonly inflated?: { readonly size: number; readonly crc32: number }
}

/** What the codec `range` needs to know: `bytes` of a range from `skip` on, each group of `swap` bytes reversed. */
export interface RangeParameters {
  readonly range: FileRange
  readonly skip: number
  readonly bytes: number
  readonly swap: number
}

/**
 * The bytes of a range in order, inflated where they are deflated, in pieces of bounded size.
 * @throws CheckpointError where they are damaged, or inflate to more or less than was promised
 */
export async function* readRange(file: RandomAccessFile, range: FileRange): AsyncGenerator<Uint8Array> {
  if (!range.inflated) {
    yield* stored(file, range)
    return
  }
  const { size, crc32: expected } = range.inflated
  const feed = Readable.from(stored(file, range))
  const inflater = createInflateRaw({ chunkSize: PIECE })
  feed.on('error', error => inflater.destroy(error))
  feed.pipe(inflater)
  let done = 0
  let crc = 0
  try {
    for await (const piece of inflater as AsyncIterable<Buffer>) {
      done += piece.length
      if (done > size) throw new CheckpointError(file.path, `inflates to more than the ${size} bytes it claims`, RESAVE)
      file.budget.inflate(piece.length)
      crc = crc32(piece, crc)
      yield piece
    }
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause
    throw new CheckpointError(file.path, `its deflated data is damaged (${(cause as Error).message})`, RESAVE, {
      cause,
    })
  } finally {
    feed.destroy()
    inflater.destroy()
  }
  if (done < size) throw new CheckpointError(file.path, `inflates to ${done} bytes instead of ${size}`, RESAVE)
  if (crc !== expected)
    throw new CheckpointError(file.path, 'the checksum (CRC-32) of a deflated member is wrong', RESAVE)
}

async function* stored(file: RandomAccessFile, { offset, length }: FileRange): AsyncGenerator<Buffer> {
  for (let at = 0; at < length; at += PIECE) yield await file.read(offset + at, Math.min(PIECE, length - at))
}

/**
 * Refuses a range that claims to inflate beyond any honest ratio, to more than `any` bytes.
 * @throws CheckpointError
 */
export function checkRatio(
  where: string,
  { length, inflated }: FileRange,
  any: number = limits.zip.anyRatioBytes,
): void {
  if (inflated && inflated.size > any && inflated.size > length * limits.zip.inflateRatio) {
    throw new CheckpointError(
      where,
      `claims to inflate from ${length} to ${inflated.size} bytes, more than ${limits.zip.inflateRatio} times`,
      'Save it again without compression: honest weights do not compress like this.',
    )
  }
}

import { inflateSync } from 'node:zlib'
import { CheckpointError, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Cursor } from './cursor.ts'
import { lzf } from './lzf.ts'

/** One step of what was done to a chunk when it was written, as plain data. */
export interface Filter {
  readonly id: number
  readonly values: readonly number[]
}

const DEFLATE = 1
const SHUFFLE = 2
const FLETCHER32 = 3
const LZF = 32000
const KNOWN = [DEFLATE, SHUFFLE, FLETCHER32, LZF]
const NAMES: Record<number, string> = {
  4: 'szip',
  5: 'nbit',
  6: 'scaleoffset',
  32001: 'blosc',
  32004: 'lz4',
  32008: 'bitshuffle',
  32015: 'zstd',
  32026: 'blosc2',
}

/** Reads a filter pipeline message, versions 1 and 2; of a filter that is not known, why the dataset can't be read. */
export function readFilters(cursor: Cursor): { filters: Filter[]; unknown: string | undefined } {
  const version = cursor.version(1, 2)
  const count = cursor.u8()
  if (count > limits.hdf5.filtersCount)
    throw cursor.error(`has ${count} filters, more than ${limits.hdf5.filtersCount}`)
  if (version === 1) cursor.skip(6)
  let unknown: string | undefined
  const filters = Array.from({ length: count }, () => {
    const id = cursor.u16()
    const nameLength = version === 1 || id >= 256 ? cursor.u16() : 0
    cursor.skip(2)
    const valueCount = cursor.u16()
    cursor.skip(version === 1 ? Math.ceil(nameLength / 8) * 8 : nameLength)
    const values = Array.from({ length: valueCount }, () => cursor.u32())
    if (version === 1 && valueCount % 2 === 1) cursor.skip(4)
    if (!KNOWN.includes(id)) {
      const found = `is compressed by ${NAMES[id] ?? 'an unknown filter'} (filter ${id})`
      unknown = `${found}; write it again with gzip: h5repack -f GZIP=4 IN OUT`
    }
    return { id, values }
  })
  return { filters, unknown }
}

/**
 * A chunk as it was before it was filtered.
 * @param mask bit i is set where filter i was left out for this chunk
 * @param size of the chunk in bytes: it may have no other
 */
export function unfilter(
  where: string,
  stored: Buffer,
  filters: readonly Filter[],
  mask: number,
  size: number,
): Uint8Array {
  let bytes: Uint8Array = stored
  // Room for the checksums that may stand within what was compressed.
  const most = size + 4 * filters.length
  for (let i = filters.length - 1; i >= 0; i--) {
    if (mask & (1 << i)) continue
    if (filters[i].id === DEFLATE) bytes = inflate(where, bytes, most)
    else if (filters[i].id === LZF) bytes = lzf(where, bytes, filters[i].values[2] ?? size)
    else if (filters[i].id === SHUFFLE) bytes = unshuffle(bytes, filters[i].values[0] ?? 1)
    else bytes = checked(where, bytes)
  }
  if (bytes.length !== size) {
    throw new CheckpointError(where, `a chunk of it unpacks to ${bytes.length} bytes instead of ${size}`, RESAVE)
  }
  return bytes
}

function inflate(where: string, bytes: Uint8Array, most: number): Uint8Array {
  try {
    return inflateSync(bytes, { maxOutputLength: most })
  } catch (cause) {
    const more = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    throw new CheckpointError(
      where,
      `a chunk of it ${more ? `unpacks to more than ${most} bytes` : 'is damaged'}`,
      RESAVE,
      {
        cause,
      },
    )
  }
}

/** Brings the bytes of each element together again: shuffled, all first bytes come first. */
function unshuffle(bytes: Uint8Array, width: number): Uint8Array {
  const count = Math.floor(bytes.length / width)
  if (width <= 1 || count <= 1) return bytes
  const result = Buffer.allocUnsafe(bytes.length)
  for (let b = 0; b < width; b++) {
    for (let i = 0, from = b * count, to = b; i < count; i++, from++, to += width) result[to] = bytes[from]
  }
  result.set(bytes.subarray(count * width), count * width)
  return result
}

/** Without its checksum, which is verified. */
function checked(where: string, bytes: Uint8Array): Uint8Array {
  const length = bytes.length - 4
  const stored = length < 0 ? -1 : new DataView(bytes.buffer, bytes.byteOffset + length, 4).getUint32(0, true)
  const data = bytes.subarray(0, Math.max(0, length))
  if (stored !== fletcher32(data)) throw new CheckpointError(where, 'the checksum of a chunk of it is wrong', RESAVE)
  return data
}

/** As libhdf5 computes it: over big-endian 16-bit words. */
function fletcher32(bytes: Uint8Array): number {
  let low = 0
  let high = 0
  const fold = (sum: number) => (sum & 0xffff) + (sum >>> 16)
  const even = bytes.length - (bytes.length % 2)
  for (let at = 0; at < even; ) {
    for (const end = Math.min(even, at + 720); at < end; at += 2) {
      low += (bytes[at] << 8) | bytes[at + 1]
      high += low
    }
    low = fold(low)
    high = fold(high)
  }
  if (even < bytes.length) {
    low = fold(low + (bytes[even] << 8))
    high = fold(high + low)
  }
  return ((fold(high) << 16) | fold(low)) >>> 0
}

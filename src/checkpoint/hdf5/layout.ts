import { CheckpointError, RESAVE } from '../../errors.ts'
import type { Cursor } from './cursor.ts'

/** Where a dataset's elements lie, as plain data. Addresses are relative to the file's base. */
export type Layout =
  | { readonly kind: 'contiguous'; readonly address: number | undefined; readonly length: number }
  | { readonly kind: 'chunked'; readonly chunk: readonly number[]; readonly index: ChunkIndex }

/** How the chunks of a dataset are found. Undefined addresses: nothing was written yet. */
export type ChunkIndex =
  | { readonly kind: 'btree-1' | 'implicit' | 'fixed-array' | 'btree-2'; readonly address: number | undefined }
  | { readonly kind: 'single'; readonly address: number | undefined; readonly length?: number; readonly mask?: number }

/** A layout that is not read, in a file whose other datasets may be. */
export class UnreadableLayout extends CheckpointError {}

const REPACK = 'Write it again in one piece: h5repack -l CONTI IN OUT.'

/** Reads a data layout message, versions 3 to 5. */
export function readLayout(where: string, cursor: Cursor, rank: number): Layout {
  const version = cursor.version(3, 4, 5)
  const kind = cursor.u8()
  if (kind === 0) {
    const length = cursor.u16()
    return { kind: 'contiguous', address: cursor.address, length: cursor.take(length).length }
  }
  if (kind === 1) return { kind: 'contiguous', address: cursor.pointer(), length: cursor.size() }
  if (kind === 2) return version === 3 ? chunkedV3(cursor, rank) : chunkedV4(where, cursor, rank)
  if (kind === 3) {
    throw new CheckpointError(
      where,
      'is a virtual dataset, whose parts may lie in other files; these are never followed',
      'Copy it into a dataset of its own: file.create_dataset(name, data=virtual[...]).',
    )
  }
  throw new CheckpointError(where, `has a layout of the unknown class ${kind}`, RESAVE)
}

function chunkedV3(cursor: Cursor, rank: number): Layout {
  const dimensions = cursor.u8()
  if (dimensions !== rank + 1) throw cursor.error(`has chunks of ${dimensions - 1} dimensions instead of ${rank}`)
  const address = cursor.pointer()
  const chunk = Array.from({ length: rank }, () => cursor.u32())
  return { kind: 'chunked', chunk, index: { kind: 'btree-1', address } }
}

function chunkedV4(where: string, cursor: Cursor, rank: number): Layout {
  const flags = cursor.u8()
  const dimensions = cursor.u8()
  if (dimensions !== rank + 1) throw cursor.error(`has chunks of ${dimensions - 1} dimensions instead of ${rank}`)
  const width = cursor.u8()
  if (width < 1 || width > 8) throw cursor.error(`has chunk sizes of ${width} bytes`)
  const chunk = Array.from({ length: rank }, () => cursor.uint(width))
  cursor.skip(width)
  return { kind: 'chunked', chunk, index: indexV4(where, cursor, flags) }
}

function indexV4(where: string, cursor: Cursor, flags: number): ChunkIndex {
  const kind = cursor.u8()
  if (kind === 1) {
    if (!(flags & 2)) return { kind: 'single', address: cursor.pointer() }
    const length = cursor.size()
    const mask = cursor.u32()
    return { kind: 'single', length, mask, address: cursor.pointer() }
  }
  if (kind === 2) return { kind: 'implicit', address: cursor.pointer() }
  if (kind === 3) {
    cursor.skip(1)
    return { kind: 'fixed-array', address: cursor.pointer() }
  }
  if (kind === 5) {
    cursor.skip(6)
    return { kind: 'btree-2', address: cursor.pointer() }
  }
  const name = kind === 4 ? 'an extensible array' : `an index of the unknown kind ${kind}`
  throw new UnreadableLayout(where, `its chunks are listed by ${name}, which is not read`, REPACK)
}

import { limits } from '../../limits.ts'
import type { Cursor } from './cursor.ts'

export interface Dataspace {
  readonly shape: readonly number[]
  /** Whether it may grow: then chunks may be counted otherwise. */
  readonly growable: boolean
}

/** Reads a dataspace message, versions 1 and 2. A null dataspace has the shape [0]. */
export function readDataspace(cursor: Cursor): Dataspace {
  const version = cursor.version(1, 2)
  const rank = cursor.u8()
  const flags = cursor.u8()
  const kind = cursor.u8()
  if (version === 1) cursor.skip(4)
  if (rank > limits.checkpoint.dimensionsCount)
    throw cursor.error(`has ${rank} dimensions, more than ${limits.checkpoint.dimensionsCount}`)
  if (version === 2 && kind === 2) return { shape: [0], growable: false }
  const shape = Array.from({ length: rank }, () => cursor.size())
  // An unlimited dimension has all bits set, like an absent address.
  const most = flags & 1 ? shape.map(() => cursor.take(cursor.widths.length)) : []
  const growable = most.some(
    (bytes, d) => Number(bytes.length === 8 ? bytes.readBigUInt64LE() : bytes.readUInt32LE()) !== shape[d],
  )
  return { shape, growable }
}

import type { RandomAccessFile } from '../../bytes/file.ts'
import { openInflated } from '../../bytes/inflated.ts'
import type { FileRange } from '../../bytes/range.ts'
import type { Bytes } from './store.ts'

/** Where an HDF5 file lies: the whole of a file, or a member of a zip. */
export type Embedded = FileRange

export interface Opened extends Bytes {
  close(): Promise<void>
}

/** An HDF5 file that can be read at any offset; a deflated one by an inflated copy, which has no name. */
export async function openEmbedded(file: RandomAccessFile, range: Embedded): Promise<Opened> {
  if (range.inflated) return openInflated(file, range)
  const read = (offset: number, length: number) => file.read(range.offset + offset, length)
  return { path: file.path, size: range.length, budget: file.budget, read, close: async () => {} }
}

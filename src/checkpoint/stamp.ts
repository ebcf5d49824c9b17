import type { RandomAccessFile } from '../bytes/file.ts'
import type { Stamp } from './types.ts'

/** What tells whether a file is still the one that was read. */
export function stampOf({ path, size, time, changed, inode }: RandomAccessFile): Stamp {
  return { path, size, time, changed, inode }
}

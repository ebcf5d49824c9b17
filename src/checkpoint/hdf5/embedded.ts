import { randomUUID } from 'node:crypto'
import { open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RandomAccessFile } from '../../bytes/file.ts'
import { type FileRange, readRange } from '../../bytes/range.ts'
import type { Bytes } from './store.ts'

/** Where an HDF5 file lies: the whole of a file, or a member of a zip. */
export type Embedded = FileRange

export interface Opened extends Bytes {
  close(): Promise<void>
}

/**
 * An HDF5 file that can be read at any offset. A deflated one is inflated, in bounded memory, into a temporary file that has no
 * name any more when this returns: the system removes it when it is closed, whatever happens.
 */
export async function openEmbedded(file: RandomAccessFile, range: Embedded): Promise<Opened> {
  const { path } = file
  if (!range.inflated) {
    const read = (offset: number, length: number) => file.read(range.offset + offset, length)
    return { path, size: range.length, budget: file.budget, read, close: async () => {} }
  }
  const temporary = await inflated(file, range)
  const { size, budget } = temporary
  return { path, size, budget, read: (at, n) => temporary.read(at, n), close: () => temporary.close() }
}

async function inflated(file: RandomAccessFile, range: FileRange): Promise<RandomAccessFile> {
  const path = join(process.env.RUNNER_TEMP || tmpdir(), `spectral-gate-${randomUUID()}`)
  const handle = await open(path, 'wx', 0o600)
  try {
    try {
      for await (const piece of readRange(file, range)) await handle.appendFile(piece)
    } finally {
      await handle.close()
    }
    return await RandomAccessFile.open(path, file.budget)
  } finally {
    await unlink(path)
  }
}

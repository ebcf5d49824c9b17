import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { CheckpointError } from '../errors.ts'
import { stayInWorkspace } from './workspace.ts'

/** Opens for reading without waiting for a writer, which a FIFO would; what is then open may be no file. */
export const WITHOUT_WAITING = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/**
 * The bytes of a small file that belongs to something else: a config, an index, a report. A FIFO or a device is refused without
 * waiting for it, and not more is read than `most`, whatever the file says of itself.
 * @throws CheckpointError where it is no file, has more bytes, or changes meanwhile; the system's error where it can't be opened
 */
export async function readSmallFile(path: string, most: number): Promise<Buffer> {
  return (await readStamped(path, most)).bytes
}

/** The bytes of a small file as `readSmallFile` gives them, and what tells whether it is still the same. */
export interface Stamped {
  readonly bytes: Buffer
  readonly stamp: {
    readonly path: string
    readonly size: number
    readonly time: number
    readonly changed: number
    readonly inode: number
  }
}

/** @throws as `readSmallFile` does */
export async function readStamped(path: string, most: number): Promise<Stamped> {
  await stayInWorkspace(path)
  const handle = await open(path, WITHOUT_WAITING)
  try {
    const stat = await handle.stat()
    const { size } = stat
    if (!stat.isFile()) throw new CheckpointError(path, 'is no file')
    if (size > most) throw new CheckpointError(path, `has ${size} bytes, more than ${most}`)
    const bytes = Buffer.allocUnsafe(size + 1)
    let length = 0
    while (length <= size) {
      const { bytesRead } = await handle.read(bytes, length, size + 1 - length, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    if (length !== size) throw new CheckpointError(path, 'changed while it was being read')
    const { mtimeMs: time, ctimeMs: changed, ino: inode } = stat
    return { bytes: bytes.subarray(0, size), stamp: { path, size, time, changed, inode } }
  } finally {
    await handle.close()
  }
}

import { randomUUID } from 'node:crypto'
import {
  closeSync,
  openSync,
  read as readWithCallback,
  statfsSync,
  unlinkSync,
  write as writeWithCallback,
} from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { UserError } from '../errors.ts'

const [read, write] = [promisify(readWithCallback), promisify(writeWithCallback)]

/**
 * A file without a name, in the first folder that takes one: the system removes it when it is closed, whatever happens.
 * @throws UserError where no folder takes one
 */
export async function temporaryFile(): Promise<FileHandle> {
  const path = temporaryPath()
  try {
    return await open(path, 'r+')
  } finally {
    unlinkSync(path)
  }
}

/** The same at once, as a descriptor that all threads can use. */
export function temporaryDescriptor(): number {
  const { path, fd } = create()
  unlinkSync(path)
  return fd
}

/** Writes all of some bytes from an offset on. */
export async function writeAt(fd: number, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await write(fd, bytes, done, bytes.length - done, offset + done)).bytesWritten
}

/** So many bytes from an offset on; fewer where the file ends before. */
export async function readAt(fd: number, length: number, offset: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await read(fd, bytes, done, length - done, offset + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return bytes.subarray(0, done)
}

/** Bytes that are free where temporary files go; 0 where nobody tells. */
export function temporaryRoom(): number {
  try {
    const { bavail, bsize } = statfsSync(folders()[0])
    return bavail * bsize
  } catch {
    return 0
  }
}

function folders(): string[] {
  return [process.env.RUNNER_TEMP, tmpdir(), '.'].filter(folder => folder !== undefined && folder !== '') as string[]
}

/**
 * The path of an empty file, to be removed by whoever asks for it.
 * @throws UserError where no folder takes one
 */
export function temporaryPath(): string {
  const { path, fd } = create()
  closeSync(fd)
  return path
}

function create(): { path: string; fd: number } {
  const refusals: string[] = []
  for (const folder of folders()) {
    const path = join(folder, `spectral-gate-${randomUUID()}`)
    try {
      return { path, fd: openSync(path, 'wx+', 0o600) }
    } catch (cause) {
      refusals.push(`${folder} (${(cause as NodeJS.ErrnoException).code})`)
    }
  }
  throw new UserError(
    `No temporary file can be written: ${refusals.join(', ')}.`,
    'Compressed tensors are unpacked into one. Set TMPDIR to a folder that can be written to.',
  )
}

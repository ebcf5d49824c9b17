import { randomUUID } from 'node:crypto'
import { closeSync, openSync, statfsSync, unlinkSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../errors.ts'

/**
 * A file without a name, in the first folder that takes one: the system removes it when it is closed, whatever happens.
 * @throws UserError where no folder takes one
 */
export async function temporaryFile(): Promise<FileHandle> {
  const { path, fd } = create()
  try {
    return await open(path, 'r+')
  } finally {
    closeSync(fd)
    unlinkSync(path)
  }
}

/** The same at once, as a descriptor that all threads can use. */
export function temporaryDescriptor(): number {
  const { path, fd } = create()
  unlinkSync(path)
  return fd
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

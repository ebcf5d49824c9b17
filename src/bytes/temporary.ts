import { randomUUID } from 'node:crypto'
import { openSync, statfsSync, unlinkSync } from 'node:fs'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../errors.ts'

/**
 * A file without a name, in the first folder that takes one: the system removes it when it is closed, whatever happens.
 * @throws UserError where no folder takes one
 */
export async function temporaryFile(): Promise<FileHandle> {
  const refusals: string[] = []
  for (const folder of folders()) {
    const path = join(folder, nameOfOne())
    try {
      const file = await open(path, 'wx+', 0o600)
      await unlink(path)
      return file
    } catch (cause) {
      refusals.push(refusal(folder, cause))
    }
  }
  throw refused(refusals)
}

/** The same at once, as a descriptor that all threads can use. */
export function temporaryDescriptor(): number {
  const refusals: string[] = []
  for (const folder of folders()) {
    const path = join(folder, nameOfOne())
    try {
      const fd = openSync(path, 'wx+', 0o600)
      unlinkSync(path)
      return fd
    } catch (cause) {
      refusals.push(refusal(folder, cause))
    }
  }
  throw refused(refusals)
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

function nameOfOne(): string {
  return `spectral-gate-${randomUUID()}`
}

function refusal(folder: string, cause: unknown): string {
  return `${folder} (${(cause as NodeJS.ErrnoException).code})`
}

function refused(refusals: readonly string[]): UserError {
  return new UserError(
    `No temporary file can be written: ${refusals.join(', ')}.`,
    'Compressed tensors are unpacked into one. Set TMPDIR to a folder that can be written to.',
  )
}

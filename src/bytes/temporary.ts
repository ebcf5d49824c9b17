import { randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../errors.ts'

/**
 * A file without a name, in the first folder that takes one: the system removes it when it is closed, whatever happens.
 * @throws UserError where no folder takes one
 */
export async function temporaryFile(): Promise<FileHandle> {
  const folders = [process.env.RUNNER_TEMP, tmpdir(), '.'].filter(folder => folder !== undefined && folder !== '')
  const refusals: string[] = []
  for (const folder of folders) {
    const path = join(folder!, `spectral-gate-${randomUUID()}`)
    try {
      const file = await open(path, 'wx+', 0o600)
      await unlink(path)
      return file
    } catch (cause) {
      refusals.push(`${folder} (${(cause as NodeJS.ErrnoException).code})`)
    }
  }
  throw new UserError(
    `No temporary file can be written: ${refusals.join(', ')}.`,
    'Compressed tensors are unpacked into one. Set TMPDIR to a folder that can be written to.',
  )
}

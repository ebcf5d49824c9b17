import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { RandomAccessFile } from '../../../src/bytes/file.ts'
import type { Contents, Reader } from '../../../src/checkpoint/reader.ts'
import { CheckpointError } from '../../../src/errors.ts'
import { temporaryFolder } from '../../support/folder.ts'

export function write(bytes: Uint8Array, name: string, folder = temporaryFolder()): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

export async function describeWith(reader: Reader, path: string): Promise<Contents> {
  const file = await RandomAccessFile.open(path)
  try {
    return await reader.read(file, {})
  } finally {
    await file.close()
  }
}

export async function recognisedBy(reader: Reader, path: string): Promise<boolean> {
  const file = await RandomAccessFile.open(path)
  try {
    return reader.recognises({ head: await file.read(0, Math.min(4096, file.size)), size: file.size })
  } finally {
    await file.close()
  }
}

/** The message of the CheckpointError that describing a file ends in. */
export async function refusal(reader: Reader, path: string): Promise<string> {
  const error = await describeWith(reader, path).then(
    () => undefined,
    error => error,
  )
  expect(error).toBeInstanceOf(CheckpointError)
  expect(error.message).toContain(path)
  expect(error.message.length).toBeLessThan(1000)
  return error.message
}

import { closeSync, mkdirSync, readdirSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { temporaryDescriptor, temporaryFile, temporaryPath, temporaryRoom } from '../../src/bytes/temporary.ts'
import { temporaryFolder } from '../support/folder.ts'

let folder: string
beforeEach(() => {
  folder = temporaryFolder()
  vi.stubEnv('RUNNER_TEMP', folder)
})
afterEach(() => void vi.unstubAllEnvs())

test('has no name, and can be written and read', async () => {
  const file = await temporaryFile()
  await file.write(Buffer.from('abc'))
  expect((await file.read(Buffer.alloc(3), 0, 3, 0)).buffer.toString()).toBe('abc')
  await file.close()
  const fd = temporaryDescriptor()
  writeSync(fd, Buffer.from('abc'))
  const read = Buffer.alloc(3)
  expect([readSync(fd, read, 0, 3, 0), read.toString()]).toEqual([3, 'abc'])
  closeSync(fd)
  expect(readdirSync(folder)).toEqual([])
})

test('or a name, where the folder is', () => {
  const path = temporaryPath()
  expect(readdirSync(folder).map(name => join(folder, name))).toEqual([path])
})

test('lies in the next folder where the first takes none', async () => {
  vi.stubEnv('RUNNER_TEMP', join(folder, 'missing'))
  const second = join(folder, 'second')
  mkdirSync(second)
  vi.stubEnv('TMPDIR', second)
  const path = temporaryPath()
  expect(readdirSync(second).map(name => join(second, name))).toEqual([path])
  await (await temporaryFile()).close()
})

test('how much is free, where anybody tells', () => {
  expect(temporaryRoom()).toBeGreaterThan(0)
  vi.stubEnv('RUNNER_TEMP', join(folder, 'missing'))
  expect(temporaryRoom()).toBe(0)
})

test('a folder that is empty text is none', () => {
  vi.stubEnv('RUNNER_TEMP', '')
  vi.stubEnv('TMPDIR', folder)
  expect(temporaryPath().startsWith(folder)).toBe(true)
})

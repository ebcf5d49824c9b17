import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { prepareOutputs, write } from '../../src/pipeline/output.ts'
import { temporaryFolder } from '../support/folder.ts'

test('a file is moved into place whole: its mode and a link to it stay, and nothing is left beside it', async () => {
  const folder = temporaryFolder()
  const path = join(folder, 'report.json')
  writeFileSync(path, 'before')
  chmodSync(path, 0o640)
  symlinkSync('report.json', join(folder, 'link.json'))
  await write(join(folder, 'link.json'), 'after')
  expect(readFileSync(path, 'utf8')).toBe('after')
  expect(statSync(path).mode & 0o777).toBe(0o640)
  expect(readdirSync(folder).sort()).toEqual(['link.json', 'report.json'])
})

test('a write that fails leaves the older file as it was', async () => {
  const folder = temporaryFolder()
  const path = join(folder, 'report.json')
  writeFileSync(path, 'before')
  // A text that can't be made fails in the middle, as a full disk does.
  const broken = { toString: () => 'x' } as unknown as string
  await expect(write(path, broken)).rejects.toThrow(UserError)
  expect(readFileSync(path, 'utf8')).toBe('before')
  expect(readdirSync(folder)).toEqual(['report.json'])
})

test('what is no file is written to as it is', async () => {
  await write('/dev/null', 'x')
})

test('an output does not take the place of a shard that an index names', async () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'model'))
  const shard = join(folder, 'model/model-00001-of-00001.safetensors')
  writeFileSync(shard, '')
  const onFiles = await prepareOutputs([shard], [join(folder, 'model/model.safetensors.index.json')])
  await expect(onFiles([shard])).rejects.toThrow(/is read: the output would take its place/)
  await onFiles([join(folder, 'other.safetensors')])
})

test('below a folder that takes none is an error at once', async () => {
  await expect(write('/proc/spectral-gate/a/report.json', 'x')).rejects.toThrow(/can't be written \((ENOENT|EACCES)\)/)
})

test('folders that are not there are made, and a file in their place is an error', async () => {
  const folder = temporaryFolder()
  await write(join(folder, 'a/b/report.json'), 'x')
  expect(readFileSync(join(folder, 'a/b/report.json'), 'utf8')).toBe('x')
  await expect(write(join(folder, 'a/b/report.json/c/report.json'), 'x')).rejects.toThrow(/ENOTDIR/)
})

test.skipIf(process.platform === 'win32')('a pipe is written where somebody reads from it', async () => {
  const pipe = join(temporaryFolder(), 'pipe')
  execFileSync('mkfifo', [pipe])
  await expect(write(pipe, 'x')).rejects.toThrow(/can't be written \(ENXIO\)/)
  const text = 'x'.repeat(300_000)
  const reader = readFile(pipe, 'utf8')
  await vi.waitFor(async () => write(pipe, text))
  expect(await reader).toBe(text)
})

test.skipIf(process.platform === 'win32')('what a process has open is written to, and not replaced', async () => {
  const file = join(temporaryFolder(), 'summary.md')
  writeFileSync(file, 'before\n')
  const fd = openSync(file, 'a')
  try {
    await write(`/dev/fd/${fd}`, 'ours\n')
    await write(`/proc/self/fd/${fd}`, 'again\n')
    writeSync(fd, 'after\n')
  } finally {
    closeSync(fd)
  }
  expect(readFileSync(file, 'utf8')).toBe('before\nours\nagain\nafter\n')
})

import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RandomAccessFile } from '../../src/bytes/file.ts'
import { readSmallFile } from '../../src/bytes/small-file.ts'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { readConfig } from '../../src/config/file.ts'
import { readCustomMetrics } from '../../src/report/custom-metrics.ts'
import { readPart, readReport } from '../../src/report/io.ts'
import { temporaryFolder } from '../support/folder.ts'
import { writeSafetensors } from '../support/safetensors.ts'

test('a file of the most bytes is read, and one of more is not', async () => {
  const path = join(temporaryFolder(), 'a')
  writeFileSync(path, 'four')
  expect(String(await readSmallFile(path, 4))).toBe('four')
  await expect(readSmallFile(path, 3)).rejects.toThrow('a: has 4 bytes, more than 3')
  writeFileSync(path, '')
  expect(await readSmallFile(path, 3)).toHaveLength(0)
})

const READERS: Record<string, (path: string) => Promise<unknown>> = {
  'a config file': path => readConfig(path),
  'a metrics file': readCustomMetrics,
  'a report': readReport,
  'a part': readPart,
  'a small file': path => readSmallFile(path, 100),
  'a checkpoint of known headers': path => RandomAccessFile.open(path),
}

test.each(Object.keys(READERS))('a FIFO, a device and a folder as %s are refused without waiting', async kind => {
  const folder = temporaryFolder()
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  for (const path of [fifo, '/dev/zero', folder]) {
    await expect(READERS[kind]!(path)).rejects.toThrow(/is no file|is neither a file nor a folder|can't be read/)
  }
})

test('FIFOs beside the weights, under the names of configs and indices, are not waited for', async () => {
  const folder = join(temporaryFolder(), 'model')
  mkdirSync(folder)
  execFileSync('mkfifo', [join(folder, 'other.safetensors.index.json')])
  const weights = writeSafetensors({
    'l.qweight': { dtype: 'I32', shape: [8, 16] },
    'l.qzeros': { dtype: 'I32', shape: [2, 2] },
    'l.scales': { dtype: 'F16', shape: [2, 16] },
    'l.lora_A.weight': { shape: [2, 2] },
  })
  const path = join(folder, 'model.safetensors')
  execFileSync('cp', [weights, path])
  expect((await openCheckpoint(path)).tensors).toHaveLength(4)
  for (const name of ['adapter_config.json', 'quantize_config.json', 'config.json']) {
    execFileSync('mkfifo', [join(folder, name)])
    await expect(openCheckpoint(path)).rejects.toThrow(`${join(folder, name)}: is no file`)
    rmSync(join(folder, name))
  }
})

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { limits } from '../../src/limits.ts'
import { temporaryFolder } from '../support/folder.ts'
import { archive, dict, makeZip, tensor } from './torch/build.ts'

const { zerosBytes, inflateRatio } = limits.zip
const { expandedElements, viewsRatio } = limits.checkpoint
afterEach(() => {
  Object.assign(limits.zip, { zerosBytes, inflateRatio })
  Object.assign(limits.checkpoint, { expandedElements, viewsRatio })
})

const storage = Buffer.from(Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i * i)).buffer)

/** So many overlapping views of 16 KiB, of 16,000 bytes each. */
function views(count: number): Buffer {
  const names = Array.from({ length: count }, (_, i) => `w${i}`)
  const view = (offset: number) => tensor({ numel: 4096, offset, shape: [16, 250], strides: [250, 1] })
  return makeZip(archive(dict(Object.fromEntries(names.map((name, i) => [name, view(i)]))), storage))
}

async function opened(name: string, bytes: Buffer): Promise<number> {
  const path = join(temporaryFolder(), name)
  writeFileSync(path, bytes)
  return (await openCheckpoint(path)).tensors.length
}

test('views that are together far more than is stored', async () => {
  Object.assign(limits.checkpoint, { expandedElements: 8000, viewsRatio: 0 })
  expect(await opened('model.pt', views(4))).toBe(4)
  await expect(opened('model.pt', views(5))).rejects.toMatchObject({
    message: expect.stringMatching(
      /model\.pt: with "w4" its tensors have more than 64000 bytes, of the \d{5} that are/,
    ),
    remedy: 'Save its tensors unexpanded, each with its own storage.',
  })
})

test('views of what is deflated, each of which is unpacked', async () => {
  Object.assign(limits.zip, { zerosBytes: 160_000, inflateRatio: 0 })
  const agent = (count: number) =>
    makeZip([
      { name: 'data', data: Buffer.from('{}') },
      { name: 'policy.pth', data: views(count), method: 8 },
    ])
  expect(await opened('agent.zip', agent(10))).toBe(10)
  await expect(opened('agent.zip', agent(11))).rejects.toMatchObject({
    message: expect.stringMatching(
      /agent\.zip: with "w10" its tensors unpack to more than 160000 bytes, of the \d{5} that/,
    ),
    remedy: 'Save it without compression.',
  })
})

test('matrices that a few bytes stand for, whose spectra would take minutes', async () => {
  const hankel = (side: number) =>
    makeZip(archive(dict({ w: tensor({ numel: 4096, shape: [side, side], strides: [1, 1] }) }), storage))
  const { expandedWork, workRatio } = limits.checkpoint
  try {
    Object.assign(limits.checkpoint, { expandedWork: 1e9, workRatio: 0 })
    expect(await opened('model.pt', hankel(1000))).toBe(1)
    await expect(opened('model.pt', hankel(1001))).rejects.toThrow(
      /with "w" its \d+ bytes stand for matrices whose spectra take far more work than any of that size/,
    )
  } finally {
    Object.assign(limits.checkpoint, { expandedWork, workRatio })
  }
})

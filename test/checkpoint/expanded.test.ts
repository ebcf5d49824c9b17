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

/** An adapter of rank 1, of so many updates of so many rows and columns, all in the same bytes or each in its own. */
function adapter(count: number, side: number, isShared: boolean): string {
  const folder = temporaryFolder()
  const numel = isShared ? side : 2 * count * side
  const factor = (i: number, shape: number[]) => {
    return tensor({ numel, offset: isShared ? 0 : i * side, shape, strides: [shape[1]!, 1] })
  }
  const tensors = Array.from({ length: count }, (_, i) => [
    [`base_model.model.l.${i}.q.lora_A.weight`, factor(2 * i, [1, side])],
    [`base_model.model.l.${i}.q.lora_B.weight`, factor(2 * i + 1, [side, 1])],
  ])
  const pickle = dict(Object.fromEntries(tensors.flat()))
  writeFileSync(join(folder, 'adapter_model.bin'), makeZip(archive(pickle, Buffer.alloc(4 * numel))))
  writeFileSync(join(folder, 'adapter_config.json'), '{"peft_type":"LORA","r":1,"lora_alpha":1,"target_modules":".*"}')
  return folder
}

test('updates that share a few bytes, whose elements would take minutes to look at', async () => {
  expect((await openCheckpoint(adapter(20, 4096, false))).updates).toHaveLength(20)
  await expect(openCheckpoint(adapter(400, 4096, true))).rejects.toMatchObject({
    message: expect.stringMatching(/with "l\.\d+\.q\.weight" its \d+ bytes stand for updates of far more elements/),
    remedy: expect.stringMatching(/each with its own storage/),
  })
})

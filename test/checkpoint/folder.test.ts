import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { explain } from '../../src/errors.ts'
import { temporaryFolder } from '../support/folder.ts'
import { writeSafetensors } from '../support/safetensors.ts'

const LFS = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n'

const refusal = (path: string) => openCheckpoint(path).then(() => 'accepted', explain)

/** Two shards, and an index that places a and b in the first, c in the second unless told otherwise. */
function sharded(
  map: Record<string, string> = { a: 'm-1.safetensors', b: 'm-1.safetensors', c: 'm-2.safetensors' },
): string {
  const folder = temporaryFolder()
  writeSafetensors({ a: { shape: [2, 2] }, b: { shape: [2] } }, 'm-1.safetensors', folder)
  writeSafetensors({ c: { shape: [3, 3] } }, 'm-2.safetensors', folder)
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }))
  return folder
}

test('a folder is read through its index', async () => {
  const folder = sharded()
  const { tensors, format, path } = await openCheckpoint(folder)
  expect({ format, path }).toEqual({ format: 'safetensors', path: folder })
  expect(tensors.map(({ name, source }) => [name, source.path])).toEqual([
    ['a', join(folder, 'm-1.safetensors')],
    ['b', join(folder, 'm-1.safetensors')],
    ['c', join(folder, 'm-2.safetensors')],
  ])
})

test('model.safetensors stands for the folder, and so does a single file of another name', async () => {
  const folder = temporaryFolder()
  writeSafetensors({ a: { shape: [2, 2] } }, 'model.safetensors', folder)
  writeFileSync(join(folder, 'pytorch_model.bin'), 'the same weights once more')
  expect((await openCheckpoint(folder)).tensors).toHaveLength(1)
  const other = temporaryFolder()
  writeSafetensors({ a: { shape: [2, 2] } }, 'diffusion.safetensors', other)
  expect((await openCheckpoint(other)).tensors).toHaveLength(1)
})

test.each([
  [
    'a missing shard',
    { a: 'm-1.safetensors', b: 'm-1.safetensors', c: 'm-3.safetensors' },
    /the shard "m-3.safetensors" is missing/,
  ],
  [
    'a tensor in the wrong shard',
    { a: 'm-1.safetensors', b: 'm-2.safetensors', c: 'm-2.safetensors' },
    /m-2.safetensors: lacks the tensor "b"/,
  ],
  [
    'a tensor that no shard has',
    { a: 'm-1.safetensors', b: 'm-1.safetensors', c: 'm-2.safetensors', d: 'm-2.safetensors' },
    /lacks the tensor "d"/,
  ],
  ['a shard outside the folder', { a: '../m-1.safetensors' }, /lies outside its folder/],
  ['an empty map', {}, /empty weight_map/],
  ['a map to numbers', { a: 1 as unknown as string }, /no weight_map from tensors to shards/],
])('refuses an index with %s', async (_, map, message) => {
  expect(await refusal(sharded(map))).toMatch(message)
})

test('refuses an index that is no JSON', async () => {
  const folder = sharded()
  writeFileSync(join(folder, 'model.safetensors.index.json'), '{')
  expect(await refusal(folder)).toMatch(/index.json: is not valid JSON/)
})

test('refuses a tensor that two shards hold', async () => {
  const folder = sharded()
  writeSafetensors({ a: { shape: [2, 2] }, c: { shape: [3, 3] } }, 'm-2.safetensors', folder)
  expect(await refusal(folder)).toMatch(/m-2.safetensors: holds "a", which .*m-1.safetensors holds too/)
})

test('a Git LFS pointer is known by its content: the file itself, a shard, the index', async () => {
  const file = join(temporaryFolder(), 'net.safetensors')
  writeFileSync(file, LFS)
  expect(await refusal(file)).toMatch(
    /net.safetensors: is a Git LFS pointer, not the weights \(12345 bytes\)\n.*`lfs: true`.*`git lfs pull`/,
  )
  const shard = sharded()
  writeFileSync(join(shard, 'm-2.safetensors'), LFS)
  expect(await refusal(shard)).toMatch(/m-2.safetensors: is a Git LFS pointer/)
  const index = sharded()
  writeFileSync(join(index, 'model.safetensors.index.json'), LFS)
  expect(await refusal(index)).toMatch(/index.json: is a Git LFS pointer/)
})

test('a DVC pointer is known by its content', async () => {
  const file = join(temporaryFolder(), 'net.pt')
  writeFileSync(file, 'outs:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f\n  size: 14445097\n  hash: md5\n  path: net.pt\n')
  expect(await refusal(file)).toMatch(/is a DVC pointer, not the weights\n.*`dvc pull`/)
})

test('a folder of pointers that hide the weights says what to fetch', async () => {
  const folder = temporaryFolder()
  writeFileSync(
    join(folder, 'model.safetensors.dvc'),
    'outs:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f\n  path: model.safetensors\n',
  )
  expect(await refusal(folder)).toMatch(/only the DVC pointer model.safetensors.dvc\n.*`dvc pull`/)
})

test('refuses a folder without checkpoints, one with several, and what is no file at all', async () => {
  const empty = temporaryFolder()
  expect(await refusal(empty)).toMatch(/has no checkpoint in it/)
  writeSafetensors({ a: { shape: [2, 2] } }, 'a.safetensors', empty)
  writeSafetensors({ a: { shape: [2, 2] } }, 'b.safetensors', empty)
  expect(await refusal(empty)).toMatch(/has 2 safetensors files and no index: a.safetensors, b.safetensors/)
  expect(await refusal(join(empty, 'nothing.pt'))).toMatch(/nothing.pt: no such file or folder/)
  mkdirSync(join(empty, 'sub'))
  symlinkSync('/dev/null', join(empty, 'sub', 'model.safetensors'))
  expect(await refusal(join(empty, 'sub'))).toMatch(/neither a file nor a folder/)
})

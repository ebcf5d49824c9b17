import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { deflateSync } from 'node:zlib'
import { expect, test } from 'vitest'
import type { Cursor } from '../../../src/checkpoint/hdf5/cursor.ts'
import { Store } from '../../../src/checkpoint/hdf5/store.ts'
import { CheckpointError } from '../../../src/errors.ts'
import { limits } from '../../../src/limits.ts'
import { u64 } from '../../support/bytes.ts'
import { read, refusal } from '../keras/values.ts'
import {
  chunked,
  chunkKey,
  contiguous,
  continuation,
  continues,
  dataset,
  deflated,
  F32,
  hdf5,
  header,
  link,
  type Message,
  NOWHERE,
  ROOT,
  symbolTable,
  tree,
  write,
} from './build.ts'

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/keras/${name}`, import.meta.url))

/** A file with one dataset `w`, whose header is the second part; more parts may follow. */
const one = (w: Buffer, ...more: Buffer[]) => write(hdf5(header(link('w', SECOND)), w, ...more))
const SECOND = ROOT + header(link('w', 0)).length
const after = (...parts: Buffer[]) => parts.reduce((at, part) => at + Math.ceil(part.length / 8) * 8, SECOND)

test('a well-formed file made by the same builder is read', async () => {
  const w = dataset([2, 2], contiguous(after(dataset([2, 2], contiguous(0, 0))), 16))
  const path = one(w, Buffer.alloc(16))
  expect((await read(path)).tensors).toMatchObject([{ name: 'w', dtype: 'F32', shape: [2, 2] }])
  expect(await refusal(path)).toBe('accepted')
})

test('a file cut anywhere', async () => {
  const whole = readFileSync(fixture('keras2.h5'))
  for (let cut = 8; cut < whole.length; cut += 997) {
    const message = await refusal(write(whole.subarray(0, cut)))
    expect(message, `cut at ${cut}`).toContain('fetch or save it again')
  }
})

test.each([
  ['itself', (at: number): Message[] => [continues(at, 24)], /HDF5 structure at byte \d+ continues in itself/],
  ['beyond the file', (): Message[] => [continues(1e9, 24)], /bytes 1000000000 to 1000000024 of HDF5 are needed/],
  ['nowhere', (): Message[] => [[0x10, Buffer.concat([u64(NOWHERE), u64(24)])]], /has no continuation/],
])('an object header that continues in %s', async (_, messages, found) => {
  const at = ROOT + header(continues(0, 0)).length
  const path = write(hdf5(header(continues(at, 24)), continuation(...messages(at))))
  expect(await refusal(path)).toMatch(found)
})

test('an object header of 4 GB', async () => {
  const absurd = header(link('w', ROOT))
  absurd.writeUInt32LE(0xffffffff, 8)
  expect(await refusal(write(hdf5(absurd)))).toMatch(/bytes 112 to 4294967407 of HDF5 are needed, but there are \d+/)
})

test('groups that hold each other end: each is entered once', async () => {
  const size = header(link('a', 0)).length
  const path = write(hdf5(header(link('a', ROOT + size)), header(link('b', ROOT))))
  expect(await read(path)).toMatchObject({ tensors: [], ignored: ['a/b (one more link to what was read)'] })
})

test('groups within groups', async () => {
  const size = header(link('g', 0)).length
  const path = write(hdf5(...Array.from({ length: 100 }, (_, i) => header(link('g', ROOT + size * (i + 1))))))
  expect(await refusal(path)).toMatch(/nests more than 32 groups at "g\/g\//)
})

test('a B-tree of a group that leads to itself', async () => {
  const root = header(symbolTable(0, 0))
  const at = ROOT + root.length
  const node = tree(0, 1, [[u64(0), at]])
  const heap = Buffer.concat([Buffer.from('HEAP\0\0\0\0'), u64(8), u64(0), u64(at)])
  const path = write(hdf5(header(symbolTable(at, at + node.length)), node, heap))
  expect(await refusal(path)).toContain('is a node of a B-tree that leads to itself')
})

test('a B-tree whose nodes name one child over and over', async () => {
  const root = header(symbolTable(0, 0))
  const at = ROOT + root.length
  const node = (level: number, child: number) => tree(0, level, Array(100).fill([u64(0), child]))
  const size = node(0, 0).length
  const nodes = [5, 4, 3, 2, 1, 0].map((level, i) => node(level, at + size * (i + 1)))
  const heap = Buffer.concat([Buffer.from('HEAP\0\0\0\0'), u64(8), u64(0), u64(at)])
  const path = write(hdf5(header(symbolTable(at, at + size * 6)), ...nodes, heap))
  expect(await refusal(path)).toMatch(/leads to itself|is "HEAP" where SNOD is due/)
})

test.each([
  ['that overflows', [2 ** 40, 2 ** 40], contiguous(0, 0), /tensor "w": its shape \[\d+,\d+\] overflows/],
  ['beyond 2^53', [2n ** 60n], contiguous(0, 0), /holds a number beyond 2\^53/],
  ['beyond the file', [1000, 1000], contiguous(0, 4_000_000), /tensor "w": bytes 0 to 4000000 of HDF5 are needed/],
  ['of another size', [4, 4], contiguous(0, 16), /of shape \[4,4\] takes 64 bytes, but 16 are set aside/],
  ['of huge chunks', [9, 9], chunked(0, 65536, 65536), /has chunks of 17179869184 bytes, more than 33554432/],
  ['of empty chunks', [9, 9], chunked(0, 0, 9), /has chunks of shape \[0,9\]/],
  ['of countless chunks', [1e6, 1e6], chunked(0, 1, 1), /claims 1000000000000 chunks/],
  ['of 33 dimensions', Array(33).fill(1), contiguous(0, 4), /has 33 dimensions, more than 32/],
  ['that unpacks to gigabytes', [4096, 65536], chunked(0, 64, 65536), /claims to unpack from \d+ to 1073741824 bytes/],
  ['of a virtual layout', [2, 2], Buffer.from([4, 3, ...Array(20).fill(0)]), /is a virtual dataset/],
])('a dataset %s', async (_, shape, layout, found) => {
  const path = one(dataset(shape, layout), Buffer.alloc(2000))
  expect(await refusal(path)).toMatch(found)
})

test('datasets that share bytes', async () => {
  const root = header(link('v', 0), link('w', 0))
  const at = ROOT + root.length
  const data = dataset([2, 2], contiguous(ROOT, 16))
  const path = write(hdf5(header(link('v', at), link('w', at + data.length)), data, data))
  expect(await refusal(path)).toMatch(/the tensors "v" and "w" overlap/)
})

test.each([
  [
    'inflates beyond its size',
    deflateSync(Buffer.alloc(1e6)),
    [0, 0],
    /tensor "w": a chunk of it unpacks to more than 68/,
  ],
  ['inflates to less', deflateSync(Buffer.alloc(60)), [0, 0], /a chunk of it unpacks to 60 bytes instead of 64/],
  ['is damaged', Buffer.alloc(40, 7), [0, 0], /tensor "w": a chunk of it is damaged/],
  ['lies outside', deflateSync(Buffer.alloc(64)), [4, 0], /has a chunk outside of its shape/],
  ['lies between', deflateSync(Buffer.alloc(64)), [3, 0], /places a chunk at 3, between chunks of 4/],
])('a chunk that %s', async (_, stored, offsets, found) => {
  const head = (at: number) => dataset([4, 4], chunked(at, 4, 4), deflated)
  const index = (at: number) =>
    Buffer.concat([tree(1, 0, [[chunkKey(stored.length, ...offsets), at]]), chunkKey(0, 8, 8)])
  const at = after(head(0))
  const path = one(head(at), index(at + index(0).length), stored)
  expect(await refusal(path)).toMatch(found)
})

test('chunks that all lie at one place', async () => {
  const stored = deflateSync(Buffer.alloc(65536))
  const entries = (at: number) =>
    Array.from({ length: 64 }, (_, i) => [chunkKey(stored.length, i * 128, 0), at] as const)
  const head = (at: number) => dataset([64 * 128, 128], chunked(at, 128, 128), deflated)
  const at = after(head(0))
  const path = one(head(at), tree(1, 0, entries(at + tree(1, 0, entries(0)).length)), stored)
  expect(await refusal(path)).toMatch(/accepted|its chunks take more bytes than the file has/)
})

test.each([
  ['external-link.h5', /"stolen": is a link into another file, which is never followed .*expand_external/],
  ['external-storage.h5', /tensor "w": keeps its elements in other files .*h5repack/],
  ['virtual.h5', /tensor "w": is a virtual dataset, whose parts may lie in other files; these are never followed/],
])('%s is refused', async (name, found) => {
  expect(await refusal(fixture(name))).toMatch(found)
})

test('a chunk whose checksum is wrong', async () => {
  const whole = readFileSync(fixture('chunked.h5'))
  const { tensors } = await read(fixture('chunked.h5'))
  const plain = tensors.find(({ name }) => name === 'fletcher')!
  // The only chunk without compression: its first element is found in the file as it is.
  const { values } = await import('../keras/values.ts')
  const at = whole.indexOf((await values(plain)).subarray(0, 40))
  whole[at] ^= 1
  expect(await refusal(write(whole))).toMatch(/tensor "fletcher": the checksum of a chunk of it is wrong/)
})

test.each([
  ['the sign elsewhere', 2, 0],
  ['no hidden bit', 1, 0x00],
  ['a mantissa that begins with its first bit', 1, 0x10],
  ["VAX's byte order", 1, 0x61],
  ['bits left over below', 8, 1],
  ['bits left over above', 10, 31],
])('floats with %s are not read as the usual ones', async (_, at, value) => {
  const type = Buffer.from(F32)
  type[at] = value
  const build = (address: number) => dataset([2, 2], contiguous(address, 16))
  const whole = hdf5(header(link('w', SECOND)), build(after(build(0))), Buffer.alloc(16))
  type.copy(whole, whole.indexOf(F32))
  const { tensors, unread } = await read(write(whole))
  expect(tensors).toEqual([])
  expect(unread).toMatchObject([{ name: 'w', reason: expect.stringContaining('floats of 4 bytes') }])
})

test('links are counted over all groups, and so are the characters of their names', () => {
  const bytes = { path: 'a.h5', size: 100, read: async () => Buffer.alloc(0) }
  const cursor = { error: (found: string) => new CheckpointError('a.h5', found) } as Cursor
  const long = 'n'.repeat(limits.checkpoint.nameCharacters)
  const names = new Store(bytes as never)
  for (let i = 0; i < limits.work.namesCharacters / long.length; i++) names.counted(cursor, long)
  expect(() => names.counted(cursor, 'n')).toThrow('holds names of more than')
  const links = new Store(bytes as never)
  for (let i = 0; i < limits.hdf5.linksCount; i++) links.counted(cursor, '')
  expect(() => links.counted(cursor, '')).toThrow('holds one of more than 1000000 links')
})

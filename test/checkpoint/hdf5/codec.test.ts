import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { type ChunkParameters, unpackChunks } from '../../../src/checkpoint/hdf5/codec.ts'
import { limits } from '../../../src/limits.ts'
import { u32, u64 } from '../../support/bytes.ts'
import { temporaryFolder } from '../../support/folder.ts'

const SHAPE = [12, 3, 500_000] as const
const CHUNK = [12, 2, 150_000] as const
const DEFLATE = 1

/** Far from random, and another for each element of a row. */
const valueAt = (a: number, b: number, c: number) => (a * 31 + b * 7 + (c >> 8)) & 0xffff

function chunkBytes(first: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * CHUNK[0] * CHUNK[1] * CHUNK[2])
  const values = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  let i = 0
  for (let a = 0; a < CHUNK[0]; a++) {
    for (let b = 0; b < CHUNK[1]; b++)
      for (let c = 0; c < CHUNK[2]; c++) values[i++] = valueAt(a, first[1] + b, first[2] + c)
  }
  return bytes
}

/** A file of nothing but an index and its chunks: all of them but the last. */
function write(deflated: boolean): { path: string; parameters: ChunkParameters } {
  const places = [0, 2].flatMap(b => [0, 150_000, 300_000, 450_000].map(c => [0, b, c])).slice(0, -1)
  const chunks = places.map(place => (deflated ? deflateSync(chunkBytes(place), { level: 1 }) : chunkBytes(place)))
  const key = (length: number, place: readonly number[]) =>
    Buffer.concat([u32(length), u32(0), ...place.map(n => u64(n)), u64(0)])
  let at = 24 + places.length * (8 + 8 * 4 + 8) + 8 + 8 * 4
  const entries = places.flatMap((place, i) => {
    const address = at
    at += chunks[i].length
    return [key(chunks[i].length, place), u64(address)]
  })
  const head = Buffer.concat([
    Buffer.from('TREE'),
    Buffer.from([1, 0, places.length, 0]),
    u64(2n ** 64n - 1n),
    u64(2n ** 64n - 1n),
  ])
  const bytes = Buffer.concat([head, ...entries, key(0, [12, 0, 0]), ...chunks])
  const path = join(temporaryFolder(), 'chunks.h5')
  writeFileSync(path, bytes)
  const parameters: ChunkParameters = {
    tensor: 'w',
    embedded: { offset: 0, length: bytes.length },
    base: 0,
    widths: { address: 8, length: 8 },
    shape: SHAPE,
    chunk: CHUNK,
    index: { kind: 'btree-1', address: 0 },
    filters: deflated ? [{ id: DEFLATE, values: [1] }] : [],
    elementBytes: 4,
    bigEndian: false,
  }
  return { path, parameters }
}

test.each([
  ['deflated', true],
  ['as they are', false],
])('chunks that many slabs cross, %s, are unpacked once each', async (_, deflated) => {
  const { path, parameters } = write(deflated)
  const total = 4 * SHAPE[0] * SHAPE[1] * SHAPE[2]
  expect(total).toBeGreaterThan(4 * limits.hdf5.slabBytes)
  // Once for each slab would be more than the budget has.
  const slabs = Math.ceil(SHAPE[0] / Math.floor(limits.hdf5.slabBytes / (total / SHAPE[0])))
  expect(slabs * 7 * 4 * CHUNK[0] * CHUNK[1] * CHUNK[2]).toBeGreaterThan(limits.zip.zerosBytes)
  let element = 0
  let wrong = 0
  for await (const piece of unpackChunks(path, parameters)) {
    const values = new Uint32Array(new Uint8Array(piece).buffer)
    for (const value of values) {
      const c = element % SHAPE[2]
      const b = Math.floor(element / SHAPE[2]) % SHAPE[1]
      const a = Math.floor(element / SHAPE[2] / SHAPE[1])
      if (value !== (b >= 2 && c >= 450_000 ? 0 : valueAt(a, b, c))) wrong++
      element++
    }
  }
  expect(element * 4).toBe(total)
  expect(wrong).toBe(0)
})

test.each([
  ['in a leaf', 24 + 48 * 2 + 16, 'out of order'],
  ['within an element', 24 + 8 + 24, 'out of order'],
  ['beyond the end of the tree', 24 + 48 * 7 + 8, 'out of order'],
])('chunks that libhdf5 would not find are refused: a flipped bit %s', async (_, at, found) => {
  const { path, parameters } = write(true)
  const bytes = readFileSync(path)
  bytes.writeBigUInt64LE(at === 24 + 48 * 7 + 8 ? 0n : 1n, at)
  writeFileSync(path, bytes)
  const read = async () => {
    for await (const piece of unpackChunks(path, parameters)) expect(piece.length).toBeGreaterThan(0)
  }
  await expect(read()).rejects.toThrow(found)
})

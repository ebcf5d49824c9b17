import { CheckpointError, RESAVE } from '../../errors.ts'
import { size } from '../elements.ts'
import { entriesV1, recordsV2 } from './btree.ts'
import type { Cursor } from './cursor.ts'
import { chunkGrid } from './dataset.ts'
import type { ChunkIndex } from './layout.ts'
import type { Store } from './store.ts'

/** Where the chunks of a dataset lie, by their number in the row-major grid of chunks. Absent ones have the address −1. */
export interface ChunkTable {
  readonly address: Float64Array
  /** Bytes as stored. */
  readonly length: Float64Array
  readonly mask: Uint32Array
}

interface Geometry {
  readonly shape: readonly number[]
  readonly chunk: readonly number[]
  /** Of an unfiltered chunk. */
  readonly chunkBytes: number
  readonly filtered: boolean
}

/** Reads the whole index of a dataset's chunks; how many there may be was checked before. */
export async function readChunkTable(
  store: Store,
  where: string,
  index: ChunkIndex,
  of: Geometry,
): Promise<ChunkTable> {
  const count = size(chunkGrid(of.shape, of.chunk))
  const table = new Table(where, count)
  const { address } = index
  if (address === undefined) return table
  if (index.kind === 'single') table.set(0, address, index.length ?? of.chunkBytes, index.mask ?? 0)
  else if (index.kind === 'implicit') {
    for (let i = 0; i < count; i++) table.set(i, address + i * of.chunkBytes, of.chunkBytes, 0)
  } else if (index.kind === 'fixed-array') await fixedArray(store, table, address, of)
  else if (index.kind === 'btree-1') await btree1(store, table, address, of)
  else await btree2(store, table, address, of)
  if (table.length.reduce((sum, length) => sum + length, 0) > store.size) {
    throw new CheckpointError(where, 'its chunks take more bytes than the file has', RESAVE)
  }
  return table
}

class Table implements ChunkTable {
  readonly address: Float64Array
  readonly length: Float64Array
  readonly mask: Uint32Array
  readonly #where: string

  constructor(where: string, count: number) {
    this.#where = where
    this.address = new Float64Array(count).fill(-1)
    this.length = new Float64Array(count)
    this.mask = new Uint32Array(count)
  }

  set(i: number, address: number, length: number, mask: number): void {
    if (!(i < this.address.length)) throw new CheckpointError(this.#where, 'has a chunk outside of its shape', RESAVE)
    if (this.address[i] >= 0) throw new CheckpointError(this.#where, `has its chunk ${i} twice`, RESAVE)
    this.address[i] = address
    this.length[i] = length
    this.mask[i] = mask
  }
}

async function btree1(store: Store, table: Table, address: number, { shape, chunk }: Geometry): Promise<void> {
  const grid = chunkGrid(shape, chunk)
  for await (const { key, child } of entriesV1(store, address, 1, 8 + 8 * (shape.length + 1))) {
    const length = key.u32()
    const mask = key.u32()
    const scaled = chunk.map(n => {
      const offset = key.uint(8)
      if (offset % n !== 0) throw key.error(`places a chunk at ${offset}, between chunks of ${n}`)
      return offset / n
    })
    // Of the dimension of an element's bytes: libhdf5 looks for 0, and would not find the chunk.
    if (key.uint(8) !== 0) throw key.error('is a chunk out of order')
    table.set(linear(scaled, grid), child, length, mask)
  }
}

async function btree2(store: Store, table: Table, address: number, of: Geometry): Promise<void> {
  const grid = chunkGrid(of.shape, of.chunk)
  let last = -1
  for await (const record of recordsV2(store, address, of.filtered ? 11 : 10)) {
    const child = record.target('chunk')
    const [length, mask] = of.filtered ? filteredSize(record, 8 * grid.length) : [of.chunkBytes, 0]
    const scaled = grid.map(() => record.uint(8))
    const i = linear(scaled, grid)
    // libhdf5 would not find it, and give the fill value.
    if (i < last) throw record.error('is a chunk out of order')
    last = i
    table.set(i, child, length, mask)
  }
}

async function fixedArray(store: Store, table: Table, address: number, of: Geometry): Promise<void> {
  const { address: a, length: l } = store.widths
  const head = await store.at(address, 8 + l + a)
  head.signature('FAHD')
  head.version(0)
  const client = head.u8()
  const entryBytes = head.u8()
  const pageBits = head.u8()
  const count = head.size()
  const block = head.target('data block')
  if (client !== (of.filtered ? 1 : 0) || count !== table.address.length || pageBits > 30 || entryBytes < a) {
    throw head.error('is an array that does not fit its dataset')
  }
  const perPage = 1 << pageBits
  const pages = count > perPage ? Math.ceil(count / perPage) : 0
  const prefix = 6 + a
  const data = await store.at(block, prefix + Math.ceil(pages / 8))
  data.signature('FADB')
  data.skip(prefix - 4)
  let at = block + prefix + Math.ceil(pages / 8) + (pages ? 4 : 0)
  for (let i = 0; i < count; ) {
    const entries = await store.at(at, Math.min(count - i, pages ? perPage : count) * entryBytes)
    at += entries.left + 4
    const written = !pages || (data.bytes[prefix + ((i / perPage) >> 3)] & (0x80 >> ((i / perPage) % 8))) !== 0
    for (; entries.left > 0; i++) {
      const entry = entries.sub(entryBytes)
      const child = written ? entry.pointer() : undefined
      if (child === undefined) continue
      const [length, mask] = of.filtered ? filteredSize(entry, 0) : [of.chunkBytes, 0]
      table.set(i, child, length, mask)
    }
  }
}

/** The stored size, which takes what room is left before a mask of 4 bytes and `behind` more. */
function filteredSize(cursor: Cursor, behind: number): [number, number] {
  const width = cursor.left - 4 - behind
  if (width < 1 || width > 8) throw cursor.error('is no entry of a filtered chunk')
  return [cursor.uint(width), cursor.u32()]
}

function linear(scaled: readonly number[], grid: readonly number[]): number {
  let index = 0
  for (let d = 0; d < grid.length; d++) {
    if (scaled[d] >= grid[d]) return Number.POSITIVE_INFINITY
    index = index * grid[d] + scaled[d]
  }
  return index
}

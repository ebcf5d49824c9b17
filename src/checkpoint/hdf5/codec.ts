import { RandomAccessFile } from '../../bytes/file.ts'
import { CheckpointError, RESAVE, tensorIn } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { type ChunkTable, readChunkTable } from './chunks.ts'
import type { Widths } from './cursor.ts'
import { chunkGrid } from './dataset.ts'
import { type Embedded, openEmbedded } from './embedded.ts'
import { type Filter, unfilter } from './filters.ts'
import type { ChunkIndex } from './layout.ts'
import { Store } from './store.ts'

/** What the codec `hdf5-chunks` needs to know of a chunked dataset. */
export interface ChunkParameters {
  readonly tensor: string
  readonly embedded: Embedded
  readonly base: number
  readonly widths: Widths
  readonly shape: readonly number[]
  readonly chunk: readonly number[]
  readonly index: ChunkIndex
  readonly filters: readonly Filter[]
  readonly elementBytes: number
  readonly bigEndian: boolean
  /** The bytes of an element that was never written, as they would be stored; zeros where it is not given. */
  readonly fill?: readonly number[]
}

/**
 * The codec `hdf5-chunks`: the elements in row-major order. As many rows as fit are assembled at once from the chunks that they
 * cross, so that memory stays bounded whatever the shape of the chunks.
 */
export async function* unpackChunks(path: string, of: ChunkParameters): AsyncGenerator<Uint8Array> {
  const where = tensorIn(path, of.tensor)
  const file = await RandomAccessFile.open(path)
  try {
    const embedded = await openEmbedded(file, of.embedded)
    try {
      const store = new Store(embedded, of.base, of.widths)
      const chunkBytes = of.chunk.reduce((product, n) => product * n, of.elementBytes)
      const geometry = { shape: of.shape, chunk: of.chunk, chunkBytes, filtered: of.filters.length > 0 }
      const table = await readChunkTable(store, where, of.index, geometry)
      for (const box of slabs(of)) {
        const slab = await assemble({ of, where, store, table, chunkBytes }, box)
        if (of.bigEndian) swap(slab, of.elementBytes)
        for (let at = 0; at < slab.length; at += limits.spectrum.chunkBytes)
          yield slab.subarray(at, at + limits.spectrum.chunkBytes)
      }
    } finally {
      await embedded.close()
    }
  } finally {
    await file.close()
  }
}

/** Indices from `low` up to, but not including, `high` along each dimension. */
interface Box {
  readonly low: readonly number[]
  readonly high: readonly number[]
}

/** Cuts a dataset into boxes that follow each other in row-major order: whole inner dimensions, some rows of one, one index of the outer. */
function* slabs({ shape, chunk, elementBytes }: ChunkParameters): Generator<Box> {
  let axis = shape.length - 1
  let inner = elementBytes
  while (axis > 0 && inner * shape[axis] <= limits.hdf5.slabBytes) inner *= shape[axis--]
  let rows = Math.min(shape[axis], Math.floor(limits.hdf5.slabBytes / inner))
  if (rows > chunk[axis]) rows -= rows % chunk[axis]
  const outer = shape.slice(0, axis)
  const low = new Array<number>(shape.length).fill(0)
  do {
    for (let row = 0; row < shape[axis]; row += rows) {
      low[axis] = row
      const high = shape.map((n, d) => (d < axis ? low[d] + 1 : d === axis ? Math.min(n, row + rows) : n))
      yield { low: [...low], high }
    }
  } while (
    advance(
      low,
      outer.map(() => 0),
      outer,
    )
  )
}

interface Reading {
  readonly of: ChunkParameters
  readonly where: string
  readonly store: Store
  readonly table: ChunkTable
  readonly chunkBytes: number
}

async function assemble(reading: Reading, box: Box): Promise<Buffer> {
  const { of, where, store, table, chunkBytes } = reading
  const grid = chunkGrid(of.shape, of.chunk)
  const extent = box.high.map((high, d) => high - box.low[d])
  const slab = Buffer.alloc(
    extent.reduce((product, n) => product * n, of.elementBytes),
    Buffer.from(of.fill ?? [0]),
  )
  const first = box.low.map((low, d) => Math.floor(low / of.chunk[d]))
  const end = box.high.map((high, d) => Math.ceil(high / of.chunk[d]))
  const at = [...first]
  do {
    const i = at.reduce((index, n, d) => index * grid[d] + n, 0)
    // Never written: the fill value, of which the slab is full.
    if (table.address[i] < 0) continue
    if (table.length[i] > chunkBytes + Math.max(chunkBytes, 1024)) {
      throw new CheckpointError(where, `a chunk of it takes ${table.length[i]} bytes for ${chunkBytes}`, RESAVE)
    }
    const stored = await store.data(table.address[i], table.length[i])
    const bytes = unfilter(where, stored, of.filters, table.mask[i], chunkBytes)
    copy(of, bytes, at, box, extent, slab)
  } while (advance(at, first, end))
  return slab
}

/** Copies what a chunk and a box have in common, one run along the last dimension at a time. */
function copy(
  of: ChunkParameters,
  bytes: Uint8Array,
  place: readonly number[],
  box: Box,
  extent: readonly number[],
  slab: Buffer,
): void {
  const { chunk, elementBytes } = of
  const last = chunk.length - 1
  const origin = place.map((n, d) => n * chunk[d])
  const low = origin.map((o, d) => Math.max(o, box.low[d]))
  const high = origin.map((o, d) => Math.min(o + chunk[d], box.high[d]))
  const run = (high[last] - low[last]) * elementBytes
  const at = [...low]
  const rowLow = low.slice(0, last)
  const rowHigh = high.slice(0, last)
  do {
    let from = 0
    let to = 0
    for (let d = 0; d <= last; d++) {
      from = from * chunk[d] + at[d] - origin[d]
      to = to * extent[d] + at[d] - box.low[d]
    }
    slab.set(bytes.subarray(from * elementBytes, from * elementBytes + run), to * elementBytes)
  } while (advance(at, rowLow, rowHigh))
}

/** Counts up the leading indices of `at`, the last of them fastest. False when all were seen. */
function advance(at: number[], low: readonly number[], high: readonly number[]): boolean {
  for (let d = high.length - 1; d >= 0; d--) {
    if (++at[d] < high[d]) return true
    at[d] = low[d]
  }
  return false
}

function swap(bytes: Buffer, elementBytes: number): void {
  if (elementBytes === 2) bytes.swap16()
  else if (elementBytes === 4) bytes.swap32()
  else bytes.swap64()
}

import type { FileHandle } from 'node:fs/promises'
import { RandomAccessFile } from '../../bytes/file.ts'
import { readAt, temporaryFile, writeAt } from '../../bytes/temporary.ts'
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
 * cross, so that memory stays bounded whatever the shape of the chunks. Each chunk is unpacked once: those that more than one slab
 * crosses are kept in a temporary file, of which a slab takes what it needs.
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
      const joined = joinTrailing(of)
      const reader = new ChunkReader({ of: joined, where, store, table, chunkBytes })
      try {
        for (const box of slabs(joined)) {
          const slab = await assemble(joined, reader, box)
          if (of.bigEndian) swap(slab, of.elementBytes)
          for (let at = 0; at < slab.length; at += limits.spectrum.chunkBytes)
            yield slab.subarray(at, at + limits.spectrum.chunkBytes)
        }
      } finally {
        await reader.close()
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

/** Trailing dimensions that each chunk has whole are one: their elements follow each other in a chunk as they do in the dataset. */
function joinTrailing(of: ChunkParameters): ChunkParameters {
  const [shape, chunk] = [[...of.shape], [...of.chunk]]
  while (shape.length > 1 && shape.at(-1) === chunk.at(-1)) {
    const inner = shape.pop()!
    chunk.pop()
    shape[shape.length - 1] *= inner
    chunk[chunk.length - 1] *= inner
  }
  return { ...of, shape, chunk }
}

interface Reading {
  readonly of: ChunkParameters
  readonly where: string
  readonly store: Store
  readonly table: ChunkTable
  readonly chunkBytes: number
}

/** Reads parts of chunks. Where more than one slab crosses a chunk, it is unpacked into a temporary file when it is first met. */
class ChunkReader {
  readonly #reading: Reading
  /** Where in the temporary file a chunk lies, by its number. */
  readonly #places = new Map<number, number>()
  #spool: FileHandle | undefined
  #end = 0

  constructor(reading: Reading) {
    this.#reading = reading
  }

  /**
   * The elements from `from` up to `to` of a chunk; undefined where it was never written.
   * @throws CheckpointError where the chunk is damaged
   */
  async read(i: number, from: number, to: number): Promise<Uint8Array | undefined> {
    const { of, where, store, table, chunkBytes } = this.#reading
    if (table.address[i] < 0) return undefined
    if (table.length[i] > chunkBytes + Math.max(chunkBytes, 1024)) {
      throw new CheckpointError(where, `a chunk of it takes ${table.length[i]} bytes for ${chunkBytes}`, RESAVE)
    }
    const [begin, length] = [from * of.elementBytes, (to - from) * of.elementBytes]
    if (of.filters.length === 0) {
      if (table.length[i] !== chunkBytes) {
        throw new CheckpointError(
          where,
          `a chunk of it takes ${table.length[i]} bytes instead of ${chunkBytes}`,
          RESAVE,
        )
      }
      return store.data(table.address[i] + begin, length)
    }
    const known = this.#places.get(i)
    if (known !== undefined) return this.#again(known + begin, length)
    const stored = await store.data(table.address[i], table.length[i])
    const bytes = unfilter(where, stored, of.filters, table.mask[i], chunkBytes)
    store.budget.inflate(chunkBytes)
    if (length < chunkBytes && !this.#isEdge(i, from, to)) await this.#keep(i, bytes)
    return bytes.subarray(begin, begin + length)
  }

  async close(): Promise<void> {
    await this.#spool?.close()
  }

  /** Whether what is wanted of a chunk is all of it that lies within the dataset. */
  #isEdge(i: number, from: number, to: number): boolean {
    const { shape, chunk } = this.#reading.of
    const grid = chunkGrid(shape, chunk)
    let rest = i
    let last = 0
    let width = 1
    for (let d = grid.length - 1; d >= 0; d--) {
      const at = rest % grid[d]
      rest = Math.floor(rest / grid[d])
      last += (Math.min(chunk[d], shape[d] - at * chunk[d]) - 1) * width
      width *= chunk[d]
    }
    return from === 0 && to === last + 1
  }

  async #keep(i: number, bytes: Uint8Array): Promise<void> {
    this.#spool ??= await temporaryFile()
    await writeAt(this.#spool.fd, bytes, this.#end)
    this.#places.set(i, this.#end)
    this.#end += bytes.length
  }

  async #again(position: number, length: number): Promise<Uint8Array> {
    const bytes = await readAt(this.#spool!.fd, length, position)
    if (bytes.length < length) throw new CheckpointError(this.#reading.where, 'its temporary copy ends early')
    return bytes
  }
}

async function assemble(of: ChunkParameters, reader: ChunkReader, box: Box): Promise<Buffer> {
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
    const part = common(of, at, box)
    const bytes = await reader.read(i, part.from, part.to)
    // Never written: the fill value, of which the slab is full.
    if (bytes) copy(of, bytes, part, box, extent, slab)
  } while (advance(at, first, end))
  return slab
}

/** What a chunk and a box have in common: indices within the chunk, and its elements from the first up to, not including, `to`. */
interface Part extends Box {
  readonly origin: readonly number[]
  readonly from: number
  readonly to: number
}

function common({ chunk }: ChunkParameters, place: readonly number[], box: Box): Part {
  const origin = place.map((n, d) => n * chunk[d])
  const low = origin.map((o, d) => Math.max(0, box.low[d] - o))
  const high = origin.map((o, d) => Math.min(chunk[d], box.high[d] - o))
  const index = (at: readonly number[]) => at.reduce((sum, n, d) => sum * chunk[d] + n, 0)
  return { origin, low, high, from: index(low), to: index(high.map(n => n - 1)) + 1 }
}

/** Copies it, one run along the last dimension at a time. */
function copy(
  of: ChunkParameters,
  bytes: Uint8Array,
  { origin, low, high, from }: Part,
  box: Box,
  extent: readonly number[],
  slab: Buffer,
): void {
  const { chunk, elementBytes } = of
  const last = chunk.length - 1
  const run = (high[last] - low[last]) * elementBytes
  const rows = last === 0 ? 1 : high[last - 1] - low[last - 1]
  const [fromStep, toStep] = [chunk[last] * elementBytes, extent[last] * elementBytes]
  const at = [...low]
  const outer = Math.max(0, last - 1)
  const [outerLow, outerHigh] = [low.slice(0, outer), high.slice(0, outer)]
  do {
    let source = 0
    let target = 0
    for (let d = 0; d <= last; d++) {
      source = source * chunk[d] + at[d]
      target = target * extent[d] + at[d] + origin[d] - box.low[d]
    }
    copyRuns(bytes, (source - from) * elementBytes, fromStep, slab, target * elementBytes, toStep, run, rows)
  } while (advance(at, outerLow, outerHigh))
}

/** Shorter runs are copied byte by byte: a view of each would take longer. */
const SHORT = 64

function copyRuns(
  from: Uint8Array,
  source: number,
  sourceStep: number,
  to: Uint8Array,
  target: number,
  targetStep: number,
  run: number,
  rows: number,
): void {
  for (let row = 0, s = source, t = target; row < rows; row++, s += sourceStep, t += targetStep) {
    if (run > SHORT) to.set(from.subarray(s, s + run), t)
    else for (let b = 0; b < run; b++) to[t + b] = from[s + b]
  }
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

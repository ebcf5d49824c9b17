import { CheckpointError, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { size } from '../elements.ts'
import { readDataspace } from './dataspace.ts'
import { type ElementType, readDatatype } from './datatype.ts'
import { type Filter, readFilters } from './filters.ts'
import { find, MESSAGE, type Message } from './header.ts'
import { type Layout, readLayout } from './layout.ts'
import type { Store } from './store.ts'

/** What the header of a dataset says, checked against the file's size. */
export interface Dataset {
  readonly shape: readonly number[]
  readonly type: ElementType
  readonly layout: Layout
  readonly filters: readonly Filter[]
}

export function isDataset(messages: readonly Message[]): boolean {
  return find(messages, MESSAGE.layout) !== undefined
}

/**
 * Describes a dataset.
 * @param where the file and the dataset, for errors
 * @throws CheckpointError where its elements lie in other files, were never written, or don't fit into this one
 */
export function readDataset(store: Store, where: string, messages: readonly Message[]): Dataset {
  if (find(messages, MESSAGE.externalFiles)) {
    throw new CheckpointError(
      where,
      'keeps its elements in other files (external storage), which are never followed',
      'Write it again into one file: h5repack IN OUT.',
    )
  }
  const type = readDatatype(required(where, messages, MESSAGE.datatype, 'type'))
  const { shape, growable } = readDataspace(required(where, messages, MESSAGE.dataspace, 'shape'))
  const bytes = size(shape) * type.bytes
  if (!Number.isSafeInteger(size(shape)) || !Number.isSafeInteger(bytes)) {
    throw new CheckpointError(where, `its shape [${shape}] overflows`, RESAVE)
  }
  const layout = readLayout(where, required(where, messages, MESSAGE.layout, 'layout'), shape.length)
  const pipeline = find(messages, MESSAGE.filters)
  const filters = pipeline && layout.kind === 'chunked' && bytes > 0 ? readFilters(where, pipeline.body) : []
  if (bytes > 0) checkStorage(store, where, layout, shape, bytes)
  if (layout.kind === 'chunked') checkChunks(store, where, layout, shape, type.bytes, growable)
  return { shape, type, layout, filters }
}

function required(where: string, messages: readonly Message[], type: number, what: string) {
  const message = find(messages, type)
  if (!message) throw new CheckpointError(where, `has no ${what}`, RESAVE)
  if (message.shared) {
    throw new CheckpointError(where, `its ${what} is kept elsewhere in the file (a committed type), which is not read`)
  }
  return message.body
}

function checkStorage(store: Store, where: string, layout: Layout, shape: readonly number[], bytes: number): void {
  const address = layout.kind === 'contiguous' ? layout.address : layout.index.address
  if (address === undefined)
    throw new CheckpointError(where, 'was never written: it has a shape but no elements', RESAVE)
  if (layout.kind !== 'contiguous') return
  if (layout.length !== bytes) {
    throw new CheckpointError(
      where,
      `of shape [${shape}] takes ${bytes} bytes, but ${layout.length} are set aside`,
      RESAVE,
    )
  }
  store.check(address, bytes, where)
}

function checkChunks(
  store: Store,
  where: string,
  { chunk, index }: Layout & { kind: 'chunked' },
  shape: readonly number[],
  elementBytes: number,
  growable: boolean,
): void {
  const bytes = size(chunk) * elementBytes
  if (shape.length === 0 || !(bytes > 0)) throw new CheckpointError(where, `has chunks of shape [${chunk}]`, RESAVE)
  if (bytes > limits.hdf5.chunkBytes) {
    throw new CheckpointError(
      where,
      `has chunks of ${bytes} bytes, more than ${limits.hdf5.chunkBytes}`,
      'Write it again in one piece or in smaller chunks: h5repack -l CONTI IN OUT.',
    )
  }
  const count = size(chunkGrid(shape, chunk))
  if (count > Math.min(limits.hdf5.chunksCount, store.size)) {
    throw new CheckpointError(where, `claims ${count} chunks`, `At most ${limits.hdf5.chunksCount} are read. ${RESAVE}`)
  }
  if (growable && (index.kind === 'implicit' || index.kind === 'fixed-array')) {
    throw new CheckpointError(where, 'is a growable dataset whose chunks are listed by an array, which is not read')
  }
  if (index.kind === 'single' && count > 1) throw new CheckpointError(where, `claims one chunk of ${count}`, RESAVE)
}

/** How many chunks there are along each dimension. */
export function chunkGrid(shape: readonly number[], chunk: readonly number[]): number[] {
  return shape.map((n, d) => Math.ceil(n / chunk[d]))
}

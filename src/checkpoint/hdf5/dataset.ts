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
  /** The bytes of an element that was never written; undefined for zeros. */
  readonly fill?: readonly number[]
  /** Why its elements can't be had, where they can't. */
  readonly unread?: string
}

/** A dataset in a form that is not read, in a file whose others may be. */
export class UnreadableDataset extends CheckpointError {}

export function isDataset(messages: readonly Message[]): boolean {
  return find(messages, MESSAGE.layout) !== undefined
}

/**
 * Describes a dataset.
 * @param where the file and the dataset, for errors
 * @throws CheckpointError where its elements lie in other files, or don't fit into this one
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
  const { filters, unknown } =
    pipeline && layout.kind === 'chunked' && bytes > 0
      ? readFilters(pipeline.body)
      : { filters: [], unknown: undefined }
  if (bytes > 0) checkStorage(store, where, layout, shape, bytes)
  if (layout.kind === 'chunked') checkChunks(store, where, layout, shape, type.bytes, growable)
  const fill = readFill(messages, type.bytes)
  return { shape, type, layout, filters, ...(fill && { fill }), ...(unknown !== undefined && { unread: unknown }) }
}

/** A fill value message, versions 1 to 3, or the older one; undefined where it says zeros, or nothing. */
function readFill(messages: readonly Message[], width: number): number[] | undefined {
  const message = find(messages, MESSAGE.fill)
  const body = message?.body ?? find(messages, MESSAGE.oldFill)?.body
  if (!body || message?.shared) return undefined
  let defined = true
  if (message) {
    const version = body.version(1, 2, 3)
    if (version === 3) defined = (body.u8() & 0x20) !== 0
    else {
      body.skip(2)
      defined = body.u8() !== 0
    }
  }
  if (!defined || body.left < 4) return undefined
  const length = body.u32()
  if (length !== width || length > body.left) return undefined
  const bytes = [...body.take(length)]
  return bytes.some(byte => byte !== 0) ? bytes : undefined
}

/** The shape of a dataset of which no more is known; empty where that is not known either. */
export function shapeOf(messages: readonly Message[]): readonly number[] {
  const space = find(messages, MESSAGE.dataspace)
  if (!space || space.shared) return []
  space.body.at = 0
  return readDataspace(space.body).shape
}

function required(where: string, messages: readonly Message[], type: number, what: string) {
  const message = find(messages, type)
  if (!message) throw new CheckpointError(where, `has no ${what}`, RESAVE)
  if (message.shared) {
    throw new UnreadableDataset(
      where,
      `its ${what} is kept elsewhere in the file (a committed type), which is not read`,
    )
  }
  return message.body
}

function checkStorage(store: Store, where: string, layout: Layout, shape: readonly number[], bytes: number): void {
  if (layout.kind !== 'contiguous' || layout.address === undefined) return
  const { address } = layout
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
    throw new UnreadableDataset(where, 'is a growable dataset whose chunks are listed by an array, which is not read')
  }
  if (index.kind === 'single' && count > 1) throw new CheckpointError(where, `claims one chunk of ${count}`, RESAVE)
}

/** How many chunks there are along each dimension. */
export function chunkGrid(shape: readonly number[], chunk: readonly number[]): number[] {
  return shape.map((n, d) => Math.ceil(n / chunk[d]))
}

import { CheckpointError, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Contents, ReadOptions } from '../reader.ts'
import { DTYPE_BITS } from '../types.ts'
import { describeContents } from './contents.ts'
import { refusal } from './globals.ts'
import { type Resolve, UnfinishedPickle, type Unpickled, unpickle } from './pickle.ts'
import type { Source } from './source.ts'
import { type Extent, storageType } from './tensors.ts'
import { Persistent, type Value } from './values.ts'

const PROTOCOL = 1001
/** How a pickle of 0x1950a86a20f9469cfc6c begins, in hexadecimal by the binary protocols, and as text. */
const MAGIC = /^80(02|03|(04|05)(95.{16})?)8a0a6cfc9c46f9206aa850192e/
const MAGIC_TEXT = 'L119547037146038801333356L\n.'
/** A pickle's length is not known before it was read: so much of the file is looked at first, then eight times more. */
const PREFIX = 4096
const GROWTH = 8
/** Read ahead among the storages, whose sizes stand before each. */
const WINDOW = 4096

/** Whether a file begins as torch.save's before 1.6. */
export function isLegacy(head: Buffer): boolean {
  return MAGIC.test(head.toString('hex', 0, 64)) || head.toString('latin1', 0, MAGIC_TEXT.length) === MAGIC_TEXT
}

/**
 * What torch.save wrote before 1.6, and writes still with `_use_new_zipfile_serialization=False`: pickles of a magic number, a
 * version, the writer's machine, the object and the keys of its storages; then each storage, its number of elements before it.
 * Numbers are little-endian on any machine. Source: torch/serialization.py, `_legacy_load`; torch/csrc/serialization.cpp.
 */
export async function readLegacy(source: Source, options: ReadOptions): Promise<Contents> {
  const magic = await unpickleAt(source, 0)
  const version = await unpickleAt(source, magic.end)
  if (version.value !== PROTOCOL) {
    throw new CheckpointError(
      source.path,
      `is of the protocol ${String(version.value).slice(0, 40)}; ${PROTOCOL} is known`,
    )
  }
  const machine = await unpickleAt(source, version.end)
  const ids = new Map<string, StorageId>()
  const object = await unpickleAt(source, machine.end, id => remember(source.path, ids, id))
  const keys = await unpickleAt(source, object.end)
  const forbidden = [magic, version, machine, keys].find(pickle => pickle.forbidden)?.forbidden
  if (forbidden) throw refusal(source.path, forbidden)
  const extents = await locateStorages(source, keys, ids)
  return describeContents(source, object, async key => extents.get(key), options)
}

/** The pickle at an offset, `end` being where the next thing begins. */
export async function unpickleAt(source: Source, offset: number, resolve?: Resolve): Promise<Unpickled> {
  const most = Math.min(limits.pickle.bytes, source.size - offset)
  for (let length = Math.min(PREFIX, most); ; length = Math.min(length * GROWTH, most)) {
    try {
      const unpickled = unpickle(await source.read(offset, length), source.path, resolve, source.budget)
      return { ...unpickled, end: offset + unpickled.end }
    } catch (error) {
      if (!(error instanceof UnfinishedPickle) || length === most) throw error
    }
  }
}

interface StorageId {
  /** Of an element, in bytes; undefined for a type that is not known. */
  readonly width: number | undefined
  readonly elements: Value
}

function remember(path: string, ids: Map<string, StorageId>, id: Value): Persistent {
  if (!Array.isArray(id) || id[0] !== 'storage' || typeof id[2] !== 'string') {
    throw new CheckpointError(path, 'its pickle refers to what is neither a storage nor a module', RESAVE)
  }
  if (!ids.has(id[2])) {
    const dtype = storageType(id[1])
    ids.set(id[2], { width: dtype && DTYPE_BITS[dtype] / 8, elements: id[4] })
  }
  return new Persistent(id)
}

async function locateStorages(
  source: Source,
  { value: keys, end }: Unpickled,
  ids: ReadonlyMap<string, StorageId>,
): Promise<Map<string, Extent>> {
  const { path, size } = source
  if (!Array.isArray(keys)) throw new CheckpointError(path, 'has no list of its storages', RESAVE)
  const extents = new Map<string, Extent>()
  const readCount = counts(source)
  let at = end
  for (const key of keys) {
    const where = `${path}: storage ${JSON.stringify(String(key).slice(0, 100))}`
    const id = typeof key === 'string' ? ids.get(key) : undefined
    if (!id) throw new CheckpointError(where, 'belongs to no tensor', RESAVE)
    if (extents.has(key as string)) throw new CheckpointError(where, 'is there twice', RESAVE)
    if (!id.width)
      throw new CheckpointError(where, 'has elements of an unknown type, so that what follows it has no place')
    const elements = await readCount(at)
    if (elements !== id.elements) {
      throw new CheckpointError(
        where,
        `has ${elements} elements instead of ${String(id.elements).slice(0, 40)}`,
        RESAVE,
      )
    }
    const extent = { offset: at + 8, bytes: elements * id.width }
    if (extent.offset + extent.bytes > size) {
      const found = `ends at byte ${extent.offset + extent.bytes}, but the file has ${size}`
      throw new CheckpointError(where, found, RESAVE)
    }
    extents.set(key as string, extent)
    at = extent.offset + extent.bytes
  }
  return extents
}

/** Reads the 8-byte numbers before the storages, those of small ones many at a time. */
function counts({ path, size, read }: Source): (at: number) => Promise<number> {
  let start = 0
  let window: Buffer = Buffer.alloc(0)
  return async at => {
    if (at + 8 > size) throw new CheckpointError(path, `ends at byte ${size}, within its storages`, RESAVE)
    if (at + 8 > start + window.length) {
      start = at
      window = await read(at, Math.min(WINDOW, size - at))
    }
    const count = window.readBigInt64LE(at - start)
    return count >= 0n && count <= BigInt(size) ? Number(count) : Number.NaN
  }
}

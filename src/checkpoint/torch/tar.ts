import { CheckpointError, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Contents, ReadOptions } from '../reader.ts'
import { DTYPE_BITS } from '../types.ts'
import { describeContents } from './contents.ts'
import { refusal } from './globals.ts'
import { unpickleAt } from './legacy.ts'
import type { Unpickled } from './pickle.ts'
import type { Source } from './source.ts'
import { type Extent, storageType } from './tensors.ts'
import { Global, Inert, Persistent, type Value } from './values.ts'

const BLOCK = 512
const MEMBERS = ['sys_info', 'pickle', 'tensors', 'storages']

/** Whether a file begins with the header of a tar's member, its checksum being right. */
export function isTar(head: Buffer): boolean {
  if (head.length < BLOCK || head.toString('latin1', 257, 262) !== 'ustar') return false
  let sum = 0
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : head[i]
  return sum === octal(head, 148, 8)
}

/**
 * What torch.save wrote before 0.1.11: a tar of `sys_info`, `pickle` with the object, `tensors` with their views and `storages`.
 * Source: torch/serialization.py, `legacy_load`.
 */
export async function readTar(source: Source, options: ReadOptions): Promise<Contents> {
  const members = await listMembers(source)
  const [pickle, tensors, storages] = ['pickle', 'tensors', 'storages'].map(name => members.get(name))
  if (!(pickle && tensors && storages)) {
    throw new CheckpointError(
      source.path,
      `is a tar with ${[...members.keys()].map(name => JSON.stringify(name)).join(', ') || 'nothing known'}, not the one that PyTorch 0.1 wrote`,
      'Unpack it (tar xf), and name the checkpoint in it.',
    )
  }
  const extents = new Map<string, TarStorage>()
  await listStorages(within(source, storages), storages.offset, extents)
  const calls = await listTensors(within(source, tensors), extents)
  const object = await unpickleAt(within(source, pickle), 0, id => {
    const key = keyOf(id)
    const found = calls.get(key) ?? (extents.has(key) ? new Persistent(id) : undefined)
    if (!found)
      throw new CheckpointError(source.path, `its pickle refers to the tensor ${key}, which is not there`, RESAVE)
    return found
  })
  return describeContents(source, object, async key => extents.get(key), options)
}

interface TarStorage extends Extent {
  readonly type: Global
}

/** A member as a source of its own: it ends where the member ends. */
function within(source: Source, { offset, bytes }: Extent): Source {
  const read = (at: number, length: number) => source.read(offset + at, length)
  return { ...source, size: bytes, read }
}

async function listMembers({ path, size, read }: Source): Promise<Map<string, Extent>> {
  const members = new Map<string, Extent>()
  let at = 0
  for (let entries = 0; at + BLOCK <= size; entries++) {
    const header = await read(at, BLOCK)
    if (!isTar(header)) break
    const name = header.toString('latin1', 0, 100).replace(/\0.*$/s, '').replace(/^\.\//, '')
    const bytes = octal(header, 124, 12)
    const offset = at + BLOCK
    if (!(offset + bytes <= size)) {
      throw new CheckpointError(
        path,
        `its member ${JSON.stringify(name)} has ${bytes} bytes, but the file has ${size}`,
        RESAVE,
      )
    }
    if (entries === limits.tar.membersCount)
      throw new CheckpointError(path, `is a tar of more than ${limits.tar.membersCount} members`)
    if (MEMBERS.includes(name)) {
      if (members.has(name)) throw new CheckpointError(path, `has two members named ${JSON.stringify(name)}`, RESAVE)
      members.set(name, { offset, bytes })
    }
    at = offset + Math.ceil(bytes / BLOCK) * BLOCK
  }
  return members
}

/** A count, then each storage: a pickle of its key, place and class, its number of elements, its bytes; then the views of them. */
async function listStorages(source: Source, base: number, found: Map<string, TarStorage>): Promise<void> {
  const { path, size } = source
  let { value: count, end } = await plain(source, 0)
  if (!isCount(count) || count > limits.tar.entriesCount)
    throw new CheckpointError(path, 'has no count of its storages that makes sense', RESAVE)
  for (let i = 0; i < count; i++) {
    const id = await plain(source, end)
    const [key, , type] = Array.isArray(id.value) ? id.value : []
    const dtype = storageType(type)
    if (!(type instanceof Global) || !dtype) throw new CheckpointError(path, `its storage ${i} is of an unknown type`)
    const elements = id.end + 8 <= size ? Number((await source.read(id.end, 8)).readBigInt64LE()) : Number.NaN
    const offset = id.end + 8
    const bytes = elements * (DTYPE_BITS[dtype] / 8)
    if (!(elements >= 0 && offset + bytes <= size)) {
      throw new CheckpointError(path, `its storage ${i} of ${elements} elements is larger than the file`, RESAVE)
    }
    found.set(keyOf(key), { offset: base + offset, bytes, type })
    end = offset + bytes
  }
  const views = (await plain(source, end)).value
  for (const view of Array.isArray(views) ? views : []) {
    const [key, root, offset, elements] = Array.isArray(view) ? view : []
    const storage = found.get(keyOf(root))
    const width = storage && DTYPE_BITS[storageType(storage.type)!] / 8
    if (!storage || !width || !isCount(offset) || !isCount(elements) || (offset + elements) * width > storage.bytes) {
      throw new CheckpointError(path, 'has a storage that is no view of another', RESAVE)
    }
    found.set(keyOf(key), { ...storage, offset: storage.offset + offset * width, bytes: elements * width })
  }
}

/** A count, then each tensor: a pickle of its key, storage and class, its dimensions, sizes, strides and offset. */
async function listTensors(source: Source, storages: ReadonlyMap<string, TarStorage>): Promise<Map<string, Inert>> {
  const { path, size } = source
  const calls = new Map<string, Inert>()
  let { value: count, end } = await plain(source, 0)
  if (!isCount(count) || count > limits.tar.entriesCount)
    throw new CheckpointError(path, 'has no count of its tensors that makes sense', RESAVE)
  for (let i = 0; i < count; i++) {
    const id = await plain(source, end)
    const [key, storageKey] = Array.isArray(id.value) ? id.value : []
    const storage = storages.get(keyOf(storageKey))
    const dimensions = id.end + 8 <= size ? (await source.read(id.end, 4)).readInt32LE() : -1
    const bytes = 8 * (2 * dimensions + 1)
    if (!storage || dimensions < 0 || dimensions > limits.checkpoint.dimensionsCount || id.end + 8 + bytes > size) {
      throw new CheckpointError(path, `its tensor ${i} is no view of a storage`, RESAVE)
    }
    const raw = await source.read(id.end + 8, bytes)
    const numbers = Array.from({ length: 2 * dimensions + 1 }, (_, n) => Number(raw.readBigInt64LE(n * 8)))
    const persistent = new Persistent(['storage', storage.type, keyOf(storageKey), 'cpu', 0])
    const shape = numbers.slice(0, dimensions)
    const strides = numbers.slice(dimensions, -1)
    calls.set(keyOf(key), new Inert(REBUILD, [persistent, numbers[2 * dimensions], shape, strides]))
    end = id.end + 8 + bytes
  }
  return calls
}

const REBUILD = new Global('torch._utils', '_rebuild_tensor', 0)

/** A pickle of numbers and names, where nothing forbidden has an excuse. */
async function plain(source: Source, offset: number): Promise<Unpickled> {
  const unpickled = await unpickleAt(source, offset)
  if (unpickled.forbidden) throw refusal(source.path, unpickled.forbidden)
  return unpickled
}

/** Keys are numbers in one member and text in another. */
function keyOf(value: Value | undefined): string {
  return typeof value === 'object' ? '' : String(value).slice(0, 40)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function octal(header: Buffer, start: number, length: number): number {
  const digits = /^ *([0-7]+)[ \0]*$/.exec(header.toString('latin1', start, start + length))?.[1]
  return digits === undefined ? Number.NaN : Number.parseInt(digits, 8)
}

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RandomAccessFile } from '../../bytes/file.ts'
import { CheckpointError, quoted, RESAVE, tensorIn } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Contents } from '../reader.ts'
import { stampOf } from '../stamp.ts'
import {
  contiguous,
  DTYPE_BITS,
  type DType,
  isFloat,
  type Stamp,
  size,
  type Tensor,
  type UnreadTensor,
} from '../types.ts'
import { readArchive } from './archive.ts'
import { type Block, misfitOf } from './assembled.ts'
import { refusal } from './globals.ts'
import { unpickle } from './pickle.ts'
import { part } from './source.ts'
import { typeNamed } from './tensors.ts'
import { Inert, type Value } from './values.ts'

/** The file that says which tensors there are, and in which files their parts lie. */
export const METADATA = '.metadata'
/** What is not looked at: the state of schedulers and data loaders at the top, and that of optimizers. */
const BESIDE = /^(?:lr_scheduler|scheduler|dataloader|train_state)(?:\.|$)/
const OPTIMIZER =
  /^optim(?:i[sz]er)?s?(?:_\w+)?\.(?:.*\.)?(?:state|param_groups|exp_avg|exp_avg_sq|momentum_buffer)(?:\.|$)/

/** Of an entry that may hold a matrix. */
const LEAST_BYTES = 1024

const CONSOLIDATE = 'python -m torch.distributed.checkpoint.format_utils dcp_to_torch'

interface Distributed extends Contents {
  readonly bytes: number
  readonly stamps: Stamp[]
}

/** Where a part of a tensor lies. */
interface Place {
  readonly file: string
  readonly offset: number
  readonly length: number
}

/**
 * A folder of torch.distributed.checkpoint (FSDP, Lightning, torchtitan) as one model: `.metadata`, a pickle of the tensors' shapes
 * and of where their parts lie, and `__N_M.distcp`, each a row of parts that torch.save wrote. Parts are assembled when they are read.
 * Source: torch/distributed/checkpoint/metadata.py and filesystem.py of PyTorch 2.15.
 * @throws CheckpointError where parts are missing, overlap or do not make up their tensor
 */
export async function readDistributed(folder: string): Promise<Distributed> {
  const files = new Files(folder)
  try {
    const { file: metadata } = await files.open(METADATA)
    if (metadata.size > limits.pickle.bytes) {
      throw new CheckpointError(metadata.path, `has ${metadata.size} bytes, more than ${limits.pickle.bytes}`)
    }
    const { value, forbidden } = unpickle(
      await metadata.read(0, metadata.size),
      metadata.path,
      undefined,
      metadata.budget,
    )
    if (forbidden) throw refusal(metadata.path, forbidden)
    const described = attribute(value, 'state_dict_metadata')
    if (!(described instanceof Map)) throw new CheckpointError(metadata.path, 'names no tensors', RESAVE)
    const places = placesOf(metadata.path, attribute(value, 'storage_data'))
    const found: Found = { tensors: [], unread: [], ignored: [] }
    for (const [name, entry] of described) {
      if (typeof name !== 'string') continue
      if (name.length > limits.checkpoint.nameCharacters) {
        throw new CheckpointError(
          metadata.path,
          `holds a name of more than ${limits.checkpoint.nameCharacters} characters`,
        )
      }
      if (found.tensors.length + found.unread.length === limits.checkpoint.tensorsCount) {
        throw new CheckpointError(metadata.path, `names more than ${limits.checkpoint.tensorsCount} tensors`)
      }
      await describe(folder, name, entry, places, files, found)
    }
    return { ...found, stateDict: '', bytes: files.bytes, stamps: files.stamps }
  } finally {
    await files.close()
  }
}

interface Found {
  readonly tensors: Tensor[]
  readonly unread: UnreadTensor[]
  readonly ignored: string[]
}

async function describe(
  folder: string,
  name: string,
  entry: Value,
  places: ReadonlyMap<string, Place>,
  files: Files,
  { tensors, unread, ignored }: Found,
): Promise<void> {
  const shape = counts(attribute(entry, 'size'))
  const where = tensorIn(folder, name)
  if (BESIDE.test(name) || OPTIMIZER.test(name) || !shape) {
    if (ignored.length < limits.checkpoint.ignoredEntries) ignored.push(name.slice(0, 200))
    if (!shape) unread.push(...(await weightsIn(where, name, places.get(keyOf(name, [])), files)))
    return
  }
  const chunks = attribute(entry, 'chunks')
  if (!Array.isArray(chunks)) throw new CheckpointError(where, 'has no list of its parts', RESAVE)
  const most = limits.distributed.partsCount
  if (chunks.length > most) throw new CheckpointError(where, `has ${chunks.length} parts, more than ${most}`, RESAVE)
  const blocks: (Block & { readonly tensor: Tensor })[] = []
  for (const chunk of chunks) {
    const [start, own] = ['offsets', 'sizes'].map(key => counts(attribute(chunk, key)))
    if (start?.length !== shape.length || own?.length !== shape.length) {
      throw new CheckpointError(where, 'has a part of another number of dimensions', RESAVE)
    }
    if (size(own) === 0) continue
    const place = places.get(keyOf(name, start))
    if (!place) throw new CheckpointError(where, `its part at [${start}] is in no file`, RESAVE)
    const tensor = await partOf(where, name, place, files)
    if (!tensor || tensor.shape.join() !== own.join()) {
      const reason = 'is kept in parts that are no plain tensors: consolidate it'
      unread.push({ name, dtype: 'unknown', shape, reason })
      return
    }
    const { path, offset } = tensor.source as { path: string; offset: number }
    blocks.push({ path, offset, start, shape: own, tensor })
  }
  const misfit = misfitOf(shape, blocks)
  if (misfit)
    throw new CheckpointError(
      where,
      misfit,
      `Were all ranks' files fetched? Or consolidate it: ${CONSOLIDATE} ${folder} out.pt`,
    )
  const [first] = blocks
  if (!first) {
    unread.push({ name, dtype: 'unknown', shape, reason: 'is empty' })
    return
  }
  const { dtype } = first.tensor
  if (blocks.some(({ tensor }) => tensor.dtype !== dtype))
    throw new CheckpointError(where, 'has parts of several types', RESAVE)
  const promised = promisedType(entry)
  if (promised !== undefined && promised !== dtype) {
    unread.push({ name, dtype: promised, shape, reason: `is loaded as ${promised}, and its parts are ${dtype}` })
    return
  }
  if (blocks.length === 1) {
    tensors.push({ ...first.tensor, name })
    return
  }
  if ((size(shape.slice(1)) * DTYPE_BITS[dtype]) / 8 > limits.hdf5.slabBytes * 16) {
    unread.push({ name, dtype, shape, reason: 'has rows that are too long to be assembled' })
    return
  }
  const plain = blocks.map(({ path, offset, start, shape }) => ({ path, offset, start, shape }))
  const parameters = { shape, width: DTYPE_BITS[dtype] / 8, blocks: plain }
  const strides = contiguous(shape)
  tensors.push({
    name,
    dtype,
    shape,
    source: { kind: 'packed', path: first.path, codec: 'assembled', parameters, strides },
  })
}

/** One part as the tensor that it is; undefined where it is none whose elements lie in order. */
function partOf(where: string, name: string, place: Place, files: Files): Promise<Tensor | undefined> {
  const { file, offset, length } = place
  const key = JSON.stringify([file, offset, length])
  const known = files.parts.get(key) ?? readPart(where, name, place, files)
  files.parts.set(key, known)
  return known
}

async function readPart(where: string, name: string, place: Place, files: Files): Promise<Tensor | undefined> {
  const { offset, length } = place
  const { file } = await files.open(place.file)
  if (offset + length > file.size) throw cutShort(where, place, file.size)
  const { tensors } = await readArchive(part(file, `${file.path}: part of ${quoted(name)}`, offset, length), {})
  const [tensor, another] = tensors
  const dense = tensor?.source.kind === 'file' && tensor.source.strides.join() === contiguous(tensor.shape).join()
  return dense && !another ? tensor : undefined
}

/** Matrices in an entry that is no tensor, but an object that torch.save wrote. */
async function weightsIn(where: string, name: string, place: Place | undefined, files: Files): Promise<UnreadTensor[]> {
  if (BESIDE.test(name) || !place || place.length < LEAST_BYTES) return []
  const { file } = await files.open(place.file)
  if (place.offset + place.length > file.size) throw cutShort(where, place, file.size)
  const object = part(file, `${file.path}: ${quoted(name)}`, place.offset, place.length)
  const found = await readArchive(object, {}).catch(() => undefined)
  const all = [...(found?.tensors ?? []), ...(found?.unread ?? [])]
  const matrices = all.filter(({ dtype, shape }) => isFloat(dtype as DType) && shape.length > 1)
  const reason = 'is kept within an object, not as a tensor: consolidate it'
  // The name of what is an array itself.
  const named = (own: string) => (own === 'tensor' ? name : `${name}.${own}`)
  return matrices.map(({ name: own, dtype, shape }) => ({ name: named(own), dtype, shape, reason }))
}

function cutShort(where: string, { file, offset, length }: Place, size: number): CheckpointError {
  const found = `lies at bytes ${offset} to ${offset + length} of ${quoted(file)}, which has ${size}`
  return new CheckpointError(where, found, RESAVE)
}

function placesOf(path: string, storage: Value | undefined): Map<string, Place> {
  const places = new Map<string, Place>()
  if (!(storage instanceof Map)) throw new CheckpointError(path, 'says of no tensor where it lies', RESAVE)
  for (const [index, info] of storage) {
    const [name, offsets] = [attribute(index, 'fqn'), counts(attribute(index, 'offset')) ?? []]
    const [file, offset, length] = ['relative_path', 'offset', 'length'].map(key => attribute(info, key))
    const transforms = attribute(info, 'transform_descriptors')
    if (typeof name !== 'string') continue
    if (typeof file !== 'string' || !isCount(offset) || !isCount(length)) {
      throw new CheckpointError(path, `says of ${quoted(name)} nothing that is a place`, RESAVE)
    }
    if (/[/\\\0]/.test(file) || file === '..') {
      throw new CheckpointError(path, `places ${quoted(name)} in ${quoted(file)}, outside of its folder`)
    }
    if (Array.isArray(transforms) && transforms.length > 0) {
      throw new CheckpointError(
        path,
        `its parts are transformed by ${quoted(String(transforms[0]))}`,
        'Save it without extensions (compression).',
      )
    }
    places.set(keyOf(name, offsets), { file, offset, length })
  }
  return places
}

/** The type that a tensor is made with, which its parts are copied into: first of its properties. */
function promisedType(entry: Value): DType | undefined {
  const properties = attribute(entry, 'properties') as Value | undefined
  const state = properties instanceof Inert ? properties.state : undefined
  return typeNamed(Array.isArray(state) ? state[0] : attribute(properties, 'dtype'))
}

function keyOf(name: string, offsets: readonly number[]): string {
  return JSON.stringify([name, offsets])
}

/** An attribute of an object, out of the state that would have been set. */
function attribute(value: Value | undefined, name: string): Value | undefined {
  const state = value instanceof Inert ? value.state : undefined
  return state instanceof Map ? state.get(name) : undefined
}

function counts(value: Value | undefined): number[] | undefined {
  const known = Array.isArray(value) && value.length <= limits.checkpoint.dimensionsCount && value.every(isCount)
  return known && Number.isSafeInteger(size(value as number[]) * 16) ? (value as number[]) : undefined
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** The files of the folder that are read, each opened once. */
class Files {
  readonly stamps: Stamp[] = []
  /** Of tensors, by their places: each is read once. */
  readonly parts = new Map<string, Promise<Tensor | undefined>>()
  bytes = 0
  readonly #folder: string
  readonly #open = new Map<string, RandomAccessFile>()

  constructor(folder: string) {
    this.#folder = folder
  }

  async open(name: string): Promise<{ file: RandomAccessFile }> {
    const known = this.#open.get(name)
    if (known) return { file: known }
    const path = join(this.#folder, name)
    if (!(await stat(path).catch(() => undefined))) {
      throw new CheckpointError(path, 'is missing', "Fetch all ranks' files: was the download complete?")
    }
    const file = await RandomAccessFile.open(path)
    this.#open.set(name, file)
    this.bytes += file.size
    this.stamps.push(stampOf(file))
    return { file }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(file => file.close()))
  }
}

import type { RandomAccessFile } from '../../bytes/file.ts'
import { ReadAhead } from '../../bytes/read-ahead.ts'
import { CheckpointError, quoted, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { widthOf } from '../attention.ts'
import type { Reader } from '../reader.ts'
import { bounded } from '../settings.ts'
import { type AttentionConfig, contiguous, type Setting, size, type Tensor } from '../types.ts'
import type { BlocksParameters } from './dequantise.ts'
import { Header } from './header.ts'
import { GGML_TYPES, type GgmlType } from './types.ts'

const CONVERT = 'Convert the model again with a current llama.cpp.'
const UINT16 = 2
const UINT32 = 4
const STRING = 8
const DEFAULT_ALIGNMENT = 32
const ALIGNMENT = 'general.alignment'
const ARCHITECTURE = 'general.architecture'
/** What keys have behind the name of the architecture. */
const [HIDDEN, HEADS] = ['.embedding_length', '.attention.head_count']
const [SHARED_HEADS, HEAD_WIDTH] = ['.attention.head_count_kv', '.attention.key_length']
const NUMBERS = [HIDDEN, HEADS, SHARED_HEADS, HEAD_WIDTH]
const SCALING = '.rope.scaling.type'
/** What says nothing of how the weights are applied. */
const UNDECIDING = /^(?:general|tokenizer|split|quantize|imatrix)\.|\.(?:context_length|vocab_size)$/

/**
 * GGUF, versions 2 and 3, little-endian: magic, version, counts, metadata pairs, tensor infos, and the tensors' data from the next
 * multiple of the alignment on. Source: ggml/docs/gguf.md, ggml/src/gguf.cpp.
 */
export const gguf: Reader = {
  format: 'gguf',

  recognises({ head }) {
    return head.toString('latin1', 0, 4) === 'GGUF'
  },

  async read(file) {
    const header = new Header(new ReadAhead(file))
    await header.u32('the magic number')
    await checkVersion(file.path, header)
    const count = await header.u64('the number of tensors')
    if (count > limits.checkpoint.tensorsCount) {
      throw new CheckpointError(
        file.path,
        `claims ${count} tensors, more than ${limits.checkpoint.tensorsCount}`,
        RESAVE,
      )
    }
    const { alignment, attention, settings } = await readMetadata(file, header)
    const infos: Info[] = []
    const names = new Set<string>()
    for (let i = 0; i < count; i++) {
      const info = await readInfo(file.path, header)
      file.budget.name(info.name.length)
      if (names.has(info.name)) throw new CheckpointError(info.where, 'is there twice', RESAVE)
      names.add(info.name)
      infos.push(info)
    }
    const start = Math.ceil(header.position / alignment) * alignment
    const tensors = infos.map(info => describe(file.path, info, start, alignment, file.size))
    refuseOverlaps(file.path, infos)
    return { tensors, attention, settings, stateDict: '', ignored: [] }
  },
}

interface Info {
  readonly name: string
  readonly where: string
  readonly shape: readonly number[]
  readonly number: number
  readonly type: GgmlType | undefined
  /** From the start of the data. */
  readonly offset: number
  /** Unknown types are taken as empty. */
  readonly bytes: number
}

async function checkVersion(path: string, header: Header): Promise<void> {
  const version = await header.u32('the version')
  if (version === 2 || version === 3) return
  if (version === 1) throw new CheckpointError(path, 'is GGUF version 1, of 2023; 2 and 3 are read', CONVERT)
  if (version > 0 && (version & 0xffff) === 0) {
    throw new CheckpointError(
      path,
      'is a big-endian GGUF file',
      'Convert it: gguf-py/gguf/scripts/gguf_convert_endian.py.',
    )
  }
  throw new CheckpointError(path, `is GGUF version ${version}; 2 and 3 are read`)
}

interface Metadata {
  readonly alignment: number
  /** Of heads, where all layers have as many. */
  readonly attention: AttentionConfig
  /** The numbers by which llama.cpp applies the weights, by their keys behind the architecture's name. */
  readonly settings: readonly Setting[]
}

async function readMetadata({ path, budget }: RandomAccessFile, header: Header): Promise<Metadata> {
  const pairs = await header.u64('the number of metadata pairs')
  if (pairs > limits.gguf.pairsCount) {
    throw new CheckpointError(path, `claims ${pairs} metadata pairs, more than ${limits.gguf.pairsCount}`, RESAVE)
  }
  const keys = new Set<string>()
  const numbers = new Map<string, number>()
  const said = new Map<string, number | string>()
  let architecture = ''
  for (let i = 0; i < pairs; i++) {
    const key = checkName(path, await header.string(`the key of metadata pair ${i}`), 'a metadata key')
    const what = `the metadata ${quoted(key)}`
    budget.name(key.length)
    if (keys.has(key)) throw new CheckpointError(path, `${what} is there twice`, RESAVE)
    keys.add(key)
    const type = await header.u32(what)
    if (key === ALIGNMENT && type !== UINT32) {
      throw new CheckpointError(path, `${what} is of type ${type}, not an unsigned number of 32 bits`, RESAVE)
    }
    if (key === ARCHITECTURE && type === STRING) {
      architecture = await header.string(what)
    } else if (type === UINT32 && (key === ALIGNMENT || NUMBERS.some(end => key.endsWith(end)))) {
      numbers.set(key, await header.u32(what))
    } else if (key === 'split.count' && type === UINT16) {
      refuseSplit(path, await header.u16(what))
    } else if (type === STRING && key.endsWith(SCALING)) {
      said.set(key, await header.string(what))
    } else {
      const value = UNDECIDING.test(key) ? undefined : await header.scalar(type, what)
      if (value !== undefined) said.set(key, value)
      else await header.skip(type, what)
    }
  }
  const alignment = numbers.get(ALIGNMENT) ?? DEFAULT_ALIGNMENT
  if (alignment === 0 || alignment > limits.gguf.alignmentBytes || (alignment & (alignment - 1)) !== 0) {
    throw new CheckpointError(path, `its general.alignment is ${alignment}, which is no power of two in bounds`, RESAVE)
  }
  const [hidden, heads, sharedHeads, width] = NUMBERS.map(end => numbers.get(architecture + end))
  const attention = {
    ...{ family: '', hidden, heads, sharedHeads: sharedHeads ?? heads, width: width ?? widthOf(hidden, heads) },
    ...{ grouped: false, multiQuery: undefined, ownCode: false },
  }
  return { alignment, attention, settings: settingsOf(architecture, new Map([...said, ...numbers])) }
}

function settingsOf(architecture: string, said: ReadonlyMap<string, number | string>): readonly Setting[] {
  const own = [...said].filter(([key]) => key.startsWith(`${architecture}.`))
  const named = own.map(([key, value]) => [key.slice(architecture.length + 1), value] as const)
  const found = [['architecture', architecture] as const, ...named.sort(([a], [b]) => (a < b ? -1 : 1))]
  return bounded(found.map(([key, value]) => ({ file: 'GGUF', key, value: JSON.stringify(value) })))
}

/** To llama.cpp a name ends at its first zero byte: what is behind it would make two names of one. */
function checkName(path: string, name: string, what: string): string {
  if (!name.includes('\0')) return name
  throw new CheckpointError(path, `${what}, ${quoted(name)}, has a zero byte within`, RESAVE)
}

function refuseSplit(path: string, count: number): void {
  if (count <= 1) return
  throw new CheckpointError(
    path,
    `is one of ${count} parts of a model`,
    'Merge them: llama-gguf-split --merge FIRST-PART OUTPUT, and name the output.',
  )
}

async function readInfo(path: string, header: Header): Promise<Info> {
  const name = checkName(path, await header.string('the name of a tensor'), 'the name of a tensor')
  const what = `tensor ${quoted(name)}`
  const where = `${path}: ${what}`
  const dimensions = await header.u32(what)
  if (dimensions > limits.checkpoint.dimensionsCount) {
    throw new CheckpointError(
      where,
      `has ${dimensions} dimensions, more than ${limits.checkpoint.dimensionsCount}`,
      RESAVE,
    )
  }
  const shape: number[] = []
  for (let d = 0; d < dimensions; d++) shape.unshift(await header.u64(what))
  const number = await header.u32(what)
  const type = GGML_TYPES.get(number)
  const offset = await header.u64(what)
  const elements = size(shape)
  if (!shape.every(Number.isSafeInteger) || !Number.isSafeInteger(elements * 8)) {
    throw new CheckpointError(where, `its shape [${shape}] overflows`, RESAVE)
  }
  if (type && (shape.at(-1) ?? 1) % type.elements !== 0) {
    const found = `its rows of ${shape.at(-1) ?? 1} are no whole ${type.name} blocks of ${type.elements}`
    throw new CheckpointError(where, found, RESAVE)
  }
  return { name, where, shape, number, type, offset, bytes: type ? (elements / type.elements) * type.bytes : 0 }
}

function describe(path: string, info: Info, start: number, alignment: number, fileSize: number): Tensor {
  const { name, where, shape, number, type, bytes } = info
  if (info.offset % alignment !== 0) {
    throw new CheckpointError(where, `its offset ${info.offset} is no multiple of the alignment ${alignment}`, RESAVE)
  }
  const offset = start + info.offset
  if (offset + bytes > fileSize) {
    throw new CheckpointError(where, `reaches to byte ${offset + bytes}, but the file has ${fileSize}`, RESAVE)
  }
  const strides = contiguous(shape)
  if (type?.dtype) return { name, dtype: type.dtype, shape, source: { kind: 'file', path, offset, strides } }
  if (type?.decode) {
    const parameters: BlocksParameters = { type: number, offset, blocks: bytes / type.bytes }
    return { name, dtype: 'F32', shape, source: { kind: 'packed', path, codec: 'gguf-blocks', parameters, strides } }
  }
  return {
    name,
    dtype: 'U8',
    shape,
    source: { kind: 'packed', path, codec: 'unread', parameters: null, strides },
    skip: `its type, ${type?.name ?? `ggml type ${number}`}, is not one that is dequantised`,
  }
}

function refuseOverlaps(path: string, infos: readonly Info[]): void {
  const sorted = infos.filter(info => info.bytes > 0).sort((a, b) => a.offset - b.offset)
  for (const [i, info] of sorted.entries()) {
    const next = sorted[i + 1]
    if (!next || info.offset + info.bytes <= next.offset) continue
    const both = [info, next].map(({ name }) => quoted(name))
    throw new CheckpointError(path, `the tensors ${both.join(' and ')} overlap`, RESAVE)
  }
}

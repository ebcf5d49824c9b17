import { jsonProblem, parseJson } from '../bytes/json.ts'
import { CheckpointError, quoted, RESAVE, tensorIn } from '../errors.ts'
import { limits } from '../limits.ts'
import { momentIn } from './moment.ts'
import type { Reader } from './reader.ts'
import { contiguous, DTYPE_BITS, type DType, size, type Tensor } from './types.ts'

/**
 * safetensors: 8 bytes little-endian header length, a JSON header `{name: {dtype, shape, data_offsets}}`, then the data.
 * The rules are those of the format's reference implementation: offsets relative to the end of the header, tensors that
 * tile the data without overlap, sizes that follow from dtype and shape.
 */
export const safetensors: Reader = {
  format: 'safetensors',

  recognises({ head, size }) {
    if (size < 10 || head[8] !== 0x7b) return false
    const length = head.readBigUInt64LE(0)
    return (
      length >= 2n &&
      (length <= BigInt(limits.safetensors.headerBytes) || /^\{\s*("|\})/.test(head.toString('latin1', 8, 64)))
    )
  },

  async read(file) {
    const length = (await file.read(0, 8)).readBigUInt64LE(0)
    if (length > BigInt(limits.safetensors.headerBytes)) {
      throw new CheckpointError(
        file.path,
        `its header claims ${length} bytes, more than ${limits.safetensors.headerBytes}`,
        RESAVE,
      )
    }
    const start = 8 + Number(length)
    if (start > file.size) {
      throw new CheckpointError(file.path, `its header claims ${length} bytes, but the file has ${file.size}`, RESAVE)
    }
    const header = parse(file.path, await file.read(8, Number(length)))
    refuseSlices(file.path, header.__metadata__)
    const entries = Object.entries(header).filter(([name]) => name !== '__metadata__')
    if (entries.length > limits.checkpoint.tensorsCount) {
      throw new CheckpointError(
        file.path,
        `names ${entries.length} tensors, more than ${limits.checkpoint.tensorsCount}`,
      )
    }
    const ranges = entries.map(([name, info]) => describe(file.path, name, info, file.size - start))
    checkTiling(file.path, ranges, file.size - start)
    const tensors = ranges.map(({ name, dtype, shape, begin }): Tensor => {
      return {
        name,
        dtype,
        shape,
        source: { kind: 'file', path: file.path, offset: start + begin, strides: contiguous(shape) },
      }
    })
    const moment = momentIn(key => metadataOf(header.__metadata__, key))
    return { tensors, ...(moment && { moment }), stateDict: '', ignored: [] }
  },
}

interface Range {
  name: string
  dtype: DType
  shape: number[]
  begin: number
  end: number
}

function parse(path: string, bytes: Buffer): Record<string, unknown> {
  let header: unknown
  try {
    header = parseJson(bytes, { depth: limits.json.nestingLevels, marks: limits.json.marksCount })
  } catch (cause) {
    throw new CheckpointError(path, `its safetensors header ${jsonProblem(cause)}`, RESAVE, { cause })
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw new CheckpointError(path, 'its safetensors header is not a JSON object', RESAVE)
  }
  return header as Record<string, unknown>
}

function describe(path: string, name: string, info: unknown, dataBytes: number): Range {
  const where = tensorIn(path, name)
  if (name.length > limits.checkpoint.nameCharacters)
    throw new CheckpointError(
      where,
      `its name has ${name.length} characters, more than ${limits.checkpoint.nameCharacters}`,
    )
  const { dtype, shape, data_offsets: offsets } = (info ?? {}) as Record<string, unknown>
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BITS, dtype)) {
    throw new CheckpointError(
      where,
      `has the unknown dtype ${JSON.stringify(dtype)}`,
      'A newer version of Spectral Gate may know it.',
    )
  }
  if (!Array.isArray(shape) || !shape.every(isCount) || shape.length > limits.checkpoint.dimensionsCount) {
    throw new CheckpointError(where, `has the shape ${JSON.stringify(shape)?.slice(0, 200)}`, RESAVE)
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount) || offsets[0] > offsets[1]) {
    throw new CheckpointError(where, `has the data_offsets ${JSON.stringify(offsets)?.slice(0, 200)}`, RESAVE)
  }
  const [begin, end] = offsets as [number, number]
  if (end > dataBytes) {
    throw new CheckpointError(where, `ends at byte ${end} of the data, but the file has ${dataBytes}`, RESAVE)
  }
  const elements = size(shape)
  if (!Number.isSafeInteger(elements)) throw new CheckpointError(where, `its shape [${shape}] overflows`, RESAVE)
  const bits = elements * DTYPE_BITS[dtype as DType]
  if (bits !== (end - begin) * 8) {
    throw new CheckpointError(
      where,
      `${dtype} of shape [${shape}] takes ${bits / 8} bytes, but its offsets give it ${end - begin}`,
      RESAVE,
    )
  }
  return { name, dtype: dtype as DType, shape, begin, end }
}

/** A text of the header's metadata, which may be anything. */
function metadataOf(metadata: unknown, key: string): unknown {
  const known = typeof metadata === 'object' && metadata !== null && Object.hasOwn(metadata, key)
  return known ? (metadata as Record<string, unknown>)[key] : undefined
}

/** torch.distributed.checkpoint notes which slices of the tensors a file has: they must not pass for the tensors. */
function refuseSlices(path: string, metadata: unknown): void {
  const known = metadataOf(metadata, 'DCP_SHARDING_INFO') !== undefined
  if (!known) return
  throw new CheckpointError(
    path,
    'is a piece of a distributed checkpoint: it has slices of the tensors (DCP_SHARDING_INFO)',
    'Consolidate it: torch.distributed.checkpoint.consolidate_hf_safetensors_files, or save with enable_consolidation=True.',
  )
}

function checkTiling(path: string, ranges: readonly Range[], dataBytes: number): void {
  let previous: Range | undefined
  let covered = 0
  for (const range of [...ranges].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (previous && range.begin < covered) {
      const both = `${quoted(previous.name)} and ${quoted(range.name)}`
      throw new CheckpointError(path, `the tensors ${both} overlap`, RESAVE)
    }
    if (range.begin > covered) throw unclaimed(path, covered, range.begin)
    previous = range
    covered = range.end
  }
  if (covered < dataBytes) throw unclaimed(path, covered, dataBytes)
}

function unclaimed(path: string, begin: number, end: number): CheckpointError {
  return new CheckpointError(path, `bytes ${begin} to ${end} of its data belong to no tensor`, RESAVE)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

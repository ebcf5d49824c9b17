import { CheckpointError, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { contiguous, DTYPE_BITS, type DType, size } from '../elements.ts'
import { type Literal, parseDictionary } from './literal.ts'

const MAGIC = '\x93NUMPY'

/** What the header of an `.npy` file says about the array behind it. */
export interface NpyHeader {
  readonly dtype: DType
  readonly shape: readonly number[]
  /** In elements. */
  readonly strides: readonly number[]
  /** Bytes that are to be reversed where the elements are big-endian; 1 where they aren't. */
  readonly swap: number
  /** Where the elements begin, and how many bytes they take. */
  readonly start: number
  readonly bytes: number
}

/** An array that is not read: `reason` says why. */
export interface Unread {
  readonly reason: string
  /** As NumPy writes it. */
  readonly type: string
  readonly shape: readonly number[]
  /** Text, dates and times are no weights; all else may be some. */
  readonly mayBeWeights: boolean
}

const TYPES: Record<string, DType> = {
  f8: 'F64',
  f4: 'F32',
  f2: 'F16',
  c8: 'C64',
  c16: 'C128',
  i8: 'I64',
  i4: 'I32',
  i2: 'I16',
  i1: 'I8',
  u8: 'U64',
  u4: 'U32',
  u2: 'U16',
  u1: 'U8',
  b1: 'BOOL',
  // NumPy has no name for bfloat16, and writes ml_dtypes' as two bytes of anything.
  V2: 'BF16',
}

export function isNpy(head: Buffer): boolean {
  return head.toString('latin1', 0, 6) === MAGIC
}

/** How many bytes the header takes, told from the first 12. */
export function headerLength(where: string, head: Buffer): number {
  if (head.length < 10 || !isNpy(head)) throw new CheckpointError(where, 'is not a NumPy array', RESAVE)
  const [major, minor] = [head[6], head[7]]
  if (major < 1 || major > 3) {
    throw new CheckpointError(where, `is of the unknown version ${major}.${minor} of the format .npy`, RESAVE)
  }
  if (major > 1 && head.length < 12) throw new CheckpointError(where, 'ends within its header', RESAVE)
  const length = major === 1 ? 10 + head.readUInt16LE(8) : 12 + head.readUInt32LE(8)
  if (length > limits.numpy.headerBytes) {
    throw new CheckpointError(where, `its header claims ${length} bytes, more than ${limits.numpy.headerBytes}`, RESAVE)
  }
  return length
}

/**
 * Reads a whole header: versions 1.0 to 3.0.
 * @param where the file, and the member if there is one
 * @throws CheckpointError where it is malformed
 */
export function parseHeader(where: string, header: Buffer): NpyHeader | Unread {
  const version = header[6]
  const text = header.toString(version === 3 ? 'utf8' : 'latin1', version === 1 ? 10 : 12)
  const { descr, order, shape } = fields(where, text)
  const type = arrayType(descr)
  if ('reason' in type) return { ...type, shape }
  const elements = size(shape)
  const bytes = elements * (DTYPE_BITS[type.dtype] / 8)
  if (!Number.isSafeInteger(elements) || !Number.isSafeInteger(bytes)) {
    throw new CheckpointError(where, `its shape [${shape}] overflows`, RESAVE)
  }
  const strides = order ? contiguous([...shape].reverse()).reverse() : contiguous(shape)
  return { ...type, shape, strides, start: header.length, bytes }
}

function fields(where: string, text: string): { descr: Literal; order: boolean; shape: readonly number[] } {
  let header: Map<string, Literal>
  try {
    header = parseDictionary(text)
  } catch (cause) {
    throw new CheckpointError(where, `its header ${(cause as Error).message}`, RESAVE, { cause })
  }
  const descr = header.get('descr')
  const order = header.get('fortran_order')
  const shape = header.get('shape')
  if (header.size !== 3 || descr === undefined || typeof order !== 'boolean' || !Array.isArray(shape)) {
    const keys = JSON.stringify([...header.keys()]).slice(0, 200)
    throw new CheckpointError(where, `its header has the keys ${keys}, or values of other kinds than NumPy's`, RESAVE)
  }
  if (shape.length > limits.checkpoint.dimensionsCount || !shape.every(n => Number.isSafeInteger(n) && n >= 0)) {
    throw new CheckpointError(where, `has the shape ${JSON.stringify(shape).slice(0, 200)}`, RESAVE)
  }
  return { descr, order, shape }
}

/** The elements of an array, by its `descr`; of pickled objects none, which are never unpickled. */
export function arrayType(descr: Literal): Pick<NpyHeader, 'dtype' | 'swap'> | Omit<Unread, 'shape'> {
  if (holdsObjects(descr)) {
    return {
      reason: 'an array of pickled Python objects, which could run code when loaded',
      type: 'object',
      mayBeWeights: true,
    }
  }
  if (typeof descr !== 'string') return { reason: 'an array of records', type: 'records', mayBeWeights: true }
  const match = /^([<>|=])([a-zA-Z])(\d+)$/.exec(descr)
  const kind = match ? match[2] + match[3] : ''
  if (!match || !Object.hasOwn(TYPES, kind)) {
    const type = descr.slice(0, 100)
    return { reason: `of the type ${JSON.stringify(type)}`, type, mayBeWeights: !/^[<>|=]?[SUaMm]/.test(descr) }
  }
  const dtype = TYPES[kind]
  const bytes = DTYPE_BITS[dtype] / 8 / (kind[0] === 'c' ? 2 : 1)
  // Bytes of anything have no order.
  return { dtype, swap: match[1] === '>' && kind[0] !== 'V' ? bytes : 1 }
}

function holdsObjects(descr: Literal): boolean {
  if (typeof descr === 'string') return /^[<>|=]?O/.test(descr)
  return Array.isArray(descr) && descr.some(holdsObjects)
}

import { RandomAccessFile } from '../../bytes/file.ts'
import { LayerError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { DTYPE_BITS, type FloatDType, isFloat, size } from '../elements.ts'
import { widen } from '../widen.ts'
import type { Part, Scheme } from './scheme.ts'

/** Elements of a piece, about. */
const PIECE = 64 * 1024
/** Column k of AWQ's eight lies in this 4-bit field of its word (AutoAWQ, awq/utils/packing_utils.py: AWQ_ORDER inverted). */
const AWQ_FIELD = [0, 4, 1, 5, 2, 6, 3, 7]

/**
 * The F32 values of a quantised tensor, in the order of its stored rows.
 * @throws LayerError where they can't be had
 */
export async function* dequantised(scheme: Scheme): AsyncGenerator<Uint8Array> {
  switch (scheme.kind) {
    case 'scaled':
      return yield* scaled(scheme)
    case 'table':
      return yield* fromTable(scheme)
    default:
      return yield* fromWords(scheme)
  }
}

async function* scaled(scheme: Extract<Scheme, { kind: 'scaled' }>): AsyncGenerator<Uint8Array> {
  const { values, rows, columns, blockRows, blockColumns, divisor } = scheme
  const scales = (await numbers(scheme.scale)).map(scale => scale / divisor)
  const across = Math.ceil(columns / blockColumns)
  const all = Uint8Array.from({ length: 256 }, (_, i) => i)
  const table =
    values.dtype === 'I8' ? Float64Array.from(new Int8Array(all.buffer)) : widen(values.dtype as FloatDType, all)
  yield* rowwise(values, rows, columns, (bytes, row, out) => {
    for (let c = 0; c < columns; c++) {
      out[c] = table[bytes[c]] * scales[Math.floor(row / blockRows) * across + Math.floor(c / blockColumns)]
    }
  })
}

/** The codes' elements are read row by row, `bytesOfRow` bytes each, and become a row of floats. */
async function* rowwise(
  part: Part,
  rows: number,
  columns: number,
  decode: (bytes: Buffer, row: number, out: Float32Array) => void,
  bytesOfRow = columns,
): AsyncGenerator<Uint8Array> {
  const file = await RandomAccessFile.open(part.path)
  try {
    const step = Math.max(1, Math.floor(PIECE / columns))
    for (let from = 0; from < rows; from += step) {
      const count = Math.min(step, rows - from)
      const bytes = await file.read(part.offset + from * bytesOfRow, count * bytesOfRow)
      const out = new Float32Array(count * columns)
      for (let r = 0; r < count; r++) {
        decode(
          bytes.subarray(r * bytesOfRow, (r + 1) * bytesOfRow),
          from + r,
          out.subarray(r * columns, (r + 1) * columns),
        )
      }
      yield new Uint8Array(out.buffer)
    }
  } finally {
    await file.close()
  }
}

type Words = Extract<Scheme, { kind: 'gptq' | 'awq' | 'packed' }>

async function* fromWords(scheme: Words): AsyncGenerator<Uint8Array> {
  const { bits, rows, columns, words } = scheme
  const mask = (1 << bits) - 1
  const perWord = 32 / bits
  const scales = await numbers(scheme.scales)
  if (scheme.kind === 'packed') {
    const across = scheme.scales.shape[1] ?? 1
    const group = columns / across
    const bytesOfRow = 4 * Math.ceil(columns / perWord)
    const middle = 1 << (bits - 1)
    return yield* rowwise(
      words,
      rows,
      columns,
      (bytes, row, out) => {
        for (let c = 0; c < columns; c++) {
          const q = (bytes.readUInt32LE(4 * Math.floor(c / perWord)) >>> (bits * (c % perWord))) & mask
          out[c] = (q - middle) * scales[row * across + Math.floor(c / group)]
        }
      },
      bytesOfRow,
    )
  }
  const zeros = await bytesOf(scheme.zeros)
  const groups = scheme.scales.shape[0]
  const zeroWords = scheme.zeros.shape[1]
  const index = scheme.kind === 'gptq' && scheme.groupIndex ? await numbers(scheme.groupIndex) : undefined
  const size = Math.ceil(rows / groups)
  const groupOf = (row: number): number => {
    const group = index ? index[row] : Math.floor(row / size)
    if (group >= 0 && group < groups) return group
    throw new LayerError('quantised', `its g_idx puts row ${row} into group ${group} of ${groups}`)
  }
  const field = (column: number) => bits * (scheme.kind === 'awq' ? AWQ_FIELD[column % 8] : column % perWord)
  const zeroOffset = scheme.kind === 'gptq' ? scheme.zeroOffset : 0
  const value = (q: number, column: number, group: number): number => {
    const word = zeros.readUInt32LE(4 * (group * zeroWords + Math.floor(column / perWord)))
    return (q - ((word >>> field(column)) & mask) - zeroOffset) * scales[group * columns + column]
  }
  if (scheme.kind === 'awq') {
    return yield* rowwise(
      words,
      rows,
      columns,
      (bytes, row, out) => {
        const group = groupOf(row)
        for (let c = 0; c < columns; c++) {
          out[c] = value((bytes.readUInt32LE(4 * Math.floor(c / 8)) >>> field(c)) & mask, c, group)
        }
      },
      4 * (columns / 8),
    )
  }
  // A row of words is `perWord` rows of weights.
  yield* rowwise(
    words,
    rows / perWord,
    columns * perWord,
    (bytes, wordRow, out) => {
      for (let r = 0; r < perWord; r++) {
        const row = wordRow * perWord + r
        const group = groupOf(row)
        for (let c = 0; c < columns; c++) {
          out[r * columns + c] = value((bytes.readUInt32LE(4 * c) >>> (bits * r)) & mask, c, group)
        }
      }
    },
    4 * columns,
  )
}

async function* fromTable(scheme: Extract<Scheme, { kind: 'table' }>): AsyncGenerator<Uint8Array> {
  const { codes, blocksize, elements, nested } = scheme
  const table = await numbers(scheme.table)
  let largest = await numbers(scheme.largest)
  if (nested) {
    const [inner, scale] = [await numbers(nested.table), await numbers(nested.largest)]
    largest = largest.map((code, i) => inner[code] * scale[Math.floor(i / nested.blocksize)] + nested.offset)
  }
  const file = await RandomAccessFile.open(codes.path)
  try {
    for (let from = 0; from < elements; from += PIECE) {
      const count = Math.min(PIECE, elements - from)
      const bytes = await file.read(codes.offset + from / 2, Math.ceil(count / 2))
      const out = new Float32Array(count)
      for (let i = 0; i < count; i++) {
        const code = i % 2 === 0 ? bytes[i >> 1] >> 4 : bytes[i >> 1] & 15
        out[i] = table[code] * largest[Math.floor((from + i) / blocksize)]
      }
      yield new Uint8Array(out.buffer)
    }
  } finally {
    await file.close()
  }
}

async function bytesOf({ path, offset, dtype, shape }: Part): Promise<Buffer> {
  const length = (size(shape) * DTYPE_BITS[dtype]) / 8
  if (length > limits.quantised.partBytes) {
    throw new LayerError('quantised', `its scales take ${length} bytes, more than ${limits.quantised.partBytes}`)
  }
  const file = await RandomAccessFile.open(path)
  try {
    return await file.read(offset, length)
  } finally {
    await file.close()
  }
}

/** All elements of a small tensor. */
export async function numbers(part: Part): Promise<Float64Array> {
  const bytes = await bytesOf(part)
  if (isFloat(part.dtype)) return widen(part.dtype, bytes)
  const count = size(part.shape)
  const read: Partial<Record<Part['dtype'], (i: number) => number>> = {
    U8: i => bytes[i],
    I8: i => bytes.readInt8(i),
    I32: i => bytes.readInt32LE(4 * i),
    I64: i => Number(bytes.readBigInt64LE(8 * i)),
    // The exponent of a float, bias 127: the bits of a binary32 without sign and mantissa.
    F8_E8M0: i => (bytes[i] === 255 ? Number.NaN : exponent(bytes[i])),
  }
  const at = read[part.dtype]
  if (!at) throw new LayerError('quantised', `its scales are of the type ${part.dtype}`)
  return Float64Array.from({ length: count }, (_, i) => at(i))
}

const scratch = new DataView(new ArrayBuffer(4))

function exponent(byte: number): number {
  // The least is a subnormal of binary32.
  scratch.setUint32(0, byte === 0 ? 0x00400000 : byte * 0x00800000)
  return scratch.getFloat32(0)
}

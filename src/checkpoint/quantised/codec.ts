import { RandomAccessFile } from '../../bytes/file.ts'
import { LayerError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { DTYPE_BITS, isFloat, size } from '../elements.ts'
import { widen } from '../widen.ts'
import type { Coded, Grid, Part, Scheme } from './scheme.ts'

const WRAPPED =
  'a zero point is the largest there is, to which some loaders add 1 and some wrap round to 0: quantise again'
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
    case 'coded':
      return yield* coded(scheme)
    case 'table':
      return yield* fromTable(scheme)
    default:
      return yield* fromWords(scheme)
  }
}

async function* coded(scheme: Coded): AsyncGenerator<Uint8Array> {
  const { codes, bits, rows, columns, upperFirst, unpadded } = scheme
  const factor = await constant(scheme)
  const scale = await gridOf(scheme.scale, bits)
  const zero = scheme.zero && (await gridOf(scheme.zero, bits))
  const bias = scheme.bias && (await gridOf(scheme.bias, bits))
  const table = numbersOf(scheme)
  const mask = table.length - 1
  yield* rowwise(
    codes,
    rows,
    columns,
    (bytes, row, out, from) => {
      for (let c = 0; c < columns; c++) {
        const at = from + bits * c
        const byte = at >> 3
        const shift = upperFirst ? 4 - (at & 7) : at & 7
        const code = ((bytes[byte] | ((bytes[byte + 1] ?? 0) << 8)) >> shift) & mask
        const value = table[code] - (zero ? zero(row, c) : 0)
        out[c] = value * scale(row, c) * factor + (bias ? bias(row, c) : 0)
      }
    },
    unpadded
      ? (bits * columns) / 8
      : (scheme.rowBytes ?? Math.ceil((bits * columns) / DTYPE_BITS[codes.dtype]) * (DTYPE_BITS[codes.dtype] / 8)),
  )
}

const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6]

function numbersOf({ bits, numbers }: Coded): Float64Array {
  const count = 1 << bits
  const all = Uint8Array.from({ length: count }, (_, i) => i)
  switch (numbers) {
    case 'unsigned':
      return Float64Array.from(all)
    case 'signed':
      return Float64Array.from(all, code => (code < count / 2 ? code : code - count))
    case 'offset':
      return Float64Array.from(all, code => code - count / 2)
    case 'e2m1':
      return Float64Array.from(E2M1)
    case 'e4m3':
      return widen('F8_E4M3', all)
    case 'e5m2':
      return widen('F8_E5M2', all)
  }
}

async function constant({ times = [], over = [], divisor = 1 }: Coded): Promise<number> {
  let factor = 1 / divisor
  for (const part of times) factor *= (await numbers(part))[0]
  for (const part of over) factor /= (await numbers(part))[0]
  return factor
}

async function gridOf(grid: Grid, bits: number): Promise<(row: number, column: number) => number> {
  const { part, blockRows, blockColumns, across } = grid
  const groups = grid.columnGroups && (await numbers(grid.columnGroups))
  const block = groups ? (column: number) => groups[column] : (column: number) => Math.floor(column / blockColumns)
  if (grid.packed) {
    const words = await bytesOf(part)
    const perWord = 32 / grid.packed
    const mask = (1 << bits) - 1
    const middle = 1 << (bits - 1)
    return (row, column) => {
      const packedRow = Math.floor(row / blockRows)
      const word = words.readUInt32LE(4 * (Math.floor(packedRow / perWord) * across + block(column)))
      return ((word >>> (bits * (packedRow % perWord))) & mask) - middle
    }
  }
  if (grid.nibbles) {
    const { signed, rowBytes } = grid.nibbles
    const codes = await bytesOf(part)
    return (row, column) => {
      const at = Math.floor(row / blockRows) * (rowBytes === undefined ? across : 2 * rowBytes) + block(column)
      const code = (codes[at >> 1] >> (4 * (at & 1))) & 15
      return signed && code > 7 ? code - 16 : code
    }
  }
  const bytes = grid.exponents ? await bytesOf(part) : undefined
  const all = bytes
    ? Float64Array.from(bytes, byte => (byte === 255 ? Number.NaN : exponent(byte)))
    : await numbers(part)
  if (grid.tiled) {
    return (row, column) => {
      const c = block(column)
      const tile = Math.floor(row / 128) * (across / 4) + Math.floor(c / 4)
      return all[512 * tile + 16 * (row % 32) + 4 * Math.floor((row % 128) / 32) + (c % 4)]
    }
  }
  const values = grid.reciprocal ? all.map(value => 1 / value) : all
  const rowGroups = grid.rowGroups && (await numbers(grid.rowGroups))
  return (row, column) => {
    const group = block(column)
    const blockRow = rowGroups ? rowGroups[row] : Math.floor(row / blockRows)
    const value = group >= 0 && group < across ? values[blockRow * across + group] : undefined
    if (value !== undefined) return value
    throw new LayerError('quantised', `its g_idx puts row ${row} and column ${column} where there is no scale`)
  }
}

/**
 * The codes' elements are read row by row, `bytesOfRow` bytes each, and become a row of floats.
 * @param decode given the bytes that hold a row, and the bit of the first at which it begins
 */
async function* rowwise(
  part: Part,
  rows: number,
  columns: number,
  decode: (bytes: Buffer, row: number, out: Float32Array, bit: number) => void,
  bytesOfRow = columns,
): AsyncGenerator<Uint8Array> {
  const file = await RandomAccessFile.open(part.path)
  try {
    const step = Math.max(1, Math.floor(PIECE / columns))
    for (let from = 0; from < rows; from += step) {
      const count = Math.min(step, rows - from)
      const first = Math.floor(from * bytesOfRow)
      const bytes = await file.read(part.offset + first, Math.ceil((from + count) * bytesOfRow) - first)
      const out = new Float32Array(count * columns)
      for (let r = 0; r < count; r++) {
        const at = (from + r) * bytesOfRow - first
        const start = Math.floor(at)
        decode(
          bytes.subarray(start, Math.ceil(at + bytesOfRow)),
          from + r,
          out.subarray(r * columns, (r + 1) * columns),
          8 * (at - start),
        )
      }
      yield new Uint8Array(out.buffer)
    }
  } finally {
    await file.close()
  }
}

type Words = Extract<Scheme, { kind: 'gptq' | 'awq' }>

async function* fromWords(scheme: Words): AsyncGenerator<Uint8Array> {
  const { bits, rows, columns, words } = scheme
  const mask = (1 << bits) - 1
  const scales = await numbers(scheme.scales)
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
  const field = (column: number) => bits * AWQ_FIELD[column % 8]
  /** The i-th code of those that follow each other in words `stride` bytes apart: a code may lie across two of them. */
  const code = (bytes: Buffer, offset: number, stride: number, i: number): number => {
    const at = bits * i
    const word = offset + stride * Math.floor(at / 32)
    const shift = at % 32
    const low = bytes.readUInt32LE(word) >>> shift
    return (shift + bits > 32 ? low | (bytes.readUInt32LE(word + stride) << (32 - shift)) : low) & mask
  }
  const zeroOffset = scheme.kind === 'gptq' ? scheme.zeroOffset : 0
  const value = (q: number, column: number, group: number): number => {
    const zero =
      scheme.kind === 'awq'
        ? (zeros.readUInt32LE(4 * (group * zeroWords + Math.floor(column / 8))) >>> field(column)) & mask
        : code(zeros, 4 * group * zeroWords, 4, column)
    if (zeroOffset === 1 && zero === mask) throw new LayerError('quantised', WRAPPED)
    return (q - zero - zeroOffset) * scales[group * columns + column]
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
  // So many rows of words are so many rows of weights: 1 and 32 / bits where that is a whole number.
  const [wordRows, blockRows] = 32 % bits === 0 ? [1, 32 / bits] : [bits, 32]
  yield* rowwise(
    words,
    rows / blockRows,
    columns * blockRows,
    (bytes, block, out) => {
      for (let r = 0; r < blockRows; r++) {
        const row = block * blockRows + r
        const group = groupOf(row)
        for (let c = 0; c < columns; c++) out[r * columns + c] = value(code(bytes, 4 * c, 4 * columns, r), c, group)
      }
    },
    4 * columns * wordRows,
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

async function bytesOf({ path, offset, dtype, shape, bytes }: Part): Promise<Buffer> {
  if (bytes) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
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
    I16: i => bytes.readInt16LE(2 * i),
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

import { withoutEnd } from '../words.ts'
import { piecesOf } from './pieces.ts'
import { DTYPE_BITS, type FloatDType, isFloat, size, type Tensor } from './types.ts'
import { widen } from './widen.ts'

/** Ends of keys under which modules keep what they learn: their contents are not looked at. */
const LEARNED = /(?:weights?|kernel|embeddings?|bias|gamma|beta|scale|original\d?|_[gv]|codebook|tokens?|[Ww])$/
/** The same within the last word of a key, and two that have what they like behind them. */
const LEARNED_WITH_MORE =
  /(?:weights?|kernel|embeddings?|bias|gamma|beta|scale|original\d?|_[gv]|codebook|tokens?|[Ww])_[ih]h|lora_\w/

const DIGITS = '0123456789'
const WORD = `${DIGITS}ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_`

/** Whether a key ends as those of weights do, or so with a number, or a number of a recurrent layer (`_ih_l0`) behind it. */
export function isLearned(key: string): boolean {
  if (LEARNED.test(key)) return true
  const unnumbered = withoutEnd(key, DIGITS)
  if (unnumbered !== key && LEARNED.test(unnumbered.replace(/_$/, ''))) return true
  return LEARNED_WITH_MORE.test(key.slice(withoutEnd(key, WORD).length))
}

/** Of positions there are tables under such names, too: `encoder.embed_positions.weight`. */
const POSITIONS = /(?:^|[._/])pos(?:ition(?:s|al)?)?(?:[._/]|$)|sinusoid/i
/** Bytes that are read of each, or some rows. */
const SAMPLE = 32 * 1024
const SAMPLE_ROWS = 8
const MOST_SAMPLED = 1024 * 1024
const MASK = 'a mask: zeros and one other number'
const ANGLES = 'a table of sines or cosines'
/** Tensors that are looked at, of a checkpoint. */
const MOST = 2_000
/** Elements without which nothing can be told. */
const LEAST = 64

/**
 * Marks floating-point matrices that are no weights by what they hold, where their names say neither: masks (one number and zeros),
 * and tables of sines and cosines of positions. A small part of each is read, and all of those that look so.
 */
export async function markConstants(tensors: readonly Tensor[]): Promise<Tensor[]> {
  const marked: Tensor[] = []
  let looked = 0
  for (const tensor of tensors) {
    const found = mayBeConstant(tensor) && looked++ < MOST ? constantIn(tensor, await sample(tensor)) : undefined
    const constant = found !== undefined && (await holdsThroughout(tensor, found)) ? found : undefined
    marked.push(constant === undefined ? tensor : { ...tensor, constant })
  }
  return marked
}

const PLAIN: ReadonlySet<string> = new Set(['range', 'hdf5-chunks', 'onnx-values', 'inline'])

function mayBeConstant({ name, label, dtype, shape, source, skip, companion, broken }: Tensor): boolean {
  if (!isFloat(dtype) || skip !== undefined || companion || broken !== undefined) return false
  if (shape.length !== 2 && shape.length !== 4) return false
  // What has to be dequantised for it is not looked at.
  if (source.kind === 'packed' && !PLAIN.has(source.codec)) return false
  const key = (label ?? name).replace(/:0$/, '')
  return size(shape) >= LEAST && (POSITIONS.test(key) || /bias$/.test(key) || !isLearned(key))
}

/** The first elements in the order in which they are stored. */
async function sample(tensor: Tensor): Promise<Float64Array> {
  const { dtype, shape } = tensor
  const rows = Math.min(MOST_SAMPLED, (SAMPLE_ROWS * shape[shape.length - 1] * DTYPE_BITS[dtype]) / 8)
  for await (const bytes of piecesOf(tensor, Math.max(SAMPLE, rows))) return widen(dtype as FloatDType, bytes)
  return new Float64Array(0)
}

/** Whether all of a tensor is what its beginning looks like. */
async function holdsThroughout(tensor: Tensor, found: string): Promise<boolean> {
  const { dtype, shape } = tensor
  const columns = shape[shape.length - 1]
  // Whole rows, as many as the waves in their columns are told by.
  const length = ((SAMPLE_ROWS * columns * DTYPE_BITS[dtype]) / 8) * Math.max(1, Math.floor(SAMPLE / columns))
  let number: number | undefined
  let largest: number | undefined
  let first = PADDING
  for await (const bytes of piecesOf(tensor, length)) {
    const values = widen(dtype as FloatDType, bytes)
    if (found === MASK) {
      const others = values.filter(value => value !== 0)
      number ??= others[0]
      if (others.some(value => value !== number)) return false
    } else {
      // Of slow waves, which are still near 0, the largest is not known at once: all columns have one amplitude.
      const known = values.subarray(first * columns)
      largest ??= largestOf(known.subarray(0, SAMPLE_ROWS * columns))
      if (!areWaves(values, columns, first) || largestOf(known) > HIGHER * largest) return false
      first = 0
    }
  }
  return true
}

function constantIn({ shape, source: { strides } }: Tensor, values: Float64Array): string | undefined {
  if (values.length < LEAST) return undefined
  const others = values.filter(value => value !== 0)
  if (others.length > 0 && others.length < values.length && others.every(value => value === others[0])) {
    return MASK
  }
  const rowMajor = strides[strides.length - 1] === 1
  return rowMajor && isTableOfAngles(values, shape[shape.length - 1]) ? ANGLES : undefined
}

/** Of products of two neighbours, relative to the largest in their column: what bfloat16 rounds. */
const ROUNDED = 0.05
/** Columns, and rows after the first two, without which chance could do it. */
const LEAST_COLUMNS = 8
const LEAST_ROWS = 4
/** How much higher than in its first rows a wave may become. */
const HIGHER = 1.5
/** Rows that may be anything. */
const PADDING = 2

/**
 * Rows of positions whose columns are all waves of one frequency each, as sines and cosines of p·ω are: x[p−1] + x[p+1] is
 * 2 cos ω · x[p], so that (x[p−1] + x[p+1]) · x[p+1] = (x[p] + x[p+2]) · x[p]. The first two rows may belong to padding.
 */
function isTableOfAngles(values: Float64Array, columns: number): boolean {
  const rows = Math.floor(values.length / columns)
  if (columns < LEAST_COLUMNS || rows < 2 + LEAST_ROWS || !areWaves(values, columns, PADDING)) return false
  let moving = 0
  for (let c = 0; c < columns; c++) {
    const x = Array.from({ length: rows - 2 }, (_, p) => values[(p + 2) * columns + c])
    if (Math.max(...x) - Math.min(...x) > ROUNDED * Math.max(...x.map(Math.abs))) moving++
  }
  return moving >= LEAST_COLUMNS
}

function largestOf(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}

/** Whether each column is a wave from a row on. */
function areWaves(values: Float64Array, columns: number, first: number): boolean {
  const rows = Math.floor(values.length / columns)
  for (let c = 0; c < columns; c++) {
    let largest = 0
    for (let row = first; row < rows; row++) largest = Math.max(largest, Math.abs(values[row * columns + c]))
    // Products of the values themselves may be smaller than any number.
    const x = (row: number) => values[row * columns + c] / (largest || 1)
    for (let p = first + 1; p + 2 < rows; p++) {
      const difference = (x(p - 1) + x(p + 1)) * x(p + 1) - (x(p) + x(p + 2)) * x(p)
      if (!(Math.abs(difference) <= ROUNDED)) return false
    }
  }
  return true
}

import { RandomAccessFile } from '../bytes/file.ts'
import { withoutEnd } from '../words.ts'
import { unpack } from './codecs.ts'
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
/** Tensors that are looked at, of a checkpoint. */
const MOST = 2_000
/** Elements without which nothing can be told. */
const LEAST = 64

/**
 * Marks floating-point matrices that are no weights by what they hold, where their names say neither: masks (one number and zeros),
 * and tables of sines and cosines of positions. A small part of each is read.
 */
export async function markConstants(tensors: readonly Tensor[]): Promise<Tensor[]> {
  const marked: Tensor[] = []
  let looked = 0
  for (const tensor of tensors) {
    const constant = mayBeConstant(tensor) && looked++ < MOST ? constantIn(tensor, await sample(tensor)) : undefined
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
  return size(shape) >= LEAST && (POSITIONS.test(key) || !isLearned(key))
}

/** The first elements in the order in which they are stored. */
async function sample({ dtype, shape, source }: Tensor): Promise<Float64Array> {
  const element = DTYPE_BITS[dtype] / 8
  const rows = Math.min(MOST_SAMPLED, SAMPLE_ROWS * shape[shape.length - 1] * element)
  // What repeats its elements stores fewer than it has.
  const stored = shape.reduce((last, n, d) => last + (n - 1) * source.strides[d], 1)
  const bytes = Math.min(Math.max(SAMPLE, rows), Math.min(size(shape), stored) * element)
  if (source.kind === 'file') {
    const file = await RandomAccessFile.open(source.path)
    try {
      return widen(dtype as FloatDType, await file.read(source.offset, Math.min(bytes, file.size - source.offset)))
    } finally {
      await file.close()
    }
  }
  for await (const piece of unpack(source)) {
    const whole = piece.length - (piece.length % 8)
    return widen(dtype as FloatDType, piece.subarray(0, Math.min(bytes, whole)))
  }
  return new Float64Array(0)
}

function constantIn({ shape, source: { strides } }: Tensor, values: Float64Array): string | undefined {
  if (values.length < LEAST) return undefined
  const others = values.filter(value => value !== 0)
  if (others.length > 0 && others.length < values.length && others.every(value => value === others[0])) {
    return 'a mask: zeros and one other number'
  }
  const rowMajor = strides[strides.length - 1] === 1
  return rowMajor && isTableOfAngles(values, shape[shape.length - 1]) ? 'a table of sines or cosines' : undefined
}

/** Of products of two neighbours, relative to the largest in their column: what bfloat16 rounds. */
const ROUNDED = 0.05
/** Columns, and rows after the first two, without which chance could do it. */
const LEAST_COLUMNS = 8
const LEAST_ROWS = 4

/**
 * Rows of positions whose columns are all waves of one frequency each, as sines and cosines of p·ω are: x[p−1] + x[p+1] is
 * 2 cos ω · x[p], so that (x[p−1] + x[p+1]) · x[p+1] = (x[p] + x[p+2]) · x[p]. The first two rows may belong to padding.
 */
function isTableOfAngles(values: Float64Array, columns: number): boolean {
  const rows = Math.floor(values.length / columns)
  if (columns < LEAST_COLUMNS || rows < 2 + LEAST_ROWS) return false
  let moving = 0
  for (let c = 0; c < columns; c++) {
    const x = Array.from({ length: rows - 2 }, (_, p) => values[(p + 2) * columns + c])
    const largest = Math.max(...x.map(Math.abs))
    const tolerance = ROUNDED * largest * largest
    for (let p = 1; p + 2 < x.length; p++) {
      const difference = (x[p - 1] + x[p + 1]) * x[p + 1] - (x[p] + x[p + 2]) * x[p]
      if (!(Math.abs(difference) <= tolerance)) return false
    }
    if (Math.max(...x) - Math.min(...x) > ROUNDED * largest) moving++
  }
  return moving >= LEAST_COLUMNS
}

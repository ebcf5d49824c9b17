import { limits } from '../limits.ts'
import { shapeOf, type Values } from '../recipe/values.ts'
import type { Evaluator } from './evaluate.ts'

/** What the weights of a layer show that their spectrum does not. */
export interface WeightStatistics {
  /** Share of elements that are exactly 0. */
  readonly zeros: number
  /**
   * Median number of distinct values in a row of the weights as a matrix (first dimension × the others), or in a column, whichever is
   * smaller: which of them belongs to one output is not known. Of 33 rows and columns, evenly spaced; of sides of 32 or more
   * elements, and not of those that are all 0: these were pruned, not rounded. Null where there is none.
   */
  readonly row_levels: number | null
  /**
   * A count sketch: each element is added to one of 64 buckets, or subtracted, as its place in the tensor decides. Linear, so that
   * Σ(a − b)² of the sketches of two tensors estimates that of their elements, within 18 % (one standard error, √(2/64)).
   * Source: Charikar, Chen & Farach-Colton 2002, "Finding frequent items in data streams".
   */
  readonly sketch: Float64Array
}

export const SKETCH_BUCKETS = 64

/** Rows and columns of which the distinct values are counted. */
const SAMPLED = 33
/** A shorter row has few values whatever they are. */
const LEAST_ROW = 32

/** One pass over the values, in blocks of rows. */
export function weightStatistics(evaluator: Evaluator, values: Values): WeightStatistics {
  const [rows, ...rest] = shapeOf(values)
  const columns = rest.reduce((product, n) => product * n, 1)
  const sketch = new Float64Array(SKETCH_BUCKETS)
  const sampledColumns = columnsSampled(rows, columns)
  const kept = sampledColumns.map(() => new Float64Array(rows))
  const sampledRows = new Set(columns >= LEAST_ROW ? spaced(rows) : [])
  const rowLevels: number[] = []
  let zeros = 0
  const step = Math.max(1, Math.floor(limits.spectrum.chunkBytes / 8 / columns))
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row)
    const block = evaluator.block(values, [row, ...rest.map(() => 0)], [count, ...rest])
    zeros += addToSketch(sketch, block, row * columns)
    for (let r = 0; r < count; r++) {
      for (const [i, column] of sampledColumns.entries()) kept[i][row + r] = block[r * columns + column]
      if (sampledRows.has(row + r)) rowLevels.push(distinct(block.slice(r * columns, (r + 1) * columns)))
    }
  }
  const medians = [rowLevels, kept.map(distinct)]
    .map(levels => levels.filter(count => count > 0))
    .filter(levels => levels.length > 0)
    .map(median)
  return {
    zeros: zeros / (rows * columns),
    row_levels: medians.length > 0 ? Math.min(...medians) : null,
    sketch,
  }
}

/** Columns are gathered: fewer where they are long. */
function columnsSampled(rows: number, columns: number): number[] {
  if (rows < LEAST_ROW) return []
  return spaced(columns, Math.max(1, Math.min(SAMPLED, Math.floor(limits.spectrum.chunkBytes / 8 / rows))))
}

/** Indices below n, evenly spaced, from the middle of each of the sections. */
function spaced(n: number, most = SAMPLED): number[] {
  const count = Math.min(n, most)
  return Array.from({ length: count }, (_, i) => Math.floor(((2 * i + 1) * n) / (2 * count)))
}

/** @returns how many elements are 0 */
function addToSketch(sketch: Float64Array, block: Float64Array, first: number): number {
  let zeros = 0
  for (let i = 0; i < block.length; i++) {
    const value = block[i]
    if (value === 0) {
      zeros++
      continue
    }
    const at = first + i
    const hash = mix((at >>> 0) ^ mix(Math.floor(at / 0x1_0000_0000) + 0x9e37_79b9))
    if ((hash & SKETCH_BUCKETS) === 0) sketch[hash & (SKETCH_BUCKETS - 1)] += value
    else sketch[hash & (SKETCH_BUCKETS - 1)] -= value
  }
  return zeros
}

/** MurmurHash3's 32-bit finaliser: every bit of the place changes half of the result's. */
function mix(bits: number): number {
  let h = bits | 0
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35)
  return h ^ (h >>> 16)
}

/** @returns 0 where all are 0 */
function distinct(values: Float64Array): number {
  values.sort()
  if (values[0] === 0 && values[values.length - 1] === 0) return 0
  let count = 0
  for (let i = 0; i < values.length; i++) if (i === 0 || values[i] !== values[i - 1]) count++
  return count
}

function median(numbers: readonly number[]): number {
  const ascending = [...numbers].sort((a, b) => a - b)
  return ascending[ascending.length >> 1]
}

import { UserError } from '../errors.ts'

/** One job's share of a model's layers: the `index`th of `of`, from 1. */
export interface Shard {
  readonly index: number
  readonly of: number
}

const MOST = 256

/** @throws UserError where the text is not `i/n` with 1 ≤ i ≤ n ≤ 256 */
export function parseShard(text: string): Shard {
  const [, index, of] = /^\s*(\d{1,3})\s*\/\s*(\d{1,3})\s*$/.exec(text)?.map(Number) ?? []
  if (index >= 1 && index <= of && of <= MOST) return { index, of }
  throw new UserError(
    `shard is ${JSON.stringify(text)}, but takes i/n with 1 ≤ i ≤ n ≤ ${MOST}.`,
    'For example 1/4, 2/4, 3/4 and 4/4 in the four jobs of a matrix.',
  )
}

/**
 * The positions of a shard's layers, ascending. Each job works this out by itself: the longest layer first, each to the shard
 * that has least to do so far (longest processing time first: Graham 1969, at most 4/3 of the shortest possible).
 * @param costs of all layers, in the order of the plan
 */
export function shardPositions(costs: readonly number[], { index, of }: Shard): number[] {
  if (!costs.every(Number.isFinite)) throw new RangeError('a layer whose cost is no number')
  const load = new Float64Array(of)
  const positions: number[] = []
  const longestFirst = costs.map((_, i) => i).sort((a, b) => costs[b] - costs[a] || a - b)
  for (const i of longestFirst) {
    const shard = load.indexOf(Math.min(...load))
    load[shard] += costs[i]
    if (shard === index - 1) positions.push(i)
  }
  return positions.sort((a, b) => a - b)
}

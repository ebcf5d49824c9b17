import type { Pair } from '../comparison/pair.ts'
import { subtract } from '../comparison/subtract.ts'
import { EPSILON, isVariance } from '../norms.ts'
import type { Layer, Skipped } from '../report/schema.ts'
import { keysOf, moduleOf } from './keys.ts'

const SCALE = /(?:^|[._/])(?:weight|gamma|scale)$/
const BIAS = /(?:^|[._/])bias$/

/** The variances of batch norms that only the baseline has, and nothing of which is left. */
function goneVariances({ base }: Pick<Pair, 'base'>, keys: ReadonlyMap<string, string>): Skipped[] {
  const kept = new Set(base?.skipped.filter(({ tensor }) => keys.has(tensor)).map(moduleOf))
  return base?.skipped.filter(row => isVariance(row.tensor) && !keys.has(row.tensor) && !kept.has(moduleOf(row))) ?? []
}

/** The biases that came, or are others. */
function newBiases({ head, base }: Pick<Pair, 'head' | 'base'>, keys: ReadonlyMap<string, string>): Skipped[] {
  const had = new Map(base?.skipped.map(({ tensor, digest }) => [keys.get(tensor), digest]))
  return head.skipped.filter(
    ({ tensor, digest }) => BIAS.test(tensor) && (!had.has(tensor) || had.get(tensor) !== digest),
  )
}

/**
 * Of batch norms that went, all that may have been folded: for each a bias came, or is another.
 * @param keys what the baseline's tensors are called on the other side
 */
export function foldedNorms(pair: Pick<Pair, 'head' | 'base'>, keys: ReadonlyMap<string, string>): ReadonlySet<string> {
  const gone = new Set(goneVariances(pair, keys).map(moduleOf))
  return newBiases(pair, keys).length >= gone.size ? gone : new Set()
}

/** The biases that came where batch norms went, into which these may have been folded: of as many channels, and no more than they. */
export function foldedBiases(
  pair: Pick<Pair, 'head' | 'base'>,
  keys: ReadonlyMap<string, string>,
): ReadonlySet<string> {
  const variances = goneVariances(pair, keys)
  const channels = new Set(variances.map(({ shape }) => shape[0]))
  const had = new Set(keys.values())
  const biases = newBiases(pair, keys).filter(({ tensor, shape }) => !had.has(tensor) && channels.has(shape[0]))
  return new Set(biases.length <= variances.length ? biases.map(({ tensor }) => tensor) : [])
}

/**
 * Layers that grew and may each have taken the scale of a batch norm that went: it has as many channels as the bias that came or is
 * another, they are no more than the norms, and grew no more than by γ²/ε, the most that a norm of no variance scales by (Ioffe and
 * Szegedy 2015, Algorithm 1).
 *
 * @param least growth of log_spectral_norm that is asked about
 */
export function foldedIn(pair: Pair, least: number): ReadonlySet<Layer> {
  const keys = keysOf(pair)
  const variances = goneVariances(pair, keys)
  const gone = new Set(variances.map(moduleOf))
  const channels = new Set(variances.map(({ shape }) => shape[0]))
  const scales = pair.base?.skipped.filter(row => SCALE.test(row.tensor) && gone.has(moduleOf(row))) ?? []
  const scale = scales.reduce((most, { largest = 1 }) => Math.max(most, largest), 1)
  const most = 2 * Math.log10(scale) - Math.log10(EPSILON.least)
  const biases = newBiases(pair, keys).filter(({ shape }) => channels.has(shape[0]))
  const biased = new Set(biases.map(moduleOf))
  const grown = pair.matched.filter(({ head, base }) => {
    const rise = subtract(head.log_spectral_norm ?? null, base.log_spectral_norm ?? null)
    return rise !== null && rise > least && rise <= most && biased.has(moduleOf(head))
  })
  return new Set(grown.length <= gone.size ? grown.map(({ head }) => head) : [])
}

import type { Pair } from '../comparison/pair.ts'
import { subtract } from '../comparison/subtract.ts'
import { EPSILON, isVariance } from '../norms.ts'
import type { Layer } from '../report/schema.ts'
import { keysOf, moduleOf } from './keys.ts'

const SCALE = /(?:^|[._/])(?:weight|gamma|scale)$/
const BIAS = /(?:^|[._/])bias$/

/** The modules of batch norms that only the baseline has. */
function goneNorms({ base }: Pick<Pair, 'base'>, keys: ReadonlyMap<string, string>): ReadonlySet<string> {
  const variances = base?.skipped.filter(({ tensor }) => isVariance(tensor) && !keys.has(tensor)) ?? []
  return new Set(variances.map(moduleOf))
}

/** Of batch norms that went, all that may have been folded: for each a bias came, or is another. */
export function foldedNorms(pair: Pick<Pair, 'head' | 'base' | 'matched'>): ReadonlySet<string> {
  const keys = keysOf(pair)
  const gone = goneNorms(pair, keys)
  const had = new Map(pair.base?.skipped.map(({ tensor, digest }) => [keys.get(tensor), digest]))
  const biases = pair.head.skipped.filter(
    ({ tensor, digest }) => BIAS.test(tensor) && (!had.has(tensor) || had.get(tensor) !== digest),
  )
  return biases.length >= gone.size ? gone : new Set()
}

/**
 * Layers that grew and may each have taken the scale of a batch norm that went: they have a bias, they are no more than the norms, and
 * grew no more than by γ²/ε, the most that a norm of no variance scales by (Ioffe and Szegedy 2015, Algorithm 1).
 *
 * @param least growth of log_spectral_norm that is asked about
 */
export function foldedIn({ head, base, matched }: Pair, least: number): ReadonlySet<Layer> {
  const gone = goneNorms({ base }, keysOf({ head, base, matched }))
  const scales = base?.skipped.filter(row => SCALE.test(row.tensor) && gone.has(moduleOf(row))) ?? []
  const scale = scales.reduce((most, { largest = 1 }) => Math.max(most, largest), 1)
  const most = 2 * Math.log10(scale) - Math.log10(EPSILON.least)
  const biased = new Set(head.skipped.filter(({ tensor }) => BIAS.test(tensor)).map(moduleOf))
  const grown = matched.filter(({ head, base }) => {
    const rise = subtract(head.log_spectral_norm ?? null, base.log_spectral_norm ?? null)
    return rise !== null && rise > least && rise <= most && biased.has(moduleOf(head))
  })
  return new Set(grown.length <= gone.size ? grown.map(({ head }) => head) : [])
}

import { mean, standardDeviation } from '../statistics.ts'
import { fitMarchenkoPastur } from './marchenko-pastur.ts'

/** What a layer's spectrum is beside those of its shuffled weights: means over the replicas, and what they scatter. */
export interface Randomised {
  readonly rand_distance: number
  readonly rand_distance_sd: number
  readonly max_rand_eval: number
  readonly ww_softrank: number
  readonly ww_softrank_sd: number
  readonly ww_maxdist: number
  readonly rand_sigma_mp: number
  readonly rand_bulk_min: number
  readonly rand_bulk_max: number
  readonly rand_mp_softrank: number
  readonly rand_W_scale: number
  readonly rand_num_spikes: number
  readonly num_traps: number
}

/** How often a layer is shuffled. */
export const REPLICAS = 5
/** Layers with fewer eigenvalues than this are shuffled so often for one fit of the bulk, the others for one each. */
const FEW = 100

/**
 * What WeightWatcher's `randomize` finds, as means over the replicas. Its `rand_…` columns are the Marchenko-Pastur fit of one replica,
 * or of five together where there are fewer than 100 eigenvalues, whose spikes count five times then.
 *
 * @param lambda all eigenvalues, ascending
 * @param shuffled the same for each replica
 * @param N the longer side of one matrix
 * @param M the shorter side
 */
export function randomised(
  lambda: Float64Array,
  shuffled: readonly Float64Array[],
  N: number,
  M: number,
): Randomised | null {
  if (shuffled.length === 0) return null
  const largest = lambda[lambda.length - 1]
  const most = shuffled.map(values => values[values.length - 1])
  const distances = shuffled.map(values => jensenShannon(lambda, values))
  const softranks = most.map(value => value / largest)
  const trials = lambda.length < FEW ? [together(shuffled)] : shuffled
  const fits = trials.flatMap(values => fitMarchenkoPastur(values, N, M) ?? [])
  const fitted = (of: (fit: (typeof fits)[number]) => number) => mean(fits.map(of))
  const num_traps = fitted(({ num_spikes }) => num_spikes)
  return {
    rand_distance: mean(distances),
    rand_distance_sd: standardDeviation(distances),
    max_rand_eval: mean(trials.map(values => values[values.length - 1])),
    ww_softrank: mean(softranks),
    ww_softrank_sd: standardDeviation(softranks),
    ww_maxdist: largest - mean(most),
    rand_sigma_mp: fitted(({ sigma_mp }) => sigma_mp),
    rand_bulk_min: fitted(({ bulk_min }) => bulk_min),
    rand_bulk_max: fitted(({ bulk_max }) => bulk_max),
    rand_mp_softrank: fitted(({ mp_softrank }) => mp_softrank),
    rand_W_scale: fitted(({ W_scale }) => W_scale),
    rand_num_spikes: num_traps,
    num_traps,
  }
}

/**
 * The Jensen-Shannon distance of two lists, each taken as a distribution over its places: √((KL(p, m) + KL(q, m)) / 2), m the mean of
 * both, natural logarithms.
 * Source: Lin, IEEE Transactions on Information Theory 37 (1991) 145; WeightWatcher compares sorted eigenvalues so.
 */
export function jensenShannon(p: Float64Array, q: Float64Array): number {
  const [sumP, sumQ] = [sum(p), sum(q)]
  let divergence = 0
  for (let i = 0; i < p.length; i++) {
    const m = (p[i] + q[i]) / (sumP + sumQ)
    if (p[i] > 0) divergence += (p[i] / sumP) * Math.log(p[i] / sumP / m)
    if (q[i] > 0) divergence += (q[i] / sumQ) * Math.log(q[i] / sumQ / m)
  }
  return Math.sqrt(Math.max(0, divergence / 2))
}

function together(lists: readonly Float64Array[]): Float64Array {
  return Float64Array.from(lists.flatMap(values => [...values])).sort()
}

function sum(values: ArrayLike<number>): number {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i]
  return total
}

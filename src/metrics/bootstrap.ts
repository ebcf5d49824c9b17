import { createHash } from 'node:crypto'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator'
import type { PowerLaw } from './powerlaw.ts'
import { clippedFit, type TailOptions, tailFit } from './tail.ts'

/** What a bootstrap is of, as plain data: a thread is handed it. */
export interface BootstrapRequest {
  /** Ascending, as `fittedValues` gives them. */
  readonly values: Float64Array
  readonly options: TailOptions
  /** How often to draw, for each of both. */
  readonly draws: number
  /** The layer's shape: what the random numbers follow from, in every run. */
  readonly shape: readonly number[]
}

/** How far a fitted power law can be believed. */
export interface Bootstrap {
  /** Share of the law's own samples that have a larger D. */
  readonly p_value: number
  /** Ends of the 95 % interval of alpha; infinite where resamples of one value alone reach so far. */
  readonly alpha_low: number
  readonly alpha_high: number
  readonly bootstrap_draws: number
}

const LOW = 0.025
const HIGH = 0.975
/** Draws between two words of what is done. */
const TOLD = 16

/**
 * The goodness of fit by a semi-parametric bootstrap, and the percentile interval of alpha by resampling; in both the law is fitted as
 * the layer was, with the search for xmin. What was clipped as a finger is left out.
 *
 * p_value: n values are drawn, each with probability (tail's share) from the fitted law and else from the values below xmin.
 * Source: Clauset, Shalizi, Newman, SIAM Review 51 (2009), section 4.1. The interval: Efron and Tibshirani, An Introduction to the
 * Bootstrap (1993), section 13.3.
 *
 * @param onWork told the share that is done, from 0 to 1
 * @returns null where there is no law to begin with
 */
export function bootstrap(
  { values, options, draws, shape }: BootstrapRequest,
  onWork: (share: number) => void = () => {},
): Bootstrap | null {
  const { law } = clippedFit(values, options)
  if (!law || !Number.isFinite(law.alpha)) return null
  const x = values.filter(value => value <= law.xmax)
  const refit = tailFit(options)
  const sample = new Float64Array(x.length)

  const ofLaw = generator('law', shape)
  const draw = drawing(x, law, options.xmax === 'force')
  let larger = 0
  for (let i = 0; i < draws; i++) {
    for (let j = 0; j < sample.length; j++) sample[j] = draw(ofLaw)
    if (refit(sample.sort())!.D > law.D) larger++
    if (i % TOLD === 0) onWork(i / (2 * draws))
  }

  const ofValues = generator('values', shape)
  const alphas = new Float64Array(draws)
  for (let i = 0; i < draws; i++) {
    for (let j = 0; j < sample.length; j++) sample[j] = x[uniformInt(ofValues, 0, x.length - 1)]
    alphas[i] = refit(sample.sort())!.alpha
    if (i % TOLD === 0) onWork((draws + i) / (2 * draws))
  }
  alphas.sort()
  return {
    p_value: larger / draws,
    alpha_low: quantile(alphas, LOW),
    alpha_high: quantile(alphas, HIGH),
    bootstrap_draws: draws,
  }
}

/** Multiply-adds that it takes, about. */
export function bootstrapCost({ values, draws }: BootstrapRequest): number {
  return 2 * draws * 5000 * values.length
}

/** One value of the law above xmin, or of those below, as often as there are. */
function drawing(x: Float64Array, { alpha, xmin, xmax }: PowerLaw, cut: boolean): (random: RandomGenerator) => number {
  const below = x.findIndex(value => value >= xmin)
  // Of the law cut off at xmax, what lies beneath it.
  const whole = cut ? 1 - Math.exp((1 - alpha) * Math.log(xmax / xmin)) : 1
  return random => {
    const place = uniformInt(random, 0, x.length - 1)
    if (place < below) return x[place]
    const drawn = xmin * Math.exp(-Math.log(1 - whole * uniformFloat64(random)) / (alpha - 1))
    return Math.min(drawn, Number.MAX_VALUE)
  }
}

/** Random numbers that follow from the shape alone, as the order of shuffles does: equal layers are equal wherever they stand. */
function generator(what: string, shape: readonly number[]): RandomGenerator {
  const seed = createHash('sha256')
    .update(JSON.stringify(['bootstrap', what, shape]))
    .digest()
  return xoroshiro128plus(seed.readInt32LE())
}

/** Linear between neighbours (Hyndman & Fan 1996, type 7). */
function quantile(ascending: Float64Array, q: number): number {
  const at = q * (ascending.length - 1)
  const [below, above] = [ascending[Math.floor(at)], ascending[Math.ceil(at)]]
  return below === above ? below : below + (at - Math.floor(at)) * (above - below)
}

import type { Layer } from '../report/schema.ts'
import { isUpdate } from '../report/state.ts'
import { mean, median } from '../statistics.ts'
import type { Pair } from './pair.ts'
import { subtract } from './subtract.ts'

/** Relative distance of the weights up to which they are a continuation of the baseline's: another seed is about 1.4 away. */
export const CONTINUED = 0.5
/** Of weights that were only written in another type: bfloat16 is 0.002 away, an 8-bit float 0.03. */
export const CAST = 0.05
/** So few values in a row are a grid of at most 4 bits. */
export const FEW_LEVELS = 16
/** Rise of the share of zeros that is called pruning. */
export const PRUNED = 0.1

type Match = Pair['matched'][number]

/**
 * ‖W − W_base‖/‖W_base‖ and ⟨W, W_base⟩/(‖W‖·‖W_base‖) over all matched layers, estimated from their sketches; null where a layer has
 * none.
 */
export function betweenWeights({ matched }: Pick<Pair, 'matched'>): { distance: number | null; cosine: number | null } {
  let [differences, product, ours, theirs] = [0, 0, 0, 0]
  for (const { head, base } of matched) {
    const [a, b] = [head.sketch, base.sketch]
    if (!a || !b || a.length === 0 || a.length !== b.length) return { distance: null, cosine: null }
    for (const [i, value] of a.entries()) {
      differences += (value - b[i]) * (value - b[i])
      product += value * b[i]
      ours += value * value
      theirs += b[i] * b[i]
    }
  }
  const [distance, cosine] = [Math.sqrt(differences / theirs), product / Math.sqrt(ours * theirs)]
  return {
    distance: Number.isFinite(distance) ? distance : null,
    cosine: Number.isFinite(cosine) ? cosine : null,
  }
}

/** Mean distance of two normalised spectra, quantile by quantile. */
export function spectrumDistance({ quantiles: a }: Layer, { quantiles: b }: Layer): number | null {
  if (!a || !b || a.length === 0 || a.length !== b.length) return null
  const distance = mean(a.map((value, i) => Math.abs(value - b[i])))
  return Number.isFinite(distance) ? distance : null
}

export function nonZeroEvals({ num_evals, matrix_rank }: Layer): number {
  return Math.min(num_evals, matrix_rank ?? num_evals)
}

/** At most 16 values in a row, where there were more than twice as many. */
export function isRounded({ head, base }: Match): boolean {
  const [now, before] = [head.row_levels ?? null, base.row_levels ?? null]
  return now !== null && before !== null && now <= FEW_LEVELS && before > 2 * now
}

export function isPruned({ head, base }: Match): boolean {
  const change = subtract(head.zeros ?? null, base.zeros ?? null)
  return change !== null && change > PRUNED
}

/** Part of what chance does to a spectrum of other weights, within which two are the same one; and what six digits of each leave. */
const SAME_SPECTRUM = 0.15
const DIGITS = 2e-6
/** Quantiles of a spectrum that is a line: of orthogonal weights all are the same. */
const FLAT = 0.01
/** Eigenvalues of which one does not have those of another by chance. */
const TELLING_EVALS = 3

/** Other weights with the eigenvalues of the baseline's, to the last digit: rows or columns in another order, turned signs, a rotation. */
export function isRearranged(match: Match): boolean {
  const [scale, { distance }] = [scaleOfSame(match, toleranceOf(match)), betweenWeights({ matched: [match] })]
  if (scale === null || distance === null || distance <= CAST) return false
  // A training that goes on moves eigenvalues with the weights.
  const exact = Math.abs(scaleOfSame(match, DIGITS) ?? 1) <= DIGITS
  return exact || (distance > CONTINUED && Math.abs(scale) <= toleranceOf(match))
}

/** Change of log_norm, and of ln(stable_rank), from which on a layer is no more the same times about one, and has no more the same spectrum. */
const SCALED = 0.1
const SAME_RANK = 0.005

/** The baseline's eigenvalues times one number: weights that something multiplied, and nothing trained. */
export function isRescaled(match: Match): boolean {
  const { head, base } = match
  const spread = Math.log((head.stable_rank ?? 0) / (base.stable_rank ?? 0))
  // Most quantiles of a layer of low rank are 0.
  const tolerance = (toleranceOf(match) * nonZeroEvals(base)) / base.num_evals
  return Math.abs(spread) <= SAME_RANK && Math.abs(scaleOfSame(match, Math.max(DIGITS, tolerance)) ?? 0) > SCALED
}

/** The change of log_norm of a layer whose eigenvalues are else those of the baseline; null where they are not, or can't be told. */
function scaleOfSame({ head, base }: Match, tolerance: number): number | null {
  if (head.digest !== undefined && head.digest === base.digest) return null
  const spectrum = spectrumDistance(head, base)
  if (spectrum === null || spectrum > tolerance) return null
  const [low, high] = [base.quantiles![0], base.quantiles![base.quantiles!.length - 1]]
  if (nonZeroEvals(base) < TELLING_EVALS || high - low < FLAT) return null
  return subtract(head.log_norm ?? null, base.log_norm ?? null)
}

function toleranceOf({ base }: Match): number {
  return Math.max(DIGITS, SAME_SPECTRUM / Math.sqrt(base.num_evals * base.N))
}

/**
 * The layers of the baseline whose weights others have now, as far as sketches tell: they survive a cast, which bytes do not. Where there
 * are very many layers of one shape, none is looked for.
 */
export function wanderers(matched: readonly Match[]): ReadonlyMap<Match, Layer> {
  const known = wandered.get(matched) ?? findWanderers(matched)
  wandered.set(matched, known)
  return known
}

/** Two rules ask, and every pair of layers of one shape is compared for it. */
const wandered = new WeakMap<readonly Match[], ReadonlyMap<Match, Layer>>()

function findWanderers(matched: readonly Match[]): Map<Match, Layer> {
  const byShape = new Map<string, Match[]>()
  for (const match of matched) {
    const key = match.base.shape.join()
    const alike = byShape.get(key)
    if (alike) alike.push(match)
    else byShape.set(key, [match])
  }
  const distance = (head: Layer, base: Layer) => betweenWeights({ matched: [{ head, base }] }).distance
  const found = new Map<Match, Layer>()
  for (const alike of byShape.values()) {
    const moved = alike.filter(({ head, base }) => (distance(head, base) ?? 0) > CONTINUED)
    if (moved.length * alike.length > MOST_PAIRS) continue
    for (const match of moved) {
      const origin = alike.find(({ base }) => base !== match.base && (distance(match.head, base) ?? 1) <= CAST)
      if (origin) found.set(match, origin.base)
    }
  }
  return found
}

/** Pairs of layers of one shape that are compared with each other. */
const MOST_PAIRS = 250_000

/** By which the cosine of two sketches errs. */
const SKETCH_ERROR = 0.13
/** Cosine from which on most layers are those of the baseline, trained on or not, and below which one has nothing of it. */
const STAYED = 0.8
const NOTHING_IN_COMMON = 0.45
/** Of weights that were turned about, in errors of the cosine: of another seed none is as far below 0. */
const TURNED = -4.6
/** Layers without which most are none. */
const LEAST_LAYERS = 3
/** So far below the others in log_norm a layer had hardly begun, and goes anywhere. */
export const HARDLY_BEGUN = 3

/**
 * Layers whose weights have nothing in common with the baseline's, where those of most layers stayed what they are: initialised anew, or
 * another model's. What an adapter adds is held against the rest of that alone. Weights that point the other way are by no training.
 */
export function replaced(
  matched: readonly Match[],
): { readonly match: Match; readonly cosine: number; readonly usual: number }[] {
  return byKind(matched).flatMap(alike => {
    const known = alike.flatMap(match => {
      const { cosine } = betweenWeights({ matched: [match] })
      return cosine === null ? [] : [{ match, cosine, norm: match.base.log_norm ?? Number.NEGATIVE_INFINITY }]
    })
    const [usual, norm] = [median(known.map(({ cosine }) => cosine)), median(known.map(({ norm }) => norm))]
    const isTrained = known.length < LEAST_LAYERS || usual < STAYED
    const most = ({ base }: Match) => (isTrained ? TURNED * errorOf(base) : NOTHING_IN_COMMON)
    return known
      .filter(one => one.cosine < most(one.match) && one.norm > norm - HARDLY_BEGUN)
      .map(({ match, cosine }) => ({ match, cosine, usual }))
  })
}

/** Of few elements even unrelated weights have a cosine. */
function errorOf({ shape }: Layer): number {
  return Math.hypot(SKETCH_ERROR, 1 / Math.sqrt(shape.reduce((product, length) => product * length, 1)))
}

/** What adapters add to weights, and weights: what is usual for one is not for the other. */
export function byKind(matched: readonly Match[]): readonly [updates: readonly Match[], weights: readonly Match[]] {
  return [matched.filter(({ head }) => isUpdate(head)), matched.filter(({ head }) => !isUpdate(head))]
}

import { HILL_SHARE, type HillShares, inPercent } from '../report/hill.ts'
import type { Judgement, Layer, Model } from '../report/schema.ts'
import { isRandomLike, isUpdate } from '../report/state.ts'
import { mean, median } from '../statistics.ts'
import type { Moments } from './moments.ts'
import type { Pair } from './pair.ts'
import { subtract } from './subtract.ts'

/** Share of the layers of the larger side that has to be matched where two models are of one architecture, but for one exchanged: a new head. */
const SAME_SHARE = 0.9
/** Share of kinds of names in common from which on models of other depths or widths are of one family. */
const FAMILY_SHARE = 0.5
/** Relative distance of the weights up to which they are a continuation of the baseline's: another seed is about 1.4 away. */
const CONTINUED = 0.5
/** Cosine of the angle between the weights of two moments of one training; another seed is at about 0, within 0.13 by its sketch. */
const ONE_TRAINING = 0.5
/** Of weights that were only written in another type: bfloat16 is 0.002 away, an 8-bit float 0.03. */
const CAST = 0.05
/** So few values in a row are a grid of at most 4 bits. */
export const FEW_LEVELS = 16
/** Rise of the share of zeros that is called pruning. */
export const PRUNED = 0.1

/**
 * Eigenvalues, without those that are 0, of a layer that takes part in what is averaged: WeightWatcher's own advice for a fit. Of 10, a quarter is 3, whose
 * mean logarithm moves by half of itself from seed to seed.
 */
export const LEAST_EVALS = 50

type ShapeChange = Judgement['layers'][number]

/**
 * What two models are to each other, which metric compares them and why, and the changes that the built-in rules judge. Layers with
 * few eigenvalues take no part in the means. Those that look random in the baseline do, and have nothing to lose: they are listed.
 *
 * @param moments of the two trainings, if they are one: whether they are, the weights tell
 * @param shares of alpha_hill, where they are not the usual one: what was measured at that says nothing of the tails then
 */
export function judgement(pair: Pair, shares?: HillShares, moments?: Moments): Judgement {
  const { matched } = pair
  const relation = relationOf(pair)
  const { distance, cosine } = betweenWeights(pair)
  const one = relation === 'same' && cosine !== null && cosine >= ONE_TRAINING ? moments : undefined
  const measured = matched.filter(isMeasured)
  const layers = measured.map(match => shapeChange(match, shares))
  const judged = layers.filter(({ note }) => note !== 'few-evals')
  const tails = shares ? [] : judged
  const changes = tails.flatMap(({ change }) => (change === null ? [] : [change]))
  const primary =
    relation === 'same' && changes.length > 0 ? 'tail_shape' : relation === 'resized' ? 'alpha_weighted' : ''
  return {
    relation,
    how: relation === 'same' ? how(pair, distance, one !== undefined) : [],
    primary,
    why: [...(one ? [whichMoments(one)] : []), why(pair, relation, layers, shares)].join(' '),
    tail_shape: orNull(mean, changes),
    tail_shape_median: orNull(median, changes),
    driven_by: drivenBy(changes),
    from_above: orNull(
      mean,
      tails.flatMap(({ change, alpha_hill }) => (change !== null && (alpha_hill.base ?? 0) >= 2 ? [change] : [])),
    ),
    spectrum_distance: orNull(
      mean,
      layers.flatMap(({ distance }) => distance ?? []),
    ),
    spectrum_noise: orNull(
      mean,
      measured.map(({ head }) => 1 / Math.sqrt(head.num_evals * head.N)),
    ),
    log_norm: orNull(
      mean,
      matched.flatMap(({ head, base }) => subtract(head.log_norm ?? null, base.log_norm ?? null) ?? []),
    ),
    weight_distance: distance,
    ...(one && { moments: one }),
    ...(shares && { hill_share: shares }),
    judged: judged.length,
    layers,
  }
}

type Match = Pair['matched'][number]

/** A report of an earlier version, or a row without numbers, has no shape. */
function isMeasured({ head, base }: Match): boolean {
  return [head, base].every(({ alpha_hill, status }) => status !== 'error' && typeof alpha_hill === 'number')
}

function shapeChange({ head, base }: Match, shares?: HillShares): ShapeChange {
  const comparable = !shares || shares.head === shares.base
  const change = comparable ? logRatio(head.alpha_hill!, base.alpha_hill!) : Number.NaN
  return {
    name: head.name,
    shape: head.shape,
    ...(head.part !== undefined && { part: head.part }),
    change: Number.isFinite(change) ? change : null,
    distance: spectrumDistance(head, base),
    alpha_hill: { head: head.alpha_hill!, base: base.alpha_hill! },
    S: { head: head.S ?? null, base: base.S ?? null },
    note: nonZeroEvals(base) < LEAST_EVALS ? 'few-evals' : isRandomLike(base) ? 'random-like' : '',
  }
}

function nonZeroEvals({ num_evals, matrix_rank }: Layer): number {
  return Math.min(num_evals, matrix_rank ?? num_evals)
}

/** ln[(head − 1)/(base − 1)]. */
function logRatio(head: number, base: number): number {
  return subtract(head, base) === 0 ? 0 : Math.log((head - 1) / (base - 1))
}

/** Mean distance of two normalised spectra, quantile by quantile. */
function spectrumDistance({ quantiles: a }: Layer, { quantiles: b }: Layer): number | null {
  if (!a || !b || a.length === 0 || a.length !== b.length) return null
  const distance = mean(a.map((value, i) => Math.abs(value - b[i])))
  return Number.isFinite(distance) ? distance : null
}

function relationOf({ head, base, matched, added, removed }: Pair): Judgement['relation'] {
  if (!base) return 'unrelated'
  // Of weights that are tied one side may have but one.
  const copies = (rest: readonly Layer[], side: 'head' | 'base') => {
    const digests = new Set(matched.map(match => match[side].digest))
    return rest.filter(({ digest }) => digest && digests.has(digest)).length
  }
  const [ours, theirs] = [head.layers.length - copies(added, 'head'), base.layers.length - copies(removed, 'base')]
  const larger = Math.max(ours, theirs)
  const exchanged = added.length === 1 && removed.length === 1 && matched.length > 1
  // Small layers that came beside all that were there make no other architecture.
  const kept = matched.map(({ head }) => head)
  const grown = matched.length >= SAME_SHARE * theirs && elements(kept) >= SAME_SHARE * elements(head.layers)
  // Layers that are called otherwise now are no other architecture, as long as most are not.
  const renamed = matched.length > larger / 2 && shapesOf(added) === shapesOf(removed)
  if (matched.length >= SAME_SHARE * larger || exchanged || grown || renamed) return 'same'
  if (matched.length >= SAME_SHARE * theirs) return 'resized'
  const [now, before] = [kinds(head), kinds(base)]
  const common = [...now].filter(kind => before.has(kind)).length
  const all = new Set([...now, ...before]).size
  return common >= FAMILY_SHARE * all ? 'resized' : 'unrelated'
}

/** The shapes of layers, each as often as it is there. */
function shapesOf(layers: readonly Layer[]): string {
  return layers
    .map(({ shape }) => shape.join('x'))
    .sort()
    .join()
}

function elements(layers: readonly Layer[]): number {
  return layers.reduce((sum, { N, M, rf }) => sum + N * M * rf, 0)
}

/** Names without their numbers, and types: the same for any depth and width. */
function kinds({ layers }: Model): Set<string> {
  return new Set(
    layers.map(layer => `${isUpdate(layer) ? 'Δ' : ''}${layer.layer_type} ${layer.name.replace(/\d+/g, '#')}`),
  )
}

/** What became of the weights, where they say so. */
function how({ matched }: Pair, distance: number | null, oneTraining: boolean): Judgement['how'] {
  const share = (holds: (match: Match) => boolean) => matched.filter(holds).length > matched.length / 2
  return [
    ...(matched.some(isRounded) ? (['quantised'] as const) : []),
    ...(matched.some(isPruned) ? (['pruned'] as const) : []),
    ...(share(({ head, base }) => head.dtype !== base.dtype) && distance !== null && distance <= CAST
      ? (['cast'] as const)
      : []),
    ...(oneTraining ? (['same-training'] as const) : apart(distance)),
    ...(matched.some(({ head }) => isUpdate(head)) ? (['adapter'] as const) : []),
  ]
}

/** How far the weights went, where nothing says that it was one training. */
function apart(distance: number | null): Judgement['how'] {
  if (distance === null || distance <= CAST) return []
  return distance <= CONTINUED ? ['continued'] : ['retrained']
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
 * ‖W − W_base‖/‖W_base‖ and ⟨W, W_base⟩/(‖W‖·‖W_base‖) over all matched layers, estimated from their sketches; null where a layer has
 * none.
 */
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

function betweenWeights({ matched }: Pick<Pair, 'matched'>): { distance: number | null; cosine: number | null } {
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

function whichMoments({ unit, head, base }: Moments): string {
  return head > base
    ? `Two moments of one training: ${unit} ${base} in the baseline, ${head} here.`
    : `The baseline comes later: ${unit} ${base} there, ${head} here, of one training or of one that began with it.`
}

function why(
  pair: Pair,
  relation: Judgement['relation'],
  layers: readonly ShapeChange[],
  shares: HillShares | undefined,
): string {
  const { head, base, matched, added, removed } = pair
  if (!base) return 'The baseline has no model of this name.'
  if (relation === 'unrelated' && added.some(isUpdate) !== removed.some(isUpdate)) {
    const [adapter, whole] = added.some(isUpdate) ? ['This', 'the baseline'] : ['The baseline', 'this']
    return `${adapter} is an adapter, whose layers are what it adds to weights, and ${whole} is not: merge it with its base model (base-model, merge-adapter), or compare it with another adapter.`
  }
  if (relation === 'unrelated')
    return `${matched.length} of ${head.layers.length} layers are in the baseline: another architecture, so that no change of a metric says which is better.`
  if (relation === 'resized')
    return `Another depth or width (${base.layers.length} layers before, ${head.layers.length} now): alpha misleads there, alpha_weighted can be compared, and never fails alone.`
  if (layers.length === 0 && head.layers.some(({ only }) => only !== undefined))
    return 'Only spectral norms were computed, of which none says which model is better.'
  if (layers.length === 0 && matched.some(({ base }) => base.alpha_hill === undefined))
    return 'No layer has a tail shape on both sides, so that it does not judge: an earlier version did not measure it.'
  if (layers.length === 0) return 'No layer has a tail on both sides, so that its shape does not judge.'
  if (shares) return whyNoTail(shares)
  const count = (why: ShapeChange['note']) => layers.filter(({ note }) => note === why).length
  const [random, few] = [count('random-like'), count('few-evals')]
  if (few === layers.length)
    return `Every layer has fewer than ${LEAST_EVALS} eigenvalues: too few for the shape of a tail.`
  const sentences = [
    'Same architecture, so the shape of the tail decides: alpha over the largest quarter of each spectrum.',
  ]
  if (random === layers.length)
    sentences.push('Every layer of the baseline looks random, so that spectra show almost nothing that could be lost.')
  else if (random > 0) {
    const mostly = 2 * random > layers.length ? ', most of them, so that spectra show little' : ''
    const have = random === 1 ? 'looks random in the baseline and has' : 'look random in the baseline and have'
    sentences.push(`${random} of ${layers.length} layers ${have} nothing to lose${mostly}.`)
  }
  if (few > 0) {
    const [have, are] = few === 1 ? ['has', 'is'] : ['have', 'are']
    sentences.push(
      `${few} of ${layers.length} layers ${have} fewer than ${LEAST_EVALS} eigenvalues and ${are} left out.`,
    )
  }
  return sentences.join(' ')
}

function whyNoTail({ head, base }: HillShares): string {
  const [now, usual] = [inPercent(head), inPercent(HILL_SHARE)]
  return head === base
    ? `Same architecture, but alpha_hill is over ${now} of each spectrum (hill-share), and what retrained and damaged networks do was measured at ${usual}: no built-in rule judges the shape of the tails.`
    : `Same architecture, but alpha_hill is over ${now} of each spectrum (hill-share), and over ${inPercent(base)} in the baseline: the shape of the tails can't be compared.`
}

/** The fewest layers without which the mean would be at most half of what it is. */
function drivenBy(changes: readonly number[]): number {
  const total = changes.reduce((sum, change) => sum + change, 0)
  const sorted = [...changes].sort((a, b) => Math.sign(total) * (b - a))
  let [rest, count] = [total, 0]
  while (count < sorted.length && Math.abs(rest) > Math.abs(total) / 2) rest -= sorted[count++]
  return count
}

/** What there is none of has no mean, and neither has what is beyond a double. */
function orNull(of: (values: readonly number[]) => number, values: readonly number[]): number | null {
  const value = of(values)
  return Number.isFinite(value) ? value : null
}

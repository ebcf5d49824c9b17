import { HILL_SHARE, type HillShares, inPercent } from '../report/hill.ts'
import type { Judgement, Layer, Model } from '../report/schema.ts'
import { isJudged, isRandomLike, isUpdate } from '../report/state.ts'
import { mean, median } from '../statistics.ts'
import type { Moments } from './moments.ts'
import type { Pair } from './pair.ts'
import { subtract } from './subtract.ts'
import {
  betweenWeights,
  byKind,
  CAST,
  CONTINUED,
  isPruned,
  isRounded,
  nonZeroEvals,
  spectrumDistance,
} from './weights.ts'

/** Share of the layers of the larger side that has to be matched where two models are of one architecture, but for one exchanged: a new head. */
const SAME_SHARE = 0.9
/** Share of kinds of names in common from which on models of other depths or widths are of one family. */
const FAMILY_SHARE = 0.5
/** Cosine of the angle between the weights of two moments of one training; another seed is at about 0, within 0.13 by its sketch. */
const ONE_TRAINING = 0.5
/**
 * Eigenvalues, without those that are 0, of a layer that takes part in what is averaged: WeightWatcher's own advice for a fit. Of 10, a quarter is 3, whose
 * mean logarithm moves by half of itself from seed to seed.
 */
export const LEAST_EVALS = 50

type ShapeChange = Judgement['layers'][number]

/**
 * What two models are to each other, which metric compares them and why, and the changes that the built-in rules judge. Layers with
 * few eigenvalues take no part in the means, nor does what an adapter adds, which begins as zeros. Those that look random in the baseline do, and have nothing to lose: they are listed.
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
  const judged = layers.filter(isJudged)
  const [, weights] = byKind(matched)
  const ofWeights = weights.filter(isMeasured)
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
      ofWeights.flatMap(({ head, base }) => spectrumDistance(head, base) ?? []),
    ),
    spectrum_noise: orNull(
      mean,
      ofWeights.map(({ head }) => 1 / Math.sqrt(head.num_evals * head.N)),
    ),
    log_norm: orNull(
      mean,
      weights.flatMap(({ head, base }) => subtract(head.log_norm ?? null, base.log_norm ?? null) ?? []),
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
    note: noteOf(head, base),
  }
}

function noteOf(head: Layer, base: Layer): ShapeChange['note'] {
  if (nonZeroEvals(base) < LEAST_EVALS) return 'few-evals'
  if (isUpdate(head)) return 'update'
  return isRandomLike(base) ? 'random-like' : ''
}

/** ln[(head − 1)/(base − 1)]. */
function logRatio(head: number, base: number): number {
  return subtract(head, base) === 0 ? 0 : Math.log((head - 1) / (base - 1))
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
  const [random, few, updates] = [count('random-like'), count('few-evals'), count('update')]
  if (few === layers.length)
    return `Every layer has fewer than ${LEAST_EVALS} eigenvalues: too few for the shape of a tail.`
  if (few + updates === layers.length)
    return `What an adapter adds to weights begins as zeros, so that the shape of its tails says little of what was lost${few > 0 ? `, and the other layers have fewer than ${LEAST_EVALS} eigenvalues` : ''}.`
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
  if (updates > 0)
    sentences.push(
      `${updates} of ${layers.length} layers ${updates === 1 ? 'is' : 'are'} what an adapter adds, and left out.`,
    )
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

import type { Pair } from '../comparison/pair.ts'
import { subtract } from '../comparison/subtract.ts'
import { keptTensors } from '../comparison/tensors.ts'
import { wanderers } from '../comparison/weights.ts'
import { layerKey } from '../report/metrics.ts'
import type { Judgement, Layer } from '../report/schema.ts'
import { isJudged, RANDOM_LIKE } from '../report/state.ts'
import { mean } from '../statistics.ts'
import { moduleOf, OLDER } from './keys.ts'
import { isOfModule } from './parameters.ts'

export interface Measurement {
  readonly value: number
  /** For people: what was found. */
  readonly reason: string
  readonly layers?: number
  /** The layer behind it, where there is one. */
  readonly layer?: string
  /** What chance does to it at most, where that is known. */
  readonly chance?: number
}

/** Distance of two spectra in units of chance, from which on a loss of structure is believed. */
export const LEAST_DISTANCE = 2.8
/** Change of log_norm up to which a layer is the same one at the same scale. */
export const SAME_NORM = 0.4
/** Structure so far above chance is lost, whatever the norm did. */
export const PLAIN = 10
/**
 * How far seeds move the shape of one layer's tail (root mean square of pairs), times the root of its eigenvalues, where its matrices have
 * 67 columns or more; narrower ones more, in proportion. Measured on linear layers of 64 to 120 and on kernels of 16 and 32 channels.
 */
const SPREAD = 0.6
const NARROW = 40
/** So many times that is what chance does at most: of 168 pairs of four small networks none is beyond. */
const MOST_BY_CHANCE = 2.5

/** Layers that look random now, and did not: those whose norm stayed, or that had plain structure; or else the others. */
export function lostStructure(matched: Pair['matched'], judgement: Judgement, plainly: boolean): Measurement | null {
  const measured = byLayer(judgement)
  if (!judgement.layers.some(({ S, distance }) => S.head !== null && S.base !== null && distance !== null)) return null
  const lost = matched.filter(({ head, base }) => {
    const { S, distance } = measured.get(head) ?? {}
    if (S?.head == null || S.base == null || distance == null) return false
    const moved = Math.sqrt(head.num_evals * head.N) * distance > LEAST_DISTANCE
    const norm = Math.abs(subtract(head.log_norm ?? null, base.log_norm ?? null) ?? Number.POSITIVE_INFINITY)
    const isPlain = norm < SAME_NORM || S.base > PLAIN
    return S.head <= RANDOM_LIKE && S.base > RANDOM_LIKE && moved && isPlain === plainly
  })
  return counted(lost, ({ head, base }) => {
    return `it looks random now: S fell from ${base.S!.toFixed(1)} to ${head.S!.toFixed(1)}`
  })
}

/** Parameters without a spectrum that have another prefix than in the baseline, or came under a second name. */
export function misnamed(pair: Pick<Pair, 'head' | 'base'>): Pick<Measurement, 'layer' | 'reason'>[] {
  const moved = keptTensors(pair).filter(({ head, base }) => isOfModule(head) && moduleOf(head) !== moduleOf(base))
  const had = new Set(pair.base?.skipped.map(({ tensor }) => tensor))
  const all = new Set(pair.head.skipped.map(({ tensor }) => tensor))
  const twice = pair.head.skipped.flatMap(({ tensor }) => {
    const [, module, old] = /^(.*\.)(gamma|beta)$/.exec(tensor) ?? []
    const other = old && `${module}${OLDER[old]}`
    return other && all.has(other) && !(had.has(tensor) && had.has(other)) ? [{ tensor, other }] : []
  })
  return [
    ...moved.map(match => ({ layer: match.head.tensor, reason: otherKey(match) })),
    ...twice.map(({ tensor, other }) => ({
      layer: tensor,
      reason: `it is an older name of ${other}, which is there, too`,
    })),
  ]
}

export function otherKey({ head, base }: Record<'head' | 'base', { readonly tensor: string }>): string {
  return `its key is ${JSON.stringify(head.tensor)}, ${JSON.stringify(base.tensor)} before`
}

/** Layers of the baseline that went, but those that were tied there to one that stayed. */
export function lostLayers({ matched, added, removed }: Pair): { readonly head: Layer }[] {
  const names = new Set(added.map(({ name }) => name))
  const kept = new Set(matched.flatMap(({ base }) => base.digest ?? []))
  return removed
    .filter(({ name, digest }) => !names.has(name) && !(digest !== undefined && kept.has(digest)))
    .map(head => ({ head }))
}

/** Of layers that did not come only now. */
export function digestsThatStayed({ head, added }: Pick<Pair, 'head' | 'added'>): Set<string> {
  const came = new Set(added)
  return new Set(head.layers.flatMap(layer => (came.has(layer) ? [] : (layer.digest ?? []))))
}

/** Whether a layer has the weights that one of the baseline had, as far as bytes or sketches tell: `exchanged-weights` says so. */
export function movedElsewhere(matched: Pair['matched']): (match: Pair['matched'][number]) => boolean {
  const digests = new Set(matched.map(({ base }) => base.digest))
  const cast = wanderers(matched)
  return match => match.head.digest !== undefined && (digests.has(match.head.digest) || cast.has(match))
}

/** Of what Keras loads by its place: layers, or where there are none other tensors, whose names changed places. */
export function ofExchanged(exchanged: NonNullable<Pair['exchanged']>, matched: Pair['matched']): Measurement {
  const layers = new Map(matched.map(({ head }) => [head.tensor, head.name]))
  const found = [...exchanged].filter(([tensor]) => layers.has(tensor))
  const [[tensor, was]] = found.length > 0 ? found : exchanged
  return {
    value: found.length || exchanged.size,
    layer: layers.get(tensor) ?? tensor,
    reason: `it is in the place that ${JSON.stringify(was)} has in the baseline, and Keras loads by places`,
  }
}

/** Layers that are judged by their tails, whose base is this or more. */
export function ofTails(matched: Pair['matched'], judgement: Judgement, least = 0): Layer[] {
  const measured = byLayer(judgement)
  return matched.flatMap(({ head }) => {
    const layer = measured.get(head)
    const counts = layer && isJudged(layer) && layer.change !== null && (layer.alpha_hill.base ?? 0) >= least
    return counts ? [head] : []
  })
}

/** What chance does at most to the mean shape of the tails of layers. */
export function chanceOf(layers: readonly Layer[]): number {
  const variance = layers.reduce((sum, { M, num_evals }) => {
    const spread = Math.max(SPREAD, NARROW / Math.max(M, 1))
    return sum + (spread * spread) / Math.max(num_evals, 1)
  }, 0)
  return (MOST_BY_CHANCE * Math.sqrt(variance)) / Math.max(layers.length, 1)
}

/** The mean of what was measured of layers, null where of none. */
export function meanOf(sizes: readonly number[], reason: string): Measurement | null {
  return sizes.length === 0 ? null : { value: mean(sizes), layers: sizes.length, reason }
}

/** The changes of log_norm, where both sides have one. */
export function normChanges(matched: Pair['matched']): { head: Layer; base: number; change: number }[] {
  return matched.flatMap(({ head, base }) => {
    const change = subtract(head.log_norm ?? null, base.log_norm ?? null)
    return change === null ? [] : [{ head, base: base.log_norm!, change }]
  })
}

/** How many, and the first of them. */
export function counted<Match extends { readonly head: Layer }>(
  found: readonly Match[],
  reason: (match: Match) => string,
): Measurement {
  const [first] = found
  return first ? { value: found.length, layer: first.head.name, reason: reason(first) } : { value: 0, reason: '' }
}

/** The same of layers that have a column on both sides; null where none has. */
export function ofMeasured(
  matched: Pair['matched'],
  column: 'row_levels' | 'zeros',
  is: (match: Pair['matched'][number]) => boolean,
  reason: (match: Pair['matched'][number]) => string,
): Measurement | null {
  const known = matched.filter(({ head, base }) => head[column] != null && base[column] != null)
  return known.length > 0 ? counted(known.filter(is), reason) : null
}

/** The same of tensors, null where there is none to look at. */
export function foundIn(found: readonly Pick<Measurement, 'layer' | 'reason'>[] | null): Measurement | null {
  return found && tallied(found)
}

/** The same of what is no layer. */
export function tallied(found: readonly Pick<Measurement, 'layer' | 'reason'>[]): Measurement {
  return { value: found.length, ...(found[0] ?? { reason: '' }) }
}

export function byLayer(judgement: Judgement): { get(layer: Layer): Judgement['layers'][number] | undefined } {
  const found = new Map(judgement.layers.map(layer => [layerKey(layer), layer]))
  return { get: layer => found.get(layerKey(layer)) }
}

export function tails(change: number): string {
  return `the tails became ${change > 0 ? 'lighter' : 'heavier'} by ${Math.abs(change).toFixed(2)}`
}

export function power(log10: number): string {
  return `10^${log10.toFixed(1)}`
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`
}

export function signed(value: number): string {
  return `${value > 0 ? '+' : '−'}${Math.abs(value).toFixed(2)}`
}

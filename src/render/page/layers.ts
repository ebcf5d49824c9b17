import { askedIn } from '../../report/analyses.ts'
import { COMPARED_METRICS, type ComparedMetric, column, type LayerMetric, metricsWith } from '../../report/columns.ts'
import { layerKey } from '../../report/metrics.ts'
import type { Histogram, Judgement, Layer, LayerChange, Model, Report } from '../../report/schema.ts'
import { isJudged, isRandomLike, stateOf, whyUnfitted } from '../../report/state.ts'
import { printable } from '../escape.ts'
import { format, formatChange, formatMetric, formatReal } from '../numbers.ts'
import { attention, before, comparedModel, mostNotable } from '../sections.ts'
import { phrase as inText } from '../text.ts'
import type { Phrase } from '../view.ts'
import { said } from '../view.ts'
import { SHAPE_MOVED } from '../words.ts'
import type { Bulk, Spectrum } from './spectrum.ts'

/** How a layer is drawn. */
export type Kind = 'well' | 'over' | 'under' | 'unfitted'

/** A layer with all that is drawn and said of it. */
export interface Seen {
  /** Its place in the network, from 1. */
  readonly place: number
  readonly layer: Layer
  readonly kind: Kind
  readonly random: boolean
  readonly base: { readonly alpha: number | null; readonly isNew: boolean } | undefined
  readonly change: LayerChange | undefined
  readonly shape: Judgement['layers'][number] | undefined
  readonly why: Phrase
}

/** The layers of a model in the order of the network. */
export function seenLayers(report: Report, model: Model): Seen[] {
  const compared = comparedModel(report, model)
  const past = before(report, model)
  const changes = new Map(compared?.layers.map(change => [layerKey(change), change]))
  const shapes = new Map(compared?.judgement?.layers.map(shape => [layerKey(shape), shape]))
  const notable = new Map(attention(report, model).flatMap(({ layer, why }) => (layer ? [[layer, why] as const] : [])))
  return model.layers.map((layer, i) => {
    const alpha = past(layer, 'alpha')
    return {
      place: i + 1,
      layer,
      kind: kindOf(layer),
      random: isRandomLike(layer),
      base:
        alpha.kind === 'none'
          ? undefined
          : { alpha: alpha.kind === 'compared' ? alpha.change.base : null, isNew: alpha.kind === 'new' },
      change: changes.get(layerKey(layer)),
      shape: shapes.get(layerKey(layer)),
      why: notable.get(layer) ?? '',
    }
  })
}

function kindOf({ status, warning }: Layer): Kind {
  if (status !== 'success') return 'unfitted'
  return warning === 'over-trained' ? 'over' : warning === 'under-trained' ? 'under' : 'well'
}

/** Those to look at first, then those that moved most. */
export function changedFirst(report: Report, model: Model, seen: readonly Seen[]): Seen[] {
  const byLayer = new Map(seen.map(one => [one.layer, one]))
  return mostNotable(report, model).flatMap(layer => byLayer.get(layer) ?? [])
}

/** What there is to do about a layer, or to know of it, in a sentence or two. */
export function advice({ layer, kind, random, shape, why }: Seen): string[] {
  const said: string[] = []
  const reason = inText(why)
  if (reason !== '' && kind !== 'unfitted') said.push(`${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`)
  const change = shape && isJudged(shape) ? shape.change : null
  if (kind === 'unfitted') said.push(`No power law could be fitted: ${whyUnfitted(layer)}.`)
  if (kind === 'over')
    said.push(
      'alpha is below 2, over-trained: a few directions hold most of it. A learning rate that is too high, too little data or single huge weights do that.',
    )
  if (kind === 'under')
    said.push(
      'alpha is above 6, under-trained: its tail holds little correlation. It may need more training, or the network may not need it.',
    )
  if (kind === 'well')
    said.push(
      `alpha is between 2 and 6, where well-trained layers lie${random ? '; but the layer is random-like.' : '.'}`,
    )
  if (random)
    said.push(
      `It can’t be told from its own weights in another order (S = ${format(layer.S ?? null)}): it learned next to nothing.`,
    )
  if (kind !== 'unfitted' && (layer.num_pl_spikes ?? 0) < 20)
    said.push(
      `Its tail holds only ${layer.num_pl_spikes ?? 0} eigenvalues, so that alpha is uncertain by ±${format(layer.sigma, 2)}.`,
    )
  if ((layer.num_traps ?? 0) > 0)
    said.push(
      'Shuffled, it still has large eigenvalues: single weights are so large that no order hides them, a correlation trap.',
    )
  if (change !== null && change !== undefined && Math.abs(change) > SHAPE_MOVED && !reason.includes('tail became'))
    said.push(
      change > 0
        ? `Its tail became lighter than the baseline’s (${formatChange(change)}): it lost correlation.`
        : `Its tail became heavier than the baseline’s (${formatChange(change)}): it learned more, or is regularised too much.`,
    )
  return said
}

/** The columns of the page's table, beside the name: what stands in a cell, and by what it is sorted. */
export interface Cell {
  readonly label: string
  readonly help: string
  readonly numeric: boolean
  of(seen: Seen): readonly [shown: Phrase, key: number | string | null]
}

const SHOWN = [
  'num_evals',
  'alpha',
  'sigma',
  'D',
  'num_pl_spikes',
  'alpha_hill',
  'S',
  'log_norm',
  'log_spectral_norm',
  'stable_rank',
] as const satisfies readonly LayerMetric[]

export function cells(compared: boolean): Cell[] {
  const metric = (name: LayerMetric): Cell => ({
    label: name,
    help: column(name).help,
    numeric: true,
    of: ({ layer }) => [formatMetric(layer, name), layer[name] ?? null],
  })
  const changeOf = (name: ComparedMetric, label: string): Cell => ({
    label,
    help: `change of ${name}, head less base`,
    numeric: true,
    of: ({ change, base, layer }) => {
      if (base?.isNew) return ['new', null]
      const moved = change ? change[name].change : layer[name] == null ? null : 0
      return [formatChange(moved), moved]
    },
  })
  const shape: Cell = {
    label: 'Δ tail shape',
    help: 'ln[(alpha_hill − 1)/(base − 1)]: above 0 is lighter',
    numeric: true,
    of: ({ shape }) => [
      shape ? (isJudged(shape) ? formatChange(shape.change) : `(${formatChange(shape.change)})`) : '–',
      shape?.change ?? null,
    ],
  }
  const found = SHOWN.flatMap(name => [
    metric(name),
    ...(compared && name === 'alpha' ? [changeOf('alpha', 'Δ alpha')] : []),
    ...(compared && name === 'alpha_hill' ? [shape] : []),
    ...(compared && name === 'log_spectral_norm' ? [changeOf('log_spectral_norm', 'Δ log_spectral_norm')] : []),
  ])
  const status: Cell = {
    label: 'status',
    help: 'what became of the fit, and what stands out',
    numeric: false,
    of: ({ layer, random, why }) => [
      why !== '' ? why : [said(stateOf(layer)), ...(random ? [', random-like'] : [])],
      `${layer.status} ${layer.warning}`,
    ],
  }
  return [status, ...found]
}

/** What the script of the page has of a layer: what is drawn and shown when it is opened. */
export interface LayerData {
  readonly name: string
  readonly head: Spectrum
  readonly base?: Spectrum
  readonly advice: readonly string[]
  /** Metric, head, base, change, as texts. */
  readonly metrics: readonly (readonly string[])[]
  readonly facts: string
  /** Its row of the CSV. */
  readonly csv: string
  /** By what each column of the table is sorted. */
  readonly keys: readonly (number | string | null)[]
  readonly kind: Kind
  readonly changed: boolean
  readonly random: boolean
}

/** @param name printable */
export function layerData(report: Report, seen: Seen, name: string, csv: string, columns: readonly Cell[]): LayerData {
  const { layer, change, kind, random } = seen
  const base = change?.base && spectrumOfBase(change)
  return {
    ...{ name, csv, kind, random, advice: advice(seen) },
    changed: change !== undefined || seen.base?.isNew === true,
    head: spectrumOf(layer),
    ...(base && { base }),
    facts: `${layer.layer_type}, ${layer.shape.join('×')}, ${layer.dtype}; tensor ${printable(layer.tensor)}${layer.part === undefined ? '' : `, ${layer.part}`}`,
    metrics: metricsWith(askedIn(report.options)).map(metric => {
      const compared = (COMPARED_METRICS as readonly string[]).includes(metric)
        ? change?.[metric as ComparedMetric]
        : undefined
      return [
        metric,
        formatMetric(layer, metric),
        ...(compared ? [formatReal(compared.base), formatChange(compared.change)] : []),
      ]
    }),
    keys: columns.map(cell => {
      const [, key] = cell.of(seen)
      return typeof key === 'number' ? Number(key.toPrecision(7)) : key
    }),
  }
}

function spectrumOf(layer: Layer): Spectrum {
  const {
    alpha,
    xmin,
    xmax,
    num_pl_spikes,
    bulk_min,
    bulk_max,
    num_spikes,
    rand_bulk_min,
    rand_bulk_max,
    max_rand_eval,
    num_evals,
  } = layer
  const tail = layer.status === 'success' ? tailOf(alpha, xmin, xmax, num_pl_spikes) : undefined
  const bulk = bulkOf(bulk_min, bulk_max, num_evals - (num_spikes ?? 0))
  const shuffled = bulkOf(rand_bulk_min, rand_bulk_max, num_evals)
  return {
    ...histogramOf(layer.esd),
    ...(tail && { tail }),
    ...(bulk && { bulk }),
    ...(shuffled &&
      max_rand_eval != null &&
      max_rand_eval > 0 && { shuffled: { ...shuffled, largest: digits(max_rand_eval) } }),
  }
}

function spectrumOfBase({ alpha, base }: LayerChange): Spectrum {
  const { esd, xmin, xmax, num_pl_spikes } = base!
  const tail = tailOf(alpha.base, xmin, xmax, num_pl_spikes)
  return { ...histogramOf(esd), ...(tail && { tail }) }
}

function histogramOf({ log10_edges: edges, counts }: Histogram): Pick<Spectrum, 'low' | 'width' | 'counts'> {
  const width = (edges[edges.length - 1] - edges[0]) / counts.length
  return width > 0 && Number.isFinite(width)
    ? { low: digits(edges[0]), width: digits(width), counts }
    : { low: 0, width: 1, counts: [] }
}

function tailOf(
  alpha: number | null,
  xmin: number | null,
  xmax: number | null,
  count: number | null,
): Spectrum['tail'] {
  return alpha != null && xmin != null && xmax != null && count != null && xmin > 0 && xmax >= xmin
    ? { alpha: digits(alpha), xmin: digits(xmin), xmax: digits(xmax), count }
    : undefined
}

function bulkOf(min: number | null | undefined, max: number | null | undefined, count: number): Bulk | undefined {
  return min != null && max != null && max > min && count > 0
    ? { min: digits(min), max: digits(max), count }
    : undefined
}

/** More is not seen. */
function digits(value: number): number {
  return Number(value.toPrecision(6))
}

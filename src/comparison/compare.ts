import { limits } from '../limits.ts'
import { COMPARED_METRICS, type LayerMetric, SUMMARY_METRICS } from '../report/columns.ts'
import { HILL_METRICS, HILL_SHARE, type HillShares, hillShareOf, inPercent } from '../report/hill.ts'
import type { AnalysisOptions, Change, Comparison, CustomMetric, Layer, Model } from '../report/schema.ts'
import { compareCustomMetrics } from './custom-metrics.ts'
import { judgement } from './judgement.ts'
import { momentsOf } from './moments.ts'
import { type Pair, pairModels, type Rename } from './pair.ts'
import { sharedAlpha } from './shared-alpha.ts'
import { subtract } from './subtract.ts'
import { compareTensors } from './tensors.ts'

/** An earlier report, or the models of another checkpoint. */
export interface Baseline {
  readonly path: string
  readonly kind: 'report' | 'checkpoint'
  readonly options: AnalysisOptions
  readonly models: readonly Model[]
  readonly figures?: readonly CustomMetric[] | undefined
}

/**
 * Head against baseline: the pairs that rules are evaluated on, and what the report shows of them. Where an option that changes
 * numbers differs, nothing is subtracted: the comparison is `incomparable` and names the options.
 */
export function compare(
  heads: readonly Model[],
  options: AnalysisOptions,
  baseline: Baseline,
  headMetrics: readonly CustomMetric[] = [],
  renames: readonly Rename[] = [],
): { pairs: Pair[]; comparison: Comparison } {
  const { pairs: aligned, removed } = pairModels(heads, baseline.models, renames)
  const figures = compareCustomMetrics(headMetrics, baseline.figures ?? [])
  const reason = differentOptions(options, baseline.options)
  const shares = hillShares(options, baseline.options)
  const incomparable = otherShares(shares)
  // Custom metrics are of the run: of several models nobody knows whose they are.
  const given = heads.length === 1 ? { head: headMetrics, base: baseline.figures ?? [] } : { head: [], base: [] }
  const pairs = aligned.map(pair => {
    if (!pair.base || reason) return pair
    const moments = momentsOf(pair.head, pair.base, given)
    return { ...pair, judgement: judgement(pair, shares, moments), ...(incomparable && { incomparable }) }
  })
  return {
    pairs,
    comparison: {
      status: reason ? 'incomparable' : 'compared',
      reason,
      baseline: { path: baseline.path, kind: baseline.kind },
      models: pairs.map(pair => compareModels(pair, reason === '')),
      removed: removed.map(model => model.name),
      ...(figures.length > 0 && { figures }),
    },
  }
}

/** Options that add numbers and change none; and the one that changes some columns alone. */
const ADDING: readonly string[] = ['analyses', 'bootstrap', 'structure', 'hill_share']

/** Undefined where both are the usual one. */
function hillShares(head: AnalysisOptions, base: AnalysisOptions): HillShares | undefined {
  const shares = { head: hillShareOf(head), base: hillShareOf(base) }
  return shares.head === HILL_SHARE && shares.base === HILL_SHARE ? undefined : shares
}

function otherShares(shares: HillShares | undefined): Pair['incomparable'] {
  if (!shares || shares.head === shares.base) return undefined
  const reason = `alpha_hill is over ${inPercent(shares.head)} of the eigenvalues, but over ${inPercent(shares.base)} in the baseline`
  return { metrics: HILL_METRICS, reason }
}

function differentOptions(head: AnalysisOptions, base: AnalysisOptions): string {
  const names = Object.keys({ ...base, ...head }) as (keyof AnalysisOptions)[]
  const said = (value: unknown) => (value === undefined ? 'the default' : JSON.stringify(value))
  return names
    .filter(name => !ADDING.includes(name) && JSON.stringify(head[name]) !== JSON.stringify(base[name]))
    .map(name => `${name} is ${said(head[name])}, but the baseline was made with ${said(base[name])}`)
    .join('; ')
}

function compareModels(pair: Pair, comparable: boolean): Comparison['models'][number] {
  const { head, base } = pair
  const comparableBase = (base: Layer): Layer => (pair.incomparable ? omit(base, pair.incomparable.metrics) : base)
  const changed = comparable
    ? pair.matched
        .map(({ head, base }) => ({ head, base: comparableBase(base) }))
        .map(({ head, base }) => ({ head, base, layer: compareLayers(head, base) }))
        .filter(({ layer, base }) => differs(layer, base))
    : []
  changed.sort((a, b) => Math.abs(b.layer.alpha.change ?? 0) - Math.abs(a.layer.alpha.change ?? 0))
  const layers = changed.map(({ layer, base }, i) =>
    i < limits.report.baseSpectraCount ? { ...layer, base: baseSpectrum(base) } : layer,
  )
  const shared = sharedAlpha(pair)
  const differ = new Set(changed.map(({ head }) => head))
  return {
    name: head.name,
    base: base?.name ?? null,
    summary:
      base && comparable && pair.matched.length > 0 ? changes(SUMMARY_METRICS, head.summary, base.summary) : null,
    matched: pair.matched.length,
    layers,
    added: base ? pair.added.map(key) : [],
    removed: pair.removed.map(key),
    ...(pair.judgement && { judgement: pair.judgement }),
    ...(base && comparable && { tensors: compareTensors(pair, differ), ...(shared && { shared_alpha: shared }) }),
  }
}

type LayerComparison = Comparison['models'][number]['layers'][number]

function compareLayers(head: Layer, base: Layer): LayerComparison {
  return { ...key(head), status: { head: head.status, base: base.status }, ...changes(COMPARED_METRICS, head, base) }
}

/** What is drawn beside the head's spectrum. */
function baseSpectrum({ esd, status, xmin, xmax, num_pl_spikes }: Layer): NonNullable<LayerComparison['base']> {
  const fitted = status === 'success'
  return {
    esd,
    xmin: fitted ? (xmin ?? null) : null,
    xmax: fitted ? (xmax ?? null) : null,
    num_pl_spikes: fitted ? (num_pl_spikes ?? null) : null,
  }
}

/** What the baseline's version did not compute has not changed. */
function differs(layer: LayerComparison, base: Layer): boolean {
  const { status } = layer
  return (
    status.head !== status.base ||
    COMPARED_METRICS.some(metric => isChange(layer[metric]) && base[metric] !== undefined)
  )
}

function isChange({ head, base, change }: Change): boolean {
  return change === null ? head !== base : change !== 0
}

function omit(layer: Layer, metrics: readonly LayerMetric[]): Layer {
  return Object.fromEntries(
    Object.entries(layer).filter(([name]) => !(metrics as readonly string[]).includes(name)),
  ) as Layer
}

function changes<K extends string>(
  metrics: readonly K[],
  head: Record<K, number | null>,
  base: Record<K, number | null>,
): Record<K, Change> {
  const change = (metric: K): Change => ({
    head: head[metric] ?? null,
    base: base[metric] ?? null,
    change: subtract(head[metric] ?? null, base[metric] ?? null),
  })
  return Object.fromEntries(metrics.map(metric => [metric, change(metric)])) as Record<K, Change>
}

function key({ name, shape, part }: Layer) {
  return part === undefined ? { name, shape } : { name, shape, part }
}

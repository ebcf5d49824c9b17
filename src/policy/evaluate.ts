import type { Pair } from '../comparison/pair.ts'
import { tensorChanges } from '../comparison/tensors.ts'
import { column, isLayerMetric, type LayerMetric, type SummaryMetric } from '../report/columns.ts'
import { isComputed, layerValue } from '../report/metrics.ts'
import type { CustomMetricChange, Layer, Model, RuleResult } from '../report/schema.ts'
import { ADVICE, type Advice, adviceOf, whyUnfitted } from '../report/state.ts'
import { mean, median, standardDeviation } from '../statistics.ts'
import { nearest } from '../words.ts'
import { cautionOf } from './caution.ts'
import { type Earlier, LEAST_CHANGES, NO_HISTORY } from './history.ts'
import { holds, type Operator, type Unit } from './operator.ts'
import type { CustomMetricRule, ModelRule, Rule, Value } from './rule.ts'
import { lasting, metricsOf, sayWhere, selector, type Where } from './where.ts'

/** Below it a base is too near to 0 for a percentage of it to mean anything. */
const LEAST_BASE = 1e-6

/** Whether there is something to subtract, and if not, why: a sentence for people and its kind for the verdict. */
export type Comparability =
  | {
      readonly cause: ''
      /** All models of the baseline are among those that are judged, so that one which it lacks is a new one. */
      readonly complete?: boolean
    }
  | {
      readonly cause: 'no-baseline' | 'unavailable' | 'incomparable'
      readonly reason: string
      /** A baseline was looked for, and there should be one. */
      readonly expected?: true | undefined
    }

type Measured = Pick<RuleResult, 'layers' | 'of'> & {
  value: number
  layer?: string
  reason?: string
  /** What it might be instead, at most: some of what it counts is not known. */
  atMost?: { readonly value: number; readonly reason: string }
}
type Unknown = Pick<RuleResult, 'cause' | 'reason'>

/** One rule on one model. What can't be measured is `inconclusive`, with the reason. */
export function evaluateRule(
  rule: ModelRule,
  pair: Pair,
  comparability: Comparability,
  earlier: Earlier = NO_HISTORY,
): RuleResult {
  const plain = measure(rule, pair, comparability)
  const measured = 'cause' in plain ? plain : settled(rule, inUnit(rule, pair, plain, earlier))
  const caution = cautionOf(rule, pair)
  const base = {
    ...{ ...said(rule), model: pair.head.name, of: pair.head.layers.length },
    ...(caution && { caution }),
  }
  if ('cause' in measured) return { ...base, outcome: 'inconclusive', value: null, layers: 0, ...measured }
  if (holds(measured.value, rule.operator, rule.threshold))
    return { ...base, reason: '', ...measured, outcome: 'violated', cause: '', ...culprit(rule, pair) }
  const unread = dependsOnEveryLayer(rule) ? unreadOf(pair.head, whereOf(rule)) : 0
  if (unread > 0) {
    const reason = `${unread} of ${pair.head.layers.length} layers could not be read`
    return { ...base, ...measured, outcome: 'inconclusive', reason, cause: 'no-value' }
  }
  return { ...base, ...measured, outcome: 'ok', reason: '', cause: '' }
}

/** A count that is not known in full says nothing where the rest would decide. */
function settled({ operator, threshold }: Rule, measured: Measured | Unknown): Measured | Unknown {
  if ('cause' in measured || !measured.atMost) return measured
  const { atMost, ...known } = measured
  return holds(known.value, operator, threshold) === holds(atMost.value, operator, threshold)
    ? known
    : { cause: 'no-value', reason: atMost.reason }
}

/** Who stands behind a count of what went wrong: the first that did not before. */
function culprit({ subject }: ModelRule, { head, matched }: Pair): Partial<Pick<RuleResult, 'layer' | 'reason'>> {
  if (!('value' in subject)) return {}
  if (subject.value.kind === 'advice') {
    const { advice, where } = subject.value
    const before = new Map(matched.map(({ head, base }) => [head, base]))
    const isNew = (layer: Layer) => !before.has(layer) || !adviceOf(before.get(layer)!).includes(advice)
    const all = advised(head.layers.filter(selector(where)), advice)
    const first = all.find(isNew) ?? all[0]
    const { needs } = ADVICE[advice]
    return first ? { layer: first.name, reason: `${needs} is ${Number(first[needs]!.toPrecision(3))}` } : {}
  }
  if (subject.value.kind !== 'model') return {}
  const { metric } = subject.value
  if (metric === 'non_finite') {
    const skipped = head.skipped.find(({ non_finite }) => non_finite !== undefined)
    if (skipped) return { layer: skipped.tensor, reason: skipped.non_finite! }
  }
  if (metric !== 'failed' && metric !== 'errors' && metric !== 'non_finite') return {}
  const bad = head.layers.filter(({ status }) => (metric === 'failed' ? status !== 'success' : status === 'error'))
  const before = new Map(matched.map(({ head, base }) => [head, base.status]))
  const first = bad.find(layer => before.get(layer) === 'success') ?? bad[0]
  return first ? { layer: first.name, reason: whyUnfitted(first) } : {}
}

function said({ text, level, threshold, unit }: Rule) {
  return { rule: text, level, builtin: false, unit, threshold }
}

function advised(layers: readonly Layer[], advice: Advice): Layer[] {
  return layers.filter(layer => adviceOf(layer).includes(advice))
}

/** What was measured in the unit of the rule, where that is one of spread. */
function inUnit({ subject, unit }: ModelRule, pair: Pair, plain: Measured, earlier: Earlier): Measured | Unknown {
  if (unit === 'sigma' && subject.kind === 'delta' && subject.value.kind === 'mean') {
    const { metric } = subject.value
    const { where } = subject.value
    const [head, base] = [pair.head, pair.base!].map(model => errorOfMean(model.layers.filter(selector(where)), metric))
    const error = Math.hypot(head, base)
    return error > 0
      ? { ...plain, value: plain.value / error }
      : { cause: 'no-value', reason: `${metric} has no standard error` }
  }
  if (unit !== 'history') return plain
  const what =
    subject.kind === 'primary'
      ? 'primary'
      : subject.kind === 'delta' && subject.value.kind === 'mean' && subject.value.metric
  // Nothing changed, which is usual whatever is known.
  if (!what || plain.value === 0) return plain
  const prediction = earlier.predict(pair.head.name, what as SummaryMetric | 'primary')
  if (!('reach' in prediction)) {
    const reason = `${prediction.changes} earlier changes are known, and it takes ${LEAST_CHANGES} to tell what is usual`
    return { cause: 'no-baseline', reason }
  }
  const { mean, reach } = prediction
  if (!(reach > 0)) return { cause: 'no-value', reason: 'all earlier changes were the same' }
  return { ...plain, value: (plain.value - mean) / reach }
}

/** Standard error of a mean over the fitted layers, from those of its parts. */
function errorOfMean(layers: readonly Layer[], metric: LayerMetric): number {
  const sigma = metric === 'alpha_hill' ? 'sigma_hill' : 'sigma'
  const fitted = layers.filter(({ status }) => status === 'success')
  return Math.sqrt(fitted.reduce((sum, layer) => sum + (layer[sigma] ?? 0) * (layer[sigma] ?? 0), 0)) / fitted.length
}

/** Change of one layer over the standard errors of both sides. */
function inSigmas(head: Layer, base: Layer, metric: LayerMetric, change: number): number | null {
  const sigma = metric === 'alpha_hill' ? 'sigma_hill' : 'sigma'
  const error = Math.hypot(head[sigma] ?? Number.NaN, base[sigma] ?? Number.NaN)
  return error > 0 ? change / error : null
}

/** One rule on a custom metric of the run, whatever models there are. */
export function evaluateCustomMetric(
  rule: CustomMetricRule,
  figures: readonly CustomMetricChange[],
  comparability: Comparability,
): RuleResult {
  const base = { ...said(rule), model: '', layers: 0, of: 0 }
  const measured = measureCustomMetric(rule, figures, comparability)
  if (typeof measured !== 'number') return { ...base, outcome: 'inconclusive', value: null, ...measured }
  const outcome = holds(measured, rule.operator, rule.threshold) ? 'violated' : 'ok'
  return { ...base, outcome, value: measured, reason: '', cause: '' }
}

function measureCustomMetric(
  { subject: { name, delta }, unit }: CustomMetricRule,
  figures: readonly CustomMetricChange[],
  comparability: Comparability,
): number | Unknown {
  const { head, base } = figures.find(figure => figure.name === name) ?? { head: null, base: null }
  if (head === null) return { cause: 'no-value', reason: `the metrics file has no ${name}` }
  if (!delta) return head
  const { cause } = comparability
  if (cause === 'no-baseline' || cause === 'unavailable') return { cause, reason: comparability.reason }
  if (base === null) return { cause: 'no-baseline', reason: `the baseline has no ${name}` }
  const value = change(head, base, unit)
  return typeof value === 'number' ? value : { cause: 'no-value', reason: value }
}

function measure({ subject, operator, unit }: ModelRule, pair: Pair, comparability: Comparability): Measured | Unknown {
  if (subject.kind === 'value') return measureValue(subject.value, pair.head)
  const open = subject.kind === 'any' && unmeasurable(pair.head, [subject.metric], subject.where)
  if (open) return open
  if (subject.kind === 'any' && !subject.delta) {
    const layers = pair.head.layers.filter(selector(subject.where))
    const values = layers.map(layer => ({ layer, value: layerValue(layer, subject.metric) }))
    return extreme(values, operator, subject.metric, pair.head)
  }
  if (comparability.cause) return { cause: comparability.cause, reason: comparability.reason }
  if (!pair.base) return { cause: 'no-baseline', reason: 'the baseline has no model of this name' }
  const { incomparable } = pair
  if (incomparable && metricsIn(subject).some(metric => incomparable.metrics.includes(metric)))
    return { cause: 'incomparable', reason: incomparable.reason }
  if (subject.kind === 'changed') return measureChanged(pair, subject.where)
  if (pair.matched.length === 0)
    return { cause: 'incomparable', reason: 'no layer of the baseline is one of this model' }
  if (subject.kind === 'primary') return measurePrimary(pair)
  if (subject.kind === 'any') {
    if (!isComputed(pair.base.layers, subject.metric)) return inBaseline(notComputed(subject.metric, pair.base.layers))
    const select = selector(subject.where)
    const matched = pair.matched.filter(({ head }) => select(head))
    const values = matched.map(({ head, base }) => {
      const value = change(layerValue(head, subject.metric), layerValue(base, subject.metric), unit)
      if (typeof value !== 'number') return { layer: head, value: null }
      return { layer: head, value: unit === 'sigma' ? inSigmas(head, base, subject.metric, value) : value }
    })
    return extreme(values, operator, `change of ${subject.metric}`, pair.head)
  }
  const head = measureValue(subject.value, pair.head)
  if ('cause' in head) return head
  const base = measureValue(subject.value, pair.base)
  if ('cause' in base) return inBaseline(base)
  const value = change(head.value, base.value, unit)
  return typeof value === 'number' ? { ...head, value } : { cause: 'no-value', reason: value }
}

/** The columns that a rule looks at, in its condition too. */
function metricsIn(subject: ModelRule['subject']): LayerMetric[] {
  const of = 'value' in subject ? subject.value : subject
  const own = 'metric' in of && isLayerMetric(of.metric) ? [of.metric] : []
  return [...own, ...('where' in of ? metricsOf(of.where) : [])]
}

/** How many tensors are not what they were. A removed one is selected by what it was. */
function measureChanged(pair: Pair, where: Where | undefined): Measured | Unknown {
  const missing = metricsOf(where).find(metric => !isComputed(pair.head.layers, metric))
  if (missing) return notComputed(missing, pair.head.layers)
  const all = tensorChanges(pair)
  const named = lasting(where)
  if (named.length > 0 && !all.some(({ row }) => selector(named)(row)))
    return { cause: 'no-layer', reason: `there is no tensor where ${sayWhere(named)}` }
  const select = selector(where)
  const selected = all.filter(({ row }) => select(row))
  const unknown = selected.filter(({ became }) => became === 'unknown')
  const changed = selected.filter(({ became }) => became !== 'same' && became !== 'unknown')
  const [first] = changed
  return {
    ...{ value: changed.length, layers: selected.length, of: all.length },
    ...(first && {
      layer: first.row.tensor,
      reason: first.became === 'changed' ? 'its bytes changed' : `it was ${first.became}`,
    }),
    ...(unknown.length > 0 && {
      atMost: {
        value: changed.length + unknown.length,
        reason: `of ${unknown.length} tensors a side has no content hash, such as ${unknown[0].row.tensor}`,
      },
    }),
  }
}

/** What decides for models of one architecture; for others no single number does. */
function measurePrimary({ head, judgement }: Pair): Measured | Unknown {
  if (judgement?.primary === 'tail_shape' && judgement.tail_shape !== null)
    return { value: judgement.tail_shape, layers: judgement.judged, of: head.layers.length }
  return { cause: 'incomparable', reason: judgement?.why ?? 'nothing could be compared' }
}

/** head − base, in percent of |base| if asked; a sentence where that has no meaning. */
function change(head: number | null, base: number | null, unit: Unit): number | string {
  if (head === null || base === null) return 'a side has no value'
  if (unit === '%' && Math.abs(base) < LEAST_BASE) return `the base is ${base}: a percentage of it means nothing`
  const found = unit === '%' ? (100 * (head - base)) / Math.abs(base) : head - base
  return Number.isFinite(found) ? found : 'the change is beyond the range of a double'
}

function measureValue(value: Value, model: Model): Measured | Unknown {
  const of = model.layers.length
  if (value.kind === 'model') {
    const measured = model.summary[value.metric]
    return measured === null
      ? { cause: 'no-value', reason: `${value.metric} has no value` }
      : { value: measured, layers: of, of }
  }
  if (value.kind === 'advice') {
    const { needs } = ADVICE[value.advice]
    const open = unmeasurable(model, [needs], value.where)
    if (open) return open
    const layers = model.layers.filter(selector(value.where))
    const known = layers.filter(layer => layerValue(layer, needs) !== null)
    return { value: advised(layers, value.advice).length, layers: known.length, of }
  }
  if (value.kind === 'layer') {
    if (!isComputed(model.layers, value.metric)) return notComputed(value.metric, model.layers)
    return measureLayer(value.metric, value.layer, model)
  }
  const open = unmeasurable(model, [value.metric], value.where)
  if (open) return open
  const fitted = model.layers.filter(selector(value.where)).filter(layer => layer.status === 'success')
  const values = fitted.map(layer => layerValue(layer, value.metric))
  const numbers = values.filter(number => number !== null).sort((a, b) => a - b)
  const counted = { layers: numbers.length, of }
  if (value.kind === 'count')
    return { value: numbers.filter(n => holds(n, value.operator, value.threshold)).length, ...counted }
  if (numbers.length === 0) {
    const which = value.where ? ` where ${sayWhere(value.where)}` : ''
    return { cause: 'no-value', reason: `no layer has ${value.metric}${which}: no fit succeeded` }
  }
  switch (value.kind) {
    case 'mean': {
      const unread = unreadOf(model, value.where)
      if (unread > 0)
        return { cause: 'no-value', reason: `${unread} of ${of} layers could not be read, so there is no mean` }
      return { value: value.where ? mean(numbers) : meanOf(model, value.metric, numbers), ...counted }
    }
    case 'std':
      return numbers.length > 1
        ? { value: standardDeviation(numbers), ...counted }
        : { cause: 'no-value', reason: `one layer alone has ${value.metric}, which has no standard deviation` }
    case 'median':
      return { value: median(numbers), ...counted }
    case 'min':
      return { value: numbers[0], ...counted }
    case 'max':
      return { value: numbers[numbers.length - 1], ...counted }
  }
}

/** Why nothing can be said of such layers: a metric was not computed, or no layer has such a name and type. */
function unmeasurable(model: Model, metrics: readonly LayerMetric[], where: Where | undefined): Unknown | undefined {
  const missing = [...metrics, ...metricsOf(where)].find(metric => !isComputed(model.layers, metric))
  if (missing) return notComputed(missing, model.layers)
  const named = lasting(where)
  if (named.length === 0 || model.layers.some(selector(named))) return undefined
  return { cause: 'no-layer', reason: `there is no layer where ${sayWhere(named)}` }
}

/** Layers that could not be read, and might be among those. */
function unreadOf({ layers, summary }: Model, where: Where | undefined): number {
  if (!where) return summary.errors
  return layers.filter(selector(lasting(where))).filter(({ status }) => status === 'error').length
}

function inBaseline({ cause, reason }: Unknown): Unknown {
  return { cause, reason: `in the baseline, ${reason}` }
}

/** Its analysis was not asked for, or an earlier version wrote the report, and did not have the metric. */
function notComputed(metric: LayerMetric, layers: readonly Layer[] = []): Unknown {
  const { analysis } = column(metric)
  const only = layers.find(({ only }) => only !== undefined)?.only
  const why = analysis ? `: ask with ${analysis}` : only ? `: metrics is ${only}` : ''
  return { cause: 'no-value', reason: `${metric} was not computed${why}` }
}

/** The summary's own mean where it has one, so that the rule judges the very number that is shown. */
function meanOf(model: Model, metric: LayerMetric, numbers: readonly number[]): number {
  const shown = (model.summary as Partial<Record<LayerMetric, number | null>>)[metric]
  return shown ?? mean(numbers)
}

function measureLayer(metric: LayerMetric, name: string, model: Model): Measured | Unknown {
  const layer = model.layers.find(layer => layer.name === name) ?? model.layers.find(layer => layer.tensor === name)
  if (!layer) {
    const skipped = model.skipped.find(({ tensor }) => tensor === name || tensor === `${name}.weight`)
    return {
      cause: 'no-layer',
      reason: skipped
        ? `layer ${name} was skipped: ${skipped.reason}`
        : `there is no layer ${name}${didYouMean(name, model)}`,
    }
  }
  const value = layerValue(layer, metric)
  if (value === null)
    return { cause: 'no-value', reason: `layer ${name} has no ${metric}: its status is ${layer.status}` }
  return { value, layers: 1, of: model.layers.length, layer: layer.name }
}

/** The name that was meant, perhaps. */
function didYouMean(name: string, { layers }: Model): string {
  const near =
    name.length <= 200 &&
    nearest(
      name,
      layers.slice(0, 2000).map(layer => layer.name.slice(0, 200)),
    )
  return near ? `; did you mean ${near}?` : ''
}

function extreme(
  values: readonly { layer: Layer; value: number | null }[],
  operator: Operator,
  what: string,
  model: Model,
): Measured | Unknown {
  const known = values.filter((entry): entry is { layer: Layer; value: number } => entry.value !== null)
  if (known.length === 0) return { cause: 'no-value', reason: `no layer has a ${what}` }
  const sign = operator.startsWith('>') ? 1 : -1
  const worst = known.reduce((worst, entry) => (sign * entry.value > sign * worst.value ? entry : worst))
  return { value: worst.value, layers: known.length, of: model.layers.length, layer: worst.layer.name }
}

/** Rules that an unread layer could still break. */
function dependsOnEveryLayer({ subject }: ModelRule): boolean {
  if (subject.kind === 'any') return true
  if (subject.kind === 'primary') return true
  if (subject.kind === 'changed') return false
  return ['median', 'std', 'min', 'max', 'count', 'advice'].includes(subject.value.kind)
}

function whereOf({ subject }: ModelRule): Where | undefined {
  const restricted = 'value' in subject ? subject.value : subject
  return 'where' in restricted ? restricted.where : undefined
}

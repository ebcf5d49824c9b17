import {
  type ComparedMetric,
  column,
  columnsShown,
  type LayerMetric,
  SUMMARY_METRICS,
  type SummaryMetric,
} from '../report/columns.ts'
import { layerKey } from '../report/metrics.ts'
import type {
  Change,
  Comparison,
  CustomMetricChange,
  Judgement,
  Layer,
  Model,
  Report,
  RuleResult,
} from '../report/schema.ts'
import { isJudged, stateChange, stateOf, whyUnfitted } from '../report/state.ts'
import { byUrgency, limit, measured, ruleIcon, unseen } from './headline.ts'
import { format, formatAge, formatChange, formatMetric, formatReal, formatShare, plural } from './numbers.ts'
import { customMetricTrend, modelTrend, trendPoints } from './trend.ts'
import {
  type Block,
  heading,
  join,
  left,
  name,
  names,
  note,
  type Phrase,
  reason,
  right,
  said,
  spans,
  type Table,
  table,
  text,
  typed,
} from './view.ts'
import { direction, LEGEND, meanWord, SHAPE_MOVED, shapeWord } from './words.ts'

const NO_LIMIT = Number.POSITIVE_INFINITY

/** A model's comparison; undefined where there is none, or nothing that it could be compared with. */
export function comparedModel({ comparison, models }: Report, model: Model): Comparison['models'][number] | undefined {
  const compared = comparison?.status === 'compared' ? comparison.models[models.indexOf(model)] : undefined
  return compared?.base === null ? undefined : compared
}

/** How a layer's number was before. */
export type Before = { readonly kind: 'compared'; readonly change: Change } | { readonly kind: 'new' | 'none' }

/** Looks up what a layer's numbers were: unchanged ones are not in the comparison. */
export function before(report: Report, model: Model): (layer: Layer, metric: ComparedMetric) => Before {
  const compared = comparedModel(report, model)
  const changed = new Map(compared?.layers.map(layer => [layerKey(layer), layer]))
  const added = new Set(compared?.added.map(layerKey))
  return (layer, metric) => {
    if (!compared) return { kind: 'none' }
    const key = layerKey(layer)
    if (added.has(key)) return { kind: 'new' }
    const value = layer[metric] ?? null
    return {
      kind: 'compared',
      change: changed.get(key)?.[metric] ?? { head: value, base: value, change: value === null ? null : 0 },
    }
  }
}

/** What is to be known before any number. */
export function notes({ verdict, baseline, comparison, models, options, provenance }: Report): Block[] {
  const notes: Block[] = []
  if (options.metrics) notes.push(note('Only spectral norms were computed: all other numbers are left out.'))
  if (options.conv2d === 'slices') notes.push(note('Each kernel slice of a convolution is a layer of its own.'))
  if (options.conv2d === 'operator') {
    const side = options.conv_grid ?? 0
    const image = options.conv_dims ? `images with sides of ${side}` : `a ${side} × ${side} image`
    notes.push(note(`Convolutions are read as linear operators on ${image} with periodic boundary and no stride.`))
  }
  if (verdict?.first_run && verdict.status !== 'inconclusive' && !baseline)
    notes.push(note('First run: there is no baseline to compare with yet.'))
  if (verdict?.accepted) {
    const { label, by, at, was } = verdict.accepted
    notes.push(
      note([
        'Accepted by ',
        name(by),
        ' with the label ',
        name(label),
        ' at ',
        name(at),
        `: it was ${was}. A push withdraws it.`,
      ]),
    )
  }
  if (verdict?.refused)
    notes.push(
      note(['The label ', name(verdict.refused.label), ' does not count: ', said(verdict.refused.reason), '.']),
    )
  if (provenance?.checkout !== undefined)
    notes.push(
      note([
        'Not this change was checked out, but the commit ',
        name(provenance.checkout.slice(0, 12)),
        ': a model that a step made or fetched by what lies there is not that of the change.',
      ]),
    )
  if (baseline && baseline.state !== 'exact') notes.push(...reason(baseline.reason))
  if (comparison?.status === 'incomparable')
    notes.push(note(['Not compared with the baseline: ', said(comparison.reason), '.']))
  if (verdict && !verdict.enforced)
    notes.push(note(['Not enforced: this verdict does not fail the job (', typed('enforce: false'), ').']))
  if (verdict?.status === 'inconclusive' && verdict.enforced) {
    notes.push(
      note([
        `Inconclusive: neither pass nor fail. The job ${verdict.fails_job ? 'fails' : 'goes on'} (`,
        typed('fail-on-inconclusive'),
        ').',
      ]),
    )
  }
  for (const { name: head, base } of (baseline && comparison?.models.slice(0, 10)) || []) {
    if (base !== null && base !== head)
      notes.push(note([name(head), ' is compared with ', name(base), ': they are called differently.']))
  }
  for (const model of comparison?.removed.slice(0, 10) ?? [])
    notes.push(note(['The baseline also has the model ', name(model), '.']))
  for (const model of models.slice(0, 10)) {
    const [packed] = model.whole ?? []
    if (packed)
      notes.push(
        note([
          `Left whole, ${plural(model.whole!.length, 'tensor')} of `,
          name(model.name),
          ', such as ',
          name(packed.tensor),
          ': ',
          said(packed.reason),
          '.',
        ]),
      )
    if (model.summary.errors > 0)
      notes.push(note([name(model.name), ` has no means: ${plural(model.summary.errors, 'layer')} could not be read.`]))
  }
  return notes
}

/** A layer, or another tensor, that somebody should look at. */
export interface Attention {
  readonly who: string
  readonly why: Phrase
  readonly layer?: Layer
}

/** What failed or died, what violated a rule, what moved beyond its noise: each layer once, where it matters most. */
export function attention(report: Report, model: Model): Attention[] {
  const compared = comparedModel(report, model)
  const changed = new Map(compared?.layers.map(layer => [layerKey(layer), layer]))
  const unfitted = model.layers.filter(({ status }) => status !== 'success')
  const died = (layer: Layer) => changed.get(layerKey(layer))?.status.base === 'success'
  const byName = new Map(model.layers.map(layer => [layer.name, layer]))
  const named = (who: string): { layer?: Layer } => {
    const layer = byName.get(who)
    return layer ? { layer } : {}
  }
  const found: Attention[] = [
    ...unfitted.filter(({ status }) => status === 'error'),
    ...unfitted.filter(layer => layer.status !== 'error' && died(layer)),
    ...unfitted.filter(layer => layer.status !== 'error' && !died(layer)),
  ].map(layer => {
    const { status } = changed.get(layerKey(layer)) ?? { status: { head: layer.status, base: layer.status } }
    return { who: layer.name, layer, why: [`${stateChange(status)}: `, said(whyUnfitted(layer))] }
  })
  for (const { tensor, non_finite } of model.skipped)
    if (non_finite !== undefined) found.push({ who: tensor, why: [said(non_finite)] })
  const violated = (report.verdict?.rules ?? []).filter(
    rule =>
      rule.outcome === 'violated' &&
      (!rule.builtin || rule.name !== undefined) &&
      rule.layer !== undefined &&
      rule.model === model.name,
  )
  for (const { rule, builtin, layer: who, reason } of byUrgency(violated))
    found.push({ who: who!, why: builtin ? [said(reason)] : ['violates ', name(rule)], ...named(who!) })
  for (const { who, why } of moved(compared)) found.push({ who, why, ...named(who) })
  const seen = new Set<string>()
  return found.filter(({ who }) => seen.size !== seen.add(who).size)
}

/** Standard errors, of both sides together, that a change of alpha has to exceed to be shown at once. */
const NOISE = 2

/** By the shape of the tail where that decides, by alpha and its standard error otherwise. */
function moved(compared: Comparison['models'][number] | undefined): { readonly who: string; readonly why: string }[] {
  const { judgement } = compared ?? {}
  if (judgement?.primary !== 'tail_shape')
    return beyondNoise(compared).map(({ name, beyond, way }) => {
      return { who: name, why: `moved by ${format(beyond, 1)} standard errors${way ? `, ${way}` : ''}` }
    })
  return judgement.layers
    .flatMap(layer => (isJudged(layer) && layer.change !== null ? [{ name: layer.name, change: layer.change }] : []))
    .filter(({ change }) => Math.abs(change) > SHAPE_MOVED)
    .sort((a, b) => Math.abs(b.change) - Math.abs(a.change))
    .map(({ name, change }) => {
      return { who: name, why: `its tail became ${change > 0 ? 'lighter' : 'heavier'} (${formatChange(change)})` }
    })
}

function beyondNoise(compared: Comparison['models'][number] | undefined) {
  return (compared?.layers ?? [])
    .map(({ name, alpha, sigma }) => {
      const noise = Math.hypot(sigma.head ?? Number.NaN, sigma.base ?? Number.NaN)
      return { name, beyond: Math.abs(alpha.change ?? 0) / noise, way: direction('alpha', alpha) }
    })
    .filter(({ beyond }) => beyond > NOISE)
    .sort((a, b) => b.beyond - a.beyond)
}

/** The layers to look at first, as many as a screen holds. */
export function whatToLookAt(report: Report, model: Model, most: number): Block[] {
  const all = attention(report, model)
  if (all.length === 0 || most === 0) return []
  const past = before(report, model)
  const compared = comparedModel(report, model) !== undefined
  const change = (layer: Layer | undefined, metric: ComparedMetric): Phrase => {
    const found = layer ? past(layer, metric) : undefined
    return found?.kind === 'compared' ? formatChange(found.change.change) : found?.kind === 'new' ? 'new' : '–'
  }
  const rows = all.map(({ who, why, layer }) => {
    const alpha = layer && past(layer, 'alpha')
    return [
      [name(who)],
      why,
      formatReal(layer?.alpha ?? null),
      ...(compared
        ? [
            formatReal(alpha?.kind === 'compared' ? alpha.change.base : null),
            change(layer, 'alpha'),
            change(layer, 'log_spectral_norm'),
          ]
        : []),
    ]
  })
  const columns = [
    left('layer'),
    left('why'),
    right('alpha'),
    ...(compared ? [right('base'), right('change'), right('Δ log_spectral_norm', 1)] : []),
  ]
  return [heading(['To look at', ...spans(ofModel(report, model))]), table(columns, rows, most, 'such layer')]
}

function ofModel(report: Report, model: Model): Phrase {
  return report.models.length > 1 ? [' in ', name(model.name)] : ''
}

/** The means of all models, against the baseline where there is one. */
export function summary(report: Report, most: number): Block[] {
  const { models } = report
  if (report.part || models.length === 0) return []
  return models.length === 1 ? [means(report, models[0]), text(extent(models[0]))] : [meansOfModels(report, most)]
}

/** One model's means, a row each. */
export function means(report: Report, model: Model): Table {
  const compared = comparedModel(report, model)
  const { summary: changes, judgement } = compared ?? {}
  const same = (compared?.added.length ?? 0) + (compared?.removed.length ?? 0) === 0
  const trends = SUMMARY_METRICS.map(metric => modelTrend(report, model, metric))
  const drawn = trends.some(trend => trend !== '')
  const rows = SUMMARY_METRICS.map((metric, i) => [
    [typed(metric)],
    formatReal(model.summary[metric]),
    ...(changes ? [formatReal(changes[metric].base), judged(metric, changes[metric], judgement, same)] : []),
    ...(drawn ? [trends[i]] : []),
  ])
  const { mp_softrank } = model.summary
  if (mp_softrank !== undefined)
    rows.push([[typed('mp_softrank')], formatReal(mp_softrank), ...(changes ? ['', ''] : []), ...(drawn ? [''] : [])])
  const columns = [
    left('mean over layers'),
    right('head'),
    ...(changes ? [right('base'), right('change')] : []),
    ...(drawn ? [left('trend', 1)] : []),
  ]
  return table(columns, rows, NO_LIMIT, 'metric')
}

function judged(metric: LayerMetric, change: Change, judgement: Judgement | undefined, sameLayers = true): string {
  const way = meanWord(metric, change, judgement, sameLayers)
  return `${formatChange(change.change)}${way ? `, ${way}` : ''}`
}

const MAIN = ['alpha', 'alpha_weighted', 'log_norm', 'log_spectral_norm'] as const satisfies readonly SummaryMetric[]

/** One model's means over the usual groups of its layers, or over its blocks; nothing where there is one alone. */
export function meansOfGroups(model: Model, kind: 'function' | 'block', most: number): Block[] {
  const groups = model.groups?.filter(group => group.kind === kind) ?? []
  if (groups.length < 2 || most === 0) return []
  const rows = groups.map(({ group, layers, fitted, ...means }) => [
    [name(group)],
    ...MAIN.map(metric => formatReal(means[metric])),
    fitted < layers ? `${fitted} of ${layers}` : `${layers}`,
  ])
  const what = kind === 'function' ? 'group' : 'block'
  const columns = [left(`mean over ${what}`), ...MAIN.map((metric, i) => right(metric, i)), right('layers')]
  return [table(columns, rows, most, what)]
}

/** All means over groups and blocks, to be opened. */
export function foldedGroups(report: Report, model: Model, most = NO_LIMIT): Block[] {
  const blocks = [...meansOfGroups(model, 'function', most), ...meansOfGroups(model, 'block', most)]
  return blocks.length > 0 ? [{ kind: 'details', summary: ['Groups', ...spans(ofModel(report, model))], blocks }] : []
}

function meansOfModels(report: Report, most: number): Table {
  const rows = report.models.map(model => {
    const { summary: changes, judgement } = comparedModel(report, model) ?? {}
    const { layers, failed, coverage } = model.summary
    const trend = modelTrend(report, model, 'alpha')
    return [
      [name(model.name)],
      ...MAIN.map(metric => {
        const change = changes ? ` (${judged(metric, changes[metric], judgement)})` : ''
        return `${formatReal(model.summary[metric])}${change}${metric === 'alpha' && trend ? ` ${trend}` : ''}`
      }),
      failed > 0 ? `${layers - failed} of ${layers}` : `${layers}`,
      formatShare(coverage),
    ]
  })
  const columns = [left('model'), ...MAIN.map((metric, i) => right(metric, i)), right('layers'), right('coverage', 1)]
  return table(columns, rows, most, 'model')
}

/** How much of a model was looked at. */
export function extent({ name: model, summary: { layers, failed, coverage }, skipped }: Model): Phrase {
  const fitted =
    failed > 0 ? `${layers - failed} of ${plural(layers, 'layer')} fitted` : `${plural(layers, 'layer')}, all fitted`
  const rest = skipped.length > 0 ? `, ${plural(skipped.length, 'tensor')} skipped` : ''
  return [name(model), `: ${fitted}; ${formatShare(coverage)} of the parameters analysed${rest}.`]
}

/** What the words of the summary mean, where there is something that could be better or worse. */
export function legend(report: Report): Block[] {
  return report.part || report.models.length === 0 ? [] : [text(LEGEND)]
}

/** The project's own numbers. */
export function ownMetrics(report: Report): Block[] {
  const compared = report.comparison?.figures
  const all =
    compared ??
    report.figures?.map(({ name, value }): CustomMetricChange => ({ name, head: value, base: null, change: null }))
  if (!all || all.length === 0) return []
  const trends = all.map(({ name, head }) => customMetricTrend(report, name, head))
  const drawn = trends.some(trend => trend !== '')
  const rows = all.map((metric, i) => [
    [name(metric.name)],
    format(metric.head),
    ...(compared ? [format(metric.base), `${formatChange(metric.change)}${betterOrWorse(metric)}`] : []),
    ...(drawn ? [trends[i]] : []),
  ])
  const columns = [
    left('custom metric'),
    right('head'),
    ...(compared ? [right('base'), right('change')] : []),
    ...(drawn ? [left('trend', 1)] : []),
  ]
  return [table(columns, rows, NO_LIMIT, 'custom metric')]
}

function betterOrWorse({ change, better }: CustomMetricChange): string {
  if (!change || !better) return ''
  return change > 0 === (better === 'higher') ? ', better' : ', worse'
}

export function trendNote(report: Report): Block[] {
  const points = trendPoints(report).length
  if (points === 0 || report.part) return []
  return [text([`Trend: the last ${plural(points, 'baseline')} of `, name(report.baseline!.branch), ', then this.'])]
}

/** Every rule with what was measured, its limit, and over how many layers. */
export function rules({ verdict, models }: Report, most: number): Block[] {
  if (!verdict || verdict.rules.length === 0 || most === 0) return []
  const sorted = byUrgency(verdict.rules)
  const several = models.length > 1
  const noted = sorted.some(({ layer, reason }) => layer || reason)
  const rows = sorted.map(rule => [
    ruleIcon(rule),
    [`${rule.level} if `, name(rule.rule)],
    ...(several ? [rule.model ? [name(rule.model)] : ''] : []),
    measured(rule),
    limit(rule),
    rule.of === 0 || (rule.outcome === 'inconclusive' && rule.value === null) ? '–' : `${rule.layers} of ${rule.of}`,
    ...(noted ? [join([rule.layer ? [name(rule.layer)] : '', rule.reason ? [said(rule.reason)] : ''], ': ')] : []),
  ])
  const columns = [
    left(''),
    left('rule'),
    ...(several ? [left('model')] : []),
    right('measured'),
    right('limit', 2),
    right('layers', 1),
    ...(noted ? [left('')] : []),
  ]
  return [table(columns, rows, most, 'rule'), ...cautions(sorted)]
}

/** Rules whose metric misleads here, each reason once. */
function cautions(rules: readonly RuleResult[]): Block[] {
  const byReason = new Map<string, Set<string>>()
  for (const { rule, caution } of rules)
    if (caution) byReason.set(caution, (byReason.get(caution) ?? new Set()).add(rule))
  return [...byReason]
    .slice(0, 10)
    .map(([caution, rules]) => note([...spans(names([...rules], 5)), ': ', said(caution), '.']))
}

/** How a model was compared with its baseline, by which metric and why, and what that says. */
export function judgementOf(report: Report, model: Model): Block[] {
  const judgement = comparedModel(report, model)?.judgement
  if (!judgement || report.part) return []
  const { primary, why, tail_shape, tail_shape_median, driven_by, judged, weight_distance, how, layers } = judgement
  const whose: Phrase = report.models.length > 1 ? [name(model.name), ': '] : ''
  const blocks: Block[] = [text([...spans(whose), said(why)])]
  if (primary === 'tail_shape' && tail_shape !== null && layers.some(({ change }) => change !== 0)) {
    const driven = tail_shape === 0 ? '' : `, half of it from ${plural(driven_by, 'layer')}`
    const weights =
      weight_distance === null ? '' : `; the weights moved by ${formatShare(weight_distance)} of their norm`
    const became = how.length > 0 ? ` (${how.join(', ')})` : ''
    const mean = `${formatChange(tail_shape)}, ${shapeWord(tail_shape)}`
    blocks.push(
      text(
        `Tail shape ${mean}; median ${formatChange(tail_shape_median)} over ${plural(judged, 'layer')}${driven}${weights}${became}.`,
      ),
    )
  }
  const random = layers.filter(({ note }) => note === 'random-like').map(({ name }) => name)
  if (primary === 'tail_shape' && random.length > 0)
    blocks.push(text(['Random in the baseline: ', ...spans(names(random, 5)), '.']))
  return blocks
}

/** The built-in rules that compare, and of which none is violated. */
export function heldRules({ verdict }: Report): Block[] {
  const { held } = verdict ?? {}
  if (!held || held.length === 0) return []
  const hold = `${plural(held.length, 'built-in rule')} hold${held.length === 1 ? 's' : ''}: `
  const listed = text([hold, ...spans(names(held, 20)), '.'])
  return [{ kind: 'details', summary: hold.replace(': ', ''), blocks: [listed] }]
}

/** Layers that changed, appeared or went, and what spectra do not show. */
export function changes(report: Report, model: Model, most: number): Block[] {
  const compared = comparedModel(report, model)
  if (!compared || most === 0) return []
  const blocks: Block[] = []
  const { layers, matched, added, removed, tensors } = compared
  if (layers.length > 0) {
    const largest = layers[0].alpha.change
    const rows = layers.map(({ name: layer, status, alpha, log_spectral_norm }) => [
      [name(layer)],
      formatReal(alpha.head),
      formatReal(alpha.base),
      `${formatChange(alpha.change)}${bar(alpha.change, largest)}`,
      formatChange(log_spectral_norm.change),
      stateChange(status),
    ])
    const columns = [
      left('layer'),
      right('alpha'),
      right('base'),
      left('change'),
      right('Δ log_spectral_norm', 1),
      left('status'),
    ]
    const title = `${layers.length} of ${plural(matched, 'layer')} changed`
    blocks.push(heading([title, ...spans(ofModel(report, model))]), table(columns, rows, most, 'changed layer'))
  }
  for (const [word, which] of [
    ['New', added],
    ['Gone', removed],
  ] as const) {
    if (which.length > 0)
      blocks.push(text([word, ...spans(ofModel(report, model)), ': ', ...spans(shapes(which, most))]))
  }
  if (compared.shared_alpha) {
    const { layers, head, base, change } = compared.shared_alpha
    const values = `${formatReal(base)} → ${formatReal(head)} (${formatChange(change)})`
    blocks.push(
      text([
        typed('alpha'),
        ...spans(ofModel(report, model)),
        ` over the ${plural(layers, 'layer')} fitted on both sides: ${values}`,
      ]),
    )
  }
  if (tensors && tensors.changed.length + tensors.added.length + tensors.removed.length > 0) {
    const phrase = unseen(tensors.changed, tensors.added, tensors.removed)
    blocks.push(text(join([phrase, ofModel(report, model)], '')))
  }
  return blocks
}

function shapes(layers: readonly { name: string; shape: number[] }[], most: number): Phrase {
  const shown = join(
    layers.slice(0, most).map(layer => [name(layer.name), ` [${layer.shape.join(', ')}]`]),
    ', ',
  )
  return layers.length > most ? [...spans(shown), `, and ${layers.length - most} more`] : shown
}

/** Every layer with its numbers. */
export function layersTable(
  report: Report,
  model: Model,
  where: 'comment' | 'brief' | 'terminal',
  most: number,
): Table {
  const past = before(report, model)
  const compared = comparedModel(report, model) !== undefined
  const metrics = columnsShown(where)
  const changeOf = (layer: Layer): string => {
    const found = past(layer, 'alpha')
    return found.kind === 'compared' ? formatChange(found.change.change) : found.kind === 'new' ? 'new' : '–'
  }
  const withShape = where === 'terminal'
  const withType = where === 'comment'
  const ordered = where === 'terminal' && most < model.layers.length ? mostNotable(report, model) : model.layers
  const rows = ordered.map(layer => [
    [name(layer.name)],
    ...(withType ? [[said(layer.layer_type)]] : []),
    ...(withShape ? [layer.shape.join('×')] : []),
    ...metrics.flatMap(metric =>
      metric === 'alpha' && compared ? [formatMetric(layer, metric), changeOf(layer)] : [formatMetric(layer, metric)],
    ),
    where === 'terminal' && layer.error ? ['error: ', said(layer.error.message)] : [said(stateOf(layer))],
  ])
  const heads = metrics.flatMap((metric, i) => {
    const label = where === 'terminal' ? (column(metric).label ?? metric) : metric
    const own = right(label, metric === 'alpha' ? 0 : i + 1)
    return metric === 'alpha' && compared ? [own, right('change')] : [own]
  })
  const columns = [
    left('layer'),
    ...(withType ? [left('layer_type')] : []),
    ...(withShape ? [left('shape', 2)] : []),
    ...heads,
    left('status'),
  ]
  return table(columns, rows, most, 'layer')
}

/** Those to look at, then those that moved most, then the others. */
export function mostNotable(report: Report, model: Model): Layer[] {
  const compared = comparedModel(report, model)
  const first = attention(report, model).flatMap(({ layer }) => (layer ? [layer] : []))
  const byKey = new Map(model.layers.map(layer => [layerKey(layer), layer]))
  const moved = (compared?.layers ?? []).flatMap(changed => byKey.get(layerKey(changed)) ?? [])
  return [...new Set([...first, ...moved, ...model.layers])]
}

/** How many tensors were skipped, by reason. */
export function skippedTensors({ skipped }: Model): Block[] {
  if (skipped.length === 0) return []
  const counts = new Map<string, number>()
  for (const { reason } of skipped) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  const shown = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 12)
  const rest = counts.size > shown.length ? `, and ${counts.size - shown.length} more reasons` : ''
  const listed = join(
    shown.map(([reason, n]) => [`${n} × `, said(reason)]),
    ', ',
  )
  return [text(['Skipped: ', ...spans(listed), `${rest}.`])]
}

/** Who made it, of what, against what. */
export function footer({ baseline, comparison, provenance }: Report): Phrase {
  return join(
    [
      comparison ? describeBaseline(comparison, baseline, provenance) : '',
      provenance
        ? [
            'commit ',
            name(provenance.commit.slice(0, 12)),
            ', ',
            { link: `run ${provenance.run_id}`, url: provenance.run_url },
          ]
        : '',
    ],
    ' · ',
  )
}

/** Commit, run, age and distance of what it is compared with, or its path. */
function describeBaseline(
  { baseline: { kind, path } }: Comparison,
  found: Report['baseline'],
  provenance: Report['provenance'],
): Phrase {
  if (!found?.commit) return [`baseline ${kind} `, name(path)]
  const { commit, run_id, run_url, time, distance } = found
  const seconds = (Date.parse(provenance?.time ?? '') - Date.parse(time ?? '')) / 1000
  return join(
    [
      ['baseline commit ', name(commit.slice(0, 12))],
      run_id === undefined ? '' : [{ link: `run ${run_id}`, url: run_url ?? '' }],
      seconds >= 60 ? `${formatAge(seconds)} old` : '',
      distance ? `${plural(distance, 'commit')} before` : '',
    ],
    ', ',
  )
}

/** Eight blocks for the largest change, in proportion for the others. */
function bar(change: number | null, largest: number | null): string {
  if (!change || !largest) return ''
  const eighths = Math.round(8 * Math.abs(change / largest))
  return eighths > 0 ? ` ${(change > 0 ? '█' : '░').repeat(eighths)}` : ''
}

import { column, columnsShown, type LayerMetric, SUMMARY_METRICS } from '../report/columns.ts'
import type { Description } from '../report/description.ts'
import { layerKey } from '../report/metrics.ts'
import type { Model, Report } from '../report/schema.ts'
import { short } from './escape.ts'
import { figureTable } from './figures.ts'
import { headline, ICON, measured, ruleIcon } from './headline.ts'
import { formatChange, formatMetric, formatReal, formatShare, plural } from './numbers.ts'
import { sharedAlpha } from './shared.ts'
import { terminalTable } from './table.ts'

/** The report for a terminal or a log: the layers, the summary, the rules, and the verdict last, where the eye is. */
export function renderText(report: Report): string {
  return `${[
    ...report.models.flatMap(model => [layers(report, model), report.part ? '' : summary(report, model)]),
    figures(report),
    rules(report),
    verdict(report),
  ]
    .filter(block => block !== '')
    .join('\n\n')}\n`
}

function layers(report: Report, model: Model): string {
  const compared = report.comparison?.models[report.models.indexOf(model)]
  const change = new Map(compared?.layers.map(layer => [layerKey(layer), formatChange(layer.alpha.change)]))
  for (const layer of compared?.added ?? []) change.set(layerKey(layer), 'new')
  const metrics = columnsShown('terminal')
  const perMetric = (metric: LayerMetric, own: string, changed: string) =>
    metric === 'alpha' && compared ? [own, changed] : [own]
  const header = metrics.flatMap(metric => perMetric(metric, column(metric).label ?? metric, 'change'))
  const rows = model.layers.map(layer => [
    short(layer.name),
    layer.shape.join('×'),
    ...metrics.flatMap(metric =>
      perMetric(metric, formatMetric(layer, metric), change.get(layerKey(layer)) ?? formatChange(0)),
    ),
    layer.error
      ? `error: ${short(layer.error.message)}`
      : layer.warning
        ? `${layer.status}, ${layer.warning}`
        : layer.status,
  ])
  const title = `${short(model.name)}  (${model.source.format}, ${short(model.source.path)})`
  return `${title}\n${terminalTable([['layer', 'shape', ...header, 'status'], ...rows], `ll${'r'.repeat(header.length)}l`)}`
}

function summary(report: Report, model: Model): string {
  const compared = report.comparison?.models[report.models.indexOf(model)]
  const changes = compared?.summary
  const rows = SUMMARY_METRICS.map(metric => [
    metric,
    formatReal(model.summary[metric]),
    ...(changes ? [formatReal(changes[metric].base), formatChange(changes[metric].change)] : []),
  ])
  const { layers, failed, coverage } = model.summary
  const skipped = model.skipped.length > 0 ? `, ${plural(model.skipped.length, 'tensor')} skipped` : ''
  const extent = `${layers - failed} of ${plural(layers, 'layer')} fitted; ${formatShare(coverage)} of the parameters analysed${skipped}`
  const table = `${terminalTable([changes ? ['mean', 'head', 'base', 'change'] : ['mean', 'value'], ...rows], changes ? 'lrrr' : 'lr')}\n${extent}`
  const gone = (compared?.removed ?? []).map(({ name }) => short(name))
  const shown = `${gone.slice(0, 10).join(', ')}${gone.length > 10 ? `, and ${gone.length - 10} more` : ''}`
  const shared = sharedAlpha(report, model)
  return [table, gone.length > 0 ? `gone: ${shown}` : '', shared && `alpha ${shared}`].filter(Boolean).join('\n')
}

function figures(report: Report): string {
  const rows = figureTable(report, short)
  return rows.length > 0 ? terminalTable(rows, `l${'r'.repeat(rows[0].length - 1)}`) : ''
}

function rules({ verdict, models }: Report): string {
  if (!verdict || verdict.rules.length === 0) return ''
  const several = models.length > 1
  const rows = verdict.rules.map(rule => [
    ruleIcon(rule),
    `${rule.level} if ${rule.rule}`,
    ...(several ? [short(rule.model)] : []),
    measured(rule),
    rule.of === 0 ? '–' : `${rule.layers} of ${rule.of}`,
    [rule.layer ? short(rule.layer) : '', short(rule.reason)].filter(Boolean).join(': '),
  ])
  return terminalTable(
    [['', 'rule', ...(several ? ['model'] : []), 'measured', 'layers', ''], ...rows],
    several ? 'lllrrl' : 'llrrl',
  )
}

function verdict(report: Report): string {
  const { verdict } = report
  if (!verdict) return headline(report, short)
  const notes = [
    ...(report.comparison?.removed.slice(0, 10) ?? []).map(name => `The baseline also has the model ${short(name)}.`),
    verdict.first_run && verdict.status === 'inconclusive'
      ? 'No baseline was given: there is nothing to compare with yet.'
      : '',
    verdict.enforced ? '' : 'Not enforced: this verdict does not fail the job.',
  ]
  return [`${ICON[verdict.status]} ${verdict.status}: ${headline(report, short)}`, ...notes.filter(Boolean)].join('\n')
}

/** What an analysis would look at, for a terminal. */
export function renderDescription(description: Description): string {
  const { name, path, state_dict, ignored, layers, skipped } = description
  const rows = layers.map(({ name, layer_type, shape, dtype, N, M, rf, num_evals }) => {
    return [short(name), layer_type, shape.join('×'), dtype, ...[N, M, rf, num_evals].map(value => String(value))]
  })
  const reasons = skipped.map(({ tensor, shape, dtype, reason }) => [
    short(tensor),
    shape.join('×'),
    dtype,
    short(reason),
  ])
  const taken = state_dict ? `, its ${short(state_dict)}` : ''
  return `${[
    `${short(name)}  (${description.format}, ${short(path)}${taken})`,
    terminalTable([['layer', 'type', 'shape', 'dtype', 'N', 'M', 'rf', 'evals'], ...rows], 'llllrrrr'),
    reasons.length > 0 ? terminalTable([['skipped', 'shape', 'dtype', 'why'], ...reasons], 'llll') : '',
    ignored.length > 0 ? `Not looked at: ${ignored.map(short).join(', ')}` : '',
    `${plural(layers.length, 'layer')}, ${plural(skipped.length, 'tensor')} skipped`,
  ]
    .filter(block => block !== '')
    .join('\n\n')}\n`
}

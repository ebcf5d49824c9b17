import { markdownTable } from 'markdown-table'
import { columnsShown, SUMMARY_METRICS, type SummaryMetric } from '../report/columns.ts'
import type { Comparison, Model, Report } from '../report/schema.ts'
import { whyUnfitted } from '../report/unfitted.ts'
import { code, link, plain, prose, short } from './escape.ts'
import { figureTable } from './figures.ts'
import { headline, ICON, measured, ruleIcon } from './headline.ts'
import { formatAge, formatChange, formatMetric, formatReal, formatShare, plural } from './numbers.ts'
import { sharedAlpha } from './shared.ts'
import { modelTrend, trendPoints } from './trend.ts'

export interface MarkdownOptions {
  /** Bytes of UTF-8 that the text may have. */
  readonly limit: number
  /** Where the whole report is, as a sentence in Markdown; empty where nobody knows. */
  readonly whereabouts?: string
  /** Stands above all else, in Markdown. */
  readonly note?: string
}

/** Rows of each block; 0 leaves it out. */
interface Detail {
  readonly all: number
  readonly columns: 'every' | 'few'
  readonly changed: number
  readonly models: number
  readonly rules: number
}

const LEVELS: readonly Detail[] = [
  { all: Number.POSITIVE_INFINITY, columns: 'every', changed: 40, models: 500, rules: 1000 },
  { all: Number.POSITIVE_INFINITY, columns: 'few', changed: 40, models: 500, rules: 1000 },
  { all: 200, columns: 'few', changed: 40, models: 200, rules: 400 },
  { all: 0, columns: 'few', changed: 40, models: 200, rules: 200 },
  { all: 0, columns: 'few', changed: 15, models: 60, rules: 60 },
  { all: 0, columns: 'few', changed: 5, models: 15, rules: 15 },
  { all: 0, columns: 'few', changed: 0, models: 5, rules: 5 },
]
const LAST: Detail = { all: 0, columns: 'few', changed: 0, models: 0, rules: 0 }

/** The report as GitHub-flavoured Markdown, in the richest level of detail that fits. Whole rows are dropped, and counted. */
export function renderMarkdown(report: Report, options: MarkdownOptions): string {
  for (const detail of LEVELS) {
    const text = renderAt(report, options, detail)
    if (Buffer.byteLength(text) <= options.limit) return text
  }
  return renderAt(report, options, LAST)
}

function renderAt(report: Report, options: MarkdownOptions, detail: Detail): string {
  const blocks = [
    title(report),
    options.note ? `> ${options.note}` : '',
    ...notes(report),
    ...summary(report, detail),
    figures(report),
    trendNote(report),
    ...rules(report, detail),
    ...report.models.flatMap(model => notable(report, model, detail)),
    ...report.models.flatMap(model => allLayers(report, model, detail)),
    footer(report, options),
  ]
  return `${blocks.filter(block => block !== '').join('\n\n')}\n`
}

/** First line: the verdict and one sentence. */
function title(report: Report): string {
  const status = report.verdict?.status
  const said = headline(report, code)
  return `### ${status ? `${ICON[status]} ${capital(status)}: ` : ''}${status ? said : capital(said)}`
}

function notes({ verdict, baseline, comparison, models }: Report): string[] {
  const notes: string[] = []
  if (verdict?.first_run && verdict.status !== 'inconclusive' && !baseline)
    notes.push('> First run: there is no baseline to compare with yet.')
  if (verdict?.accepted) {
    const { label, by, at, was } = verdict.accepted
    notes.push(
      `> Accepted by ${code(by)} with the label ${code(label)} at ${code(at)}: it was ${was}. A push withdraws it.`,
    )
  }
  if (verdict?.refused) {
    notes.push(`> The label ${code(verdict.refused.label)} does not count: ${prose(verdict.refused.reason, code)}.`)
  }
  if (baseline && baseline.state !== 'exact') {
    for (const line of baseline.reason.split('\n')) notes.push(`> ${prose(line, code)}`)
  }
  if (comparison?.status === 'incomparable')
    notes.push(`> Not compared with the baseline: ${plain(comparison.reason, code)}.`)
  if (verdict && !verdict.enforced) notes.push('> Not enforced: this verdict does not fail the job (`enforce: false`).')
  if (verdict?.status === 'inconclusive' && verdict.enforced) {
    notes.push(
      `> Inconclusive: neither pass nor fail. The job ${verdict.fails_job ? 'fails' : 'goes on'} (\`fail-on-inconclusive\`).`,
    )
  }
  for (const name of comparison?.removed.slice(0, 10) ?? [])
    notes.push(`> The baseline also has the model ${code(name)}.`)
  for (const { name, summary } of models.slice(0, 10)) {
    if (summary.errors > 0) {
      notes.push(`> ${code(name)} has no means: ${plural(summary.errors, 'layer')} could not be read.`)
    }
  }
  return notes
}

function summary(report: Report, detail: Detail): string[] {
  if (report.part) return []
  if (report.models.length === 1) return [oneModel(report), extent(report.models[0])]
  const shown = report.models.slice(0, detail.models)
  if (shown.length === 0) return []
  const header = ['model', 'alpha', 'alpha_weighted', 'log_norm', 'log_spectral_norm', 'layers', 'coverage']
  const rows = shown.map((model, i) => {
    const compared = report.comparison?.models[i].summary
    const cell = (metric: SummaryMetric) =>
      `${formatReal(model.summary[metric])}${compared ? ` (${formatChange(compared[metric].change)})` : ''}`
    const { layers, failed, coverage } = model.summary
    const trend = modelTrend(report, model, 'alpha')
    return [
      code(model.name),
      `${cell('alpha')}${trend ? ` ${trend}` : ''}`,
      cell('alpha_weighted'),
      cell('log_norm'),
      cell('log_spectral_norm'),
      failed > 0 ? `${layers - failed} of ${layers}` : `${layers}`,
      formatShare(coverage),
    ]
  })
  return [table([header, ...rows], 'lrrrrrr'), omitted(report.models.length - shown.length, 'model')]
}

function oneModel(report: Report): string {
  const [model] = report.models
  const changes = report.comparison?.models[0]?.summary
  const trends = SUMMARY_METRICS.map(metric => modelTrend(report, model, metric))
  const drawn = trends.some(trend => trend !== '')
  const rows = SUMMARY_METRICS.map((metric, i) => [
    `\`${metric}\``,
    formatReal(model.summary[metric]),
    ...(changes ? [formatReal(changes[metric].base), formatChange(changes[metric].change)] : []),
    ...(drawn ? [trends[i]] : []),
  ])
  const header = ['mean over layers', 'head', ...(changes ? ['base', 'change'] : []), ...(drawn ? ['trend'] : [])]
  return table([header, ...rows], `lr${changes ? 'rr' : ''}l`)
}

function figures(report: Report): string {
  const rows = figureTable(report, code)
  return rows.length > 0 ? table(rows, `l${'r'.repeat(rows[0].length - 1)}`) : ''
}

function trendNote(report: Report): string {
  const points = trendPoints(report).length
  if (points === 0 || report.part) return ''
  return `Trend: the last ${plural(points, 'baseline')} of ${code(report.baseline!.branch)}, then this.`
}

function extent({ name, summary: { layers, failed, coverage } }: Model): string {
  const fitted =
    failed > 0 ? `${layers - failed} of ${plural(layers, 'layer')} fitted` : `${plural(layers, 'layer')}, all fitted`
  return `${code(name)}: ${fitted}; ${formatShare(coverage)} of the parameters analysed.`
}

function rules({ verdict, models }: Report, detail: Detail): string[] {
  if (!verdict || verdict.rules.length === 0) return []
  const order = { violated: 0, inconclusive: 1, ok: 2 }
  const sorted = [...verdict.rules].sort((a, b) => order[a.outcome] - order[b.outcome])
  const shown = sorted.slice(0, detail.rules)
  if (shown.length === 0) return []
  const several = models.length > 1
  const rows = shown.map(rule => [
    ruleIcon(rule),
    `${rule.level} if ${code(rule.rule)}`,
    ...(several ? [rule.model && code(rule.model)] : []),
    measured(rule),
    rule.of === 0 || (rule.outcome === 'inconclusive' && rule.value === null) ? '–' : `${rule.layers} of ${rule.of}`,
    [rule.layer ? code(rule.layer) : '', rule.model ? plain(rule.reason, code) : prose(rule.reason, code)]
      .filter(Boolean)
      .join(': '),
  ])
  const header = ['', 'rule', ...(several ? ['model'] : []), 'measured', 'layers', '']
  return [table([header, ...rows], several ? 'cllrrl' : 'clrrl'), omitted(sorted.length - shown.length, 'rule')]
}

/** Layers that changed, appeared, went, or have no usable fit. */
function notable(report: Report, model: Model, detail: Detail): string[] {
  if (detail.changed === 0) return []
  const compared = report.comparison?.models[report.models.indexOf(model)]
  const suffix = report.models.length > 1 ? ` of ${code(model.name)}` : ''
  const blocks: string[] = []
  const changed = compared?.layers ?? []
  if (changed.length > 0) {
    const rows = changed
      .slice(0, detail.changed)
      .map(({ name, status, alpha, log_spectral_norm }) => [
        code(name),
        formatReal(alpha.head),
        formatReal(alpha.base),
        `${formatChange(alpha.change)}${bar(alpha.change, changed[0].alpha.change)}`,
        formatChange(log_spectral_norm.change),
        status.head === status.base ? status.head : `${status.base} → ${status.head}`,
      ])
    blocks.push(
      `**${changed.length} of ${plural(compared!.matched, 'layer')}${suffix} changed**`,
      table([['layer', 'alpha', 'base', 'change', 'Δ log_spectral_norm', 'status'], ...rows], 'lrrlrl'),
      omitted(changed.length - rows.length, 'changed layer'),
    )
  }
  for (const [word, layers] of [
    ['New', compared?.added],
    ['Gone', compared?.removed],
  ] as const) {
    if (!layers || layers.length === 0) continue
    const names = layers.slice(0, detail.changed).map(({ name, shape }) => `${code(name)} [${shape.join(', ')}]`)
    blocks.push(
      `**${word}${suffix}:** ${names.join(', ')}${layers.length > names.length ? `, and ${layers.length - names.length} more` : ''}`,
    )
  }
  const shared = sharedAlpha(report, model)
  if (shared) blocks.push(`\`alpha\`${suffix} ${shared}`)
  const bad = model.layers.filter(layer => layer.status !== 'success')
  if (bad.length > 0) {
    const rows = bad
      .slice(0, detail.changed)
      .map(layer => [code(layer.name), layer.status, plain(whyUnfitted(layer), code)])
    blocks.push(
      `**${plural(bad.length, 'layer')}${suffix} without a usable fit**`,
      table([['layer', 'status', 'why'], ...rows], 'lll'),
      omitted(bad.length - rows.length, 'such layer'),
    )
  }
  return blocks
}

function allLayers(report: Report, model: Model, detail: Detail): string[] {
  if (detail.all === 0) return []
  const every = detail.columns === 'every'
  const metrics = columnsShown(every ? 'comment' : 'brief')
  const shown = model.layers.slice(0, detail.all)
  const rows = shown.map(layer => [
    code(layer.name),
    ...(every ? [plain(layer.layer_type, code)] : []),
    ...metrics.map(metric => formatMetric(layer, metric)),
    layer.warning ? `${layer.status}, ${layer.warning}` : layer.status,
  ])
  const title = report.models.length > 1 ? `All layers of <code>${html(model.name)}</code>` : 'All layers'
  const skipped = model.skipped.length > 0 ? ` (${plural(model.skipped.length, 'tensor')} skipped)` : ''
  return [
    `<details><summary>${title}${skipped}</summary>`,
    table(
      [['layer', ...(every ? ['layer_type'] : []), ...metrics, 'status'], ...rows],
      `${every ? 'll' : 'l'}${'r'.repeat(metrics.length)}l`,
    ),
    omitted(model.layers.length - shown.length, 'layer'),
    every ? skippedTensors(model) : '',
    '</details>',
  ]
}

function skippedTensors({ skipped }: Model): string {
  if (skipped.length === 0) return ''
  const counts = new Map<string, number>()
  for (const { reason } of skipped) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  const shown = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 12)
  const rest = counts.size > shown.length ? `, and ${counts.size - shown.length} more reasons` : ''
  return `Skipped: ${shown.map(([reason, n]) => `${n} × ${plain(reason, code)}`).join(', ')}${rest}.`
}

function footer({ tool, baseline, comparison, provenance }: Report, { whereabouts }: MarkdownOptions): string {
  const parts = [
    comparison ? describeBaseline(comparison, baseline, provenance) : '',
    provenance
      ? `commit ${code(provenance.commit.slice(0, 12))}, ${link(`run ${provenance.run_id}`, provenance.run_url)}`
      : '',
    whereabouts ?? '',
    `${tool.name} ${tool.version}`,
  ]
  return `<sub>${parts.filter(Boolean).join(' · ')}</sub>`
}

/** Commit, run, age and distance of what it is compared with, or its path. */
function describeBaseline(
  { baseline: { kind, path } }: Comparison,
  found: Report['baseline'],
  provenance: Report['provenance'],
): string {
  if (!found?.commit) return `baseline ${kind} ${code(path)}`
  const { commit, run_id, run_url, time, distance } = found
  const seconds = (Date.parse(provenance?.time ?? '') - Date.parse(time ?? '')) / 1000
  return [
    `baseline commit ${code(commit.slice(0, 12))}`,
    run_id === undefined ? '' : link(`run ${run_id}`, run_url ?? ''),
    seconds >= 60 ? `${formatAge(seconds)} old` : '',
    distance ? `${plural(distance, 'commit')} before` : '',
  ]
    .filter(Boolean)
    .join(', ')
}

function omitted(n: number, what: string): string {
  return n > 0 ? `… and ${plural(n, `more ${what}`)}: the report has them all.` : ''
}

/** Eight blocks for the largest change, in proportion for the others. */
function bar(change: number | null, largest: number | null): string {
  if (!change || !largest) return ''
  const eighths = Math.round((8 * Math.abs(change)) / Math.abs(largest))
  return eighths > 0 ? ` ${(change > 0 ? '█' : '░').repeat(eighths)}` : ''
}

function table(rows: string[][], align: string): string {
  return markdownTable(rows, { align: align.split(''), alignDelimiters: false, padding: true })
}

function html(text: string): string {
  return short(text).replace(/[^A-Za-z0-9 .-]/gu, character => `&#${character.codePointAt(0)};`)
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

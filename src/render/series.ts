import { ENOUGH_MODELS } from '../series/judge.ts'
import type { SeriesMetric, SeriesReport, Training } from '../series/schema.ts'
import { code, plain } from './escape.ts'
import { phrase as inMarkdown, write as writeMarkdown } from './markdown.ts'
import { format, formatChange, formatReal, plural } from './numbers.ts'
import { type Plot, type PlotLine, renderPlot } from './plot.ts'
import { write as writeText } from './text.ts'
import { type Block, heading, join, left, name, note, type Phrase, right, said, spans, table, text } from './view.ts'

/** Points of a trend line. */
const LEAST = 3
/** Rows of a table of moments. */
const MOST_STEPS = 60
const NO_LIMIT = Number.POSITIVE_INFINITY

const STATES: Record<SeriesMetric['state'], string> = {
  tracks: 'tracks',
  contradicts: 'points the other way',
  unclear: 'not told from chance',
  'between-groups': 'over the groups alone',
  'too-few': 'too few to say',
  constant: 'is constant',
  'no-direction': 'no advertised direction',
  'one-run': 'described alone',
}

/** What a series says, in the order in which people read it: the verdict, warnings, the figures. */
export function seriesBlocks(report: SeriesReport): Block[] {
  const { metrics, ignored, notes, trainings, target } = report
  return [
    heading(seriesHeadline(report)),
    ...metrics.flatMap(metric => (metric.paradox ? [note(paradoxOf(report, metric))] : [])),
    ...metrics.flatMap(metric => (metric.rests_on ? [note(restsOn(metric))] : [])),
    ...contradicted(report),
    ...beforeHolm(report),
    ...notes.map(one => note([said(one), '.'])),
    ...(metrics.length > 0 ? [report.kind === 'training' ? coefficients(report) : metricsTable(report)] : []),
    ...trainings.flatMap(training => trainingBlocks(training, target)),
    ...(ignored.length > 0
      ? [
          text([
            'Not looked at: ',
            ...spans(
              join(
                ignored.slice(0, 20).map(one => [name(one)]),
                ', ',
              ),
            ),
            '.',
          ]),
        ]
      : []),
    text(explanation(report)),
  ]
}

/** The verdict in one sentence. */
export function seriesHeadline({ verdict, metrics, n, groups, target, kind }: SeriesReport): Phrase {
  const over = groups.length > 0 ? `${n} models in ${groups.length} groups` : plural(n, 'model')
  if (kind === 'training') {
    return `${plural(n, 'moment')} of ${groups.length > 0 ? `${groups.length} trainings` : 'one training'}: described, and no claim that a metric tracks`
  }
  const what = target!.name
  const metric = metrics.find(({ name }) => name === verdict.metric)
  if (metric) {
    const { pearson, fisher } = metric.within ?? metric
    const where = metric.within ? ` within the groups, over ${over}` : ` over ${over}`
    return [
      'Gate on ',
      name(metric.name),
      ' here: it tracks ',
      name(what),
      `${where}, r = ${signed(pearson)} ${interval(fisher)}`,
    ]
  }
  if (verdict.status === 'too-few') {
    const grouped = groups.length > 0 && n >= ENOUGH_MODELS
    return grouped
      ? `Too few to say: within ${groups.length} groups, ${n} models count as ${n - groups.length + 1}, and ${ENOUGH_MODELS} are needed`
      : `Too few to say: ${plural(n, 'model')}, and ${ENOUGH_MODELS} are needed`
  }
  return ['No metric tracks ', name(what), ` beyond doubt over ${over}: none to gate on`]
}

function paradoxOf({ n, target }: SeriesReport, { name: metric, paradox }: SeriesMetric): Phrase {
  const { overall, within, groups, p, holm, unequal_slopes } = paradox!
  const slopes = unequal_slopes ? ' The slopes of the groups differ from each other.' : ''
  return [
    "Simpson's paradox over these ",
    `${groups} groups: over all ${n} models `,
    name(metric),
    ' goes one way with ',
    name(target!.name),
    `, r = ${signed(overall)}; within the groups the other, r = ${signed(within)} (p ${pValue(p)}, after Holm ${pValue(holm)}).${slopes} Models of one group are compared by the sign within.`,
  ]
}

function restsOn({ name: metric, rests_on, pearson, within }: SeriesMetric): Phrase {
  const r = (within ?? { pearson }).pearson
  return [
    name(metric),
    `: r = ${signed(r)} rests on `,
    name(rests_on!.name),
    ` alone; without it, r = ${signed(rests_on!.without)}.`,
  ]
}

function contradicted({ verdict, metrics }: SeriesReport): Block[] {
  return metrics
    .filter(({ name }) => verdict.contradicted.includes(name))
    .map(metric => {
      const { pearson, fisher } = metric.within ?? metric
      return note([
        name(metric.name),
        ` is rejected: ${metric.better} is said to be better, and here it is worse, r = ${signed(pearson)} ${interval(fisher)}.`,
      ])
    })
}

function beforeHolm({ verdict: { before_holm } }: SeriesReport): Block[] {
  return before_holm.map(metric =>
    note([
      name(metric),
      ' tracks when it is looked at alone, and no longer after Holm’s correction for looking at several.',
    ]),
  )
}

/** Of a training: what describes it, and nothing that would be a claim. */
function coefficients({ metrics }: SeriesReport): Block {
  const rows = metrics.map(metric => [
    [name(metric.name)],
    ...[metric.pearson, metric.spearman, metric.kendall].map(signed),
  ])
  return table([left('metric'), right('Pearson'), right('Spearman'), right('Kendall')], rows, NO_LIMIT, 'metric')
}

function metricsTable({ metrics, groups }: SeriesReport): Block {
  const grouped = groups.length > 0
  const missing = metrics.some(metric => metric.missing > 0)
  const rows = metrics.map(metric => [
    [name(metric.name)],
    ...(missing ? [`${metric.n}`] : []),
    signed(metric.pearson),
    interval(metric.fisher),
    ...(grouped ? [signed(metric.within?.pearson ?? null), interval(metric.within?.fisher ?? null)] : []),
    interval(metric.bootstrap),
    signed((grouped ? metric.within?.spearman : metric.spearman) ?? null),
    signed(metric.kendall),
    pValue(metric.p),
    pValue(metric.holm),
    interval(metric.leave_one_out),
    STATES[metric.state],
  ])
  const columns = [
    left('metric'),
    ...(missing ? [right('n')] : []),
    right('Pearson'),
    left(grouped ? '95 %' : '95 % (Fisher)', 1),
    ...(grouped ? [right('within'), left('95 % within', 1)] : []),
    left('bootstrap', 4),
    right(grouped ? 'Spearman within' : 'Spearman', 2),
    right('Kendall', 3),
    right('p', 2),
    right('Holm', 2),
    left('without one', 4),
    left('verdict'),
  ]
  return table(columns, rows, NO_LIMIT, 'metric')
}

function trainingBlocks(
  { group, steps, least_alpha, first_below_2, first_trap }: Training,
  target: SeriesReport['target'],
): Block[] {
  const known = target && (target.better === 'lower' ? 'error' : 'accuracy')
  const looked = steps.some(({ below_2 }) => below_2 !== undefined)
  const traps = steps.some(({ trap }) => trap !== undefined)
  const firsts: Phrase[] = [
    least_alpha
      ? [
          `Mean alpha is least at step ${format(least_alpha.step)} (`,
          name(least_alpha.name),
          `: ${formatReal(least_alpha.alpha)}).`,
        ]
      : 'No step has an alpha.',
    ...(looked ? [first('layer with alpha below 2', first_below_2, first_below_2?.below_2)] : []),
    ...(traps ? [first('correlation trap', first_trap, first_trap?.trap)] : []),
  ]
  const rows = steps.map(({ step, name: who, alpha, target, below_2, trap }) => [
    format(step),
    [name(who)],
    formatReal(alpha),
    ...(known ? [format(target)] : []),
    ...(looked ? [below_2 ? [name(below_2.layer), ` ${formatReal(below_2.value)}`] : '–'] : []),
    ...(traps ? [trap ? [name(trap.layer), ` ${format(trap.value)}`] : '–'] : []),
  ])
  const columns = [
    right('step'),
    left('name'),
    right('alpha'),
    ...(known ? [right(known)] : []),
    ...(looked ? [left('least below 2', 1)] : []),
    ...(traps ? [left('most spikes', 1)] : []),
  ]
  return [
    ...(group === null ? [] : [heading(['Training ', name(group)])]),
    text(join(firsts, ' ')),
    table(columns, rows, MOST_STEPS, 'step'),
  ]
}

function first(what: string, moment: Training['first_trap'], sign: Training['steps'][number]['trap']): Phrase {
  if (!moment || !sign) return `No ${what}.`
  return [`The first ${what} is at step ${format(moment.step)}: `, name(sign.layer), '.']
}

function explanation({ kind, groups, target }: SeriesReport): string {
  if (kind === 'training') {
    return target
      ? 'Moments of one training follow each other: even two random walks “track” each other in a quarter of all cases. The coefficients describe this training and say nothing of the next.'
      : 'What stands here describes this training and says nothing of the next.'
  }
  const within = groups.length > 0 ? ' within the groups' : ''
  return `A metric tracks where Fisher's 95 % interval${within} lies beyond 0 in the advertised direction, and Spearman's ρ and every r without one model agree. The bootstrap is shown beside.`
}

function signed(value: number | null): string {
  return value === null ? '–' : value === 0 ? '0.000' : formatChange(Math.abs(value) < 0.0005 ? 0 : value)
}

function interval(found: SeriesMetric['fisher']): string {
  return found ? `[${signed(found.low)}, ${signed(found.high)}]` : '–'
}

function pValue(p: number | null): string {
  return p === null ? '–' : p < 0.001 ? '< .001' : p.toFixed(3)
}

/** For a terminal or a log. */
export function renderSeriesText(report: SeriesReport, width = Number.POSITIVE_INFINITY): string {
  const [verdict, ...rest] = seriesBlocks(report)
  return `${[...writeText(rest, width), ...writeText([verdict], width)].join('\n\n')}\n`
}

/** For the summary of a job, no longer than so many bytes: the table of moments goes first, then that of the metrics. */
export function renderSeriesMarkdown(report: SeriesReport, limit: number): string {
  const all = seriesBlocks(report)
  const brief = all.filter(({ kind }) => kind !== 'table')
  for (const blocks of [all, brief, brief.slice(0, 12)]) {
    const written = `${[`### ${inMarkdown(seriesHeadline(report))}`, ...writeMarkdown(blocks.slice(1))].join('\n\n')}\n\n<sub>${report.tool.name} ${plain(report.tool.version, code)}</sub>\n`
    if (Buffer.byteLength(written) <= limit) return written
  }
  return '### The series is too large for a summary: its JSON has it whole.\n'
}

/** A scatter plot of each metric against what is known, by the metric's name. Without accuracies, each against the step. */
export function seriesPlots(report: SeriesReport): { metric: string; svg: string }[] {
  return plotsOf(report).map(({ metric, plot }) => ({ metric, svg: renderPlot(plot) }))
}

/** The same as data. */
export function plotsOf(report: SeriesReport): { metric: string; plot: Plot }[] {
  const metrics = report.target ? report.metrics.map(({ name }) => name) : Object.keys(report.points[0]?.metrics ?? {})
  return metrics.map(metric => ({ metric, plot: plotOf(report, metric) })).filter(({ plot }) => plot.points.length > 0)
}

function plotOf({ points, groups, target, metrics, kind, n }: SeriesReport, metric: string): Plot {
  const names = groups.map(({ name }) => name)
  const found = points.flatMap(point => {
    const value = point.metrics[metric] ?? null
    const [x, y] = target ? [value, point.target] : [point.step, value]
    return x === null || y === null
      ? []
      : [{ x, y, group: Math.max(0, names.indexOf(point.group ?? '')), name: point.name }]
  })
  const judged = metrics.find(({ name }) => name === metric)
  const within = judged?.within
    ? `; within the groups ${signed(judged.within.pearson)} ${interval(judged.within.fisher)}`
    : ''
  const state = judged ? ` · ${STATES[judged.state]}` : ''
  const lines = target
    ? [
        ...names.flatMap((_, group) =>
          trend(
            found.filter(point => point.group === group),
            group,
          ),
        ),
        ...trend(found),
      ]
    : []
  return {
    title: target
      ? `${metric} and ${target.name}, ${plural(n, kind === 'training' ? 'moment' : 'model')}`
      : `${metric} over the training`,
    subtitle: judged ? `r = ${signed(judged.pearson)} ${interval(judged.fisher)}${within}${state}` : '',
    ...(target ? { x: metric, y: target.name } : { x: 'step', y: metric }),
    ...{ points: found, groups: names, lines },
  }
}

/** The least-squares line of y over x, from the first x to the last. */
function trend(points: readonly { x: number; y: number }[], group?: number): PlotLine[] {
  if (points.length < LEAST) return []
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [mx, my] = [mean(points.map(({ x }) => x)), mean(points.map(({ y }) => y))]
  const xx = points.reduce((sum, { x }) => sum + (x - mx) * (x - mx), 0)
  const xy = points.reduce((sum, { x, y }) => sum + (x - mx) * (y - my), 0)
  const [low, high] = [Math.min(...points.map(({ x }) => x)), Math.max(...points.map(({ x }) => x))]
  if (!(xx > 0) || low === high) return []
  const at = (x: number): [number, number] => [x, my + (xy / xx) * (x - mx)]
  return [{ from: at(low), to: at(high), ...(group !== undefined && { group }) }]
}

import { limits } from '../../limits.ts'
import type { SeriesReport } from '../../series/schema.ts'
import { plain, short } from '../escape.ts'
import { format, plural } from '../numbers.ts'
import type { Plot } from '../plot.ts'
import { at, scale } from '../scale.ts'
import { plotsOf, seriesBlocks, seriesHeadline } from '../series.ts'
import { across, axes, figure, frame, type Key, mark, numbers, type Shape, svg, upward } from './chart.ts'
import { page, top } from './document.ts'
import { type Element, h } from './element.ts'
import { blocks, phrase } from './phrase.ts'

const COLOURS = 6
const SHAPES: readonly Shape[] = ['circle', 'square', 'triangle', 'diamond', 'cross']
/** Groups that a legend names. */
const NAMED = 24
const FRAME = frame(360, 280, { left: 54 })

const colour = (group: number) => `g${group % COLOURS}`
const shape = (group: number) => SHAPES[Math.floor(group / COLOURS) % SHAPES.length]

/** A series as a page of one file: the verdict, a plot a metric, and the models. */
export function renderSeriesPage(report: SeriesReport): string {
  const { target, n } = report
  const all = plotsOf(report)
  const [, ...rest] = seriesBlocks(report)
  const verdict =
    report.verdict.status === 'recommended' ? 'passed' : report.verdict.contradicted.length > 0 ? 'warned' : ''
  const about = [target ? `${plural(n, 'model')}, ${short(target.name)} known` : plural(n, 'moment')]
  const body = [
    ...top(verdict, '', phrase(seriesHeadline(report)), about, [
      ['what', 'What it shows'],
      ['plots', 'Plots'],
      ['models', 'Models'],
    ]),
    h(
      'main',
      { id: 'content' },
      h(
        'section',
        { id: 'what', 'aria-labelledby': 'what-title' },
        h('h2', { id: 'what-title' }, 'What it shows'),
        blocks(rest),
      ),
      h(
        'section',
        { id: 'plots', 'aria-labelledby': 'plots-title' },
        h(
          'h2',
          { id: 'plots-title' },
          target ? `Each metric against ${short(target.name)}` : 'Each metric over the training',
        ),
        h(
          'div',
          { class: 'grid3' },
          all.map(({ plot }) => scatter(plot)),
        ),
      ),
      h(
        'section',
        { id: 'models', 'aria-labelledby': 'models-title' },
        h('h2', { id: 'models-title' }, 'The models'),
        modelsTable(report),
      ),
    ),
    h(
      'footer',
      {},
      h('p', {}, `Drawn by Spectral Gate from a series of version ${plain(report.tool.version, name => short(name))}.`),
    ),
    h('div', { id: 'tip', role: 'tooltip', hidden: true }),
  ]
  return page(`Spectral Gate: a series of ${plural(n, 'model')}`, body, { header: '', models: [] })
}

function scatter({ title, subtitle, x: nameOfX, y: nameOfY, points, lines, groups }: Plot): Element {
  const x = scale(
    points.map(point => point.x),
    across(FRAME),
  )
  const y = scale(
    [...points.map(point => point.y), ...lines.flatMap(({ from, to }) => [from[1], to[1]])],
    upward(FRAME),
  )
  const chart = svg(
    FRAME,
    `${short(title, 200)}: ${plural(points.length, 'point')}. ${short(subtitle, 200)}`,
    axes(FRAME, { scale: x, label: short(nameOfX, 60) }, { scale: y, label: short(nameOfY, 40) }),
    lines.map(({ from, to, group }) =>
      h('path', {
        class: group === undefined ? 'all' : `trend ${colour(group)}`,
        d: `M${at(x.of(from[0]))} ${at(y.of(from[1]))}L${at(x.of(to[0]))} ${at(y.of(to[1]))}`,
      }),
    ),
    points.map(point =>
      h(
        'g',
        { class: `dot ${colour(point.group)}` },
        mark(shape(point.group), x.of(point.x), y.of(point.y)),
        h(
          'title',
          {},
          `${short(point.name)}: ${format(point.x)}, ${format(point.y)}${groups.length > 1 ? ` (${short(groups[point.group] ?? '')})` : ''}`,
        ),
      ),
    ),
  )
  const named: Key[] =
    groups.length > 1
      ? groups.slice(0, NAMED).map((group, i) => ({ kind: colour(i), shape: shape(i), text: short(group, 40) }))
      : []
  const overall: Key[] = lines.some(({ group }) => group === undefined)
    ? [{ kind: 'all', shape: 'line', text: groups.length > 1 ? 'over all' : 'trend' }]
    : []
  const more: Key[] =
    groups.length > NAMED ? [{ kind: '', shape: 'line', text: `and ${groups.length - NAMED} more groups` }] : []
  return figure(short(title, 120), short(subtitle, 200), chart, [...named, ...overall, ...more])
}

function modelsTable({ points, target, groups }: SeriesReport): Element {
  const metrics = Object.keys(points[0]?.metrics ?? {}).slice(0, limits.series.metricsCount)
  const grouped = groups.length > 0
  const stepped = points.some(({ step }) => step !== null)
  const columns = [
    'model',
    ...(grouped ? ['group'] : []),
    ...(stepped ? ['step'] : []),
    ...(target ? [short(target.name, 60)] : []),
    ...metrics.map(name => short(name, 60)),
  ]
  const rows = points
    .slice(0, limits.series.modelsCount)
    .map(point => [
      short(point.name),
      ...(grouped ? [short(point.group ?? '')] : []),
      ...(stepped ? [format(point.step)] : []),
      ...(target ? [format(point.target)] : []),
      ...metrics.map(metric => format(point.metrics[metric] ?? null)),
    ])
  const table = numbers(columns, rows, 'What is known of each model, and its metrics')
  return { ...table, attributes: { ...table.attributes, open: '' } }
}

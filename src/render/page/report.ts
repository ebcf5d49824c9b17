import { limits } from '../../limits.ts'
import { SEEDS } from '../../policy/built-in-judge.ts'
import { type Earlier, earlierChanges } from '../../policy/history.ts'
import { askedIn } from '../../report/analyses.ts'
import { column, metricsWith } from '../../report/columns.ts'
import type { Model, Report } from '../../report/schema.ts'
import { renderCsv } from '../csv.ts'
import { plain, printable, short } from '../escape.ts'
import { gateChange } from '../gate-change.ts'
import { headline } from '../headline.ts'
import { formatChange, plural } from '../numbers.ts'
import {
  changes,
  comparedModel,
  foldedGroups,
  footer,
  heldRules,
  judgementOf,
  legend,
  notes,
  ownMetrics,
  rules,
  skippedTensors,
  summary,
  trendNote,
  whatToLookAt,
} from '../sections.ts'
import { phrase as inText } from '../text.ts'
import type { Block } from '../view.ts'
import { page, top } from './document.ts'
import { type Element, h, type Piece } from './element.ts'
import { type Cell, cells, changedFirst, type LayerData, layerData, type Seen, seenLayers } from './layers.ts'
import { blocks, phrase } from './phrase.ts'
import { alphas, fits, flow, headAndBase, history, judgementPlot } from './plots.ts'

/** What the script of the page gets. */
export interface PageData {
  /** Of the CSV. */
  readonly header: string
  readonly models: readonly (readonly LayerData[])[]
}

/** A report as a page of one file, drawn from nothing else. */
export async function renderPage(report: Report): Promise<string> {
  const models = report.models.slice(0, limits.page.modelsCount)
  const earlier = await earlierChanges(report.baseline?.history)
  const rowsOfCsv = csvOf(report)
  const shown = models.map((model, i) => {
    const room = models.slice(0, i).reduce<number>((left, { layers }) => left - layers.length, limits.page.layersCount)
    return { model, seen: seenLayers(report, model), most: Math.max(0, room) }
  })
  const status = report.verdict?.status ?? ''
  const [header, ...rows] = rowsOfCsv
  let row = 0
  const tables = shown.map(({ model, seen, most }, i) => {
    const columns = cells(comparedModel(report, model) !== undefined)
    const first = changedFirst(report, model, seen).slice(0, most)
    const start = row
    row += model.layers.length
    const kept = new Set(first)
    const data = seen.map(one =>
      kept.has(one)
        ? layerData(report, one, short(one.layer.name, 400), rows[start + one.place - 1] ?? '', columns)
        : null,
    )
    return { data, element: table(report, model, first, columns, i, seen.length - first.length) }
  })
  const body = [
    ...top(status, status, phrase(headline(report)), meta(report), [
      ['why', 'Why'],
      ...(models.length > 0 ? ([['glance', 'At a glance']] as const) : []),
      ...(models.length > 0 ? ([['layers', 'Layers']] as const) : []),
      ['words', 'Words'],
    ]),
    h(
      'main',
      { id: 'content' },
      section('why', 'Why this verdict', [
        ...said(notes(report), gateChange(report)),
        ...said(rules(report, limits.page.rowsCount)),
        ...shown.map(({ model, seen }, i) =>
          h('div', { 'data-of': i }, blocks(judgementOf(report, model)), judged(report, model, seen, earlier)),
        ),
        ...said(heldRules(report)),
        ...shown.flatMap(({ model }) => blocks(whatToLookAt(report, model, 12))),
      ]),
      ...(models.length === 0
        ? []
        : [
            section('glance', 'At a glance', [
              ...said(summary(report, limits.page.rowsCount), legend(report), ownMetrics(report)),
              ...shown.map(({ model }, i) => h('div', { 'data-of': i }, blocks(foldedGroups(report, model)))),
              ...shown.map(({ model, seen }, i) => h('div', { 'data-of': i }, glance(report, model, seen))),
            ]),
            section('layers', 'All layers', [
              h(
                'p',
                { class: 'without' },
                'Without its script this page shows the table, and no spectra of single layers.',
              ),
              ...tables.map(({ element }) => element),
              ...shown.flatMap(({ model }) => came(report, model)),
            ]),
          ]),
      words(report),
    ),
    foot(report, models.length),
    h('div', { id: 'tip', role: 'tooltip', hidden: true }),
  ]
  const data = { header: header ?? '', models: tables.map(({ data }) => data) }
  return page(
    `Spectral Gate${status ? `: ${status}` : ''} – ${short(report.models[0]?.name ?? 'no model')}`,
    body,
    data,
  )
}

function section(id: string, title: string, content: readonly Element[]): Element {
  return h('section', { id, 'aria-labelledby': `${id}-title` }, h('h2', { id: `${id}-title` }, title), content)
}

function said(...lists: readonly (readonly Block[])[]): Element[] {
  return lists.flatMap(list => blocks(list))
}

function meta(report: Report): Piece[] {
  const { models, provenance } = report
  const first = models[0]
  const what = first
    ? models.length === 1
      ? [h('code', {}, short(first.source.path)), `, ${plural(first.layers.length, 'layer')}`]
      : [plural(models.length, 'model')]
    : []
  const when = provenance?.time ? [`, ${printable(provenance.time)}`] : []
  const who = phrase(footer(report))
  return [...what, ...when, ...(who.length > 0 ? [' · ', ...who] : [])]
}

/** The rows of the CSV, the header first: fields with line breaks in them have escapes there. */
function csvOf(report: Report): string[] {
  return renderCsv(report).trimEnd().split('\n')
}

/** What retrained seeds of networks of one architecture do. */
const BETWEEN_SEEDS = { from: -SEEDS, to: SEEDS, text: `what retrained seeds do, ±${SEEDS}` }

function judged(report: Report, model: Model, seen: readonly Seen[], earlier: Earlier): Element[] {
  const judgement = comparedModel(report, model)?.judgement
  if (!judgement || judgement.hill_share) return []
  const prediction = earlier.predict(model.name, 'primary')
  const noise =
    'reach' in prediction
      ? {
          from: prediction.mean - prediction.reach,
          to: prediction.mean + prediction.reach,
          text: `what the last ${prediction.changes} baselines predict, ${formatChange(prediction.mean - prediction.reach)} to ${formatChange(prediction.mean + prediction.reach)}`,
        }
      : BETWEEN_SEEDS
  const limits = report.verdict?.tail_limits?.filter(limit => limit.model === model.name) ?? []
  const plot = judgementPlot(seen, judgement, limits, noise)
  return plot ? [plot] : []
}

function glance(report: Report, model: Model, seen: readonly Seen[]): Element[] {
  if (seen.length === 0) return []
  const compared = comparedModel(report, model) !== undefined
  const several = report.models.length > 1
  const trends = history(report, model)
  return [
    ...(several ? [h('h3', {}, h('code', {}, short(model.name)))] : []),
    flow(seen, compared),
    h(
      'div',
      { class: 'grid3' },
      [alphas(seen, compared), fits(seen), compared ? headAndBase(seen) : undefined].filter(plot => plot !== undefined),
    ),
    ...(trends.length > 0 ? [h('h3', {}, 'History'), ...said(trendNote(report)), ...trends] : []),
  ]
}

const FILTERS = [
  ['', 'all'],
  ['changed', 'changed or new'],
  ['well', 'alpha 2 to 6'],
  ['over', 'over-trained'],
  ['under', 'under-trained'],
  ['random', 'random-like'],
  ['unfitted', 'without a fit'],
] as const

function table(
  report: Report,
  model: Model,
  seen: readonly Seen[],
  columns: readonly Cell[],
  index: number,
  left: number,
): Element {
  const id = `model-${index}`
  const name = short(model.name)
  return h(
    'div',
    { class: 'layers', 'data-model': index },
    report.models.length > 1 && h('h3', {}, h('code', {}, name)),
    h(
      'div',
      { class: 'tools script' },
      h(
        'label',
        { for: `${id}-find` },
        'Name has',
        h('input', { id: `${id}-find`, type: 'search', class: 'find', autocomplete: 'off' }),
      ),
      h(
        'label',
        { for: `${id}-state` },
        'Show',
        h(
          'select',
          { id: `${id}-state`, class: 'state' },
          FILTERS.map(([value, text]) => h('option', { value }, text)),
        ),
      ),
      h('button', { type: 'button', class: 'csv' }, 'CSV of these'),
      h(
        'output',
        { class: 'count', for: `${id}-find ${id}-state`, 'aria-live': 'polite' },
        plural(seen.length, 'layer'),
      ),
    ),
    h('p', { class: 'meta' }, 'What to look at and what changed first. A name opens the layer’s spectrum.'),
    h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': `Layers of ${name}` },
      h(
        'table',
        {},
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            h('th', { scope: 'col' }, 'layer'),
            h('th', { scope: 'col', class: 'n', title: 'place in the network' }, '#'),
            columns.map(({ label, help, numeric }) =>
              h('th', { scope: 'col', class: numeric ? 'n' : undefined, title: help }, label),
            ),
          ),
        ),
        h(
          'tbody',
          {},
          seen.map(one =>
            h(
              'tr',
              { 'data-row': one.place - 1 },
              h(
                'th',
                { scope: 'row' },
                h('code', {}, short(one.layer.name)),
                one.layer.part !== undefined && ` ${short(one.layer.part)}`,
              ),
              h('td', { class: 'n' }, String(one.place)),
              columns.map(cell => h('td', { class: cell.numeric ? 'n' : undefined }, phrase(cell.of(one)[0]))),
            ),
          ),
        ),
      ),
    ),
    left > 0 && h('p', { class: 'note' }, `${plural(left, 'more layer')} are in the report, and too many for a page.`),
  )
}

/** New and gone layers, and skipped tensors. */
function came(report: Report, model: Model): Element[] {
  const rest = changes(report, model, limits.page.rowsCount).filter(({ kind }) => kind === 'text')
  return said(rest, skippedTensors(model))
}

function words(report: Report): Element {
  const metrics = metricsWith(askedIn(report.options))
  return section('words', 'Words', [
    h(
      'details',
      {},
      h('summary', {}, 'What the columns mean'),
      h(
        'dl',
        { class: 'words' },
        metrics.flatMap(metric => {
          const { help, unit } = column(metric)
          return [
            h('dt', {}, h('code', {}, metric)),
            h('dd', {}, `${help.replaceAll('`', '')}${unit ? ` (${unit})` : ''}`),
          ]
        }),
      ),
    ),
  ])
}

function foot(report: Report, shown: number): Element {
  const more = report.models.length - shown
  return h(
    'footer',
    {},
    more > 0 && h('p', {}, `${plural(more, 'more model')} in the report.`),
    h(
      'p',
      {},
      `Drawn by Spectral Gate from a report of version ${plain(report.tool.version, name => short(name))}${report.part ? `: ${inText(headline(report))}` : ''}.`,
    ),
  )
}

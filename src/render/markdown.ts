import { markdownTable } from 'markdown-table'
import type { Model, Report } from '../report/schema.ts'
import { code, link, plain, prose, short } from './escape.ts'
import { gateChange } from './gate-change.ts'
import { headline, ICON } from './headline.ts'
import {
  changes,
  foldedGroups,
  footer,
  heldRules,
  judgementOf,
  layersTable,
  legend,
  notes,
  ownMetrics,
  rules,
  skippedTensors,
  summary,
  trendNote,
  whatToLookAt,
} from './sections.ts'
import { type Block, name, type Phrase, type Span, spans, type Table } from './view.ts'

export interface MarkdownOptions {
  /** Bytes of UTF-8 that the text may have. */
  readonly limit: number
  /** Where the whole report is, as a sentence in Markdown; empty where nobody knows. */
  readonly whereabouts?: string
  /** Stands above all else, in Markdown. */
  readonly note?: string
}

/** Rows of each section; 0 leaves it out. */
interface Detail {
  readonly look: number
  readonly all: number
  readonly columns: 'comment' | 'brief'
  readonly changed: number
  readonly models: number
  readonly rules: number
}

const LEVELS: readonly Detail[] = [
  { look: 10, all: Number.POSITIVE_INFINITY, columns: 'comment', changed: 40, models: 500, rules: 1000 },
  { look: 10, all: Number.POSITIVE_INFINITY, columns: 'brief', changed: 40, models: 500, rules: 1000 },
  { look: 10, all: 200, columns: 'brief', changed: 40, models: 200, rules: 400 },
  { look: 10, all: 0, columns: 'brief', changed: 40, models: 200, rules: 200 },
  { look: 10, all: 0, columns: 'brief', changed: 15, models: 60, rules: 60 },
  { look: 5, all: 0, columns: 'brief', changed: 5, models: 15, rules: 15 },
  { look: 1, all: 0, columns: 'brief', changed: 0, models: 5, rules: 5 },
]
const LAST: Detail = { look: 0, all: 0, columns: 'brief', changed: 0, models: 0, rules: 0 }

/** The report as GitHub-flavoured Markdown, in the richest level of detail that fits. Whole rows are dropped, and counted. */
export function renderMarkdown(report: Report, options: MarkdownOptions): string {
  for (const detail of LEVELS) {
    if (leastBytes(report, detail) > options.limit) continue
    const text = renderAt(report, options, detail)
    if (Buffer.byteLength(text) <= options.limit) return text
  }
  return renderAt(report, options, LAST)
}

/** No row of a table has fewer bytes. */
const LEAST_ROW = 32

/** What the tables have at least: a level that can't fit is not tried. */
function leastBytes({ models, verdict }: Report, detail: Detail): number {
  const layers = models.reduce((sum, model) => sum + Math.min(model.layers.length, detail.all), 0)
  return (
    LEAST_ROW * (layers + Math.min(models.length, detail.models) + Math.min(verdict?.rules.length ?? 0, detail.rules))
  )
}

/** What failed first, then what was measured; the rest is folded. */
function renderAt(report: Report, options: MarkdownOptions, detail: Detail): string {
  const { models } = report
  const parts = [
    title(report),
    options.note ? `> ${options.note}` : '',
    ...write(notes(report)),
    ...write(gateChange(report)),
    ...models.flatMap(model => write(whatToLookAt(report, model, detail.look))),
    ...write(rules(report, detail.rules)),
    ...models.slice(0, detail.models).flatMap(model => write(judgementOf(report, model))),
    ...write(heldRules(report)),
    ...(detail.models > 0 ? write(summary(report, detail.models)) : []),
    ...write(ownMetrics(report)),
    ...write(trendNote(report)),
    ...(detail.models > 0 ? write(legend(report)) : []),
    ...models.flatMap(model => folded(report, model, detail)),
    sub(report, options),
  ]
  return `${parts.filter(part => part !== '').join('\n\n')}\n`
}

/** First line: the verdict and one sentence. */
function title(report: Report): string {
  const status = report.verdict?.status
  const sentence = phrase(headline(report))
  return `### ${status ? `${ICON[status] ?? ''} ${capital(status)}: ${sentence}` : capital(sentence)}`
}

/** What a reader opens: the changes, and all layers. */
function folded(report: Report, model: Model, detail: Detail): string[] {
  const several = report.models.length > 1
  const of = several ? [' of ', name(model.name)] : []
  const changed = changes(report, model, detail.changed)
  const skipped = detail.columns === 'comment' ? skippedTensors(model) : []
  const count = model.skipped.length
  return write([
    ...(changed.length > 0 ? [{ kind: 'details' as const, summary: ['What changed', ...of], blocks: changed }] : []),
    ...(detail.columns === 'comment' ? foldedGroups(report, model, detail.all) : []),
    ...(detail.all > 0
      ? [
          {
            kind: 'details' as const,
            summary: ['All layers', ...of, count > 0 ? ` (${count} tensor${count === 1 ? '' : 's'} skipped)` : ''],
            blocks: [layersTable(report, model, detail.columns, detail.all), ...skipped],
          },
        ]
      : []),
  ])
}

function sub(report: Report, { whereabouts }: MarkdownOptions): string {
  const { name: tool, version } = report.tool
  const parts = [phrase(footer(report)), whereabouts ?? '', `${tool} ${plain(version, code)}`]
  return `<sub>${parts.filter(Boolean).join(' · ')}</sub>`
}

/** Blocks as Markdown, a text each. */
export function write(blocks: readonly Block[]): string[] {
  return blocks.flatMap(writeBlock)
}

function writeBlock(block: Block): string[] {
  switch (block.kind) {
    case 'text':
      return [phrase(block.phrase)]
    case 'note':
      return [`> ${phrase(block.phrase)}`]
    case 'code':
      return [['```yaml', ...block.lines, '```'].map(line => `> ${line}`).join('\n')]
    case 'heading':
      return [`**${phrase(block.phrase)}**`]
    case 'table':
      return writeTable(block)
    case 'details': {
      const summary = spans(block.summary).map(inHtml).join('')
      return [`<details><summary>${summary}</summary>`, ...write(block.blocks), '</details>']
    }
  }
}

function writeTable({ columns, rows, omitted }: Table): string[] {
  const table = markdownTable([columns.map(({ label }) => label), ...rows.map(row => row.map(phrase))], {
    align: columns.map(({ align }) => align[0]),
    alignDelimiters: false,
    padding: true,
  })
  const more = omitted
    ? `… and ${omitted.count} more ${omitted.what}${omitted.count === 1 ? '' : 's'}: the report has them all.`
    : ''
  return rows.length > 0 ? [table, more] : [more]
}

/** A phrase in Markdown. */
export function phrase(phrase: Phrase): string {
  return spans(phrase).map(span).join('')
}

function span(span: Span): string {
  if (typeof span === 'string') return span
  if ('name' in span) return code(span.name)
  if ('said' in span) return prose(span.said, code)
  if ('typed' in span) return `\`${span.typed}\``
  return link(span.link, span.url)
}

/** Within an element of HTML, where Markdown is not read. */
function inHtml(span: Span): string {
  if (typeof span === 'string') return span
  return 'name' in span ? `<code>${html(span.name)}</code>` : ''
}

function html(text: string): string {
  return short(text).replace(/[^A-Za-z0-9 .-]/gu, character => `&#${character.codePointAt(0)};`)
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

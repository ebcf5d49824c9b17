import { markdownTable } from 'markdown-table'
import type { Description } from '../report/description.ts'
import type { Model, Report } from '../report/schema.ts'
import { withoutEnd } from '../words.ts'
import { short } from './escape.ts'
import { gateChange } from './gate-change.ts'
import { headline, ICON } from './headline.ts'
import { plural } from './numbers.ts'
import {
  changes,
  heldRules,
  judgementOf,
  layersTable,
  legend,
  meansOfGroups,
  notes,
  ownMetrics,
  rules,
  summary,
  whatToLookAt,
} from './sections.ts'
import { type Block, left, type Phrase, right, type Span, spans, type Table } from './view.ts'

export interface TextOptions {
  /** Columns of the terminal; without end where the text does not go to one. */
  readonly width?: number | undefined
  /** Layers to show: those to look at first, then those that moved most. All where it is not given. */
  readonly top?: number | undefined
  /** The verdict alone. */
  readonly quiet?: boolean | undefined
}

/** The report for a terminal or a log: the layers, the summary, the rules, and the verdict last, where the eye is. */
export function renderText(report: Report, { width = Number.POSITIVE_INFINITY, top, quiet }: TextOptions = {}): string {
  if (quiet) return `${wrapped(verdict(report), width)}\n`
  const { models } = report
  const blocks = models.flatMap(model => [
    [title(model), ...write([layersTable(report, model, 'terminal', top ?? Number.POSITIVE_INFINITY)], width)].join(
      '\n',
    ),
    ...write(report.comparison ? whatToLookAt(report, model, top ?? 10) : [], width),
    ...write(
      changes(report, model, 10).filter(({ kind }) => kind === 'text'),
      width,
    ),
  ])
  const parts = [
    ...blocks,
    ...write(summary(report, Number.POSITIVE_INFINITY), width),
    ...models.flatMap(model => write(meansOfGroups(model, 'function', Number.POSITIVE_INFINITY), width)),
    ...write(ownMetrics(report), width),
    ...write(rules(report, Number.POSITIVE_INFINITY), width),
    ...models.flatMap(model => write(judgementOf(report, model), width)),
    ...write(heldRules(report), width),
    ...write(report.comparison ? legend(report) : [], width),
    ...write(gateChange(report), width),
    [...write(notes(report), width), wrapped(verdict(report), width)].join('\n'),
  ]
  return `${parts.filter(part => part !== '').join('\n\n')}\n`
}

function title(model: Model): string {
  return `${short(model.name)}  (${short(model.source.format)}, ${short(model.source.path)})`
}

function verdict(report: Report): string {
  const status = report.verdict?.status
  const sentence = phrase(headline(report))
  return status ? `${ICON[status] ?? ''} ${status}: ${sentence}` : sentence
}

/** Blocks as text for a terminal of this width, a text each. */
export function write(blocks: readonly Block[], width: number): string[] {
  return blocks.flatMap(block => {
    switch (block.kind) {
      case 'table':
        return [writeTable(block, width)]
      case 'code':
        return [block.lines.join('\n')]
      case 'details':
        return write(block.blocks, width)
      default:
        return [wrapped(phrase(block.phrase), width)]
    }
  })
}

/** Lines that are broken between words where the terminal is narrower; one column is left for icons, which take two. */
function wrapped(text: string, width: number): string {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1]
    if (last !== undefined && last.length + 1 + word.length < width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines.join('\n')
}

/** Words are cut no shorter than this. */
const SHORTEST = 12

/**
 * As wide as there is room: columns go by their priority, then words are shortened in their middle, the longest first. A number is
 * never cut.
 */
function writeTable({ columns, rows, omitted }: Table, width: number): string {
  const all = [columns.map(({ label }) => label), ...rows.map(row => row.map(phrase))]
  let kept = columns.map((_, i) => i)
  const draw = (cells = all) =>
    markdownTable(
      cells.map(row => kept.map(i => row[i])),
      { align: kept.map(i => columns[i].align[0]), delimiterStart: false, delimiterEnd: false },
    )
      .split('\n')
      .map(line => withoutEnd(line, ' '))
      .join('\n')
  const widest = (text: string) => greatest(text.split('\n').map(line => line.length))
  let text = draw()
  while (widest(text) > width) {
    const last = Math.max(...kept.map(i => columns[i].priority ?? 0))
    if (last === 0) break
    kept = kept.filter(i => (columns[i].priority ?? 0) < last)
    text = draw()
  }
  const lengths = columns.map((_, i) => greatest(all.map(row => row[i].length)))
  for (let over = widest(text) - width; over > 0; over = widest(text) - width) {
    const words = kept.filter(i => columns[i].align === 'left' && lengths[i] > SHORTEST)
    if (words.length === 0) break
    const longest = words.reduce((most, i) => (lengths[i] > lengths[most] ? i : most))
    lengths[longest] = Math.max(SHORTEST, lengths[longest] - over)
    text = draw(all.map(row => row.map((cell, i) => (columns[i].align === 'left' ? shorten(cell, lengths[i]) : cell))))
  }
  const hidden = columns.length - kept.length
  return [
    text,
    omitted ? `… and ${plural(omitted.count, `more ${omitted.what}`)}` : '',
    hidden > 0 ? `(${plural(hidden, 'column')} more in a wider terminal, or with --csv)` : '',
  ]
    .filter(Boolean)
    .join('\n')
}

function shorten(text: string, most: number): string {
  if (text.length <= most) return text
  const half = (most - 1) >> 1
  return `${text.slice(0, half)}…${text.slice(-half)}`
}

/** A phrase for a terminal or a log, on one line. */
export function phrase(phrase: Phrase): string {
  return spans(phrase).map(span).join('')
}

function span(span: Span): string {
  if (typeof span === 'string') return span
  if ('name' in span) return short(span.name)
  if ('said' in span) return short(span.said, 400)
  return 'typed' in span ? span.typed : span.link
}

/** What an analysis would look at, for a terminal. */
export function renderDescription(
  description: Description,
  { width = Number.POSITIVE_INFINITY }: TextOptions = {},
): string {
  const { name, path, state_dict, ignored, layers, skipped } = description
  const rows = layers.map(({ name, layer_type, shape, dtype, N, M, rf, num_evals }) => {
    return [short(name), layer_type, shape.join('×'), dtype, ...[N, M, rf, num_evals].map(value => String(value))]
  })
  const reasons = skipped.map(({ tensor, shape, dtype, reason }) => [
    short(tensor),
    shape.join('×'),
    short(dtype),
    short(reason),
  ])
  const taken = state_dict ? `, its ${short(state_dict)}` : ''
  const columns = [
    left('layer'),
    left('type', 3),
    left('shape'),
    left('dtype', 2),
    ...['N', 'M', 'rf'].map(label => right(label, 1)),
    right('evals'),
  ]
  const why = [left('skipped'), left('shape', 1), left('dtype', 2), left('why')]
  return `${[
    `${short(name)}  (${description.format}, ${short(path)}${taken})`,
    writeTable({ kind: 'table', columns, rows }, width),
    reasons.length > 0 ? writeTable({ kind: 'table', columns: why, rows: reasons }, width) : '',
    ignored.length > 0 ? `Not looked at: ${ignored.map(one => short(one)).join(', ')}` : '',
    `${plural(layers.length, 'layer')}, ${plural(skipped.length, 'tensor')} skipped`,
  ]
    .filter(block => block !== '')
    .join('\n\n')}\n`
}

/** Of lists that are too long to be arguments of a call; 0 of none. */
function greatest(numbers: readonly number[]): number {
  return numbers.reduce((most, n) => Math.max(most, n), 0)
}

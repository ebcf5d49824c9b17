import { printable, short } from '../escape.ts'
import { type Block, type Phrase, type Span, spans, type Table } from '../view.ts'
import { type Element, h, type Piece } from './element.ts'

/** A phrase as pieces of the page. */
export function phrase(phrase: Phrase): Piece[] {
  return spans(phrase).flatMap(span)
}

/** Words in place of icons, which not every system can draw. */
const ICONS: Readonly<Record<string, readonly [kind: string, word: string]>> = {
  '✅': ['passed', 'holds'],
  '❌': ['failed', 'violated'],
  '⚠️': ['warned', 'warns'],
  '🟡': ['warned', 'undecided'],
}

function span(span: Span): Piece[] {
  if (typeof span === 'string') {
    const icon = ICONS[span]
    return [icon ? h('strong', { class: `word ${icon[0]}` }, icon[1]) : span]
  }
  if ('name' in span) return [h('code', {}, short(span.name))]
  if ('typed' in span) return [h('code', {}, span.typed)]
  if ('said' in span) return sentence(span.said)
  return isAddress(span.url) ? [h('a', { href: span.url, rel: 'noreferrer' }, span.link)] : [span.link]
}

/** The one kind of address that a link may have. */
function isAddress(url: string): boolean {
  return /^https:\/\/[\w.-]+(:\d+)?(\/[\w.-]+)*\/?$/.test(url)
}

/** Of a sentence of ours, such as a report holds. */
const LONGEST_SENTENCE = 4096

/** A sentence of ours: what stands between backticks in it, or does not look like words, is code. */
function sentence(text: string): Piece[] {
  return printable(text.slice(0, LONGEST_SENTENCE))
    .split(/(`[^`]+`|\s+)/)
    .filter(part => part !== '')
    .map(part => {
      if (/^`[^`]+`$/.test(part)) return h('code', {}, part.slice(1, -1))
      return /^[\p{L}\d ,.:;=()[\]'’×−/^+%±≤≥>…-]*$/u.test(part) && !/[a-z]\.[a-z\d]/i.test(part)
        ? part
        : h('code', {}, part)
    })
}

/** Blocks as pieces of the page. */
export function blocks(all: readonly Block[]): Element[] {
  return all.map(block)
}

function block(block: Block): Element {
  switch (block.kind) {
    case 'text':
      return h('p', {}, phrase(block.phrase))
    case 'note':
      return h('p', { class: 'note' }, phrase(block.phrase))
    case 'heading':
      return h('h3', {}, phrase(block.phrase))
    case 'code':
      return h('pre', {}, block.lines.join('\n'))
    case 'details':
      return h('details', {}, h('summary', {}, phrase(block.summary)), blocks(block.blocks))
    case 'table':
      return tableOf(block)
  }
}

function tableOf({ columns, rows, omitted }: Table): Element {
  const labels = columns.map(({ label }) => label)
  const what = labels.filter(label => label !== '').join(', ')
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': `Table: ${what}` },
    h(
      'table',
      {},
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          columns.map(({ label, align }) =>
            label === '' ? h('td', {}) : h('th', { scope: 'col', class: align === 'right' ? 'n' : undefined }, label),
          ),
        ),
      ),
      h(
        'tbody',
        {},
        rows.map(row =>
          h(
            'tr',
            {},
            row.map((cell, i) => h('td', { class: columns[i]?.align === 'right' ? 'n' : undefined }, phrase(cell))),
          ),
        ),
      ),
    ),
    omitted &&
      h(
        'p',
        {},
        `… and ${omitted.count} more ${omitted.what}${omitted.count === 1 ? '' : 's'}: ${omitted.what.endsWith('layer') ? 'the table of all layers' : 'the report'} has them all.`,
      ),
  )
}

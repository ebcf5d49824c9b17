/**
 * What a report says, as data: sections build it, a writer for each format gives it its form. Foreign strings are marked, so that
 * each writer escapes them in its own way.
 */
export type Phrase = string | readonly Span[]

export type Span =
  /** A sentence of ours. */
  | string
  /** A foreign string: a name, a rule, a path. */
  | { readonly name: string }
  /** A sentence of ours that may quote foreign names. */
  | { readonly said: string }
  | { readonly link: string; readonly url: string }
  /** Something typed, such as an option. */
  | { readonly typed: string }

export interface Column {
  readonly label: string
  readonly align: 'left' | 'right'
  /** Where there is no room, columns with the highest go first; those of 0 stay. */
  readonly priority?: number
}

export interface Table {
  readonly kind: 'table'
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly Phrase[])[]
  /** Rows that were left out, and what they are called. */
  readonly omitted?: { readonly count: number; readonly what: string } | undefined
}

export type Block =
  | Table
  | { readonly kind: 'heading' | 'text' | 'note'; readonly phrase: Phrase }
  /** Lines of ours to be copied, such as YAML. */
  | { readonly kind: 'code'; readonly lines: readonly string[] }
  | { readonly kind: 'details'; readonly summary: Phrase; readonly blocks: readonly Block[] }

export const name = (name: string): Span => ({ name })
export const said = (said: string): Span => ({ said })
export const typed = (typed: string): Span => ({ typed })

export function text(phrase: Phrase): Block {
  return { kind: 'text', phrase }
}

export function note(phrase: Phrase): Block {
  return { kind: 'note', phrase }
}

/** Sentences of ours that may quote foreign names, one a line; the lines of a block of permissions are YAML to be copied. */
export function reason(text: string): Block[] {
  const lines = text.split('\n')
  const yaml = lines.filter(line => /^(permissions:| {2}[a-z-]+: (read|write))$/.test(line))
  const notes = lines.filter(line => !yaml.includes(line)).map(line => note([said(line)]))
  return yaml.length > 0 ? [...notes, { kind: 'code', lines: yaml }] : notes
}

export function heading(phrase: Phrase): Block {
  return { kind: 'heading', phrase }
}

/** Phrases in a row, with something between them; empty ones are left out. */
export function join(phrases: readonly Phrase[], between: string): Phrase {
  return phrases
    .filter(phrase => phrase.length > 0)
    .flatMap((phrase, i) => (i > 0 ? [between, ...spans(phrase)] : spans(phrase)))
}

export function spans(phrase: Phrase): readonly Span[] {
  return typeof phrase === 'string' ? [phrase] : phrase
}

/** As many names as a sentence can hold, and how many more there are. */
export function names(all: readonly string[], most = 10): Phrase {
  const shown = join(
    all.slice(0, most).map(one => [name(one)]),
    ', ',
  )
  return all.length > most ? [...spans(shown), `, and ${all.length - most} more`] : shown
}

/** The first rows of a table. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Phrase[])[],
  most: number,
  what: string,
): Table {
  const count = rows.length - Math.min(rows.length, most)
  return { kind: 'table', columns, rows: rows.slice(0, most), omitted: count > 0 ? { count, what } : undefined }
}

export const left = (label: string, priority = 0): Column => ({ label, align: 'left', priority })
export const right = (label: string, priority = 0): Column => ({ label, align: 'right', priority })

/** A piece of the page as data: drawn alike into HTML, where it is made, and into the document, where it is looked at. */
export type Piece = string | Element

export interface Element {
  readonly tag: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly Piece[]
}

type Children = readonly (Piece | readonly Piece[] | false | undefined | '')[]

/** An element. Names of tags and attributes are ours; values and texts may be anybody's. */
export function h(
  tag: string,
  attributes: Readonly<Record<string, string | number | boolean | undefined>> = {},
  ...children: Children
): Element {
  const set = Object.entries(attributes).flatMap(([name, value]) =>
    value === undefined || value === false ? [] : [[name, value === true ? '' : String(value)]],
  )
  const pieces = children.flatMap(child => (child === undefined || child === false || child === '' ? [] : child))
  return { tag, attributes: Object.fromEntries(set), children: pieces }
}

/** Elements that have no end tag. */
const VOID = ['meta', 'link', 'input', 'br']

/** As HTML: no text and no value of an attribute can end it. */
export function write(piece: Piece): string {
  const parts: string[] = []
  append(piece, parts)
  return parts.join('')
}

function append(piece: Piece, parts: string[]): void {
  if (typeof piece === 'string') {
    parts.push(escaped(piece))
    return
  }
  const { tag, attributes, children } = piece
  parts.push('<', tag)
  for (const [name, value] of Object.entries(attributes)) parts.push(' ', name, '="', escaped(value), '"')
  parts.push('>')
  if (VOID.includes(tag)) return
  for (const child of children) append(child, parts)
  parts.push('</', tag, '>')
}

function escaped(text: string): string {
  return /[&<>"']/.test(text) ? text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`) : text
}

import type { Document } from 'yaml'

/**
 * What of a text would take the parser of YAML long: it calls itself for each level.
 * Counted are the characters that begin lists and mappings or separate their items, in texts and comments too.
 */
export function tooMuchYaml(text: string, { marks: most, depth }: YamlBounds): string | undefined {
  let marks = 0
  let open = 0
  // Of `- - - a`, where each begins a list within another.
  let row = 0
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if ('[{'.includes(character)) open++
    else if (']}'.includes(character)) open = Math.max(0, open - 1)
    const ends = i + 1 === text.length || ' \t\r\n'.includes(text[i + 1])
    const begins = i === 0 || ' \t\r\n[{,'.includes(text[i - 1])
    const indicates = ends && '-?'.includes(character)
    if (indicates) row++
    else if (!' \t'.includes(character)) row = 0
    const separates = (open > 0 && ',:'.includes(character)) || (ends && character === ':')
    if (indicates || separates || '[{]}'.includes(character) || (begins && '!&*%'.includes(character))) marks++
    if (marks > most) return `has more than ${most} lists, items, keys, tags and anchors`
    if (open > depth || row > depth) return `nests deeper than ${depth} levels`
  }
  return undefined
}

/** What a text may have. */
export interface YamlBounds {
  readonly marks: number
  readonly depth: number
}

/**
 * A document of YAML 1.2, its core schema, whose keys are texts.
 * @param uniqueKeys whether a key that stands twice is an error
 * @throws SyntaxError with the place
 */
export async function parseYaml(text: string, uniqueKeys = true): Promise<Document> {
  const { LineCounter, parseDocument } = await import('yaml')
  // Errors that show their line take its length each, whichever of them is told.
  const lineCounter = new LineCounter()
  const style = { logLevel: 'error', prettyErrors: false, lineCounter } as const
  // The parser holds each key against all others of its mapping.
  const document = parseDocument(text, {
    schema: 'core',
    version: '1.2',
    stringKeys: true,
    uniqueKeys: false,
    ...style,
  })
  const [error] = document.errors
  const twice = error || !uniqueKeys ? undefined : await keyThatIsTwice(document)
  const at = error?.pos[0] ?? twice
  if (at === undefined) return document
  const { line, col } = lineCounter.linePos(at)
  throw new SyntaxError(`${error?.message ?? 'Map keys must be unique'} at line ${line}, column ${col}`)
}

/** Where the first key begins that its mapping has already. */
async function keyThatIsTwice(document: Document): Promise<number | undefined> {
  const { isScalar, visit } = await import('yaml')
  let found: number | undefined
  visit(document, {
    Map(_, { items }) {
      const known = new Set<unknown>()
      for (const { key } of items) {
        if (!isScalar(key)) continue
        if (known.has(key.value)) {
          found = key.range?.[0] ?? 0
          return visit.BREAK
        }
        known.add(key.value)
      }
      return undefined
    },
  })
  return found
}

/** Whether any mapping of a document has a key. */
export async function hasKey(document: Document, name: string): Promise<boolean> {
  const { isScalar, visit } = await import('yaml')
  let found = false
  visit(document, {
    Pair(_, { key }) {
      if (!isScalar(key) || key.value !== name) return undefined
      found = true
      return visit.BREAK
    },
  })
  return found
}

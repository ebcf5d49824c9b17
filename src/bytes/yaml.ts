import type { Document } from 'yaml'

/**
 * What of a text would take the parser of YAML long: it calls itself for each level, and holds each key against all others.
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
 * @param uniqueKeys whether a key that stands twice is an error: each is held against all of its mapping
 * @throws SyntaxError with the place
 */
export async function parseYaml(text: string, uniqueKeys = true): Promise<Document> {
  const { LineCounter, parseDocument } = await import('yaml')
  // Errors that show their line take its length each, whichever of them is told.
  const lineCounter = new LineCounter()
  const style = { logLevel: 'error', prettyErrors: false, lineCounter } as const
  const document = parseDocument(text, { schema: 'core', version: '1.2', stringKeys: true, uniqueKeys, ...style })
  const [error] = document.errors
  if (!error) return document
  const { line, col } = lineCounter.linePos(error.pos[0])
  throw new SyntaxError(`${error.message} at line ${line}, column ${col}`)
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

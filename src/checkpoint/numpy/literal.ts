import { limits } from '../../limits.ts'

/** What a NumPy header may hold: Python's strings, integers, booleans, None, and tuples or lists of them. */
export type Literal = string | number | boolean | null | readonly Literal[]

const TOKEN = /\s*(?:([A-Za-z]+)|(\d+)L?|'([^'\\]*)'|"([^"\\]*)"|(.))/y

/**
 * Parses a Python dictionary literal with string keys, as NumPy writes it. Nothing is evaluated.
 * @throws SyntaxError that says at which character it is not one
 */
export function parseDictionary(text: string): Map<string, Literal> {
  const tokens = new Tokens(text)
  const entries = new Map<string, Literal>()
  tokens.expect('{')
  while (!tokens.accept('}')) {
    const key = value(tokens, 0)
    if (typeof key !== 'string') throw tokens.error('a key that is not a string')
    if (entries.has(key)) throw tokens.error(`a second ${JSON.stringify(key.slice(0, 100))}`)
    tokens.expect(':')
    entries.set(key, value(tokens, 0))
    if (!tokens.accept(',')) {
      tokens.expect('}')
      break
    }
  }
  if (!tokens.atEnd()) throw tokens.error('something after the dictionary')
  return entries
}

function value(tokens: Tokens, depth: number): Literal {
  if (depth > limits.numpy.nestingLevels) throw tokens.error(`more than ${limits.numpy.nestingLevels} nested tuples`)
  const token = tokens.next()
  if (token.text !== undefined) return token.text
  if (token.integer !== undefined) return token.integer
  if (token.word === 'True') return true
  if (token.word === 'False') return false
  if (token.word === 'None') return null
  const close = token.mark === '(' ? ')' : token.mark === '[' ? ']' : undefined
  if (!close) throw tokens.error(`an unexpected ${JSON.stringify(token.word ?? token.mark ?? 'end')}`)
  const items: Literal[] = []
  while (!tokens.accept(close)) {
    items.push(value(tokens, depth + 1))
    if (!tokens.accept(',')) {
      tokens.expect(close)
      // Without a comma, brackets around one value are just brackets.
      return close === ')' && items.length === 1 ? items[0] : items
    }
  }
  return items
}

interface Token {
  readonly word?: string | undefined
  readonly integer?: number | undefined
  readonly text?: string | undefined
  readonly mark?: string | undefined
}

class Tokens {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text.trimEnd()
  }

  next(): Token {
    TOKEN.lastIndex = this.#at
    const match = TOKEN.exec(this.#text)
    if (!match) throw this.error('an unexpected end')
    this.#at = TOKEN.lastIndex
    const [, word, digits, single, double, mark] = match
    return { word, integer: digits === undefined ? undefined : Number(digits), text: single ?? double, mark }
  }

  accept(mark: string): boolean {
    const before = this.#at
    if (!this.atEnd() && this.next().mark === mark) return true
    this.#at = before
    return false
  }

  expect(mark: string): void {
    if (!this.accept(mark)) throw this.error(`something else where ${mark} is due`)
  }

  atEnd(): boolean {
    return this.#at >= this.#text.length
  }

  error(found: string): SyntaxError {
    return new SyntaxError(`has ${found} at character ${this.#at}`)
  }
}

import { limits } from '../limits.ts'

/** One character, as a pattern asks for it. */
type One = (character: string) => boolean

/** What stands between two stars: text, or characters to be asked one by one. */
type Piece = string | readonly One[]

/**
 * Whether names match a pattern: `*` any text, `?` one character, `[a-z]` and `[!a-z]` one of a class, `{a,b}` either, `!` in front
 * all others. No regular expression: each piece between stars is looked for once, from left to right, so that no name makes it slow.
 * @returns a sentence where it is no such pattern
 */
export function glob(pattern: string): ((name: string) => boolean) | string {
  const negated = pattern.startsWith('!')
  const positive = negated ? pattern.slice(1) : pattern
  if (positive === '') return 'a pattern is missing'
  if (/[()\\]/.test(positive)) return 'a pattern has no brackets but […] and {…}, and no backslash'
  const alternatives = expand(positive)
  if (!alternatives) return `a pattern has at most ${limits.rules.alternativesCount} alternatives in braces`
  const each = alternatives.map(text => inOrder(pieces(text)))
  return name => each.some(matches => matches(name)) !== negated
}

/** A pattern without braces for each of their alternatives; braces without a comma stand for themselves. */
function expand(pattern: string): string[] | undefined {
  let open = [pattern]
  const done: string[] = []
  while (open.length > 0) {
    if (open.length + done.length > limits.rules.alternativesCount) return undefined
    open = open.flatMap(text => {
      const found = innermost(text)
      if (found) return found
      done.push(text)
      return []
    })
  }
  return done
}

/** The alternatives of the last braces that hold no others and have a comma. */
function innermost(text: string): string[] | undefined {
  for (let from = text.lastIndexOf('{'); from >= 0; from = from > 0 ? text.lastIndexOf('{', from - 1) : -1) {
    const to = text.indexOf('}', from)
    if (to < 0) continue
    const inner = text.slice(from + 1, to).split(',')
    if (inner.length > 1) return inner.map(word => text.slice(0, from) + word + text.slice(to + 1))
  }
  return undefined
}

function pieces(text: string): Piece[] {
  const found: One[][] = [[]]
  const plain: string[] = ['']
  const isPlain = [true]
  for (let at = 0; at < text.length; at++) {
    const last = found.length - 1
    const character = text[at]
    const end = character === '[' ? closing(text, at) : -1
    if (character === '*') {
      found.push([])
      plain.push('')
      isPlain.push(true)
    } else if (character === '?') {
      found[last].push(() => true)
      isPlain[last] = false
    } else if (end > 0) {
      found[last].push(oneOf(text.slice(at + 1, end)))
      isPlain[last] = false
      at = end
    } else {
      found[last].push(other => other === character)
      plain[last] += character
    }
  }
  return found.map((piece, i) => (isPlain[i] ? plain[i] : piece))
}

/** Where a class ends; a bracket in the first place is one of it. */
function closing(text: string, open: number): number {
  const first = open + (text[open + 1] === '!' || text[open + 1] === '^' ? 2 : 1)
  return text.indexOf(']', first + 1)
}

function oneOf(inner: string): One {
  const negated = inner.startsWith('!') || inner.startsWith('^')
  const set = negated ? inner.slice(1) : inner
  const ranges: [string, string][] = []
  for (let at = 0; at < set.length; at++) {
    const isRange = set[at + 1] === '-' && at + 2 < set.length
    ranges.push([set[at], set[isRange ? at + 2 : at]])
    if (isRange) at += 2
  }
  return character => ranges.some(([from, to]) => from <= character && character <= to) !== negated
}

/** Whether a name consists of the pieces in their order, with anything between two of them. */
function inOrder([first, ...rest]: readonly Piece[]): (name: string) => boolean {
  return name => {
    if (!standsAt(name, first, 0)) return false
    let at = first.length
    for (const [i, piece] of rest.entries()) {
      const found = i === rest.length - 1 ? name.length - piece.length : find(name, piece, at)
      if (found < at || !standsAt(name, piece, found)) return false
      at = found + piece.length
    }
    return rest.length > 0 || at === name.length
  }
}

function find(name: string, piece: Piece, from: number): number {
  if (typeof piece === 'string') return name.indexOf(piece, from)
  for (let at = from; at + piece.length <= name.length; at++) if (standsAt(name, piece, at)) return at
  return -1
}

function standsAt(name: string, piece: Piece, at: number): boolean {
  if (typeof piece === 'string') return name.startsWith(piece, at)
  return at + piece.length <= name.length && piece.every((one, i) => one(name[at + i]))
}

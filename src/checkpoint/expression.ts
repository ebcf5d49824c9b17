import { limits } from '../limits.ts'

/** What one character has to be, or where an expression may go on without one, where it may: a condition on the place. */
type State =
  | { readonly is: (character: string) => boolean; next: number }
  | { readonly to: number[]; readonly where?: (place: Place) => boolean }

/** A place in a name: what is before it, and what follows. */
interface Place {
  readonly name: readonly string[]
  readonly at: number
  /** How many looks ahead it is asked within. */
  readonly level: number
}

/** Where an expression ends, and where one that looks ahead does. */
const [END, SEEN] = [-1, -2]

/** A part of an expression: where it begins, and what goes on where it ends. */
interface Part {
  readonly begin: number
  readonly ends: ((next: number) => void)[]
}

/**
 * A regular expression of Python over the names of modules, as `re.fullmatch` takes it, in time that grows with the length of a name
 * times that of the expression: all ways through it are followed at once (Thompson 1968, "Regular expression search algorithm").
 * Known are characters, classes, groups, alternatives, repetitions, anchors, edges of words and what looks ahead; what looks or refers back, and
 * flags, are not.
 */
export class Expression {
  readonly #states: State[] = []
  readonly #begin: number
  readonly #text: string
  /** When a state was last reached, at each level. */
  readonly #seen: Uint32Array[] = []
  #at = 0
  #steps = 0
  #time = 0

  private constructor(text: string) {
    this.#text = text
    const { begin, ends } = this.#alternatives(0)
    if (this.#at < text.length) throw new RangeError('a parenthesis too many')
    this.#begin = begin
    for (const end of ends) end(END)
  }

  /** @returns undefined where it is too long, or has what is not known */
  static of(text: string): Expression | undefined {
    try {
      return text.length > limits.adapter.expressionCharacters ? undefined : new Expression(text)
    } catch (cause) {
      if (cause instanceof RangeError) return undefined
      throw cause
    }
  }

  /** Whether it fits all of a name; undefined where telling takes too long. */
  fits(name: string): boolean | undefined {
    try {
      return this.#follow(this.#begin, { name: [...name], at: 0, level: 0 }, END)
    } catch (cause) {
      if (cause instanceof RangeError) return undefined
      throw cause
    }
  }

  /** Whether a state leads to an end: to the whole expression's at the end of the name, to the other at any place. */
  #follow(begin: number, from: Place, end: number): boolean {
    const { name, level } = from
    let current = this.#reachable([begin], from)
    for (let place = from.at; place < name.length; place++) {
      if (end === SEEN && current.includes(SEEN)) return true
      const next: number[] = []
      for (const state of current) {
        const found = this.#states[state]
        if (found && 'is' in found && found.is(name[place])) next.push(found.next)
      }
      if (next.length === 0) return false
      current = this.#reachable(next, { name, at: place + 1, level })
    }
    return current.includes(end)
  }

  #reachable(left: number[], place: Place): number[] {
    this.#seen[place.level] ??= new Uint32Array(this.#states.length)
    const [seen, found, time] = [this.#seen[place.level], [] as number[], ++this.#time]
    for (let state = left.pop(); state !== undefined; state = left.pop()) {
      if (++this.#steps > limits.adapter.expressionSteps) throw new RangeError('too many steps')
      if (state >= 0) {
        if (seen[state] === time) continue
        seen[state] = time
      }
      found.push(state)
      const known = this.#states[state]
      if (known && 'to' in known && (known.where?.(place) ?? true)) for (const to of known.to) left.push(to)
    }
    return found
  }

  #add<Kind extends State>(state: Kind): { readonly at: number; readonly state: Kind } {
    if (this.#states.length >= limits.adapter.expressionStates) throw new RangeError('too many states')
    return { at: this.#states.push(state) - 1, state }
  }

  #alternatives(depth: number): Part {
    if (depth > limits.adapter.expressionLevels) throw new RangeError('too many groups')
    const parts = [this.#sequence(depth)]
    while (this.#skip('|')) parts.push(this.#sequence(depth))
    return parts.length === 1 ? parts[0] : this.#oneOf(parts)
  }

  #oneOf(parts: readonly Part[]): Part {
    const { at } = this.#add({ to: parts.map(({ begin }) => begin) })
    return { begin: at, ends: parts.flatMap(({ ends }) => ends) }
  }

  #sequence(depth: number): Part {
    let whole = this.#nothing()
    while (this.#at < this.#text.length && !'|)'.includes(this.#text[this.#at]))
      whole = joined(whole, this.#repeated(depth))
    return whole
  }

  #nothing(where?: (place: Place) => boolean): Part {
    const { at, state } = this.#add({ to: [] as number[], ...(where && { where }) })
    return { begin: at, ends: [next => state.to.push(next)] }
  }

  #repeated(depth: number): Part {
    const from = this.#at
    const one = this.#one(depth)
    const to = this.#at
    const range = this.#range()
    if (!range) return one
    // As few as possible or as many: what fits all of a name is the same. Possessive ones are not known.
    this.#skip('?')
    if ('*+?{'.includes(this.#text[this.#at] ?? ' ')) throw new RangeError('a repetition of a repetition')
    const after = this.#at
    const again = () => {
      this.#at = from
      const part = this.#one(depth)
      if (this.#at !== to) throw new RangeError('read otherwise the second time')
      return part
    }
    const { least, most } = range
    let whole = this.#nothing()
    for (let i = 0; i < least; i++) whole = joined(whole, i === 0 ? one : again())
    if (most === Number.POSITIVE_INFINITY) whole = joined(whole, this.#anyOf(least === 0 ? one : again()))
    else
      for (let i = least; i < most; i++) whole = joined(whole, this.#oneOf([i === 0 ? one : again(), this.#nothing()]))
    this.#at = after
    return whole
  }

  #anyOf(part: Part): Part {
    const { at, state } = this.#add({ to: [part.begin] })
    for (const end of part.ends) end(at)
    return { begin: at, ends: [next => state.to.push(next)] }
  }

  #range(): { readonly least: number; readonly most: number } | undefined {
    if (this.#skip('*')) return { least: 0, most: Number.POSITIVE_INFINITY }
    if (this.#skip('+')) return { least: 1, most: Number.POSITIVE_INFINITY }
    if (this.#skip('?')) return { least: 0, most: 1 }
    const [whole, least, comma, most] =
      /^\{(\d{0,4})(,?)(\d{0,4})\}/.exec(this.#text.slice(this.#at, this.#at + 11)) ?? []
    if (whole === undefined || whole === '{}') return undefined
    this.#at += whole.length
    const end = most ? Number(most) : comma ? Number.POSITIVE_INFINITY : Number(least)
    return { least: Number(least), most: end }
  }

  #one(depth: number): Part {
    if (this.#skip('(')) {
      const [kind] = this.#skip('?') ? this.#take() : ':'
      if (!':=!'.includes(kind)) throw new RangeError('what looks back, or a flag')
      const part = this.#alternatives(depth + 1)
      if (!this.#skip(')')) throw new RangeError('a parenthesis too few')
      if (kind === ':') return part
      for (const end of part.ends) end(SEEN)
      return this.#nothing(
        place => this.#follow(part.begin, { ...place, level: place.level + 1 }, SEEN) === (kind === '='),
      )
    }
    if (this.#skip('^')) return this.#nothing(({ at }) => at === 0)
    if (this.#skip('$')) return this.#nothing(({ name, at }) => at === name.length)
    const mark = this.#text[this.#at] === '\\' && PLACES[this.#text[this.#at + 1]]
    if (mark) {
      this.#at += 2
      return this.#nothing(mark)
    }
    const is = this.#character()
    const { at, state } = this.#add({ is, next: -1 })
    const end = (next: number) => {
      state.next = next
    }
    return { begin: at, ends: [end] }
  }

  #character(): (character: string) => boolean {
    const first = this.#take()
    if (first === '.') return character => character !== '\n'
    if (first === '[') return this.#class()
    if (first === '\\') return escaped(this.#take())
    if ('*+?'.includes(first)) throw new RangeError('nothing to repeat')
    return character => character === first
  }

  #class(): (character: string) => boolean {
    const isNot = this.#skip('^')
    const tests: ((character: string) => boolean)[] = []
    for (let i = 0; i === 0 || !this.#skip(']'); i++) {
      const low = this.#take()
      const isEscape = low === '\\'
      const letter = isEscape ? this.#take() : low
      if (this.#text[this.#at] === '-' && this.#text[this.#at + 1] !== ']') {
        this.#at++
        const high = this.#take()
        if (isEscape || high === '\\' || high < letter) throw new RangeError('a range of what is no character')
        tests.push(character => character >= letter && character <= high)
      } else tests.push(isEscape ? escaped(letter) : character => character === letter)
    }
    return character => tests.some(test => test(character)) !== isNot
  }

  #take(): string {
    const code = this.#text.codePointAt(this.#at)
    if (code === undefined) throw new RangeError('it ends too early')
    const character = String.fromCodePoint(code)
    this.#at += character.length
    return character
  }

  #skip(character: string): boolean {
    const is = this.#text[this.#at] === character
    if (is) this.#at++
    return is
  }
}

/** Escapes that fit a place: the edges of words, and both ends. */
const PLACES: Readonly<Record<string, (place: Place) => boolean>> = {
  b: isEdge,
  B: place => !isEdge(place),
  A: ({ at }) => at === 0,
  Z: ({ name, at }) => at === name.length,
}

function isEdge({ name, at }: Place): boolean {
  const isWord = (character = ' ') => WORD.test(character)
  return isWord(name[at - 1]) !== isWord(name[at])
}

const WORD = /[\p{L}\p{N}_]/u

function joined(first: Part, second: Part): Part {
  for (const end of first.ends) end(second.begin)
  return { begin: first.begin, ends: second.ends }
}

function escaped(letter: string): (character: string) => boolean {
  const sets: Record<string, RegExp> = { d: /\p{Nd}/u, w: WORD, s: /\s/u }
  const set = sets[letter.toLowerCase()]
  if (set) return character => set.test(character) === (letter === letter.toLowerCase())
  // Numbers look back, and letters mean something else each.
  if (/[A-Za-z0-9]/.test(letter)) throw new RangeError('an escape that is not known')
  return character => character === letter
}

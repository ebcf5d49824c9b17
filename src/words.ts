import { distance } from 'fastest-levenshtein'

/** A text without those of `characters` that are at its end: a regular expression takes time that grows with their square. */
export function withoutEnd(text: string, characters: string): string {
  let { length } = text
  while (length > 0 && characters.includes(text[length - 1])) length--
  return text.slice(0, length)
}

/** What follows each of the first dots of a name. */
export function dottedEnds(name: string): string[] {
  const ends: string[] = []
  for (let dot = name.indexOf('.'); dot >= 0 && ends.length < MOST_ENDS; dot = name.indexOf('.', dot + 1))
    ends.push(name.slice(dot + 1))
  return ends
}

/** The module that a parameter lies in: its name without the last component, empty where it has but one. */
export function moduleOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('.')))
}

/** Modules nest about ten deep. */
const MOST_ENDS = 32

/** The first text that is there a second time. */
export function firstTwice(texts: readonly string[]): string | undefined {
  const seen = new Set<string>()
  return texts.find(text => seen.size === seen.add(text).size)
}

/** The known word nearest to a mistyped one, if one is near enough; case, - and _ don't matter. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll('-', '_')
  const ranked = known.map(name => ({ name, cost: distance(plain(word), plain(name)) })).sort((a, b) => a.cost - b.cost)
  return word && ranked.length > 0 && ranked[0].cost <= Math.max(2, word.length / 3) ? ranked[0].name : undefined
}

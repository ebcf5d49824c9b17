import { distance } from 'fastest-levenshtein'

/** The known word nearest to a mistyped one, if one is near enough; case, - and _ don't matter. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll('-', '_')
  const ranked = known.map(name => ({ name, cost: distance(plain(word), plain(name)) })).sort((a, b) => a.cost - b.cost)
  return word && ranked.length > 0 && ranked[0].cost <= Math.max(2, word.length / 3) ? ranked[0].name : undefined
}

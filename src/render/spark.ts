const BARS = '▁▂▃▄▅▆▇█'

/** A number a character, the least at the bottom and the greatest at the top; `·` where there is none, `▄` where all are equal. */
export function sparkline(values: readonly (number | null)[]): string {
  const known = values.filter(value => value !== null)
  const [least, greatest] = [Math.min(...known), Math.max(...known)]
  // Halved, so that the whole range of a double can't overflow.
  const span = greatest / 2 - least / 2
  return values
    .map(value => {
      if (value === null) return '·'
      return span === 0 ? '▄' : BARS[Math.round(((value / 2 - least / 2) / span) * (BARS.length - 1))]
    })
    .join('')
}

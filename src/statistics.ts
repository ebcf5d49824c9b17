/** NaN of none; finite where all values are. */
export function mean(values: readonly number[]): number {
  const total = values.reduce((sum, value) => sum + value, 0)
  if (Number.isFinite(total)) return total / values.length
  return values.reduce((sum, value) => sum + value / values.length, 0)
}

/** The middle one, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const ascending = [...values].sort((a, b) => a - b)
  const middle = ascending.length >> 1
  return ascending.length % 2 === 1 ? ascending[middle] : mean(ascending.slice(middle - 1, middle + 1))
}

/** Of a sample: over n − 1. */
export function standardDeviation(values: readonly number[]): number {
  const centre = mean(values)
  const squares = values.reduce((sum, value) => sum + (value - centre) * (value - centre), 0)
  return Math.sqrt(squares / (values.length - 1))
}

/** The least and the greatest; infinite of none. Arguments of a function, as Math.min takes them, may be no more than 120,000. */
export function extremes(values: readonly number[]): readonly [least: number, greatest: number] {
  return values.reduce<readonly [number, number]>(
    ([least, greatest], value) => [Math.min(least, value), Math.max(greatest, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  )
}

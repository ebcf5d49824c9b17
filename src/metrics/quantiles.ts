/** Of percent 0, 1, …, 100. */
const PERCENT = 100

/**
 * The 101 quantiles of singular values divided by their root mean square, linear between neighbours (Hyndman & Fan 1996, type 7),
 * to six digits: what it takes to tell how far two spectra are apart.
 *
 * @param lambda their squares, ascending
 */
export function quantiles(lambda: Float64Array): number[] {
  const rms = Math.sqrt(lambda.reduce((sum, value) => sum + value, 0) / lambda.length)
  if (!(rms > 0 && Number.isFinite(rms))) return []
  const at = (place: number) => {
    const below = Math.min(lambda.length - 1, Math.floor(place))
    const above = Math.min(lambda.length - 1, below + 1)
    const [low, high] = [Math.sqrt(lambda[below]), Math.sqrt(lambda[above])]
    return (low + (place - below) * (high - low)) / rms
  }
  return Array.from({ length: PERCENT + 1 }, (_, i) => sixDigits(at((i * (lambda.length - 1)) / PERCENT)))
}

/** Enough for what is estimated, and a third of the bytes. */
export function sixDigits(value: number): number {
  return Number(value.toPrecision(6))
}

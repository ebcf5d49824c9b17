import { HILL_SHARE } from '../report/hill.ts'

export interface Hill {
  readonly alpha: number
  /** Standard error (alpha − 1)/√k. */
  readonly sigma: number
}

/**
 * Hill's estimator over the k = max(2, round(share·n)) largest of n positive eigenvalues: alpha = 1 + k / Σ ln(λ_i/λ_(k)), the sum over
 * those k, λ_(k) the smallest of them. Infinite where they are all equal.
 * Source: Hill 1975, "A simple general approach to inference about the tail of a distribution", Annals of Statistics 3 (5).
 *
 * @param lambda ascending, zeros first
 * @param share of them, above 0 and at most 1
 * @returns null where fewer than two eigenvalues are positive
 */
export function hill(lambda: Float64Array, share = HILL_SHARE): Hill | null {
  const zeros = lambda.findIndex(value => value > 0)
  const n = zeros < 0 ? 0 : lambda.length - zeros
  if (n < 2) return null
  const k = Math.min(n, Math.max(2, Math.round(share * n)))
  const tail = lambda.subarray(lambda.length - k)
  const least = Math.log(tail[0])
  const sum = tail.reduce((sum, value) => sum + Math.log(value) - least, 0)
  return { alpha: 1 + k / sum, sigma: k / sum / Math.sqrt(k) }
}

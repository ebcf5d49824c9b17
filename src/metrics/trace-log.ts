/** The tail that the trace-log condition sets off. */
export interface TraceLog {
  /** How many eigenvalues are in it. */
  readonly num: number
  /** The least of them. */
  readonly value: number
}

/**
 * The largest eigenvalues, rescaled to mean 1, as many as it takes for the determinant of their matrix to fall below 1: Π λᵢ < 1, or
 * Σ ln λᵢ < 0. An ideal tail, of exponent 2, ends where the product is 1 (Martin and Hinrichs, SETOL, arXiv:2507.17912: the ERG
 * condition; WeightWatcher's `detX`). None where the eigenvalues are all equal; all of them where the product never falls below 1.
 *
 * @param lambda all eigenvalues, ascending
 */
export function traceLogTail(lambda: Float64Array): TraceLog {
  const n = lambda.length
  if (n < 2 || !(lambda[0] < lambda[n - 1])) return { num: 0, value: lambda[0] ?? Number.NaN }
  const mean = lambda.reduce((sum, value) => sum + value, 0) / n
  let sum = 0
  for (let i = n - 1; i > 0; i--) {
    sum += Math.log(lambda[i] / mean)
    if (sum < 0) return { num: n - i, value: lambda[i] }
  }
  return { num: n, value: lambda[1] }
}

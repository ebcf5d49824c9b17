/** A power law p(x) ∝ x^(−alpha), x ≥ xmin, fitted to the tail of a spectrum. */
export interface PowerLaw {
  /** Exponent; infinite where the whole tail is one value. */
  readonly alpha: number
  /** Kolmogorov-Smirnov distance between tail and fit. */
  readonly D: number
  /** Standard error of alpha, (alpha − 1)/√n. */
  readonly sigma: number
  readonly xmin: number
  readonly xmax: number
}

/** Candidates that are looked at first, and how many times more each time after. */
const FIRST = 64
const FINER = 8

/**
 * The continuous power law whose xmin, among all values but the largest, gives the least Kolmogorov-Smirnov distance; the first
 * of equals wins. For each candidate xᵢ with m values from it on:
 * alpha = 1 + m / Σ ln(xⱼ/xᵢ), D = maxⱼ |1 − (xⱼ/xᵢ)^(1−alpha) − (j−i)/m|.
 * Source: Clauset, Shalizi, Newman, SIAM Review 51 (2009), eqs. 3.1 and 3.9, with WeightWatcher's left-sided empirical CDF and
 * without merging ties.
 *
 * A candidate is given up as soon as one distance reaches the best D so far, looking first where the candidate before it was
 * worst: the result is that of the full O(n²) search.
 *
 * @param x ascending, all positive
 * @param cut whether D is that to the law cut off at the largest value, 1 − (xⱼ/xᵢ)^(1−alpha) over what it is there
 * @returns null for fewer than two values
 */
export function fitPowerLaw(x: Float64Array, cut = false): PowerLaw | null {
  const n = x.length
  if (n < 2) return null
  const ln = x.map(Math.log)
  const suffix = new Float64Array(n + 1)
  for (let i = n - 1; i >= 0; i--) suffix[i] = suffix[i + 1] + ln[i]

  let best = n
  let bestD = Number.POSITIVE_INFINITY
  let bestAlpha = Number.NaN
  let worst = n - 1
  // A good one early is what the others are given up by: a few all over first, then those between.
  let stride = 1
  while (stride * FIRST < n) stride *= FINER
  for (let coarser = 0; stride >= 1; coarser = stride, stride /= FINER) {
    for (let i = 0; i < n - 1; i += stride) if (coarser === 0 || i % coarser !== 0) consider(i)
  }
  return { alpha: bestAlpha, D: bestD, sigma: (bestAlpha - 1) / Math.sqrt(n - best), xmin: x[best], xmax: x[n - 1] }

  /** The first of equals wins. */
  function wins(i: number, distance: number): boolean {
    return distance < bestD || (distance === bestD && i < best)
  }

  function consider(i: number): void {
    const m = n - i
    const alpha = 1 + m / (suffix[i] - m * ln[i])
    if (worst < i) worst = i
    const distance = alpha === Number.POSITIVE_INFINITY ? oneValue(m) : alpha > 1 ? tail(i, alpha) : 1
    if (!wins(i, distance)) return
    best = i
    bestD = distance
    bestAlpha = alpha
  }

  /** The distance of candidate i, or any with which it can't win. */
  function tail(i: number, alpha: number): number {
    const m = n - i
    const whole = cut ? 1 - Math.exp((1 - alpha) * (ln[n - 1] - ln[i])) : 1
    const at = (j: number) => Math.abs((1 - Math.exp((1 - alpha) * (ln[j] - ln[i]))) / whole - (j - i) / m)
    let distance = at(worst)
    for (let j = i; j < n && wins(i, distance); j++) {
      const here = at(j)
      if (here > distance) {
        distance = here
        worst = j
      }
    }
    return distance
  }
}

/** m equal values: the fitted CDF is 0 at the value, the empirical one reaches (m−1)/m. */
function oneValue(m: number): number {
  return (m - 1) / m
}

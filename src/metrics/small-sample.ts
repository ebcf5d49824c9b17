import { fitPowerLaw, type PowerLaw } from './powerlaw.ts'

/** Fewer values than this are a small sample. */
const SMALL = 20
/** No shorter tail is looked at. */
const LEAST_TAIL = 8
/** Which tail is taken: that of least D, or of least D less what chance makes of it. */
export type SmallSampleFit = 'least-d' | 'adjusted-d'

/** Of the distance that a sample has from its own law: D·√n is about 0.868 on the average (Kolmogorov). */
const EXPECTED = 0.868

/**
 * A power law as `fitPowerLaw` has it; of fewer than 20 values the one of WeightWatcher 0.7.7: alpha without its bias,
 * 1 + (n − 1) / Σ ln(xⱼ/xᵢ), over tails of 8 and more. That release means to take the tail of least D − 0.868/√n, and reports the one of
 * least D. All values are the tail where there are fewer than 8.
 * Source of the correction: Clauset, Shalizi, Newman, SIAM Review 51 (2009), appendix B.
 *
 * @param x ascending, all positive
 * @param others the fit of what is no small sample
 * @returns null for fewer than two values
 */
export function fitSmallSample(x: Float64Array, which: SmallSampleFit, others = fitPowerLaw): PowerLaw | null {
  const n = x.length
  if (n >= SMALL) return others(x)
  let best: PowerLaw | null = null
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < Math.max(1, n - LEAST_TAIL + 1); i++) {
    const law = lawFrom(x, i)
    if (!law) continue
    const criterion = law.D - (which === 'adjusted-d' ? EXPECTED / Math.sqrt(n - i) : 0)
    if (criterion < least) {
      best = law
      least = criterion
    }
  }
  return best ?? fitPowerLaw(x)
}

/** Of the tail from the i-th value on; null where that has no spread. */
function lawFrom(x: Float64Array, i: number): PowerLaw | null {
  const m = x.length - i
  let sum = 0
  for (let j = i; j < x.length; j++) sum += Math.log(x[j])
  sum -= m * Math.log(x[i])
  if (m < 2 || sum <= 1e-12) return null
  const alpha = 1 + (m - 1) / sum
  let D = 0
  for (let j = i; j < x.length; j++) {
    const fitted = 1 - Math.exp((1 - alpha) * Math.log(x[j] / x[i]))
    D = Math.max(D, Math.abs((j - i) / m - fitted))
  }
  return { alpha, D, sigma: (alpha - 1) / Math.sqrt(m), xmin: x[i], xmax: x[x.length - 1] }
}

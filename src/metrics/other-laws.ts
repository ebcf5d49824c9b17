import { erfc, millsRatio } from './normal.ts'
import type { PowerLaw } from './powerlaw.ts'

/** Other laws of the same tail, and whether one of them says more of it than the power law. */
export interface OtherLaws {
  /** Of ln λ. */
  readonly lognormal_mu: number
  readonly lognormal_sigma: number
  readonly exponential_lambda: number
  readonly truncated_alpha: number
  readonly Lambda: number
  /** Log-likelihood ratio to the power law over its standard deviation: above 0 the power law is the likelier; and Vuong's p. */
  readonly R_lognormal: number
  readonly p_lognormal: number
  readonly R_exponential: number
  readonly p_exponential: number
  /** The truncated law has the power law within it: the ratio as it is, never above 0, and the p of χ² with one degree. */
  readonly R_truncated: number
  readonly p_truncated: number
}

/** A law by what it says of each value: ln of its density. */
type LogDensity = (x: number) => number

/**
 * Log-normal, exponential and truncated power law by maximum likelihood above the xmin of the power law, and likelihood ratios.
 * Source: Clauset, Shalizi, Newman, SIAM Review 51 (2009), table 2.1 and appendix C; Vuong, Econometrica 57 (1989) 307.
 *
 * @param tail the values from xmin on, ascending
 */
export function fitOtherLaws(tail: Float64Array, { alpha, xmin }: PowerLaw): OtherLaws | null {
  const n = tail.length
  if (n < 2 || !Number.isFinite(alpha)) return null
  const power: LogDensity = x => Math.log((alpha - 1) / xmin) - alpha * Math.log(x / xmin)
  const rate = 1 / (mean(tail) - xmin)
  const exponential: LogDensity = x => Math.log(rate) - rate * (x - xmin)
  const normal = truncatedNormal(tail, xmin)
  const cut = truncatedPower(tail, xmin, alpha)
  const toNormal = normal ? vuong(tail, power, normal.density) : EVEN
  const toExponential = vuong(tail, power, exponential)
  const R_truncated = cut
    ? Math.min(
        0,
        total(tail, x => power(x) - cut.density(x)),
      )
    : 0
  return {
    lognormal_mu: normal?.mu ?? Number.NaN,
    lognormal_sigma: normal?.sigma ?? Number.NaN,
    exponential_lambda: rate,
    truncated_alpha: cut?.alpha ?? alpha,
    Lambda: cut?.Lambda ?? 0,
    R_lognormal: toNormal.R,
    p_lognormal: toNormal.p,
    R_exponential: toExponential.R,
    p_exponential: toExponential.p,
    R_truncated,
    p_truncated: erfc(Math.sqrt(-R_truncated)),
  }
}

/** Of two laws that say the same. */
const EVEN = { R: 0, p: 1 }

function vuong(tail: Float64Array, first: LogDensity, second: LogDensity): { R: number; p: number } {
  const ratios = tail.map(x => first(x) - second(x))
  const middle = mean(ratios)
  const deviation = Math.sqrt(mean(ratios.map(ratio => (ratio - middle) * (ratio - middle))))
  if (!(deviation > 0)) return EVEN
  const R = (middle * Math.sqrt(ratios.length)) / deviation
  return { R, p: erfc(Math.abs(R) / Math.SQRT2) }
}

/**
 * ln x as a normal law cut off below ln xmin: its likelihood is greatest where its mean and variance are those of the values. With
 * z = (ln xmin − μ)/σ and h = φ(z)/Q(z), mean = σ(h − z) and variance = σ²(1 + zh − h²) above the cut; their ratio variance/mean² grows
 * from 0 to 1 with z. Null where the values' exceeds 1: then the greatest likelihood is that of the power law, the limit z → ∞.
 * Source: del Castillo, Annals of the Institute of Statistical Mathematics 46 (1994) 57.
 */
function truncatedNormal(tail: Float64Array, xmin: number): { mu: number; sigma: number; density: LogDensity } | null {
  const y = tail.map(x => Math.log(x / xmin))
  const m = mean(y)
  const wanted = mean(y.map(value => (value - m) * (value - m))) / (m * m)
  const ratio = (z: number) => {
    const h = 1 / millsRatio(z)
    return (1 + z * h - h * h) / ((h - z) * (h - z))
  }
  let [low, high] = [-30, 30]
  if (!(wanted < ratio(high)) || !(wanted > ratio(low))) return null
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2
    if (ratio(middle) < wanted) low = middle
    else high = middle
  }
  const z = (low + high) / 2
  const mills = millsRatio(z)
  const sigma = m / (1 / mills - z)
  const mu = Math.log(xmin) - z * sigma
  const density: LogDensity = x => {
    const at = (Math.log(x) - mu) / sigma
    return -Math.log(x * sigma) - 0.5 * (at * at - z * z) - Math.log(mills)
  }
  return { mu, sigma, density }
}

/** Points of the quadrature, an even number of steps. */
const STEPS = 2000
const MOST_ITERATIONS = 200

/**
 * p(x) ∝ x^(−alpha) e^(−Lambda x): an exponential family of ln x and x, so that Newton's method, its steps halved until the likelihood
 * grows, finds the one maximum of alpha ≥ 0. Null where that is at Lambda = 0, the power law itself.
 */
function truncatedPower(
  tail: Float64Array,
  xmin: number,
  alpha: number,
): { alpha: number; Lambda: number; density: LogDensity } | null {
  const [meanLog, meanX] = [mean(tail.map(x => Math.log(x / xmin))), mean(tail) / xmin]
  if (alpha > 2 && (alpha - 1) / (alpha - 2) <= meanX) return null
  // In units of xmin: exponent a, rate l.
  let a = alpha
  let l = 0.1 / meanX
  let here = moments(a, l)
  const score = (a: number, l: number, logNorm: number) => -a * meanLog - l * meanX - logNorm
  for (let i = 0; i < MOST_ITERATIONS; i++) {
    const [da, dl] = [here.log - meanLog, here.x - meanX]
    const determinant = here.logLog * here.xx - here.logX * here.logX
    let [stepA, stepL] = [
      (here.xx * da - here.logX * dl) / determinant,
      (here.logLog * dl - here.logX * da) / determinant,
    ]
    const before = score(a, l, here.logNorm)
    let next = here
    let tries = 0
    for (; tries < 60; tries++) {
      if (l + stepL > 0) {
        next = moments(a + stepA, l + stepL)
        if (score(a + stepA, l + stepL, next.logNorm) >= before) break
      }
      stepA /= 2
      stepL /= 2
    }
    if (tries === 60) break
    a += stepA
    l += stepL
    here = next
    if (Math.abs(stepA) < 1e-10 && Math.abs(stepL) < 1e-10 * l) break
  }
  // Below 0 the density would rise: at 0 it is the exponential law.
  if (a < 0) {
    a = 0
    l = 1 / (meanX - 1)
    here = moments(a, l)
  }
  const logNorm = here.logNorm
  const density: LogDensity = x => -a * Math.log(x / xmin) - (l * x) / xmin - logNorm - Math.log(xmin)
  return { alpha: a, Lambda: l / xmin, density }
}

/** Of t ≥ 1 with the density t^(−a) e^(−lt) over its integral: means and covariances of ln t and t, by Simpson's rule over s = ln t. */
function moments(a: number, l: number) {
  const exponent = (s: number) => (1 - a) * s - l * (Math.exp(s) - 1)
  // The density over s may rise before it falls, to where 1 − a = l·eˢ.
  const top = a < 1 ? Math.max(0, Math.log((1 - a) / l)) : 0
  const peak = exponent(top)
  let end = top + 1
  while (exponent(end) - peak > -45) end *= 1.5
  const step = end / STEPS
  let [norm, log, x, logLog, logX, xx] = [0, 0, 0, 0, 0, 0]
  for (let i = 0; i <= STEPS; i++) {
    const s = i * step
    const t = Math.exp(s)
    const weight = (i === 0 || i === STEPS ? 1 : i % 2 === 1 ? 4 : 2) * Math.exp(exponent(s) - peak)
    norm += weight
    log += weight * s
    x += weight * t
    logLog += weight * s * s
    logX += weight * s * t
    xx += weight * t * t
  }
  const [meanLog, meanX] = [log / norm, x / norm]
  return {
    logNorm: Math.log((norm * step) / 3) + peak - l,
    log: meanLog,
    x: meanX,
    logLog: logLog / norm - meanLog * meanLog,
    logX: logX / norm - meanLog * meanX,
    xx: xx / norm - meanX * meanX,
  }
}

function mean(values: Float64Array): number {
  return total(values, value => value) / values.length
}

function total(values: Float64Array, of: (value: number) => number): number {
  let sum = 0
  for (const value of values) sum += of(value)
  return sum
}

import { minimise } from './nelder-mead.ts'

/** The bulk of a spectrum as that of a random matrix. */
export interface MarchenkoPastur {
  /** Scale of the law, of the eigenvalues times W_scale². */
  readonly sigma_mp: number
  /** λ₋ and λ₊, in the units of the eigenvalues. */
  readonly bulk_min: number
  readonly bulk_max: number
  /** Eigenvalues beyond λ₊ and its fluctuation. */
  readonly num_spikes: number
  /** λ₊ / λmax. */
  readonly mp_softrank: number
  /** √(n/Σλ). */
  readonly W_scale: number
}

/** Of the kernel density, in rescaled eigenvalues. */
const BANDWIDTH = 0.1
const POINTS = 1000
/** Where less density than this is, nothing is fitted. */
const LEAST_DENSITY = 0.01
/** What each point costs where the law lies wholly beside the density. */
const BESIDE = 1e6

/**
 * The Marchenko-Pastur law whose density is nearest, by least squares, to that of the eigenvalues: ρ(x) = Q √((b−x)(x−a)) / 2πσ²x
 * between a, b = σ²(1 ∓ 1/√Q)². Square matrices are fitted by their singular values and WeightWatcher's quarter circle
 * √(4−x²) / πσ². The density is that of a triangular kernel on a thousand points; σ is found on a grid and refined.
 * Source: Marchenko and Pastur, Math. USSR Sbornik 1 (1967) 457; WeightWatcher 0.7.5 (`mp_fit`).
 *
 * @param lambda all eigenvalues, ascending, n of them
 * @param N the longer side of one matrix
 * @param M the shorter side
 * @returns null where there is nothing to fit: no eigenvalue but 0, or no density anywhere
 */
export function fitMarchenkoPastur(lambda: Float64Array, N: number, M: number): MarchenkoPastur | null {
  const sum = lambda.reduce((sum, value) => sum + value, 0)
  if (!(sum > 0)) return null
  const W_scale = Math.sqrt(lambda.length) / Math.sqrt(sum)
  const rescaled = lambda.map(value => W_scale * W_scale * value)
  const largest = rescaled[rescaled.length - 1]
  const square = N === M
  const density = densityOf(square ? rescaled.map(Math.sqrt) : rescaled)
  if (density.x.length === 0 && !square) return null
  const q = 1 / Math.sqrt(N / M)
  const distance = square ? fromQuarterCircle(density) : fromLaw(density, N / M)
  const start = Math.sqrt(largest / ((1 + q) * (1 + q)))
  const sigma_mp = minimise(distance, bestOfGrid(distance, start))
  const [low, high] = [sigma_mp * (1 - q), sigma_mp * (1 + q)]
  const edge = high * high
  // The Tracy-Widom fluctuation of the largest eigenvalue, about.
  const fluctuation = Math.sqrt((q * twoThirds(edge)) / twoThirds(M))
  return {
    sigma_mp,
    bulk_min: (low * low) / (W_scale * W_scale),
    bulk_max: edge / (W_scale * W_scale),
    num_spikes: rescaled.length - firstAbove(rescaled, edge + fluctuation),
    mp_softrank: edge / largest,
    W_scale,
  }
}

interface Density {
  readonly x: Float64Array
  readonly y: Float64Array
}

/** The kernel density on equal steps from 0 to beyond the last value, where there is any. */
function densityOf(values: Float64Array): Density {
  const n = values.length
  const step = (values[n - 1] + 0.5) / (POINTS - 1)
  const x = new Float64Array(POINTS)
  const y = new Float64Array(POINTS)
  let kept = 0
  let first = 0
  for (let k = 0; k < POINTS; k++) {
    const at = k * step
    while (first < n && values[first] <= at - BANDWIDTH) first++
    let sum = 0
    for (let i = first; i < n && values[i] < at + BANDWIDTH; i++) sum += 1 - Math.abs(at - values[i]) / BANDWIDTH
    const density = sum / (n * BANDWIDTH)
    if (density > LEAST_DENSITY) {
      x[kept] = at
      y[kept++] = density
    }
  }
  return { x: x.subarray(0, kept), y: y.subarray(0, kept) }
}

/** Squared distance of the law from a density by the law's σ. */
function fromLaw({ x, y }: Density, Q: number): (sigma: number) => number {
  const q = 1 / Math.sqrt(Q)
  const end = x[x.length - 1]
  let peak = 0
  for (let k = 1; k < y.length; k++) if (y[k] > y[peak]) peak = k
  return sigma => {
    const [low, high] = [sigma * (1 - q), sigma * (1 + q)]
    const [a, b] = [low * low, high * high]
    if (b < x[peak] || b > end || a > x[peak]) return BESIDE * x.length
    const factor = Q / (2 * Math.PI * sigma * sigma)
    let sum = 0
    for (let k = 0; k < x.length; k++) {
      const inside = (b - x[k]) * (x[k] - a)
      const residue = (inside > 0 ? (factor * Math.sqrt(inside)) / x[k] : 0) - y[k]
      sum += residue * residue
    }
    return sum
  }
}

function fromQuarterCircle({ x, y }: Density): (sigma: number) => number {
  const circle = x.map(at => Math.sqrt(Math.max(0, 4 - at * at)))
  return sigma => {
    const factor = 1 / (Math.PI * sigma * sigma)
    let sum = 0
    for (let k = 0; k < circle.length; k++) {
      const residue = factor * circle[k] - y[k]
      sum += residue * residue
    }
    return sum
  }
}

/** The best of about 195 values around a scale, the first of equals. NumPy's `arange` rounds its steps so. */
function bestOfGrid(distance: (sigma: number) => number, scale: number): number {
  const [from, to, step] = [0.05 * scale, 2 * scale, 0.01 * scale]
  const count = Math.ceil((to - from) / step)
  const rounded = from + step - from
  let best = from
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < count; i++) {
    const sigma = i === 0 ? from : i === 1 ? from + step : from + i * rounded
    const here = distance(sigma)
    if (here < least) {
      best = sigma
      least = here
    }
  }
  return best
}

function twoThirds(x: number): number {
  const root = Math.cbrt(x)
  return root * root
}

function firstAbove(ascending: Float64Array, limit: number): number {
  let i = ascending.length
  while (i > 0 && ascending[i - 1] > limit) i--
  return i
}

import { deviations, groupSums, ofSums, rowsOfGroups, type Sample, type Sums, sums, total } from './correlation.ts'
import { fUpper, normalQuantile, tTwoSided } from './distributions.ts'

/** An interval that holds the coefficient with 95 % confidence. */
export interface Interval {
  readonly low: number
  readonly high: number
}

const Z = normalQuantile(0.975)

/**
 * Fisher's interval of a correlation: tanh(atanh r ± z/√(n − 3)) (Fisher 1921).
 * @param n models, less one for each group beyond the first where r is within groups
 * @returns null where n is 3 or less
 */
export function fisherInterval(r: number, n: number): Interval | null {
  if (n <= 3) return null
  const half = Z / Math.sqrt(n - 3)
  return { low: Math.tanh(Math.atanh(r) - half), high: Math.tanh(Math.atanh(r) + half) }
}

/** The two-sided p of a correlation by Student's t, t = r√(df/(1 − r²)); null without degrees of freedom. */
export function correlationP(r: number, degrees: number): number | null {
  return degrees < 1 ? null : tTwoSided(r * Math.sqrt(degrees / (1 - r * r)), degrees)
}

/** The most models of which all orders are tried: 7! = 5,040. */
export const EXACT = 7

/** The two-sided p of Pearson's r over all orders of y: the share of those whose |r| is as large or larger. */
export function permutationP({ x, y }: Sample): number | null {
  const observed = ofSums(sums(x, y))
  if (observed === null) return null
  const order = [...y]
  const least = Math.abs(observed) - 1e-9
  let count = 0
  let all = 0
  const visit = (k: number): void => {
    if (k === order.length) {
      all++
      if (Math.abs(ofSums(sums(x, order))!) >= least) count++
      return
    }
    for (let i = k; i < order.length; i++) {
      exchange(order, k, i)
      visit(k + 1)
      exchange(order, k, i)
    }
  }
  visit(0)
  return count / all
}

function exchange(values: number[], i: number, j: number): void {
  ;[values[i], values[j]] = [values[j], values[i]]
}

/** The pooled slope of y ~ group + x, and whether the groups' own slopes differ. */
export interface Slopes {
  readonly slope: number
  /** n − G − 1. */
  readonly degrees: number
  readonly p: number
  /** F test of one slope against a slope a group; null where there are too few models for it. */
  readonly unequal: { readonly f: number; readonly p: number } | null
}

/** @returns null where x or y does not vary within any group, or no degree of freedom is left */
export function pooledSlope(sample: Sample): Slopes | null {
  const groups = groupSums(sample)
  const { xx, yy, xy } = total(groups)
  const r = ofSums({ xx, yy, xy })
  const degrees = sample.x.length - groups.length - 1
  if (r === null || degrees < 1) return null
  const sloped = groups.filter(group => group.xx > 0)
  const one = Math.max(0, yy - (xy * xy) / xx)
  const own = groups.reduce((sum, g) => sum + Math.max(0, g.xx > 0 ? g.yy - (g.xy * g.xy) / g.xx : g.yy), 0)
  const [d1, d2] = [sloped.length - 1, sample.x.length - groups.length - sloped.length]
  const f = Math.max(0, one - own) / d1 / (own / d2)
  const unequal = d1 >= 1 && d2 >= 1 && own > 0 ? { f, p: fUpper(f, d1, d2) } : null
  return { slope: xy / xx, degrees, p: correlationP(r, degrees)!, unequal }
}

export const RESAMPLES = 2000
const SEED = 20211
/** Of the resamples, that a percentile is taken of: a resample of one model alone has no r. */
const ENOUGH = 0.9
const NOTHING = 1e-12

/**
 * The percentile bootstrap of r within the groups (Efron 1979), which is r over all where there is one: models are drawn with
 * replacement, of each group as many as it has, from a fixed seed. Shown beside Fisher's interval, not decisive: of few models it is
 * too narrow.
 */
export function bootstrapInterval(sample: Sample): Interval | null {
  const random = generator(SEED)
  const groups = rowsOfGroups(sample).map(rows => {
    const [x, y] = [sample.x, sample.y].map(values => deviations(rows.map(i => values[i])))
    return { x, y }
  })
  const { xx, yy } = total(groupSums(sample))
  const found: number[] = []
  for (let k = 0; k < RESAMPLES; k++) {
    const drawn = total(groups.map(({ x, y }) => resampled(x, y, random)))
    // Of one model drawn again and again, nothing but rounding remains.
    if (drawn.xx > xx * NOTHING && drawn.yy > yy * NOTHING) found.push(ofSums(drawn)!)
  }
  if (found.length < ENOUGH * RESAMPLES) return null
  found.sort((a, b) => a - b)
  return { low: quantile(found, 0.025), high: quantile(found, 0.975) }
}

/** The sums about the means of as many draws as there are models. x and y have the mean 0, so that one pass is exact enough. */
function resampled(x: readonly number[], y: readonly number[], random: () => number): Sums {
  const n = x.length
  let [sx, sy, xx, yy, xy] = [0, 0, 0, 0, 0]
  for (let k = 0; k < n; k++) {
    const i = Math.floor(random() * n)
    sx += x[i]
    sy += y[i]
    xx += x[i] * x[i]
    yy += y[i] * y[i]
    xy += x[i] * y[i]
  }
  return { xx: xx - (sx * sx) / n, yy: yy - (sy * sy) / n, xy: xy - (sx * sy) / n }
}

/** Linear between the two nearest order statistics, as numpy's default. */
function quantile(sorted: readonly number[], q: number): number {
  const at = q * (sorted.length - 1)
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]]
  return below + (at - Math.floor(at)) * (above - below)
}

/**
 * r within the groups, which is r over all where there is one, without each model in turn; null where nothing is left of it. Only the
 * sums of the model's own group are taken anew: to subtract the model from them would lose the digits of a far one.
 */
export function leaveOneOut(sample: Sample): (number | null)[] {
  const groups = rowsOfGroups(sample)
  const own = groupSums(sample)
  const found: (number | null)[] = []
  for (const [g, rows] of groups.entries()) {
    const others = total(own.filter((_, k) => k !== g))
    const [x, y] = [sample.x, sample.y].map(values => rows.map(i => values[i]))
    for (const [k, i] of rows.entries()) found[i] = ofSums(total([others, sums(x.toSpliced(k, 1), y.toSpliced(k, 1))]))
  }
  return found
}

/** Holm's step-down correction: p of each against all of a family (Holm 1979), in the order given. */
export function holm(p: readonly number[]): number[] {
  const order = p.map((_, i) => i).sort((a, b) => p[a] - p[b])
  const adjusted: number[] = []
  let least = 0
  order.forEach((i, k) => {
    least = Math.max(least, Math.min(1, (p.length - k) * p[i]))
    adjusted[i] = least
  })
  return adjusted
}

/** Numbers in [0, 1) from a seed, the same everywhere: mulberry32 (Tommy Ettinger, public domain). */
export function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

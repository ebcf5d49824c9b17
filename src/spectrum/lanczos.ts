import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

/** AᵀAv, a new array. */
export type GramTimes = (v: Float64Array) => Float64Array

export interface LargestEigenvalue {
  /** Of AᵀA. */
  readonly value: number
  /** An eigenvalue of AᵀA lies within so much of it. */
  readonly residual: number
  /** How often all of the matrix was read. */
  readonly passes: number
}

/** Relative to the eigenvalue: half of what is promised, 1e-8 of λ. */
const TOLERANCE = 2e-9
/** Steps of one run: a Gaussian matrix of 15,000 columns takes about 300. */
export const MOST_STEPS = 500
/** How often a start that finds a larger one takes the place of the first. */
const MOST_STARTS = 4
const SECOND_STEPS = 48
/** Steps between two looks at the residual. */
const EVERY = 8

/**
 * The largest eigenvalue of AᵀA, by the Lanczos method with full reorthogonalisation, in one pass over A for each step. For the pair
 * (θ, y) that it ends with, ‖AᵀAy − θy‖ is computed from A itself, so that an eigenvalue lies within that of θ (Parlett, The
 * Symmetric Eigenvalue Problem, 4.5.1), however the method came to it. That there is no larger one is not proved by this: a start that
 * is orthogonal to an eigenvector never sees it. So a second start is made, orthogonal to y; where it finds more than θ, that takes
 * its place, and the search is made anew. After n steps from a random start the largest Ritz value is within ε of the largest
 * eigenvalue but with probability 1.648·√n·e^(−√ε·(2·steps − 1)): the second would miss an eigenvalue 4 % above θ once in a million.
 * Sources: Golub & Van Loan, Matrix Computations, 4th ed., 10.1; Kuczyński & Woźniakowski, SIAM J. Matrix Anal. Appl. 13 (1992) 1094,
 * theorem 3.2.
 *
 * @param seed of the starts: of the contents, so that nobody can make a matrix for them
 * @returns null where the tolerance is not reached
 */
export function largestEigenvalue(gramTimes: GramTimes, n: number, seed: number): LargestEigenvalue | null {
  let passes = 0
  const apply: GramTimes = v => {
    passes++
    return gramTimes(v)
  }
  const starts = xoroshiro128plus(seed)
  const start = () => Float64Array.from({ length: n }, () => uniformInt(starts, -1_000_000, 1_000_000))
  let best = converge(apply, start())
  for (let tried = 0; best && tried < MOST_STARTS; tried++) {
    const larger = somethingLarger(apply, start(), best)
    if (!larger) return { value: best.value, residual: best.residual, passes }
    best = converge(apply, larger)
  }
  return null
}

interface Pair {
  readonly value: number
  readonly residual: number
  readonly vector: Float64Array
}

/** The basis of a Krylov space and the tridiagonal matrix of AᵀA in it, a step at a time. */
class Krylov {
  readonly basis: Float64Array[] = []
  readonly #apply: GramTimes
  readonly #without: readonly Float64Array[]
  readonly #alphas: number[] = []
  readonly #betas: number[] = []
  #next: Float64Array

  /** @param without vectors in whose complement it is */
  constructor(apply: GramTimes, start: Float64Array, without: readonly Float64Array[] = []) {
    this.#apply = apply
    this.#without = without
    this.#next = start.slice()
    orthogonalise(this.#next, without)
    normalise(this.#next)
  }

  /** @returns whether there is anything beyond: what AᵀA makes of the space lies in it otherwise */
  step(): boolean {
    const v = this.#next
    this.basis.push(v)
    const w = this.#apply(v)
    this.#alphas.push(dot(v, w))
    orthogonalise(w, [...this.#without, ...this.basis])
    const beta = norm(w)
    const top = this.#alphas.reduce((most, alpha) => Math.max(most, Math.abs(alpha)), 0)
    this.#betas.push(beta)
    if (!(beta > Number.EPSILON * top)) return false
    for (let i = 0; i < w.length; i++) w[i] /= beta
    this.#next = w
    return true
  }

  /** The largest Ritz value, its vector in the basis, and what the residual should be. */
  largest(): { readonly value: number; readonly components: Float64Array; readonly residual: number } {
    const ritz = largestRitz(this.#alphas, this.#betas)
    const last = ritz.components[ritz.components.length - 1]
    return { ...ritz, residual: this.#betas[this.#betas.length - 1] * Math.abs(last) }
  }
}

function converge(apply: GramTimes, start: Float64Array): Pair | null {
  const krylov = new Krylov(apply, start)
  const steps = Math.min(start.length, MOST_STEPS)
  for (let step = 1; step <= steps; step++) {
    const goesOn = krylov.step()
    if (goesOn && step % EVERY !== 0 && step !== steps) continue
    const { value, components, residual } = krylov.largest()
    if (goesOn && residual > (TOLERANCE / 2) * value) continue
    const found = examine(apply, combine(krylov.basis, components))
    if (found.residual <= TOLERANCE * found.value) return found
    if (!goesOn) return null
  }
  return null
}

/** From another start, where it sees a larger value: its vector. A Ritz value is never above the largest eigenvalue. */
function somethingLarger(apply: GramTimes, start: Float64Array, best: Pair): Float64Array | undefined {
  const krylov = new Krylov(apply, start, [best.vector])
  const steps = Math.min(start.length - 1, SECOND_STEPS)
  for (let step = 1; step <= steps; step++) {
    const goesOn = krylov.step()
    if (goesOn && step % EVERY !== 0 && step !== steps) continue
    const { value, components } = krylov.largest()
    if (value > best.value * (1 + TOLERANCE)) return combine(krylov.basis, components)
    if (!goesOn || wouldBeSeen(best.value, value, step, start.length)) return undefined
  }
  return undefined
}

/**
 * Whether an eigenvalue of `above` or more would be among the Ritz values after so many steps, the others being about `value` at the
 * most: by the bound of Kaniel and Paige, (tan φ / T(1 + 2γ))² with γ = above/value − 1 and Chebyshev's polynomial T of degree
 * steps − 1, for all starts but one in a million (tan φ ≤ 10⁶·√n).
 */
function wouldBeSeen(above: number, value: number, steps: number, n: number): boolean {
  if (!(above > value)) return false
  const x = 1 + 2 * (above / Math.max(value, Number.MIN_VALUE) - 1)
  const perStep = Math.log(x + Math.sqrt((x - 1) * (x + 1)))
  return (steps - 1) * perStep >= Math.log(1e9 * Math.sqrt(n))
}

/** A Ritz vector's Rayleigh quotient and its residual, from the matrix itself. */
function examine(apply: GramTimes, vector: Float64Array): Pair {
  normalise(vector)
  const w = apply(vector)
  const value = dot(vector, w)
  subtract(w, vector, value)
  return { value, residual: norm(w), vector }
}

/** The largest eigenvalue of the tridiagonal matrix, by bisection with Sturm's counts, and its vector by inverse iteration. */
function largestRitz(alphas: readonly number[], betas: readonly number[]): { value: number; components: Float64Array } {
  const n = alphas.length
  const bound = alphas.map((alpha, i) => alpha + Math.abs(betas[i - 1] ?? 0) + (i < n - 1 ? Math.abs(betas[i]) : 0))
  let [low, high] = [Math.max(...alphas), Math.max(...bound)]
  for (let i = 0; i < 200 && high - low > 2 * Number.EPSILON * Math.abs(high); i++) {
    const middle = low + (high - low) / 2
    if (isAbove(middle, alphas, betas)) high = middle
    else low = middle
  }
  const value = high
  if (!(value > 0)) return { value: 0, components: new Float64Array(n).fill(1, 0, 1) }
  // Above all eigenvalues the shifted matrix is definite, and needs no pivots.
  const shift = value + 4 * Number.EPSILON * Math.abs(value) * Math.sqrt(n)
  let x: Float64Array = new Float64Array(n).fill(1)
  for (let i = 0; i < 4; i++) {
    x = solve(alphas, betas, shift, x)
    normalise(x)
  }
  return { value, components: x }
}

/** Whether all eigenvalues are below x. */
function isAbove(x: number, alphas: readonly number[], betas: readonly number[]): boolean {
  let pivot = 1
  for (let i = 0; i < alphas.length; i++) {
    pivot = x - alphas[i] - (i > 0 ? (betas[i - 1] * betas[i - 1]) / pivot : 0)
    if (!(pivot > 0)) return false
  }
  return true
}

/** (shift − T)x = b. */
function solve(alphas: readonly number[], betas: readonly number[], shift: number, b: Float64Array): Float64Array {
  const n = alphas.length
  const pivots = new Float64Array(n)
  const x = b.slice()
  for (let i = 0; i < n; i++) {
    const factor = i > 0 ? betas[i - 1] / pivots[i - 1] : 0
    const pivot = shift - alphas[i] - (i > 0 ? factor * betas[i - 1] : 0)
    pivots[i] = pivot > 0 ? pivot : Number.EPSILON * Math.abs(shift) || Number.MIN_VALUE
    if (i > 0) x[i] += factor * x[i - 1]
  }
  for (let i = n - 1; i >= 0; i--) x[i] = (x[i] + (i < n - 1 ? betas[i] * x[i + 1] : 0)) / pivots[i]
  return x
}

/** Twice, which is enough (Kahan, in Parlett, 6.9). */
function orthogonalise(w: Float64Array, basis: readonly Float64Array[]): void {
  for (let round = 0; round < 2; round++) for (const v of basis) subtract(w, v, dot(v, w))
}

function subtract(w: Float64Array, v: Float64Array, factor: number): void {
  for (let i = 0; i < w.length; i++) w[i] -= factor * v[i]
}

function combine(basis: readonly Float64Array[], components: Float64Array): Float64Array {
  const sum = new Float64Array(basis[0].length)
  for (const [i, v] of basis.entries()) subtract(sum, v, -components[i])
  return sum
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

function norm(a: Float64Array): number {
  return Math.sqrt(dot(a, a))
}

/** To length 1; what is nothing stays so. */
function normalise(a: Float64Array): void {
  const length = norm(a)
  if (length > 0) for (let i = 0; i < a.length; i++) a[i] /= length
}

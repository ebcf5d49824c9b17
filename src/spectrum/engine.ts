import { createHash } from 'node:crypto'
import type { Tensor } from '../checkpoint/types.ts'
import { identityOf, type Recipe } from '../recipe/recipe.ts'
import type { Values } from '../recipe/values.ts'
import type { WeightStatistics } from './weights.ts'

/** Changes whenever the same bytes give other numbers: part of every fingerprint. */
export const NUMERICS_VERSION = 2

/** The eigenvalues λ = σ² of WᵀW of each matrix that a recipe yields: all min(rows, columns) of them, ascending, none negative. */
export interface Spectrum {
  readonly matrices: readonly Float64Array[]
}

/** The largest eigenvalues alone. */
export interface SpectralNorms {
  /** Of WᵀW of all of a recipe's matrices; no further from the truth than 1e-8 of it. */
  readonly largest: number
}

/** What one pass over a tensor's stored elements finds. */
export interface Scan {
  /** SHA-256, in hex, over type, shape, layout and bytes. */
  readonly digest: string
  /** The first element that is NaN or infinite, or a variance below 0, if there is one, such as `NaN at index [2, 5]`. */
  readonly nonFinite?: string
  /** The largest magnitude of its elements, of floating-point tensors that are finite. */
  readonly largest?: number
}

/** All methods may be called at once for many recipes: the engine orders the work. */
export interface Engine {
  /**
   * One pass over the stored elements of a tensor.
   * @param again its values will be asked for: what is packed stays unpacked, where there is room
   * @throws CheckpointError where the file ends early, or does not unpack to the tensor
   */
  scan(tensor: Tensor, again?: boolean): Promise<Scan>
  /**
   * Every eigenvalue of a recipe's matrices.
   * @param onWork told the share of this recipe's work that has been done, from 0 to 1
   * @throws LayerError `non-finite` where a weight is NaN or infinite, `memory` where the matrix is too large for this machine,
   * `worker` where its worker died; CheckpointError where the file ends early
   */
  spectrum(recipe: Recipe, onWork?: (share: number) => void): Promise<Spectrum>
  /**
   * The largest eigenvalue of all of a recipe's matrices, without the others where that takes less.
   * @throws as `spectrum` does
   */
  spectralNorm(recipe: Recipe, onWork?: (share: number) => void): Promise<SpectralNorms>
  /**
   * What the values themselves show.
   * @throws as `spectrum` does
   */
  weights(values: Values): Promise<WeightStatistics>
  /**
   * What one of the procedures that the engine was made with returns: work for a thread that is no spectrum.
   * @param argument plain data
   * @param cost multiply-adds that it takes, about
   * @throws LayerError `worker` where its worker died
   */
  call(name: string, argument: unknown, cost: number, onWork?: (share: number) => void): Promise<unknown>
  close(): Promise<void>
}

/**
 * A SHA-256, in hex, over all that a row follows from: the version of our numerics, the recipe, and what is stored.
 * @param digests of the recipe's tensors, as `tensorsOf` lists them
 * @param how its eigenvalues are scaled and its tail is fitted, where that is not the default
 */
export function fingerprint(recipe: Recipe, digests: readonly string[], how: readonly string[] = []): string {
  const text = JSON.stringify([
    NUMERICS_VERSION,
    ...identityOf(recipe),
    ...digests,
    ...(how.length > 0 ? [{ how }] : []),
  ])
  return createHash('sha256').update(text).digest('hex')
}

/**
 * The relative size, against the largest singular value of an N×M matrix, N ≥ M, below which a singular value can't be told from 0.
 * The eigenvalues of a Gram matrix carry an absolute error of a few M·ε·λmax (Golub and Van Loan, Matrix Computations, 4th ed.,
 * 8.1.2 and 8.3), and its elements, sums of N products in blocks of 256, one of (256 + N/256)·ε (Higham, Accuracy and Stability of
 * Numerical Algorithms, 2nd ed., 4.2). So σ/σmax is noise below the root of the larger: 2e-7 for M = 200, 1e-6 for M = 4096.
 */
export function noiseFloor(N: number, M: number): number {
  const depth = Math.min(N, 256) + N / 256
  return Math.sqrt(Math.max(M, depth) * Number.EPSILON)
}

import type { Tensor } from '../checkpoint/types.ts'

/**
 * What to build from a checkpoint's bytes before the eigenvalues are taken, as plain data: the engine alone reads the bytes.
 * - `matrix`: a 2-D tensor as it is.
 * - `kernel-slices`: a 4-D tensor (out, in, kh, kw) read as kh·kw matrices W[:, :, i, j], in row-major order of (i, j).
 */
export interface Recipe {
  readonly op: 'matrix' | 'kernel-slices'
  readonly tensor: Tensor
}

/** The eigenvalues λ = σ² of WᵀW of each matrix that a recipe yields: all min(rows, columns) of them, ascending, none negative. */
export interface Spectrum {
  readonly matrices: readonly Float64Array[]
}

export interface Engine {
  /**
   * Every eigenvalue of a recipe's matrices.
   * @throws LayerError `non-finite` where a weight is NaN or infinite; CheckpointError where the file ends early.
   */
  spectrum(recipe: Recipe): Promise<Spectrum>
  /**
   * The relative size, against the largest singular value of an N×M matrix (N ≥ M), below which a singular value of this
   * engine can't be told from 0.
   */
  noiseFloor(N: number, M: number): number
  close(): Promise<void>
}

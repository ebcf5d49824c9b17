/** All eigenvalues of a layer, pooled and ascending, and what several columns need of them. */
export interface Esd {
  readonly lambda: Float64Array
  readonly lambda_max: number
  /** Σλ. */
  readonly norm: number
  readonly matrix_rank: number
  /** Of each matrix by itself. */
  readonly matrices: readonly Float64Array[]
}

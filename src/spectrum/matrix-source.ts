import type { FloatDType } from '../checkpoint/types.ts'
import type { MatrixShape } from '../recipe/recipe.ts'

/** Rows of a matrix that lie in the window: element (p, i) is `base + p·pStride + i·iStride` elements after its begin. */
export interface Chunk {
  readonly k: number
  readonly base: number
  readonly pStride: number
  readonly iStride: number
}

/** A matrix whose rows come in chunks. */
export interface MatrixSource extends MatrixShape {
  /** Of the elements in the window. */
  readonly dtype: FloatDType
  /**
   * The chunks, in order, each put into the window.
   * @param multiple rows of every chunk but the last are a multiple of it
   */
  chunks(window: Uint8Array, multiple: number): Generator<Chunk>
}

/** A recipe's matrices, open to be read. */
export interface OpenRecipe {
  readonly matrices: readonly MatrixSource[]
  close(): Promise<void>
}

/** What of a recipe has to fit into memory beside the kernel's own. */
export interface Footprint {
  /** Bytes of the window. */
  readonly window: number
  /** Bytes beside it. */
  readonly evaluation: number
}

/** As many rows as the window has room for: the multiple, times a power of two. */
export function chunkRows(k: number, multiple: number, fits: (rows: number) => boolean): number {
  let rows = multiple
  while (rows < k && fits(2 * rows)) rows *= 2
  return rows
}

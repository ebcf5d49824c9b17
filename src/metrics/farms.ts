import type { Recipe } from '../recipe/recipe.ts'
import { shapeOf, slice } from '../recipe/values.ts'

/** Square windows at the most, as many as its authors place along a side of the largest matrices. */
const WINDOWS = 15

/**
 * The matrix cut into square windows, so that the spectra of layers of any shape can be compared: M×M ones along the longer side,
 * evenly placed, just as many as it takes to cover it, or 15. Of a convolution those of each kernel slice.
 * Source: Hu, Goel, Killiakov and Yang, Eigenspectrum analysis of neural networks without aspect ratio bias, ICML 2025
 * (arXiv:2506.06280); sides and places of their code for convolutions (Q = 1).
 *
 * @returns null where there are none: of an operator, of a product that is never formed; itself of what is square
 */
export function windowsOf(recipe: Recipe): Recipe[] | null {
  const { read, values } = recipe
  if (read === 'operator' || values.op === 'product') return null
  const shape = shapeOf(values)
  const [rows, columns] = shape
  const [longer, N, M] = rows >= columns ? [0, rows, columns] : [1, columns, rows]
  if (N === M) return [recipe]
  const count = Math.min(WINDOWS, Math.ceil(N / M))
  return Array.from({ length: count }, (_, i) => {
    const at = Math.round((i * (N - M)) / (count - 1))
    const start = shape.map((_, d) => (d === longer ? at : 0))
    return {
      ...recipe,
      values: slice(
        values,
        start,
        shape.map((n, d) => (d === longer ? M : n)),
      ),
    }
  })
}

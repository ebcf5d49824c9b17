import { Matrix, SVD } from 'ml-matrix'
import type { Engine, Recipe, Spectrum } from './engine.ts'
import { readTensor } from './read.ts'

/** Singular values by Golub-Kahan in plain JavaScript: accurate and slow, O(n³) with a large constant. */
export class MlMatrixEngine implements Engine {
  async spectrum({ op, tensor }: Recipe): Promise<Spectrum> {
    const values = await readTensor(tensor)
    const [rows, columns, height = 1, width = 1] = tensor.shape
    const slices = op === 'kernel-slices' ? height * width : 1
    const matrices = Array.from({ length: slices }, (_, slice) => {
      const data = Array.from({ length: rows }, (_, i) =>
        Float64Array.from({ length: columns }, (_, j) => values[(i * columns + j) * slices + slice]),
      )
      return eigenvalues(data)
    })
    return { matrices }
  }

  /** Backward stable: an absolute error of a few N·ε·σmax (Golub and Van Loan, Matrix Computations, 4th ed., 8.6). */
  noiseFloor(N: number): number {
    return N * Number.EPSILON
  }

  async close(): Promise<void> {}
}

function eigenvalues(rows: Float64Array[]): Float64Array {
  const tall = rows.length >= rows[0].length ? new Matrix(rows) : new Matrix(rows).transpose()
  const { diagonal } = new SVD(tall, { computeLeftSingularVectors: false, computeRightSingularVectors: false })
  return Float64Array.from(diagonal, sigma => sigma * sigma).sort()
}

import { readFileSync } from 'node:fs'
import { Matrix, SVD } from 'ml-matrix'
import { contiguous, DTYPE_BITS, type FloatDType, size, type Tensor } from '../../src/checkpoint/types.ts'
import { widen } from '../../src/checkpoint/widen.ts'

/** The eigenvalues of WᵀW of each of a tensor's matrices by ml-matrix's singular values: slow, and none of our kernel's code. */
export function oracleSpectrum(tensor: Tensor): Float64Array[] {
  const values = readTensor(tensor)
  const [rows, columns, height = 1, width = 1] = tensor.shape
  const slices = height * width
  return Array.from({ length: slices }, (_, slice) =>
    oracleEigenvalues(
      Array.from({ length: rows }, (_, i) =>
        Float64Array.from({ length: columns }, (_, j) => values[(i * columns + j) * slices + slice]),
      ),
    ),
  )
}

/** The eigenvalues of WᵀW, ascending, of a matrix given by its rows. */
export function oracleEigenvalues(rows: ArrayLike<number>[]): Float64Array {
  const matrix = new Matrix(rows.map(row => Array.from(row)))
  const tall = matrix.rows >= matrix.columns ? matrix : matrix.transpose()
  const { diagonal } = new SVD(tall, { computeLeftSingularVectors: false, computeRightSingularVectors: false })
  return Float64Array.from(diagonal, sigma => sigma * sigma).sort()
}

/** A tensor's values in row-major order, whatever its strides: for files. */
function readTensor({ dtype, shape, source }: Tensor): Float64Array {
  if (source.kind !== 'file') throw new Error('not a file')
  const extent = shape.reduce((last, n, d) => last + (n - 1) * source.strides[d], 1)
  const bytes = readFileSync(source.path).subarray(source.offset, source.offset + (extent * DTYPE_BITS[dtype]) / 8)
  const stored = widen(dtype as FloatDType, bytes)
  const dense = contiguous(shape)
  return Float64Array.from({ length: size(shape) }, (_, i) => {
    return stored[shape.reduce((offset, n, d) => offset + (Math.floor(i / dense[d]) % n) * source.strides[d], 0)]
  })
}

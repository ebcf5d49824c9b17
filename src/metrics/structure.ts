import type { PlannedLayer } from '../layers/select.ts'
import type { Spectrum } from '../spectrum/engine.ts'

/**
 * How far singular values are from those of the same elements in a random order, beyond what chance does:
 * S = √(nN) · mean_i |s_(i) − s′_(i)| / rms(s), both ascending, n of them, N the matrix's longer side; the slices of a convolution
 * pooled. The mean over the shuffles. About 1 for random matrices of any shape, whatever their elements' distribution.
 *
 * @param shuffled spectra of the layer's shuffles, at least one
 */
export function structure({ N }: Pick<PlannedLayer, 'N'>, spectrum: Spectrum, shuffled: readonly Spectrum[]): number {
  const singular = singularValues(spectrum)
  const n = singular.length
  const rms = rootMeanSquare(singular)
  const distances = shuffled.map(spectrum => {
    const other = singularValues(spectrum)
    return singular.reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0) / n
  })
  const mean = distances.reduce((sum, distance) => sum + distance, 0) / distances.length
  return rms > 0 ? (Math.sqrt(n * N) * mean) / rms : Number.NaN
}

/** √λ of all matrices together, ascending. */
export function singularValues({ matrices }: Spectrum): Float64Array {
  const all = new Float64Array(matrices.reduce((sum, values) => sum + values.length, 0))
  let at = 0
  for (const values of matrices) {
    all.set(values.map(Math.sqrt), at)
    at += values.length
  }
  return all.sort()
}

export function rootMeanSquare(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length)
}

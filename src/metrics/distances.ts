import type { Spectrum } from '../spectrum/engine.ts'

/** How far a layer's weights are from those of a base model. */
export interface Distances {
  /** ‖W − W_base‖, Frobenius, of the whole tensor. */
  readonly delta_W: number
  /** That over ‖W_base‖. */
  readonly delta_W_relative: number
  /** ⟨W, W_base⟩ / (‖W‖·‖W_base‖). */
  readonly cosine: number
  /** Centred kernel alignment, uncentred and linear, the mean over the slices of a convolution. */
  readonly cka: number
}

/**
 * From eigenvalues alone: ‖W‖² = Σλ, ⟨W, V⟩ = (‖W‖² + ‖V‖² − ‖W − V‖²)/2. With A = WWᵀ, B = VVᵀ the eigenvalues of [W V] are those of
 * A + B, so that ‖WᵀV‖² = tr AB = (Σλ²[W V] − Σλ²W − Σλ²V)/2, and CKA = ‖WᵀV‖ / √(‖WᵀW‖·‖VᵀV‖).
 * Source: Kornblith and others, Similarity of neural network representations revisited, ICML 2019, section 3, with weights in place of
 * activations, as WeightWatcher's `distances(method='cka')` has it.
 *
 * @param difference of W − V, not scaled
 * @param both of [W V], side by side
 */
export function distancesBetween(difference: Spectrum, head: Spectrum, base: Spectrum, both: Spectrum): Distances {
  const [delta, ours, theirs] = [difference, head, base].map(({ matrices }) => {
    return matrices.reduce((sum, values) => sum + power(values, 1), 0)
  })
  const alignments = both.matrices.map((values, i) => {
    const [a, b] = [power(head.matrices[i], 2), power(base.matrices[i], 2)]
    const cross = Math.max(0, power(values, 2) - a - b) / 2
    // Where one is nothing WeightWatcher divides by this.
    return Math.sqrt(cross) / Math.max(Math.sqrt(Math.sqrt(a) * Math.sqrt(b)), 1e-6)
  })
  return {
    delta_W: Math.sqrt(delta),
    delta_W_relative: Math.sqrt(delta / theirs),
    cosine: (ours + theirs - delta) / 2 / Math.sqrt(ours * theirs),
    cka: alignments.reduce((sum, value) => sum + value, 0) / alignments.length,
  }
}

/** Σλ, or Σλ². */
function power(values: Float64Array, exponent: 1 | 2): number {
  return values.reduce((sum, value) => sum + (exponent === 1 ? value : value * value), 0)
}

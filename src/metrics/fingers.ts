import type { PowerLaw } from './powerlaw.ts'

/** A fit, and what came of clipping. */
export interface ClippedFit {
  readonly law: PowerLaw | null
  /** Of the fit to all values. */
  readonly raw_alpha: number
  /** How many were clipped, less one: WeightWatcher counts so. 0 where none were. */
  readonly num_fingers: number
}

/** A fall of alpha that is worth values. */
const WORTH = 1
/** No fit is looked for beyond one as heavy as this. */
const LEAST_ALPHA = 2
/** Values that may be clipped at the most. */
const MOST = 9

/**
 * The fit without the few largest values where they, standing apart like fingers, hide the tail: the first of 2, 3, …, 9 left out whose
 * alpha is smaller than that of all by more than 1. None where an alpha of 2 or less comes first, or nothing is gained.
 * Source: WeightWatcher's `fix_fingers='clip_xmax'`.
 *
 * @param x ascending, all positive
 * @param most values that are clipped at the most; 0 for none
 */
export function clipFingers(x: Float64Array, fitted: (x: Float64Array) => PowerLaw | null, most = MOST): ClippedFit {
  const first = fitted(x)
  if (!first) return { law: null, raw_alpha: Number.NaN, num_fingers: 0 }
  for (let k = 2; k <= most; k++) {
    const law = fitted(x.subarray(0, Math.max(0, x.length - k)))
    if (!law) break
    if (law.alpha + WORTH < first.alpha) return { law, raw_alpha: first.alpha, num_fingers: k - 1 }
    if (law.alpha <= LEAST_ALPHA) break
  }
  return { law: first, raw_alpha: first.alpha, num_fingers: 0 }
}

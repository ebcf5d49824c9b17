import type { AnalysisOptions } from '../report/schema.ts'
import { type ClippedFit, clipFingers } from './fingers.ts'
import { fitPowerLaw, type PowerLaw } from './powerlaw.ts'
import { fitSmallSample } from './small-sample.ts'

/** Eigenvalues at or below this take no part in the fit (WeightWatcher's EVALS_THRESH): absolute, not relative. */
const FIT_THRESHOLD = 1e-5

/** How a tail is fitted. */
export type TailOptions = Pick<AnalysisOptions, 'small_sample_fit' | 'xmax' | 'fix_fingers'>

/**
 * The values that a fit is of.
 * @param lambda ascending
 */
export function fittedValues(lambda: Float64Array): Float64Array {
  return lambda.filter(value => value > FIT_THRESHOLD)
}

/** The fit that the options ask for, but for fingers. */
export function tailFit({ small_sample_fit, xmax }: TailOptions): (x: Float64Array) => PowerLaw | null {
  const plain = (x: Float64Array) => fitPowerLaw(x, xmax === 'force')
  return small_sample_fit ? (x: Float64Array) => fitSmallSample(x, small_sample_fit, plain) : plain
}

/**
 * The fit, without fingers where that was asked for.
 * @param x as `fittedValues` gives them
 */
export function clippedFit(x: Float64Array, options: TailOptions): ClippedFit {
  return clipFingers(x, tailFit(options), options.fix_fingers === undefined ? 0 : undefined)
}

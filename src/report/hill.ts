import type { LayerMetric } from './columns.ts'
import type { AnalysisOptions } from './schema.ts'

/**
 * Of the eigenvalues, the largest, whose shape the tail's is taken from, where no other share was asked for. Fixed beforehand, so that
 * no search for it adds noise. The thresholds of the built-in rules were measured at it.
 */
export const HILL_SHARE = 0.25

/** The columns that are over that share. */
export const HILL_METRICS: readonly LayerMetric[] = ['alpha_hill', 'sigma_hill', 'alpha_hill_farms']

export function hillShareOf({ hill_share = HILL_SHARE }: Pick<AnalysisOptions, 'hill_share'>): number {
  return hill_share
}

/** A share, for people. */
export function inPercent(share: number): string {
  return `${Number((100 * share).toPrecision(6))} %`
}

/** The share on both sides of a comparison. */
export interface HillShares {
  readonly head: number
  readonly base: number
}

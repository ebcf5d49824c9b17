import type { SummaryMetric } from '../report/columns.ts'
import type { BaselineRecord } from '../report/schema.ts'
import { mean, standardDeviation } from '../statistics.ts'

/** Fewer changes predict nothing: their spread is not known well enough. */
export const LEAST_CHANGES = 6

/** What the earlier changes of a number lead one to expect of the next. */
export interface Prediction {
  readonly mean: number
  /** Half the width of the interval in which the next lies with probability 0.95. */
  readonly reach: number
  readonly changes: number
}

/** The earlier changes of the branch, by model. */
export interface Earlier {
  predict(model: string, what: SummaryMetric | 'primary'): Prediction | { readonly changes: number }
}

/**
 * What the baselines of a branch did, one after another: of means their differences, of `primary` what each found against the one
 * before it. The prediction interval is mean ± t·s·√(1 + 1/n), t the 97.5 % quantile of Student's distribution with n − 1 degrees
 * (Hahn & Meeker 1991, Statistical Intervals, 4.7). Successive baselines understate how far other seeds would be apart.
 */
export async function earlierChanges(history: BaselineRecord['history'] = []): Promise<Earlier> {
  if (history.length < LEAST_CHANGES) return NO_HISTORY
  const { default: jStat } = await import('jstat')
  const changes = (model: string, what: SummaryMetric | 'primary'): number[] => {
    const points = history.flatMap(({ models }) => models.filter(({ name }) => name === model || models.length === 1))
    const values = points.flatMap(({ summary, tail_shape }) => (what === 'primary' ? tail_shape : summary[what]) ?? [])
    const all = what === 'primary' ? values : values.slice(1).map((value, i) => value - values[i])
    // Most commits leave a model as it is, which tells nothing of what training it again does.
    return all.filter(change => change !== 0)
  }
  return {
    predict(model, what) {
      const found = changes(model, what)
      const n = found.length
      if (n < LEAST_CHANGES) return { changes: n }
      const reach = jStat.studentt.inv(0.975, n - 1) * standardDeviation(found) * Math.sqrt(1 + 1 / n)
      return { mean: mean(found), reach, changes: n }
    },
  }
}

/** Of a gate without any history. */
export const NO_HISTORY: Earlier = { predict: () => ({ changes: 0 }) }

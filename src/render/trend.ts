import type { SummaryMetric } from '../report/columns.ts'
import type { Model, Report } from '../report/schema.ts'
import { sparkline } from './spark.ts'

/** Fewer points are no trend. */
const LEAST = 3
/** More are for a series. */
const MOST = 10

/** Earlier baselines of the branch that a trend can be drawn of; none where there are too few. */
export function trendPoints({ baseline }: Report): NonNullable<Report['baseline']>['history'] {
  const history = (baseline?.history ?? []).slice(-MOST)
  return history.length >= LEAST ? history : []
}

/** A model's metric in earlier baselines and then, set apart, in this report; empty where there are too few. */
export function modelTrend(report: Report, { name, summary }: Model, metric: SummaryMetric): string {
  return draw(
    trendPoints(report).map(({ models }) => {
      const alone = models.length === 1 && report.models.length === 1
      return (alone ? models[0] : models.find(model => model.name === name))?.summary[metric] ?? null
    }),
    summary[metric],
  )
}

/** As `modelTrend`, of a custom metric. */
export function customMetricTrend(report: Report, name: string, head: number | null): string {
  return draw(
    trendPoints(report).map(({ figures }) => figures?.find(figure => figure.name === name)?.value ?? null),
    head,
  )
}

function draw(earlier: readonly (number | null)[], head: number | null): string {
  if (earlier.filter(value => value !== null).length < LEAST) return ''
  const bars = sparkline([...earlier, head])
  return `${bars.slice(0, -1)} ${bars.slice(-1)}`
}

import type { CustomMetric, CustomMetricChange } from '../report/schema.ts'
import { difference } from './subtract.ts'

/** The custom metrics of both sides, the head's in its order and then those that only the base has. */
export function compareCustomMetrics(
  heads: readonly CustomMetric[],
  bases: readonly CustomMetric[],
): CustomMetricChange[] {
  const base = new Map(bases.map(metric => [metric.name, metric]))
  const head = new Map(heads.map(metric => [metric.name, metric]))
  return [...heads, ...bases.filter(({ name }) => !head.has(name))].map(({ name, better }) => {
    const [now, before] = [head.get(name)?.value ?? null, base.get(name)?.value ?? null]
    return { name, ...(better && { better }), head: now, base: before, change: difference(now, before) }
  })
}

import type { LayerMetric } from '../report/columns.ts'
import type { Change } from '../report/schema.ts'

/** Where alpha is ideal: WeightWatcher's `over-trained` lies below. */
const IDEAL = 2

/** Which way is better, for the one number that has such a way; empty for the others, and where it did not move. */
export function direction(metric: LayerMetric, { head, base, change }: Change): string {
  if (metric !== 'alpha' || head === null || base === null || !change) return ''
  if (change > 0) return head - IDEAL > IDEAL - base ? 'worse' : 'better'
  return head >= IDEAL ? 'better' : 'over-trained'
}

/** What the words mean, in a line. */
export const LEGEND =
  'alpha: lower is better down to about 2; below 2 over-trained, above 6 under-trained. The norms say how large the weights are, not how good.'

import type { Comparison, Layer } from '../report/schema.ts'
import { mean } from '../statistics.ts'
import type { Pair } from './pair.ts'
import { subtract } from './subtract.ts'

/**
 * The mean alpha of both sides over the layers that are fitted on both, where the means of the models are over other layers:
 * they move when layers come, go, or get or lose their fit, though none changed.
 */
export function sharedAlpha({ matched, added, removed }: Pair): Comparison['models'][number]['shared_alpha'] {
  const fitted = (layer: Layer) => layer.status === 'success'
  const shared = matched.filter(({ head, base }) => fitted(head) && fitted(base))
  const others = matched.some(({ head, base }) => fitted(head) !== fitted(base))
  const sameLayers = !others && !added.some(fitted) && removed.length === 0
  if (sameLayers || shared.length === 0) return undefined
  const [head, base] = (['head', 'base'] as const).map(side => mean(shared.map(pair => pair[side].alpha!)))
  return { layers: shared.length, head, base, change: subtract(head, base) }
}

import { layerKey } from '../report/metrics.ts'
import type { Model, Report } from '../report/schema.ts'
import { formatChange, formatReal, plural } from './numbers.ts'

/**
 * Means move when layers come, go, or get or lose their fit, though none changed: alpha over those that are fitted on both sides,
 * as a sentence. Empty where both means are over the same layers.
 */
export function sharedAlpha({ comparison, models }: Report, model: Model): string {
  const compared = comparison?.models[models.indexOf(model)]
  if (!compared?.summary) return ''
  const changed = new Map(compared.layers.map(layer => [layerKey(layer), layer]))
  const added = new Set(compared.added.map(layerKey))
  let same = compared.removed.length === 0
  const shared: { head: number; base: number }[] = []
  for (const layer of model.layers) {
    const key = layerKey(layer)
    const row = changed.get(key)
    const head = layer.status === 'success' ? layer.alpha : null
    const before = added.has(key) ? null : row ? (row.status.base === 'success' ? row.alpha.base : null) : head
    if (head !== null && before !== null) shared.push({ head, base: before })
    else if (head !== before) same = false
  }
  if (same || shared.length === 0) return ''
  const [head, base] = (['head', 'base'] as const).map(
    side => shared.reduce((sum, layer) => sum + layer[side], 0) / shared.length,
  )
  const values = `${formatReal(base)} → ${formatReal(head)} (${formatChange(head - base)})`
  return `over the ${plural(shared.length, 'layer')} fitted on both sides: ${values}`
}

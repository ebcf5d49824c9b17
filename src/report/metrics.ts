import { column, type LayerMetric, needsFit } from './columns.ts'
import type { Layer, Summary } from './schema.ts'

/** Numbers of a model that are not means over its layers. */
export type ModelMetric = 'layers' | 'failed' | 'errors' | 'non_finite' | 'coverage'

export const MODEL_METRICS: readonly ModelMetric[] = [
  'layers',
  'failed',
  'errors',
  'non_finite',
  'coverage',
] satisfies (keyof Summary)[]

export function isModelMetric(name: string): name is ModelMetric {
  return (MODEL_METRICS as readonly string[]).includes(name)
}

/** A layer's number, or null where it has none: no fit, not finite, or not computed by what wrote it. */
export function layerValue(layer: Layer, metric: LayerMetric): number | null {
  return needsFit(metric) && layer.status !== 'success' ? null : (layer[metric] ?? null)
}

/** The columns of a spectral norm. */
export const NORM_METRICS = ['lambda_max', 'spectral_norm', 'log_spectral_norm', 'sv_max'] as const

/** Whether it is known where the spectral norm alone was computed. */
function isKnownWithout(metric: LayerMetric): boolean {
  const { from } = column(metric)
  return from === 'matrix' || from === 'spectrum' || (NORM_METRICS as readonly string[]).includes(metric)
}

/** Whether what wrote the rows computed it. */
export function isComputed(layers: readonly Layer[], metric: LayerMetric): boolean {
  return layers.every(layer => layer[metric] !== undefined && (!layer.only || isKnownWithout(metric)))
}

/** What identifies a layer in a model: name, shape and part, never an index. */
export function layerKey({ name, shape, part }: Pick<Layer, 'name' | 'shape' | 'part'>): string {
  return JSON.stringify([name, shape, part ?? ''])
}

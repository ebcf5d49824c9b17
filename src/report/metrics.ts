import type { Layer, Summary } from './schema.ts'

/** Columns of a layer that hold numbers. */
export type LayerMetric = {
  [K in keyof Layer]-?: Layer[K] extends number | null ? K : never
}[keyof Layer]

/** Numbers of a model that are not means over its layers. */
export type ModelMetric = 'layers' | 'failed' | 'errors' | 'coverage'

/** Numbers that need a fit: those of a layer whose status is not `success` do not count. */
const FIT: ReadonlySet<LayerMetric> = new Set([
  'alpha',
  'D',
  'sigma',
  'xmin',
  'xmax',
  'num_pl_spikes',
  'alpha_weighted',
  'log_alpha_norm',
] satisfies LayerMetric[])

export const LAYER_METRICS: readonly LayerMetric[] = [
  'alpha',
  'alpha_weighted',
  'log_norm',
  'log_alpha_norm',
  'log_spectral_norm',
  'stable_rank',
  'D',
  'sigma',
  'xmin',
  'xmax',
  'num_pl_spikes',
  'norm',
  'spectral_norm',
  'lambda_max',
  'matrix_rank',
  'entropy',
  'rank_loss',
  'weak_rank_loss',
  'sv_max',
  'sv_min',
  'num_evals',
  'N',
  'M',
  'Q',
  'rf',
]
export const MODEL_METRICS: readonly ModelMetric[] = [
  'layers',
  'failed',
  'errors',
  'coverage',
] satisfies (keyof Summary)[]

export function isLayerMetric(name: string): name is LayerMetric {
  return (LAYER_METRICS as readonly string[]).includes(name)
}

export function isModelMetric(name: string): name is ModelMetric {
  return (MODEL_METRICS as readonly string[]).includes(name)
}

/** A layer's number, or null where it has none: no fit, or not finite. */
export function layerValue(layer: Layer, metric: LayerMetric): number | null {
  return FIT.has(metric) && layer.status !== 'success' ? null : layer[metric]
}

/** What identifies a layer in a model: name, shape and part, never an index. */
export function layerKey({ name, shape, part }: Pick<Layer, 'name' | 'shape' | 'part'>): string {
  return JSON.stringify([name, shape, part ?? ''])
}

import { summarise } from '../../src/metrics/summary.ts'
import { LAYER_METRICS, type LayerMetric } from '../../src/report/columns.ts'
import type { Layer, Model, Status } from '../../src/report/schema.ts'

/** A layer's row with these numbers: for rooms that see reports alone. */
export function layer(name: string, alpha: number | null, more: Partial<Layer> = {}): Layer {
  const status: Status = more.status ?? (alpha === null ? 'failed' : 'success')
  return {
    ...(Object.fromEntries(LAYER_METRICS.map(metric => [metric, 1])) as Record<LayerMetric, number>),
    name,
    tensor: `${name}.weight`,
    layer_type: 'dense',
    shape: [64, 64],
    dtype: 'F32',
    N: 64,
    M: 64,
    Q: 1,
    rf: 1,
    num_evals: 64,
    alpha,
    D: alpha && 0.1,
    sigma: alpha && 0.2,
    xmin: alpha && 1,
    xmax: alpha && 9,
    num_pl_spikes: alpha && 20,
    status,
    warning: '',
    alpha_weighted: alpha,
    log_alpha_norm: alpha,
    log_norm: 2,
    norm: 100,
    log_spectral_norm: 1,
    spectral_norm: 10,
    lambda_max: 10,
    stable_rank: 10,
    matrix_rank: 64,
    entropy: 0.9,
    rank_loss: 0,
    weak_rank_loss: 0,
    sv_max: 3,
    sv_min: 0.1,
    alpha_hill: null,
    sigma_hill: null,
    S: null,
    zeros: 0,
    row_levels: 64,
    esd: { log10_edges: [0, 1], counts: [64] },
    ...more,
  }
}

export function model(name: string, layers: Layer[]): Model {
  return {
    name,
    source: { path: `${name}.safetensors`, format: 'safetensors', bytes: 1 },
    layers,
    skipped: [],
    summary: summarise(layers, []),
  }
}

/** Layers with names as long as real ones. */
export function many(n: number, alpha: (i: number) => number | null, more: Partial<Layer> = {}): Layer[] {
  return Array.from({ length: n }, (_, i) => layer(`block.${i}.attention.self.query`, alpha(i), more))
}

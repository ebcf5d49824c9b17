import type { LayerError } from '../errors.ts'
import type { PlannedLayer } from '../layers/select.ts'
import { ANALYSES, askedIn } from '../report/analyses.ts'
import { type ColumnFrom, columnsFrom, columnsOf, type LayerMetric, metricsWith } from '../report/columns.ts'
import type { DescribedLayer } from '../report/description.ts'
import { NORM_METRICS } from '../report/metrics.ts'
import type { AnalysisOptions, Layer } from '../report/schema.ts'
import type { Spectrum } from '../spectrum/engine.ts'
import type { WeightStatistics } from '../spectrum/weights.ts'
import { analysed, notAnalysed } from './analyses.ts'
import type { Bootstrap, BootstrapRequest } from './bootstrap.ts'
import type { Distances } from './distances.ts'
import type { Esd } from './esd.ts'
import type { ClippedFit } from './fingers.ts'
import { hill } from './hill.ts'
import { histogram } from './histogram.ts'
import type { PowerLaw } from './powerlaw.ts'
import { quantiles, sixDigits } from './quantiles.ts'
import { structure } from './structure.ts'
import { clippedFit, fittedValues } from './tail.ts'

/** WeightWatcher's `tolerance` of weak_rank_loss. */
const WEAK_RANK = 1e-6
/** Above it the tail has no spread that a power law could describe. */
const DEGENERATE_ALPHA = 1000
const OVER_TRAINED = 2
const UNDER_TRAINED = 6

/** The columns that follow from the eigenvalues alone. */
const NORMS: Record<ColumnFrom<'norms'>, (esd: Esd, share?: number) => number> = {
  norm: ({ norm }) => norm,
  log_norm: ({ norm }) => Math.log10(norm),
  lambda_max: ({ lambda_max }) => lambda_max,
  spectral_norm: ({ lambda_max }) => lambda_max,
  log_spectral_norm: ({ lambda_max }) => Math.log10(lambda_max),
  stable_rank: ({ norm, lambda_max }) => norm / lambda_max,
  matrix_rank: ({ matrix_rank }) => matrix_rank,
  entropy: ({ lambda, norm, matrix_rank }) => entropy(lambda, norm, matrix_rank),
  rank_loss: ({ matrices }) => matrices.reduce((sum, values) => sum + count(values, value => value === 0), 0),
  weak_rank_loss: ({ lambda }) => count(lambda, value => value < WEAK_RANK),
  sv_max: ({ lambda_max }) => Math.sqrt(lambda_max),
  sv_min: ({ lambda }) => Math.sqrt(lambda[0]),
  alpha_hill: ({ lambda }, share) => hill(lambda, share)?.alpha ?? Number.NaN,
  sigma_hill: ({ lambda }, share) => hill(lambda, share)?.sigma ?? Number.NaN,
}

/** The columns that follow from the weights themselves. */
const WEIGHTS: Record<ColumnFrom<'weights'>, (weights: WeightStatistics) => number> = {
  zeros: ({ zeros }) => zeros,
  row_levels: ({ row_levels }) => row_levels ?? Number.NaN,
}

/** The options of an analysis that a row follows from, beside those that say which layers there are and how they are read. */
export type RowOptions = Partial<
  Pick<
    AnalysisOptions,
    | 'structure'
    | 'conv2d'
    | 'analyses'
    | 'bootstrap'
    | 'hill_share'
    | 'metrics'
    | 'fix_fingers'
    | 'small_sample_fit'
    | 'xmax'
  >
>

/** What the engine finds of a layer. */
export interface Findings {
  readonly spectrum: Spectrum
  /** Spectra of its shuffles; empty where it was not shuffled. */
  readonly shuffled: readonly Spectrum[]
  /** How many of them S is of: as many as without `randomize`. */
  readonly forStructure: number
  readonly weights: WeightStatistics
  /** From a base model. */
  readonly distances?: Distances
  /** Spectra of its square windows. */
  readonly windows?: readonly Spectrum[]
  /** Where it was asked for, and there is a fit. */
  readonly bootstrap?: Bootstrap | null
}

/** The columns that follow from the eigenvalues and the power law of their tail. */
const TAIL: Record<ColumnFrom<'tail'>, (esd: Esd, law: PowerLaw) => number> = {
  alpha_weighted: ({ lambda_max }, { alpha }) => alpha * Math.log10(lambda_max),
  log_alpha_norm: ({ lambda }, { alpha }) => logAlphaNorm(lambda, alpha),
}

/**
 * A layer's row, with WeightWatcher's column names: λ are the pooled eigenvalues of WᵀW after scaling, all of them, zeros
 * included; only the fit is of the tail. `norm` = Σλ and `spectral_norm` = λmax are *squared* norms.
 * Source: WeightWatcher 0.7.5; where we differ on purpose is in docs/metrics.md.
 *
 * @param noiseFloor relative size, against a matrix's largest singular value, below which one counts as 0
 * @param options how the tail is fitted, and what was asked for beside the columns of every row
 */
export function layerMetrics(
  layer: PlannedLayer,
  findings: Findings,
  noiseFloor: number,
  options: RowOptions = {},
): Layer {
  const { spectrum, shuffled, forStructure, weights } = findings
  const cleaned = (spectrum: Spectrum) => scaled(layer, spectrum, noiseFloor)
  const matrices = cleaned(spectrum)
  const lambda = pool(matrices)
  const lambda_max = lambda[lambda.length - 1]
  const norm = lambda.reduce((sum, value) => sum + value, 0)
  const matrix_rank = count(lambda, value => Math.sqrt(value) > noiseFloor * Math.sqrt(lambda_max))
  const esd = { lambda, lambda_max, norm, matrix_rank, matrices }
  const { fit, clipped } = fitTail(esd, options)
  return {
    ...head(layer),
    num_evals: lambda.length,
    ...fit,
    ...perColumn(NORMS, compute => compute(esd, options.hill_share)),
    S: shuffled.length > 0 ? finite(structure(layer, spectrum, shuffled.slice(0, forStructure))) : null,
    ...perColumn(WEIGHTS, compute => compute(weights)),
    ...analysed(askedIn(options), {
      ...{ layer, esd, fit, clipped, distances: findings.distances ?? null, bootstrap: findings.bootstrap ?? null },
      share: options.hill_share,
      windows: findings.windows ? pool(findings.windows.flatMap(cleaned)) : null,
      shuffled: options.analyses?.includes('randomize') ? shuffled.map(spectrum => pool(cleaned(spectrum))) : [],
    }),
    esd: histogram(lambda),
    quantiles: quantiles(lambda),
    sketch: sketchOf(weights),
  }
}

/** What a bootstrap of a layer's fit is of. */
export function bootstrapOf(
  layer: PlannedLayer,
  spectrum: Spectrum,
  noiseFloor: number,
  draws: number,
  { fix_fingers, small_sample_fit, xmax }: RowOptions,
): BootstrapRequest {
  const values = fittedValues(pool(scaled(layer, spectrum, noiseFloor)))
  return { values, options: { fix_fingers, small_sample_fit, xmax }, draws, shape: layer.shape }
}

/** The row of a layer of which the largest eigenvalue alone is known, before scaling. */
export function spectralNormRow(layer: PlannedLayer, largest: number): Layer {
  const lambda = Float64Array.of(layer.scale * largest)
  const [lambda_max] = lambda
  const esd = { lambda, lambda_max, norm: lambda_max, matrix_rank: 1, matrices: [lambda] }
  const known = Object.fromEntries(NORM_METRICS.map(metric => [metric, finite(NORMS[metric](esd))]))
  const status = lambda_max > 0 ? 'success' : 'failed'
  return { ...emptyRow(layer, status), only: 'spectral-norm', ...known }
}

/** None of weights so large that their sums are no numbers. */
function sketchOf({ sketch }: WeightStatistics): number[] {
  return sketch.every(Number.isFinite) ? Array.from(sketch, sixDigits) : []
}

/** The row of a layer that could not be analysed: every number null. */
export function errorRow(layer: PlannedLayer, { code, message }: LayerError, options: RowOptions = {}): Layer {
  return {
    ...emptyRow(layer, 'error'),
    ...(options.metrics && { only: options.metrics }),
    error: { code, message },
    ...notAnalysed(askedIn(options)),
  }
}

function emptyRow(layer: PlannedLayer, status: Layer['status']): Layer {
  return {
    ...head(layer),
    ...NO_FIT,
    status,
    ...perColumn(NORMS, () => Number.NaN),
    S: null,
    ...perColumn(WEIGHTS, () => Number.NaN),
    esd: { log10_edges: [], counts: [] },
  }
}

/** Whether a row has every column that this version computes with these options. */
export function isComplete(row: Layer, options: RowOptions = {}): boolean {
  if (options.metrics !== row.only) return false
  if (row.only) return NORM_METRICS.every(metric => row[metric] !== undefined)
  return (
    metricsWith(askedIn(options)).every(metric => row[metric] !== undefined) &&
    row.quantiles !== undefined &&
    row.sketch !== undefined &&
    (options.bootstrap === undefined || row.p_value === null || row.bootstrap_draws === options.bootstrap) &&
    (row.S !== null || hasNoStructure(row, options))
  )
}

/** A product of low rank and an operator are not shuffled; nor is anything where S was not asked for. */
function hasNoStructure({ matrix_rank, num_evals }: Layer, { structure, conv2d }: RowOptions): boolean {
  return structure === false || conv2d === 'operator' || (matrix_rank ?? 0) < num_evals
}

/** A row without the columns that these options do not ask for. */
export function withOnly(row: Layer, options: RowOptions = {}): Layer {
  const asked = askedIn(options)
  const others = new Set<string>(columnsOf(...ANALYSES.filter(name => !asked.includes(name))))
  return Object.fromEntries(Object.entries(row).filter(([name]) => !others.has(name))) as Layer
}

/** The row of a layer whose fingerprint another row has: its numbers, under this layer's names. */
export function sameRow(
  layer: DescribedLayer,
  { digest, ...identity }: Pick<Layer, 'digest' | 'fingerprint'>,
  { part: _, place: __, ...row }: Layer,
  from: 'baseline' | 'run',
): Layer {
  const same = { ...row, ...head(layer) }
  return row.status === 'error' ? same : { ...same, ...identity, ...(digest !== undefined && { digest }), reused: from }
}

function head({ name, tensor, place, part, ...one }: DescribedLayer): DescribedLayer {
  const { layer_type, shape, dtype, N, M, Q, rf, num_evals } = one
  const which = { ...(place !== undefined && { place }), ...(part !== undefined && { part }) }
  return { name, tensor, ...which, layer_type, shape, dtype, N, M, Q, rf, num_evals }
}

function scaled({ scale }: PlannedLayer, { matrices }: Spectrum, noiseFloor: number): Float64Array[] {
  return matrices.map(values => clean(values, scale, noiseFloor))
}

/** Scaled, with what is within the noise of the matrix's largest singular value set to 0. */
function clean(values: Float64Array, scale: number, noiseFloor: number): Float64Array {
  const floor = noiseFloor * Math.sqrt(values[values.length - 1])
  return values.map(value => (Math.sqrt(value) > floor ? scale * value : 0))
}

function pool(matrices: readonly Float64Array[]): Float64Array {
  if (matrices.length === 1) return matrices[0]
  const all = new Float64Array(matrices.reduce((sum, values) => sum + values.length, 0))
  let offset = 0
  for (const values of matrices) {
    all.set(values, offset)
    offset += values.length
  }
  return all.sort()
}

export type Fit = Pick<Layer, ColumnFrom<'fit' | 'tail'> | 'status' | 'warning'>

const NO_FIT: Fit = {
  ...(Object.fromEntries(columnsFrom('fit').map(metric => [metric, null])) as Record<ColumnFrom<'fit'>, null>),
  status: 'failed',
  warning: '',
  ...perColumn(TAIL, () => Number.NaN),
}

function fitTail(esd: Esd, options: RowOptions): { fit: Fit; clipped: ClippedFit } {
  const { lambda } = esd
  const clipped = clippedFit(fittedValues(lambda), options)
  const { law } = clipped
  if (!law) return { fit: NO_FIT, clipped }
  const { alpha, D, sigma, xmin, xmax } = law
  const fit: Fit = {
    alpha: finite(alpha),
    D: finite(D),
    sigma: finite(sigma),
    xmin,
    xmax,
    num_pl_spikes: count(lambda, value => value >= xmin),
    status: alpha <= DEGENERATE_ALPHA ? 'success' : 'degenerate',
    warning: alpha < OVER_TRAINED ? 'over-trained' : alpha > UNDER_TRAINED ? 'under-trained' : '',
    ...perColumn(TAIL, compute => compute(esd, law)),
  }
  return { fit, clipped }
}

/** What each computation gives, null where that is not finite. */
function perColumn<K extends LayerMetric, Computation>(
  computations: Record<K, Computation>,
  value: (computation: Computation) => number,
): Record<K, number | null> {
  const entries = (Object.entries(computations) as [K, Computation][]).map(([metric, computation]) => {
    return [metric, finite(value(computation))]
  })
  return Object.fromEntries(entries) as Record<K, number | null>
}

/** log10 Σ λ^alpha, summed in log space so that it neither over- nor underflows. */
function logAlphaNorm(lambda: Float64Array, alpha: number): number {
  const top = Math.log(lambda[lambda.length - 1])
  let sum = 0
  for (const value of lambda) if (value > 0) sum += Math.exp(alpha * (Math.log(value) - top))
  return (alpha * top + Math.log(sum)) / Math.LN10
}

/** Matrix entropy −Σ p ln p / ln rank with p = λ/Σλ, WeightWatcher's 1e-10 in both places; 0 for rank 1 and 0. */
function entropy(lambda: Float64Array, norm: number, rank: number): number {
  if (rank < 2) return 0
  let sum = 0
  for (const value of lambda) {
    const p = value / norm + 1e-10
    sum -= p * Math.log(p)
  }
  return sum / Math.log(rank + 1e-10)
}

function count(values: Float64Array, holds: (value: number) => boolean): number {
  let n = 0
  for (const value of values) if (holds(value)) n++
  return n
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

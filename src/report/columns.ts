import { ANALYSES, type Analysis } from './analyses.ts'

/** One number of a layer. All that is said, shown, judged or written of it follows from this. */
interface Column {
  /** `count`: a whole number. */
  readonly kind: 'count' | 'real' | 'share'
  /** λ is an eigenvalue of WᵀW; empty where the number has no unit. */
  readonly unit: '' | 'λ' | '√λ' | 'log10 λ'
  /** For docs/metrics.md and the report's schema, in Markdown. */
  readonly help: string
  /**
   * What it follows from, which is also its place in the report: `matrix` is known from the header, `spectrum` from the number of
   * eigenvalues, `fit` and `tail` need the fit of the power law, `norms` all eigenvalues, `shuffle` those of the shuffled weights,
   * too, `weights` the weights themselves.
   */
  readonly from: 'matrix' | 'spectrum' | 'fit' | 'tail' | 'norms' | 'shuffle' | 'weights'
  /** The first version that wrote it: reports of earlier ones lack it. */
  readonly since: string
  /** The analysis that computes it, where a row has it only on request. */
  readonly analysis?: Analysis
  /** Its place among the model's means, from 1. */
  readonly summary?: number
  /** Whether its mean joins those of the model where its analysis was asked for. */
  readonly mean?: true
  /** Whether the comparison holds head, base and change of each layer that differs. */
  readonly compared?: true
  /** Tables that show it: the comment's, its brief form, the terminal's. */
  readonly shown?: readonly ('comment' | 'brief' | 'terminal')[]
  /** Its heading in the terminal, where its name is long. */
  readonly label?: string
}

/** The columns of a layer, in the order of the report, named as in WeightWatcher. To add one, add its row here and its function in metrics/. */
export const COLUMNS = {
  N: {
    kind: 'count',
    unit: '',
    help: 'the longer side of one matrix',
    from: 'matrix',
    since: '0.1.0',
    shown: ['comment'],
  },
  M: {
    kind: 'count',
    unit: '',
    help: 'the shorter side of one matrix',
    from: 'matrix',
    since: '0.1.0',
    shown: ['comment'],
  },
  Q: { kind: 'real', unit: '', help: 'N/M', from: 'matrix', since: '0.1.0' },
  rf: {
    kind: 'count',
    unit: '',
    help: 'receptive field: kernel slices of a convolution, kh·kw; 1 for a dense layer',
    from: 'matrix',
    since: '0.1.0',
  },
  num_evals: {
    kind: 'count',
    unit: '',
    help: 'how many eigenvalues the ESD has, M·rf',
    from: 'spectrum',
    since: '0.1.0',
    shown: ['comment', 'brief', 'terminal'],
    label: 'evals',
  },
  alpha: {
    kind: 'real',
    unit: '',
    help: 'exponent of the power law λ^(−alpha) fitted to the tail, λ ≥ `xmin`. Smaller means heavier: more correlation learned. About 2 is ideal, below 2 `over-trained`, above 6 `under-trained`',
    from: 'fit',
    since: '0.1.0',
    summary: 1,
    compared: true,
    shown: ['comment', 'brief', 'terminal'],
  },
  D: {
    kind: 'real',
    unit: '',
    help: 'Kolmogorov-Smirnov distance between tail and fit: how well a power law describes it',
    from: 'fit',
    since: '0.1.0',
    shown: ['comment', 'brief', 'terminal'],
  },
  sigma: {
    kind: 'real',
    unit: '',
    help: "standard error of alpha, (alpha − 1)/√n over the tail's n eigenvalues",
    from: 'fit',
    since: '0.1.0',
    compared: true,
    shown: ['comment'],
  },
  xmin: { kind: 'real', unit: 'λ', help: 'where the tail begins', from: 'fit', since: '0.1.0' },
  xmax: { kind: 'real', unit: 'λ', help: 'where the tail ends: the largest eigenvalue', from: 'fit', since: '0.1.0' },
  num_pl_spikes: {
    kind: 'count',
    unit: '',
    help: 'how many eigenvalues are in the tail',
    from: 'fit',
    since: '0.1.0',
    shown: ['comment'],
  },
  alpha_weighted: {
    kind: 'real',
    unit: 'log10 λ',
    help: 'alpha · log10 λmax',
    from: 'tail',
    since: '0.1.0',
    summary: 2,
    compared: true,
    shown: ['comment', 'terminal'],
  },
  log_alpha_norm: {
    kind: 'real',
    unit: 'log10 λ',
    help: 'log10 Σ λ^alpha',
    from: 'tail',
    since: '0.1.0',
    summary: 4,
  },
  alpha_hill: {
    kind: 'real',
    unit: '',
    help: "Hill's estimator of alpha over the largest quarter of the positive eigenvalues, or `hill-share` of them: 1 + k/Σ ln(λᵢ/λ₍ₖ₎). The tail is fixed beforehand, so that it moves only where the spectrum does",
    from: 'norms',
    since: '0.1.0',
    compared: true,
    shown: ['comment'],
  },
  sigma_hill: {
    kind: 'real',
    unit: '',
    help: 'standard error of alpha_hill, (alpha_hill − 1)/√k',
    from: 'norms',
    since: '0.1.0',
  },
  log_norm: {
    kind: 'real',
    unit: 'log10 λ',
    help: 'log10 of `norm`',
    from: 'norms',
    since: '0.1.0',
    summary: 3,
    compared: true,
    shown: ['comment', 'terminal'],
  },
  norm: { kind: 'real', unit: 'λ', help: 'Σλ, the squared Frobenius norm', from: 'norms', since: '0.1.0' },
  log_spectral_norm: {
    kind: 'real',
    unit: 'log10 λ',
    help: 'log10 of `lambda_max`',
    from: 'norms',
    since: '0.1.0',
    summary: 5,
    compared: true,
    shown: ['comment', 'terminal'],
  },
  spectral_norm: {
    kind: 'real',
    unit: 'λ',
    help: '`lambda_max` under its other name: a squared norm',
    from: 'norms',
    since: '0.1.0',
  },
  lambda_max: { kind: 'real', unit: 'λ', help: 'the largest eigenvalue', from: 'norms', since: '0.1.0' },
  stable_rank: {
    kind: 'real',
    unit: '',
    help: 'Σλ / λmax',
    from: 'norms',
    since: '0.1.0',
    summary: 6,
    shown: ['comment'],
  },
  matrix_rank: { kind: 'count', unit: '', help: 'singular values above the noise', from: 'norms', since: '0.1.0' },
  entropy: { kind: 'real', unit: '', help: '−Σ p ln p / ln rank, p = λ/Σλ', from: 'norms', since: '0.1.0' },
  rank_loss: { kind: 'count', unit: '', help: 'singular values within the noise', from: 'norms', since: '0.1.0' },
  weak_rank_loss: { kind: 'count', unit: '', help: 'eigenvalues below 1e-6', from: 'norms', since: '0.1.0' },
  sv_max: { kind: 'real', unit: '√λ', help: 'the largest singular value', from: 'norms', since: '0.1.0' },
  sv_min: { kind: 'real', unit: '√λ', help: 'the smallest singular value', from: 'norms', since: '0.1.0' },
  S: {
    kind: 'real',
    unit: '',
    help: 'structure: how far the singular values are from those of the shuffled weights, in units of what chance does. 2.3 or less is `random-like`',
    from: 'shuffle',
    since: '0.1.0',
    shown: ['comment'],
  },
  zeros: {
    kind: 'share',
    unit: '',
    help: 'share of the weights that are exactly 0: pruning',
    from: 'weights',
    since: '0.1.0',
  },
  row_levels: {
    kind: 'count',
    unit: '',
    help: 'median number of distinct values in a row or a column of weights, whichever is fewer, of 33 of each: rounding',
    from: 'weights',
    since: '0.1.0',
  },
  sigma_mp: {
    kind: 'real',
    unit: '',
    help: 'scale of the Marchenko-Pastur law fitted to the bulk of W_scale²·λ, whose mean is 1: about 1 for noise',
    from: 'norms',
    since: '0.1.0',
    analysis: 'mp-fit',
  },
  bulk_min: {
    kind: 'real',
    unit: 'λ',
    help: 'where the fitted bulk begins, λ₋',
    from: 'norms',
    since: '0.1.0',
    analysis: 'mp-fit',
  },
  bulk_max: {
    kind: 'real',
    unit: 'λ',
    help: 'where the fitted bulk ends, λ₊',
    from: 'norms',
    since: '0.1.0',
    analysis: 'mp-fit',
  },
  num_spikes: {
    kind: 'count',
    unit: '',
    help: 'eigenvalues beyond the bulk and its fluctuation (Tracy-Widom)',
    from: 'norms',
    since: '0.1.0',
    analysis: 'mp-fit',
  },
  mp_softrank: {
    kind: 'real',
    unit: '',
    help: 'λ₊ / λmax: near 1 and above there is no structure beyond noise',
    from: 'norms',
    since: '0.1.0',
    analysis: 'mp-fit',
    mean: true,
  },
  W_scale: {
    kind: 'real',
    unit: '',
    help: '√(n/Σλ), by which W is scaled before the fit',
    from: 'norms',
    since: '0.1.0',
    analysis: 'mp-fit',
  },
  rand_distance: {
    kind: 'real',
    unit: '',
    help: 'Jensen-Shannon distance between the sorted eigenvalues and those of the shuffled weights, mean over the shuffles',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  rand_distance_sd: {
    kind: 'real',
    unit: '',
    help: 'its standard deviation over the shuffles: what of a change is their noise',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  max_rand_eval: {
    kind: 'real',
    unit: 'λ',
    help: 'the largest eigenvalue of the shuffled weights',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  ww_softrank: {
    kind: 'real',
    unit: '',
    help: '`max_rand_eval` / λmax, of single shuffles',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  ww_softrank_sd: {
    kind: 'real',
    unit: '',
    help: 'its standard deviation over the shuffles',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  ww_maxdist: {
    kind: 'real',
    unit: 'λ',
    help: 'λmax − `max_rand_eval`, of single shuffles',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  rand_sigma_mp: {
    kind: 'real',
    unit: '',
    help: '`sigma_mp` of the shuffled weights',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  rand_bulk_min: {
    kind: 'real',
    unit: 'λ',
    help: '`bulk_min` of the shuffled weights',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  rand_bulk_max: {
    kind: 'real',
    unit: 'λ',
    help: '`bulk_max` of the shuffled weights',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  rand_mp_softrank: {
    kind: 'real',
    unit: '',
    help: '`mp_softrank` of the shuffled weights',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  rand_W_scale: {
    kind: 'real',
    unit: '',
    help: '`W_scale` of the shuffled weights',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  rand_num_spikes: {
    kind: 'real',
    unit: '',
    help: '`num_spikes` of the shuffled weights, correlation traps: single weights so large that no order hides them. Below 100 eigenvalues of five shuffles together',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  num_traps: {
    kind: 'real',
    unit: '',
    help: '`rand_num_spikes` under its newer name',
    from: 'shuffle',
    since: '0.1.0',
    analysis: 'randomize',
  },
  detX_num: {
    kind: 'count',
    unit: '',
    help: 'how many of the largest eigenvalues, rescaled to mean 1, it takes for their product to fall below 1',
    from: 'norms',
    since: '0.1.0',
    analysis: 'detx',
  },
  detX_val: { kind: 'real', unit: 'λ', help: 'the least of them', from: 'norms', since: '0.1.0', analysis: 'detx' },
  num_ERG_spikes: {
    kind: 'count',
    unit: '',
    help: '`detX_num` under its newer name',
    from: 'norms',
    since: '0.1.0',
    analysis: 'detx',
  },
  ERG_gap: {
    kind: 'real',
    unit: '',
    help: '`detX_num` − `num_pl_spikes`: 0 where the tail of the fit is the one that the determinant sets off',
    from: 'fit',
    since: '0.1.0',
    analysis: 'detx',
  },
  delta_W: {
    kind: 'real',
    unit: '√λ',
    help: 'Frobenius norm of W − W_base, not scaled',
    from: 'weights',
    since: '0.1.0',
    analysis: 'distances',
  },
  delta_W_relative: {
    kind: 'real',
    unit: '',
    help: '`delta_W` over the norm of W_base',
    from: 'weights',
    since: '0.1.0',
    analysis: 'distances',
  },
  cosine: {
    kind: 'real',
    unit: '',
    help: '⟨W, W_base⟩ over the product of their norms',
    from: 'weights',
    since: '0.1.0',
    analysis: 'distances',
  },
  cka: {
    kind: 'real',
    unit: '',
    help: '‖WᵀW_base‖ / √(‖WᵀW‖·‖W_baseᵀW_base‖), the mean over the slices of a convolution',
    from: 'weights',
    since: '0.1.0',
    analysis: 'distances',
  },
  lognormal_mu: {
    kind: 'real',
    unit: '',
    help: 'mean of ln λ of the log-normal law of the tail; null where its likelihood grows without end, towards the power law',
    from: 'fit',
    since: '0.1.0',
    analysis: 'other-laws',
  },
  lognormal_sigma: {
    kind: 'real',
    unit: '',
    help: 'its standard deviation of ln λ',
    from: 'fit',
    since: '0.1.0',
    analysis: 'other-laws',
  },
  exponential_lambda: {
    kind: 'real',
    unit: '',
    help: 'rate of the exponential law of the tail, 1/λ',
    from: 'fit',
    since: '0.1.0',
    analysis: 'other-laws',
  },
  truncated_alpha: {
    kind: 'real',
    unit: '',
    help: 'exponent of the truncated power law λ^(−alpha)·e^(−Lambda·λ) of the tail',
    from: 'fit',
    since: '0.1.0',
    analysis: 'other-laws',
  },
  Lambda: {
    kind: 'real',
    unit: '',
    help: 'its rate, 1/λ; 0 where it is the power law',
    from: 'fit',
    since: '0.1.0',
    analysis: 'other-laws',
  },
  R_lognormal: {
    kind: 'real',
    unit: '',
    help: 'log-likelihood ratio of power law to log-normal, over its standard deviation: below 0 the log-normal is the likelier',
    from: 'fit',
    since: '0.1.0',
    analysis: 'other-laws',
  },
  p_lognormal: {
    kind: 'real',
    unit: '',
    help: 'p of that ratio where neither is better (Vuong)',
    from: 'fit',
    since: '0.1.0',
    analysis: 'other-laws',
  },
  R_exponential: {
    kind: 'real',
    unit: '',
    help: 'the same to the exponential law',
    from: 'fit',
    since: '0.1.0',
    analysis: 'other-laws',
  },
  p_exponential: {
    kind: 'real',
    unit: '',
    help: 'p of that ratio',
    from: 'fit',
    since: '0.1.0',
    analysis: 'other-laws',
  },
  R_truncated: {
    kind: 'real',
    unit: '',
    help: 'log-likelihood ratio of power law to truncated power law, never above 0',
    from: 'fit',
    since: '0.1.0',
    analysis: 'other-laws',
  },
  p_truncated: {
    kind: 'real',
    unit: '',
    help: 'p of that ratio where the tail is a power law (χ² of one degree)',
    from: 'fit',
    since: '0.1.0',
    analysis: 'other-laws',
  },
  alpha_hill_farms: {
    kind: 'real',
    unit: '',
    help: '`alpha_hill` of square windows of the matrix together: the aspect ratio Q takes no part, so that layers of different shape can be compared',
    from: 'norms',
    since: '0.1.0',
    analysis: 'farms',
  },
  p_value: {
    kind: 'real',
    unit: '',
    help: 'share of samples of the fitted power law, below `xmin` of the eigenvalues there, whose own fit has a larger D: near 0 the tail is no power law',
    from: 'fit',
    since: '0.1.0',
    analysis: 'bootstrap',
  },
  alpha_low: {
    kind: 'real',
    unit: '',
    help: 'lower end of the 95 % bootstrap interval of alpha, with the search for xmin',
    from: 'fit',
    since: '0.1.0',
    analysis: 'bootstrap',
  },
  alpha_high: {
    kind: 'real',
    unit: '',
    help: 'its upper end',
    from: 'fit',
    since: '0.1.0',
    analysis: 'bootstrap',
  },
  bootstrap_draws: {
    kind: 'count',
    unit: '',
    help: 'how many draws each is of',
    from: 'fit',
    since: '0.1.0',
    analysis: 'bootstrap',
  },
  raw_alpha: {
    kind: 'real',
    unit: '',
    help: 'alpha of the fit to all eigenvalues, before any was clipped',
    from: 'fit',
    since: '0.1.0',
    analysis: 'fix-fingers',
  },
  num_fingers: {
    kind: 'count',
    unit: '',
    help: 'how many of the largest eigenvalues were clipped, less one; 0 for none',
    from: 'fit',
    since: '0.1.0',
    analysis: 'fix-fingers',
  },
} as const satisfies Record<string, Column>

/** A column of a layer. */
export type LayerMetric = keyof typeof COLUMNS

type Columns = typeof COLUMNS

/** The columns of every row that follow from this. */
export type ColumnFrom<From extends Column['from']> = {
  [K in LayerMetric]: Columns[K] extends { readonly analysis: Analysis }
    ? never
    : Columns[K]['from'] extends From
      ? K
      : never
}[LayerMetric]

/** The columns that an analysis adds. */
export type ColumnOf<A extends Analysis> = {
  [K in LayerMetric]: Columns[K] extends { readonly analysis: A } ? K : never
}[LayerMetric]

/** A model mean, over the layers whose status is `success`. Named as in WeightWatcher's `get_summary()`. */
export type SummaryMetric = {
  [K in LayerMetric]: (typeof COLUMNS)[K] extends { readonly summary: number } ? K : never
}[LayerMetric]

/** A column whose change the comparison holds for each layer. */
export type ComparedMetric = {
  [K in LayerMetric]: (typeof COLUMNS)[K] extends { readonly compared: true } ? K : never
}[LayerMetric]

const NAMES = Object.keys(COLUMNS) as LayerMetric[]

export function column(metric: LayerMetric): Column {
  return COLUMNS[metric]
}

export function columnsFrom<From extends Column['from']>(...from: readonly From[]): ColumnFrom<From>[] {
  return NAMES.filter(
    (name): name is ColumnFrom<From> =>
      !column(name).analysis && (from as readonly string[]).includes(column(name).from),
  )
}

/** The columns that these analyses add, in the order of the report. */
export function columnsOf<A extends Analysis>(...analyses: readonly A[]): ColumnOf<A>[] {
  return NAMES.filter((name): name is ColumnOf<A> => (analyses as readonly unknown[]).includes(column(name).analysis))
}

export function columnsShown(where: NonNullable<Column['shown']>[number]): LayerMetric[] {
  return NAMES.filter(name => column(name).shown?.includes(where))
}

export const SUMMARY_METRICS: readonly SummaryMetric[] = NAMES.filter(
  (name): name is SummaryMetric => column(name).summary !== undefined,
).sort((a, b) => column(a).summary! - column(b).summary!)

/** Columns of analyses whose means the summary has where they were asked for. */
export const REQUESTED_MEANS: readonly LayerMetric[] = NAMES.filter(name => column(name).mean)

export const COMPARED_METRICS: readonly ComparedMetric[] = NAMES.filter(
  (name): name is ComparedMetric => column(name).compared === true,
)

/** The columns of every row, those of the summary first: the order in which people read them. */
export const LAYER_METRICS: readonly LayerMetric[] = [
  ...SUMMARY_METRICS,
  ...columnsFrom('fit', 'tail', 'norms', 'shuffle', 'weights').filter(
    name => !(SUMMARY_METRICS as readonly LayerMetric[]).includes(name),
  ),
  ...columnsFrom('spectrum'),
  ...columnsFrom('matrix'),
]

/** Every column that there can be. */
export const ALL_METRICS: readonly LayerMetric[] = [...LAYER_METRICS, ...columnsOf(...ANALYSES)]

/** The columns of a row where these analyses were asked for. */
export function metricsWith(analyses: readonly Analysis[] = []): readonly LayerMetric[] {
  return [...LAYER_METRICS, ...columnsOf(...analyses)]
}

export function isLayerMetric(name: string): name is LayerMetric {
  return Object.hasOwn(COLUMNS, name)
}

/** Whether it needs a fit: of a layer whose status is not `success` it does not count. */
export function needsFit(metric: LayerMetric): boolean {
  const { from } = column(metric)
  return from === 'fit' || from === 'tail'
}

/** The columns as a table in Markdown, for docs/metrics.md. */
export function columnTable(): string {
  const rows = ALL_METRICS.map(name => {
    const { unit, help, summary, mean, since, analysis } = column(name)
    const asked = analysis ? `\`${analysis}\`` : ''
    return `| \`${name}\` | ${unit} | ${needsFit(name) ? 'yes' : ''} | ${summary || mean ? 'yes' : ''} | ${asked} | ${since} | ${help} |`
  })
  return `${['| column | unit | needs a fit | in the summary | with | since | what it is |', '| --- | --- | --- | --- | --- | --- | --- |', ...rows].join('\n')}\n`
}

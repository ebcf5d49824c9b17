import type { LayerMetric } from './columns.ts'
import type { Judgement, Layer, Status } from './schema.ts'

/**
 * The largest S of a layer that can't be told from the same weights in a random order. Measured: 99.5 % of 220 fresh matrices of 50
 * to 500 columns (Gaussian, uniform, Kaiming; dense and kernels) are at or below it, and 2 % of the trained layers of real networks.
 */
export const RANDOM_LIKE = 2.3

/** Whether its spectrum shows nothing that the same weights in a random order would not. */
export function isRandomLike({ S }: Pick<Layer, 'S'>): boolean {
  return typeof S === 'number' && S <= RANDOM_LIKE
}

/** Whether a row is of what an adapter adds to a weight (ΔW), and not of the weight: by the key of the factor that it is named by. */
export function isUpdate({ tensor }: Pick<Layer, 'tensor'>): boolean {
  return /(?:^|[._])lora[._](?:B|up|embedding_B)(?:\.|$)/.test(tensor)
}

/** Whether a layer takes part in what is averaged. */
export function isJudged({ note }: Pick<Judgement['layers'][number], 'note'>): boolean {
  return note === '' || note === 'random-like'
}

/** What a layer's numbers say of it. */
interface AdviceKind {
  /** The column that it follows from: without it nothing is known. */
  readonly needs: LayerMetric
  /** For docs/metrics.md, in Markdown. */
  readonly what: string
  readonly source: string
  readonly applies: (layer: Layer) => boolean
}

/** Share of the singular values within the noise from which on a layer counts as collapsed. */
const COLLAPSED = 0.1

/** The level of `poor-fit`, where a bootstrap was asked for. */
const POOR_P = 0.01

/** The 1 % point of the modified Kolmogorov-Smirnov statistic for an exponential law whose rate is estimated. */
const POOR_FIT = 1.308

/** All that is advised of single layers, and when. */
export const ADVICE = {
  'over-trained': {
    needs: 'alpha',
    what: 'alpha below 2: the mean of such a law is infinite, and more than the task may have been learned',
    source: 'Martin & Mahoney 2021, very heavy-tailed; WeightWatcher’s `warning`',
    applies: ({ warning }) => warning === 'over-trained',
  },
  'under-trained': {
    needs: 'alpha',
    what: 'alpha above 6: hardly a heavy tail',
    source: 'WeightWatcher’s `warning`',
    applies: ({ warning }) => warning === 'under-trained',
  },
  'random-like': {
    needs: 'S',
    what: `S at ${RANDOM_LIKE} or below: the spectrum is that of the same weights in a random order`,
    source: '[measured](#structure) on 220 fresh matrices',
    applies: isRandomLike,
  },
  'correlation-trap': {
    needs: 'rand_num_spikes',
    what: '`rand_num_spikes` above 0: single weights so large that the shuffled matrix has spikes, too',
    source: 'WeightWatcher’s `randomize`, Martin & Mahoney 2021',
    applies: ({ rand_num_spikes: traps }) => typeof traps === 'number' && traps > 0,
  },
  'rank-collapsed': {
    needs: 'rank_loss',
    what: `\`rank_loss\` of ${100 * COLLAPSED} % of \`num_evals\` or more: so many directions are within the noise. Weights of low rank that were rounded to float32 have noise above it`,
    source: 'numerical rank (Golub & Van Loan, _Matrix Computations_, 5.4); the share is ours',
    applies: ({ rank_loss, num_evals }) =>
      typeof rank_loss === 'number' && rank_loss > 0 && rank_loss >= COLLAPSED * num_evals,
  },
  'poor-fit': {
    needs: 'D',
    what: `(D − 0.2/n)·(√n + 0.26 + 0.5/√n) above ${POOR_FIT}, n \`num_pl_spikes\`: at 1 % the tail is no power law. ln(λ/xmin) of a power law is exponential; xmin is chosen for the least D, so that fewer are called. With \`bootstrap\`: \`p_value\` below ${POOR_P}`,
    source:
      'Stephens 1974 (_EDF Statistics_, JASA 69, exponential law of unknown rate), in place of the bootstrap of Clauset, Shalizi & Newman 2009',
    applies: ({ status, D, num_pl_spikes: n, p_value }) => {
      if (status !== 'success' || typeof D !== 'number' || typeof n !== 'number' || n < 2) return false
      if (typeof p_value === 'number') return p_value < POOR_P
      return (D - 0.2 / n) * (Math.sqrt(n) + 0.26 + 0.5 / Math.sqrt(n)) > POOR_FIT
    },
  },
} as const satisfies Record<string, AdviceKind>

export type Advice = keyof typeof ADVICE

export const ADVICE_NAMES = Object.keys(ADVICE) as Advice[]

export function isAdvice(name: string): name is Advice {
  return Object.hasOwn(ADVICE, name)
}

/** What is advised of a layer, in the order of the table; nothing where it could not be read. */
export function adviceOf(layer: Layer): Advice[] {
  return layer.status === 'error' ? [] : ADVICE_NAMES.filter(name => ADVICE[name].applies(layer))
}

/** The advice as a table in Markdown, for docs/metrics.md. */
export function adviceTable(): string {
  const rows = ADVICE_NAMES.map(name => `| \`${name}\` | ${ADVICE[name].what} | ${ADVICE[name].source} |`)
  return `${['| advice | where | source |', '| --- | --- | --- |', ...rows].join('\n')}\n`
}

/** How a layer is, in the words of every view. */
export function stateOf({ status, warning }: Pick<Layer, 'status' | 'warning'>): string {
  return warning ? `${status}, ${warning}` : status
}

/** What became of a layer's fit. */
export function stateChange({ head, base }: { head: Status; base: Status }): string {
  return head === base ? head : `${base} → ${head}`
}

/** Why a layer has no usable fit. */
export function whyUnfitted({ status, error, lambda_max, num_evals }: Layer): string {
  if (status === 'error') return error?.message ?? ''
  if (status === 'degenerate') return 'its tail has no spread that a power law could describe'
  if (lambda_max === 0) return 'all its eigenvalues are 0'
  return `fewer than two of its ${num_evals} eigenvalues exceed 0.00001`
}

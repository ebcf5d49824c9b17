/** Where an option may be set. What the command line takes, an input and the config file take, too. */
export type Place = 'cli' | 'action' | 'file'

export interface Option {
  /** `lines`: several, one a line. `flag`: true or false. */
  readonly type: 'text' | 'lines' | 'count' | 'flag'
  /** What stands for its value in the help. */
  readonly value?: string
  /** The only values that it takes. */
  readonly values?: readonly string[]
  readonly default?: string
  /** The input's default in action.yml: an expression. No other input has one there, for it would override the config file. */
  readonly expression?: string
  readonly help: string
  readonly in: readonly Place[]
  /**
   * It can let pass what would have failed. In a pull request such a change takes effect once it is merged: those who are judged
   * do not set the rules.
   */
  readonly loosens?: true
}

const EVERYWHERE = ['cli', 'action', 'file'] as const
const WORKFLOW = ['action', 'file'] as const
const INPUT = ['action'] as const

export const COMMENT_MODES = ['always', 'on-change', 'on-failure', 'never'] as const

/** Every option there is. action.yml, --help, the schema of the config file and the README's table follow from it. */
export const TABLE = {
  checkpoint: {
    type: 'lines',
    in: INPUT,
    help: 'Checkpoint files or Hugging Face folders, one a line. NAME=PATH gives a model a name of its own. Required, but for `mode: merge` and `mode: series`.',
  },
  mode: {
    type: 'text',
    values: ['gate', 'part', 'merge', 'comment', 'series'],
    in: INPUT,
    help: "`gate`; or `part`, for the metrics of one leg of a matrix, kept for a later job; or `merge`, in that job: one report, one verdict and one comment from all parts; or `comment`, on workflow_run, for what a fork's run reports; or `series`, for `series` alone. Default gate, or part where a shard is set.",
  },
  shard: {
    type: 'text',
    value: 'I/N',
    in: ['cli', 'action'],
    help: "Only the I-th of N shares of each model's layers, such as 2/4, balanced by cost: a part of a report, to be merged with the others.",
  },
  reports: {
    type: 'lines',
    in: INPUT,
    help: 'For `mode: merge`, the files of the parts, or folders of them, one a line. By default what the other jobs of this run uploaded (needs actions: read).',
  },
  needs: {
    type: 'lines',
    in: INPUT,
    help: 'For `mode: merge`, the jobs whose parts are meant: `toJSON(needs)` as an expression, or their ids, one a line. By default all jobs of this run.',
  },
  'missing-checkpoint': {
    type: 'text',
    values: ['error', 'inconclusive', 'inconclusive-on-forks'],
    default: 'error',
    in: WORKFLOW,
    loosens: true,
    help: 'What a checkpoint that is not there means, or of which only a Git LFS or DVC pointer is: `error`; `inconclusive`; or `inconclusive-on-forks`, for pull requests of forks and what Dependabot started, which have no credentials to fetch it: there the job goes on, elsewhere it is an error.',
  },
  baseline: {
    type: 'text',
    value: 'PATH',
    in: EVERYWHERE,
    loosens: true,
    help: 'An earlier report (JSON) or another checkpoint to compare with. In the Action also `auto` (the default: what this workflow published for the base commit or the nearest one before it), `none` and `run:ID`.',
  },
  'baseline-required': {
    type: 'flag',
    default: 'false',
    in: WORKFLOW,
    loosens: true,
    help: 'Whether the job fails where there is nothing to compare with, on a first run too.',
  },
  'baseline-max-age': {
    type: 'text',
    value: 'AGE',
    in: WORKFLOW,
    loosens: true,
    help: 'A baseline older than this counts as expired, such as 30d, 36h or 8w. By default as long as its artifact lives.',
  },
  'baseline-branch': {
    type: 'text',
    value: 'BRANCH',
    in: WORKFLOW,
    loosens: true,
    help: "Branch whose baselines are compared with. By default the pull request's base, or the branch that was pushed.",
  },
  'baseline-workflow': {
    type: 'text',
    value: 'FILE',
    in: WORKFLOW,
    loosens: true,
    help: 'Workflow that publishes the baselines, such as train.yml. By default this one.',
  },
  'baseline-artifact': {
    type: 'text',
    value: 'NAME',
    in: WORKFLOW,
    loosens: true,
    help: 'Name of an artifact that holds report.json alone, in place of those that this Action publishes.',
  },
  'baseline-key': {
    type: 'text',
    value: 'KEY',
    in: WORKFLOW,
    loosens: true,
    help: 'What tells the baselines of several gates apart. By default the workflow, the job, the step, the leg of the matrix and the names given to models.',
  },
  'fail-if': {
    type: 'lines',
    value: 'RULE',
    in: EVERYWHERE,
    help: 'Fail where this is true, e.g. `alpha > 6`, `delta(alpha) > 5%`, `any(alpha) < 1.5` or `failed > 0`. One rule a line.',
  },
  'warn-if': { type: 'lines', value: 'RULE', in: EVERYWHERE, help: 'Warn where this is true. One rule a line.' },
  rename: {
    type: 'lines',
    value: 'OLD=NEW',
    in: EVERYWHERE,
    loosens: true,
    help: 'What a layer of the baseline is called now, or the beginning of names up to a dot, such as `encoder.=backbone.`. One a line.',
  },
  ignore: {
    type: 'lines',
    value: 'NAME',
    in: EVERYWHERE,
    loosens: true,
    help: 'Built-in rules that shall not judge, by name, such as `pruned`, or `measured` for all whose thresholds were measured. One a line.',
  },
  thresholds: {
    type: 'lines',
    value: 'NAME=NUMBER',
    in: EVERYWHERE,
    loosens: true,
    help: 'Thresholds of built-in rules for this project, such as `lighter-tail=0.2`: what `calibrate` finds of models that differ in their seed alone. One a line.',
  },
  'metrics-file': {
    type: 'text',
    value: 'FILE',
    in: EVERYWHERE,
    help: 'JSON with metrics of your own, which join the report, the comment and the rules: {"accuracy": {"value": 0.93, "better": "higher"}}.',
  },
  accuracy: {
    type: 'text',
    value: 'NUMBER',
    in: ['cli', 'action'],
    help: 'Accuracy of the model on your own test data: a custom metric of that name, which is published with the baseline. What `series: history` is made of.',
  },
  series: {
    type: 'lines',
    in: INPUT,
    help: 'Models with known accuracies, to see which metric tracks them here: lists or tables (CSV, YAML), reports or checkpoints, one a line; or `history`, for the baselines that were published with an `accuracy`, and this model. Beside the gate, or alone with `mode: series`. What it finds fails no job.',
  },
  plots: {
    type: 'text',
    value: 'FOLDER',
    in: ['cli', 'action'],
    help: "Where a series' scatter plots are written, an SVG a metric. In the Action by default a folder of the runner's.",
  },
  include: {
    type: 'lines',
    value: 'PATTERN',
    in: EVERYWHERE,
    loosens: true,
    help: 'Only layers whose name matches one of these globs.',
  },
  exclude: {
    type: 'lines',
    value: 'PATTERN',
    in: EVERYWHERE,
    loosens: true,
    help: 'No layer whose name matches one of these globs.',
  },
  'base-model': {
    type: 'text',
    value: 'PATH',
    in: EVERYWHERE,
    loosens: true,
    help: 'A checkpoint whose weights are subtracted: what fine-tuning added, W − W_base, is analysed.',
  },
  'merge-adapter': {
    type: 'flag',
    default: 'false',
    in: EVERYWHERE,
    loosens: true,
    help: 'Whether an adapter is merged with base-model: the weights W_base + ΔW are analysed, in place of ΔW alone.',
  },
  distances: {
    type: 'flag',
    default: 'false',
    in: EVERYWHERE,
    help: 'Whether each layer tells how far it is from that of base-model: delta_W, cosine, cka.',
  },
  'min-evals': {
    type: 'count',
    value: 'N',
    default: '10',
    in: EVERYWHERE,
    loosens: true,
    help: 'Skip layers with fewer eigenvalues; 0 for no limit.',
  },
  'max-evals': {
    type: 'count',
    value: 'N',
    default: '15000',
    in: EVERYWHERE,
    loosens: true,
    help: 'Skip layers with more eigenvalues; 0 for no limit.',
  },
  'max-n': {
    type: 'count',
    value: 'N',
    default: '50000',
    in: EVERYWHERE,
    loosens: true,
    help: 'Skip layers whose longer side exceeds this; 0 for no limit.',
  },
  'state-dict': {
    type: 'text',
    value: 'KEY',
    in: EVERYWHERE,
    loosens: true,
    help: 'Which state dict of a training checkpoint to read, e.g. `ema.model`. By default the first of a documented order.',
  },
  metrics: {
    type: 'text',
    value: 'WHICH',
    values: ['all', 'spectral-norm'],
    default: 'all',
    in: EVERYWHERE,
    loosens: true,
    help: '`spectral-norm` looks for the largest eigenvalue of each layer alone, where all of them would take too long.',
  },
  conv: {
    type: 'text',
    value: 'HOW',
    values: ['pooled', 'slices', 'operator'],
    default: 'pooled',
    in: EVERYWHERE,
    loosens: true,
    help: 'How convolutions are read: `pooled`, their kernel slices as one spectrum; `slices`, each as a layer of its own; `operator`, as the linear operator on an image with periodic boundary.',
  },
  'conv-grid': {
    type: 'count',
    value: 'N',
    default: '32',
    in: EVERYWHERE,
    loosens: true,
    help: 'For `conv: operator`, the side of the image, which is not in the file.',
  },
  'conv-dims': {
    type: 'text',
    value: 'WHICH',
    values: ['2', 'all'],
    default: '2',
    in: EVERYWHERE,
    loosens: true,
    help: 'Which convolutions are layers: of `2` dimensions, or `all`, those of 1 and 3 too.',
  },
  'split-packed': {
    type: 'flag',
    default: 'false',
    in: EVERYWHERE,
    loosens: true,
    help: 'Whether what is packed in one tensor is split: queries, keys and values, gate and up, the gates of LSTM and GRU, each a layer of its own.',
  },
  'mp-fit': {
    type: 'flag',
    default: 'false',
    in: EVERYWHERE,
    help: 'Whether the Marchenko-Pastur law is fitted to each bulk: num_spikes, mp_softrank and others.',
  },
  detx: {
    type: 'flag',
    default: 'false',
    in: EVERYWHERE,
    help: 'Whether the tail that the determinant sets off is looked for: detX_num, ERG_gap.',
  },
  randomize: {
    type: 'flag',
    default: 'false',
    in: EVERYWHERE,
    help: 'Whether each spectrum is held against five shuffles of the weights: rand_distance, ww_softrank, num_traps and others.',
  },
  'other-laws': {
    type: 'flag',
    default: 'false',
    in: EVERYWHERE,
    help: 'Whether log-normal, exponential and truncated power law are fitted to each tail, too, and likelihood ratios tell which describes it.',
  },
  farms: {
    type: 'flag',
    default: 'false',
    in: EVERYWHERE,
    help: 'Whether the tail of each layer is measured on square windows of it, too, so that layers of different shape can be compared: alpha_hill_farms.',
  },
  bootstrap: {
    type: 'count',
    value: 'N',
    default: '0',
    in: EVERYWHERE,
    help: 'Draws, 100 to 10000, of which each power law gets a p-value and alpha an interval: p_value, alpha_low, alpha_high. 0 for none.',
  },
  'fix-fingers': {
    type: 'text',
    value: 'HOW',
    values: ['none', 'clip_xmax'],
    default: 'none',
    in: EVERYWHERE,
    loosens: true,
    help: '`clip_xmax` leaves up to nine of the largest eigenvalues out of the fit where alpha falls by more than 1 so.',
  },
  xmax: {
    type: 'text',
    value: 'HOW',
    values: ['none', 'force'],
    default: 'none',
    in: EVERYWHERE,
    loosens: true,
    help: '`force` takes D to the law cut off at the largest eigenvalue, as early WeightWatcher did.',
  },
  'hill-share': {
    type: 'text',
    value: 'SHARE',
    default: '0.25',
    in: EVERYWHERE,
    loosens: true,
    help: 'Share of the eigenvalues, the largest, that alpha_hill is over: 0.01 to 1. With another than a quarter no built-in rule judges the shape of the tails.',
  },
  'small-sample-fit': {
    type: 'text',
    value: 'HOW',
    values: ['none', 'least-d', 'adjusted-d'],
    default: 'none',
    in: EVERYWHERE,
    loosens: true,
    help: 'How fewer than 20 eigenvalues are fitted: as all others, or as WeightWatcher 0.7.7 does (`least-d`) or means to (`adjusted-d`).',
  },
  workers: {
    type: 'count',
    value: 'N',
    in: EVERYWHERE,
    help: 'Threads that compute spectra at once. By default as many as cores and memory allow.',
  },
  structure: {
    type: 'flag',
    default: 'true',
    in: EVERYWHERE,
    loosens: true,
    help: 'Whether S is measured, which takes one more spectrum of each layer, and three of a random one. Without it no layer is found to have lost its structure.',
  },
  reuse: {
    type: 'flag',
    default: 'true',
    in: EVERYWHERE,
    help: 'Whether unchanged layers take their numbers from the baseline that was found, and equal layers from each other.',
  },
  enforce: {
    type: 'flag',
    default: 'true',
    in: EVERYWHERE,
    loosens: true,
    help: 'Whether the verdict can fail the job; `false` shows it only.',
  },
  'fail-on-inconclusive': {
    type: 'flag',
    in: EVERYWHERE,
    loosens: true,
    help: "Whether a rule that can't be evaluated fails the job. By default yes, except on a first run, where there is nothing to compare with yet.",
  },
  comment: {
    type: 'text',
    values: COMMENT_MODES,
    default: 'always',
    in: WORKFLOW,
    help: 'When to comment on the pull request. A comment that is there already is kept up to date in each mode but never.',
  },
  'recreate-on-worse': {
    type: 'flag',
    default: 'false',
    in: WORKFLOW,
    help: 'Whether a verdict that is worse than the last one gets a new comment in place of the old one: an edited comment notifies nobody.',
  },
  'accept-label': {
    type: 'text',
    value: 'LABEL',
    in: WORKFLOW,
    loosens: true,
    help: 'A label with which somebody who may write lets a regression pass, until the next push. By default there is none.',
  },
  'allow-unsafe-checkout': {
    type: 'flag',
    default: 'false',
    in: INPUT,
    help: '`true` runs with a token that may write although files of a fork are checked out.',
  },
  'comment-key': {
    type: 'text',
    value: 'KEY',
    in: WORKFLOW,
    help: 'What tells the comments of several gates of one pull request apart. By default what tells their baselines apart.',
  },
  'artifact-name': {
    type: 'text',
    value: 'NAME',
    in: WORKFLOW,
    help: 'Name of the artifact that holds the report; `none` uploads nothing. By default spectral-gate, and what tells gates apart where a run has several.',
  },
  html: {
    type: 'flag',
    default: 'true',
    in: WORKFLOW,
    help: "Whether a page to look at, report.html, is made and uploaded with the report: each layer's spectrum, plots, a table to sort.",
  },
  'pull-request': {
    type: 'count',
    in: INPUT,
    help: 'Number of the pull request that this is about, where the event names none: issue_comment, workflow_dispatch, schedule. It is judged like that of an event, and commented on.',
  },
  config: { type: 'text', in: INPUT, help: 'A config file. By default .github/spectral-gate.yml, where there is one.' },
  matrix: {
    type: 'text',
    in: INPUT,
    expression: 'toJSON(matrix)',
    help: 'Not to be set. The leg of the matrix, which tells gates apart.',
  },
  strategy: {
    type: 'text',
    in: INPUT,
    expression: 'toJSON(strategy)',
    help: 'Not to be set. Which leg of its matrix this job is, so that a merge misses none.',
  },
  'github-token': {
    type: 'text',
    in: INPUT,
    expression: 'github.token',
    help: 'Token for baselines (actions read, contents read) and for the comment (pull-requests write).',
  },
} as const satisfies Record<string, Option>

type Table = typeof TABLE
type NamesIn<P extends Place> = {
  [K in keyof Table]: P extends Table[K]['in'][number] ? K : never
}[keyof Table]

/** A setting of the gate itself, which both doors have. */
export type OptionName = NamesIn<'cli'>
/** What the Action's door alone has: how it finds baselines and publishes. */
export type PublishingName = Exclude<NamesIn<'file'>, NamesIn<'cli'>>
/** What a config file may set. */
export type FileName = NamesIn<'file'>

const entries = Object.entries(TABLE) as [keyof Table, Option][]
const namesIn = (test: (option: Option) => boolean) =>
  entries.filter(([, option]) => test(option)).map(([name]) => name)

export const OPTION_NAMES = namesIn(option => option.in.includes('cli')) as OptionName[]
export const PUBLISHING_NAMES = namesIn(
  option => option.in.includes('file') && !option.in.includes('cli'),
) as PublishingName[]
export const FILE_NAMES = namesIn(option => option.in.includes('file')) as FileName[]

export function optionOf(name: keyof Table): Option {
  return TABLE[name]
}

/** action.yml's inputs, as YAML. */
export function actionInputs(): string {
  const inputs = entries.map(([name, { help, default: fallback, values, expression }]) => {
    const takes = values && fallback ? ` One of ${values.map(value => `\`${value}\``).join(', ')}.` : ''
    const said = JSON.stringify(`${help}${takes}${fallback ? ` Default ${fallback}.` : ''}`)
    return `  ${name}:\n    description: ${said}\n${expression ? `    default: \${{ ${expression} }}\n` : ''}`
  })
  return `inputs:\n${inputs.join('')}`
}

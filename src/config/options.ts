import { COMMENT_MODES } from '../github/comment-mode.ts'
import { OPTIONS, type Option } from '../settings.ts'

/** What a config file may set beside the settings of the gate: how the Action's door finds baselines and publishes. */
export const PUBLISHING = {
  'missing-checkpoint': {
    type: 'text',
    values: ['error', 'inconclusive'],
    default: 'error',
    help: 'What a checkpoint that is not there means, or of which only a Git LFS or DVC pointer is: an error, or an inconclusive gate, for pull requests of forks that have no credentials to fetch it.',
  },
  'baseline-required': {
    type: 'flag',
    default: 'false',
    help: 'Whether the job fails where there is nothing to compare with, on a first run too.',
  },
  'baseline-max-age': {
    type: 'text',
    value: 'AGE',
    help: 'A baseline older than this counts as expired: 30d, 36h, 8w. By default as long as its artifact lives.',
  },
  'baseline-branch': {
    type: 'text',
    value: 'BRANCH',
    help: 'Branch whose baselines are compared with. By default the pull request’s base, or the branch that was pushed.',
  },
  'baseline-workflow': {
    type: 'text',
    value: 'FILE',
    help: 'Workflow that publishes the baselines, e.g. train.yml. By default this one.',
  },
  'baseline-artifact': {
    type: 'text',
    value: 'NAME',
    help: 'Name of an artifact that holds report.json alone, in place of those that this Action publishes.',
  },
  'baseline-key': {
    type: 'text',
    value: 'KEY',
    help: 'What tells the baselines of several gates apart. By default the job, the step and the leg of the matrix.',
  },
  comment: {
    type: 'text',
    values: COMMENT_MODES,
    default: 'always',
    help: 'When to comment on the pull request. A comment that is there already is kept up to date in each mode but never.',
  },
  'recreate-on-worse': {
    type: 'flag',
    default: 'false',
    help: 'Whether a verdict that is worse than the last one gets a new comment in place of the old one: an edited comment notifies nobody.',
  },
  'accept-label': {
    type: 'text',
    value: 'LABEL',
    help: 'A label with which somebody who may write lets a regression pass, until the next push. By default there is none.',
  },
  'comment-key': {
    type: 'text',
    value: 'KEY',
    help: 'What tells the comments of several gates of one pull request apart.',
  },
  'artifact-name': {
    type: 'text',
    value: 'NAME',
    default: 'spectral-gate',
    help: 'Name of the artifact that holds the report; none uploads nothing.',
  },
} as const satisfies Record<string, Option & { readonly values?: readonly string[] }>

export type PublishingName = keyof typeof PUBLISHING
/** Values as the config file or the inputs give them. What was not given is absent or empty. */
export type RawPublishing = Partial<Record<PublishingName, string>>

export const ALL_OPTIONS: Readonly<Record<string, Option & { readonly values?: readonly string[] }>> = {
  ...OPTIONS,
  ...PUBLISHING,
}

/** One value of each option: the last layer that sets it, or its default, or an empty text. */
export function resolvePublishing(...layers: readonly RawPublishing[]): Record<PublishingName, string> {
  const names = Object.keys(PUBLISHING) as PublishingName[]
  return Object.fromEntries(
    names.map(name => [name, layers.findLast(layer => layer[name])?.[name] ?? ALL_OPTIONS[name]!.default ?? '']),
  ) as Record<PublishingName, string>
}

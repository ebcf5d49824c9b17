import * as core from '@actions/core'
import { type RawPublishing, resolvePublishing } from '../config/publishing.ts'
import { flag, type RawSettings } from '../config/settings.ts'
import { OPTION_NAMES, PUBLISHING_NAMES, TABLE } from '../config/table.ts'
import { UserError } from '../errors.ts'
import { baselineArtifactName, parseMaxAge } from '../github/baseline/options.ts'
import type { Context } from '../github/context.ts'
import { type CommentMode, parseCommentMode } from './comment-mode.ts'

/** How this step finds its baseline, and where it publishes what it found. */
export interface Publishing {
  /** A checkpoint that is not there leaves the gate undecided, and is no error. */
  readonly missingIsInconclusive: boolean
  readonly comment: CommentMode
  readonly commentKey: string
  readonly recreateOnWorse: boolean
  /** Empty: no label accepts anything. */
  readonly acceptLabel: string
  /** Empty: nothing is uploaded. */
  readonly artifact: string
  /** Under this name the report is the next baseline, and the last one is looked for. */
  readonly baselineArtifact: string
  readonly baselineBranch: string
  readonly baselineWorkflow: string
  readonly baselineMaxAge: number | undefined
  readonly baselineRequired: boolean
  readonly token: string
}

/** The inputs, over what the config file says. */
export function readPublishing({ workflow }: Context, config: RawPublishing): Publishing {
  const raw = resolvePublishing(config, Object.fromEntries(PUBLISHING_NAMES.map(name => [name, core.getInput(name)])))
  const { GITHUB_JOB: job = '', GITHUB_ACTION: step = '' } = process.env
  const key = { key: raw['baseline-key'], job, step, matrix: core.getInput('matrix') }
  return {
    missingIsInconclusive: oneOf('missing-checkpoint', raw['missing-checkpoint']) === 'inconclusive',
    comment: parseCommentMode(raw.comment),
    commentKey: raw['comment-key'] || `${workflow}/${job}`,
    recreateOnWorse: flag('recreate-on-worse', raw['recreate-on-worse'])!,
    acceptLabel: raw['accept-label'],
    artifact: raw['artifact-name'] === 'none' ? '' : raw['artifact-name'] || 'spectral-gate',
    baselineArtifact: raw['baseline-artifact'] || baselineArtifactName(key),
    baselineBranch: raw['baseline-branch'],
    baselineWorkflow: raw['baseline-workflow'],
    baselineMaxAge: parseMaxAge(raw['baseline-max-age']),
    baselineRequired: flag('baseline-required', raw['baseline-required'])!,
    token: core.getInput('github-token'),
  }
}

function oneOf(name: 'missing-checkpoint', text: string): string {
  const { values } = TABLE[name]
  if ((values as readonly string[]).includes(text)) return text
  throw new UserError(`${name} is ${JSON.stringify(text)}, but takes ${values.join(' or ')}.`)
}

/** The inputs that are settings of the gate. */
export function readInputs(): RawSettings {
  return Object.fromEntries(OPTION_NAMES.map(name => [name, core.getInput(name)]))
}

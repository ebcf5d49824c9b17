import * as core from '@actions/core'
import type { Config } from '../config/file.ts'
import type { Layers } from '../config/in-force.ts'
import { resolvePublishing } from '../config/publishing.ts'
import { flag } from '../config/settings.ts'
import { OPTION_NAMES, PUBLISHING_NAMES, TABLE } from '../config/table.ts'
import { UserError } from '../errors.ts'
import {
  baselineArtifactName,
  type GateKey,
  gateIdentity,
  parseMaxAge,
  partArtifactName,
  REPORT_ARTIFACT,
  reportArtifactName,
  workflowPath,
} from '../github/baseline/options.ts'
import type { Context } from '../github/context.ts'
import { type CommentMode, parseCommentMode } from './comment-mode.ts'

export type MissingCheckpoint = (typeof TABLE)['missing-checkpoint']['values'][number]

/** How this step finds its baseline, and where it publishes what it found. */
export interface Publishing {
  /** What a checkpoint that is not there means: it may leave the gate undecided, of all or of forks' pull requests alone. */
  readonly missingCheckpoint: MissingCheckpoint
  readonly comment: CommentMode
  readonly commentKey: string
  readonly recreateOnWorse: boolean
  /** Empty: no label accepts anything. */
  readonly acceptLabel: string
  /** Of the artifact that holds the report. Empty: nothing is uploaded. */
  readonly artifact: string
  /** Whether a page is made and uploaded with it. */
  readonly html: boolean
  /** Its name where another gate of this run has taken that one; empty where the user chose the name. */
  readonly otherArtifact: string
  /** Of the artifact that carries a part. */
  readonly partArtifact: string
  /** Under this name the report is the next baseline, and the last one is looked for. */
  readonly baselineArtifact: string
  /** The same, whatever is set: where this gate publishes by default. */
  readonly defaultBaseline: string
  readonly baselineBranch: string
  readonly baselineWorkflow: string
  readonly baselineMaxAge: number | undefined
  readonly baselineRequired: boolean
  readonly token: string
}

/** The inputs, over what the config file says. */
export function readPublishing(context: Context, { config, inputs }: Layers): Publishing {
  const raw = resolvePublishing(config.publishing, inputs.publishing)
  const gate = readGateKey(context)
  const publisher = { ...gate, workflow: workflowPath(raw['baseline-workflow']) || gate.workflow }
  return {
    missingCheckpoint: oneOf('missing-checkpoint', raw['missing-checkpoint']),
    comment: parseCommentMode(raw.comment),
    commentKey: raw['comment-key'] || gateIdentity(gate),
    recreateOnWorse: flag('recreate-on-worse', raw['recreate-on-worse'])!,
    acceptLabel: raw['accept-label'],
    artifact: raw['artifact-name'] === 'none' ? '' : raw['artifact-name'] || REPORT_ARTIFACT,
    html: flag('html', raw.html)!,
    otherArtifact: raw['artifact-name'] ? '' : reportArtifactName(gate),
    partArtifact: partArtifactName(gate),
    baselineArtifact: raw['baseline-artifact'] || baselineArtifactName(publisher, raw['baseline-key']),
    defaultBaseline: baselineArtifactName(gate),
    baselineBranch: raw['baseline-branch'],
    baselineWorkflow: raw['baseline-workflow'],
    baselineMaxAge: parseMaxAge(raw['baseline-max-age']),
    baselineRequired: flag('baseline-required', raw['baseline-required'])!,
    token: core.getInput('github-token'),
  }
}

function readGateKey({ workflow, workflowPath }: Context): GateKey {
  const { GITHUB_JOB: job = '', GITHUB_ACTION: step = '' } = process.env
  const names = readCheckpoints().flatMap(text => /^([^=/\\]+)=./s.exec(text)?.[1] ?? [])
  return { workflow: workflowPath || workflow, job, step, matrix: core.getInput('matrix'), models: names }
}

/** The checkpoints that the step names: PATH or NAME=PATH. */
export function readCheckpoints(): string[] {
  return core.getMultilineInput('checkpoint')
}

/** In the input `series`, the baselines of the branch. */
export const SERIES_OF_HISTORY = 'history'

/** The series that the step names, a line each. */
export function readSeries(): string[] {
  return core.getMultilineInput('series')
}

/** Whether the baselines of the branch are to be a series. */
export function wantsHistory(): boolean {
  return readSeries().includes(SERIES_OF_HISTORY)
}

function oneOf(name: 'missing-checkpoint', text: string): MissingCheckpoint {
  const { values } = TABLE[name]
  const found = values.find(value => value === text)
  if (found) return found
  throw new UserError(`${name} is ${JSON.stringify(text)}, but takes ${values.join(', ')}.`)
}

/** The inputs, as a layer over the config file. */
export function readInputs(): Config {
  return {
    settings: Object.fromEntries(OPTION_NAMES.map(name => [name, core.getInput(name)])),
    publishing: Object.fromEntries(PUBLISHING_NAMES.map(name => [name, core.getInput(name)])),
  }
}

import { createHash } from 'node:crypto'
import { UserError } from '../../errors.ts'
import { withoutEnd } from '../../words.ts'
import type { Context } from '../context.ts'

/** Where the input `baseline` says that the baseline is. */
export type BaselineSource =
  | { kind: 'auto' }
  | { kind: 'none' }
  | { kind: 'run'; id: number }
  /** A report or a checkpoint among the files. */
  | { kind: 'path'; path: string }

/** @throws UserError where it begins with `run:` and no number follows */
export function parseBaselineSource(text: string): BaselineSource {
  const value = text.trim()
  if (value === '' || value === 'auto') return { kind: 'auto' }
  if (value === 'none') return { kind: 'none' }
  if (!value.startsWith('run:')) return { kind: 'path', path: value }
  if (!/^run:\s*[1-9]\d{0,14}$/.test(value)) {
    throw new UserError(
      `baseline is ${JSON.stringify(value)}, but after run: comes the number of a run.`,
      'It stands in the address of the run: …/actions/runs/NUMBER',
    )
  }
  return { kind: 'run', id: Number(value.slice(4)) }
}

/** `baseline-workflow` as GitHub says it: a name without a folder lies in `.github/workflows`. Empty where nothing is set. */
export function workflowPath(text: string): string {
  const value = text.trim()
  return value === '' || value.includes('/') ? value : `.github/workflows/${value}`
}

const UNITS = { h: 3600, d: 86_400, w: 7 * 86_400 }

/**
 * `baseline-max-age` in seconds: `36h`, `30d`, `8w`, and a bare number are days. An older baseline counts as expired.
 * Undefined where nothing is set.
 * @throws UserError where it is none of these
 */
export function parseMaxAge(text: string): number | undefined {
  if (text.trim() === '') return undefined
  const [, number, unit = 'd'] = /^(\d{1,5}(?:\.\d{1,3})?)\s*([hdw])?$/i.exec(text.trim()) ?? []
  const seconds = Number(number) * UNITS[unit.toLowerCase() as keyof typeof UNITS]
  if (seconds > 0) return seconds
  throw new UserError(`baseline-max-age is ${JSON.stringify(text)}, but takes an age such as 30d, 36h or 8w.`)
}

/** Whether something of this time is older than it may be. What has no time is not too old. */
export function isTooOld(created: number, now: number, maxAge: number | undefined): boolean {
  return maxAge !== undefined && now - created > maxAge * 1000
}

/**
 * Whether this run publishes its report as a baseline. It does on a push to a branch, on a schedule, a dispatch and in a merge
 * queue: what ran on a branch is a baseline of that branch and of no other. It does so whatever the verdict: a model that was
 * merged is what the next pull request starts from. It never does for a pull request, whose run names the branch that it comes
 * from and would follow its own regressions; nor for a tag.
 */
export function publishesBaseline({
  event,
  ref,
  pullRequest,
}: Pick<Context, 'event' | 'ref' | 'pullRequest'>): boolean {
  return (
    pullRequest === null &&
    ['push', 'schedule', 'workflow_dispatch', 'merge_group'].includes(event) &&
    ref.startsWith('refs/heads/')
  )
}

/** All that tells one gate from another. */
export interface GateKey {
  /** `.github/workflows/gate.yml`; of a reusable workflow, its caller's. */
  workflow: string
  /** `GITHUB_JOB`. */
  job: string
  /** `GITHUB_ACTION`: the step's id, or a name that the runner made of the action and of how often the job has it. */
  step: string
  /** The leg of the matrix: `toJSON(matrix)`. */
  matrix: string
  /** The names that the workflow gives to its models. */
  models: readonly string[]
}

/** The name of the artifact that holds a report, and with what it begins where a run has more than one gate. */
export const REPORT_ARTIFACT = 'spectral-gate'
export const REPORT_PREFIX = 'spectral-gate-report'
/** With what the name of each part of a report begins. */
export const PART_PREFIX = 'spectral-gate-part'
const BASELINE_PREFIX = 'spectral-gate-baseline'

/** The name of the artifact that tells of two gates of one run that would have published under one name. */
export function twiceName(name: string): string {
  return `${name}-twice`
}

/**
 * The name of the artifact that holds a baseline, the same in each run of the same gate, and another one in all others: two that
 * shared it would be compared with each other's models. It does not depend on the checkpoint's path, which may have an epoch in
 * it. The readable part is for people; the hash tells apart.
 * @param key `baseline-key`, which takes the place of all else; empty where it is not set
 */
export function baselineArtifactName(gate: GateKey, key = ''): string {
  return key ? keyedName(BASELINE_PREFIX, [key], JSON.stringify([key])) : gateName(BASELINE_PREFIX, gate)
}

/** The name of the artifact that holds the report of one gate. */
export function reportArtifactName(gate: GateKey): string {
  return gateName(REPORT_PREFIX, gate)
}

/** Whether a name is one that this Action gives to a report, where its user chose none. */
export function isReportArtifact(name: string): boolean {
  return name === REPORT_ARTIFACT || (name.startsWith(`${REPORT_PREFIX}-`) && /-[0-9a-f]{16}$/.test(name))
}

/** The name of the artifact that holds the part of one step of one leg, and of no other. */
export function partArtifactName(gate: GateKey): string {
  return gateName(PART_PREFIX, gate)
}

/** What tells the comment of one gate from that of another. */
export function gateIdentity({ workflow, job, step, matrix, models }: GateKey): string {
  return JSON.stringify([workflow, job, step, canonical(matrix), [...models].sort()])
}

function gateName(prefix: string, gate: GateKey): string {
  return keyedName(prefix, [gate.job, ...scalars(canonical(gate.matrix)), ...gate.models], gateIdentity(gate))
}

function keyedName(prefix: string, readable: readonly string[], identity: string): string {
  const plain = readable
    .join('-')
    .replace(/[^A-Za-z0-9._]+/g, '-')
    .replace(/^[-.]+/, '')
  const slug = withoutEnd(plain, '-.').slice(0, 60)
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 16)
  return [prefix, slug, hash].filter(Boolean).join('-')
}

/** JSON with sorted keys, parsed; the text itself where it is no JSON. */
function canonical(text: string): unknown {
  try {
    return sorted(JSON.parse(text))
  } catch {
    return text
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, inner]) => [key, sorted(inner)] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function scalars(value: unknown): string[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(scalars)
  return value === null || value === '' ? [] : [String(value)]
}

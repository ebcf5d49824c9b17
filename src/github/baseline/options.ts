import { createHash } from 'node:crypto'
import { UserError } from '../../errors.ts'
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
export function publishesBaseline({ event, ref }: Pick<Context, 'event' | 'ref'>): boolean {
  return ['push', 'schedule', 'workflow_dispatch', 'merge_group'].includes(event) && ref.startsWith('refs/heads/')
}

export interface BaselineKey {
  /** The input `baseline-key`. It takes the place of all else. */
  key: string
  /** `GITHUB_JOB`. */
  job: string
  /** `GITHUB_ACTION`: the step's id, or a name that the runner made of the action and of how often the job has it. */
  step: string
  /** The leg of the matrix: `toJSON(matrix)`. */
  matrix: string
}

/**
 * The name of the artifact that holds a baseline, the same in each run of the same step of the same leg, and another one in all
 * others: two that shared it would be compared with each other's models. It does not depend on the checkpoint's path, which may
 * have an epoch in it. The readable part is for people; the hash tells apart.
 */
export function baselineArtifactName({ key, ...leg }: BaselineKey): string {
  return key ? keyedName('spectral-gate-baseline', [key], [key]) : legName('spectral-gate-baseline', leg)
}

/** With what the name of each part of a report begins. */
export const PART_PREFIX = 'spectral-gate-part'

/** The name of the artifact that holds the part of one step of one leg, and of no other. */
export function partArtifactName(leg: Omit<BaselineKey, 'key'>): string {
  return legName(PART_PREFIX, leg)
}

function legName(prefix: string, { job, step, matrix }: Omit<BaselineKey, 'key'>): string {
  const leg = canonical(matrix)
  return keyedName(prefix, [job, ...scalars(leg)], [job, step, leg])
}

function keyedName(prefix: string, readable: readonly string[], identity: readonly unknown[]): string {
  const slug = readable
    .join('-')
    .replace(/[^A-Za-z0-9._]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, 60)
  const hash = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 16)
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

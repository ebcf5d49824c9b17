import { formatAge } from '../../render/numbers.ts'
import { DeadlineError, isTransient } from '../api.ts'
import type { BaseCommit } from '../base-commit.ts'
import type { Context } from '../context.ts'
import { clean, explainFailure, isLimit } from '../failures.ts'
import { type Candidate, InvalidError, UnreachableError } from './archive.ts'
import type { Artifacts } from './artifacts.ts'
import type { Lineage } from './lineage.ts'
import type { Baseline } from './types.ts'

export function failure(error: unknown, context: Context, candidate?: Candidate): Pick<Baseline, 'state' | 'reason'> {
  const what = candidate ? `The baseline of ${commitOf(candidate)}` : 'The baseline'
  const { status } = error as { status?: number }
  const said = clean(error instanceof Error ? error.message : String(error))
  if (error instanceof InvalidError) {
    return { state: 'invalid', reason: `${what} cannot be used: ${said}.` }
  }
  const again = 'Run the job again.'
  if (error instanceof DeadlineError) {
    return { state: 'unreachable', reason: `${what} cannot be read: GitHub did not answer in time. ${again}` }
  }
  if (isLimit(error)) {
    return {
      state: 'unreachable',
      reason: `${what} cannot be read: GitHub's rate limit is used up (${said}). ${again}`,
    }
  }
  if (error instanceof UnreachableError) {
    return { state: 'unreachable', reason: `${what} cannot be read: ${said}. ${again}` }
  }
  if (status === 404 || status === 410) {
    const reason =
      `${what} cannot be read: there are no artifacts here, or the token may not see them (${status}). ` +
      'Give the step a token that may, or name a committed report as `baseline`.'
    return { state: 'disabled', reason }
  }
  const state = status === 401 || status === 403 ? 'forbidden' : 'unreachable'
  if (status === undefined && !isTransient(error)) throw error
  return { state, reason: explainFailure(error, `${what} cannot be read`, 'actions: read', context) }
}

export function describe({ id, name, run, sha, created }: Candidate, { serverUrl, repository }: Context, now: number) {
  const dated = Number.isFinite(created)
  return {
    run: { id: run, url: `${serverUrl}/${repository.owner}/${repository.name}/actions/runs/${run}` },
    artifact: { id, name },
    commit: sha,
    ...(dated && { time: isoTime(created), ageSeconds: Math.max(0, Math.round((now - created) / 1000)) }),
  }
}

export function sentence(
  { state, distance = 0, run, commit, ageSeconds, branch }: Baseline,
  base: BaseCommit,
  artifacts: Artifacts,
  lineage: Lineage,
  gone: { candidate: Candidate; why: string } | undefined,
): string {
  const which = `${commitOf({ sha: commit!, run: run!.id })}${since(ageSeconds)}`
  const nearer = gone ? ` The one of ${commitOf(gone.candidate)} ${gone.why}.` : ''
  if (state === 'exact') return `Compared with the baseline of ${which}.${nearer}`
  const behind = `${distance} commit${distance === 1 ? '' : 's'} before ${base.commit?.slice(0, 7)}`
  if (state === 'ancestor') return `Compared with the nearest baseline, ${behind}: ${which}.${nearer}`
  const why =
    base.problem ||
    lineage.problem ||
    (base.commit === null
      ? `What ${short(branch)} was before is not known.`
      : `Neither ${base.commit.slice(0, 7)} nor a commit before it has a baseline that can be used.`)
  return (
    `Compared with the newest baseline of the branch ${short(branch)} instead of the right one: ${which}. ` +
    `It may differ by more than this change. ${why}${nearer}${notes(artifacts)}`
  )
}

/** Where not all was looked at, it is not known to be a first run: others may have filled the list. */
export function nothing(
  base: BaseCommit,
  name: string,
  artifacts: Artifacts,
  lineage: Lineage,
): Pick<Baseline, 'state' | 'reason'> {
  const problems = [base.problem, lineage.problem].filter(Boolean).map(problem => ` ${problem}`)
  const rest = `${problems.join('')}${notes(artifacts)}`
  if (artifacts.bounded) {
    return { state: 'unreachable', reason: `No baseline was found for the branch ${short(base.branch)}.${rest}` }
  }
  const reason = `There is no baseline on the branch ${short(base.branch)} yet (artifact ${name}). ${renew(base)}${rest}`
  return { state: 'first-run', reason }
}

export function renew({ branch }: BaseCommit): string {
  return `A run of this workflow on ${short(branch)} (push, schedule or workflow_dispatch) publishes one.`
}

/** The commonest reasons: there may be as many as runs. */
function notes(artifacts: Artifacts): string {
  const refused = [...artifacts.refused].sort(([, a], [, b]) => b - a).slice(0, 3)
  return [
    ...refused.map(([reason, count]) => ` Not trusted: ${count}, ${reason}.`),
    artifacts.bounded ? ' More artifacts have this name than are looked at.' : '',
  ].join('')
}

function short(branch: string): string {
  return branch.length > 100 ? `${branch.slice(0, 99)}…` : branch
}

export function commitOf({ sha, run }: Pick<Candidate, 'sha' | 'run'>): string {
  return `commit ${sha.slice(0, 7)} (run ${run})`
}

export function since(seconds: number | undefined): string {
  return seconds === undefined ? '' : `, ${formatAge(seconds)} old`
}

export function isoTime(milliseconds: number): string {
  return Number.isFinite(milliseconds) ? new Date(milliseconds).toISOString() : ''
}

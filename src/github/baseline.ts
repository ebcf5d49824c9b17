import { limits } from '../limits.ts'
import { formatAge } from '../render/numbers.ts'
import { SUMMARY_METRICS, type SummaryMetric } from '../report/columns.ts'
import type { Report } from '../report/schema.ts'
import { type Api, DeadlineError, isTransient, WaitError } from './api.ts'
import type { BaseCommit } from './base-commit.ts'
import {
  Artifacts,
  artifactOfRun,
  type Candidate,
  GoneError,
  InvalidError,
  readArtifact,
  UnreachableError,
} from './baseline-artifacts.ts'
import { isTooOld } from './baseline-options.ts'
import type { Context } from './context.ts'
import { clean, explainFailure } from './failures.ts'

/**
 * What became of the search. With a report: `exact`, of the very commit; `ancestor`, of one before it; `degraded`, the newest of
 * the branch, which may differ by more than the change in question; `given`, of the run that the user named. Without one:
 * `first-run`, nothing was published yet; `expired`, there was one, too long ago; `forbidden`, the token may not read it;
 * `disabled`, there are no artifacts here, or no branch to look on; `invalid`, it is damaged, hostile or of a newer version; `unreachable`, GitHub did
 * not answer, or has more than we look at. Only a first run is one: whatever else lacks a report must not pass for it.
 */
export type BaselineState =
  | 'exact'
  | 'ancestor'
  | 'degraded'
  | 'given'
  | 'first-run'
  | 'expired'
  | 'forbidden'
  | 'disabled'
  | 'invalid'
  | 'unreachable'

export interface Baseline {
  state: BaselineState
  /** For people: what the baseline is, or why there is none and what to do. It may hold foreign names: escape it. */
  reason: string
  /** Empty where it is not known. */
  branch: string
  /** The commit that was asked for; null where it is not known. */
  wanted: string | null
  report?: Report
  run?: { id: number; url: string }
  artifact?: { id: number; name: string }
  /** Of the baseline. */
  commit?: string
  /** When it was published, in ISO 8601. */
  time?: string
  ageSeconds?: number
  /** Commits between it and the wanted one, along first parents. */
  distance?: number
  /** Of this baseline and earlier ones, the oldest first; empty unless asked for. */
  history: HistoryPoint[]
}

/** The summary means of one commit. */
export interface HistoryPoint {
  commit: string
  time: string
  run_id: number
  models: { name: string; summary: Record<SummaryMetric, number | null> }[]
}

export interface BaselineRequest {
  api: Api
  context: Context
  base: BaseCommit
  artifactName: string
  /** Of the workflow that makes the baselines; this one's by default. */
  workflowPath?: string | undefined
  /** Seconds: an older one counts as expired. */
  maxAge?: number | undefined
  /** How many points of history are wanted, this baseline's among them. */
  history?: number | undefined
  now?: number | undefined
}

/**
 * Finds the baseline for a commit: the newest artifact of that commit itself, or else of the nearest commit before it along
 * first parents, or else the newest of its branch. Artifacts are matched by their commit and never taken from a list of runs,
 * which GitHub may serve out of date. Nothing but a run of our own repository, on the branch itself, by the same workflow, and
 * for an event that nobody without write access can cause, is believed. Whether the whole run succeeded is not asked: it may
 * have failed after it published, or by our own verdict.
 *
 * A damaged or hostile baseline ends the search as `invalid`: to step over it to an older one would hide it. One that has
 * expired is stepped over. Failures do not throw: they come back as a state.
 */
export async function findBaseline(request: BaselineRequest): Promise<Baseline> {
  const { api, context, base, artifactName: name, maxAge, now = Date.now() } = request
  const unfound = { branch: base.branch, wanted: base.commit, history: [] }
  if (!base.branch) return { ...unfound, state: 'disabled', reason: base.problem }
  const workflowPath = request.workflowPath || context.workflowPath
  const artifacts = new Artifacts({ api, context, name, branch: base.branch, workflowPath })
  const lineage = new Lineage(api, context)
  let gone: { candidate: Candidate; why: string } | undefined
  try {
    for await (const found of inOrder(artifacts, lineage, base)) {
      const { candidate, state, distance } = found
      if (candidate.expired || isTooOld(candidate.created, now, maxAge)) {
        gone ??= { candidate, why: candidate.expired ? 'has expired' : 'is older than `baseline-max-age` allows' }
        continue
      }
      // However many were refused before, the newest ones are looked at.
      const most = state === 'degraded' ? limits.github.artifactRuns + 10 : limits.github.artifactRuns
      if (!(await artifacts.trusted(candidate, most))) continue
      const read = await readArtifact(api, context, candidate).catch(error => {
        if (error instanceof GoneError) return undefined
        throw new Failed(candidate, error)
      })
      if (!read) {
        gone ??= { candidate, why: 'has expired or was deleted' }
        continue
      }
      const baseline: Baseline = {
        ...unfound,
        ...describe(candidate, context, now),
        state,
        reason: '',
        report: read,
        ...(distance !== undefined && { distance }),
      }
      baseline.reason = sentence(baseline, base, artifacts, lineage, gone)
      baseline.history = await earlier(request, artifacts, lineage, candidate, read)
      return baseline
    }
  } catch (error) {
    if (error instanceof Failed) {
      return {
        ...unfound,
        ...describe(error.candidate, context, now),
        ...failure(error.cause, context, error.candidate),
      }
    }
    return { ...unfound, ...failure(error, context) }
  }
  if (gone) {
    const reason = `The baseline of ${commitOf(gone.candidate)} ${gone.why}, and there is no other. ${renew(base)}`
    return { ...unfound, ...describe(gone.candidate, context, now), state: 'expired', reason }
  }
  return { ...unfound, ...nothing(base, name, artifacts, lineage) }
}

/** The baseline that a run of the user's choice published. */
export async function baselineOfRun(
  request: Omit<BaselineRequest, 'base' | 'history'> & { run: number },
): Promise<Baseline> {
  const { api, context, artifactName, run, maxAge, now = Date.now() } = request
  const unfound = { branch: '', wanted: null, history: [] }
  let candidate: Candidate | undefined
  try {
    candidate = await artifactOfRun(api, context, artifactName, run)
    const about = { ...unfound, ...describe(candidate, context, now) }
    const expired = (why: string): Baseline => ({
      ...{ ...about, state: 'expired' },
      reason: `The baseline of run ${run} ${why}. Name another run.`,
    })
    if (candidate.expired) return expired('has expired')
    if (isTooOld(candidate.created, now, maxAge)) return expired('is older than `baseline-max-age` allows')
    const report = await readArtifact(api, context, candidate)
    const reason = `Compared with the baseline of ${commitOf(candidate)}${since(about.ageSeconds)}, as asked for.`
    return { ...about, state: 'given', reason, report }
  } catch (error) {
    const about = candidate ? { ...unfound, ...describe(candidate, context, now) } : unfound
    if (error instanceof GoneError) {
      return { ...about, state: 'expired', reason: `The baseline of run ${run} is gone: ${error.message}.` }
    }
    return { ...about, ...failure(error, context, candidate) }
  }
}

/** Why the job has to fail where `baseline-required` is set and there is nothing to compare with; empty otherwise. */
export function missingBaseline({ report, reason }: Pick<Baseline, 'report' | 'reason'>, required: boolean): string {
  return required && !report ? `\`baseline-required\` is set, but there is no baseline. ${reason}` : ''
}

interface Found {
  candidate: Candidate
  state: BaselineState
  distance?: number
}

async function* inOrder(artifacts: Artifacts, lineage: Lineage, base: BaseCommit): AsyncGenerator<Found> {
  const seen = new Set<number>()
  const fresh = (candidates: Candidate[]) => candidates.filter(({ id }) => !seen.has(id) && seen.add(id))
  while (await artifacts.more()) {
    const ofBase = base.commit === null ? [] : artifacts.of(base.commit)
    for (const candidate of fresh(ofBase)) yield { candidate, state: 'exact', distance: 0 }
  }
  if (base.commit !== null) {
    for await (const { sha, distance } of lineage.before(base.commit)) {
      for (const candidate of fresh(artifacts.of(sha))) yield { candidate, state: 'ancestor', distance }
    }
  }
  for (const candidate of fresh(artifacts.ofBranch())) yield { candidate, state: 'degraded' }
}

/** Commits along first parents, fetched as they are needed. */
class Lineage {
  /** Why it ends where it ends; empty where it just ends. */
  problem = ''
  readonly #api: Api
  readonly #context: Context
  readonly #parents = new Map<string, string | undefined>()
  #requests = 0

  constructor(api: Api, context: Context) {
    this.#api = api
    this.#context = context
  }

  /** The first parent of a commit, that one's first parent, and so on. */
  async *before(start: string): AsyncGenerator<{ sha: string; distance: number }> {
    let sha: string | undefined = start
    for (let distance = 1; distance <= limits.github.baselineCommits; distance++) {
      sha = await this.#parent(sha)
      if (sha === undefined) return
      yield { sha, distance }
    }
  }

  async #parent(sha: string): Promise<string | undefined> {
    if (!this.#parents.has(sha)) await this.#load(sha)
    return this.#parents.get(sha)
  }

  async #load(sha: string): Promise<void> {
    if (this.#requests++ >= limits.github.commitPages) return
    const { owner, name: repo } = this.#context.repository
    try {
      const { data } = await this.#api.octokit.rest.repos.listCommits({ owner, repo, sha, per_page: 100 })
      if (!Array.isArray(data)) throw new UnreachableError('the list of commits is not one')
      for (const commit of data) this.#parents.set(commit.sha, commit.parents?.[0]?.sha)
    } catch (error) {
      if (![403, 404, 409, 422].includes((error as { status?: number }).status ?? 0) || isLimit(error)) throw error
      this.problem = explainFailure(error, 'The commits before it are not known', 'contents: read', this.#context)
    }
  }
}

/** Up to `history` points. What can't be read is left out: a trend is never worth a verdict. */
async function earlier(
  { api, context, history = 0 }: BaselineRequest,
  artifacts: Artifacts,
  lineage: Lineage,
  newest: Candidate,
  report: Report,
): Promise<HistoryPoint[]> {
  if (history < 1) return []
  const points = [point(newest, report)]
  const end = Date.now() + Math.min(limits.github.historyMilliseconds, api.deadline.left() / 2)
  let bytes = 0
  try {
    while (await artifacts.more());
    for await (const { sha } of lineage.before(newest.sha)) {
      for (const candidate of artifacts.of(sha)) {
        if (points.length >= history || Date.now() > end) return points
        if (candidate.expired || !(await artifacts.trusted(candidate))) continue
        bytes += candidate.size
        if (bytes > limits.github.historyBytes) return points
        const read = await readArtifact(api, context, candidate).catch(() => undefined)
        if (!read) continue
        points.unshift(point(candidate, read))
        break
      }
    }
  } catch {}
  return points
}

function point({ sha, run, created }: Candidate, { models, figures }: Report): HistoryPoint {
  return {
    commit: sha,
    time: isoTime(created),
    run_id: run,
    ...(figures && { figures: figures.map(({ name, value }) => ({ name, value })) }),
    models: models.map(({ name, summary }) => ({
      name,
      summary: Object.fromEntries(
        SUMMARY_METRICS.map(metric => [metric, summary[metric]]),
      ) as HistoryPoint['models'][number]['summary'],
    })),
  }
}

/** Something went wrong with one artifact. */
class Failed extends Error {
  readonly candidate: Candidate

  constructor(candidate: Candidate, cause: unknown) {
    super('', { cause })
    this.candidate = candidate
  }
}

function failure(error: unknown, context: Context, candidate?: Candidate): Pick<Baseline, 'state' | 'reason'> {
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

/** GitHub refused for its rate limits, which is no lack of a permission though the status may be 403. */
function isLimit(error: unknown): boolean {
  const { status, message } = error as { status?: number; message?: string }
  return error instanceof WaitError || status === 429 || (status === 403 && /rate limit/i.test(message ?? ''))
}

function describe({ id, name, run, sha, created }: Candidate, { serverUrl, repository }: Context, now: number) {
  const dated = Number.isFinite(created)
  return {
    run: { id: run, url: `${serverUrl}/${repository.owner}/${repository.name}/actions/runs/${run}` },
    artifact: { id, name },
    commit: sha,
    ...(dated && { time: isoTime(created), ageSeconds: Math.max(0, Math.round((now - created) / 1000)) }),
  }
}

function sentence(
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
function nothing(
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

function renew({ branch }: BaseCommit): string {
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

function commitOf({ sha, run }: Pick<Candidate, 'sha' | 'run'>): string {
  return `commit ${sha.slice(0, 7)} (run ${run})`
}

function since(seconds: number | undefined): string {
  return seconds === undefined ? '' : `, ${formatAge(seconds)} old`
}

function isoTime(milliseconds: number): string {
  return Number.isFinite(milliseconds) ? new Date(milliseconds).toISOString() : ''
}

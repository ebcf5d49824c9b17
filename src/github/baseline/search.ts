import { limits } from '../../limits.ts'
import type { BaseCommit } from '../base-commit.ts'
import { explainFailure, isRefusal } from '../failures.ts'
import { ahead, isOnBranch } from '../repository.ts'
import { type Candidate, GoneError, InvalidError, readArtifact } from './archive.ts'
import { Artifacts, artifactOfRun, newestOfRun } from './artifacts.ts'
import { earlier } from './history.ts'
import { Lineage } from './lineage.ts'
import { isTooOld, twiceName } from './options.ts'
import { commitOf, describe, failure, nothing, renew, sentence, since } from './prose.ts'
import type { Baseline, BaselineRequest, BaselineState } from './types.ts'

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
    for await (const found of inOrder(artifacts, lineage, base, request.nearest)) {
      const { candidate } = found
      let { state, distance } = found
      if (candidate.expired || isTooOld(candidate.created, now, maxAge)) {
        gone ??= { candidate, why: candidate.expired ? 'has expired' : 'is older than `baseline-max-age` allows' }
        continue
      }
      // However many were refused before, the newest ones are looked at.
      const most = state === 'degraded' ? limits.github.artifactRuns + 10 : limits.github.artifactRuns
      if (!(await artifacts.trusted(candidate, most))) {
        if (artifacts.isWithoutRun(candidate))
          gone ??= { candidate, why: 'is of a run that GitHub does not know any more' }
        continue
      }
      if (state === 'degraded') {
        if (!(await ofTheBranch(candidate, request, artifacts))) continue
        distance = await commitsBefore(candidate, request)
        if (distance !== undefined) state = 'ancestor'
      }
      if (await newestOfRun(api, context, twiceName(name), candidate.run)) throw new Failed(candidate, ambiguous())
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
    if (error instanceof UnknownError) return { ...unfound, state: 'forbidden', reason: error.message }
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

/** Whose baseline it is can't be told: it may be another model's. */
function ambiguous(): InvalidError {
  return new InvalidError(
    'two gates of that run published under one name: give each its own `baseline-key`, or its models names (NAME=PATH)',
  )
}

/** A run names the branch that it was started on, and a tag may be called like it: its commit has to be one of the branch's. */
async function ofTheBranch(
  candidate: Candidate,
  { api, context, base }: BaselineRequest,
  artifacts: Artifacts,
): Promise<boolean> {
  try {
    if (await isOnBranch(api, context, candidate.sha, base.branch)) return true
    artifacts.refuse(candidate, 'made of a commit that is not on the branch')
  } catch (error) {
    if (!isRefusal(error)) throw error
    if ((error as { status?: number }).status === 403) {
      const what = `Whether ${commitOf(candidate)} is on the branch is not known`
      throw new UnknownError(explainFailure(error, what, 'contents: read', context))
    }
    artifacts.refuse(candidate, 'made of a commit that GitHub does not know on the branch')
  }
  return false
}

/** How far it is before the base, further back than commits are looked through one by one; undefined where it is not before it. */
async function commitsBefore({ sha }: Candidate, { api, context, base }: BaselineRequest): Promise<number | undefined> {
  if (base.commit === null) return undefined
  try {
    const found = await ahead(api, context, sha, base.commit)
    return found !== undefined && Number.isFinite(found) ? found : undefined
  } catch (error) {
    if (!isRefusal(error)) throw error
    return undefined
  }
}

async function* inOrder(
  artifacts: Artifacts,
  lineage: Lineage,
  base: BaseCommit,
  nearest = false,
): AsyncGenerator<Found> {
  const seen = new Set<number>()
  const fresh = (candidates: Candidate[]) => candidates.filter(({ id }) => !seen.has(id) && seen.add(id))
  while (await artifacts.more()) {
    const ofBase = base.commit === null ? [] : artifacts.of(base.commit)
    for (const candidate of fresh(ofBase)) yield { candidate, state: 'exact', distance: 0 }
  }
  if (base.commit !== null) {
    for (const candidate of fresh(await artifacts.inRunsOf(base.commit)))
      yield { candidate, state: 'exact', distance: 0 }
    for await (const { sha, distance } of lineage.before(base.commit)) {
      for (const candidate of fresh(await artifacts.inRunsOf(sha))) yield { candidate, state: 'ancestor', distance }
    }
  }
  if (!nearest) for (const candidate of fresh(artifacts.ofBranch())) yield { candidate, state: 'degraded' }
}

/** Whether there is a baseline can't be told. */
class UnknownError extends Error {}

/** Something went wrong with one artifact. */
class Failed extends Error {
  readonly candidate: Candidate

  constructor(candidate: Candidate, cause: unknown) {
    super('', { cause })
    this.candidate = candidate
  }
}

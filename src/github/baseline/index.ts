import { connect, startDeadline } from '../api.ts'
import { type BaseCommit, branchOf, mergeBase, resolveBase } from '../base-commit.ts'
import type { Context } from '../context.ts'
import { readHead } from '../git.ts'
import { haveNothingInCommon } from '../repository.ts'
import { type BaselineSource, workflowPath } from './options.ts'
import { baselineOfRun, findBaseline } from './search.ts'
import type { Baseline, BaselineRequest } from './types.ts'

export interface SearchRequest {
  context: Context
  source: Extract<BaselineSource, { kind: 'auto' | 'run' }>
  token: string
  /** Where the repository was checked out. */
  workspace: string
  artifactName: string
  /** `baseline-branch` and `baseline-workflow`; empty: the event's own. */
  branch: string
  workflow: string
  /** Seconds. */
  maxAge: number | undefined
  /** Points of history that are wanted. */
  history?: number
  /** What all of it may take. */
  milliseconds?: number
}

/** States in which another branch may have what is wanted. */
const FURTHER: readonly Baseline['state'][] = ['first-run', 'expired', 'degraded']

/** The whole search: from what was checked out to the report of the right commit. Failures do not throw. */
export async function searchBaseline(request: SearchRequest): Promise<Baseline> {
  const { context, source, token, workspace, artifactName, branch, maxAge, history, milliseconds = 60_000 } = request
  if (!token) {
    const reason = 'The baseline cannot be read: the input github-token is empty.'
    return { state: 'forbidden', reason, branch, wanted: null, history: [] }
  }
  const deadline = startDeadline(milliseconds)
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    const common = { api, context, artifactName, workflowPath: workflowPath(request.workflow), maxAge }
    if (source.kind === 'run') return await baselineOfRun({ ...common, run: source.id })
    const head = context.pullRequest && workspace ? await readHead(workspace) : undefined
    const base = await resolveBase({ api, context, head, branch })
    const wanted = { ...common, base, history }
    const found = await findBaseline(wanted)
    if (branch || !FURTHER.includes(found.state)) return found
    return context.push ? await ofPushed(found, wanted) : await ofDefaultBranch(found, wanted)
  } finally {
    deadline.done()
  }
}

/** A branch that publishes none, such as one on which pull requests are stacked, has those of the branch that it left. */
async function ofDefaultBranch(found: Baseline, request: BaselineRequest): Promise<Baseline> {
  const { api, context, base } = request
  const { defaultBranch, pullRequest, mergeGroup, sha } = context
  const tip = pullRequest?.headSha ?? mergeGroup?.headSha ?? sha
  if (found.state !== 'first-run' || !defaultBranch || base.branch === defaultBranch) return found
  const left = await mergeBase(api, context, defaultBranch, tip)
  if (left.commit === null) {
    // Of the branch, which whoever judges has made, not of the change, whose author may have cut its history off.
    if (await haveNothingInCommon(api, context, base.branch, defaultBranch)) return found
    return { ...found, state: 'unreachable', reason: `${found.reason} ${left.problem}` }
  }
  const instead = await findBaseline({ ...request, base: left, nearest: true })
  // One that is there and can't be had is no first run.
  if (!instead.report) return instead.state === 'first-run' ? found : { ...instead, branch: base.branch }
  const { distance, ...rest } = instead
  // It is not of the base commit, but of one before it.
  const reason = `The branch ${base.branch.slice(0, 100)} has no baseline; that of ${defaultBranch} counts. ${instead.reason}`
  return { ...rest, state: 'ancestor', reason }
}

/**
 * A branch that left the default one before that had baselines, or so long ago that they are gone, has its own of before a push: the
 * default branch's newest differs by all that became of it since.
 */
async function ofPushed(found: Baseline, request: BaselineRequest): Promise<Baseline> {
  const { ref, push } = request.context
  const own = branchOf(ref)
  if (!push?.before || own === request.base.branch) return found
  const base: BaseCommit = { branch: own, commit: push.before, from: 'before', problem: '' }
  const instead = await findBaseline({ ...request, base, nearest: true })
  if (!instead.report) return found
  const [left, short] = [request.base.branch.slice(0, 100), own.slice(0, 100)]
  return { ...instead, reason: `${left} has no baseline of where ${short} left it; its own counts. ${instead.reason}` }
}

import { limits } from '../limits.ts'
import type { Api } from './api.ts'
import { branchOf } from './base-commit.ts'
import type { Context, PullRequest } from './context.ts'
import { readPull } from './pull.ts'
import { isOnBranch } from './repository.ts'

export interface Acceptance {
  /** Who set the label. */
  readonly by: string
  /** When, in ISO 8601. */
  readonly at: string
}

interface LabelEvent {
  event: string
  label?: { name?: string | null }
  actor?: { login: string; type: string } | null
  created_at: string
}

/** A label that is there and does not count. */
export interface Refused {
  readonly refused: string
}

/**
 * Who has accepted the commit at hand by a label; undefined where the label is not there. It counts if a person with write access
 * set it after GitHub had seen that commit as the head of the pull request. All times are GitHub's own: those of a commit can be
 * forged. GitHub's errors pass through.
 */
export async function readAcceptance(
  api: Api,
  context: Context,
  label: string,
): Promise<Acceptance | Refused | undefined> {
  const pull = context.pullRequest!
  const found = await lastLabelled(api, context, pull.number, label)
  if (!found) return undefined
  const { set, forced, moved } = found
  const by = set.actor?.login ?? ''
  if (!by || set.actor?.type === 'Bot') return { refused: `${by || 'nobody known'} set it, who is no person` }
  if (!(await mayWrite(api, context, by))) return { refused: `${by} set it, who has no write access` }
  const at = Date.parse(set.created_at)
  const ownEvent = pull.labelled?.name === label && pull.labelled.by === by
  const seen = ownEvent ? at : await firstSeen(api, context, pull, forced)
  if (!(seen <= at) || forced > at)
    return { refused: `${by} set it before the last push: take it off and set it again` }
  if (moved > at) return { refused: `${by} set it before the base branch changed: take it off and set it again` }
  return { by, at: set.created_at }
}

/**
 * The pull request whose entry in the merge queue this is; undefined where that can't be told, and a refusal where the entry is put
 * upon others: what is judged is then theirs, too. GitHub's errors pass through.
 */
export async function pullOfGroup(api: Api, context: Context): Promise<PullRequest | Refused | undefined> {
  const { headRef, baseRef, baseSha } = context.mergeGroup!
  const branch = branchOf(baseRef) || baseRef
  const queue = `gh-readonly-queue/${branch}/pr-`
  const entry = branchOf(headRef) || headRef
  if (!entry.startsWith(queue)) return undefined
  const number = /^([1-9]\d{0,9})-[0-9a-f]+$/.exec(entry.slice(queue.length))?.[1]
  if (number === undefined) return undefined
  if (await isOnBranch(api, context, baseSha, branch)) return readPull(api, context, Number(number))
  return { refused: 'in the merge queue this change is put upon others, for which it does not speak' }
}

/** That another branch is the base: by somebody, or because that was deleted. */
const BASE_MOVED = ['base_ref_changed', 'automatic_base_change_succeeded']

/** The event that set the label which is there now, and when its branch was last forced, and the base branch changed. */
async function lastLabelled({ octokit }: Api, { repository }: Context, number: number, label: string) {
  let set: LabelEvent | undefined
  let forced = Number.NEGATIVE_INFINITY
  let moved = Number.NEGATIVE_INFINITY
  for (let page = 1; ; page++) {
    if (page > limits.github.eventPages)
      throw new Error(`the pull request has more than ${100 * limits.github.eventPages} events`)
    const { data, headers } = await octokit.rest.issues.listEvents({
      ...{ owner: repository.owner, repo: repository.name, issue_number: number, per_page: 100, page },
    })
    for (const event of data as LabelEvent[]) {
      if (event.event === 'head_ref_force_pushed') forced = Math.max(forced, Date.parse(event.created_at))
      if (BASE_MOVED.includes(event.event)) moved = Math.max(moved, Date.parse(event.created_at))
      if (event.label?.name !== label) continue
      if (event.event === 'labeled') set = event
      if (event.event === 'unlabeled') set = undefined
    }
    if (!headers.link?.includes('rel="next"')) return set && { set, forced, moved }
  }
}

async function mayWrite({ octokit }: Api, { repository }: Context, username: string): Promise<boolean> {
  const { data } = await octokit.rest.repos.getCollaboratorPermissionLevel({
    ...{ owner: repository.owner, repo: repository.name, username },
  })
  return ['admin', 'write'].includes(data.permission)
}

/**
 * When the first run began that GitHub started for this commit since the branch was last at another one, or was forced: a branch may
 * come back to a commit that it had before. This run at the latest.
 */
async function firstSeen(
  { octokit }: Api,
  { repository }: Context,
  pull: PullRequest,
  forced: number,
): Promise<number> {
  const seen: number[] = []
  let other = forced - SKEW
  for (let page = 1; page <= limits.github.eventPages; page++) {
    const { data, headers } = await octokit.rest.actions.listWorkflowRunsForRepo({
      ...{ owner: repository.owner, repo: repository.name, branch: pull.headRef, per_page: 100, page },
    })
    // The newest first.
    for (const run of data.workflow_runs) {
      const ofHead = run.head_branch === pull.headRef && run.head_repository?.full_name === pull.headRepository
      if (!ofHead || !TOLD_OF_HEAD.test(run.event)) continue
      const at = Date.parse(run.created_at)
      if (run.head_sha === pull.headSha) seen.push(at)
      else other = Math.max(other, at)
    }
    if (!headers.link?.includes('rel="next"')) break
  }
  return Math.min(...seen.filter(at => at >= other))
}

/** Milliseconds by which GitHub may date a forced push later than the run that it starts. */
const SKEW = 2000
/** Events whose runs are of the branch's last commit at that time. */
const TOLD_OF_HEAD = /^(?:pull_request|push$|workflow_dispatch$)/

import { type Api, DeadlineError, WaitError } from './api.ts'
import type { Context } from './context.ts'
import { explainFailure } from './failures.ts'
import type { Head } from './git.ts'
import { branchTip, parentsOf } from './repository.ts'

/** Where a baseline is looked for. */
export interface BaseCommit {
  /** The branch whose runs publish it; empty where that is not known. */
  branch: string
  /** What to compare with; null where that is not known, or where nothing was there before. */
  commit: string | null
  from: 'merge-commit' | 'merge-base' | 'before' | 'merge-group' | 'this-commit' | 'tip' | 'nothing'
  /** Why the commit is not known, for a person; empty otherwise. */
  problem: string
}

export interface BaseRequest {
  api: Api
  context: Context
  /** What `readHead` gave. */
  head: Head | undefined
  /** Another branch than the event's own. */
  branch?: string | undefined
}

/**
 * The commit to compare with. For a pull request it depends on what was checked out: by default its merge commit, whose first
 * parent is the base; otherwise the merge base. A merge group is compared with its merge base with the branch that it goes into:
 * the group before it, on which it is put, may fail yet. A push to the default branch is compared with what that was before; one to
 * another branch with where that left the default branch, for its own push before may have been as bad. Anything else (a schedule, a
 * dispatch) is compared with what its branch has so far, which may be this very commit. Failures do not throw: they come back as
 * `problem`.
 */
export async function resolveBase({ api, context, head, branch }: BaseRequest): Promise<BaseCommit> {
  const { pullRequest, push, mergeGroup, defaultBranch, sha } = context
  const tip = pullRequest?.headSha ?? mergeGroup?.headSha ?? sha
  const own = branchOf(context.ref)
  if (branch && !(push?.before && branch === own)) return mergeBase(api, context, branch, tip, { orTip: true })
  if (pullRequest) {
    const { baseRef, headSha, baseSha } = pullRequest
    const parent = await firstParent(api, context, head)
    if (parent !== undefined) return { branch: baseRef, commit: parent, from: 'merge-commit', problem: '' }
    const base = await mergeBase(api, context, baseRef, headSha)
    // It was merged meanwhile: compared with itself it would never differ.
    if (base.commit !== headSha) return base
    return { ...(await mergeBase(api, context, baseSha, headSha)), branch: baseRef }
  }
  if (mergeGroup) {
    const { baseRef } = mergeGroup
    return { ...(await mergeBase(api, context, branchOf(baseRef) || baseRef, tip)), from: 'merge-group' }
  }
  if (push && own) {
    const other = defaultBranch !== '' && own !== defaultBranch && branch !== own
    if (other) return mergeBase(api, context, defaultBranch, sha)
    if (push.before) return { branch: own, commit: push.before, from: 'before', problem: '' }
    return { branch: own, commit: null, from: 'nothing', problem: '' }
  }
  const known = own || defaultBranch
  const problem = known ? '' : 'The event does not say which branch to compare with. Set `baseline-branch`.'
  return { branch: known, commit: sha, from: 'this-commit', problem }
}

/**
 * The first parent of a pull request's merge commit, where that is what was checked out, as far as can be seen. GitHub is asked
 * before the checkout, in which a step of the pull request may have written.
 */
async function firstParent(api: Api, context: Context, head: Head | undefined): Promise<string | undefined> {
  const { sha, pullRequest } = context
  const headSha = pullRequest!.headSha
  if (sha === headSha || (head && head.sha !== sha)) return undefined
  const known = await parentsOf(api, context, sha).catch(() => [])
  const parents = known.length > 0 ? known : (head?.parents ?? [])
  return parents.length === 2 && parents[1] === headSha ? parents[0] : undefined
}

export async function mergeBase(
  api: Api,
  context: Context,
  base: string,
  head: string,
  { orTip = false } = {},
): Promise<BaseCommit> {
  const { owner, name: repo } = context.repository
  const { octokit } = api
  try {
    // A tag may have the branch's name: its commit is not the branch's.
    const tip = /^[0-9a-f]{40,64}$/.test(base) ? base : await branchTip(api, context, base)
    const basehead = `${tip}...${head}`
    const { data } = await octokit.rest.repos.compareCommitsWithBasehead({ owner, repo, basehead, per_page: 1 })
    return { branch: base, commit: data.merge_base_commit.sha, from: 'merge-base', problem: '' }
  } catch (error) {
    const unknown = { branch: base, commit: null, from: 'merge-base' as const }
    if (error instanceof DeadlineError || error instanceof WaitError) return { ...unknown, problem: error.message }
    if (!orTip || (error as { status?: number }).status !== 404) {
      return { ...unknown, problem: explainFailure(error, 'The merge base is not known', 'contents: read', context) }
    }
  }
  try {
    const { data } = await octokit.rest.repos.listCommits({ owner, repo, sha: base, per_page: 1 })
    return { branch: base, commit: data[0]?.sha ?? null, from: 'tip', problem: '' }
  } catch (error) {
    const problem = explainFailure(
      error,
      `The branch ${JSON.stringify(base)} cannot be read`,
      'contents: read',
      context,
    )
    return { branch: base, commit: null, from: 'tip', problem }
  }
}

/** Whether this run judges a change that is not merged yet: whoever made it must not set the rules. */
export function isJudged({ pullRequest, mergeGroup }: Context): boolean {
  return pullRequest !== null || mergeGroup !== null
}

/** The commit that a change is judged by. */
export function judgedCommit({ pullRequest, mergeGroup }: Context): string {
  return pullRequest?.headSha ?? mergeGroup!.headSha
}

/** The merge commit of a pull request, where the event has it. */
export function mergeCommit({ ref, sha }: Context): string | undefined {
  return /^refs\/pull\/\d+\/merge$/.test(ref) ? sha : undefined
}

/** The branch that a change is to be merged into. */
export function baseBranch({ pullRequest, mergeGroup }: Context): string {
  return pullRequest?.baseRef ?? (branchOf(mergeGroup?.baseRef ?? '') || mergeGroup!.baseRef)
}

/** The same, as a ref. */
export function baseRef(context: Context): string {
  return `refs/heads/${baseBranch(context)}`
}

/** The name of a branch's ref; empty where it is no branch. */
export function branchOf(ref: string): string {
  return ref.startsWith('refs/heads/') ? ref.slice('refs/heads/'.length) : ''
}

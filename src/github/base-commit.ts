import { execFile } from 'node:child_process'
import { dirname } from 'node:path'
import { type Api, DeadlineError, WaitError } from './api.ts'
import type { Context } from './context.ts'
import { explainFailure } from './failures.ts'

/** What was checked out. */
export interface Head {
  sha: string
  parents: string[]
}

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
 * The commit that HEAD is in a folder, and its parents. They are read from the commit itself: in a clone of depth 1 git knows
 * no parent otherwise. Undefined where there is no git, no repository or no commit.
 */
export function readHead(folder: string): Promise<Head | undefined> {
  // A container's user owns no file of the checkout, which git refuses by default.
  const options = ['--no-replace-objects', '-c', `safe.directory=${folder}`, '-C', folder]
  return new Promise(resolve => {
    const child = execFile(
      'git',
      [...options, 'cat-file', '--batch'],
      { encoding: 'utf8', timeout: 10_000, maxBuffer: 1024 * 1024, env: gitEnvironment(folder) },
      (error, output) => resolve(error ? undefined : parseCommit(output)),
    )
    child.stdin?.on('error', () => {})
    child.stdin?.end('HEAD\n')
  })
}

/** No repository but the folder's own: neither one that a variable names nor one that lies around it. */
function gitEnvironment(folder: string): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_'))
  return { ...Object.fromEntries(others), GIT_CEILING_DIRECTORIES: dirname(folder), GIT_NO_LAZY_FETCH: '1' }
}

/** What `git cat-file --batch` says of one commit. */
export function parseCommit(output: string): Head | undefined {
  const sha = /^([0-9a-f]{40}|[0-9a-f]{64}) commit \d+\n/.exec(output)?.[1]
  if (sha === undefined) return undefined
  const [header] = output.slice(output.indexOf('\n') + 1).split('\n\n', 1)
  return { sha, parents: [...header!.matchAll(/^parent ([0-9a-f]+)$/gm)].map(([, parent]) => parent!) }
}

/**
 * The commit to compare with. For a pull request it depends on what was checked out: by default its merge commit, whose first
 * parent is the base; otherwise the merge base. A push is compared with what its branch was before, a new branch with where it
 * left the default branch; a merge group with the commit that it is put upon; anything else (a schedule, a dispatch) with what
 * its branch has so far, which may be this very commit. Failures do not throw: they come back as `problem`.
 */
export async function resolveBase({ api, context, head, branch }: BaseRequest): Promise<BaseCommit> {
  const { pullRequest, push, mergeGroup, defaultBranch, sha } = context
  const tip = pullRequest?.headSha ?? mergeGroup?.headSha ?? sha
  const own = branchOf(context.ref)
  if (branch) return mergeBase(api, context, branch, tip, { orTip: true })
  if (pullRequest) {
    const { baseRef, headSha, baseSha } = pullRequest
    if (head?.sha === sha && head.parents.length === 2 && head.parents[1] === headSha) {
      return { branch: baseRef, commit: head.parents[0]!, from: 'merge-commit', problem: '' }
    }
    const base = await mergeBase(api, context, baseRef, headSha)
    // It was merged meanwhile: compared with itself it would never differ.
    if (base.commit !== headSha) return base
    return { ...(await mergeBase(api, context, baseSha, headSha)), branch: baseRef }
  }
  if (mergeGroup) {
    const { baseRef, baseSha } = mergeGroup
    return { branch: branchOf(baseRef) || baseRef, commit: baseSha, from: 'merge-group', problem: '' }
  }
  if (push && own) {
    if (push.before) return { branch: own, commit: push.before, from: 'before', problem: '' }
    if (defaultBranch && own !== defaultBranch) return mergeBase(api, context, defaultBranch, sha)
    return { branch: own, commit: null, from: 'nothing', problem: '' }
  }
  const known = own || defaultBranch
  const problem = known ? '' : 'The event does not say which branch to compare with. Set `baseline-branch`.'
  return { branch: known, commit: sha, from: 'this-commit', problem }
}

async function mergeBase(
  { octokit }: Api,
  context: Context,
  base: string,
  head: string,
  { orTip = false } = {},
): Promise<BaseCommit> {
  const { owner, name: repo } = context.repository
  try {
    const { data } = await octokit.rest.repos.compareCommitsWithBasehead({
      owner,
      repo,
      basehead: `${base}...${head}`,
      per_page: 1,
    })
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

function branchOf(ref: string): string {
  return ref.startsWith('refs/heads/') ? ref.slice('refs/heads/'.length) : ''
}

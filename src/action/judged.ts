import * as core from '@actions/core'
import { workspaceOf } from '../bytes/workspace.ts'
import { UserError } from '../errors.ts'
import { connect, startDeadline } from '../github/api.ts'
import { branchOf, isJudged, judgedCommit, mergeCommit } from '../github/base-commit.ts'
import type { Context } from '../github/context.ts'
import { explainFailure } from '../github/failures.ts'
import { type Head, isOfAnother, isUpon, readHead } from '../github/git.ts'
import { ahead, isOnBranch, UnreadableError } from '../github/repository.ts'
import { timeFor } from './baseline.ts'
import { checkoutOf, isSubmodule, mainCheckout, withoutName } from './checkout.ts'
import { Origins } from './origin.ts'
import { checkoutAt } from './places.ts'
import { readCheckpoints } from './publishing.ts'

/**
 * Refuses checkpoints that are of another commit than the change that is judged, and that it edits. By default pull_request_target,
 * issue_comment and a dispatch check out the default branch, whose model would pass in the place of the pull request's.
 * @param checkpoints paths, or NAME=PATH
 * @throws UserError with the file, and what to check out
 */
export async function refuseOfAnotherCommit(context: Context, checkpoints: readonly string[]): Promise<void> {
  const token = core.getInput('github-token')
  if (!isJudged(context) || !token) return
  for (const path of checkpoints.map(withoutName)) {
    if (await isOfChange(context, path)) continue
    const name = await notOfChange(context, path, token)
    if (name === undefined) continue
    throw new UserError(
      `${path} is not that of this change: ${name} lies here as another commit has it, and the change edits it.`,
      remedy(context),
    )
  }
}

function remedy(context: Context): string {
  const { pullRequest, event } = context
  if (!pullRequest) return 'Check out the commit of the event before this step.'
  const merge = `refs/pull/${pullRequest.number}/merge`
  if (mergeCommit(context)) return `Check out ${merge} before this step.`
  return `Use the event pull_request, or check out ${merge} before this step (${event} has the default branch).`
}

/** Whether a checkpoint lies in a checkout of the change, of what would be merged, or of a commit that a step made upon either. */
async function isOfChange(context: Context, path: string): Promise<boolean> {
  let checkout = await checkoutAt(path)
  // A submodule is of the commit around it.
  while (await isSubmodule(checkout)) checkout = await checkoutOf(checkout, workspaceOf())
  const head = await readHead(checkout)
  // Without git it is what the event has by default.
  return head
    ? isUponChange(context, checkout, head)
    : mergeCommit(context) !== undefined || context.mergeGroup !== null
}

function isUponChange(context: Context, checkout: string, head: Head): Promise<boolean> {
  const merge = mergeCommit(context)
  return isUpon(checkout, head, [judgedCommit(context), ...(merge === undefined ? [] : [merge])])
}

/**
 * The commit that was checked out, where a change is judged and it is neither that nor upon it; undefined where all that is judged lies in
 * a checkout that is.
 */
export async function checkedOutBeside(context: Context, checkpoints: readonly string[]): Promise<string | undefined> {
  if (!isJudged(context)) return undefined
  const checkout = await mainCheckout(checkpoints, workspaceOf())
  const head = await readHead(checkout)
  if (!head || (await isUponChange(context, checkout, head)) || (await isOfAnother(checkout, context))) return undefined
  for (const path of checkpoints.map(withoutName)) if (!(await isOfChange(context, path))) return head.sha
  return undefined
}

async function notOfChange(context: Context, path: string, token: string): Promise<string | undefined> {
  const deadline = startDeadline(await timeFor(path))
  try {
    return await new Origins(await connect({ token, apiUrl: context.apiUrl, deadline }), context).notOfChange(path)
  } catch (error) {
    const what = `Whether ${path} is that of this change is not known`
    if (error instanceof UserError) throw error
    // What pull_request has by default is the change.
    if (mergeCommit(context)) return undefined
    if (error instanceof UnreadableError) throw new UserError(`${what}: ${error.message}.`)
    throw new UserError(explainFailure(error, what, 'contents: read', context))
  } finally {
    deadline.done()
  }
}

/**
 * What was checked out in the place of the commit that a run on a branch is about, as a schedule does that trains another branch; undefined
 * where it is that commit, a later one of the branch, or one that GitHub does not know, which a step made.
 */
export async function checkedOutInstead(context: Context, token: string): Promise<string | undefined> {
  const checkout = await mainCheckout(readCheckpoints(), workspaceOf())
  const head = await readHead(checkout)
  if (!head || head.sha === context.sha || (await isOfAnother(checkout, context))) return undefined
  const deadline = startDeadline()
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    const by = await ahead(api, context, context.sha, head.sha)
    if (by === undefined) return undefined
    const isLater = Number.isFinite(by) && (await isOnBranch(api, context, head.sha, branchOf(context.ref)))
    return isLater ? undefined : head.sha
  } catch {
    return (await isUpon(checkout, head, [context.sha])) ? undefined : head.sha
  } finally {
    deadline.done()
  }
}

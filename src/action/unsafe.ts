import { isInside, located, workspaceOf } from '../bytes/workspace.ts'
import { UserError } from '../errors.ts'
import type { Context } from '../github/context.ts'
import { isTracked, isUnchanged, readHead } from '../github/git.ts'
import { allCheckouts, checkoutOf, withoutName } from './checkout.ts'

/**
 * About a fork's pull request these run with a token that may only read and without secrets, or because somebody who may write asked
 * for it. All others run with a token that may write, whoever caused them.
 */
const SAFE = [
  ...['pull_request', 'pull_request_review', 'pull_request_review_comment'],
  ...['workflow_dispatch', 'repository_dispatch', 'push', 'merge_group'],
]

/**
 * Refuses a privileged run that has files of a fork's pull request in its workspace: whatever a step runs of them is the fork's.
 * What is allowed is a workspace whose every checkout is the base commit, unchanged, and checkpoints that are among its files, or
 * lie outside the workspace.
 * @throws UserError with the way that is safe
 */
export async function refuseUnsafeCheckout(
  context: Context,
  workspace: string,
  checkpoints: readonly string[],
): Promise<void> {
  const { event, pullRequest, sha } = context
  if (SAFE.includes(event) || !isAboutFork(context)) return
  const root = workspaceOf(workspace)
  const inside = checkpoints.map(one => located(withoutName(one), workspace)).filter(path => isInside(path, root))
  const found = await whatIsUnsafe(root, inside, pullRequest ? [sha, pullRequest.baseSha] : [sha])
  if (found === undefined) return
  throw new UserError(
    `This ${event} run ${pullRequest || context.workflowRun ? 'is' : 'may be'} about a fork's pull request, and ${found}: files of strangers beside a token that may write.`,
    'Use pull_request, and mode: comment in a second workflow (examples/workflows/fork-gate.yml, fork-comment.yml); or set allow-unsafe-checkout: true.',
  )
}

/** Events of which a stranger can be the cause, and that tell no pull request. */
const OF_ANYBODY = ['issue_comment', 'issues', 'discussion', 'discussion_comment', 'fork', 'watch']

/** Whether its pull request is a fork's, or the run that it follows is of one, or that can't be told. */
function isAboutFork({ event, pullRequest, workflowRun, repository }: Context): boolean {
  if (pullRequest) return pullRequest.fork
  if (OF_ANYBODY.includes(event)) return true
  const ours = `${repository.owner}/${repository.name}`.toLowerCase()
  return Boolean(workflowRun?.event.startsWith('pull_request')) && workflowRun!.headRepository?.toLowerCase() !== ours
}

async function whatIsUnsafe(
  root: string,
  paths: readonly string[],
  base: readonly string[],
): Promise<string | undefined> {
  const checkouts = await allCheckouts(root)
  for (const checkout of checkouts) {
    const head = await readHead(checkout)
    if (!head || !base.includes(head.sha)) return 'its workspace has a checkout that is not the base commit'
    if (!(await isUnchanged(checkout))) return 'its workspace has files that are not those of the base commit'
  }
  for (const path of paths) {
    const checkout = await checkoutOf(path, root)
    const known = checkouts.includes(checkout) && (await isTracked(checkout, path))
    if (!known) return 'its checkpoint is not one of the base commit'
  }
  return undefined
}

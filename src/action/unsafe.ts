import { UserError } from '../errors.ts'
import { readHead } from '../github/base-commit.ts'
import type { Context } from '../github/context.ts'

/**
 * Refuses a `pull_request_target` run that has checked out a fork's head: such a run has a token that may write and all secrets,
 * and whatever a step runs of that checkout is the fork's.
 * @throws UserError with the way that is safe
 */
export async function refuseUnsafeCheckout({ event, pullRequest }: Context, workspace: string): Promise<void> {
  if (event !== 'pull_request_target' || !pullRequest?.fork || !workspace) return
  const head = await readHead(workspace)
  if (head?.sha !== pullRequest.headSha && !head?.parents.includes(pullRequest.headSha)) return
  throw new UserError(
    'This pull_request_target run has checked out the head of a fork: code of strangers beside a token that may write.',
    'Use pull_request, and mode: comment in a second workflow (examples/workflows/fork-gate.yml, fork-comment.yml); or set allow-unsafe-checkout: true.',
  )
}

import { resolve } from 'node:path'
import { UserError } from '../errors.ts'
import { isUnchanged, readHead } from '../github/base-commit.ts'
import type { Context } from '../github/context.ts'
import { allCheckouts, checkoutOf, isInside, withoutName } from './checkout.ts'

/** What anybody can cause, and runs with a token that may write and with all secrets. */
const PRIVILEGED = ['pull_request_target', 'issue_comment']

/**
 * Refuses a privileged run that has files of a fork's pull request in its workspace: whatever a step runs of them is the fork's.
 * What is allowed is a workspace whose every checkout is the base commit, unchanged, and checkpoints that are among its files, or
 * lie outside the workspace.
 * @throws UserError with the way that is safe
 */
export async function refuseUnsafeCheckout(
  { event, pullRequest, sha }: Context,
  workspace: string,
  checkpoints: readonly string[],
): Promise<void> {
  if (!PRIVILEGED.includes(event) || !pullRequest?.fork) return
  const root = resolve(workspace || '.')
  const inside = checkpoints.map(one => resolve(withoutName(one))).filter(path => isInside(path, root))
  const found = await whatIsUnsafe(root, inside, [sha, pullRequest.baseSha])
  if (found === undefined) return
  throw new UserError(
    `This ${event} run is about a fork's pull request, and ${found}: files of strangers beside a token that may write.`,
    'Use pull_request, and mode: comment in a second workflow (examples/workflows/fork-gate.yml, fork-comment.yml); or set allow-unsafe-checkout: true.',
  )
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
    if (!(await isUnchanged(checkout, []))) return 'its workspace has files that are not those of the base commit'
  }
  for (const path of paths) {
    const checkout = await checkoutOf(path, root)
    const known = checkouts.includes(checkout) && (await isUnchanged(checkout, [path]))
    if (!known) return 'its checkpoint is not one of the base commit'
  }
  return undefined
}

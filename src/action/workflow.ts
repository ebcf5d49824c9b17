import * as core from '@actions/core'
import { connect, startDeadline } from '../github/api.ts'
import { baseRef } from '../github/base-commit.ts'
import type { Context } from '../github/context.ts'
import { statAt } from '../github/repository.ts'

/** Milliseconds that GitHub may take to tell of a file. */
const MOST = 20_000

/**
 * Whether the workflow that runs this is as the base branch has it: `none` where that has none of its name, so that it has judged
 * nothing there, and `other` where that is not known.
 */
export async function workflowOnBase(context: Context): Promise<'same' | 'other' | 'none'> {
  const { workflowPath: path, sha, pullRequest } = context
  const token = core.getInput('github-token')
  if (!path || !token) return 'other'
  const deadline = startDeadline(MOST)
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    const base = await statAt(api, context, path, baseRef(context))
    if (!base) return 'none'
    // What is checked out by default is the merge commit, where the branch's own edits count too.
    for (const ref of [sha, pullRequest?.headSha ?? sha])
      if ((await statAt(api, context, path, ref))?.sha === base.sha) return 'same'
    return 'other'
  } catch {
    return 'other'
  } finally {
    deadline.done()
  }
}

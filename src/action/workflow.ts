import * as core from '@actions/core'
import { connect, startDeadline } from '../github/api.ts'
import { baseRef } from '../github/base-commit.ts'
import type { Context } from '../github/context.ts'
import { blobId, readAt, statAt } from '../github/repository.ts'
import { limits } from '../limits.ts'

/** Milliseconds that GitHub may take to tell of a file. */
const MOST = 20_000

/** The workflow that runs this, as the base branch has it. */
export interface BaseWorkflow {
  /** `none` where the base branch has none of its name, which then has judged nothing there; `other` where it is not known, too. */
  readonly state: 'same' | 'other' | 'none'
  /** What it says there; undefined where that is not known. */
  readonly text: string | undefined
}

const known = new WeakMap<Context, Promise<BaseWorkflow>>()

/** GitHub is asked once in a run. Failures do not throw. */
export function workflowOnBase(context: Context): Promise<BaseWorkflow> {
  const asked = known.get(context) ?? ask(context)
  known.set(context, asked)
  return asked
}

async function ask(context: Context): Promise<BaseWorkflow> {
  const { workflowPath: path, sha, pullRequest } = context
  const token = core.getInput('github-token')
  const unknown: BaseWorkflow = { state: 'other', text: undefined }
  if (!path || !token) return unknown
  const deadline = startDeadline(MOST)
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    const bytes = await readAt(api, context, { path, ref: baseRef(context), most: limits.config.bytes })
    if (!bytes) return { state: 'none', text: '' }
    const text = bytes.toString('utf8')
    // What is checked out by default is the merge commit, where the branch's own edits count too.
    for (const ref of [sha, pullRequest?.headSha ?? sha])
      if ((await statAt(api, context, path, ref))?.sha === blobId(bytes)) return { state: 'same', text }
    return { state: 'other', text }
  } catch {
    return unknown
  } finally {
    deadline.done()
  }
}

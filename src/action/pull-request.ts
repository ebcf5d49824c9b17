import * as core from '@actions/core'
import { UserError } from '../errors.ts'
import { connect, startDeadline } from '../github/api.ts'
import type { Context } from '../github/context.ts'
import { explainFailure } from '../github/failures.ts'
import { readPull } from '../github/pull.ts'

/**
 * The context, with the pull request that the input `pull-request` names where the event names none.
 * @throws UserError where it is no number, or GitHub does not give it
 */
export async function withPullRequest(context: Context): Promise<Context> {
  const text = core.getInput('pull-request')
  if (text === '' || context.pullRequest) return context
  if (!/^[1-9]\d{0,9}$/.test(text)) {
    throw new UserError(`pull-request is ${JSON.stringify(text)}, but takes the number of a pull request.`)
  }
  const token = core.getInput('github-token')
  if (!token) throw new UserError('The pull request cannot be read: the input github-token is empty.')
  const deadline = startDeadline(30_000)
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    return { ...context, pullRequest: await readPull(api, context, Number(text)) }
  } catch (error) {
    const what = `The pull request ${text} cannot be read`
    throw new UserError(explainFailure(error, what, 'pull-requests: read', context), '', { cause: error })
  } finally {
    deadline.done()
  }
}

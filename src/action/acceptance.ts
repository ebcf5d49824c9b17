import * as core from '@actions/core'
import { pullOfGroup, readAcceptance } from '../github/acceptance.ts'
import { connect, startDeadline } from '../github/api.ts'
import { isJudged } from '../github/base-commit.ts'
import type { Context, PullRequest } from '../github/context.ts'
import { explainFailure } from '../github/failures.ts'
import { accept, isAcceptable } from '../policy/accept.ts'
import { printable } from '../render/escape.ts'
import type { Report } from '../report/schema.ts'
import type { Publishing } from './publishing.ts'

/** Milliseconds: the outputs wait for it. */
const MOST = 20_000

/** The report, its verdict accepted where a reviewer's label says so. GitHub is asked only where that would change something. */
export async function withAcceptance(context: Context, publishing: Publishing, report: Report): Promise<Report> {
  const { acceptLabel: label, token } = publishing
  const { verdict } = report
  if (!label || !isJudged(context) || !verdict || !isAcceptable(verdict)) return report
  if (!token) {
    core.warning('Whether the label accepts this is not known: the input github-token is empty.')
    return report
  }
  const deadline = startDeadline(MOST)
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    const pullRequest = context.pullRequest ?? (await pullOfGroup(api, context))
    if (!pullRequest) return report
    const refused = 'refused' in pullRequest ? pullRequest : undefined
    const found = refused ?? (await readAcceptance(api, { ...context, pullRequest: pullRequest as PullRequest }, label))
    if (!found) return report
    if ('refused' in found) core.warning(printable(`The label ${label} does not count: ${found.refused}.`))
    return { ...report, verdict: accept(verdict, label, found) }
  } catch (error) {
    const needs = 'pull-requests: read'
    core.warning(
      explainFailure(error, `Whether the label ${printable(label)} accepts this is not known`, needs, context),
    )
    return report
  } finally {
    deadline.done()
  }
}

import * as core from '@actions/core'
import { UserError } from '../errors.ts'
import { type Api, connect, startDeadline } from '../github/api.ts'
import { readArtifact } from '../github/baseline/archive.ts'
import { newestOfRun } from '../github/baseline/artifacts.ts'
import { publishComment } from '../github/comment.ts'
import type { Context, WorkflowRun } from '../github/context.ts'
import { explainFailure } from '../github/failures.ts'
import { limits } from '../limits.ts'
import { printable } from '../render/escape.ts'
import { renderMarkdown } from '../render/markdown.ts'
import { parseReport } from '../report/io.ts'
import type { Report } from '../report/schema.ts'
import { commentAction } from './comment-mode.ts'
import type { Publishing } from './publishing.ts'

/**
 * `mode: comment`, for the run that `workflow_run` reports on: a fork's gate has no token to comment with. Its artifact may say
 * anything, so that only its JSON is read, through the schema; it is rendered here, its links are ours, and the pull request is
 * the one whose head is that run's branch and commit. Nothing is checked out. Where there is nothing to comment on, the log says
 * why, and the job goes on.
 */
export async function relayComment(context: Context, publishing: Publishing): Promise<void> {
  const run = context.workflowRun
  if (!run) {
    throw new UserError(
      `mode: comment is for the event workflow_run, but this is ${context.event}.`,
      'examples/workflows/fork-comment.yml has the workflow.',
    )
  }
  const { token, artifact, commentKey } = publishing
  const said = (reason: string) => core.info(printable(`No comment: ${reason}.`))
  if (publishing.comment === 'never') return said('the input comment is never')
  if (!run.event.startsWith('pull_request')) return said(`run ${run.id} was started by ${run.event}`)
  const ours = `${context.repository.owner}/${context.repository.name}`
  if (run.headRepository?.toLowerCase() === ours.toLowerCase()) {
    return said(`run ${run.id} is of this repository, and comments for itself`)
  }
  if (!token) throw new UserError('No comment can be written: the input github-token is empty.')
  const deadline = startDeadline()
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    const issue = await pullRequestOf(api, context, run)
    if (typeof issue === 'string') return said(issue)
    const found = await newestOfRun(api, context, artifact, run.id)
    if (!found) return said(`run ${run.id} has no artifact named ${artifact}`)
    const report = trusted(await readArtifact(api, context, found, { parse: parseReport, alone: false }), context, run)
    const body = renderMarkdown(report, {
      limit: limits.report.commentCharacters,
      note: 'From the run of a fork: what its report says was not checked.',
    })
    const { url, warning, action } = await publishComment({
      ...{ api, context, issue, key: commentKey, body, run: { id: run.id, attempt: run.attempt } },
      ...{ verdict: report.verdict?.status, recreateOnWorse: publishing.recreateOnWorse },
      create: commentAction(publishing.comment, report) === 'write',
    })
    if (warning) core.warning(warning)
    else core.info(`Comment ${action}: ${url}`)
    if (url) core.setOutput('comment-url', url)
  } catch (error) {
    core.warning(explainFailure(error, 'The comment was not written', 'pull-requests: write', context))
  } finally {
    deadline.done()
  }
}

/** The number of the one open pull request from that branch whose head is that commit; otherwise why there is none. */
async function pullRequestOf(api: Api, context: Context, run: WorkflowRun): Promise<number | string> {
  const { headRepository, headBranch, headSha } = run
  if (!headRepository || !headBranch) return 'the fork has been deleted'
  const { data } = await api.octokit.rest.pulls.list({
    ...{ owner: context.repository.owner, repo: context.repository.name, state: 'open', per_page: 100 },
    head: `${headRepository.split('/')[0]}:${headBranch}`,
  })
  const ofBranch = data.filter(
    ({ head }) => head.ref === headBranch && head.repo?.full_name.toLowerCase() === headRepository.toLowerCase(),
  )
  if (ofBranch.length === 0) return `no open pull request comes from ${headRepository}:${headBranch}`
  const found = ofBranch.filter(({ head }) => head.sha === headSha)
  if (found.length === 1) return found[0].number
  if (found.length > 1) return `${found.length} pull requests have the head ${headSha}`
  return `the pull request has moved on from ${headSha}`
}

/** With the run, the commit and the addresses that we know, in place of what the report claims. */
function trusted(report: Report, context: Context, run: WorkflowRun): Report {
  const { owner, name } = context.repository
  const address = (id: number) => `${context.serverUrl}/${owner}/${name}/actions/runs/${id}`
  const { run_url, ...baseline } = report.baseline ?? {}
  return {
    ...report,
    ...(report.baseline && {
      baseline: {
        ...(baseline as NonNullable<Report['baseline']>),
        ...(report.baseline.run_id !== undefined && { run_url: address(report.baseline.run_id) }),
      },
    }),
    provenance: {
      ...{ repository: `${owner}/${name}`, commit: run.headSha, ref: run.headBranch, event: run.event },
      ...{ workflow: run.workflowPath, run_id: run.id, run_attempt: run.attempt, run_url: address(run.id) },
      time: new Date().toISOString(),
    },
  }
}

import * as core from '@actions/core'
import { UserError } from '../errors.ts'
import { readAcceptance } from '../github/acceptance.ts'
import { type Api, connect, startDeadline } from '../github/api.ts'
import { commentsOf, hashOf, publishComment } from '../github/comment.ts'
import type { Context, PullRequest, WorkflowRun } from '../github/context.ts'
import { explainFailure } from '../github/failures.ts'
import { pullRequestOf } from '../github/pull.ts'
import { limits } from '../limits.ts'
import { accept } from '../policy/accept.ts'
import { code, link, printable } from '../render/escape.ts'
import { ICON } from '../render/headline.ts'
import { renderMarkdown } from '../render/markdown.ts'
import type { Report } from '../report/schema.ts'
import { commentAction } from './comment-mode.ts'
import type { Publishing } from './publishing.ts'
import { type Relayed, readRelayed } from './relayed.ts'
import { setOutput } from './safely.ts'

/** How many gates are told of, where not more have a comment already. */
const MOST_GATES = 10
const NO_FAILURE =
  'The run ended without a failure, and without a report of this gate: it did not run, or its report was not kept.'
/** Ends of runs that looked at nothing, and failed at nothing. */
const IDLE: Readonly<Record<string, string>> = {
  success: NO_FAILURE,
  neutral: NO_FAILURE,
  skipped: 'The run was skipped: nothing was looked at.',
  action_required: 'The run waits for approval: nothing was looked at.',
  cancelled: 'The run was cancelled: nothing was looked at.',
  stale: 'The run never ended: nothing was looked at.',
}

/**
 * `mode: comment`, for the run that `workflow_run` reports on: a fork's gate, or that of Dependabot, has no token to comment with. Its
 * artifacts may say anything, so that only their JSON is read, through the schema; it is rendered here, its links are ours, and the
 * pull request is the one whose head is that run's branch and commit. Nothing is checked out. Each gate of the run has a comment of
 * its own; where the run left no report, an earlier comment is made to say so. Where there is nothing to comment on, the log says
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
  const said = (reason: string) => core.info(printable(`No comment: ${reason}.`))
  if (publishing.comment === 'never') return said('the input comment is never')
  if (!run.event.startsWith('pull_request')) return said(`run ${run.id} was started by ${run.event}`)
  const ours = `${context.repository.owner}/${context.repository.name}`
  const own = run.headRepository?.toLowerCase() === ours.toLowerCase()
  if (own && run.actor !== 'dependabot[bot]') {
    return said(`run ${run.id} is of this repository, and comments for itself`)
  }
  if (!publishing.token) throw new UserError('No comment can be written: the input github-token is empty.')
  const deadline = startDeadline()
  try {
    const api = await connect({ token: publishing.token, apiUrl: context.apiUrl, deadline })
    const pull = await openPullRequest(api, context, run)
    if (typeof pull === 'string') return said(pull)
    await tellAll({ api, context: { ...context, pullRequest: pull }, run, publishing, own })
  } catch (error) {
    core.warning(explainFailure(error, 'The comment was not written', 'pull-requests: write', context))
  } finally {
    deadline.done()
  }
}

interface Relay {
  readonly api: Api
  readonly context: Context & { readonly pullRequest: PullRequest }
  readonly run: WorkflowRun
  readonly publishing: Publishing
  /** It is of this repository. */
  readonly own: boolean
}

/** What does not hold any more is told first, and reading has half of the time: no old comment stays because of what was uploaded. */
async function tellAll(relay: Relay): Promise<void> {
  const { api, context, run } = relay
  const earlier = await commentsOf(api, context, context.pullRequest.number, run.workflowPath)
  const { reports, unread } = await readRelayed(relay, new Set(earlier.keys()), api.deadline.left() / 2)
  const found = reports.map(one => ({ ...one, hash: hashOfGate(one.gate) }))
  const hashes = new Set(found.map(({ hash }) => hash))
  await tellMissing(relay, unread, new Map([...earlier].filter(([hash]) => !hashes.has(hash))))
  const known = found.filter(({ hash }) => earlier.has(hash))
  const others = found.filter(({ hash, report }) => !earlier.has(hash) && mayBegin(relay, report))
  const room = Math.max(0, MOST_GATES - known.length)
  for (const { hash, report } of [...known, ...others.slice(0, room)]) await relayReport(relay, hash, report)
  const rest = others.slice(room).map(({ artifact }) => artifact.name)
  if (rest.length > 0) core.warning(printable(`Not commented on, for there are too many: ${rest.join(', ')}.`))
}

/** Whether it may begin a comment; whether an acceptance is one is looked up later. */
function mayBegin({ publishing }: Relay, report: Report): boolean {
  return report.verdict?.status === 'accepted' || commentAction(publishing.comment, report) === 'write'
}

/** What tells the comment of a gate apart: the same as where it comments for itself, unless this step has a key of its own. */
function hashOfGate(gate: string): string {
  const key = core.getInput('comment-key')
  return key && gate !== hashOf(key) ? hashOf(`${key}/${gate}`) : gate
}

async function relayReport(relay: Relay, hash: string, claimed: Report): Promise<void> {
  const { context, run, own } = relay
  const report = await withoutForgedAcceptance(relay, trusted(claimed, context, run))
  const note = own
    ? 'From a run that Dependabot started.'
    : 'From the run of a fork: what its report says was not checked.'
  const body = renderMarkdown(report, { limit: limits.report.commentCharacters, note })
  const create = commentAction(relay.publishing.comment, report) === 'write'
  await write(relay, hash, body, { create, verdict: report.verdict?.status })
}

/** An acceptance is GitHub's to tell: the label is looked up again, where it is that of this step's `accept-label`. */
async function withoutForgedAcceptance({ api, context, publishing }: Relay, report: Report): Promise<Report> {
  const { accepted, ...verdict } = report.verdict ?? {}
  if (!report.verdict || (!accepted && report.verdict.status !== 'accepted')) return report
  const { rules } = report.verdict
  const status = accepted?.was ?? (rules.some(({ outcome }) => outcome === 'violated') ? 'failed' : 'inconclusive')
  const before = { ...(verdict as NonNullable<Report['verdict']>), status, fails_job: true }
  if (!accepted || accepted.label !== publishing.acceptLabel) return { ...report, verdict: before }
  const found = await readAcceptance(api, context, accepted.label).catch(() => undefined)
  return { ...report, verdict: found ? accept(before, accepted.label, found) : before }
}

/** What earlier comments say does not hold any more where the run left no report of their gates. */
async function tellMissing(
  relay: Relay,
  unread: Relayed['unread'],
  missing: ReadonlyMap<string, string>,
): Promise<void> {
  const { context, run } = relay
  const { owner, name } = context.repository
  const url = `${context.serverUrl}/${owner}/${name}/actions/runs/${run.id}`
  const idle = !unread && Object.hasOwn(IDLE, run.conclusion) ? IDLE[run.conclusion] : undefined
  const verdict = idle ? 'inconclusive' : unread || 'failed'
  const title = { inconclusive: `${ICON.inconclusive} Inconclusive`, failed: `${ICON.failed} Failed` }[verdict]
  const reason = unread
    ? `No report of this gate can be read: ${link('the log', context.run.url)} says why.`
    : (idle ?? 'The run ended without a report of this gate: its log says why.')
  const about = `<sub>commit ${code(run.headSha.slice(0, 12))}, ${link(`run ${run.id}`, url)}</sub>`
  for (const [hash, commit] of missing) {
    // A run that looked at nothing knows no better of the same commit.
    if (idle && commit === run.headSha) continue
    await write(relay, hash, `### ${title}: no verdict\n\n${reason}\n\n${about}`, { create: false, verdict })
  }
}

async function write(
  { api, context, run, publishing }: Relay,
  hash: string,
  body: string,
  how: { create: boolean; verdict: string | undefined },
): Promise<void> {
  const { url, warning, action } = await publishComment({
    ...{
      api,
      context,
      issue: context.pullRequest.number,
      key: '',
      hash,
      body,
      run: { id: run.id, attempt: run.attempt },
    },
    ...{ ...how, recreateOnWorse: publishing.recreateOnWorse, workflowPath: run.workflowPath, again: true },
  })
  if (warning) core.warning(warning)
  else core.info(`Comment ${action}: ${url}`)
  if (url) await setOutput('comment-url', url)
}

/** The one open pull request from that branch whose head is that commit; otherwise why there is none. */
async function openPullRequest(api: Api, context: Context, run: WorkflowRun): Promise<PullRequest | string> {
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
  if (found.length === 1) return pullRequestOf(found[0])
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

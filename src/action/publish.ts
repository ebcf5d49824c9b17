import { relative } from 'node:path'
import * as core from '@actions/core'
import { explain, UserError } from '../errors.ts'
import { connect, type Deadline, startDeadline } from '../github/api.ts'
import { uploadArtifact } from '../github/artifact.ts'
import { newestOfRun } from '../github/baseline/artifacts.ts'
import { publishesBaseline, twiceName } from '../github/baseline/options.ts'
import { publishComment } from '../github/comment.ts'
import type { Context } from '../github/context.ts'
import { lacksCheckpoint } from '../policy/judge.ts'
import { code, plain } from '../render/escape.ts'
import { ICON } from '../render/headline.ts'
import type { Report } from '../report/schema.ts'
import { commentAction } from './comment-mode.ts'
import { checkedOutInstead } from './judged.ts'
import type { Files, Written } from './outputs.ts'
import type { Publishing } from './publishing.ts'
import { addSummary, setOutput } from './safely.ts'

/**
 * The comment, the baseline and the report, each within a deadline of its own. What fails is a warning, and never changes the
 * verdict; but where something would be missed later, it fails the job: a part that was not kept, and what another gate of the same
 * run has taken the place of.
 */
export async function publish(
  context: Context,
  publishing: Publishing,
  { files, comment: body }: Written,
  report: Report,
): Promise<void> {
  if (report.part) {
    if (!files) return core.setFailed('The part was not kept: no folder can be written.')
    const failed = await upload(context, files.folder, publishing.partArtifact, [files.json])
    if (failed) core.setFailed(`The part was not kept, so that the merge would miss it. ${failed.warning}`)
    return
  }
  const decided = commentAction(publishing.comment, report)
  await comment(context, publishing, body, decided, report.verdict?.status)
  if (!files) return core.warning('Neither the baseline nor the report was published: no folder can be written.')
  if (publishesBaseline(context) && report.models.length > 0 && !lacksCheckpoint(report))
    await publishBaseline(context, publishing, files)
  await uploadReport(context, publishing, files)
}

async function publishBaseline(context: Context, publishing: Publishing, files: Files): Promise<void> {
  const other = await checkedOutInstead(context, publishing.token)
  if (other !== undefined) {
    const own = `not of ${context.sha.slice(0, 7)} of ${context.ref}`
    core.warning(
      `The baseline was not published: the checkout is of ${other.slice(0, 7)}, ${own}, which this run is about.`,
    )
    return
  }
  const { baselineArtifact } = publishing
  const failed = await upload(context, files.folder, baselineArtifact, [files.json], publishing.token)
  // Whoever finds the other's must not take it for this one's.
  if (failed?.taken) await upload(context, files.folder, twiceName(baselineArtifact), [files.json])
  const say = failed?.taken ? core.setFailed : core.warning
  if (failed) say(`The baseline was not published. ${failed.warning}${failed.taken ? apart('baseline-key') : ''}`)
}

async function uploadReport(
  context: Context,
  { artifact, otherArtifact, token }: Publishing,
  { folder, json, markdown, html }: Files,
): Promise<void> {
  let failed: Awaited<ReturnType<typeof upload>>
  for (const name of [artifact, otherArtifact].filter(Boolean)) {
    failed = await upload(context, folder, name, [json, markdown, ...(html ? [html] : [])], token)
    if (!failed?.taken) break
  }
  if (failed) {
    core.warning(`The report was not published. ${failed.warning}${failed.taken ? apart('artifact-name') : ''}`)
  }
}

/** What to do where two gates can't be told apart. */
function apart(input: string): string {
  return ` Two gates of this run are alike: give each its own \`${input}\`, or its models names (NAME=PATH).`
}

/** Characters of an error in a comment; with all of them escaped it still fits. */
const MOST_SAID = 10_000

/** What went wrong takes the place of an earlier, better comment: it must not stand for this run. */
export async function publishError(context: Context, publishing: Publishing, error: unknown): Promise<void> {
  const said = error instanceof UserError ? explain(error) : 'Spectral Gate failed by its own fault: the log has more.'
  const lines = said
    .slice(0, MOST_SAID)
    .split('\n')
    .map(line => plain(line, code))
  const body = `### ${ICON.failed} Failed: no verdict\n\n${lines.join('  \n')}\n\n<sub>[run ${context.run.id}](${context.run.url})</sub>`
  await addSummary(body)
  await comment(context, publishing, body, publishing.comment === 'never' ? 'skip' : 'write', 'failed')
}

async function upload(
  context: Context,
  root: string,
  name: string,
  paths: string[],
  token = '',
): Promise<{ warning: string; taken: boolean } | undefined> {
  const deadline = startDeadline()
  const files = paths.map(path => relative('.', path))
  const { warning, taken } = await uploadArtifact({ name, files, root, context, deadline, env: process.env })
  const byAnother = taken && (await isTaken(context, name, token, deadline))
  deadline.done()
  return warning ? { warning, taken: byAnother } : undefined
}

/** The name may be taken by our own request, which GitHub carried out and did not answer: then the artifact was never finished. */
async function isTaken(context: Context, name: string, token: string, deadline: Deadline): Promise<boolean> {
  if (!token) return true
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    return (await newestOfRun(api, context, name, context.run.id)) !== undefined
  } catch {
    return true
  }
}

async function comment(
  context: Context,
  { commentKey, token, recreateOnWorse }: Publishing,
  body: string,
  decided: ReturnType<typeof commentAction>,
  verdict: string | undefined,
): Promise<void> {
  const issue = context.pullRequest?.number
  if (issue === undefined || decided === 'skip') return
  if (!token) return core.warning('No comment was written: the input github-token is empty.')
  const deadline = startDeadline()
  const api = await connect({ token, apiUrl: context.apiUrl, deadline })
  const { url, warning, action } = await publishComment({
    ...{ api, context, issue, key: commentKey, body, verdict, recreateOnWorse },
    create: decided === 'write',
  })
  deadline.done()
  if (action === 'taken') core.setFailed(`${warning}${apart('comment-key')}`)
  else if (warning) core.warning(warning)
  else core.info(`Comment ${action}: ${url}`)
  if (url) await setOutput('comment-url', url)
}

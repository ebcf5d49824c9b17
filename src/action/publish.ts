import { relative } from 'node:path'
import * as core from '@actions/core'
import { explain, UserError } from '../errors.ts'
import { connect, type Deadline, startDeadline } from '../github/api.ts'
import { uploadArtifact } from '../github/artifact.ts'
import { publishesBaseline } from '../github/baseline/options.ts'
import { publishComment } from '../github/comment.ts'
import type { Context } from '../github/context.ts'
import { code, plain } from '../render/escape.ts'
import { ICON } from '../render/headline.ts'
import type { Report } from '../report/schema.ts'
import { commentAction } from './comment-mode.ts'
import type { Files } from './outputs.ts'
import { readPartArtifact } from './parts.ts'
import type { Publishing } from './publishing.ts'

/** Baseline, artifact and comment. What fails is a warning: it never changes the verdict. */
export async function publish(context: Context, publishing: Publishing, files: Files, report: Report): Promise<void> {
  const deadline = startDeadline()
  if (report.part) {
    await upload(context, deadline, files.folder, readPartArtifact(), [files.json], 'The part')
    return deadline.done()
  }
  if (publishesBaseline(context) && report.models.length > 0) {
    await upload(context, deadline, files.folder, publishing.baselineArtifact, [files.json], 'The baseline')
  }
  if (publishing.artifact) {
    await upload(context, deadline, files.folder, publishing.artifact, [files.json, files.markdown], 'The report')
  }
  const decided = commentAction(publishing.comment, report)
  await comment(context, publishing, files.comment, deadline, decided, report.verdict?.status)
  deadline.done()
}

/** What went wrong takes the place of an earlier, better comment: it must not stand for this run. */
export async function publishError(context: Context, publishing: Publishing, error: unknown): Promise<void> {
  const said = error instanceof UserError ? explain(error) : 'Spectral Gate failed by its own fault: the log has more.'
  const lines = said.split('\n').map(line => plain(line, code))
  const body = `### ${ICON.failed} Failed: no verdict\n\n${lines.join('  \n')}\n\n<sub>[run ${context.run.id}](${context.run.url})</sub>`
  await core.summary.addRaw(body, true).write()
  const deadline = startDeadline()
  await comment(context, publishing, body, deadline, publishing.comment === 'never' ? 'skip' : 'write', 'failed')
  deadline.done()
}

async function upload(
  context: Context,
  deadline: Deadline,
  root: string,
  name: string,
  paths: string[],
  what: string,
): Promise<void> {
  const files = paths.map(path => relative('.', path))
  const { warning } = await uploadArtifact({ name, files, root, context, deadline, env: process.env })
  if (warning) core.warning(`${what} was not published. ${warning}`)
}

async function comment(
  context: Context,
  { commentKey, token, recreateOnWorse }: Publishing,
  body: string,
  deadline: Deadline,
  decided: ReturnType<typeof commentAction>,
  verdict: string | undefined,
): Promise<void> {
  const issue = context.pullRequest?.number
  if (issue === undefined || decided === 'skip') return
  if (!token) return core.warning('No comment was written: the input github-token is empty.')
  const api = await connect({ token, apiUrl: context.apiUrl, deadline })
  const { url, warning, action } = await publishComment({
    api,
    context,
    issue,
    key: commentKey,
    body,
    create: decided === 'write',
    verdict,
    recreateOnWorse,
  })
  if (warning) core.warning(warning)
  else core.info(`Comment ${action}: ${url}`)
  if (url) core.setOutput('comment-url', url)
}

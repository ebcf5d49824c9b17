import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import * as core from '@actions/core'
import { readConfig } from './config/file.ts'
import { PUBLISHING, type PublishingName, type RawPublishing, resolvePublishing } from './config/options.ts'
import { explain, UserError } from './errors.ts'
import { connect, startDeadline } from './github/api.ts'
import { uploadArtifact } from './github/artifact.ts'
import { type Baseline, missingBaseline } from './github/baseline.ts'
import { baselineArtifactName, parseBaselineSource, parseMaxAge, publishesBaseline } from './github/baseline-options.ts'
import { searchBaseline } from './github/baseline-search.ts'
import { publishComment } from './github/comment.ts'
import { type CommentMode, commentAction, parseCommentMode } from './github/comment-mode.ts'
import { type Context, provenance, readContext } from './github/context.ts'
import { limits } from './limits.ts'
import { logProgress } from './progress.ts'
import { code, plain, printable } from './render/escape.ts'
import { headline, ICON } from './render/headline.ts'
import { renderMarkdown } from './render/markdown.ts'
import { renderText } from './render/text.ts'
import { serialiseReport } from './report/io.ts'
import type { BaselineRecord, Report, RuleResult, Verdict } from './report/schema.ts'
import { flag, OPTIONS, type OptionName, type RawSettings, resolveSettings, type Settings } from './settings.ts'
import { run } from './walks/run.ts'

/** GitHub's bound on a step summary, in bytes, less room for what other commands of the step may add. */
const SUMMARY_ROOM = 1024 * 1024 - 4096

interface Publishing {
  readonly comment: CommentMode
  readonly commentKey: string
  /** Empty: nothing is uploaded. */
  readonly artifact: string
  /** Under this name the report is the next baseline, and the last one is looked for. */
  readonly baselineArtifact: string
  readonly baselineBranch: string
  readonly baselineWorkflow: string
  readonly baselineMaxAge: number | undefined
  readonly baselineRequired: boolean
  readonly token: string
}

await main().catch(error => {
  const ours = !(error instanceof UserError)
  core.setFailed(`${ours ? 'Spectral Gate failed by its own fault; please report this: ' : ''}${explain(error)}`)
  process.exitCode = ours ? 3 : 2
})
// The toolkit's uploads can't be stopped: past the deadline they must not hold the runner.
process.exit()

async function main(): Promise<void> {
  const context = await readContext(process.env, path => readFile(path, 'utf8'))
  let publishing = readPublishing(context, {})
  let report: Report
  try {
    const config = await readConfig(core.getInput('config'))
    publishing = readPublishing(context, config.publishing)
    report = await analyse(context, resolveSettings(config.settings, readInputs()), publishing)
  } catch (error) {
    // A comment of an earlier, better run must not stand for this one.
    await publishError(context, publishing, error)
    throw error
  }
  const files = await writeOutputs(report)
  if (report.verdict!.fails_job)
    core.setFailed(printable(`${report.verdict!.status}: ${headline(report, name => name)}`))
  await publish(context, publishing, files, report)
}

async function analyse(context: Context, settings: Settings, publishing: Publishing): Promise<Report> {
  const checkpoints = core.getMultilineInput('checkpoint', { required: true })
  const source = parseBaselineSource(settings.baseline ?? '')
  const found =
    source.kind === 'auto' || source.kind === 'run'
      ? await searchBaseline({
          ...{ context, source, token: publishing.token, workspace: process.env.GITHUB_WORKSPACE ?? '' },
          ...{ artifactName: publishing.baselineArtifact, branch: publishing.baselineBranch },
          ...{ workflow: publishing.baselineWorkflow, maxAge: publishing.baselineMaxAge, history: 10 },
        })
      : undefined
  if (found) {
    core.info(printable(found.reason))
    core.setOutput('baseline-state', found.state)
    core.setOutput('baseline-commit', found.commit ?? '')
    core.setOutput('baseline-run', found.run?.id ?? '')
    if (!['exact', 'ancestor', 'given', 'first-run'].includes(found.state)) core.warning(printable(found.reason))
    const missing = missingBaseline(found, publishing.baselineRequired)
    if (missing) throw new UserError(missing)
  }
  return run({
    checkpoints,
    settings: source.kind === 'none' ? { ...settings, baseline: undefined } : settings,
    search: found && baselineRecord(found),
    baseline: found?.report && { report: found.report, where: `run ${found.run!.id}` },
    provenance: provenance(context, new Date().toISOString()),
    onProgress: logProgress(line => core.info(line)),
  })
}

function baselineRecord({
  state,
  reason,
  branch,
  wanted,
  commit,
  run,
  time,
  distance,
  history,
}: Baseline): BaselineRecord {
  return {
    ...{ state, reason, branch, wanted, history },
    ...(commit !== undefined && { commit }),
    ...(run && { run_id: run.id, run_url: run.url }),
    ...(time !== undefined && { time }),
    ...(distance !== undefined && { distance }),
  }
}

function readInputs(): RawSettings {
  return Object.fromEntries((Object.keys(OPTIONS) as OptionName[]).map(name => [name, core.getInput(name)]))
}

function readPublishing({ workflow }: Context, config: RawPublishing): Publishing {
  const names = Object.keys(PUBLISHING) as PublishingName[]
  const raw = resolvePublishing(config, Object.fromEntries(names.map(name => [name, core.getInput(name)])))
  const { GITHUB_JOB: job = '', GITHUB_ACTION: step = '' } = process.env
  const key = { key: raw['baseline-key'], job, step, matrix: core.getInput('matrix') }
  return {
    comment: parseCommentMode(raw.comment),
    commentKey: raw['comment-key'] || `${workflow}/${job}`,
    artifact: raw['artifact-name'] === 'none' ? '' : raw['artifact-name'],
    baselineArtifact: raw['baseline-artifact'] || baselineArtifactName(key),
    baselineBranch: raw['baseline-branch'],
    baselineWorkflow: raw['baseline-workflow'],
    baselineMaxAge: parseMaxAge(raw['baseline-max-age']),
    baselineRequired: flag('baseline-required', raw['baseline-required'])!,
    token: core.getInput('github-token'),
  }
}

interface Files {
  readonly folder: string
  readonly json: string
  readonly markdown: string
  /** The text of the Markdown file. */
  readonly comment: string
}

/** All that needs no network, before anything that does. */
async function writeOutputs(report: Report): Promise<Files> {
  const verdict = report.verdict!
  const folder = join(process.env.RUNNER_TEMP || '.', `spectral-gate-${process.env.GITHUB_ACTION || 'report'}`)
  const comment = renderMarkdown(report, { limit: limits.comment, whereabouts: summaryLink(report) })
  const files = { folder, json: join(folder, 'report.json'), markdown: join(folder, 'comment.md'), comment }
  await mkdir(folder, { recursive: true })
  await writeFile(files.json, serialiseReport(report))
  await writeFile(files.markdown, comment)

  core.info(renderText(report))
  core.setOutput('verdict', verdict.status)
  if (report.models.length === 1) {
    const { alpha, alpha_weighted, log_spectral_norm } = report.models[0].summary
    core.setOutput('alpha', alpha ?? '')
    core.setOutput('alpha-weighted', alpha_weighted ?? '')
    core.setOutput('log-spectral-norm', log_spectral_norm ?? '')
  }
  core.setOutput(
    'metrics',
    JSON.stringify(Object.fromEntries(report.models.map(({ name, summary }) => [name, summary]))),
  )
  core.setOutput('report-json', files.json)
  core.setOutput('report-markdown', files.markdown)
  await core.summary.addRaw(renderMarkdown(report, { limit: SUMMARY_ROOM }), true).write()
  annotate(verdict)
  return files
}

/** Ten a level is what GitHub shows of a step. An error would look as if it failed the job: where it does not, it is a warning. */
function annotate({ rules, fails_job }: Verdict): void {
  const broken = rules.filter(rule => rule.outcome !== 'ok')
  for (const rule of broken.filter(rule => rule.level === 'fail').slice(0, 9)) {
    const annotation = fails_job ? core.error : core.warning
    annotation(describe(rule), { title: `Spectral Gate: ${rule.outcome}` })
  }
  for (const rule of broken.filter(rule => rule.level === 'warn').slice(0, 7)) {
    core.warning(describe(rule), { title: 'Spectral Gate' })
  }
}

function describe({ rule, model, reason, layer, value }: RuleResult): string {
  const parts = [`${model}: ${rule}`, value === null ? '' : `measured ${value}`, layer ?? '', reason]
  return printable(parts.filter(Boolean).join(', '))
}

async function publish(context: Context, publishing: Publishing, files: Files, report: Report): Promise<void> {
  const deadline = startDeadline()
  if (publishesBaseline(context)) {
    const { warning } = await uploadArtifact({
      name: publishing.baselineArtifact,
      files: [relative('.', files.json)],
      root: files.folder,
      context,
      deadline,
      env: process.env,
    })
    if (warning) core.warning(`The baseline was not published. ${warning}`)
  }
  if (publishing.artifact) {
    const { warning } = await uploadArtifact({
      name: publishing.artifact,
      files: [files.json, files.markdown].map(file => relative('.', file)),
      root: files.folder,
      context,
      deadline,
      env: process.env,
    })
    if (warning) core.warning(warning)
  }
  await comment(context, publishing, files.comment, deadline, commentAction(publishing.comment, report))
  deadline.done()
}

async function publishError(context: Context, publishing: Publishing, error: unknown): Promise<void> {
  const said = error instanceof UserError ? explain(error) : 'Spectral Gate failed by its own fault: the log has more.'
  const lines = said.split('\n').map(line => plain(line, code))
  const body = `### ${ICON.failed} Failed: no verdict\n\n${lines.join('  \n')}\n\n<sub>[run ${context.run.id}](${context.run.url})</sub>`
  await core.summary.addRaw(body, true).write()
  await comment(context, publishing, body, startDeadline())
}

async function comment(
  context: Context,
  { comment: mode, commentKey, token }: Publishing,
  body: string,
  deadline: ReturnType<typeof startDeadline>,
  decided: ReturnType<typeof commentAction> = mode === 'never' ? 'skip' : 'write',
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
  })
  if (warning) core.warning(warning)
  else core.info(`Comment ${action}: ${url}`)
  if (url) core.setOutput('comment-url', url)
}

function summaryLink({ provenance }: Report): string {
  return provenance ? `[all layers](${provenance.run_url})` : ''
}

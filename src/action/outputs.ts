import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as core from '@actions/core'
import { limits } from '../limits.ts'
import { printable } from '../render/escape.ts'
import { renderMarkdown } from '../render/markdown.ts'
import { renderText } from '../render/text.ts'
import { serialiseReport } from '../report/io.ts'
import type { Report, RuleResult, Verdict } from '../report/schema.ts'

/** GitHub's bound on a step summary, in bytes, less room for what other commands of the step may add. */
const SUMMARY_ROOM = 1024 * 1024 - 4096

export interface Files {
  readonly folder: string
  readonly json: string
  readonly markdown: string
  /** The text of the Markdown file. */
  readonly comment: string
}

/** All that needs no network, before anything that does: files, outputs, log, step summary and annotations. */
export async function writeOutputs(report: Report): Promise<Files> {
  const folder = join(process.env.RUNNER_TEMP || '.', `spectral-gate-${process.env.GITHUB_ACTION || 'report'}`)
  const comment = renderMarkdown(report, { limit: limits.report.commentCharacters, whereabouts: summaryLink(report) })
  const files = { folder, json: join(folder, 'report.json'), markdown: join(folder, 'comment.md'), comment }
  await mkdir(folder, { recursive: true })
  await writeFile(files.json, serialiseReport(report))
  await writeFile(files.markdown, comment)

  core.info(renderText(report))
  core.setOutput('verdict', report.verdict?.status ?? '')
  if (report.models.length === 1 && !report.part) {
    const { alpha, alpha_weighted, log_spectral_norm } = report.models[0].summary
    core.setOutput('alpha', alpha ?? '')
    core.setOutput('alpha-weighted', alpha_weighted ?? '')
    core.setOutput('log-spectral-norm', log_spectral_norm ?? '')
  }
  const summaries = report.part ? [] : report.models.map(({ name, summary }) => [name, summary])
  core.setOutput('metrics', JSON.stringify(Object.fromEntries(summaries)))
  core.setOutput('report-json', files.json)
  core.setOutput('report-markdown', files.markdown)
  await core.summary.addRaw(renderMarkdown(report, { limit: SUMMARY_ROOM }), true).write()
  if (report.verdict) annotate(report.verdict)
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
  const parts = [model ? `${model}: ${rule}` : rule, value === null ? '' : `measured ${value}`, layer ?? '', reason]
  return printable(parts.filter(Boolean).join(', '))
}

function summaryLink({ provenance }: Report): string {
  return provenance ? `[all layers](${provenance.run_url})` : ''
}

import { mkdir, mkdtemp, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as core from '@actions/core'
import { FORMATS } from '../config/formats.ts'
import { limits } from '../limits.ts'
import { code, printable } from '../render/escape.ts'
import { decisiveRule } from '../render/headline.ts'
import { renderMarkdown } from '../render/markdown.ts'
import { renderText } from '../render/text.ts'
import { serialiseReport } from '../report/io.ts'
import type { Report, RuleResult, Verdict } from '../report/schema.ts'
import type { Publishing } from './publishing.ts'
import { addSummary, safely, setOutput } from './safely.ts'

/** GitHub's bound on a step summary, in bytes, less room for what other commands of the step may add. */
const SUMMARY_ROOM = 1024 * 1024 - 4096

/** The page's name in the artifact. */
const PAGE = 'report.html'

export interface Files {
  readonly folder: string
  readonly json: string
  readonly markdown: string
  /** The page; undefined where none is wanted, or none could be made. */
  readonly html?: string | undefined
}

export interface Written {
  /** Undefined where no folder can be written. */
  readonly files: Files | undefined
  /** The text of the comment. */
  readonly comment: string
}

/**
 * All that needs no network, before anything that does: the log, files, outputs, step summary and annotations. What the runner does
 * not let us write is a warning.
 */
export async function writeOutputs(
  report: Report,
  { html, artifact }: Pick<Publishing, 'html' | 'artifact'>,
): Promise<Written> {
  const page = html && !report.part ? await safely('The page', () => FORMATS.html.render(report)) : undefined
  const comment = renderMarkdown(report, {
    limit: limits.report.commentCharacters,
    whereabouts: whereabouts(report, page === undefined ? '' : artifact),
  })
  core.info(renderText(report))
  await setOutput('verdict', report.verdict?.status ?? '')
  if (report.models.length === 1 && !report.part) {
    const { alpha, alpha_weighted, log_spectral_norm } = report.models[0].summary
    await setOutput('alpha', alpha ?? '')
    await setOutput('alpha-weighted', alpha_weighted ?? '')
    await setOutput('log-spectral-norm', log_spectral_norm ?? '')
  }
  const summaries = report.part ? [] : report.models.map(({ name, summary }) => [name, summary])
  await setOutput('metrics', JSON.stringify(Object.fromEntries(summaries)))
  const files = await writeFiles(serialiseReport(report), comment, page)
  await setOutput('report-json', files?.json ?? '')
  await setOutput('report-markdown', files?.markdown ?? '')
  await setOutput('report-html', files?.html ?? '')
  await addSummary(renderMarkdown(report, { limit: SUMMARY_ROOM }))
  if (report.verdict) annotate(report.verdict)
  return { files, comment }
}

/** In the runner's folder for such things, or else in that of the system. */
async function writeFiles(json: string, markdown: string, html: string | undefined): Promise<Files | undefined> {
  const name = `spectral-gate-${process.env.GITHUB_ACTION || 'report'}`.replace(/[^\w.-]/g, '-')
  const runners = process.env.RUNNER_TEMP
  const write = (what: string, folderOf: () => Promise<string>): Promise<Files | undefined> =>
    safely(`The report in ${what}`, async () => {
      const folder = await folderOf()
      const files = { folder, json: join(folder, 'report.json'), markdown: join(folder, 'comment.md') }
      await writeFile(files.json, json)
      await writeFile(files.markdown, markdown)
      if (html === undefined) return files
      const page = join(folder, PAGE)
      return {
        ...files,
        ...((await safely('The page', () => writeFile(page, html).then(() => true))) && { html: page }),
      }
    })
  const first = runners && (await write(runners, () => made(join(runners, name))))
  return first || write(tmpdir(), () => mkdtemp(join(tmpdir(), `${name}-`)))
}

/** Not recursive: in /proc that never ends. */
async function made(folder: string): Promise<string> {
  await stat(folder).catch(() => mkdir(folder))
  return folder
}

/** Ten a level is what GitHub shows of a step. An error would look as if it failed the job: where it does not, it is a warning. */
function annotate({ rules, fails_job }: Verdict): void {
  // What decided is annotated with the verdict already.
  const said = fails_job ? decisiveRule(rules) : undefined
  const broken = rules.filter(rule => rule.outcome !== 'ok' && rule !== said)
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

/** Where all of it is: the summary of the run, and the page in its artifact, where there is one. */
function whereabouts({ provenance }: Report, artifact: string): string {
  if (!provenance) return ''
  const page = artifact === '' ? '' : ` · spectra and plots: \`${PAGE}\` in the artifact ${code(artifact)}`
  return `[all layers](${provenance.run_url})${page}`
}

import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as core from '@actions/core'
import { resolvePartSettings } from '../config/settings.ts'
import { explain, UserError } from '../errors.ts'
import { type Context, hasNoSecrets } from '../github/context.ts'
import { runSeries, seriesOfHistory } from '../pipeline/series.ts'
import { writePlots, writeSeries } from '../pipeline/series-output.ts'
import { lacksCheckpoint } from '../policy/judge.ts'
import { logProgress } from '../progress.ts'
import { printableLines } from '../render/escape.ts'
import { renderSeriesMarkdown, renderSeriesText } from '../render/series.ts'
import type { Report } from '../report/schema.ts'
import { serialiseSeries } from '../series/report.ts'
import type { SeriesReport } from '../series/schema.ts'
import { expandPatterns } from './patterns.ts'
import { readSeries, SERIES_OF_HISTORY, wantsHistory } from './publishing.ts'
import { readBaseConfig, readRules } from './rules.ts'
import { addSummary, safely, setOutput } from './safely.ts'

/** Of a step summary, in bytes: half of GitHub's bound, as the gate's own stands there too. */
const SUMMARY_ROOM = 512 * 1024

/**
 * Before the work begins, what can't be.
 * @throws UserError naming the input
 */
export function refuseSeriesOf(mode: string): void {
  const lines = readSeries()
  if (lines.length === 0) return
  if (wantsHistory() && lines.length > 1)
    throw new UserError(`series: ${SERIES_OF_HISTORY} is a series of its own.`, 'Name it alone, or files alone.')
  if (mode === 'part') throw new UserError('series does not go with a part.', 'Set it in the merging job.')
}

/**
 * The series that the input names, alone.
 * @throws UserError where it names none, or one that can't be read
 */
export async function describeSeries(context: Context): Promise<void> {
  if (readSeries().length === 0)
    throw new UserError(
      'The input series is empty.',
      'It names lists, tables, reports or checkpoints, such as models.csv.',
    )
  if (wantsHistory())
    throw new UserError('series: history goes with the gate.', 'Name a checkpoint, and its accuracy, in the same step.')
  await tellSeries(await ofFiles(context))
}

/**
 * The series that the input names beside a gate: read before its verdict is published, which an error would take back. Undefined where
 * none is named, or where this run can't have what it takes.
 * @throws UserError where it can't be read
 */
export async function seriesBeside(context: Context, report: Report): Promise<SeriesReport | undefined> {
  if (readSeries().length === 0) return undefined
  try {
    return wantsHistory() ? ofHistory(context, report) : await ofFiles(context)
  } catch (error) {
    // Test data and models of a table may need credentials, as the checkpoint does.
    if (!(error instanceof UserError) || !(lacksCheckpoint(report) || hasNoSecrets(context))) throw error
    core.warning(printableLines(`There is no series. ${explain(error)}`))
    return undefined
  }
}

/** In the log, the summary, the outputs and as files. It describes models, and fails no job by what it finds. */
export async function tellSeries(series: SeriesReport): Promise<void> {
  core.info(renderSeriesText(series))
  await setOutput('series-metric', series.verdict.metric ?? '')
  await setOutput('series-verdict', series.verdict.status)
  await addSummary(renderSeriesMarkdown(series, SUMMARY_ROOM))
  const files = await safely('The series', () => writeFiles(series))
  await setOutput('series-json', files?.json ?? '')
  await setOutput('series-html', files?.html ?? '')
  await setOutput('series-plots', files?.plots ?? '')
}

function ofHistory({ sha, pullRequest }: Context, report: Report): SeriesReport {
  return seriesOfHistory(report, report.baseline ?? { history: [] }, (pullRequest?.headSha ?? sha).slice(0, 12))
}

async function ofFiles(context: Context): Promise<SeriesReport> {
  const { inForce } = await readRules(await readBaseConfig(context, core.getInput('github-token')))
  return runSeries({
    files: await expandPatterns(readSeries(), { input: 'series' }),
    settings: resolvePartSettings(inForce.config.settings, inForce.inputs.settings),
    onProgress: logProgress(line => core.info(line)),
  })
}

/** In a folder of the runner's; the plots where they are wanted. */
async function writeFiles(series: SeriesReport): Promise<{ json: string; html: string; plots: string }> {
  const folder = await mkdtemp(join(process.env.RUNNER_TEMP || tmpdir(), 'spectral-gate-series-'))
  const json = join(folder, 'series.json')
  const html = core.getInput('html') === 'false' ? '' : join(folder, 'series.html')
  const plots = core.getInput('plots') || folder
  await writeFile(json, serialiseSeries(series))
  await writePlots(series, plots)
  if (html) await writeSeries(series, { html }, () => undefined, {})
  return { json, html, plots }
}

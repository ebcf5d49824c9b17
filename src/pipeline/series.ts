import { dirname, isAbsolute, join } from 'node:path'
import { exists } from '../bytes/file.ts'
import { readSmallFile } from '../bytes/small-file.ts'
import { refuseOutside } from '../bytes/workspace.ts'
import type { Settings } from '../config/settings.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { OnProgress } from '../progress.ts'
import { SUMMARY_METRICS } from '../report/columns.ts'
import { readReport } from '../report/io.ts'
import type { AnalysisOptions, BaselineRecord, Layer, Model, Report } from '../report/schema.ts'
import { joined, type LayerSign, type LayerSigns, type Point, type Series, type Target } from '../series/points.ts'
import { judgeSeries } from '../series/report.ts'
import type { SeriesReport } from '../series/schema.ts'
import { isTable, type Measured, readTable } from '../series/table.ts'
import { type AnalyseContext, analyse, modelName } from './analyse.ts'
import { parseSource, withEngine } from './run.ts'

export interface SeriesRequest {
  /** Lists and tables (CSV, YAML); or checkpoints and reports themselves, NAME=PATH where one is to have a name. */
  readonly files: readonly string[]
  readonly settings: Settings
  readonly onProgress?: OnProgress | undefined
  readonly onFiles?: AnalyseContext['onFiles']
}

/** Accuracy or error of a model, as its report has it among the custom metrics. */
const TARGETS: readonly Target[] = [
  { name: 'accuracy', better: 'higher' },
  { name: 'error', better: 'lower' },
]

/**
 * What a series of models shows. Checkpoints and reports that are named themselves have the accuracy that their report has; without
 * one, they are moments of one training, in the order given.
 * @throws UserError where any of them can't be read, naming it and the row that does
 */
export function runSeries(request: SeriesRequest): Promise<SeriesReport> {
  return withEngine(request, async context => judgeSeries(await gather(request, context)))
}

async function gather({ files, settings }: SeriesRequest, context: AnalyseContext): Promise<Series> {
  const options = new SameOptions()
  const tables: Series[] = []
  const models: NamedReport[] = []
  for (const file of files) {
    if (isTable(file)) {
      const bytes = await readSmallFile(file, limits.series.bytes)
      const measure = (path: string, where: string) => measureIn(path, where, file, settings, context, options)
      tables.push(await readTable(bytes.toString('utf8'), file, measure))
    } else {
      models.push(await measureOne(file, settings, context, options))
    }
  }
  return joined([...tables, ...(models.length > 0 ? [ofReports(models)] : [])])
}

interface NamedReport extends Measured {
  /** Of the report; none of a checkpoint. */
  readonly figures: Report['figures']
}

/** A row's file lies beside the list that names it, or else where the command runs. */
async function measureIn(
  path: string,
  where: string,
  list: string,
  settings: Settings,
  context: AnalyseContext,
  options: SameOptions,
): Promise<Measured> {
  const beside = isAbsolute(path) ? path : join(dirname(list), path)
  try {
    const file = (await exists(beside)) ? beside : path
    refuseOutside((await parseSource(file, undefined)).path)
    return await measureOne(file, settings, context, options)
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause
    throw new UserError(`${where}: ${cause.message}`, cause.remedy, { cause })
  }
}

async function measureOne(
  text: string,
  settings: Settings,
  context: AnalyseContext,
  options: SameOptions,
): Promise<NamedReport> {
  const { name, path } = await parseSource(text, settings.stateDict)
  if (!/\.json$/i.test(path)) {
    const model = await analyse({ name, path, stateDict: settings.stateDict }, context)
    options.demand(context.options, path)
    return { ...measured(model, path), figures: undefined }
  }
  await context.onFiles?.([path])
  const report = await readReport(path)
  const { models } = report
  if (models.length !== 1)
    throw new UserError(
      `${path}: is a report of ${models.length} models, but a row of a series is one`,
      'Write a report of each model (--json).',
    )
  options.demand(report.options, path)
  return {
    ...measured(models[0], path),
    name: name ?? modelName(path.replace(/\.json$/i, '')),
    figures: report.figures,
  }
}

function measured(model: Model, where: string): Measured {
  const { summary, layers, name } = model
  if (SUMMARY_METRICS.every(metric => summary[metric] === null)) {
    const why = summary.errors > 0 ? `${summary.errors} of its layers could not be read` : 'no layer has a fit'
    throw new UserError(`${where}: has no means, for ${why}`, 'Leave it out of the series.')
  }
  return { name, metrics: new Map(SUMMARY_METRICS.map(metric => [metric, summary[metric]])), signs: signsOf(layers) }
}

/** @param layers rows of any version: `rand_num_spikes` is there where the randomised spectra were computed */
export function signsOf(layers: readonly Layer[]): LayerSigns {
  const fitted = layers.filter(({ status }) => status === 'success')
  const below = fitted.filter(({ alpha }) => alpha !== null && alpha < 2)
  const spikes = layers.flatMap(layer => {
    const { rand_num_spikes: value } = layer as { rand_num_spikes?: unknown }
    return typeof value === 'number' ? [{ layer: layer.name, value }] : []
  })
  const trapped = spikes.filter(({ value }) => value > 0)
  return {
    below2: most(below.map(({ name, alpha }) => ({ layer: name, value: -alpha! }))),
    trap: spikes.length > 0 ? most(trapped) : undefined,
  }
}

function most(signs: readonly LayerSign[]): LayerSign | null {
  const found = signs.reduce<LayerSign | null>((best, next) => (best && best.value >= next.value ? best : next), null)
  return found && { layer: found.layer, value: Math.abs(found.value) }
}

/** Models named one by one: with the accuracies of their reports, or as moments of one training. */
function ofReports(models: readonly NamedReport[]): Series {
  const target = TARGETS.find(({ name }) => models.every(model => figure(model, name) !== undefined))
  const some = models.find(model => TARGETS.some(({ name }) => figure(model, name) !== undefined))
  const none = models.find(model => TARGETS.every(({ name }) => figure(model, name) === undefined))
  if (some && none)
    throw new UserError(
      `The report of ${some.name} has an accuracy, and that of ${none.name} has none.`,
      'Make each report with --accuracy, or name them in a list.',
    )
  const points = models.map((model, i): Point => {
    const { name, metrics, signs } = model
    const value = target && figure(model, target.name)
    return { name, group: undefined, step: target ? undefined : i + 1, target: value, metrics, signs }
  })
  return { target, points, directions: new Map(), ignored: [] }
}

function figure({ figures }: Pick<NamedReport, 'figures'>, name: string): number | undefined {
  return figures?.find(figure => figure.name === name)?.value
}

/**
 * The series that the baselines of a branch are, with the model at hand: those that were published with an accuracy.
 * @throws UserError where the model at hand has none
 */
export function seriesOfHistory(
  { models, figures }: Report,
  { history }: Pick<BaselineRecord, 'history'>,
  here: string,
): SeriesReport {
  const target = TARGETS.find(({ name }) => figure({ figures }, name) !== undefined)
  if (!target || models.length !== 1)
    throw new UserError(
      'A series from the history of baselines needs one model, and its accuracy.',
      'Give the step the input accuracy, on main too: it is published with the baseline.',
    )
  const earlier = history.flatMap(({ commit, models, figures }) => {
    const value = figures?.find(({ name }) => name === target.name)?.value
    return value === undefined || models.length !== 1 ? [] : [pointOf(commit.slice(0, 12), value, models[0].summary)]
  })
  const points = [...earlier, pointOf(here, figure({ figures }, target.name)!, models[0].summary)]
  return judgeSeries({ target, points, directions: new Map(), ignored: [] })
}

function pointOf(
  name: string,
  target: number,
  summary: BaselineRecord['history'][number]['models'][number]['summary'],
) {
  const metrics = new Map(SUMMARY_METRICS.map(metric => [metric, summary[metric] ?? null]))
  return { name, group: undefined, step: undefined, target, metrics }
}

/** Numbers of other options are other numbers. */
class SameOptions {
  #first: { options: AnalysisOptions; path: string } | undefined

  demand(options: AnalysisOptions, path: string): void {
    this.#first ??= { options, path }
    const names = Object.keys(options) as (keyof AnalysisOptions)[]
    const other = names.find(name => JSON.stringify(options[name]) !== JSON.stringify(this.#first!.options[name]))
    if (other)
      throw new UserError(
        `${path}: was analysed with another ${other} than ${this.#first.path}`,
        'Make all reports of a series with the same options.',
      )
  }
}

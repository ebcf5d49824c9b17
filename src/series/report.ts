import { UserError } from '../errors.ts'
import { toJson, wrong } from '../report/io.ts'
import { VERSION } from '../version.ts'
import { preference } from './directions.ts'
import { judgeMetrics } from './judge.ts'
import { metricsOf, type Point, type Series } from './points.ts'
import {
  lenientSeries,
  type Moment,
  SERIES_VERSION,
  type SeriesMetric,
  type SeriesReport,
  seriesReport,
  type Training,
} from './schema.ts'

const SIGNIFICANT = 0.05
/** Digits of a number, and of a p: what is below differs between libraries of mathematics. */
const DIGITS = 12
const P_DIGITS = 6
const P_KEYS = ['p', 'holm', 'f']

/**
 * What a series shows: the correlations of each metric with what is known of the models, a verdict, and of a training where each
 * thing happened first.
 * @throws UserError where neither accuracies nor steps are known
 */
export function judgeSeries(series: Series): SeriesReport {
  const { points, target } = series
  const training = isTraining(points)
  if (!target?.name && !training)
    throw new UserError(
      'Neither the accuracy of these models is known, nor that they are moments of one training.',
      'Give each an accuracy or an error, or a step.',
    )
  const groups = groupsOf(points)
  const names = metricsOf(series)
  const metrics = target ? judgeMetrics(series, names, training) : []
  return {
    schemaVersion: SERIES_VERSION,
    tool: { name: 'spectral-gate', version: VERSION },
    kind: training ? 'training' : 'models',
    target: target ?? null,
    n: points.length,
    groups: groups.map(name => ({ name, n: points.filter(({ group }) => group === name).length })),
    verdict: verdict(metrics, training),
    metrics: rounded(metrics),
    trainings: training ? (groups.length > 0 ? groups : [undefined]).map(group => trainingOf(points, group)) : [],
    points: points.map(({ name, group, step, target, metrics }) => ({
      ...{ name, group: group ?? null, step: step ?? null, target: target ?? null },
      metrics: Object.fromEntries(names.map(metric => [metric, metrics.get(metric) ?? null])),
    })),
    notes: notes(series, names),
    ignored: [...series.ignored],
  }
}

/**
 * A series of what was read as JSON.
 * @throws UserError where it is none, or a newer version's
 */
export function readSeriesReport(json: unknown, where: string): SeriesReport {
  const parsed = lenientSeries.safeParse(json)
  if (parsed.success && parsed.data.points.length > 0) return parsed.data
  throw new UserError(
    `${where}: is JSON, but not a series of this version: ${parsed.success ? 'it has no points' : wrong(parsed.error)}`,
    'series --json writes one.',
  )
}

/** As JSON, valid by the schema; the same series gives the same bytes. */
export function serialiseSeries(report: SeriesReport): string {
  return `${toJson(seriesReport.parse(report))}\n`
}

/** The groups of a series, in order; none where there is one alone. */
function groupsOf(points: readonly Point[]): string[] {
  const groups = [...new Set(points.flatMap(({ group }) => (group === undefined ? [] : [group])))]
  return groups.length > 1 ? groups : []
}

/**
 * Whether the models are moments of one training, or of one a group.
 * @throws UserError where two moments of one training are the same
 */
function isTraining(points: readonly Point[]): boolean {
  if (points.some(({ step }) => step === undefined)) return false
  const runs = new Map<string | undefined, Map<number, Point>>()
  let several = false
  let twice: Point | undefined
  for (const point of points) {
    const run = runs.get(point.group) ?? new Map<number, Point>()
    if (run.has(point.step!)) twice = point
    several ||= run.size > 0 && !run.has(point.step!)
    run.set(point.step!, point)
    runs.set(point.group, run)
  }
  if (several && twice)
    throw new UserError(
      `Two models of one training have the step ${twice.step}, one of them ${JSON.stringify(twice.name.slice(0, 200))}.`,
      'Give each training a group of its own; or leave the steps out, if these are no moments of one training.',
    )
  return several
}

function trainingOf(points: readonly Point[], group: string | undefined): Training {
  const own = points.filter(point => group === undefined || point.group === group)
  const steps = own.sort((a, b) => a.step! - b.step!).map(momentOf)
  const known = steps.filter(({ alpha }) => alpha !== null)
  const least = known.reduce<Moment | null>((best, next) => (best && best.alpha! <= next.alpha! ? best : next), null)
  return {
    group: group ?? null,
    least_alpha: least,
    first_below_2: steps.find(({ below_2 }) => below_2) ?? null,
    first_trap: steps.find(({ trap }) => trap) ?? null,
    steps,
  }
}

function momentOf({ name, step, target, metrics, signs }: Point): Moment {
  return {
    ...{ step: step!, name, alpha: metrics.get('alpha') ?? null, target: target ?? null },
    ...(signs && { below_2: signs.below2 }),
    ...(signs?.trap !== undefined && { trap: signs.trap }),
  }
}

/**
 * One metric to gate on, or why none. Of those that track, and still do after Holm: in the order of DIRECTIONS the first whose interval
 * holds the strongest correlation among them, so that the order decides only where the figures can't.
 */
function verdict(metrics: readonly SeriesMetric[], training: boolean): SeriesReport['verdict'] {
  const named = (state: SeriesMetric['state']) => metrics.filter(metric => metric.state === state)
  const tracking = named('tracks')
  const sure = tracking.filter(({ holm }) => holm! < SIGNIFICANT)
  const shared = {
    contradicted: named('contradicts').map(({ name }) => name),
    before_holm: tracking.filter(metric => !sure.includes(metric)).map(({ name }) => name),
  }
  if (training) return { status: 'training', metric: null, ...shared }
  const strength = (metric: SeriesMetric) => Math.abs((metric.within ?? metric).pearson!)
  const strongest = Math.max(...sure.map(strength))
  const metric = [...sure]
    .sort((a, b) => preference(a.name) - preference(b.name) || strength(b) - strength(a))
    .find(one => {
      const { low, high } = (one.within ?? one).fisher!
      return strength(one) === strongest || Math.max(Math.abs(low), Math.abs(high)) >= strongest
    })
  if (metric) return { status: 'recommended', metric: metric.name, ...shared }
  const judged = metrics.filter(({ state }) => state !== 'constant' && state !== 'too-few')
  return { status: judged.length > 0 || metrics.length === 0 ? 'none' : 'too-few', metric: null, ...shared }
}

function notes({ points, target }: Series, metrics: readonly string[]): string[] {
  const found: string[] = []
  const known = points.flatMap(point => (point.target === undefined ? [] : [Math.abs(point.target)]))
  const [least, greatest] = [Math.min(...known), Math.max(...known)]
  if (target && least > 0 && least <= 1 && greatest > 1.5)
    found.push(`${target.name} goes from ${least} to ${greatest}: are shares and percentages mixed?`)
  for (const metric of metrics) {
    const without = points.filter(point => typeof point.metrics.get(metric) !== 'number')
    if (without.length > 0)
      found.push(`${metric}: ${without.length} of ${points.length} models have none, the first is ${without[0].name}`)
  }
  return found
}

/** Every number with the digits that are the same everywhere. */
function rounded<T>(value: T, key = ''): T {
  if (typeof value === 'number' && !Number.isInteger(value))
    return Number(value.toPrecision(P_KEYS.includes(key) ? P_DIGITS : DIGITS)) as T
  if (Array.isArray(value)) return value.map(inner => rounded(inner, key)) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, rounded(inner, key)])) as T
}

import {
  groupSums,
  kendall,
  ofSums,
  pearson,
  type Sample,
  spearman,
  withinPearson,
  withinSpearman,
} from './correlation.ts'
import { advertised, type Direction } from './directions.ts'
import {
  bootstrapInterval,
  correlationP,
  EXACT,
  fisherInterval,
  holm,
  type Interval,
  leaveOneOut,
  permutationP,
  pooledSlope,
} from './inference.ts'
import type { Series, Target } from './points.ts'
import type { SeriesMetric } from './schema.ts'

/** Fewer models are too few to say: at r = .8 the interval leaves 0 in 55 % of series of 6, in 75 % of 8. */
export const ENOUGH_MODELS = 8
const SIGNIFICANT = 0.05
/** Slopes of groups are called unequal below this. */
const UNEQUAL = 0.01

/** The column of one metric beside what is known of the models. */
export interface Columns {
  readonly sample: Sample
  readonly names: readonly string[]
  readonly groups: readonly string[]
  readonly missing: number
}

/** The models that have this metric, and the groups that these are of, in the order of the series. */
export function columnsOf({ points }: Series, metric: string): Columns {
  const having = points.filter(point => typeof point.metrics.get(metric) === 'number')
  const groups = [...new Set(having.map(({ group }) => group ?? ''))]
  return {
    sample: {
      x: having.map(({ metrics }) => metrics.get(metric)!),
      y: having.map(({ target }) => target!),
      group: having.map(({ group }) => groups.indexOf(group ?? '')),
    },
    names: having.map(({ name }) => name),
    groups,
    missing: points.length - having.length,
  }
}

/**
 * What each metric shows, after the procedure of docs/series.md: Fisher's interval decides, within the groups where there are
 * groups; a metric tracks in the advertised direction alone, and only where Spearman and every r without one model agree.
 * @param training of moments of one training: coefficients, and no claim
 */
export function judgeMetrics(series: Series, metrics: readonly string[], training: boolean): SeriesMetric[] {
  const target = series.target!
  const judged = metrics.map(name => {
    const better = advertised(name) ?? series.directions.get(name) ?? null
    return judgeMetric(name, better, columnsOf(series, name), target, training)
  })
  const corrected = correct(judged, ({ p, better }) => (better === null ? null : p))
  const paradoxes = correct(judged, paradoxP)
  return judged.map((metric, i) => ({
    ...metric,
    holm: corrected[i],
    paradox: metric.paradox && { ...metric.paradox, holm: paradoxes[i] ?? metric.paradox.p },
  }))
}

/** Holm over those that have a p. */
function correct(metrics: readonly SeriesMetric[], of: (metric: SeriesMetric) => number | null): (number | null)[] {
  const has = metrics.flatMap((metric, i) => (of(metric) === null ? [] : [i]))
  const adjusted = holm(has.map(i => of(metrics[i])!))
  return metrics.map((_, i) => (has.includes(i) ? adjusted[has.indexOf(i)] : null))
}

function judgeMetric(
  name: string,
  better: Direction,
  { sample, names, groups, missing }: Columns,
  target: Target,
  training: boolean,
): SeriesMetric {
  const n = names.length
  const r = pearson(sample)
  const described = {
    ...{ name, better, n, missing, pearson: r, spearman: spearman(sample), kendall: kendall(sample) },
    ...{ fisher: null, p: null, p_method: null, holm: null, bootstrap: null, within: null },
    ...{ rests_on: null, leave_one_out: null, paradox: null },
  } satisfies Omit<SeriesMetric, 'state'>
  if (r === null) return { ...described, state: 'constant' }
  if (training) return { ...described, state: 'one-run' }
  const grouped = groups.length > 1
  const within = grouped ? withinGroups(sample, groups) : null
  const decisive = grouped ? within!.pearson : r
  const size = within?.n ?? n
  const exact = n <= EXACT
  const others = leaveOneOut(sample)
  const known = others.filter(other => other !== null)
  const measured: Omit<SeriesMetric, 'state'> = {
    ...described,
    fisher: fisherInterval(r, n),
    within,
    p: exact ? permutationP(sample) : grouped ? within!.p : correlationP(r, n - 2),
    p_method: exact ? 'permutation' : 't',
    bootstrap: decisive === null ? null : bootstrapInterval(sample),
    leave_one_out: known.length > 0 ? { low: Math.min(...known), high: Math.max(...known) } : null,
    rests_on: decisive === null ? null : restsOn(decisive, others, names, size),
    paradox: paradox({ n, pearson: r, within }),
  }
  if (size < ENOUGH_MODELS) return { ...measured, state: 'too-few' }
  if (better === null) return { ...measured, state: 'no-direction' }
  if (decisive === null) return { ...measured, state: 'unclear' }
  const direction = (better === 'larger' ? 1 : -1) * (target.better === 'higher' ? 1 : -1)
  const way = beyondZero(fisherInterval(decisive, size)) * direction
  const rank = grouped ? within!.spearman : measured.spearman
  const agreed = Math.sign(rank ?? 0) === direction && others.every(other => Math.sign(other ?? 0) === direction)
  const over = beyondZero(measured.fisher)
  const state =
    way < 0 ? 'contradicts' : way > 0 && agreed ? 'tracks' : grouped && over !== 0 ? 'between-groups' : 'unclear'
  return { ...measured, state }
}

/** 1 or −1 where the interval lies on one side of 0; else 0. */
function beyondZero(interval: Interval | null): number {
  if (interval === null) return 0
  return interval.low > 0 ? 1 : interval.high < 0 ? -1 : 0
}

function withinGroups(sample: Sample, groups: readonly string[]): NonNullable<SeriesMetric['within']> {
  const n = sample.x.length - groups.length + 1
  const r = withinPearson(sample)
  const slopes = pooledSlope(sample)
  const own = groupSums(sample)
  return {
    ...{ n, pearson: r, spearman: withinSpearman(sample) },
    fisher: r === null ? null : fisherInterval(r, n),
    slope: slopes?.slope ?? null,
    p: slopes?.p ?? null,
    unequal_slopes: slopes?.unequal ?? null,
    groups: groups.map((group, g) => ({
      group,
      n: sample.group.filter(other => other === g).length,
      pearson: ofSums(own[g]),
    })),
  }
}

/**
 * The model that r stands or falls with: the one whose omission takes most of it, where what is left has another sign, or is less
 * than half and no longer told from 0.
 */
function restsOn(
  r: number,
  others: readonly (number | null)[],
  names: readonly string[],
  n: number,
): SeriesMetric['rests_on'] {
  const sign = Math.sign(r)
  const left = others.map(other => (other ?? 0) * sign)
  const least = left.indexOf(Math.min(...left))
  if (least < 0 || beyondZero(fisherInterval(r, n)) === 0) return null
  // At the same n: one model fewer widens the interval whichever it is.
  const halved = left[least] < Math.abs(r) / 2 && beyondZero(fisherInterval(left[least], n)) <= 0
  const fallen = left[least] <= 0 || halved
  return fallen ? { name: names[least], without: others[least] } : null
}

/**
 * Simpson's paradox: over all models the metric goes one way with accuracy, within the groups the other, both beyond chance: Pearson's
 * t over all, and the t of the pooled slope of y ~ group + x, each p < .05.
 */
function paradox(metric: Pick<SeriesMetric, 'n' | 'pearson' | 'within'>): SeriesMetric['paradox'] {
  const p = paradoxP(metric)
  const { pearson: overall, within } = metric
  if (p === null || p >= SIGNIFICANT || within!.n < ENOUGH_MODELS) return null
  const unequal = within!.unequal_slopes !== null && within!.unequal_slopes.p < UNEQUAL
  const groups = within!.groups.length
  return { overall: overall!, within: within!.pearson!, groups, p, holm: p, unequal_slopes: unequal }
}

/** The larger of both p, which is a p of their conjunction; 1 where the signs agree; null without groups. */
function paradoxP({ n, pearson: overall, within }: Pick<SeriesMetric, 'n' | 'pearson' | 'within'>): number | null {
  if (overall === null || !within || within.pearson === null || within.p === null) return null
  const p = correlationP(overall, n - 2)
  return p === null ? null : overall * within.pearson < 0 ? Math.max(p, within.p) : 1
}

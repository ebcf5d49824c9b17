import type { Pair, Rename } from '../comparison/pair.ts'
import type { CustomMetricChange, Model, Report, RuleResult, Skipped, Verdict } from '../report/schema.ts'
import { whyUnfitted } from '../report/state.ts'
import { type BuiltInName, ignoredRules } from './built-in.ts'
import { builtInRules } from './built-in-judge.ts'
import { type Comparability, evaluateCustomMetric, evaluateRule } from './evaluate.ts'
import { type Earlier, NO_HISTORY } from './history.ts'
import { isCustomMetricRule, isModelRule, type Rule } from './rule.ts'

export interface Policy {
  readonly rules: readonly Rule[]
  /** Whether an inconclusive rule fails the job. Undefined: yes, unless nothing but the missing baseline of a first run is behind it. */
  readonly failOnInconclusive?: boolean | undefined
  /** Whether a checkpoint that is not there, where it is no error, fails no job unless that is set. */
  readonly excusesMissing?: boolean | undefined
  /** False shows the full verdict and never fails the job. */
  readonly enforce: boolean
  /** Metrics of which the rules that always hold do so even where the user's speak of them. */
  readonly always?: readonly Replaceable[] | undefined
  /** Names of built-in rules that shall not judge. */
  readonly ignore?: readonly string[] | undefined
  /** What layers of the baseline are called now. */
  readonly renames?: readonly Rename[] | undefined
  /** In place of what the built-in rules have. */
  readonly thresholds?: Partial<Record<BuiltInName, number>> | undefined
}

/** Metrics whose rule that always holds gives way to the user's own. */
export const REPLACEABLE = ['failed', 'coverage'] as const
export type Replaceable = (typeof REPLACEABLE)[number]

export function speaksOf(rules: readonly Rule[], metric: Replaceable): boolean {
  return rules.some(
    ({ subject }) => 'value' in subject && subject.value.kind === 'model' && subject.value.metric === metric,
  )
}

/**
 * Every rule on every model, and what follows for the job; the worst decides. Some rules always hold: an unreadable layer is
 * never passed off as fine; weights that were not read are a warning, and the gate is inconclusive where they are more than half
 * of the model, unless the user's rules speak of `coverage`; a layer without a usable fit is a warning, unless they speak of
 * `failed`.
 * @param more what was decided elsewhere
 * @param earlier what the baselines before did
 */
export function judge(
  policy: Policy,
  pairs: readonly Pair[],
  comparability: Comparability,
  figures: readonly CustomMetricChange[] = [],
  more: readonly RuleResult[] = [],
  earlier: Earlier = NO_HISTORY,
): Verdict {
  const replaced = (metric: Replaceable) => !policy.always?.includes(metric) && speaksOf(policy.rules, metric)
  const ignored = ignoredRules(policy.ignore)
  const compared = new Map(pairs.map(pair => [pair, builtInRules(pair, ignored, earlier, policy.thresholds)]))
  const held = new Set([...compared.values()].flatMap(({ held }) => held))
  const broken = new Set([...compared.values()].flatMap(({ violated }) => violated.map(({ name }) => name)))
  const limits = [...compared.values()].flatMap(({ limits }) => limits)
  const models = [
    ...pairs.flatMap(pair => [
      ...policy.rules.filter(isModelRule).map(rule => evaluateRule(rule, pair, comparability, earlier)),
      ...unreadable(pair.head),
      ...(ignored.has('non-finite') ? [] : nonFinite(pair.head)),
      ...(ignored.has('unread') || replaced('coverage') ? [] : unread(pair.head)),
      ...(ignored.has('failed') || replaced('failed') ? [] : unjudged(pair.head)),
      ...compared.get(pair)!.violated,
    ]),
    ...policy.rules.filter(isCustomMetricRule).map(rule => evaluateCustomMetric(rule, figures, comparability)),
    ...more,
  ]
  const rules = [...models, ...uncompared(comparability, models)]
  const first_run = comparability.cause === 'no-baseline'
  const status = worst(rules)
  const isComplete = comparability.cause === '' && comparability.complete === true
  const newcomers = new Set(isComplete ? pairs.flatMap(({ head, base }) => (base ? [] : [head.name])) : [])
  const isExcused = ({ rule, cause, model }: RuleResult) =>
    (cause === 'no-baseline' && (first_run || newcomers.has(model))) ||
    (rule === NO_CHECKPOINT && policy.excusesMissing === true)
  return {
    status,
    first_run,
    enforced: policy.enforce,
    fails_job:
      policy.enforce &&
      (status === 'failed' || (status === 'inconclusive' && failsOnInconclusive(policy, rules, isExcused))),
    rules,
    ...(pairs.some(({ judgement }) => judgement) && { held: [...held].filter(name => !broken.has(name)) }),
    ...(limits.length > 0 && { tail_limits: limits }),
  }
}

/** That nothing was compared although there should be a baseline, where no rule says it. */
function uncompared(comparability: Comparability, rules: readonly RuleResult[]): RuleResult[] {
  if (comparability.cause === '' || !comparability.expected) return []
  const { cause, reason } = comparability
  if (rules.some(rule => rule.cause === cause)) return []
  return [
    {
      ...{
        rule: 'no baseline',
        level: 'warn',
        builtin: true,
        model: '',
        outcome: 'inconclusive',
        value: null,
        unit: '',
      },
      ...{ threshold: 0, layers: 0, of: 0, reason: `nothing was compared: ${reason}`, cause },
    },
  ]
}

/**
 * Models of the baseline that no model was compared with.
 * @param failedJobs where there is one, it may be what a model is missing for
 */
export function lostModels(
  pairs: readonly Pair[],
  removed: readonly string[],
  failedJobs: readonly string[] = [],
): RuleResult[] {
  if (removed.length === 0) return []
  const [failed] = failedJobs
  const known: Pick<RuleResult, 'level' | 'outcome' | 'cause'> =
    failed === undefined
      ? { level: 'warn', outcome: 'violated', cause: '' }
      : { level: 'fail', outcome: 'inconclusive', cause: 'no-value' }
  const because = failed === undefined ? '' : `, and the job ${JSON.stringify(failed)} failed: run it again`
  const added = pairs.filter(({ base }) => base === null).map(({ head }) => head.name)
  const instead =
    added.length > 0
      ? `, and ${added.join(', ')} is compared with nothing: is the file called otherwise? NAME=PATH gives it a name`
      : ''
  return [
    {
      ...{ rule: 'lost-models > 0', name: 'lost-models', builtin: true, model: '', ...known },
      ...{ value: removed.length, unit: '', threshold: 0, layers: 0, of: 0 },
      reason: `only the baseline has ${removed.join(', ')}${because}${instead}`,
    },
  ]
}

const NO_CHECKPOINT = 'no checkpoint'

/** That a model can't be judged, for its checkpoint is not there. `reason` says why. */
export function noCheckpoint(reason: string): RuleResult {
  return {
    ...{ rule: NO_CHECKPOINT, level: 'fail', builtin: true, model: '', outcome: 'inconclusive', value: null, unit: '' },
    ...{ threshold: 0, layers: 0, of: 0, reason, cause: 'no-value' },
  }
}

/** Whether a checkpoint that should have been judged was not there. */
export function lacksCheckpoint({ verdict }: Pick<Report, 'verdict'>): boolean {
  return verdict?.rules.some(({ rule }) => rule === NO_CHECKPOINT) ?? false
}

/** The verdict where there is no model to judge. `reasons` say why. */
export function undecided(
  { enforce, excusesMissing = false, failOnInconclusive = !excusesMissing }: Policy,
  reasons: readonly string[],
): Verdict {
  return {
    ...{ status: 'inconclusive', first_run: false, enforced: enforce },
    ...{ fails_job: enforce && failOnInconclusive, rules: reasons.map(noCheckpoint) },
  }
}

function worst(rules: readonly RuleResult[]): Verdict['status'] {
  const has = (level: RuleResult['level'], outcome: RuleResult['outcome']) =>
    rules.some(rule => rule.level === level && rule.outcome === outcome)
  if (has('fail', 'violated')) return 'failed'
  if (has('fail', 'inconclusive')) return 'inconclusive'
  return has('warn', 'violated') || has('warn', 'inconclusive') ? 'warned' : 'passed'
}

/** @param isExcused whether there is nothing to compare with yet, of the branch or of a model that joins others, or nothing to look at */
function failsOnInconclusive(
  policy: Policy,
  rules: readonly RuleResult[],
  isExcused: (rule: RuleResult) => boolean,
): boolean {
  if (policy.failOnInconclusive !== undefined) return policy.failOnInconclusive
  return !rules.filter(rule => rule.level === 'fail' && rule.outcome === 'inconclusive').every(isExcused)
}

/** NaN and Inf are the checkpoint's fault and fail the gate; a worker that died leaves it undecided. */
function unreadable(model: Model): RuleResult[] {
  const errors = model.layers.filter(layer => layer.status === 'error')
  if (errors.length === 0) return []
  const broken = errors.find(layer => layer.error?.code === 'non-finite')
  const shown = broken ?? errors[0]
  return [
    {
      ...builtin(model, 'errors > 0', 'fail', errors.length),
      outcome: broken ? 'violated' : 'inconclusive',
      layer: shown.name,
      reason: shown.error?.message ?? '',
      cause: broken ? '' : 'no-value',
    },
  ]
}

/** A NaN or an infinity in a tensor that is no layer: a bias, a norm, one under min-evals. */
function nonFinite(model: Model): RuleResult[] {
  const bad = model.skipped.filter(({ non_finite }) => non_finite !== undefined)
  if (bad.length === 0) return []
  const [{ tensor, non_finite }] = bad
  return [
    {
      ...builtin(model, 'non_finite > 0', 'fail', bad.length),
      outcome: 'violated',
      layer: tensor,
      reason: non_finite!,
      cause: '',
    },
  ]
}

/** Share of a model's parameters that may be unread before nothing can be said of it. */
const MOST_UNREAD = 0.5

/** Tensors that may be weights and were not read: unknown types, objects of C++, subclasses. */
function unread(model: Model): RuleResult[] {
  const rows = model.skipped.filter(mayBeWeights)
  if (rows.length === 0) return []
  // What lies outside the state dict may be none of the model, such as its teacher: that alone decides nothing.
  const certain = rows.filter(({ code, shape }) => code !== 'aside' && shape.length > 1)
  const [all, missed, read] = [rows, certain, model.layers].map(sizeOf)
  const share = all / (all + read)
  const [largest] = [...rows].sort((a, b) => elements(b.shape) - elements(a.shape))
  const percent = (100 * share).toPrecision(2)
  const reason = `${rows.length} that may be weights were not read, ${percent} % of the parameters: ${largest.reason}`
  const most = missed / (missed + read) > MOST_UNREAD
  return [
    {
      ...builtin(model, most ? 'unread > 50%' : 'unread > 0', most ? 'fail' : 'warn', rows.length),
      outcome: most ? 'inconclusive' : 'violated',
      layer: largest.tensor,
      reason,
      cause: most ? 'no-value' : '',
    },
  ]
}

function mayBeWeights({ code, dtype, shape }: Skipped): boolean {
  // A single number counts something, and integers in a row may be places.
  if (elements(shape) < 2) return false
  if (shape.length < 2) return code === 'unread' || (code === 'dtype' && /^[CF]\d/.test(dtype))
  return code === 'unread' || code === 'aside' || (code === 'dtype' && /^(?:C\d|F\d|[IU](?:8|16|32)$)/.test(dtype))
}

function sizeOf(rows: readonly Pick<Skipped, 'shape'>[]): number {
  return rows.reduce((sum, { shape }) => sum + elements(shape), 0)
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1)
}

function unjudged(model: Model): RuleResult[] {
  const { failed, errors } = model.summary
  if (failed === errors) return []
  const shown = model.layers.find(layer => layer.status === 'failed' || layer.status === 'degenerate')!
  return [
    {
      ...builtin(model, 'failed > 0', 'warn', failed),
      outcome: 'violated',
      layer: shown.name,
      reason: whyUnfitted(shown),
      cause: '',
    },
  ]
}

function builtin(model: Model, rule: string, level: RuleResult['level'], value: number) {
  return {
    rule,
    level,
    builtin: true,
    model: model.name,
    value,
    unit: '' as const,
    threshold: 0,
    layers: model.layers.length,
    of: model.layers.length,
  }
}

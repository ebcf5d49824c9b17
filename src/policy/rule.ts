import { UserError } from '../errors.ts'
import { isLayerMetric, type LayerMetric, SUMMARY_METRICS } from '../report/columns.ts'
import { isModelMetric, type ModelMetric } from '../report/metrics.ts'
import { type Advice, isAdvice } from '../report/state.ts'
import type { Level, Operator, Unit } from './operator.ts'
import { FUNCTIONS, PRIMARY, parseLayerMetric, Scanner, suggest } from './scanner.ts'
import { parseWhere, type Where } from './where.ts'

/** A number of one model. */
export type Value =
  | { readonly kind: 'model'; readonly metric: ModelMetric }
  | { readonly kind: 'layer'; readonly metric: LayerMetric; readonly layer: string }
  | ({ readonly kind: 'mean' | 'median' | 'std' | 'min' | 'max'; readonly metric: LayerMetric } & Restricted)
  | ({
      readonly kind: 'count'
      readonly metric: LayerMetric
      readonly operator: Operator
      readonly threshold: number
    } & Restricted)
  /** How many layers are so. */
  | ({ readonly kind: 'advice'; readonly advice: Advice } & Restricted)

interface Restricted {
  /** Which layers it is over; all where it is absent. */
  readonly where?: Where
}

/** One of the project's own metrics, or its change. */
export interface CustomMetricSubject {
  readonly kind: 'custom'
  readonly name: string
  readonly delta: boolean
}

/** What a rule measures: a number, its change against the baseline, or the most extreme layer. */
export type Subject =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'delta'; readonly value: Value }
  | ({ readonly kind: 'any'; readonly metric: LayerMetric; readonly delta: boolean } & Restricted)
  /** The change of what decides for these two models. */
  | { readonly kind: 'primary' }
  /** How many tensors are not what they were in the baseline. */
  | ({ readonly kind: 'changed' } & Restricted)
  | CustomMetricSubject

/** A condition under which the gate fails or warns. */
export interface Rule {
  readonly text: string
  readonly level: Level
  readonly subject: Subject
  readonly operator: Operator
  readonly threshold: number
  /** What the threshold is in: `%` of the base's absolute value, `sigma` standard errors of the change, `history` the interval that earlier changes predict. */
  readonly unit: Unit
}

/** A rule on a custom metric, which belongs to no model. */
export type CustomMetricRule = Rule & { readonly subject: CustomMetricSubject }
/** A rule on each model. */
export type ModelRule = Rule & { readonly subject: Exclude<Subject, CustomMetricSubject> }

export function isCustomMetricRule(rule: Rule): rule is CustomMetricRule {
  return rule.subject.kind === 'custom'
}

export function isModelRule(rule: Rule): rule is ModelRule {
  return rule.subject.kind !== 'custom'
}

/** Whether it measures a change against the baseline. */
export function isRelative({ subject }: Pick<Rule, 'subject'>): boolean {
  return (
    subject.kind === 'delta' ||
    subject.kind === 'primary' ||
    subject.kind === 'changed' ||
    ('delta' in subject && subject.delta)
  )
}

/**
 * A relative rule where no baseline will ever come would pass, or fail, every time.
 * @throws UserError that names the rule
 */
export function refuseRelative(rules: readonly Rule[], remedy: string): void {
  const rule = rules.find(isRelative)
  if (rule) throw new UserError(`${rule.level}-if: ${rule.text} compares with a baseline, and there is none.`, remedy)
}

/** Characters of a rule: a report holds it whole. */
const MOST = 1024

/** Stands for the tensors whose content is not the baseline's. */
const CHANGED = 'changed'

/** Whether it is a word of the rules, which no custom metric can be called. */
export function isReserved(name: string): boolean {
  return isLayerMetric(name) || isModelMetric(name) || FUNCTIONS.includes(name) || name === PRIMARY
}

/**
 * Reads one rule:
 * ```
 * rule    = subject operator number ["%" | "sigma" | "history"]
 * subject = "primary" | value | custom | "delta(" custom ")" | "delta(" value ")" | "delta(" metric where ")"
 *         | "count(changed" [where] ")" | "any(" metric [where] ")" | "any(delta(" metric ")" [where] ")"
 * value   = metric | metric "[" layer "]" | ("mean"|"median"|"std"|"min"|"max") "(" metric [where] ")"
 *         | "count(" metric operator number [where] ")" | "layers" | "failed" | "errors" | "non_finite" | "coverage"
 *         | "count(" advice [where] ")"
 * where   = "where" condition { "and" condition }
 * condition = "name" "~" pattern | "type" "=" ("dense"|"conv2d"|"conv1d"|"conv3d") | "group" "=" group | metric operator number
 * ```
 * A metric alone is its mean over the layers whose fit succeeded. A layer's name stands as it is, or in double quotes where it
 * contains a bracket. A pattern stands in double quotes, or ends at a space. `where` stands inside brackets alone: after a threshold
 * it could be taken for a condition on the rule.
 * @param figures names of the project's own metrics
 * @throws UserError that points at the column and suggests the nearest name
 */
export function parseRule(text: string, level: Level, figures: readonly string[] = []): Rule {
  const { length } = text.trim()
  if (length > MOST) throw new UserError(`${level}-if: a rule has ${length} characters, more than ${MOST}.`)
  const scanner = new Scanner(text.trim(), level, figures)
  const subject = parseSubject(scanner)
  refuseWhere(scanner)
  const operator = scanner.operator()
  const threshold = scanner.number()
  const at = scanner.at
  const unit = scanner.unit()
  const unfit = unfitUnit(unit, subject)
  if (unfit) throw scanner.error(...unfit, at)
  refuseWhere(scanner)
  scanner.end()
  return { text: scanner.text, level, subject, operator, threshold, unit }
}

function refuseWhere(scanner: Scanner): void {
  const { at } = scanner
  if (scanner.word('where'))
    throw scanner.error('where stands inside brackets', 'Write mean(alpha where num_evals >= 50) > 6.', at)
}

/** What of a unit does not go with what is measured, and what would. */
function unfitUnit(unit: Unit, subject: Subject): [string, string] | undefined {
  if (unit === '') return undefined
  if (!isRelative({ subject })) {
    const what = unit === '%' ? 'a percentage' : unit
    return [`${what} needs a change`, 'Write delta(…), or a plain number.']
  }
  if (unit === '%' && subject.kind === 'changed')
    return ['a count of changes has no base that it could be a percentage of', 'Write a plain number, such as 0.']
  if (unit === '%' && subject.kind === 'primary')
    return ['primary is a logarithm, of which a percentage means nothing', 'Write a plain number, such as 0.1.']
  if (unit === 'sigma' && !hasStandardError(subject))
    return ['no standard error is known of it', 'sigma goes with delta(alpha), delta(alpha_hill), or any(…) of them.']
  const hasHistory = subject.kind === 'primary' || (subject.kind === 'delta' && isSummaryMean(subject.value))
  if (unit === 'history' && !hasHistory)
    return ['earlier baselines do not have it', `history goes with primary, and delta(…) of a mean of the summary.`]
  return undefined
}

function hasStandardError(subject: Subject): boolean {
  const metric =
    subject.kind === 'any'
      ? subject.metric
      : subject.kind === 'delta' && subject.value.kind === 'mean' && subject.value.metric
  return metric === 'alpha' || metric === 'alpha_hill'
}

function isSummaryMean(value: Value): boolean {
  return value.kind === 'mean' && !value.where && (SUMMARY_METRICS as readonly string[]).includes(value.metric)
}

function parseSubject(scanner: Scanner): Subject {
  const start = scanner.at
  const name = scanner.name()
  if (name === PRIMARY) return { kind: 'primary' }
  if (scanner.figures.includes(name)) return { kind: 'custom', name, delta: false }
  if (name === 'delta' && scanner.take('(')) {
    const custom = scanner.customMetric()
    if (custom !== undefined) {
      scanner.expect(')')
      return { kind: 'custom', name: custom, delta: true }
    }
    const value = parseValue(scanner)
    const where = value.kind === 'mean' && !value.where ? parseWhere(scanner) : {}
    scanner.expect(')')
    return { kind: 'delta', value: { ...value, ...where } }
  }
  if (name === 'any' && scanner.take('(')) {
    const inner = scanner.at
    const delta = scanner.name() === 'delta' && scanner.take('(')
    if (!delta) scanner.at = inner
    const metric = parseLayerMetric(scanner)
    if (delta) scanner.expect(')')
    const where = parseWhere(scanner)
    scanner.expect(')')
    return { kind: 'any', metric, delta, ...where }
  }
  if (name === 'count' && scanner.take('(') && scanner.word(CHANGED)) {
    const where = parseWhere(scanner)
    scanner.expect(')')
    return { kind: 'changed', ...where }
  }
  scanner.at = start
  return { kind: 'value', value: parseValue(scanner) }
}

function parseValue(scanner: Scanner): Value {
  const start = scanner.at
  const name = scanner.name()
  if (scanner.take('(')) {
    switch (name) {
      case 'count': {
        const at = scanner.at
        if (scanner.word(CHANGED))
          throw scanner.error('changed compares with the baseline already', 'Write count(changed) > 0.', at)
        const advice = scanner.name()
        if (isAdvice(advice)) {
          const where = parseWhere(scanner)
          scanner.expect(')')
          return { kind: 'advice', advice, ...where }
        }
        scanner.at = at
        const metric = parseLayerMetric(scanner)
        const operator = scanner.operator()
        const threshold = scanner.number()
        const where = parseWhere(scanner)
        scanner.expect(')')
        return { kind: 'count', metric, operator, threshold, ...where }
      }
      case 'mean':
      case 'median':
      case 'std':
      case 'min':
      case 'max': {
        const metric = parseLayerMetric(scanner)
        const where = parseWhere(scanner)
        scanner.expect(')')
        return { kind: name, metric, ...where }
      }
      case 'any':
      case 'delta':
        throw scanner.error(
          `${name}(…) can't stand inside another function`,
          'any(delta(METRIC)) is the one exception.',
          start,
        )
      default:
        throw scanner.error(`unknown function ${JSON.stringify(name)}`, suggest(name, FUNCTIONS), start)
    }
  }
  if (isModelMetric(name)) return { kind: 'model', metric: name }
  scanner.at = start
  const metric = parseLayerMetric(scanner)
  if (!scanner.take('[')) return { kind: 'mean', metric }
  const layer = scanner.layer()
  return { kind: 'layer', metric, layer }
}

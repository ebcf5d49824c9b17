import { UserError } from '../errors.ts'
import { ALL_METRICS, isLayerMetric, type LayerMetric, SUMMARY_METRICS } from '../report/columns.ts'
import { isModelMetric, MODEL_METRICS, type ModelMetric } from '../report/metrics.ts'
import { nearest } from '../words.ts'

export type Operator = '>' | '>=' | '<' | '<='
export type Level = 'fail' | 'warn'

/** A number of one model. */
export type Value =
  | { readonly kind: 'model'; readonly metric: ModelMetric }
  | { readonly kind: 'layer'; readonly metric: LayerMetric; readonly layer: string }
  | { readonly kind: 'mean' | 'median' | 'min' | 'max'; readonly metric: LayerMetric }
  | { readonly kind: 'count'; readonly metric: LayerMetric; readonly operator: Operator; readonly threshold: number }

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
  | { readonly kind: 'any'; readonly metric: LayerMetric; readonly delta: boolean }
  /** The change of what decides for these two models. */
  | { readonly kind: 'primary' }
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

export type Unit = '' | '%' | 'sigma' | 'history'

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
  return subject.kind === 'delta' || subject.kind === 'primary' || ('delta' in subject && subject.delta)
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

const FUNCTIONS = ['delta', 'any', 'count', 'mean', 'median', 'min', 'max']
/** Stands for what decides. */
const PRIMARY = 'primary'

/** Whether it is a word of the rules, which no custom metric can be called. */
export function isReserved(name: string): boolean {
  return isLayerMetric(name) || isModelMetric(name) || FUNCTIONS.includes(name) || name === PRIMARY
}

/**
 * Reads one rule:
 * ```
 * rule    = subject operator number ["%" | "sigma" | "history"]
 * subject = "primary" | value | custom | "delta(" custom ")" | "delta(" value ")" | "any(" metric ")" | "any(delta(" metric "))"
 * value   = metric | metric "[" layer "]" | ("mean"|"median"|"min"|"max") "(" metric ")"
 *         | "count(" metric operator number ")" | "layers" | "failed" | "errors" | "coverage"
 * ```
 * A metric alone is its mean over the layers whose fit succeeded. A layer's name stands as it is, or in double quotes where it
 * contains a bracket.
 * @param figures names of the project's own metrics
 * @throws UserError that points at the column and suggests the nearest name
 */
export function parseRule(text: string, level: Level, figures: readonly string[] = []): Rule {
  const { length } = text.trim()
  if (length > MOST) throw new UserError(`${level}-if: a rule has ${length} characters, more than ${MOST}.`)
  const scanner = new Scanner(text.trim(), level, figures)
  const subject = parseSubject(scanner)
  const operator = scanner.operator()
  const threshold = scanner.number()
  const at = scanner.at
  const unit = scanner.unit()
  const unfit = unfitUnit(unit, subject)
  if (unfit) throw scanner.error(...unfit, at)
  scanner.end()
  return { text: scanner.text, level, subject, operator, threshold, unit }
}

/** What of a unit does not go with what is measured, and what would. */
function unfitUnit(unit: Unit, subject: Subject): [string, string] | undefined {
  if (unit === '') return undefined
  if (!isRelative({ subject })) {
    const what = unit === '%' ? 'a percentage' : unit
    return [`${what} needs a change`, 'Write delta(…), or a plain number.']
  }
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
  return value.kind === 'mean' && (SUMMARY_METRICS as readonly string[]).includes(value.metric)
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
    scanner.expect(')')
    return { kind: 'delta', value }
  }
  if (name === 'any' && scanner.take('(')) {
    const inner = scanner.at
    const delta = scanner.name() === 'delta' && scanner.take('(')
    if (!delta) scanner.at = inner
    const metric = parseLayerMetric(scanner)
    if (delta) scanner.expect(')')
    scanner.expect(')')
    return { kind: 'any', metric, delta }
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
        const metric = parseLayerMetric(scanner)
        const operator = scanner.operator()
        const threshold = scanner.number()
        scanner.expect(')')
        return { kind: 'count', metric, operator, threshold }
      }
      case 'mean':
      case 'median':
      case 'min':
      case 'max': {
        const metric = parseLayerMetric(scanner)
        scanner.expect(')')
        return { kind: name, metric }
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

function parseLayerMetric(scanner: Scanner): LayerMetric {
  const start = scanner.at
  const name = scanner.name()
  if (isLayerMetric(name)) return name
  if (isModelMetric(name)) throw scanner.error(`${name} is a number of the model, not of a layer`, '', start)
  if (scanner.figures.includes(name))
    throw scanner.error(`${name} is a custom metric, not a number of a layer`, '', start)
  throw scanner.error(
    name ? `unknown metric ${JSON.stringify(name)}` : 'a metric is missing',
    suggest(name, [...ALL_METRICS, ...MODEL_METRICS, ...scanner.figures, ...FUNCTIONS, PRIMARY]),
    start,
  )
}

function suggest(name: string, known: readonly string[]): string {
  const word = nearest(name, known)
  return word ? `Did you mean ${word}?` : `Known are ${known.join(', ')}.`
}

class Scanner {
  readonly text: string
  readonly level: Level
  readonly figures: readonly string[]
  at = 0

  constructor(text: string, level: Level, figures: readonly string[]) {
    this.text = text
    this.level = level
    this.figures = figures
  }

  name(): string {
    return this.#match(/[A-Za-z_][\w./-]*/y) ?? ''
  }

  /** The name of a custom metric, if one stands here. */
  customMetric(): string | undefined {
    const start = this.at
    const name = this.name()
    if (this.figures.includes(name)) return name
    this.at = start
    return undefined
  }

  operator(): Operator {
    const start = this.at
    const found = this.#match(/>=|<=|>|<|[=!~≤≥]+/y) ?? ''
    if (found === '>' || found === '>=' || found === '<' || found === '<=') return found
    const unquoted = "Use one of > >= < <=. In a shell the rule needs quotes, or > is taken for a file: 'alpha > 6'."
    throw this.error(
      found ? `unknown operator ${found}` : 'an operator is missing',
      found ? 'Use one of > >= < <=.' : unquoted,
      start,
    )
  }

  number(): number {
    const start = this.at
    const found = this.#match(/[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y)
    if (found === undefined || !Number.isFinite(Number(found))) throw this.error('a number is missing', '', start)
    return Number(found)
  }

  unit(): Unit {
    const found = this.#match(/%|sigma\b|history\b/y)
    return found === '%' || found === 'sigma' || found === 'history' ? found : ''
  }

  /** A layer's name and the closing bracket. */
  layer(): string {
    const start = this.at
    const quoted = this.#match(/"[^"]*"/y)
    const name = quoted ? quoted.slice(1, -1) : this.#match(/[^\]"]+/y)?.trim()
    if (!name) throw this.error('a layer is missing', 'Write alpha[layer1.0.conv1].', start)
    if (!quoted && /[*?]/.test(name))
      throw this.error(
        'a pattern is no layer',
        'Write the name of one layer, or any(…) for the most extreme of all; `include` narrows which layers there are.',
        start,
      )
    this.expect(']')
    return name
  }

  take(symbol: string): boolean {
    return this.#match(new RegExp(`\\${symbol}`, 'y')) !== undefined
  }

  expect(symbol: string): void {
    if (!this.take(symbol)) throw this.error(`expected ${symbol}`, '', this.at)
  }

  end(): void {
    this.#match(/\s*/y)
    if (this.at < this.text.length) throw this.error('the rule should end here', 'Write one rule a line.', this.at)
  }

  error(found: string, remedy: string, at: number): UserError {
    const column = at + (/^\s*/.exec(this.text.slice(at))?.[0].length ?? 0)
    const option = `${this.level}-if: `
    const pointer = `${option}${this.text}\n${' '.repeat(option.length + column)}^ ${found}`
    return new UserError(`${this.level}-if, column ${column + 1}: ${found}\n${pointer}`, remedy)
  }

  #match(pattern: RegExp): string | undefined {
    const space = /\s*/y
    space.lastIndex = this.at
    space.exec(this.text)
    pattern.lastIndex = space.lastIndex
    const found = pattern.exec(this.text)
    if (!found) return undefined
    this.at = pattern.lastIndex
    return found[0]
  }
}

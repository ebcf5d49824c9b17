import { UserError } from '../errors.ts'
import { ALL_METRICS, isLayerMetric, type LayerMetric } from '../report/columns.ts'
import { isModelMetric, MODEL_METRICS } from '../report/metrics.ts'
import { ADVICE_NAMES, isAdvice } from '../report/state.ts'
import { nearest } from '../words.ts'
import type { Level, Operator, Unit } from './operator.ts'

export const FUNCTIONS = ['delta', 'any', 'count', 'mean', 'median', 'std', 'min', 'max']
/** Stands for what decides. */
export const PRIMARY = 'primary'

/** Reads the words of a rule one after the other, and points at what is wrong. */
export class Scanner {
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

  /** Whether this very word stands here, which it takes. */
  word(word: string): boolean {
    const start = this.at
    if (this.name() === word) return true
    this.at = start
    return false
  }

  /** A pattern for names, in double quotes or up to the next space. */
  pattern(): string {
    const start = this.at
    const quoted = this.#match(/"[^"]*"/y)
    const found = quoted ? quoted.slice(1, -1) : this.#match(/[^\s()"]+/y)
    if (!found) throw this.error('a pattern is missing', 'Write name ~ "layer3.*".', start)
    return found
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
    const found = this.#match(/[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y)
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

/** @throws UserError that suggests the nearest word */
export function parseLayerMetric(scanner: Scanner): LayerMetric {
  const start = scanner.at
  const name = scanner.name()
  if (isLayerMetric(name)) return name
  if (isModelMetric(name)) throw scanner.error(`${name} is a number of the model, not of a layer`, '', start)
  if (scanner.figures.includes(name))
    throw scanner.error(`${name} is a custom metric, not a number of a layer`, '', start)
  if (isAdvice(name))
    throw scanner.error(`${name} is advice on a layer, not a number`, `Write count(${name}) > 0.`, start)
  throw scanner.error(
    name ? `unknown metric ${JSON.stringify(name)}` : 'a metric is missing',
    suggest(name, [...ALL_METRICS, ...MODEL_METRICS, ...scanner.figures, ...FUNCTIONS, PRIMARY, ...ADVICE_NAMES]),
    start,
  )
}

export function suggest(name: string, known: readonly string[]): string {
  const word = nearest(name, known)
  return word ? `Did you mean ${word}?` : `Known are ${known.join(', ')}.`
}

import { portableFrom } from '../bytes/portable.ts'
import type { Rename } from '../comparison/pair.ts'
import { UserError } from '../errors.ts'
import { parseShard, type Shard } from '../layers/shard.ts'
import { limits } from '../limits.ts'
import { BUILT_IN_NAMES, hasOwnThreshold, IGNORABLE } from '../policy/built-in.ts'
import type { Policy } from '../policy/judge.ts'
import { isReserved, parseRule } from '../policy/rule.ts'
import { ADDED } from '../report/analyses.ts'
import { HILL_SHARE } from '../report/hill.ts'
import type { AnalysisOptions, CustomMetric } from '../report/schema.ts'
import { nearest } from '../words.ts'
import { type OptionName, optionOf } from './table.ts'

/** Of 100 eigenvalues it takes one, and two are the fewest that there is an estimate of. */
const LEAST_SHARE = 0.01

/** Options whose lines the report lists. */
const BOUNDED: ReadonlySet<OptionName> = new Set(['include', 'exclude'])

/** Values as a door read them. What a door was not told is absent or empty. */
export type RawSettings = Partial<Record<OptionName, string | readonly string[] | undefined>>

export interface Settings {
  readonly baseline: string | undefined
  readonly stateDict: string | undefined
  readonly baseModel: string | undefined
  readonly options: AnalysisOptions
  readonly policy: Policy
  /** Those of the metrics file. */
  readonly figures: readonly CustomMetric[]
  /** Undefined: every layer. */
  readonly shard: Shard | undefined
  /** Undefined: as many as cores. */
  readonly workers: number | undefined
  readonly reuse: boolean
}

/**
 * Settings from layers of raw values, the later over the earlier, over the defaults.
 * @throws UserError naming the option
 */
export function resolveSettings(...layers: readonly RawSettings[]): Settings {
  return resolveWith([], layers)
}

/**
 * As `resolveSettings`, with the custom metrics of the metrics file, which rules may name.
 * @throws UserError naming the option, the file or the custom metric
 */
export async function readSettings(...layers: readonly RawSettings[]): Promise<Settings> {
  const { 'metrics-file': path } = layers.findLast(layer => layer['metrics-file']?.length) ?? {}
  const accuracy = accuracyOf(layers)
  if (!path) return resolveWith(accuracy, layers)
  const { readCustomMetrics } = await import('../report/custom-metrics.ts')
  const figures = await readCustomMetrics(String(path))
  if (accuracy.length > 0 && figures.some(({ name }) => name === 'accuracy'))
    throw new UserError('accuracy is given, and the metrics file has one too.', 'Leave one out.')
  return resolveWith([...figures, ...accuracy], layers)
}

/** The option `accuracy`, as the custom metric that it is. */
function accuracyOf(layers: readonly RawSettings[]): CustomMetric[] {
  const { accuracy } = layers.findLast(layer => layer.accuracy?.length) ?? {}
  if (accuracy === undefined || accuracy.length === 0) return []
  const text = String(accuracy).trim()
  const value = /^[-+.\dEe]{1,64}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isFinite(value))
    throw new UserError(`accuracy is ${JSON.stringify(text.slice(0, 200))}, but takes a number such as 0.93.`)
  return [{ name: 'accuracy', value, better: 'higher' }]
}

/**
 * Throws where these settings are not usable, whatever a metrics file would hold: a rule may name any metric of its own.
 * @throws UserError naming the option
 */
export function assureUsable(...layers: readonly RawSettings[]): void {
  const rules = layers.flatMap(layer => [layer['fail-if'] ?? '', layer['warn-if'] ?? '']).flat()
  const names = new Set(rules.flatMap(rule => rule.match(/[A-Za-z_][\w./-]*/g) ?? []))
  const figures = [...names].filter(name => !isReserved(name)).map(name => ({ name, value: 0 }))
  accuracyOf(layers)
  resolveWith(figures, layers)
}

/** The settings of a part, which has no judgement: rules and figures are the merging job's. */
export function resolvePartSettings(...layers: readonly RawSettings[]): Settings {
  return resolveWith([], [...layers.map(layer => ({ ...layer, 'fail-if': '', 'warn-if': '' }))])
}

/** What an option says, without comments. */
export function linesOf(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
}

function resolveWith(figures: readonly CustomMetric[], layers: readonly RawSettings[]): Settings {
  const names = figures.map(({ name }) => name)
  const lines = (name: OptionName): string[] => {
    const found = layers.findLast(layer => layer[name] !== undefined && layer[name].length > 0)?.[name]
    const text = typeof found === 'string' || found === undefined ? (found ?? defaultOf(name)) : found.join('\n')
    const lines = linesOf(text)
    if (BOUNDED.has(name) && lines.length > limits.config.linesCount)
      throw new UserError(`${name} has ${lines.length} lines, more than ${limits.config.linesCount}.`)
    return lines
  }
  const text = (name: OptionName): string | undefined => {
    const found = lines(name)
    if (found.length > 1) throw new UserError(`${name} takes one value, but got ${found.length}.`)
    return found[0]
  }
  const [min_evals, max_evals, max_N] = (['min-evals', 'max-evals', 'max-n'] as const).map(name =>
    count(name, text(name)!),
  )
  if (max_evals && min_evals > max_evals) {
    throw new UserError(`min-evals ${min_evals} is more than max-evals ${max_evals}: no layer could qualify.`)
  }
  const shard = text('shard')
  const fingers = oneOf('fix-fingers', text('fix-fingers'), ['none', 'clip_xmax'])
  const small = oneOf('small-sample-fit', text('small-sample-fit'), ['none', 'least-d', 'adjusted-d'])
  const xmax = oneOf('xmax', text('xmax'), ['none', 'force'])
  const conv2d = oneOf('conv', text('conv'), ['pooled', 'slices', 'operator'])
  const grid = count('conv-grid', text('conv-grid')!)
  if (grid < 1 || grid > limits.spectrum.gridPoints)
    throw new UserError(`conv-grid is ${grid}, but takes 1 to ${limits.spectrum.gridPoints}.`)
  const dimensions = oneOf('conv-dims', text('conv-dims'), ['2', 'all'])
  const { cubePoints } = limits.spectrum
  if (dimensions === 'all' && conv2d === 'operator' && grid > cubePoints)
    throw new UserError(
      `conv-grid is ${grid}, and with conv-dims: all, which has images of three dimensions, takes 1 to ${cubePoints}.`,
    )
  const baseModel = text('base-model')
  const analyses = ADDED.filter(name => flag(name, text(name)))
  if (analyses.includes('distances') && baseModel === undefined)
    throw new UserError('distances needs a base-model, from which they are.')
  const hillShare = share('hill-share', text('hill-share')!)
  const metrics = oneOf('metrics', text('metrics'), ['all', 'spectral-norm'])
  const bootstrap = count('bootstrap', text('bootstrap')!)
  const { bootstrapLeast, bootstrapMost } = limits.metrics
  if (bootstrap !== 0 && (bootstrap < bootstrapLeast || bootstrap > bootstrapMost))
    throw new UserError(
      `bootstrap is ${bootstrap}, but takes ${bootstrapLeast} to ${bootstrapMost} draws, or 0 for none.`,
    )
  const whole = [
    ...analyses,
    ...(bootstrap > 0 ? ['bootstrap'] : []),
    ...(fingers !== 'none' ? ['fix-fingers'] : []),
    ...(small !== 'none' ? ['small-sample-fit'] : []),
    ...(xmax !== 'none' ? ['xmax'] : []),
    ...(hillShare !== HILL_SHARE ? ['hill-share'] : []),
  ]
  if (metrics === 'spectral-norm' && whole.length > 0)
    throw new UserError(`${whole[0]} needs all eigenvalues, and metrics: spectral-norm has the largest alone.`)
  const merge = flag('merge-adapter', text('merge-adapter'))
  if (merge && baseModel === undefined)
    throw new UserError('merge-adapter needs a base-model, with which the adapter is merged.')
  if (merge && analyses.includes('distances'))
    throw new UserError('distances are those of what is added to the base model: leave merge-adapter out for them.')
  return {
    baseline: text('baseline'),
    shard: shard === undefined ? undefined : parseShard(shard),
    stateDict: text('state-dict'),
    baseModel,
    workers: workers(text('workers')),
    reuse: flag('reuse', text('reuse'))!,
    options: {
      min_evals,
      max_evals,
      max_N,
      include: lines('include').sort(),
      exclude: lines('exclude').sort(),
      conv2d,
      ...(conv2d === 'operator' && { conv_grid: grid }),
      ...(dimensions === 'all' && { conv_dims: dimensions }),
      ...(flag('split-packed', text('split-packed')) && { split_packed: true as const }),
      ...(metrics !== 'all' && { metrics }),
      ...(analyses.length > 0 && { analyses }),
      ...(bootstrap > 0 && { bootstrap }),
      ...(hillShare !== HILL_SHARE && { hill_share: hillShare }),
      ...(!flag('structure', text('structure')) && { structure: false as const }),
      ...(baseModel !== undefined && { base_model: portableFrom(baseModel) }),
      ...(merge && { merge_adapter: true as const }),
      ...(xmax !== 'none' && { xmax }),
      ...(fingers !== 'none' && { fix_fingers: fingers }),
      ...(small !== 'none' && { small_sample_fit: small }),
    },
    figures,
    policy: {
      rules: [
        ...lines('fail-if').map(rule => parseRule(rule, 'fail', names)),
        ...lines('warn-if').map(rule => parseRule(rule, 'warn', names)),
      ],
      renames: lines('rename').map(rename),
      ignore: lines('ignore').map(ignorable).sort(),
      thresholds: Object.fromEntries(lines('thresholds').map(ownThreshold)),
      enforce: flag('enforce', text('enforce'))!,
      failOnInconclusive: flag('fail-on-inconclusive', text('fail-on-inconclusive')),
    },
  }
}

function rename(line: string): Rename {
  const at = line.indexOf('=')
  const [from, to] = [line.slice(0, at).trim(), line.slice(at + 1).trim()]
  if (at > 0 && from && to && from.endsWith('.') === to.endsWith('.')) return { from, to }
  throw new UserError(
    `rename: ${JSON.stringify(line.slice(0, 200))} is no OLD=NEW.`,
    'A name, such as fc=head, or the beginning of names on both sides, such as encoder.=backbone.',
  )
}

function ownThreshold(line: string): [string, number] {
  const [, name = line, number] = /^([\w-]+)\s*[=:]\s*([+-]?\d{1,9}(?:\.\d{1,12})?)$/.exec(line) ?? []
  if (number === undefined)
    throw new UserError(
      `thresholds: ${JSON.stringify(line.slice(0, 200))} is no NAME=NUMBER.`,
      'Such as lighter-tail=0.2.',
    )
  if (hasOwnThreshold(name)) return [name, Number(number)]
  const names = BUILT_IN_NAMES.filter(hasOwnThreshold)
  throw new UserError(
    `thresholds: ${JSON.stringify(name.slice(0, 200))} is no built-in rule with a threshold of its own.`,
    `There are ${names.join(', ')}.`,
  )
}

function ignorable(name: string): string {
  if (IGNORABLE.includes(name)) return name
  const near = nearest(name, IGNORABLE)
  throw new UserError(
    `ignore: there is no built-in rule ${JSON.stringify(name.slice(0, 200))}.`,
    near ? `Did you mean ${near}?` : `There are ${IGNORABLE.join(', ')}.`,
  )
}

function defaultOf(name: OptionName): string {
  return optionOf(name).default ?? ''
}

function workers(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const n = count('workers', text)
  if (n < 1 || n > 256) throw new UserError(`workers is ${n}, but takes 1 to 256.`)
  return n
}

function count(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new UserError(`${name} is ${JSON.stringify(text)}, but takes a whole number of 0 or more.`)
  return Number(text)
}

function share(name: string, text: string): number {
  const value = /^(?:0?\.\d{1,6}|1(?:\.0{1,6})?)$/.test(text) ? Number(text) : Number.NaN
  if (value >= LEAST_SHARE) return value
  throw new UserError(`${name} is ${JSON.stringify(text.slice(0, 200))}, but takes ${LEAST_SHARE} to 1, such as 0.5.`)
}

function oneOf<const V extends string>(name: OptionName, text: string | undefined, values: readonly V[]): V {
  const found = values.find(value => value === text)
  if (found !== undefined) return found
  throw new UserError(`${name} is ${JSON.stringify(text)}, but takes ${values.join(' or ')}.`)
}

/** `true` or `false`, as YAML writes them; undefined where nothing is set. */
export function flag(name: string, text: string | undefined): boolean | undefined {
  if (text === undefined || text === '') return undefined
  if (/^true$/i.test(text)) return true
  if (/^false$/i.test(text)) return false
  throw new UserError(`${name} is ${JSON.stringify(text)}, but takes true or false.`)
}

import { ADDED } from '../report/analyses.ts'
import { hillShareOf } from '../report/hill.ts'
import type { PolicyRecord } from '../report/schema.ts'
import type { Config } from './file.ts'
import type { RawPublishing } from './publishing.ts'
import { linesOf, type RawSettings, type Settings } from './settings.ts'
import { FILE_NAMES, type FileName, OPTION_NAMES, type OptionName, optionOf, type PublishingName } from './table.ts'

/** What was set where, raw: the inputs over the config file. */
export interface Layers {
  readonly config: Config
  readonly inputs: Config
}

type Values = PolicyRecord['settings']

/** They stand in the report's options, with what the analysis used. */
const ANALYSIS: readonly FileName[] = [
  ...(['include', 'exclude', 'min-evals', 'max-evals', 'max-n', 'base-model', 'conv', 'conv-grid'] as const),
  ...(['xmax', 'fix-fingers', 'small-sample-fit', 'hill-share'] as const),
]
const RECORDED = FILE_NAMES.filter(name => optionOf(name).loosens && !ANALYSIS.includes(name))

const JUDGING: readonly FileName[] = ['fail-if', 'warn-if', ...RECORDED]

/** From strict to loose; an empty text is the default. What is not here is loosened by any change. */
const ORDER: Partial<Record<FileName, readonly string[]>> = {
  enforce: ['', 'false'],
  'fail-on-inconclusive': ['true', '', 'false'],
  'baseline-required': ['true', ''],
}

/** What judges, for the report. */
export function policyRecord(layers: Layers, { policy }: Pick<Settings, 'policy'>, path?: string): PolicyRecord {
  const from_inputs = JUDGING.filter(name => isSetIn(layers.inputs, name))
  const from_file = JUDGING.filter(name => isSetIn(layers.config, name) && !isSetIn(layers.inputs, name))
  return {
    rules: policy.rules.map(({ level, text }) => ({ level, rule: text })),
    settings: recorded(layers),
    ...(path !== undefined && { config: path }),
    from_inputs,
    ...(from_file.length > 0 && { from_file }),
  }
}

/** What both layers set, so that the inputs' counts, but for what they are known to have set before. */
export function overridden({ config, inputs }: Layers, known: readonly string[]): FileName[] {
  return JUDGING.filter(name => isSetIn(config, name) && isSetIn(inputs, name) && !known.includes(name))
}

/** Options of the analysis that a config file sets. */
export function analysisOptions(config: Config): FileName[] {
  return FILE_NAMES.filter(name => optionOf(name).loosens && !JUDGING.includes(name) && isSetIn(config, name))
}

export function isSetIn({ settings, publishing }: Config, name: FileName): boolean {
  return ((isOption(name) ? settings[name] : publishing[name as PublishingName])?.length ?? 0) > 0
}

/** The options that can let something pass and are not the default, in one spelling. */
export function recorded(layers: Layers): Values {
  const found = RECORDED.map(name => [name, valueFrom(layers, name)] as const)
  return Object.fromEntries(found.filter(([, value]) => value !== ''))
}

function valueFrom({ config, inputs }: Layers, name: FileName): string {
  const set = [inputs, config].map(({ settings, publishing }) =>
    isOption(name) ? settings[name] : publishing[name as PublishingName],
  )
  const found = set.find(value => value !== undefined && value.length > 0) ?? ''
  const said = typeof found === 'string' ? found : found.join('\n')
  const text = isOption(name) ? linesOf(said).join('\n') : said.trim()
  const value = (optionOf(name).type === 'flag' ? text.toLowerCase() : text).slice(0, 65_536)
  return value === optionOf(name).default || (name === 'baseline' && value === 'auto') ? '' : value
}

/** What of an earlier gate's options is stricter than the later one's, or just another: what has to hold until the change is merged. */
export function stricterSettings(earlier: Values, later: Values): [FileName, string][] {
  return RECORDED.flatMap((name): [FileName, string][] => {
    const [before, now] = [earlier[name] ?? '', later[name] ?? '']
    const order = ORDER[name]
    if (before === now || (name === 'baseline' && before === 'none')) return []
    if (order?.includes(now)) return order.indexOf(before) < order.indexOf(now) ? [[name, before]] : []
    // Asking for a baseline of some age, or giving a label, where there was nothing of the kind, is compared like any other change.
    return [[name, before]]
  })
}

/** The layers without these options among the inputs, so that the config file's count. */
export function withoutInputs({ config, inputs }: Layers, names: readonly FileName[]): Layers {
  const rest = <T extends RawSettings | RawPublishing>(raw: T): T =>
    Object.fromEntries(Object.entries(raw).filter(([name]) => !names.includes(name as FileName))) as T
  return { config, inputs: { settings: rest(inputs.settings), publishing: rest(inputs.publishing) } }
}

/** The layers with these values in place of their own; an empty one is the default. */
export function impose(layers: Layers, values: readonly (readonly [FileName, string | readonly string[]])[]): Layers {
  const config = { settings: { ...layers.config.settings }, publishing: { ...layers.config.publishing } }
  const inputs = { settings: { ...layers.inputs.settings }, publishing: { ...layers.inputs.publishing } }
  for (const [name, value] of values) {
    for (const layer of [config, inputs]) {
      if (isOption(name)) delete layer.settings[name]
      else delete layer.publishing[name as PublishingName]
    }
    if (isOption(name)) inputs.settings[name] = value
    else inputs.publishing[name as PublishingName] = String(value)
  }
  return { config, inputs }
}

/** A config without the options that can let something pass. */
export function withoutLoosening({ settings, publishing }: Config): Config {
  const strict = <T extends RawSettings | RawPublishing>(raw: T): T =>
    Object.fromEntries(Object.entries(raw).filter(([name]) => !optionOf(name as FileName).loosens)) as T
  return { settings: strict(settings), publishing: strict(publishing) }
}

/** The options of an analysis, as they are set. */
export function analysisValues({ options }: Pick<Settings, 'options'>): [FileName, string | readonly string[]][] {
  return [
    ['include', options.include],
    ['exclude', options.exclude],
    ['min-evals', String(options.min_evals)],
    ['max-evals', String(options.max_evals)],
    ['max-n', String(options.max_N)],
    ['base-model', options.base_model ?? ''],
    ['metrics', options.metrics ?? 'all'],
    ['merge-adapter', String(options.merge_adapter ?? false)],
    ['conv', options.conv2d],
    ['conv-grid', String(options.conv_grid ?? 32)],
    ['conv-dims', options.conv_dims ?? '2'],
    ['split-packed', String(options.split_packed ?? false)],
    ['xmax', options.xmax ?? 'none'],
    ['fix-fingers', options.fix_fingers ?? 'none'],
    ['small-sample-fit', options.small_sample_fit ?? 'none'],
    ['hill-share', String(hillShareOf(options))],
    ['bootstrap', String(options.bootstrap ?? 0)],
    ['structure', String(options.structure ?? true)],
    ...ADDED.map((name): [FileName, string] => [name, String(options.analyses?.includes(name) ?? false)]),
  ]
}

function isOption(name: FileName): name is Extract<FileName, OptionName> {
  return (OPTION_NAMES as readonly string[]).includes(name)
}

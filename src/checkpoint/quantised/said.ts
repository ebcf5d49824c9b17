import { quoted } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { Expression } from '../expression.ts'
import { type Family, field, isOfTransformers, Misfit, QUANTISATIONS } from './family.ts'

/** Parts that are left beside codes by the quantisers whose weights transformers loads. */
const OF_TRANSFORMERS = /(?:^|\.)(?:weight_scale|weight_scale_inv|weight_shape|qzeros|absmax|SCB)$/
/** Files beside config.json that other loaders take it from how weights are quantised. */
const FILES = ['hf_quant_config.json', 'quantize_config.json', 'quant_config.json']
/** Modules that stay as they are: of compressed-tensors, and of the others. */
const IGNORED = 'ignore'
const KEPT = ['modules_to_not_convert', 'llm_int8_skip_modules']

/** What was compiled of each list of a config, and how many comparisons it has taken. */
const known = new WeakMap<object, (module: string) => string | undefined>()

/**
 * Holds quantised weights against the config.json of transformers beside them: without a word of how they are quantised, or in a
 * module that is to stay as it is, it loads their codes as the weights.
 * @throws Misfit where it would
 */
export async function refuseUnsaid(family: Family): Promise<void> {
  const used = [...family.used]
  if (!used.some(name => OF_TRANSFORMERS.test(name)) || used.some(name => name.endsWith('comfy_quant'))) return
  const config = await family.config('config.json')
  if (!isOfTransformers(config) || field(config, '_class_name') !== undefined) return
  const said = saidIn(config)
  if (said === undefined) {
    for (const name of FILES) if ((await family.config(name)) !== undefined) return
    throw new Misfit(
      'config.json beside it has no quantization_config, without which transformers loads its codes as the weights: keep it there',
    )
  }
  const left = leftBy(said)(family.base)
  if (left !== undefined)
    throw new Misfit(
      `quantization_config in config.json leaves its module out (${left}), so that transformers loads its codes as the weights`,
    )
}

/** In a config, or that of its text model. */
function saidIn(config: unknown): object | undefined {
  const parts = typeof config === 'object' && config !== null ? Object.values(config) : []
  for (const owner of [config, ...parts]) {
    for (const key of QUANTISATIONS) {
      const own = field(owner, key)
      if (typeof own === 'object' && own !== null) return own
    }
  }
  return undefined
}

/** The entry of a config by which a module is not quantised. */
function leftBy(said: object): (module: string) => string | undefined {
  const found = known.get(said) ?? compiled(said)
  known.set(said, found)
  return found
}

function compiled(said: object): (module: string) => string | undefined {
  const ofAny = [
    ...textsIn(field(said, IGNORED)).map(text => ignoring(text)),
    ...KEPT.flatMap(key => textsIn(field(said, key)).map(text => keeping(key, text))),
  ]
  const targeted = targetsOf(said)
  let comparisons = 0
  return module => {
    comparisons += ofAny.length
    if (comparisons > limits.adapter.patternComparisonsCount) return undefined
    return ofAny.find(one => one.fits(module))?.entry ?? targeted(module)
  }
}

interface Entry {
  readonly entry: string
  fits(module: string): boolean
}

/** What stands behind `re:`, which fits the begin of a name; undefined where nothing does. */
function expressionIn(text: string): Expression | undefined {
  return text.startsWith('re:') ? Expression.of(`(?:${text.slice(3)}).*`) : undefined
}

/** A name, or behind `re:` an expression that fits its begin. Source: compressed_tensors/utils/match.py. */
function ignoring(text: string): Entry {
  const expression = expressionIn(text)
  return { entry: `${IGNORED}: ${quoted(text)}`, fits: module => module === text || expression?.fits(module) === true }
}

/** A name, its begin or end, or an expression. Source: transformers/quantizers/quantizers_utils.py, should_convert_module. */
function keeping(key: string, text: string): Entry {
  const expression = Expression.of(`(?:${text})(?:\\..*)?`)
  const fits = (module: string) => module.endsWith(text) || expression?.fits(module) === true
  return { entry: `${key}: ${quoted(text)}`, fits: module => text !== '' && fits(module) }
}

/** What none of compressed-tensors' groups has, where all of them tell their modules by expressions. */
function targetsOf(said: object): (module: string) => string | undefined {
  const groups = field(said, 'config_groups')
  const targets =
    typeof groups === 'object' && groups !== null
      ? Object.values(groups).flatMap(group => textsIn(field(group, 'targets')))
      : []
  const expressions = targets.map(expressionIn)
  if (targets.length === 0 || expressions.includes(undefined)) return () => undefined
  const isTold = (module: string) => expressions.some(expression => expression!.fits(module) !== false)
  return module => (isTold(module) ? undefined : `targets: ${quoted(targets[0])}`)
}

function textsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter(one => typeof one === 'string') : []
}

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { portable } from '../bytes/portable.ts'
import { limits } from '../limits.ts'
import { BROKEN, OF_CLASS } from '../report/settings.ts'
import { field, QUANTISATIONS, Relatives } from './quantised/family.ts'
import type { Setting, Stamp, Tensor } from './types.ts'

/** Components of the keys by which transformers' models are built of their weights. */
const DECIDING =
  /(?:^|_)(?:eps|epsilon|heads?|layers?|depths?|experts?|act|activation|bias|window|alibi|tie|norm|scale|scaling|multiplier|softcap|softcapping|pruned|topk|groups?|dim)(?:_|$)/
const WHOLE =
  /^(?:model_type|architectures|is_causal|use_bidirectional_attention|moe_k|moe_top_?k|layer_types|kv_channels|multi_query|is_decoder|parallel_attn|new_decoder_architecture|position_embedding_type|no_rope_layers|rotary_dim|use_parallel_residual|clip_qkv|transformers_version)$/
/** Of those, what is of a training, of generation or of text, and what versions of transformers call otherwise. */
const OTHER =
  /drop|init|loss|coef|aux|jitter|noise|grad|cache|output|token|label|pad|vocab|dtype|version|path|name|implementation|max_|return|train|mask|problem|task|beam|rope|rotary|ids?$|layers?_block_type$/
/** Objects that are settings as a whole. */
const OBJECTS: ReadonlySet<string> = new Set(['pruned_heads', 'auto_map', ...OF_CLASS])
/** What says nothing of how weights are quantised, beside what does. */
const OF_QUANTISING = /^_|version|meta|dataset|tokenizer|damp|compute_dtype|calib|observer|kv_cache/
/** Of an adapter: what else its scales and modules are made of is compared as weights. */
const OF_ADAPTER: ReadonlySet<string> = new Set([
  ...['peft_type', 'fan_in_fan_out', 'bias', 'lora_bias', 'ensure_weight_tying', 'trainable_token_indices'],
])

/** What transformers 4 and 5 keep of rotary embeddings, each in its own place. */
const ROPE: ReadonlySet<string> = new Set(['rope_scaling', 'rope_parameters'])
const ROPE_BASES: ReadonlySet<string> = new Set([
  ...['rope_theta', 'rotary_emb_base', 'rope_local_base_freq', 'local_rope_theta', 'global_rope_theta'],
])
const ROPE_SHARES: ReadonlySet<string> = new Set(['partial_rotary_factor', 'rotary_pct'])
const PLAIN_ROPES: ReadonlySet<unknown> = new Set(['default', 'mrope', 'axial'])

/** A config: where it lies, what of it decides, and whether it is one of another framework. */
const CONFIGS = [
  { name: 'config.json', decides, isOther: (config: unknown) => typeof field(config, '_class_name') === 'string' },
  { name: 'adapter_config.json', decides: (path: readonly string[]) => OF_ADAPTER.has(path[0]), isOther: () => false },
]

/**
 * The settings of the configs beside weights by which transformers and PEFT load and apply them.
 * @param folder from which configs are called
 * @param stamps where those of the configs are put
 * @returns none where there is no config; one for the whole of a config that is no JSON object
 * @throws CheckpointError where one can't be read
 */
export async function settingsBeside(
  tensors: readonly Tensor[],
  folder: string,
  stamps: Stamp[],
): Promise<readonly Setting[]> {
  const files = new Map(tensors.map(({ source }) => [dirname(source.path), source.path]))
  const found: Setting[] = []
  const relatives = new Relatives([], stamps)
  for (const [at, file] of files) {
    // PEFT goes by the adapter's own config: another beside it is the base model's.
    const configs = CONFIGS.filter(({ name }) => name !== 'config.json' || !/^adapter_model\./.test(basename(file)))
    for (const { name, decides, isOther } of configs) {
      const config = await relatives.config(file, name)
      if (isOther(config) || (config === undefined && !existsSync(join(at, name)))) continue
      const called = portable(join(relative(folder, at), name))
      if (!isObject(config)) found.push({ file: called, ...BROKEN })
      else for (const [key, value] of new Settings(decides).of(config)) found.push({ file: called, key, value })
    }
  }
  return bounded(found)
}

/** Settings as a report may have them: where they are too many or too long, their digest. */
export function bounded(found: readonly Setting[]): readonly Setting[] {
  const isShort = found.every(({ key, value }) => Math.max(key.length, value.length) <= limits.settings.characters)
  const isAll = isShort && found.length <= limits.settings.count
  return isAll ? found : [{ file: '*', key: '*', value: digest(JSON.stringify(found)) }]
}

function decides(path: readonly string[]): boolean {
  const key = path[path.length - 1]
  if (path.some(one => QUANTISATIONS.includes(one))) return !path.some(one => OF_QUANTISING.test(one))
  // What parts are called changes from one version of transformers to the next.
  if (key === 'model_type') return path.length === 1
  return WHOLE.test(key) || (!OTHER.test(key) && DECIDING.test(key))
}

/** The settings of one config, flat, each as JSON. */
class Settings {
  readonly #decides: (path: readonly string[]) => boolean
  readonly #found = new Map<string, string>()

  constructor(decides: (path: readonly string[]) => boolean) {
    this.#decides = decides
  }

  of(config: object): ReadonlyMap<string, string> {
    this.#walk(config, [])
    return this.#found
  }

  #walk(config: object, path: readonly string[]): void {
    const ropes = new Map<string, unknown[]>()
    for (const [key, value] of Object.entries(config)) {
      const own = [...path, key]
      if (value === null) continue
      if (ROPE.has(key) || ROPE_BASES.has(key) || ROPE_SHARES.has(key)) rope(key, value, ropes)
      // Its keys are patterns of modules, one of which may have nothing in it.
      else if (OBJECTS.has(key) || (key === 'dynamic' && isObject(value))) this.#add(own, value)
      else if (isObject(value) && own.length < limits.settings.nestingLevels) this.#walk(value, own)
      else if (this.#decides(own)) this.#add(own, value)
    }
    for (const [key, values] of ropes) {
      const different = [...new Map(values.map(value => [canonical(value), value]))].sort(([a], [b]) =>
        a < b ? -1 : 1,
      )
      this.#add([...path, 'rope', key], different.length === 1 ? different[0][1] : different.map(([, value]) => value))
    }
  }

  #add(path: readonly string[], value: unknown): void {
    const key = path.join('.')
    const text = canonical(value)
    const isShort = text.length <= limits.settings.characters
    this.#found.set(key.length <= limits.settings.characters ? key : digest(key), isShort ? text : digest(text))
  }
}

/** All numbers and words of rotary embeddings, by what they are: transformers 5 has one object, or one a kind of layer. */
function rope(key: string, value: unknown, found: Map<string, unknown[]>): void {
  if (isObject(value)) {
    for (const [inner, own] of Object.entries(value)) if (own !== null) rope(inner, own, found)
    return
  }
  const name = ROPE_BASES.has(key) ? 'theta' : ROPE_SHARES.has(key) ? 'share' : key === 'rope_type' ? 'type' : key
  if (name === 'type' && PLAIN_ROPES.has(value)) return
  const known = found.get(name)
  if (known) known.push(value)
  else found.set(name, [value])
}

/** JSON that is the same for equal values. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, own) =>
    // The Hub's repository, which stands before a class of code of its own.
    typeof own === 'string' && own.includes('--')
      ? own.slice(own.lastIndexOf('--') + 2)
      : isObject(own)
        ? Object.fromEntries(Object.entries(own).sort(([a], [b]) => (a < b ? -1 : 1)))
        : own,
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function digest(text: string): string {
  return `sha256 ${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
}

import type { Model } from './schema.ts'

type Setting = NonNullable<Model['source']['settings']>[number]

/** A setting that differs from the baseline's. */
export interface ChangedSetting {
  /** The config and the key. */
  readonly name: string
  /** As JSON, or its digest; undefined where it is not there. */
  readonly head: string | undefined
  readonly base: string | undefined
}

/** What says no more than that a key is not there. */
const EMPTY: ReadonlySet<string> = new Set(['false', '0', '""', '[]', '{}', '"none"'])
/** What models are built with where their config does not say, of keys that some versions of transformers leave out. */
const IMPLIED: Readonly<Record<string, string>> = {
  'rope.theta': '10000',
  'rope.factor': '1',
  position_embedding_type: '"absolute"',
}
/** Keys that count where one of the configs alone has them: others a later version writes, with what was implied before. */
const COUNTED =
  /^(?:model_type|architectures|auto_map|pruned_heads|num_hidden_layers|n_layers?|num_layers|num_attention_heads|n_heads?|num_heads|num_key_value_heads|(?:rms_norm|layer_?norm|norm)_(?:eps|epsilon)|hidden_act|activation_function|rope\.(?:theta|type|factor))$/
const OF_QUANTISATION = /(?:^|\.)(?:quantization_config|quantization|compression_config)\./
/** Keys of which transformers 5 leaves one out where another says the same, such as `encoder_layers`. */
const SYNONYMS = [/(?:^|_)layers?$/, /(?:^|_)heads?$/]
const VERSION = 'transformers_version'
/** A model's own config in a file of Keras, the version that wrote it, and what stands there for all of a config. */
const KERAS = 'Keras'
const KERAS_VERSION = 'keras_version'
const WHOLE = '*'
/** What layers of Keras are built with where an older version does not say. */
const IMPLIED_BY_KERAS: Readonly<Record<string, string>> = { data_format: '"channels_last"', value_range: '[0,255]' }
const TEXT = 'text_config.'
const TIED = 'tie_word_embeddings'
/** Models whose embeddings transformers 5 says to be tied, and 4 did not. */
const TIED_NOW: ReadonlySet<string> = new Set(['"mt5"', '"vilt"', '"csm"'])
/** What a model that is not tied has a weight of its own for. */
const HEAD = /(?:^|[._/])(?:lm_head|embed_out|output|output_layer|proj_out|predictions|generator)(?:[._/]|$)/

/**
 * Settings by which a framework loads or applies the weights otherwise than the baseline's: those that both have, and of those that
 * one has alone what is not implied. Names and places that transformers 4 and 5 have for the same are one.
 * @returns undefined where either has no config, or is of a version that did not look
 */
export function changedSettings(head: Model, base: Model): ChangedSetting[] | undefined {
  if (!head.source.settings || !base.source.settings) return undefined
  const [now, before] = [head, base].map(({ source }) => byName(source.settings!.filter(({ file }) => file !== KERAS)))
  const stayed = [...now.values()].filter(({ file, key, value }) => before.get(`${file}: ${key}`)?.value === value)
  const others = [...new Set([...before.keys(), ...now.keys()])].flatMap(name => {
    const [own, was] = [now.get(name), before.get(name)]
    const one = (own ?? was)!
    if (one.key === VERSION) return []
    const changed = { name, head: own?.value, base: was?.value }
    if (own && was) return own.value === was.value || isTiedNow(own, now) ? [] : [changed]
    const other = own ? before : now
    if (other.get(otherPlaceOf(one))?.value === one.value) return []
    // One version writes the same keys each time: what one config has alone then is no matter of versions.
    const isTold =
      stayed.some(({ file, key }) => file === one.file && key === VERSION) &&
      !one.key.endsWith(TIED) &&
      !EMPTY.has(one.value) &&
      IMPLIED[one.key] !== one.value
    return isTold || counts(one, stayed, { head, isOfHead: own !== undefined }) ? [changed] : []
  })
  return [...others, ...changedOfKeras(head.source.settings, base.source.settings)]
}

/**
 * The same of Keras' own config: all that both have, what of kinds of layers that both have one has alone and what is not implied, and
 * kinds that one has alone. Where one can't be read, or has too much, that alone is told.
 */
function changedOfKeras(head: readonly Setting[], base: readonly Setting[]): ChangedSetting[] {
  const [now, before] = [head, base].map(all => {
    return new Map(all.flatMap(({ file, key, value }) => (file === KERAS ? [[key, value] as const] : [])))
  })
  if (now.size === 0 || before.size === 0) return []
  const isWhole = now.has(WHOLE) || before.has(WHOLE)
  const isOneVersion = now.get(KERAS_VERSION) === before.get(KERAS_VERSION)
  return [...new Set([...before.keys(), ...now.keys()])].flatMap(key => {
    const [own, was] = [now.get(key), before.get(key)]
    if (own === was || key === KERAS_VERSION || (isWhole && key !== WHOLE)) return []
    const changed = { name: `${KERAS}: ${key}`, head: own, base: was }
    const [kind, option] = key.split('.')
    if (option === undefined || (own !== undefined && was !== undefined)) return [changed]
    const isOfBoth = now.has(kind) && before.has(kind)
    const value = (own ?? was)!
    const isImplied = EMPTY.has(value) || IMPLIED_BY_KERAS[option] === value
    return isOfBoth && (isOneVersion || !isImplied) ? [changed] : []
  })
}

/** Where versions of transformers keep the same: at the top, or among the settings of the text model. */
function otherPlaceOf({ file, key }: Setting): string {
  return `${file}: ${key.startsWith(TEXT) ? key.slice(TEXT.length) : TEXT + key}`
}

function byName(settings: readonly Setting[]): Map<string, Setting> {
  return new Map(settings.map(one => [`${one.file}: ${one.key}`, one]))
}

function isTiedNow({ file, key, value }: Setting, all: ReadonlyMap<string, Setting>): boolean {
  return key === TIED && value === 'true' && TIED_NOW.has(all.get(`${file}: model_type`)?.value ?? '')
}

/**
 * Whether a setting that one config has alone is another than what the other implies.
 * @param stayed the settings that both have
 * @param of the head, and whether its config is the one that has it
 */
function counts(
  { file, key, value }: Setting,
  stayed: readonly Setting[],
  { head, isOfHead }: { readonly head: Model; readonly isOfHead: boolean },
): boolean {
  if (OF_QUANTISATION.test(key)) return !EMPTY.has(value)
  // Untied, without a weight of its own, the head begins anew.
  if (key === TIED) return value === String(!isOfHead) && !hasHead(head)
  if (EMPTY.has(value) || !(COUNTED.test(key) || key === WHOLE || file === 'adapter_config.json')) return false
  if (IMPLIED[key] === value) return false
  const kind = SYNONYMS.find(kind => kind.test(key))
  return !stayed.some(one => one.file === file && kind?.test(one.key) === true)
}

function hasHead({ layers, skipped }: Model): boolean {
  return [...layers, ...skipped].some(({ tensor }) => HEAD.test(tensor))
}

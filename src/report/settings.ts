import { moduleOf } from '../words.ts'
import { changedOfKeras, KERAS } from './keras-settings.ts'
import type { Model } from './schema.ts'
import { type ChangedSetting, EMPTY, type Setting, WHOLE } from './setting.ts'

/** Formats that transformers and PEFT save, beside their configs. */
export const CONFIGURED: readonly string[] = ['safetensors', 'torch-zip', 'torch-legacy']
/** Of a config that is no JSON object, which neither of them loads. */
export const BROKEN = { key: '*', value: 'null' }

/**
 * Attributes of the classes of transformers' configs, which no version saves, and which a config can set all the same: one says which
 * key is read in the place of which.
 */
export const OF_CLASS: ReadonlySet<string> = new Set([
  ...[
    'attribute_map',
    'sub_configs',
    'base_config_key',
    'base_model_tp_plan',
    'base_model_pp_plan',
    'base_model_ep_plan',
  ],
  ...['keys_to_ignore_at_inference', 'has_no_defaults_at_init', 'is_composition'],
])

/** What models are built with where their config does not say, of keys that some versions of transformers leave out. */
const IMPLIED: ReadonlyMap<string, string> = new Map([
  ['rope.theta', '10000'],
  ['rope.factor', '1'],
  ['position_embedding_type', '"absolute"'],
  ['is_causal', 'true'],
])
/** Keys that count where one of the configs alone has them: others a later version writes, with what was implied before. */
const COUNTED =
  /^(?:model_type|architectures|is_causal|use_bidirectional_attention|auto_map|pruned_heads|(?:rms_norm|layer_?norm|norm)_(?:eps|epsilon)|hidden_act|activation_function|rope\.(?:theta|type|factor))$/
const OF_QUANTISATION = /(?:^|\.)(?:quantization_config|quantization|compression_config)\./
const LAYERS = /^(?:(?:num|n)_)?(?:(?:en|de)coder_)?(?:num_)?(?:hidden_)?layers?$|^depth$/
const HEADS = /^(?:(?:num|n)_)?(?:(?:en|de)coder_)?(?:num_)?(?:attention_)?heads?$/
const SHARED_HEADS = /^(?:(?:num|n)_)?(?:(?:en|de)coder_)?(?:num_)?(?:key_value|kv)_heads?$|^num_attention_groups$/
/**
 * Keys that are one thing to transformers (`attribute_map` of its configs): versions leave one out where another says the same, and
 * one that says otherwise takes the place of the other.
 */
const SYNONYMS: readonly RegExp[] = [
  ...[LAYERS, HEADS, SHARED_HEADS],
  /^(?:num_experts_per_tok(?:en)?|moe_top_?k|moe_k)$/,
  /^(?:norm_topk_prob|moe_renormalize)$/,
  /^(?:attention|use_qkv|qkv)_bias$/,
  /^(?:sliding_window|sliding_window_size|attention_window_size)$/,
  /^(?:routed_scaling_factor|route_scale)$/,
]
const DECODER = /(?:^|_)decoder_/
const ENCODER = /(?:^|_)encoder_/
const VERSION = 'transformers_version'
/** Which of them a config of transformers has. */
const KNOWN: ReadonlySet<string> = new Set(['model_type', 'architectures', 'auto_map', VERSION])
const TEXT = 'text_config.'
const TIED = 'tie_word_embeddings'
/** Models whose embeddings transformers 5 says to be tied, and 4 did not. */
const TIED_NOW: ReadonlySet<string> = new Set(['"mt5"', '"vilt"', '"csm"'])
/** What a model that is not tied has a weight of its own for. */
const HEAD = /(?:^|[._/])(?:lm_head|embed_out|output|output_layer|proj_out|predictions|generator)(?:[._/]|$)/

/**
 * Settings by which a framework loads or applies the weights otherwise than the baseline's: those that both have, and of those that
 * one has alone what is not implied. Names and places that transformers 4 and 5 have for the same are one. A config that went, or that
 * is no JSON any more, is one of them.
 * @returns undefined where the baseline has none, or either is of a version that did not look
 */
export function changedSettings(head: Model, base: Model): ChangedSetting[] | undefined {
  const settings = (base.source.settings ?? []).filter(one => !isBroken(one))
  if (!head.source.settings || settings.length === 0) return undefined
  const gone = goneConfigs(head, base)
  const [now, before] = [head.source.settings, settings].map(all =>
    byName(all.filter(one => one.file !== KERAS && !isBroken(one) && !gone.some(({ name }) => name === one.file))),
  )
  const known = new Set([...now.values(), ...before.values()].flatMap(one => (KNOWN.has(one.key) ? one.file : [])))
  const stayed = [...now.values()].filter(({ file, key, value }) => before.get(`${file}: ${key}`)?.value === value)
  const changed = [...new Set([...before.keys(), ...now.keys()])].flatMap(name => {
    const [own, was] = [now.get(name), before.get(name)]
    const found = { name, head: own?.value, base: was?.value }
    if ((own ?? was)!.key === VERSION || [own, was].some(one => one && isFigure(one) && !known.has(one.file))) return []
    if (own && was) return own.value === was.value || isTiedNow(own, now) ? [] : [found]
    const moved = own ? undefined : now.get(otherPlaceOf(was!))?.value
    return isOtherwise((own ?? was)!, { now, before, stayed, head }) ? [{ ...found, head: own?.value ?? moved }] : []
  })
  return [...gone, ...changed, ...changedOfKeras(head.source.settings, settings)]
}

interface Compared {
  readonly now: Named
  readonly before: Named
  /** What both say. */
  readonly stayed: readonly Setting[]
  readonly head: Model
}

type Named = ReadonlyMap<string, Setting>

/** Whether a setting that one config has alone says otherwise than the other one, with what that implies. */
function isOtherwise(one: Setting, { now, before, stayed, head }: Compared): boolean {
  const isOfHead = now.get(`${one.file}: ${one.key}`) === one
  const other = (isOfHead ? before : now).get(otherPlaceOf(one))
  if (other?.value === one.value) return false
  const isTied = one.key.endsWith(TIED)
  if (!isTied && (isOfHead ? contradicts(one, before, now) : other)) return true
  if (isSaidElse(one, stayed, isOfHead)) return false
  // One version writes the same keys each time: what one config has alone then is no matter of versions.
  const isPlain = isTied || isImplied(one)
  return (!isPlain && isOfOneVersion(one, before, now)) || counts(one, { head, isOfHead })
}

/** A number, or numbers, of a config.json: where no transformers wrote it, what a project has measured of its data. */
function isFigure({ file, key, value }: Setting): boolean {
  if (!/(?:^|\/)config\.json$/.test(file) || OF_QUANTISATION.test(key)) return false
  return value.startsWith('sha256 ') || (/^[[\]\d.,eE+-]+$/.test(value) && /[.eE]/.test(value))
}

/** Configs beside the baseline's weights of which nothing is left, where both are what configs lie beside. */
function goneConfigs({ source: head }: Model, { source: base }: Model): ChangedSetting[] {
  if (!CONFIGURED.includes(head.format) || !CONFIGURED.includes(base.format)) return []
  const files = (all: readonly Setting[] = []) => new Set(all.map(({ file }) => file))
  const [broken, left] = [true, false].map(is => files(head.settings?.filter(one => isBroken(one) === is)))
  const before = files(base.settings?.filter(one => !isBroken(one)))
  return [...before]
    .filter(file => file !== '*' && !left.has(file) && !left.has('*'))
    .map(name => ({ name, head: broken.has(name) ? 'no JSON' : 'gone, or without any', base: 'with settings' }))
}

function isBroken({ key, value }: Setting): boolean {
  return key === BROKEN.key && value === BROKEN.value
}

/** Every version writes its number: where that alone went, none did. */
function isOfOneVersion({ file }: Setting, before: Named, now: Named): boolean {
  const [was, is] = [before, now].map(all => all.get(`${file}: ${VERSION}`)?.value)
  return was !== undefined && (is ?? was) === was
}

/** Whether a key that came says otherwise than what is there under another name, or in another place: it may be what counts. */
function contradicts(one: Setting, before: Named, now: Named): boolean {
  const place = otherPlaceOf(one)
  if (before.has(place) && now.has(place)) return true
  const synonyms = synonymsOf(one, now.values())
  return synonyms.length > 0 && synonyms.every(({ value }) => value !== one.value)
}

/** Settings that are one thing with another. What says neither encoder nor decoder is the encoder's, where there is one. */
function synonymsOf(one: Setting, all: Iterable<Setting>): readonly Setting[] {
  const alike = alikeTo(one, all)
  const [ofEncoder, ofDecoder] = [ENCODER, DECODER].map(side => alike.filter(({ key }) => side.test(nameOf(key))))
  const plain = alike.filter(one => !ofEncoder.includes(one) && !ofDecoder.includes(one))
  if (DECODER.test(nameOf(one.key))) return [...ofDecoder, ...(ofEncoder.length > 0 ? [] : plain)]
  const first = [...ofEncoder, ...plain]
  return first.length > 0 || ENCODER.test(nameOf(one.key)) ? first : ofDecoder
}

/** Settings of the same kind in the same place. */
function alikeTo({ file, key }: Setting, all: Iterable<Setting>): readonly Setting[] {
  const near = [...all].filter(one => one.file === file && one.key !== key && moduleOf(one.key) === moduleOf(key))
  const kind = SYNONYMS.find(kind => kind.test(nameOf(key)))
  const alike = near.filter(one => kind?.test(nameOf(one.key)))
  // Where nothing says how many share keys and values, none do.
  return alike.length === 0 && kind === SHARED_HEADS ? near.filter(one => HEADS.test(nameOf(one.key))) : alike
}

function hasSide(key: string): boolean {
  return DECODER.test(nameOf(key)) || ENCODER.test(nameOf(key))
}

function nameOf(key: string): string {
  return key.slice(key.lastIndexOf('.') + 1)
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
 * @param of the head, and whether its config is the one that has it
 */
function counts(
  { file, key, value }: Setting,
  { head, isOfHead }: { readonly head: Model; readonly isOfHead: boolean },
): boolean {
  if (OF_QUANTISATION.test(key)) return !EMPTY.has(value)
  // Untied, without a weight of its own, the head begins anew.
  if (key === TIED) return value === String(!isOfHead) && !hasHead(head)
  if (isImplied({ key, value })) return false
  if (LAYERS.test(key) || HEADS.test(key) || SHARED_HEADS.test(key)) return !isOfHead || !hasSide(key)
  return COUNTED.test(key) || OF_CLASS.has(nameOf(key)) || key === WHOLE || file === 'adapter_config.json'
}

/** Whether what stayed says the same under another name. */
function isSaidElse(one: Setting, stayed: readonly Setting[], isOfHead: boolean): boolean {
  const synonyms = isOfHead || hasSide(one.key) ? synonymsOf(one, stayed) : alikeTo(one, stayed)
  return synonyms.some(synonym => synonym.value === one.value || (!isOfHead && isHalf(synonym, one)))
}

/** LongCat-Flash's layers are two each, which transformers 4 says beside. */
function isHalf(one: Setting, whole: Setting): boolean {
  return one.key === 'num_layers' && Number(whole.value) === 2 * Number(one.value)
}

/** Whether a setting says no more than that it is not there. */
function isImplied({ key, value }: Pick<Setting, 'key' | 'value'>): boolean {
  const implied = IMPLIED.get(key) ?? IMPLIED.get(nameOf(key))
  return implied === value || (implied !== 'true' && EMPTY.has(value))
}

function hasHead({ layers, skipped }: Model): boolean {
  return [...layers, ...skipped].some(({ tensor }) => HEAD.test(tensor))
}

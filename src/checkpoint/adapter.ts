import { basename, dirname } from 'node:path'
import { quoted } from '../errors.ts'
import { limits } from '../limits.ts'
import { dottedEnds, moduleOf } from '../words.ts'
import { Expression } from './expression.ts'
import type { LowRank } from './low-rank.ts'
import { numbers } from './quantised/codec.ts'
import { field, Relatives } from './quantised/family.ts'
import { isFloat, type Stamp, size, type Tensor } from './types.ts'

/** Keys of factors: PEFT's (an adapter's name may stand in them), kohya's, and those of diffusers before PEFT. */
const DOWN = [
  { pattern: /^(.*)\.lora_A(\.[^.]+)?\.weight$/, up: (module: string, name = '') => `${module}.lora_B${name}.weight` },
  {
    pattern: /^(.*)\.lora_embedding_A(\.[^.]+)?$/,
    up: (module: string, name = '') => `${module}.lora_embedding_B${name}`,
    embedding: true,
  },
  {
    pattern: /^(.*)\.lora_down(\.[^.]+)?\.weight$/,
    up: (module: string, name = '') => `${module}.lora_up${name}.weight`,
  },
  { pattern: /^(.*)[._]lora\.down()\.weight$/, up: (module: string) => `${module}_lora.up.weight` },
]
/**
 * Components, but the first, of the names of parts of adapters of other kinds, which are no products of two factors: where no config
 * tells. Those that a model might begin a name with are whole. Source: `adapter_layer_names` and `other_param_names` in peft/tuners.
 */
const OTHER =
  /^(?:hada_[wt]|lokr_|b?oft_|p?vera_lambda_|(?:rand|gra|de|g|vb|tiny|uni)lora_|fourierft_|waveft_|supertuning_|adamss_|frod_|_?osf_|trainable_tokens_)\w+$/
const OTHER_WHOLE = [
  /^(?:lora_(?:mid|diag|E|ranknum|arrow|monteclora_sampler|velora_embed)|dora_scale|ia3_l|hra_u|(?:bone|miss)_block|beft_bias|c3a_kernel)$/,
  /^(?:(?:p?vera|hira|hira_embedding|lily|peanut|poly_lora)_[AB]|(?:lily|poly)_router|peanut_(?:en|de)coders|deft_[PR]|psoft_R)$/,
  /^(?:road_(?:theta|alpha)|shira_(?:weight|indices)|shadow_(?:down|up|update_(?:transform|gate)|backbone|projection|head))$/,
  /^(?:ln_tuning|ln_tuning_layers|adaption_(?:prompt|gate)|prompt_encoder)$/,
]
/** Prompts that are learnt, which are of no module. */
const PROMPTS: ReadonlySet<string> = new Set(['prompt_embeddings', 'prefix_task_cols', 'prefix_task_rows'])

function isOther(name: string): boolean {
  const [, ...components] = name.split('.')
  return PROMPTS.has(name) || components.some(one => [OTHER, ...OTHER_WHOLE].some(kind => kind.test(one)))
}
/** Factors in any spelling: loralib and LitGPT have them as parameters of their own, MLX, torchtune and llama.cpp in small letters. */
const FACTOR = /(?:^|[._])lora[._](?:[abAB]|up|down|mid|embedding_[AB])(?:[._]|$)/
/** The first of two factors as PEFT spells it, and what it calls an adapter that nobody named. */
const [PEFTS, DEFAULT] = [/\.lora_(?:embedding_)?A\b/, '.default']
const NO_SPELLING = 'a factor of an adapter under a name that has no reader: save it as PEFT does'

/** Initialisations that leave the base model's weights as they are; all others change them, again when the adapter is loaded. */
const INITIALISED = ['gaussian', 'eva', 'orthogonal', 'true', 'false']
/** What of PEFT makes another product of the factors than theirs, in a config or beside them. */
const OTHER_PRODUCTS = ['kasa_config', 'use_bdlora', 'use_qalora', 'arrow_config']
const OTHER_PARTS = ['.lora_E', '.lora_diag', '.lora_mid', '.dora_scale']
const OTHER_KIND = 'a part of an adapter of a kind that has no reader: merge it before saving'
/** What PEFT puts before the keys of the model, and of what is beside it; how it calls the file that it loads. */
const [OF_MODEL, OF_PEFT, FILE] = ['base_model.model.', 'base_model.', /^adapter_model\./]
const NO_TARGET =
  'a factor of an adapter on a module that its adapter_config.json leaves out: PEFT does not load it. Save the adapter again'
const NO_EXPRESSION =
  'a factor of an adapter whose target_modules, exclude_modules or layers_pattern do not tell its modules: save the adapter again with PEFT, which lists them'
const OTHER_DORA = 'a factor of an adapter whose use_dora says otherwise than its magnitudes: save it again with PEFT'
const NO_KEY =
  'a tensor under a key that PEFT does not load: save the adapter again with PEFT, whose keys begin with base_model.model.'
const WHOLE =
  'a whole tensor of the base model, which PEFT loads in its place: name its module in modules_to_save of adapter_config.json'
const BESIDE =
  'a weight beside the factors of its module, which PEFT looks for in base_layer and does not load: save the adapter again with PEFT'
const NO_SCALE =
  'a factor of an adapter whose scale is not known: keep its adapter_config.json, with its rank, beside it'

const TWICE =
  'a factor of an adapter that is there twice, with and without the name of an adapter, of which PEFT loads one: leave the other out'

interface Found {
  readonly tensors: Tensor[]
  readonly updates: LowRank[]
}

/**
 * The low-rank updates among the tensors of a checkpoint, with their scales: `lora_alpha` / r of the adapter_config.json beside it
 * (/ √r for rsLoRA, its patterns for single modules), or the `alpha` of kohya's files. Factors without a scale, and parts of other
 * kinds of adapters, are left unread. Source: peft/tuners/lora (layer.py, config.py) of PEFT 0.21.
 *
 * @param stamps where that of the config is put
 */
export async function describeAdapters(tensors: readonly Tensor[], stamps: Stamp[]): Promise<Found> {
  if (!tensors.some(tensor => FACTOR.test(tensor.name) || isOther(tensor.name) || isSavedByPeft(tensor)))
    return { tensors: [...tensors], updates: [] }
  const all = new Map(tensors.map(tensor => [tensor.name, tensor]))
  const config = await new Relatives([], stamps).config(tensors[0].source.path, 'adapter_config.json')
  const kind = field(config, 'peft_type')
  if (typeof kind === 'string' && !isOfPeft(config)) return { tensors: ofOtherKind(tensors, config, kind), updates: [] }
  const patterns = {
    alpha: new Patterns(field(config, 'alpha_pattern')),
    rank: new Patterns(field(config, 'rank_pattern')),
  }
  const targets = new Targets(config)
  const updates: LowRank[] = []
  const twice = twiceIn(tensors)
  const unread = new Map<string, string>()
  for (const { name } of tensors) {
    if (isOther(name)) unread.set(name, OTHER_KIND)
    const found = await updateOf(name, all, { config, targets, patterns, twice })
    if (!found) continue
    const { update, factors, reason } = found
    if (update) updates.push(update)
    else for (const factor of factors) unread.set(factor, reason ?? NO_SCALE)
  }
  for (const name of twice) unread.set(name, TWICE)
  for (const [name, reason] of isOfPeft(config) ? strayIn(tensors, config) : []) unread.set(name, reason)
  const read = new Set(updates.flatMap(({ down, up }) => [down, up]))
  for (const { name, shape } of tensors) {
    if (FACTOR.test(name) && shape.length > 1 && !read.has(name) && !unread.has(name)) unread.set(name, NO_SPELLING)
  }
  return {
    updates,
    tensors: tensors.map(tensor => {
      const skip = unread.get(tensor.name)
      return skip === undefined ? tensor : { ...tensor, skip }
    }),
  }
}

function isSavedByPeft({ name, source }: Tensor): boolean {
  return name.startsWith(OF_PEFT) || FILE.test(basename(source.path))
}

/**
 * Of an adapter whose config says that it is of a kind other than LoRA: nothing of it is a weight of the model, whatever it is called,
 * but what is saved whole.
 */
function ofOtherKind(tensors: readonly Tensor[], config: unknown, kind: string): Tensor[] {
  const folder = dirname(tensors[0].source.path)
  const skip = OTHER_KIND.replace(':', () => ` (peft_type: ${quoted(kind)}):`)
  const isWhole = savedBy(config)
  return tensors.map(tensor => {
    const isOfIt = isSavedByPeft(tensor) || isPart(tensor.name)
    const isRead = !isOfIt || dirname(tensor.source.path) !== folder || isWhole(tensor.name)
    return isRead ? tensor : { ...tensor, skip }
  })
}

/**
 * Tensors of a LoRA that are neither its parts nor saved whole, each with what PEFT does with it: what the base model has it puts in
 * its place, be it a weight, a bias or the statistics of a norm.
 */
function strayIn(tensors: readonly Tensor[], config: unknown): (readonly [string, string])[] {
  const isWhole = savedBy(config)
  const hasBiases = ['all', 'lora_only'].includes(String(field(config, 'bias')))
  const wrapped = new Set(tensors.flatMap(({ name }) => /^(.*)\.lora_(?:embedding_)?A(?:\.|$)/.exec(name)?.[1] ?? []))
  return tensors.flatMap(({ name, source }) => {
    if (isPart(name)) return []
    if (wrapped.has(moduleOf(name))) return [[name, BESIDE]]
    if (!name.startsWith(OF_MODEL)) return FILE.test(basename(source.path)) ? [[name, NO_KEY]] : []
    return isWhole(name) || (hasBiases && name.endsWith('.bias')) ? [] : [[name, WHOLE]]
  })
}

/**
 * Which tensors of an adapter are whole weights that it saves: those of the modules that its config names, and embeddings, which PEFT
 * saves where they were resized.
 */
function savedBy(config: unknown): (name: string) => boolean {
  const saved = field(config, 'modules_to_save')
  const ends = (Array.isArray(saved) ? saved : []).filter(one => typeof one === 'string' && one !== '')
  let comparisons = 0
  // PEFT compares the ends of names, be they whole components or not, and saves what is within.
  const isSaved = (module: string) => {
    for (let dot = module.length; dot > 0; dot = module.lastIndexOf('.', dot - 1)) {
      comparisons += ends.length
      if (comparisons > limits.adapter.patternComparisonsCount) return false
      if (ends.some(end => module.endsWith(end, dot))) return true
    }
    return false
  }
  return name => {
    if (!name.startsWith(OF_MODEL) || isPart(name)) return false
    const module = moduleOf(name.slice(OF_MODEL.length))
    return isEmbedding(module.replace(WRAPPED, '')) || isSaved(module)
  }
}

/** Whether it is called as a part of an adapter is. */
function isPart(name: string): boolean {
  return FACTOR.test(name) || MAGNITUDE.test(name) || isOther(name)
}

const MAGNITUDE = /\.lora_magnitude_vector(?:\.|$)/
/** What PEFT calls a module that it put its own around. */
const WRAPPED = /(?:\.token_adapter)?\.(?:base_layer|original_module|modules_to_save\.[^.]+)$/

function isEmbedding(module: string): boolean {
  // ModernBERT's.
  return module === 'decoder' || [module, ...dottedEnds(module)].some(end => EMBEDDINGS.has(end))
}

/** As the models of transformers call what has a vocabulary or, of those before PEFT listed them, what has the classes. */
const EMBEDDINGS: ReadonlySet<string> = new Set([
  ...[
    'embed_tokens',
    'tok_embeddings',
    'word_embeddings',
    'word_embedding',
    'token_embedding',
    'wte',
    'shared',
    'embed_in',
    'embeddings',
  ],
  ...['lm_head', 'embed_out', 'output', 'output_layer', 'proj_out', 'vocab_projector', 'generator_lm_head', 'lm_loss'],
  ...['predictions.decoder', 'lm_head.decoder', 'lm_predictions.lm_head'],
  ...['score', 'classifier', 'classifier.dense', 'classifier.out_proj'],
])

interface Update {
  readonly factors: readonly string[]
  readonly update?: LowRank
  /** Why there is none, where it is not the scale. */
  readonly reason?: string
}

/** What is beside the factors. */
interface Configured {
  readonly config: unknown
  readonly targets: Targets
  readonly patterns: { readonly alpha: Patterns; readonly rank: Patterns }
  /** Factors that are there under several names. */
  readonly twice: ReadonlySet<string>
}

/** Of a factor, or magnitudes, all but the name of an adapter, which PEFT puts in, and what follows it. */
const UNNAMED = [
  /^(.*\.lora_(?:A|B|down|up))(?:\.[^.]+)?\.weight$/,
  /^(.*\.lora_(?:embedding_[AB]|magnitude_vector))(?:\.[^.]+){0,2}$/,
]

/** Factors that are there with the name of an adapter and without one. */
function twiceIn(tensors: readonly Tensor[]): Set<string> {
  const byFactor = new Map<string, string[]>()
  for (const { name } of tensors) {
    const factor = UNNAMED.map(form => form.exec(name)?.[1]).find(found => found !== undefined)
    if (factor === undefined) continue
    const names = byFactor.get(factor)
    if (names) names.push(name)
    else byFactor.set(factor, [name])
  }
  const isUnnamed = (factor: string) => (name: string) => name === factor || name === `${factor}.weight`
  return new Set(
    [...byFactor].flatMap(([factor, names]) => (names.length > 1 && names.some(isUnnamed(factor)) ? names : [])),
  )
}

async function updateOf(
  name: string,
  all: ReadonlyMap<string, Tensor>,
  configured: Configured,
): Promise<Update | undefined> {
  const { config, targets, twice } = configured
  for (const { pattern, up, embedding = false } of DOWN) {
    const [, module, adapter = ''] = pattern.exec(name) ?? []
    if (module === undefined) continue
    const [down, other] = [all.get(name)!, all.get(up(module, adapter)) ?? all.get(`${module}.lora.up.weight`)]
    if (!other) return { factors: [name] }
    const factors = [name, other.name]
    const magnitude = [
      `${module}.lora_magnitude_vector${adapter}.weight`,
      `${module}.lora_magnitude_vector${adapter}`,
    ].find(key => all.has(key))
    if ([...factors, magnitude ?? ''].some(one => twice.has(one))) return { factors, reason: TWICE }
    if (isOfPeft(config) && FILE.test(basename(down.source.path))) {
      const reason = unloaded(name, adapter)
      if (reason !== undefined) return { factors, reason }
    }
    const attention = attentionOf(module, adapter, all)
    // Its config knows the attention alone.
    const own = attention ?? module
    const isTarget = !isOfPeft(config) || targets.has(plainModule(own))
    // Of stacked experts, the factors of all lie in one, those of a second parameter in what PEFT put around the first.
    const ofParameters = isTruthy(field(config, 'target_parameters')) && /\.base_layer$|\.experts$/.test(own)
    if (!isTarget && !ofParameters) return { factors, reason: isTarget === undefined ? NO_EXPRESSION : NO_TARGET }
    const otherwise = isOfPeft(config) ? appliedOtherwise(config) : undefined
    if (otherwise !== undefined) return { factors, reason: otherwise }
    const scale = fits(down, other) ? await scaleOf(own, down, all, configured) : undefined
    const isOther = isOfPeft(config) && OTHER_PRODUCTS.some(key => isTruthy(field(config, key)))
    const hasMore = OTHER_PARTS.some(part =>
      ['', adapter, '.weight', `${adapter}.weight`].some(end => all.has(module + part + end)),
    )
    if (scale === undefined || isOther || hasMore || !isTarget)
      return { factors, ...((scale !== undefined || ofParameters) && { reason: OTHER_KIND }) }
    if (isOfPeft(config) && isTruthy(field(config, 'use_dora')) !== (magnitude !== undefined))
      return { factors, reason: OTHER_DORA }
    const turned = field(config, 'fan_in_fan_out') === true && { turned: true as const }
    const isOut = attention !== undefined && attention !== module
    const key = isOut
      ? `${plainModule(own)}.out_proj.weight`
      : `${plainModule(own)}.${attention ? 'in_proj_' : ''}weight`
    // PEFT adds what is of an attention's output twice, each time that it merges: before each forward (lora/layer.py).
    const times = isOut ? 2 : 1
    const update: LowRank = { key, down: name, up: other.name, embedding, scale: times * scale, ...turned }
    return { factors, update: magnitude === undefined ? update : { ...update, magnitude } }
  }
  return undefined
}

/** Why the base model that PEFT makes of an adapter is no sum of its weights and the updates, where it is none. */
function appliedOtherwise(config: unknown): string | undefined {
  const initialised = field(config, 'init_lora_weights')
  if (typeof initialised === 'string' && !INITIALISED.includes(initialised.toLowerCase()))
    return `a factor of an adapter that changes its base model when it is loaded (init_lora_weights: ${quoted(initialised)}): convert it with save_pretrained(…, path_initial_model_for_weight_conversion=…)`
  if (isTruthy(field(config, 'layer_replication')))
    return 'a factor of an adapter that changes its base model when it is loaded (layer_replication), to one whose layers are there several times: merge it before saving'
  if ((field(config, 'alora_invocation_tokens') ?? null) !== null)
    return 'a factor of an adapter that is applied only behind certain tokens (alora_invocation_tokens): no weight of the model is the sum with it. Save it without them, if that is not meant'
  return undefined
}

const OF_ATTENTION = '.base_layer.out_proj'

/** The nn.MultiheadAttention that a module is, or is the output of: PEFT puts factors on both of its weights. */
function attentionOf(module: string, adapter: string, all: ReadonlyMap<string, Tensor>): string | undefined {
  const attention = module.endsWith(OF_ATTENTION) ? module.slice(0, -OF_ATTENTION.length) : module
  const has = (owner: string) => all.has(`${owner}.lora_A${adapter}.weight`)
  return has(attention) && has(attention + OF_ATTENTION) ? attention : undefined
}

/** Why PEFT would not load a factor of a file that it loads. */
function unloaded(name: string, adapter: string): string | undefined {
  if (!PEFTS.test(name)) return NO_SPELLING
  if (!name.startsWith(OF_MODEL)) return NO_KEY
  return adapter === '' || adapter === DEFAULT
    ? undefined
    : `a factor under the name of an adapter (${quoted(adapter.slice(1))}), which PEFT does not load by default: save the adapter with save_pretrained`
}

/** Whether two factors have a product: their ranks are equal, and what is beside them is a kernel's. */
function fits(down: Tensor, up: Tensor): boolean {
  if (!isFloat(down.dtype) || !isFloat(up.dtype) || size(down.shape) * size(up.shape) === 0) return false
  const two = down.shape.length === 2 && up.shape.length === 2
  const four = down.shape.length === 4 && up.shape.length === 4 && up.shape[2] * up.shape[3] === 1
  return (two || four) && down.shape[0] === up.shape[1]
}

/** As Python has it, of JSON. */
function isTruthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  return typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : Boolean(value)
}

function isOfPeft(config: unknown): boolean {
  return field(config, 'peft_type') === 'LORA'
}

/**
 * On which modules PEFT puts factors, by the lists of its config: it passes over those of other modules. A text is a regular
 * expression, or `all-linear`. Source: check_target_module_exists (peft/tuners/tuners_utils.py).
 */
class Targets {
  readonly #targets: Fitting
  readonly #excluded: Fitting
  readonly #layers: ReadonlySet<unknown> | undefined
  /** What the lists of layers are called, where that is said. */
  readonly #lists: readonly string[]

  constructor(config: unknown) {
    const listed = (key: string) => {
      const found = field(config, key)
      return Array.isArray(found) ? found.filter(one => typeof one === 'string') : undefined
    }
    const parameters = listed('target_parameters') ?? []
    const owners = parameters.map(moduleOf)
    const [targets, excluded] = [field(config, 'target_modules'), field(config, 'exclude_modules')]
    // What PEFT saves says which: of a model that is not here nobody knows what it takes by default, or all linear layers of.
    const isList = Array.isArray(targets) || (targets == null && owners.length > 0)
    if (isList) this.#targets = fitting(listed('target_modules') ?? [], owners)
    else if (typeof targets === 'string' && targets.toLowerCase() !== ALL) this.#targets = fitting(targets, owners)
    else this.#targets = () => undefined
    this.#excluded = fitting(
      typeof excluded === 'string' && excluded !== '' ? excluded : (listed('exclude_modules') ?? []),
    )
    const wanted = field(config, 'layers_to_transform')
    const layers = Array.isArray(wanted) ? wanted : typeof wanted === 'number' ? [wanted] : []
    this.#layers = layers.length > 0 ? new Set(layers) : undefined
    const pattern = field(config, 'layers_pattern')
    this.#lists = listed('layers_pattern') ?? (typeof pattern === 'string' && pattern !== '' ? [pattern] : [])
  }

  /** @returns undefined where an expression is one that is not known, or takes too long */
  has(module: string): boolean | undefined {
    const isExcluded = this.#excluded(module)
    if (isExcluded !== false) return isExcluded && false
    const isTarget = this.#targets(module)
    if (!isTarget) return isTarget
    if (isTarget === 'whole' || !this.#layers) return true
    // A name may be an expression.
    if (this.#lists.some(name => !/^\w+$/.test(name))) return undefined
    const isNumber = (part: string | undefined) => part !== undefined && /^\d+$/.test(part)
    const parts = module.split('.')
    const isOfList = (list: string) => this.#lists.length === 0 || this.#lists.includes(list)
    const indices = parts.filter((part, i) => i > 1 && i < parts.length - 1 && isNumber(part) && isOfList(parts[i - 1]))
    // The first number or the last: which, its versions differ in.
    return indices.length > 0 && [indices[0], indices.at(-1)].every(index => this.#layers!.has(Number(index)))
  }
}

const ALL = 'all-linear'

/** Whether a module is one of those that are meant, maybe by its whole name; undefined where that can't be told. */
type Fitting = (module: string) => boolean | 'whole' | undefined

/** @param more names that are meant beside those of a list, or an expression */
function fitting(names: string | readonly string[], more: readonly string[] = []): Fitting {
  const [list, expression] = typeof names === 'string' ? [more, Expression.of(names)] : [[...names, ...more], undefined]
  const known = new Set(list)
  return module => {
    if (known.has(module)) return 'whole'
    if (dottedEnds(module).some(end => known.has(end))) return true
    return typeof names === 'string' ? expression?.fits(module) : false
  }
}

/** Of PEFT's names with PEFT's config, PEFT's scale: it passes over a tensor that others keep `alpha` in. */
async function scaleOf(
  module: string,
  down: Tensor,
  all: ReadonlyMap<string, Tensor>,
  { config, patterns }: Configured,
) {
  const own = all.get(`${module}.alpha`)
  const isPeft = isOfPeft(config) && PEFTS.test(down.name)
  if (own && !isPeft && size(own.shape) === 1 && own.source.kind === 'file') {
    const { path, offset } = own.source
    const [alpha] = await numbers({ path, offset, dtype: own.dtype, shape: [1] })
    return Number.isFinite(alpha) ? alpha / down.shape[0] : undefined
  }
  if (!isOfPeft(config)) return undefined
  const alpha = patterns.alpha.of(plainModule(module)) ?? field(config, 'lora_alpha')
  if (typeof alpha !== 'number' || !Number.isFinite(alpha)) return undefined
  const rank = down.shape[0]
  // Factors of all experts of a parameter lie in one: their product is none of the experts'.
  const wanted = patterns.rank.of(plainModule(module)) ?? field(config, 'r')
  if (typeof wanted === 'number' && wanted !== rank) return undefined
  return alpha / (isTruthy(field(config, 'use_rslora')) ? Math.sqrt(rank) : rank)
}

/** As the model calls it, which PEFT wraps. */
function plainModule(module: string): string {
  return module.replace(/^base_model\.model\./, '')
}

/** What a config says of single modules, as PEFT finds it: by the first key of which `(.*\.)?(KEY)$` fits the module's name. */
class Patterns {
  readonly #keys: readonly { readonly begin: boolean; readonly plain: string; readonly value: unknown }[]
  #comparisons = 0

  /** @param patterns a key that is a regular expression of more than words and dots is one that nobody is to run */
  constructor(patterns: unknown) {
    const entries = typeof patterns === 'object' && patterns !== null ? Object.entries(patterns) : []
    this.#keys = entries.map(([key, value]) => {
      const [, begin, plain = ''] = /^(\^?)([\w.]+)\$?$/.exec(key) ?? []
      return { begin: begin === '^', plain, value }
    })
  }

  /** @returns undefined where no key fits; NaN where it can't be told */
  of(module: string): number | undefined {
    for (const { begin, plain, value } of this.#keys) {
      if (plain === '' || ++this.#comparisons > limits.adapter.patternComparisonsCount) return Number.NaN
      const start = module.length - plain.length
      if (start < 0 || (start > 0 && (begin || module[start - 1] !== '.'))) continue
      if (!fitsAt(module, start, plain)) continue
      return typeof value === 'number' ? value : Number.NaN
    }
    return undefined
  }
}

/** Whether a name has the characters of a key from a place on; a dot is any of them. */
function fitsAt(module: string, start: number, plain: string): boolean {
  for (let i = 0; i < plain.length; i++) {
    if (plain[i] !== '.' && plain[i] !== module[start + i]) return false
  }
  return true
}

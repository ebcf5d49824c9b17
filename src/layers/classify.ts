import { isLearned } from '../checkpoint/constants.ts'
import { isFloat, type Tensor } from '../checkpoint/types.ts'
import type { Skipped } from '../report/schema.ts'

/** Why a tensor is no layer. */
export type Refusal = Pick<Skipped, 'code' | 'reason'>

/** Optimizer state, by any component of a key: PyTorch's, Keras' (`d_optimizer/vars`), Optax' (`opt_state/0/mu`). */
const OPTIMIZER =
  /^(?:exp_avg|exp_avg_sq|max_exp_avg_sq|momentum_buffer|square_avg|opt_states?|optim|(?:\w+_)?optimi[sz]ers?(?:_states?|_state_dicts?|_slots?)?|\.OPTIMIZER_SLOT)$/
/** Of these, what a module may be called, too. */
const OPTIMIZING = /^(?:optim|(?:\w+_)?optimi[sz]ers?)$/
/** What lies in an optimizer above the weights that it is about: a learned one has weights of its own. */
const STATE =
  /^(?:states?|vars|mu|nu|m|v|momentums?|velocity|velocities|slots?|accumulators?|exp_avg\w*|trace|count|param_groups)$/
/** What TensorFlow 1 put below a variable, in the last component: `fc/W/Adam_1`. */
const SLOT =
  /^(?:Adam|AdamW|Adamax|Nadam|AMSGrad|Momentum|RMSProp|RMSprop|Adagrad|AdagradDA|Adadelta|Ftrl|ProximalAdagrad|LAMB|LARS|\w*Optimizer|adam_[mv])(?:_\d+)?$/

/** Constants and caches that frameworks keep as tensors, by the last component. */
const BUFFERS: readonly RegExp[] = [
  /^(?:(?:running|moving)_\w+|num_batches_tracked|position_ids|relative_position_index|relative_coords_table)$/,
  /(?:^|_)(?:attn_|attention_|causal_)?masks?$|^masked_bias$|^tril$|^triu$|causal_mask/,
  // Rotary embeddings: tables of cosines and sines, frequencies.
  /^(?:cos|sin)$|(?:^|_)(?:cos|sin)_(?:sin_)?(?:cached?|table|emb|freqs?|pos)|(?:^|_)cos_sin(?:_|$)|^inv_freq|^freqs?(?:_c?is|_cos|_sin)?$|^rope_(?:cache|freqs|cos|sin)/,
  /(?:^|_)(?:k|v|kv|key|value|keys|values)_?cache(?:_|$)|^cache_|_cached?$|^past_(?:key|value)/,
  // Filter banks, windows and transforms of audio.
  /mel_?(?:basis|fb|banks?|filters?|filterbanks?|matrix)|(?:^|_)filter_?banks?$|^fbanks?$|^fb$|^dct_mat|^(?:stft|hann|hamming)_|(?:^|_)window$|(?:^|_)(?:forward|inverse|fourier)_basis|(?:^|_)i?dft_matrix/,
  // Tables of positions that are computed; learned ones are called embeddings.
  /^(?:pe|pos_?enc(?:oding)?s?|positional_encodings?|position_encodings?|pos_table|position_table|sinusoid\w*|sin_cos\w*)$/,
  // Covariances, of which statistics are made, and torchmetrics' counts.
  /^confmat$|(?:^|_)cov(?:ariance)?(?:_mat(?:rix)?)?$/,
  // Queues of negative samples, averages of codebooks.
  /(?:^|_)queue$|^embed(?:ding)?_avg$|^ema_(?:w|embed\w*)$/,
]
/** By any component: collections of caches, state of modules that is not theirs to learn. */
const COLLECTIONS =
  /^(?:_extra_state|batch_stats|cache|(?:replay|rollout|experience)_(?:buffer|memory)|last_batch|(?:ob|obs|ret|reward|running)_(?:rms|stats)|past_key_values?|(?:kv|key|value|key_value|static)_cache)$/
/** What is learned, wherever it is. */
const LEARNED = /^(?:weight|kernel|embeddings?|[wW])$|_(?:weight|kernel)$/
const ROTARY = /^(?:rotary_emb(?:edding)?s?|rotary_pos_emb|rope|rotary)$/
/** Parameters of two dimensions that multiply no vector: biases, norms, the decay of state space models. */
const ELEMENTWISE = /^(?:bias|beta|gamma|A_logs?)$/
/** Integers that are places, not codes. */
const INDICES = /(?:^|_)(?:ids?|index|indices|idx|mask|masks|position|positions|perm|permutation|lengths?|offsets?)$/

/** Averages of the whole model: the name alone says so. */
const AVERAGE =
  /^(?:(?:\w+_)?(?:ema|swa)|(?:ema|swa)_\w+|averaged_model|avg_model|shadow(?:_params|_model)?|ExponentialMovingAverage)$/
/** What an average has in its name beside that of its model. */
const AVERAGED = /(?:^|_)(?:ema|swa|averaged|avg|shadow)(?:_|$)/
/** What a whole model is called beside its average. */
const MODELS = ['model', 'net', 'network', 'module', 'params', 'state_dict', 'model_state_dict', 'online_model']
/** A second network that follows the first: told by the first beside it. */
const FOLLOWER =
  /(?:^|_)(?:target|targ|teacher|momentum)(?:_|$)|(?:^|_)(?:key_encoder|encoder_k|k_encoder|encoder_key)$/
/** What the first has in its name in place of that word. */
const LEADER = /(?:^|_)(?:online|student|main|base|local|policy|current|learner)(?:_|$)/
/** The same, of encoders alone: attention has queries and keys, too. */
const QUERY = /(?:^|_)(?:query|q)(?:_|$)/

/** PEFT keeps a module that it trained a copy of, and applies the copy. */
const REPLACED: Refusal = { code: 'buffer', reason: 'not applied: modules_to_save has what is' }

/** What is before a component in a key; undefined where it is not there. */
function before(name: string, component: string): string | undefined {
  const at = `.${name}`.indexOf(`.${component}.`)
  return at < 0 ? undefined : name.slice(0, at)
}

/** The components of a key, without the `:0` of TensorFlow 1. */
function componentsOf(name: string): string[] {
  return name.replace(/:0$/, '').split(/[./]/)
}

/**
 * The tensors of a checkpoint that are no weights of the model, by the components of their keys, their types, and what the reader
 * saw of their contents.
 * @param own roots of what is called as a follower, and follows nothing
 */
export function notWeights(tensors: readonly Tensor[], own: ReadonlySet<string> = new Set()): Map<string, Refusal> {
  const found = refusedAlone(tensors)
  for (const { root, members } of copies(tensors.filter(({ name }) => !found.has(name)))) {
    if (own.has(root)) continue
    const reason = `of a copy of the weights, ${root.slice(0, 200)}`
    for (const { name } of members) found.set(name, { code: 'buffer', reason })
  }
  return found
}

/** Second networks by their roots, with the matrices of each and those that they are called to follow. */
export function followers(tensors: readonly Tensor[]): readonly Pick<Copy, 'root' | 'pairs'>[] {
  const found = refusedAlone(tensors)
  return copies(tensors.filter(({ name }) => !found.has(name))).filter(({ pairs }) => pairs.length > 0)
}

function refusedAlone(tensors: readonly Tensor[]): Map<string, Refusal> {
  const found = new Map<string, Refusal>()
  const names = new Set(tensors.map(({ name }) => name.replace(/:0$/, '')))
  const saved = new Set(tensors.flatMap(({ name }) => before(name, 'modules_to_save') ?? []))
  for (const tensor of tensors) {
    const original = before(tensor.name, 'original_module')
    const isReplaced = original !== undefined && saved.has(original) && tensor.broken === undefined
    const refusal = isReplaced ? REPLACED : refuse(tensor, names)
    if (refusal) found.set(tensor.name, refusal)
  }
  return found
}

function refuse({ name, dtype, skip, companion, constant, broken, shape }: Tensor, names: ReadonlySet<string>) {
  if (broken !== undefined) return undefined
  if (skip) return refusal('unread', skip)
  if (companion) return refusal('buffer', 'belongs to a quantised tensor')
  const path = componentsOf(name)
  const leaf = path[path.length - 1]
  const at = path.findIndex(component => OPTIMIZER.test(component))
  const isModule =
    at >= 0 && OPTIMIZING.test(path[at]) && isLearned(leaf) && !path.slice(at).some(name => STATE.test(name))
  if (at >= 0 && !isModule) return refusal('optimizer', 'optimizer state')
  if (SLOT.test(leaf) && names.has(path.slice(0, -1).join(name.includes('/') ? '/' : '.')))
    return refusal('optimizer', 'optimizer state')
  if (path.includes('_extra_state')) return refusal('buffer', 'extra state of a module')
  if (/^F[468]_|^F4$/.test(dtype) && !isFloat(dtype)) return refusal('dtype', `${dtype} is not decoded`)
  if (!isFloat(dtype) && INDICES.test(leaf)) return refusal('buffer', 'integers that index or mask')
  if (!isFloat(dtype)) return refusal('dtype', `${dtype} is not a floating-point type`)
  const isHeld = path.slice(0, -1).some(component => ROTARY.test(component) || COLLECTIONS.test(component))
  if (BUFFERS.some(pattern => pattern.test(leaf)) || (isHeld && !LEARNED.test(leaf)) || isCausalMask(leaf, shape))
    return refusal('buffer', 'a known buffer, not a parameter')
  if (shape.length === 2 && ELEMENTWISE.test(leaf)) return refusal('rank', 'applied element by element')
  return constant === undefined ? undefined : refusal('buffer', constant)
}

function refusal(code: Refusal['code'], reason: string): Refusal {
  return { code, reason }
}

/** GPT-2 keeps its causal mask under `attn.bias`, as (1, 1, n, n). */
function isCausalMask(component: string, shape: readonly number[]): boolean {
  return component === 'bias' && shape.length === 4 && shape[0] * shape[1] === 1 && shape[2] === shape[3]
}

interface Subtree {
  readonly root: string
  readonly parent: string
  readonly component: string
  readonly members: Tensor[]
  /** What follows the root, and the shape, of its matrices. */
  readonly matrices: Map<string, string>
}

/** A second network whose original is there. */
interface Copy {
  readonly root: string
  readonly members: readonly Tensor[]
  /** Its matrices, each with its original; none of averages. */
  readonly pairs: readonly (readonly [copy: Tensor, original: Tensor])[]
}

/** How deep in a key a copy of a model begins at most. */
const DEEPEST_COPY = 16

/** Averages and followers whose originals are there. */
function copies(tensors: readonly Tensor[]): Copy[] {
  const subtrees = new Map<string, Subtree>()
  const others: Tensor[] = []
  for (const tensor of tensors) {
    const path = componentsOf(tensor.name)
    const at = path.slice(0, DEEPEST_COPY).findIndex((component, i) => isCopy(component, i === path.length - 1))
    if (at < 0) {
      others.push(tensor)
      continue
    }
    const [parent, component] = [path.slice(0, at).join('.'), path[at]]
    const root = path.slice(0, at + 1).join('.')
    const subtree = subtrees.get(root) ?? { root, parent, component, members: [], matrices: new Map<string, string>() }
    if (isMatrix(tensor)) subtree.matrices.set(path.slice(at + 1).join('.'), tensor.shape.join())
    subtrees.set(root, subtree)
    subtree.members.push(tensor)
  }
  const originals = new Originals(others, new Set([...subtrees.values()].map(({ parent }) => parent)))
  return [...subtrees.values()].flatMap(subtree => {
    const original = originals.of(subtree)
    if (original === undefined) return []
    const { root, members } = subtree
    return [{ root, members, pairs: original === '' ? [] : originals.pairs(subtree, original) }]
  })
}

function isCopy(component: string, last: boolean): boolean {
  return AVERAGE.test(component) || (!last && FOLLOWER.test(component))
}

function isMatrix({ shape }: Tensor): boolean {
  return shape.length > 1
}

/** Matrices by how often each shape is there. */
interface Counts {
  total: number
  readonly byShape: Map<string, number>
}

/** What is no copy by its name, so that it can be the original of one. */
class Originals {
  readonly #matrices = noMatrices()
  readonly #tensors = new Map<string, Tensor>()
  /** Of each place where copies begin, what else does, and its matrices. */
  readonly #beside = new Map<string, Map<string, Counts>>()
  /** The same by what is left of a name without the word that says it leads. */
  readonly #leaders = new Map<string, Map<string, string[]>>()

  constructor(tensors: readonly Tensor[], parents: ReadonlySet<string>) {
    if (parents.size === 0) return
    for (const tensor of tensors) {
      const [path, shape] = [componentsOf(tensor.name), tensor.shape.join()]
      this.#tensors.set(path.join('.'), tensor)
      if (isMatrix(tensor)) count(this.#matrices, shape)
      for (let depth = 0; depth < Math.min(DEEPEST_COPY, path.length); depth++) {
        const parent = path.slice(0, depth).join('.')
        if (parents.has(parent)) this.#add(parent, path[depth], isMatrix(tensor) ? shape : undefined)
      }
    }
  }

  #add(parent: string, child: string, shape: string | undefined): void {
    const beside = this.#beside.get(parent) ?? new Map<string, Counts>()
    const matrices = beside.get(child) ?? noMatrices()
    if (shape !== undefined) count(matrices, shape)
    this.#beside.set(parent, beside.set(child, matrices))
  }

  /** The root of a follower's original, '' of an average's; undefined where none is here. A copy without a matrix hides none. */
  of({ parent, component, matrices }: Subtree): string | undefined {
    if (AVERAGE.test(component)) return this.#isAveraged(parent, component, matrices) ? '' : undefined
    const keys = /encoder/.test(component) && !/target|targ|teacher|momentum/.test(component)
    const leaders = this.#leadersOf(parent, keys).get(keys ? 'encoder' : without(component, FOLLOWER)) ?? []
    if (matrices.size === 0) return undefined
    return leaders.map(leader => below(parent, leader)).find(leader => this.#hasAll(leader, matrices))
  }

  pairs({ root, members }: Subtree, original: string): (readonly [Tensor, Tensor])[] {
    return members.flatMap(copy => {
      const rest = componentsOf(copy.name)
        .join('.')
        .slice(root.length + 1)
      const found = isMatrix(copy) ? this.#tensors.get(below(original, rest)) : undefined
      return found ? [[copy, found] as const] : []
    })
  }

  /**
   * Averages may have mangled names (`model_ema.diffusion_modelinput_blocks00weight`) or none (`shadow_params.0`): shapes tell. They are of
   * a whole model: one that has the shapes of a few layers alone is a layer with an unlucky name.
   */
  #isAveraged(parent: string, component: string, matrices: ReadonlyMap<string, string>): boolean {
    // TensorFlow 1 puts that of a variable below it: `fc/W/ExponentialMovingAverage`.
    if (matrices.size === 0 || (matrices.has('') && matrices.get('') === this.#tensors.get(parent)?.shape.join()))
      return true
    const [beside, shapes] = [this.#beside.get(parent), [...matrices.values()]]
    const models = [without(component, AVERAGED), ...MODELS].flatMap(name => beside?.get(name) ?? [])
    return models.some(model => isMostOf(shapes, model)) || (shapes.length > 1 && isMostOf(shapes, this.#matrices))
  }

  #leadersOf(parent: string, keys: boolean): ReadonlyMap<string, readonly string[]> {
    const id = `${keys} ${parent}`
    const known = this.#leaders.get(id)
    if (known) return known
    const found = new Map<string, string[]>()
    for (const name of this.#beside.get(parent)?.keys() ?? []) {
      for (const plain of new Set([name, without(name, LEADER), ...(keys ? [without(name, QUERY)] : [])])) {
        const names = found.get(plain) ?? []
        names.push(name)
        found.set(plain, names)
      }
    }
    this.#leaders.set(id, found)
    return found
  }

  #hasAll(root: string, matrices: ReadonlyMap<string, string>): boolean {
    return [...matrices].every(([rest, shape]) => this.#tensors.get(below(root, rest))?.shape.join() === shape)
  }
}

function noMatrices(): Counts {
  return { total: 0, byShape: new Map() }
}

function count(counts: Counts, shape: string): void {
  counts.total++
  counts.byShape.set(shape, (counts.byShape.get(shape) ?? 0) + 1)
}

/** Whether each of some shapes is among a model's, as often, and they are at least half of them. */
function isMostOf(shapes: readonly string[], { total, byShape }: Counts): boolean {
  if (2 * shapes.length < total) return false
  const used = noMatrices()
  return shapes.every(shape => {
    count(used, shape)
    return used.byShape.get(shape)! <= (byShape.get(shape) ?? 0)
  })
}

function below(parent: string, name: string): string {
  return [parent, name].filter(Boolean).join('.')
}

/** A name without one of its words. */
function without(name: string, word: RegExp): string {
  return name.replace(word, '_').replace(/^_|_$/g, '')
}

import { limits } from '../../limits.ts'
import { KERAS } from '../../report/keras-settings.ts'
import { bounded, canonical, digest } from '../settings.ts'
import type { Setting } from '../types.ts'
import { field, nameOf, snakeCase } from './config.ts'

const INPUT = 'InputLayer'
/** What names, trains, initialises or measures a layer, follows from its input, or is as large as its weights are. */
const UNDECIDING =
  /^(?:name|trainable|module|registered_name|shared_object_id|class_name|rate|momentum|renorm_momentum|renorm_clipping|synchronized|survival_probability|noise_shape|stddev|unroll|implementation|autocast|batch_size|batch_shape|batch_input_shape|input_shape|input_length|input_dim|output_dim|units|filters|lora_rank|lora_alpha|vocabulary|idf_weights|lr|learning_rate)$|^(?:build|compile)_|(?:^|_)(?:seed|seed_generator|init|initializer|regularizer|constraint|constraints|dropout|dropout_rate|drop_rate|drop_path|drop_path_rate|optimizer|loss|loss_weights|metrics)$/
/** What is computed of the training's data, anew each time. */
const OF_DATA = /^(?:mean|variance|bin_boundaries|vocabulary_size)$/
const POLICY = /^(?:DTypePolicy|Policy|\w+DTypePolicy)$/
/** What has no weights, and is one object or several from one save to the next. */
const OF_QUANTISER = /(?:^|\/)quantization_config(?:\/|$)/
/** Names of a session have a number that changes. */
const NUMBER = /_\d+$/

/** Values of an option in the layers of a kind, in turn. */
class Values {
  readonly #runs: { readonly value: string; count: number }[] = []
  #layers = 0

  /** @param layer of its kind */
  add(layer: number, value: string): void {
    if (layer > this.#layers) this.#push('none', layer - this.#layers)
    this.#push(value, 1)
  }

  /** One where all have it, else how many in turn, and where these are many, how many in all. */
  of(layers: number): string {
    if (layers > this.#layers) this.#push('none', layers - this.#layers)
    if (this.#runs.length === 1) return this.#runs[0].value
    const inTurn = counted(this.#runs.map(({ value, count }) => [value, count]))
    if (inTurn.length <= limits.settings.characters) return inTurn
    const counts = new Map<string, number>()
    for (const { value, count } of this.#runs) counts.set(value, (counts.get(value) ?? 0) + count)
    const inAll = `${counted([...counts].sort(byKey))}, in turns of ${digest(inTurn)}`
    return inAll.length <= limits.settings.characters ? inAll : digest(inTurn)
  }

  #push(value: string, count: number): void {
    const last = this.#runs[this.#runs.length - 1]
    if (last?.value === value) last.count += count
    else this.#runs.push({ value, count })
    this.#layers += count
  }
}

interface Kind {
  readonly layers: number
  readonly options: Map<string, Values>
}

/**
 * What a model's parsed JSON says of how its weights are applied: of each kind of layer how many there are and their options, which layer goes
 * into which, and which are one. Names, numbers of objects and what only a training needs are left out.
 * @param model undefined where there is none that can be read
 */
export function settingsOf(model: unknown, version: string | undefined): readonly Setting[] {
  const own = version === undefined ? [] : [setting('keras_version', JSON.stringify(version))]
  try {
    if (isObject(model)) return [...own, ...bounded(new Walk().of(model)).map(one => ({ ...one, file: KERAS }))]
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
  return [...own, setting('*', 'not read')]
}

/** The layers of a model, those within others too, in an order that the names and the order of keys have no say in. */
class Walk {
  readonly #kinds = new Map<string, Kind>()
  readonly #graphs: unknown[] = []
  readonly #unused: string[] = []
  readonly #shared: string[][] = []
  /** By their numbers in the file, where Keras takes what it has seen before. */
  readonly #objects = new Map<unknown, string>()
  readonly #policies = new Map<unknown, unknown>()
  #characters = 0

  of(model: Record<string, unknown>): Setting[] {
    this.#object(model, '')
    const found = [setting('graph', shortened(JSON.stringify(this.#graphs)))]
    if (this.#shared.length > 0) found.push(setting('shared', shortened(JSON.stringify(this.#shared))))
    if (this.#unused.length > 0) found.push(setting('unused', shortened(JSON.stringify(this.#unused))))
    for (const [kind, { layers, options }] of [...this.#kinds].sort(byKey)) {
      found.push(setting(kind, String(layers)))
      for (const [key, values] of [...options].sort(byKey))
        found.push(setting(shortened(`${kind}.${key}`), values.of(layers)))
    }
    return found
  }

  /** @returns what it is called where it is an option of another */
  #object(object: Record<string, unknown>, place: string): string {
    const kind = kindOf(object)
    const { config, shared_object_id: id } = object
    this.#characters += place.length
    if (place.length > limits.checkpoint.nameCharacters || this.#characters > limits.keras.placesCharacters)
      throw new RangeError('its layers nest too deep')
    const first = id === undefined ? undefined : this.#objects.get(id)
    if (first !== undefined && !OF_QUANTISER.test(place)) this.#shared.push([first, place])
    else if (id !== undefined) this.#objects.set(id, place)
    const { layers: count, options } = this.#kinds.get(kind) ?? { layers: 0, options: new Map<string, Values>() }
    this.#kinds.set(kind, { layers: count + 1, options })
    // The config of a Keras 1 Sequential is the list itself.
    const layers = Array.isArray(config) ? config : field(config, 'layers')
    const isModel = Array.isArray(layers) && layers.some(layer => isObject(field(layer, 'config')))
    if (isModel) this.#model(config, layers, place)
    if (isObject(config)) {
      for (const [key, value] of Object.entries(config).sort(byKey)) {
        if (isModel && OF_MODELS.has(key)) continue
        const said = UNDECIDING.test(key)
          ? undefined
          : OF_DATA.test(key)
            ? sizeOf(value)
            : this.#option(value, below(place, key))
        if (said === undefined) continue
        const values = options.get(key) ?? new Values()
        options.set(key, values)
        values.add(count, shortened(JSON.stringify(said)))
      }
    }
    return kind
  }

  #model(config: unknown, layers: readonly unknown[], place: string): void {
    const used = new Map<string, number>()
    const names = new Map<unknown, string>()
    const own: { readonly layer: Record<string, unknown>; readonly at: string }[] = []
    for (const layer of layers) {
      if (!isObject(layer)) continue
      const kind = snakeCase(kindOf(layer))
      const uses = used.get(kind) ?? 0
      used.set(kind, uses + 1)
      const at = uses ? `${kind}_${uses}` : kind
      own.push({ layer, at })
      names.set(layer.name ?? nameOf(layer), at)
    }
    for (const { layer, at } of own) this.#object(layer, below(place, `layers/${at}`))
    const graph = new Graph(names, value => this.#option(value, below(place, 'arguments')))
    const outputs = field(config, 'output_layers')
    if (outputs === undefined) {
      this.#graphs.push([place, own.filter(({ layer }) => kindOf(layer) !== INPUT).map(({ at }) => at)])
      return
    }
    const nodes = own.map(({ layer, at }) => [at, graph.nodesOf(at, layer.inbound_nodes)] as const)
    const ends = [graph.ends(field(config, 'input_layers')), graph.ends(outputs)]
    this.#graphs.push([place, [...nodes].sort(byKey), ...ends])
    const reached = graph.reached(outputs)
    for (const { at } of own) if (!reached.has(at)) this.#unused.push(below(place, `layers/${at}`))
  }

  /** A value without names and numbers of objects; undefined where it says nothing. */
  #option(value: unknown, place: string): unknown {
    if (value === null || value === undefined) return undefined
    if (typeof value === 'number') return rounded(value)
    if (Array.isArray(value)) return value.map((one, i) => this.#option(one, `${place}/${i}`) ?? null)
    if (!isObject(value)) return value
    const { class_name: name, config } = value
    if (typeof name !== 'string') return this.#entries(value, place)
    if (POLICY.test(name)) return this.#policy(value, place)
    if (typeof config === 'string') return config
    // What a function does is in its code, which differs with each version of Python.
    if (name === '__lambda__') return [name, ...lambda(config).map(one => this.#option(one, place) ?? null)]
    if (!name.startsWith('__') && isObject(config)) return this.#object(value, place)
    return [name, this.#option(config ?? value.items, place) ?? null]
  }

  #entries(object: Record<string, unknown>, place: string): Record<string, unknown> {
    const kept = Object.entries(object).filter(([key]) => !UNDECIDING.test(key))
    const own = kept.map(([key, one]) => [key, this.#option(one, below(place, key))] as const)
    return Object.fromEntries(own.filter(([, one]) => one !== undefined).sort(byKey))
  }

  #policy({ config, shared_object_id: id }: Record<string, unknown>, place: string): unknown {
    const seen = id === undefined ? undefined : this.#policies.get(id)
    if (seen !== undefined) return seen
    const { name, mode, source_name: source, ...more } = isObject(config) ? config : {}
    const said = typeof mode === 'string' ? `${mode}_from_${source}` : name
    const rest = this.#entries(more, place)
    const policy = Object.keys(rest).length === 0 ? said : [said ?? null, canonical(rest)]
    if (id !== undefined) this.#policies.set(id, policy)
    return policy
  }
}

/** Which layer goes into which, by their places. */
class Graph {
  readonly #names: ReadonlyMap<unknown, string>
  readonly #option: (value: unknown) => unknown
  readonly #inputs = new Map<string, Set<string>>()

  constructor(names: ReadonlyMap<unknown, string>, option: (value: unknown) => unknown) {
    this.#names = names
    this.#option = option
  }

  nodesOf(layer: string, nodes: unknown): unknown {
    const inputs = new Set<string>()
    this.#inputs.set(layer, inputs)
    return this.#without(nodes, inputs) ?? null
  }

  /** Inputs and outputs of the model: one, a list, or by their names, whose numbers are those of a session. */
  ends(value: unknown): unknown {
    if (!isObject(value)) return this.#without(isReference(value, this.#names) ? [value] : value, new Set())
    const named = Object.entries(value).map(([key, one]) => [key.replace(NUMBER, ''), this.ends(one)])
    return named.map(one => JSON.stringify(one)).sort()
  }

  /** The layers that outputs come from. */
  reached(outputs: unknown): ReadonlySet<string> {
    const found = new Set<string>()
    this.#without(outputs, found)
    // A set takes in what is added while it is gone through.
    for (const layer of found) for (const input of this.#inputs.get(layer) ?? []) found.add(input)
    return found
  }

  #without(value: unknown, inputs: Set<string>): unknown {
    if (Array.isArray(value)) {
      if (!isReference(value, this.#names)) return value.map(one => this.#without(one, inputs) ?? null)
      const [name, node, tensor, ...more] = value
      const at = this.#names.get(name)!
      inputs.add(at)
      return [at, node, tensor, ...more.map(one => this.#without(one, inputs) ?? null)]
    }
    if (!isObject(value)) return this.#option(value)
    if (value.class_name === '__keras_tensor__') return this.#without(field(value.config, 'keras_history'), inputs)
    if (typeof value.class_name === 'string') return this.#option(value)
    const entries = Object.entries(value).map(([key, one]) => [key, this.#without(one, inputs)] as const)
    // What a call of a layer has where nobody says otherwise.
    const said = entries.filter(([key, one]) => one !== undefined && !(key === 'training' && one === false))
    return Object.fromEntries(said.sort(byKey))
  }
}

/** What belongs to the graph of a model. */
const OF_MODELS: ReadonlySet<string> = new Set(['layers', 'input_layers', 'output_layers'])

/** A layer, its call and which of its results: `["dense", 0, 0]`, in Keras 2 with further arguments behind. */
function isReference(value: unknown, names: ReadonlyMap<unknown, string>): boolean {
  if (!Array.isArray(value) || value.length < 3 || !names.has(value[0])) return false
  return Number.isInteger(value[1]) && Number.isInteger(value[2])
}

/** Values of the arguments of a function and of what it encloses. */
function lambda(config: unknown): unknown[] {
  return [field(config, 'defaults'), field(config, 'closure')]
}

/** How many numbers there are, and how many of them are none. */
function sizeOf(value: unknown): string | undefined {
  const all = [value].flat(Number.POSITIVE_INFINITY).filter(one => one !== null && one !== undefined)
  if (all.length === 0) return undefined
  const odd = all.filter(one => !Number.isFinite(one)).length
  return `${all.length} numbers${odd > 0 ? `, ${odd} not finite` : ''}`
}

function counted(values: readonly (readonly [string, number])[]): string {
  return values.map(([value, count]) => (count > 1 ? `${count} × ${value}` : value)).join(', ')
}

function kindOf(object: Record<string, unknown>): string {
  const { class_name: name } = object
  // A dot is what options are behind.
  return typeof name === 'string' ? shortened(name.replaceAll('.', ' ')) : 'none'
}

function below(place: string, name: string): string {
  return place === '' ? name : `${place}/${name}`
}

/** A number as 32 bits hold it, which is what some of them have been through. */
function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(6))
}

function shortened(text: string): string {
  return text.length <= limits.settings.characters ? text : digest(text)
}

function setting(key: string, value: string): Setting {
  return { file: KERAS, key, value }
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

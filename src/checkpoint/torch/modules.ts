import { quoted } from '../../errors.ts'
import { isTensor } from './tensors.ts'
import { Global, Inert, type Value } from './values.ts'

/** What a module is made of: tensors and further modules by their names, in the order of `state_dict()`. */
export interface Members {
  readonly named: ReadonlyMap<Value, Value>
  /** Names of those that are buffers, no parameters. Of an object of a TorchScript archive nobody knows. */
  readonly buffers: ReadonlySet<Value>
  /** Buffers that `state_dict()` leaves out. */
  readonly transient: readonly string[]
  /** Those, and what else the object has that its module does not know of, by name. */
  readonly aside: ReadonlyMap<string, Value>
}

/** What `torch.ao.nn.quantized` calls a packed weight and its bias. */
export const PACKED = '_packed_params'

const MEMBERS = ['_parameters', '_buffers', '_modules']
const NONE = new Map<Value, Value>()

/**
 * The members of a pickled `torch.nn.Module` or of an object of a TorchScript archive, read from the state that would have been
 * set. None of any other object.
 */
export function membersOf(object: Inert): Members {
  const state = stateOf(object) ?? NONE
  if (isScripted(object)) return { named: state, buffers: new Set(), transient: [], aside: new Map() }
  const [parameters, buffers, modules] = MEMBERS.map(key => state.get(key))
  const left = state.get('_non_persistent_buffers_set')
  const transient = left instanceof Set ? [...left].filter(name => typeof name === 'string') : []
  const named = new Map<Value, Value>()
  for (const [key, value] of [parameters, buffers, modules].flatMap(of => [...table(of)])) {
    const known = named.get(key) ?? null
    if (known !== null && value !== null && known !== value) throw new Shadowed(String(key), object.type)
    named.set(key, value ?? known)
  }
  refuseShadows(object, state, named)
  // Quantised layers keep their weights in an object of C++.
  const packed = state.get(PACKED)
  if (packed !== undefined && !named.has(PACKED)) named.set(PACKED, packed)
  const aside = new Map<string, Value>()
  for (const [key, own] of state) {
    if (typeof key === 'string' && !MEMBERS.includes(key) && !named.has(key) && !isComputed(key, own, named, state))
      aside.set(key, own)
  }
  const kept = new Set(table(buffers).keys())
  const unsaved = transient.filter(name => kept.has(name))
  for (const name of unsaved) {
    aside.set(name, named.get(name) ?? null)
    named.delete(name)
  }
  return { named, buffers: kept, transient: unsaved, aside }
}

/** What weight norm, spectral norm and pruning put where the parameter was, and their hooks compute again. */
function isComputed(
  key: string,
  own: Value,
  named: ReadonlyMap<Value, Value>,
  state: ReadonlyMap<Value, Value>,
): boolean {
  const hooks = state.get('_forward_pre_hooks')
  const isHooked = hooks instanceof Map && hooks.size > 0
  const has = (...ends: string[]) => ends.every(end => named.has(`${key}${end}`))
  return isHooked && isTensor(own) && (has('_orig') || has('_g', '_v') || has('_bar'))
}

/**
 * Python finds what an object has itself before what its module keeps for it.
 * @throws Shadowed where that is another tensor or module
 */
function refuseShadows(object: Inert, state: ReadonlyMap<Value, Value>, named: ReadonlyMap<Value, Value>): void {
  for (const [key, own] of state) {
    if (MEMBERS.includes(String(key)) || !named.has(key) || named.get(key) === own) continue
    throw new Shadowed(String(key), object.type)
  }
}

/** A member of a module that another attribute hides. */
export class Shadowed extends Error {
  override name = 'Shadowed'

  constructor(key: string, type: string) {
    super(
      `has a module ${type.slice(0, 200)} with two things called ${quoted(key)}, of which Python takes another than state_dict()`,
    )
  }
}

/** Whether a value has members, found without listing them. */
export function isModule(value: Value): boolean {
  if (!(value instanceof Inert)) return false
  const state = stateOf(value)
  if (!state) return false
  return isScripted(value) || state.get('_parameters') instanceof Map || state.get('_modules') instanceof Map
}

function stateOf(object: Inert): ReadonlyMap<Value, Value> | undefined {
  // A torch.fx module is made by a call that takes its attributes and its source.
  const state = isTraced(object) ? object.args[0] : object.state
  if (state instanceof Map) return state
  // Of a class with slots, a pair.
  if (!(Array.isArray(state) && state[0] instanceof Map)) return undefined
  const slots = state[1]
  return slots instanceof Map && MEMBERS.some(key => slots.has(key)) ? undefined : state[0]
}

function isTraced({ callee }: Inert): boolean {
  return callee instanceof Global && callee.path === 'torch.fx.graph_module.reduce_graph_module'
}

function isScripted({ callee }: Inert): boolean {
  return callee instanceof Global && /^__torch__(\.|$)/.test(callee.module)
}

function table(value: Value | undefined): ReadonlyMap<Value, Value> {
  return value instanceof Map ? value : NONE
}

import { CheckpointError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { UnreadTensor } from '../types.ts'
import { isModule, membersOf } from './modules.ts'
import { isTensor } from './tensors.ts'
import { Inert, Persistent, parts, type Value } from './values.ts'

/** Where training scripts put the weights, the first that is there being taken. */
const NESTS = [
  'state_dict',
  'model_state_dict',
  'model_state',
  'model',
  'net_state_dict',
  'net',
  'network',
  'module',
  'weights',
  'params',
  'state',
]
const OPTIMIZER = /(^|_)optim(i[sz]er)?s?([_A-Z\d]|$)|^opt(_|$)/
/** Never taken of their own accord: averaged weights, and what else of training holds tensors. */
const BESIDE =
  /(^|_)(ema|swa|averaged)(_|$)|(^|_)rng(_|$)|(^|_)(lr_)?sched(uler)?s?(_|$)|(^|_)scaler(_|$)|^(callbacks|loops|amp|history)$/i
const MOMENTS = ['exp_avg', 'exp_avg_sq', 'momentum_buffer', 'square_avg']

const SAVE = "Save the weights alone: torch.save(model.state_dict(), 'model.pt')."
const LISTED = 20

type Container = Map<Value, Value> | Value[] | Set<Value>
/** What may hold a state dict: a dictionary, a list, or an object whose attributes are known. */
type Node = Container | Inert

export interface StateDict {
  /** In the order of the file, by their keys within the state dict. */
  readonly tensors: ReadonlyMap<string, Inert>
  /** Objects that hold tensors in a way that is not known, and objects where only a tensor makes sense. */
  readonly unread: readonly UnreadTensor[]
  readonly stateDict: string
  readonly ignored: readonly string[]
}

/**
 * Finds the weights in what a checkpoint's pickle holds.
 *
 * Without `wanted`: at the top, the first of NESTS that is a dictionary with tensors; else the only dictionary with tensors; else
 * the whole. Below, a key of NESTS is followed where nothing beside it holds weights. Optimizer state is never taken.
 * Within the state dict, dictionaries and lists of tensors give dotted names, as the parameters, buffers and submodules of a
 * pickled module do.
 *
 * @param wanted a path of keys with dots between them, taken as it stands
 * @throws CheckpointError where there are no weights, and where `wanted` names none.
 */
export function findStateDict(path: string, root: Value, wanted: string | undefined): StateDict {
  const finder = new Finder(path, root)
  return wanted ? finder.select(wanted) : finder.choose()
}

/** The path of keys to a value, one of the shortest; undefined where the pickle dropped it. */
export function pathTo(root: Value, target: Value): string | undefined {
  const seen = new Set<Value>([root])
  const queue: [Value, string][] = [[root, '']]
  for (const [value, path] of queue) {
    if (value === target) return path
    if (path.length > limits.checkpoint.nameCharacters) continue
    for (const [key, child] of isNode(value) ? entries(value) : unnamed(parts(value))) {
      if (typeof child !== 'object' || seen.has(child)) continue
      seen.add(child)
      queue.push([child, join(path, key)])
    }
  }
  return undefined
}

class Finder {
  readonly #path: string
  readonly #root: Value
  /** Containers and objects that lead to a tensor. */
  readonly #holders: ReadonlySet<Value>
  readonly #ignored: string[] = []
  readonly #unread: UnreadTensor[] = []
  #more = 0

  constructor(path: string, root: Value) {
    this.#path = path
    this.#root = root
    this.#holders = findHolders(root)
  }

  choose(): StateDict {
    let node = this.#root
    this.#refuseObject('', node)
    if (!isNode(node) || !this.#holders.has(node)) throw this.#nothing()
    if (isOptimizer('', node)) {
      throw new CheckpointError(this.#path, 'holds nothing but the state of an optimizer', SAVE)
    }
    let path = ''
    for (let depth = 0; depth < limits.pickle.nestingLevels; depth++) {
      const next = this.#next(path, node, depth === 0)
      if (!next) return this.#flatten(path, node, true)
      this.#ignoreBeside(path, node, next.child)
      path = join(path, next.key)
      node = next.child
    }
    throw new CheckpointError(this.#path, `nests its state dict more than ${limits.pickle.nestingLevels} times`)
  }

  select(wanted: string): StateDict {
    const steps = resolve(this.#root, wanted)
    const chosen = steps?.at(-1)?.child
    const optimizer = steps?.some(({ key, child }) => isOptimizer(key, child))
    if (steps && isNode(chosen!) && this.#holders.has(chosen) && !optimizer) {
      let path = ''
      for (const { node, key, child } of steps) {
        this.#ignoreBeside(path, node, child)
        path = join(path, key)
      }
      return this.#flatten(path, chosen, false)
    }
    if (chosen !== undefined) this.#refuseObject(wanted, chosen)
    const reason = !steps ? 'there is none' : optimizer ? 'it is the state of an optimizer' : 'it holds no tensors'
    throw new CheckpointError(
      this.#path,
      `the state dict ${quote(wanted)} was asked for, but ${reason}`,
      `It has ${this.#candidates()}.`,
    )
  }

  /** The dictionary to go into, or undefined where this one is the state dict. */
  #next(path: string, node: Node, top: boolean): { key: string; child: Node } | undefined {
    if (!(node instanceof Map)) return undefined
    const tensorHolders = [...entries(node)].filter(([key, child]) => this.#holdsTensors(key, child))
    const weights = tensorHolders.filter(([key]) => !BESIDE.test(key))
    for (const nest of NESTS) {
      const child = weights.find(([key]) => key === nest)?.[1]
      if (child === undefined || !(top || weights.length === 1)) continue
      this.#refuseObject(join(path, nest), child)
      if (isNested(child)) return { key: nest, child }
    }
    const [only, another] = weights.length > 0 ? weights : tensorHolders
    if (!top || !only || another) return undefined
    const [key, child] = only
    this.#refuseObject(key, child)
    return isNested(child) ? { key, child } : undefined
  }

  #holdsTensors(key: string, child: Value): boolean {
    return isTensor(child) || (this.#holders.has(child) && !isOptimizer(key, child))
  }

  /** The tensors of a state dict under their dotted names. `chosen`: by us, so that what is known to be none of it is left out. */
  #flatten(stateDict: string, root: Node, chosen: boolean): StateDict {
    const tensors = new Map<string, Inert>()
    const seen = new Set<Value>([root])
    const stack = [{ node: root, path: '', rest: this.#open(stateDict, '', root) }]
    let characters = 0
    let steps = 0
    while (stack.length > 0) {
      const { node, path, rest } = stack[stack.length - 1]
      const entry = rest.next()
      if (entry.done) {
        // A module that is used twice has its parameters under both names.
        if (node instanceof Inert) seen.delete(node)
        stack.pop()
        continue
      }
      if (++steps > limits.pickle.opcodesCount)
        throw new CheckpointError(this.#where(path), 'repeats its modules without end')
      const [key, child] = entry.value
      const name = join(path, key)
      const beside = chosen && stack.length === 1 && isContainer(root) && BESIDE.test(key)
      if (isTensor(child)) {
        characters += name.length
        if (tensors.size >= limits.checkpoint.tensorsCount || characters > limits.checkpoint.namesCharacters) {
          throw new CheckpointError(
            this.#path,
            `has more than ${limits.checkpoint.tensorsCount} tensors, or ${limits.checkpoint.namesCharacters} characters of names`,
          )
        }
        if (tensors.has(name)) throw new CheckpointError(this.#where(name), 'two tensors have this name', SAVE)
        tensors.set(name, child)
      } else if (!this.#holders.has(child) || beside || isOptimizer(key, child)) {
        if (child instanceof Inert && isContainer(node) && isInPlaceOfTensor(name, child)) this.#leave(name, child)
        else if (isContainer(node)) this.#ignore(join(stateDict, name))
      } else if (isNode(child)) {
        if (seen.has(child)) throw new CheckpointError(this.#where(name), 'holds itself, or stands in two places', SAVE)
        if (stack.length >= limits.pickle.nestingLevels || name.length > limits.checkpoint.nameCharacters) {
          throw new CheckpointError(
            this.#where(name),
            `is nested more than ${limits.pickle.nestingLevels} deep, or its name is too long`,
          )
        }
        seen.add(child)
        stack.push({ node: child, path: name, rest: this.#open(stateDict, name, child) })
      } else {
        this.#leave(name, child)
      }
    }
    if (tensors.size === 0) throw this.#nothing()
    const ignored = this.#more ? [...this.#ignored, `and ${this.#more} more`] : this.#ignored
    return { tensors, unread: this.#unread, stateDict, ignored }
  }

  /** What a node is made of; what a module keeps to itself is left out. */
  #open(stateDict: string, path: string, node: Node): Generator<[string, Value], undefined> {
    if (isContainer(node)) return entries(node)
    const { named, transient } = membersOf(node)
    for (const name of transient) this.#ignore(join(stateDict, join(path, name)))
    return entries(named)
  }

  #refuseObject(path: string, value: Value): void {
    if (!(value instanceof Inert) || isTensor(value) || isModule(value) || !this.#holders.has(value)) return
    throw new CheckpointError(
      this.#where(path),
      `is an object with tensors of the class ${value.type.slice(0, 200)}, which is no state dict`,
      SAVE,
    )
  }

  #leave(name: string, value: Value): void {
    if (this.#unread.length === limits.checkpoint.tensorsCount)
      throw new CheckpointError(this.#path, `has more than ${limits.checkpoint.tensorsCount} tensors`)
    const type = value instanceof Inert ? value.type.slice(0, 200) : 'a storage'
    const reason = `is made by ${type}, which is no tensor that has a reader: save plain tensors`
    this.#unread.push({ name: name.slice(0, limits.checkpoint.nameCharacters), dtype: type, shape: [], reason })
  }

  #nothing(): CheckpointError {
    const found =
      this.#root instanceof Map ? `the keys ${listed([...this.#root.keys()].map(keyText))}` : kind(this.#root)
    const remedy = this.#holders.size > 0 ? `Name one with state-dict: it has ${this.#candidates()}.` : SAVE
    return new CheckpointError(this.#path, `holds no weights, but ${found}`, remedy)
  }

  /** The dictionaries that hold tensors directly, as paths that `select` takes. */
  #candidates(): string {
    const found: string[] = []
    const seen = new Set<Value>([this.#root])
    const queue: [Value, string][] = [[this.#root, '']]
    for (const [node, path] of queue) {
      if (!isNode(node) || found.length > LISTED) continue
      let direct = false
      for (const [key, child] of entries(node)) {
        direct ||= isTensor(child) && !BESIDE.test(key)
        if (!isNode(child) || !this.#holdsTensors(key, child) || seen.has(child)) continue
        seen.add(child)
        if (path.length < limits.checkpoint.nameCharacters) queue.push([child, join(path, key)])
      }
      if (direct) found.push(path)
    }
    return found.length === 0 ? 'no state dict' : `the state dicts ${listed(found)}`
  }

  #ignoreBeside(path: string, node: Node, chosen: Value): void {
    for (const [key, child] of entries(node)) if (child !== chosen) this.#ignore(join(path, key))
  }

  #ignore(path: string): void {
    if (this.#ignored.length < limits.checkpoint.ignoredEntries) this.#ignored.push(path.slice(0, 200))
    else this.#more++
  }

  #where(path: string): string {
    return path === '' ? this.#path : `${this.#path}: ${quote(path)}`
  }
}

interface Step {
  readonly node: Node
  readonly key: string
  readonly child: Value
}

/** Follows a path of keys, which may contain dots themselves: the longest key first. */
function resolve(node: Value, path: string): Step[] | undefined {
  if (!isNode(node)) return undefined
  for (let end = path.length; end > 0; end = path.lastIndexOf('.', end - 1)) {
    const key = path.slice(0, end)
    const child = childOf(node, key)
    if (child === undefined) continue
    if (end === path.length) return [{ node, key, child }]
    const rest = resolve(child, path.slice(end + 1))
    if (rest) return [{ node, key, child }, ...rest]
  }
  return undefined
}

function childOf(node: Node, key: string): Value | undefined {
  for (const [name, child] of entries(node)) if (name === key) return child
  return undefined
}

/** Whether an object with no tensor in it stands where only a tensor makes sense: under a dotted name. */
function isInPlaceOfTensor(name: string, value: Inert): boolean {
  return name.includes('.') && !name.endsWith('._extra_state') && !/^numpy\..*\.scalar$/.test(value.type)
}

function isOptimizer(key: string, value: Value): boolean {
  if (value instanceof Inert) {
    return !isTensor(value) && !isModule(value) && (OPTIMIZER.test(key) || value.type.startsWith('torch.optim.'))
  }
  if (!isContainer(value)) return false
  if (OPTIMIZER.test(key)) return true
  if (!(value instanceof Map)) return false
  if (value.has('param_groups') && value.has('state')) return true
  for (const child of value.values()) return child instanceof Map && MOMENTS.some(moment => child.has(moment))
  return false
}

/** Every container and object from which a tensor can be reached, found in one walk without recursion. */
function findHolders(root: Value): Set<Value> {
  const holders = new Set<Value>()
  const seen = new Set<Value>([root])
  const stack = [{ value: root, children: parts(root), next: 0 }]
  while (stack.length > 0) {
    const frame = stack[stack.length - 1]
    if (frame.next === frame.children.length) {
      if (frame.children.some(child => isTensor(child) || holders.has(child))) holders.add(frame.value)
      stack.pop()
      continue
    }
    const child = frame.children[frame.next++]
    if (typeof child !== 'object' || child === null || isTensor(child) || seen.has(child)) continue
    seen.add(child)
    stack.push({ value: child, children: parts(child), next: 0 })
  }
  return holders
}

function isContainer(value: Value): value is Container {
  return value instanceof Map || value instanceof Set || Array.isArray(value)
}

function isNode(value: Value): value is Node {
  return isContainer(value) || isModule(value)
}

/** Whether it may be the state dict that another dictionary holds. */
function isNested(value: Value): value is Map<Value, Value> | Inert {
  return value instanceof Map || isModule(value)
}

/** Keys, or positions where there are none, with their values. */
function* entries(node: Node | ReadonlyMap<Value, Value>): Generator<[string, Value], undefined> {
  if (node instanceof Inert) yield* entries(membersOf(node).named)
  else if (node instanceof Map) for (const [key, child] of node) yield [keyText(key), child]
  else {
    let i = 0
    for (const child of node) yield [String(i++), child]
  }
}

function* unnamed(values: readonly Value[]): Generator<[string, Value]> {
  for (const value of values) yield ['', value]
}

function keyText(key: Value): string {
  if (key === null) return 'None'
  return typeof key === 'object' ? `<${kind(key)}>` : String(key)
}

function join(path: string, key: string): string {
  return path && key ? `${path}.${key}` : path || key
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200))
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, LISTED).map(name => (name === '' ? 'at the top' : quote(name)))
  return shown.join(', ') + (names.length > LISTED ? ', …' : '')
}

function kind(value: Value): string {
  if (value instanceof Inert) return `a ${value.type.slice(0, 200)}`
  if (value instanceof Persistent) return 'a storage'
  if (value instanceof Uint8Array) return 'bytes'
  if (isContainer(value)) return value instanceof Map ? 'a dictionary' : 'a list'
  return value === null ? 'None' : `a ${typeof value}`
}

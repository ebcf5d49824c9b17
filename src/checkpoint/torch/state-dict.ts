import { Budget } from '../../bytes/budget.ts'
import { CheckpointError, quoted } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { UnreadTensor } from '../types.ts'
import { isArray } from './arrays.ts'
import { flatten, LeftOut } from './flatten.ts'
import { isModule } from './modules.ts'
import { isTensor, shapeOf } from './tensors.ts'
import {
  entries,
  findHolders,
  isBeside,
  isNested,
  isNode,
  isOptimizer,
  join,
  keyText,
  type Node,
  resolve,
} from './tree.ts'
import { Inert, type Value } from './values.ts'
import { kind, LISTED, listed, SAVE } from './wording.ts'

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

/** What Lightning keeps beside its `state_dict`: its version, and arguments of constructors, which it hands over and loads no weights from. */
const LIGHTNING = 'pytorch-lightning_version'
const ARGUMENTS: ReadonlySet<string> = new Set(['hyper_parameters', 'datamodule_hyper_parameters'])

export interface StateDict {
  /** In the order of the file, by their keys within the state dict. */
  readonly tensors: ReadonlyMap<string, Inert>
  /** Objects that hold tensors in a way that is not known, and objects where only a tensor makes sense. */
  readonly unread: readonly UnreadTensor[]
  /** Names of tensors that their modules keep as buffers. */
  readonly buffers: ReadonlySet<string>
  /** Tensors with names of weights that their modules keep outside the state dict. */
  readonly aside: LeftOut['aside']
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
 * @param budget of the file
 * @throws CheckpointError where there are no weights, and where `wanted` names none.
 */
export function findStateDict(
  path: string,
  root: Value,
  wanted: string | undefined,
  budget: Budget = new Budget(path, 0),
): StateDict {
  const finder = new Finder(path, root, budget)
  return wanted ? finder.select(wanted) : finder.choose()
}

class Finder {
  readonly #path: string
  readonly #root: Value
  /** Containers and objects that lead to a tensor. */
  readonly #holders: ReadonlySet<Value>
  readonly #leftOut: LeftOut
  readonly #budget: Budget

  constructor(path: string, root: Value, budget: Budget) {
    this.#path = path
    this.#root = root
    const holders = findHolders(root)
    // Arrays are weights where there is nothing else.
    this.#holders = holders.size > 0 ? holders : findHolders(root, isArray)
    this.#leftOut = new LeftOut(path)
    this.#budget = budget
  }

  choose(): StateDict {
    let node = this.#root
    if (isTensor(node) || isArray(node)) {
      return {
        tensors: new Map([['tensor', node]]),
        unread: [],
        buffers: new Set(),
        aside: [],
        stateDict: '',
        ignored: [],
      }
    }
    this.#refuseObject('', node)
    if (!isNode(node) || !this.#holders.has(node)) throw this.#nothing()
    if (isOptimizer('', node)) {
      throw new CheckpointError(this.#path, 'holds nothing but the state of an optimizer', SAVE)
    }
    let path = ''
    const seen = new Set<Value>()
    for (let depth = 0; depth < limits.pickle.nestingLevels; depth++) {
      if (seen.has(node)) throw new CheckpointError(this.#where(path), 'holds itself', SAVE)
      seen.add(node)
      const next = this.#next(path, node, depth === 0)
      if (!next) return this.#flatten(path, node, true)
      if (depth === 0) {
        this.#refuseTwo(node, next.key)
        this.#leaveOthers(node, next)
      }
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
      `the state dict ${quoted(wanted)} was asked for, but ${reason}`,
      `It has ${this.#candidates()}.`,
    )
  }

  /** The dictionary to go into, or undefined where this one is the state dict. */
  #next(path: string, node: Node, top: boolean): { key: string; child: Node } | undefined {
    if (!(node instanceof Map)) return undefined
    const tensorHolders = [...entries(node)].filter(([key, child]) => this.#holdsTensors(key, child))
    const weights = tensorHolders.filter(([key]) => !isBeside(key))
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

  /** Weights under their full names beside a dictionary of weights: which of them is loaded, the program says. */
  #refuseTwo(node: Node, nest: string): void {
    const beside = [...entries(node)].find(
      ([key, child]) => isTensor(child) && key.includes('.') && /(?:weight|kernel)$/.test(key),
    )
    if (!beside) return
    throw new CheckpointError(
      this.#path,
      `holds weights at its top, such as ${quoted(beside[0])}, and others under ${quoted(nest)}`,
      'Name the one that is meant (state-dict), or save it alone.',
    )
  }

  /** Matrices of other state dicts, which may be as much of the model; but for copies of this one, as averages and teachers are. */
  #leaveOthers(node: Node, { key: nest, child: chosen }: { readonly key: string; readonly child: Node }): void {
    const own = this.#matricesIn(chosen)
    const reason = `lies beside the state dict ${quoted(nest)}, which is judged: name the one that is meant (state-dict)`
    const isOfLightning = nest === 'state_dict' && [...entries(node)].some(([key]) => key === LIGHTNING)
    for (const [key, child] of entries(node)) {
      if (child === chosen || !isNode(child) || !this.#holdsTensors(key, child) || isBeside(key)) continue
      if (isOfLightning && ARGUMENTS.has(key)) continue
      for (const [name, tensor] of this.#matricesIn(child))
        if (!isAlike(own.get(name), tensor)) this.#leftOut.aside.push([join(key, name), tensor, reason])
    }
  }

  #matricesIn(root: Node): Map<string, Inert> {
    const found = new Map<string, Inert>()
    const seen = new Set<Value>([root])
    const left: [string, Node][] = [['', root]]
    for (const [path, node] of left) {
      for (const [key, child] of entries(node)) {
        this.#budget.step()
        const name = join(path, key)
        if (isTensor(child) && (shapeOf(child)?.length ?? 0) > 1) {
          this.#budget.name(name.length)
          found.set(name, child)
        }
        if (!isNode(child) || seen.has(child) || name.length > limits.checkpoint.nameCharacters) continue
        if (!this.#holders.has(child) || isOptimizer(key, child)) continue
        seen.add(child)
        left.push([name, child])
      }
    }
    return found
  }

  #holdsTensors(key: string, child: Value): boolean {
    return isTensor(child) || isArray(child) || (this.#holders.has(child) && !isOptimizer(key, child))
  }

  #flatten(stateDict: string, root: Node, chosen: boolean): StateDict {
    const leftOut = this.#leftOut
    const of = { path: this.#path, stateDict, holders: this.#holders, chosen, leftOut, budget: this.#budget }
    const tensors = flatten(root, of)
    if (tensors.size === 0) throw this.#nothing()
    const { unread, buffers, aside, ignored } = leftOut
    return { tensors, unread, buffers, aside, stateDict, ignored }
  }

  #refuseObject(path: string, value: Value): void {
    if (!(value instanceof Inert) || isTensor(value) || isModule(value) || !this.#holders.has(value)) return
    throw new CheckpointError(
      this.#where(path),
      `is an object with tensors of the class ${value.type.slice(0, 200)}, which is no state dict`,
      SAVE,
    )
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
        direct ||= isTensor(child) && !isBeside(key)
        if (!isNode(child) || !this.#holdsTensors(key, child) || seen.has(child)) continue
        seen.add(child)
        if (path.length < limits.checkpoint.nameCharacters) queue.push([child, join(path, key)])
      }
      if (direct) found.push(path)
    }
    return found.length === 0 ? 'no state dict' : `the state dicts ${listed(found)}`
  }

  #ignoreBeside(path: string, node: Node, chosen: Value): void {
    for (const [key, child] of entries(node)) if (child !== chosen) this.#leftOut.ignore(join(path, key))
  }

  #where(path: string): string {
    return path === '' ? this.#path : `${this.#path}: ${quoted(path)}`
  }
}

function isAlike(own: Inert | undefined, other: Inert): boolean {
  return own !== undefined && isTensor(own) && isTensor(other) && shapeOf(own)?.join() === shapeOf(other)?.join()
}

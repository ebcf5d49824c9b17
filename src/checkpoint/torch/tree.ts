import { limits } from '../../limits.ts'
import { isModule, membersOf } from './modules.ts'
import { isTensor, type TensorCall } from './tensors.ts'
import { Inert, parts, type Value } from './values.ts'
import { kind } from './wording.ts'

export type Container = Map<Value, Value> | Value[] | Set<Value>
/** What may hold a state dict: a dictionary, a list, or an object whose attributes are known. */
export type Node = Container | Inert

const OPTIMIZER = /(^|_)optim(i[sz]er)?s?([_A-Z\d]|$)|^opt(_|$)/
/** Never taken of their own accord: averaged weights, and what else of training holds tensors. */
const BESIDE =
  /(^|_)(ema|swa|averaged)(_|$)|(^|_)rng(_|$)|(^|_)(lr_)?sched(uler)?s?(_|$)|(^|_)scaler(_|$)|^(callbacks|loops|amp|history)$/i
const MOMENTS = ['exp_avg', 'exp_avg_sq', 'momentum_buffer', 'square_avg']

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

export interface Step {
  readonly node: Node
  readonly key: string
  readonly child: Value
}

/** Follows a path of keys, which may contain dots themselves: the longest key first. */
export function resolve(node: Value, path: string): Step[] | undefined {
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

/** Whether a key at the top says that it holds no weights of its own. */
export function isBeside(key: string): boolean {
  return BESIDE.test(key)
}

/** Whether what lies under a key is the state of an optimizer, by the key or by what it holds. */
export function isOptimizer(key: string, value: Value): boolean {
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

/** Every container and object from which a leaf (a tensor) can be reached, found in one walk without recursion. */
export function findHolders(root: Value, isLeaf: (value: Value) => boolean = isTensor): Set<Value> {
  const holders = new Set<Value>()
  const seen = new Set<Value>([root])
  const stack = [{ value: root, children: parts(root), next: 0 }]
  while (stack.length > 0) {
    const frame = stack[stack.length - 1]
    if (frame.next === frame.children.length) {
      if (frame.children.some(child => isLeaf(child) || holders.has(child))) holders.add(frame.value)
      stack.pop()
      continue
    }
    const child = frame.children[frame.next++]
    if (typeof child !== 'object' || child === null || isLeaf(child) || seen.has(child)) continue
    seen.add(child)
    stack.push({ value: child, children: parts(child), next: 0 })
  }
  return holders
}

export function isContainer(value: Value): value is Container {
  return value instanceof Map || value instanceof Set || Array.isArray(value)
}

export function isNode(value: Value): value is Node {
  return isContainer(value) || isModule(value)
}

/** Whether it may be the state dict that another dictionary holds. */
export function isNested(value: Value): value is Map<Value, Value> | Inert {
  return value instanceof Map || isModule(value)
}

/** Keys, or positions where there are none, with their values. */
export function* entries(node: Node | ReadonlyMap<Value, Value>): Generator<[string, Value], undefined> {
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

export function keyText(key: Value): string {
  if (key === null) return 'None'
  return typeof key === 'object' ? `<${kind(key)}>` : String(key)
}

export function join(path: string, key: string): string {
  return path && key ? `${path}.${key}` : path || key
}

/** The tensors within an object that is none itself, one walk without recursion; not more than a few. */
export function tensorsWithin(root: Value): TensorCall[] {
  const found: TensorCall[] = []
  const seen = new Set<Value>([root])
  const queue: Value[] = [root]
  for (const value of queue) {
    if (found.length === MOST || queue.length > limits.pickle.nestingLevels) break
    for (const child of parts(value)) {
      if (typeof child !== 'object' || child === null || seen.has(child)) continue
      seen.add(child)
      if (isTensor(child)) found.push(child)
      else queue.push(child)
    }
  }
  return found
}

/** Tensors that an object is asked for. */
const MOST = 16

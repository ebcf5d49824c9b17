import type { Budget } from '../../bytes/budget.ts'
import { CheckpointError, quoted } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { withoutEnd } from '../../words.ts'
import { isLearned } from '../constants.ts'
import { size, type UnreadTensor } from '../types.ts'
import { floatShape, isArray } from './arrays.ts'
import { isModule, type Members, membersOf, PACKED } from './modules.ts'
import { isTensor, shapeOf, type TensorCall } from './tensors.ts'
import { entries, isBeside, isContainer, isNode, isOptimizer, join, type Node, tensorsWithin } from './tree.ts'
import { Inert, parts, type Value } from './values.ts'
import { SAVE } from './wording.ts'

/** What of a checkpoint is not among its tensors. */
export class LeftOut {
  /** Objects that hold tensors in a way that is not known, and objects where only a tensor makes sense. */
  readonly unread: UnreadTensor[] = []
  /** Names of tensors that their modules keep as buffers. */
  readonly buffers = new Set<string>()
  /** Tensors that may be weights and that their modules keep outside the state dict, or that lie elsewhere, and why. */
  readonly aside: (readonly [name: string, tensor: Inert, reason?: string])[] = []
  readonly #path: string
  readonly #ignored: string[] = []
  #more = 0

  constructor(path: string) {
    this.#path = path
  }

  /** What lies beside the weights, by its path of keys. */
  get ignored(): readonly string[] {
    return this.#more ? [...this.#ignored, `and ${this.#more} more`] : this.#ignored
  }

  ignore(path: string): void {
    if (this.#ignored.length < limits.checkpoint.ignoredEntries) this.#ignored.push(path.slice(0, 200))
    else this.#more++
  }

  leave(name: string, value: Value, aside?: true): void {
    const type = value instanceof Inert ? value.type.slice(0, 200) : 'a storage'
    const reason = aside ? ASIDE : `is made by ${type}, which is no tensor that has a reader: save plain tensors`
    const shape = shapeWithin(value)
    this.add({ name, dtype: lastOf(type), shape, reason, ...(aside && { aside }) })
  }

  add(row: UnreadTensor): void {
    if (this.unread.length === limits.checkpoint.tensorsCount)
      throw new CheckpointError(this.#path, `has more than ${limits.checkpoint.tensorsCount} tensors`)
    this.unread.push({ ...row, name: row.name.slice(0, limits.checkpoint.nameCharacters) })
  }
}

export interface Flattening {
  readonly path: string
  /** Path of keys to the state dict. */
  readonly stateDict: string
  /** Containers and objects that lead to a tensor. */
  readonly holders: ReadonlySet<Value>
  /** By us, so that what is known to be none of the weights is left out. */
  readonly chosen: boolean
  readonly leftOut: LeftOut
  /** Of the file. */
  readonly budget: Budget
}

/**
 * The tensors of a state dict under their dotted names, in the order of the file. Dictionaries and lists give names as the
 * parameters, buffers and submodules of a pickled module do.
 * @throws CheckpointError where two have one name, or one holds itself; BudgetError where modules or containers are repeated without end
 */
export function flatten(root: Node, { path: file, stateDict, holders, chosen, leftOut, budget }: Flattening) {
  /** A module may be used many times. */
  const members = new Map<Inert, Members>()
  const beside: Aside[] = []
  const where = (path: string) => (path === '' ? file : `${file}: ${quoted(path)}`)
  /** What a node is made of; what a module keeps to itself is left out. */
  const open = (path: string, node: Node): Generator<[string, Value], undefined> => {
    if (isContainer(node)) return entries(node)
    if (node.items.length > 0) {
      throw new CheckpointError(where(path), 'is a module whose members would be set one by one', SAVE)
    }
    const found = members.get(node) ?? membersOf(node)
    const { named, transient, aside } = found
    members.set(node, found)
    budget.step(transient.length + aside.size)
    for (const [key, value] of aside) beside.push({ name: join(path, key), value })
    for (const name of transient) leftOut.ignore(join(stateDict, join(path, name)))
    return entries(named)
  }
  const tensors = new Map<string, Inert>()
  const seen = new Set<Value>([root])
  const stack = [{ node: root, path: '', rest: open('', root) }]
  while (stack.length > 0) {
    const { node, path, rest } = stack[stack.length - 1]
    const entry = rest.next()
    if (entry.done) {
      // What is used twice has its tensors under both names.
      seen.delete(node)
      stack.pop()
      continue
    }
    budget.step()
    const [key, child] = entry.value
    const name = join(path, key)
    const isLeft = chosen && stack.length === 1 && isContainer(root) && isBeside(key)
    if (key === '_extra_state' && isContainer(node)) {
      leftOut.ignore(join(stateDict, name))
      continue
    }
    const packed = isTensor(child) ? undefined : packedWeight(key, child)
    const tensor = packed ?? (isTensor(child) || (isArray(child) && isContainer(node)) ? child : undefined)
    if (tensor) {
      budget.name(name.length)
      if (tensors.size >= limits.checkpoint.tensorsCount) {
        throw new CheckpointError(file, `has more than ${limits.checkpoint.tensorsCount} tensors`)
      }
      if (tensors.has(name)) throw new CheckpointError(where(name), 'two tensors have this name', SAVE)
      tensors.set(name, tensor)
      if (node instanceof Inert && members.get(node)?.buffers.has(key)) leftOut.buffers.add(name)
    } else if (!holders.has(child) || isLeft || isOptimizer(key, child)) {
      if (child instanceof Inert && isContainer(node) && isInPlaceOfTensor(name, child)) leftOut.leave(name, child)
      else if (isContainer(node)) {
        leftOut.ignore(join(stateDict, name))
        if (!isLeft && !isOptimizer(key, child)) leaveArrays({ name, value: child }, leftOut, budget)
      }
    } else if (isNode(child)) {
      if (seen.has(child)) throw new CheckpointError(where(name), 'holds itself', SAVE)
      if (stack.length >= limits.pickle.nestingLevels || name.length > limits.checkpoint.nameCharacters) {
        const found = `is nested more than ${limits.pickle.nestingLevels} deep, or its name is too long`
        throw new CheckpointError(where(name), found)
      }
      seen.add(child)
      stack.push({ node: child, path: name, rest: open(name, child) })
    } else {
      leftOut.leave(name, child)
    }
  }
  const known = new Set<Value>([...members.keys(), ...tensors.values()])
  leaveAside(beside, known, { holders, leftOut, budget })
  return tensors
}

/** What a module has outside its state dict. */
interface Aside {
  readonly name: string
  readonly value: Value
  /** Below a name of an optimizer's, where tensors are its state. */
  readonly ofOptimizer?: true
}

export const ASIDE = 'is kept by its module outside the state dict: make it a parameter, or a module of its own'

/**
 * Parameters, tensors with names of weights, and modules, wherever an attribute leads to them: the model may use them all the same.
 * @param known what the state dict has
 */
function leaveAside(
  attributes: readonly Aside[],
  known: ReadonlySet<Value>,
  { holders, leftOut, budget }: Pick<Flattening, 'holders' | 'leftOut' | 'budget'>,
): void {
  const seen = new Set<Value>()
  const left = [...attributes]
  for (const { name, value, ofOptimizer } of left) {
    budget.step()
    if (typeof value !== 'object' || value === null || known.has(value) || seen.has(value)) continue
    seen.add(value)
    const key = name.slice(name.lastIndexOf('.') + 1)
    const isBeside = ofOptimizer || (isContainer(value) && isOptimizer(key, value))
    if (isTensor(value)) {
      budget.name(name.length)
      if (/parameter/i.test(value.type) || (!isBeside && mayBeWeight(name, value))) leftOut.aside.push([name, value])
    } else if (!isContainer(value) && isOptimizer(key, value)) continue
    else if (isModule(value)) {
      budget.name(name.length)
      if (holders.has(value)) leftOut.leave(name, value, true)
    } else if (value instanceof Inert && isOfCpp(value)) {
      leftOut.leave(name, value)
    } else if (isContainer(value)) {
      for (const [child, inner] of entries(value))
        left.push({ name: join(name, child), value: inner, ...(isBeside && { ofOptimizer: true }) })
    } else {
      for (const inner of parts(value)) left.push({ name, value: inner, ...(isBeside && { ofOptimizer: true }) })
    }
  }
}

/** Whether a plain tensor has the name of a weight, or the size of one. */
function mayBeWeight(name: string, tensor: TensorCall): boolean {
  if (isLearned(withoutEnd(name, '.0123456789'))) return true
  const [rows = 0, columns = 0, ...kernel] = shapeOf(tensor) ?? []
  return (kernel.length === 0 || kernel.length === 2) && Math.min(rows, columns) >= LEAST_SIDE
}

/** Tables of anchors and corners of boxes have fewer columns. */
const LEAST_SIDE = 16

const ARRAYS = 'is a NumPy array beside the tensors, in a dictionary or list of its own: save a tensor'

/** Arrays that may be weights, where no tensor is beside them. */
function leaveArrays(root: Aside, leftOut: LeftOut, budget: Budget): void {
  const seen = new Set<Value>()
  const left = [root]
  for (const { name, value } of left) {
    budget.step()
    if (seen.has(value)) continue
    if (isContainer(value)) {
      seen.add(value)
      for (const [key, child] of entries(value)) left.push({ name: join(name, key), value: child })
    } else if (isArray(value)) {
      const shape = floatShape(value)
      if (!shape || shape.length < 2) continue
      budget.name(name.length)
      leftOut.add({ name, dtype: 'array', shape, reason: ARRAYS, aside: true })
    }
  }
}

/** Quantised layers of PyTorch keep what they learned in objects of C++. */
function isOfCpp({ type }: Inert): boolean {
  return /^__torch__\.torch\.classes\.|ScriptObject|PackedParams/.test(type)
}

/** Whether an object with no tensor in it stands where a tensor makes sense: under a dotted name, made by what may make one. */
function isInPlaceOfTensor(name: string, value: Inert): boolean {
  return name.includes('.') && (/tensor|param|weight|quant|script|storage|array/i.test(value.type) || isForeign(value))
}

/** Whether an object is of neither Python's own library nor NumPy's scalars. */
function isForeign({ type }: Inert): boolean {
  return !/^(?:builtins|__builtin__|collections|datetime|pathlib|argparse|types|enum|uuid|decimal|fractions|functools|operator|numpy|torch)\./.test(
    type,
  )
}

/** The weight in an object of quantised layers, which holds it with its bias; undefined where it is no such object. */
function packedWeight(key: string, value: Value): TensorCall | undefined {
  const type = value instanceof Inert ? value.type : ''
  if (
    !(key === PACKED || key.endsWith(`.${PACKED}`)) ||
    !(value instanceof Inert || Array.isArray(value)) ||
    (isModule(value) && !/Base$/.test(type))
  )
    return undefined
  const matrices = tensorsWithin(value).filter(call => (shapeOf(call)?.length ?? 0) >= 2)
  return matrices.length === 1 ? matrices[0] : undefined
}

/** The shape of the largest tensor in an object; empty where it holds none. */
function shapeWithin(value: Value): number[] {
  const shapes = tensorsWithin(value).map(call => shapeOf(call) ?? [])
  return shapes.reduce((most, shape) => (shape.length > 0 && size(shape) >= size(most) ? shape : most), [])
}

function lastOf(type: string): string {
  return type.slice(type.lastIndexOf('.') + 1)
}

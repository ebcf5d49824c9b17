import { CheckpointError, quoted } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { UnreadTensor } from '../types.ts'
import { membersOf } from './modules.ts'
import { isTensor } from './tensors.ts'
import { entries, isBeside, isContainer, isNode, isOptimizer, join, type Node } from './tree.ts'
import { Inert, type Value } from './values.ts'
import { SAVE } from './wording.ts'

/** What of a checkpoint is not among its tensors. */
export class LeftOut {
  /** Objects that hold tensors in a way that is not known, and objects where only a tensor makes sense. */
  readonly unread: UnreadTensor[] = []
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

  leave(name: string, value: Value): void {
    if (this.unread.length === limits.checkpoint.tensorsCount)
      throw new CheckpointError(this.#path, `has more than ${limits.checkpoint.tensorsCount} tensors`)
    const type = value instanceof Inert ? value.type.slice(0, 200) : 'a storage'
    const reason = `is made by ${type}, which is no tensor that has a reader: save plain tensors`
    this.unread.push({ name: name.slice(0, limits.checkpoint.nameCharacters), dtype: type, shape: [], reason })
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
}

/**
 * The tensors of a state dict under their dotted names, in the order of the file. Dictionaries and lists give names as the
 * parameters, buffers and submodules of a pickled module do.
 * @throws CheckpointError where two have one name, or a container holds itself
 */
export function flatten(root: Node, { path: file, stateDict, holders, chosen, leftOut }: Flattening) {
  const where = (path: string) => (path === '' ? file : `${file}: ${quoted(path)}`)
  /** What a node is made of; what a module keeps to itself is left out. */
  const open = (path: string, node: Node): Generator<[string, Value], undefined> => {
    if (isContainer(node)) return entries(node)
    const { named, transient } = membersOf(node)
    for (const name of transient) leftOut.ignore(join(stateDict, join(path, name)))
    return entries(named)
  }
  const tensors = new Map<string, Inert>()
  const seen = new Set<Value>([root])
  const stack = [{ node: root, path: '', rest: open('', root) }]
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
    if (++steps > limits.pickle.opcodesCount) throw new CheckpointError(where(path), 'repeats its modules without end')
    const [key, child] = entry.value
    const name = join(path, key)
    const beside = chosen && stack.length === 1 && isContainer(root) && isBeside(key)
    if (isTensor(child)) {
      characters += name.length
      const { tensorsCount, namesCharacters } = limits.checkpoint
      if (tensors.size >= tensorsCount || characters > namesCharacters) {
        throw new CheckpointError(
          file,
          `has more than ${tensorsCount} tensors, or ${namesCharacters} characters of names`,
        )
      }
      if (tensors.has(name)) throw new CheckpointError(where(name), 'two tensors have this name', SAVE)
      tensors.set(name, child)
    } else if (!holders.has(child) || beside || isOptimizer(key, child)) {
      if (child instanceof Inert && isContainer(node) && isInPlaceOfTensor(name, child)) leftOut.leave(name, child)
      else if (isContainer(node)) leftOut.ignore(join(stateDict, name))
    } else if (isNode(child)) {
      if (seen.has(child)) throw new CheckpointError(where(name), 'holds itself, or stands in two places', SAVE)
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
  return tensors
}

/** Whether an object with no tensor in it stands where only a tensor makes sense: under a dotted name. */
function isInPlaceOfTensor(name: string, value: Inert): boolean {
  return name.includes('.') && !name.endsWith('._extra_state') && !/^numpy\..*\.scalar$/.test(value.type)
}

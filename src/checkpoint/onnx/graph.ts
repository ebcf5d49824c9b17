import { CheckpointError, quoted, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { size } from '../types.ts'
import { dimensionsIn } from './dimensions.ts'
import { constantsOf, usersOf } from './flow.ts'
import { Inliner } from './functions.ts'
import { INPUTS, isMadeUp, type NodeHead, tells, Uses } from './labels.ts'
import { interpreted, isKnown } from './operators.ts'
import type { Extent, TensorReader } from './tensor.ts'
import type { ModelFunction, OnnxTensor, Operator } from './types.ts'
import { FIXED32, type Field, LENGTH, tag, VARINT, type Wire } from './wire.ts'

const GRAPH_NODE = tag(1, LENGTH)
const GRAPH_INITIALIZER = tag(5, LENGTH)
const GRAPH_INPUT = tag(11, LENGTH)
const GRAPH_SPARSE_INITIALIZER = tag(15, LENGTH)
const INPUT_NAME = tag(1, LENGTH)

const NODE_INPUT = tag(1, LENGTH)
const NODE_OUTPUT = tag(2, LENGTH)
const NODE_NAME = tag(3, LENGTH)
const NODE_OP_TYPE = tag(4, LENGTH)
const NODE_ATTRIBUTE = tag(5, LENGTH)
const NODE_DOMAIN = tag(7, LENGTH)
const NODE_OVERLOAD = tag(8, LENGTH)
/** Where the operators are defined that are known here: ONNX' own, and ONNX Runtime's. */
const DOMAINS = ['', 'ai.onnx', 'com.microsoft']

const ATTRIBUTE_NAME = tag(1, LENGTH)
const ATTRIBUTE_FLOAT = tag(2, FIXED32)
const ATTRIBUTE_INT = tag(3, VARINT)
const ATTRIBUTE_TYPE = tag(20, VARINT)
const ATTRIBUTE_REFERENCE = tag(21, LENGTH)
/** One by one, or packed. */
const ATTRIBUTE_INTS = [tag(8, VARINT), tag(8, LENGTH)]
const ATTRIBUTE_FLOATS = [tag(7, FIXED32), tag(7, LENGTH)]
/** Which field an attribute's type means. */
const TYPES: ReadonlyMap<number, keyof Numbers> = new Map([
  [1, 'float'],
  [2, 'int'],
  [7, 'ints'],
] as const)
const ATTRIBUTE_TENSOR = tag(5, LENGTH)
const ATTRIBUTE_GRAPH = tag(6, LENGTH)
const ATTRIBUTE_GRAPHS = tag(11, LENGTH)
const ATTRIBUTE_SPARSE_TENSOR = tag(22, LENGTH)

const FUNCTION_NAME = tag(1, LENGTH)
const FUNCTION_INPUT = tag(4, LENGTH)
const FUNCTION_OUTPUT = tag(5, LENGTH)
const FUNCTION_NODE = tag(7, LENGTH)
const FUNCTION_DOMAIN = tag(10, LENGTH)
const FUNCTION_DEFAULT = tag(11, LENGTH)
const FUNCTION_OVERLOAD = tag(13, LENGTH)

/** Where the parts of a node lie: they may come in any order. */
interface NodeParts {
  readonly inputs: Field[]
  readonly outputs: Field[]
  name?: Field
  op?: Field
  domain?: Field
  overload?: Field
  readonly attributes: Field[]
}

/** What an attribute of a node says, as far as it is numbers. */
interface Attribute {
  readonly name: string
  readonly values?: readonly number[]
  /** The attribute of the function around that stands for it. */
  readonly reference?: string
}

/** The numbers of an attribute, by the kind of field that they stand in. */
interface Numbers {
  int?: readonly number[]
  ints?: readonly number[]
  float?: readonly number[]
}

/** What is being walked: the prefix of its tensors' names, and what is known of its values. */
interface Scope {
  /** Of no other. */
  readonly id: string
  readonly prefix: string
  readonly depth: number
  readonly uses: Uses
  readonly operators: Operator[]
  /** Of the tensors that it holds: their own names, and where they stand in the list. */
  readonly own: Map<string, number>
  /** The names of what is handed to it. */
  readonly given: Set<string>
  /** The tensors of the graphs within it, by the names that its operators call them. */
  readonly inner: Map<string, number>
}

/**
 * Collects the tensors of GraphProto and FunctionProto messages: initializers, Constant nodes, and those of graphs that nodes hold
 * (If, Loop, Scan), whose names get the node and its attribute in front: `If_0/then_branch/w`. Source: onnx/onnx.proto of onnx 1.23.
 */
export class GraphReader {
  readonly tensors: OnnxTensor[] = []
  readonly #wire: Wire
  readonly #reader: TensorReader
  readonly #names = new Set<string>()
  readonly #prefixes = new Set<string>()
  readonly #functions = new Map<string, { readonly called: ModelFunction; readonly scope: Scope }>()
  #main?: Scope
  #nodes = 0
  #scopes = 0

  constructor(wire: Wire, reader: TensorReader) {
    this.#wire = wire
    this.#reader = reader
  }

  /** The model's graph. */
  async graph(message: Extent): Promise<void> {
    this.#main = await this.#graph(message, '', 0)
  }

  /** A function of the model: nodes alone, under its name. */
  async function(message: Extent): Promise<void> {
    let [name, domain, overload] = ['function', '', '']
    const nodes: Field[] = []
    const [inputs, outputs]: string[][] = [[], []]
    const defaults = new Map<string, readonly number[]>()
    await this.#wire.walk(message.start, message.end, async field => {
      if (field.tag === FUNCTION_NAME) name = await this.#wire.name(field, 'a function')
      else if (field.tag === FUNCTION_DOMAIN) domain = await this.#wire.name(field, 'a domain')
      else if (field.tag === FUNCTION_OVERLOAD) overload = await this.#wire.name(field, 'an overload')
      else if (field.tag === FUNCTION_INPUT) inputs.push(raw(await this.#value(field)))
      else if (field.tag === FUNCTION_OUTPUT) outputs.push(raw(await this.#value(field)))
      else if (field.tag === FUNCTION_NODE) nodes.push(this.#counted(field))
      else if (field.tag === FUNCTION_DEFAULT) {
        const { name, values } = await this.#numbersOf(field)
        if (values) defaults.set(name, values)
      }
    })
    const op = kindOf(domain, name, overload)
    if (this.#functions.has(op)) throw this.#twice(message, `the function ${quoted(op)}`, 'the model')
    const scope = this.#scope(this.#prefix(`${name}/`, String(message.start)), 0)
    for (const node of nodes) await this.#node(node, scope)
    this.#label(scope)
    const called = { inputs, outputs, operators: scope.operators, defaults, tensors: indicesOf(scope) }
    this.#functions.set(op, { called, scope })
  }

  /** What the graph and the functions that it does not call make of their tensors, once all of them are read. */
  async finish(): Promise<void> {
    const functions = new Map([...this.#functions].map(([op, { called }]) => [op, called]))
    for (const op of functions.keys()) {
      if (!isKnown(op)) continue
      const found = `has a function of its own named ${quoted(op)}, which is an operator of ONNX: runtimes differ in which they take`
      throw new CheckpointError(this.#wire.bytes.path, found, 'Give it another name.')
    }
    const done = new Set<number>()
    for (const scope of [this.#main, ...[...this.#functions.values()].map(({ scope }) => scope)]) {
      if (!scope) continue
      const { operators, tensors } = new Inliner(this.#wire.bytes.path, functions, scope.operators)
      const indices = new Map([...indicesOf(scope), ...tensors].filter(([, index]) => !done.has(index)))
      await this.#interpret(operators, indices)
      for (const index of indices.values()) done.add(index)
    }
  }

  async #graph(message: Extent, prefix: string, depth: number): Promise<Scope> {
    if (depth > limits.onnx.nestingLevels) {
      throw new CheckpointError(this.#wire.bytes.path, `nests graphs more than ${limits.onnx.nestingLevels} deep`)
    }
    const scope = this.#scope(prefix, depth)
    await this.#wire.walk(message.start, message.end, field => {
      switch (field.tag) {
        case GRAPH_NODE:
          return this.#node(this.#counted(field), scope)
        case GRAPH_INITIALIZER:
          return this.#tensor('dense', field, scope, own => own)
        case GRAPH_SPARSE_INITIALIZER:
          return this.#tensor('sparse', field, scope, own => own)
        case GRAPH_INPUT:
          return this.#input(field, scope)
      }
    })
    this.#label(scope)
    return scope
  }

  /** Within another graph it hides what that calls so. */
  async #input(message: Extent, { given }: Scope): Promise<void> {
    await this.#wire.walk(message.start, message.end, async field => {
      if (field.tag === INPUT_NAME) given.add(await this.#wire.name(field, 'an input'))
    })
  }

  async #node(message: Extent, scope: Scope): Promise<void> {
    const parts: NodeParts = { inputs: [], outputs: [], attributes: [] }
    await this.#wire.walk(message.start, message.end, field => {
      if (field.tag === NODE_INPUT) this.#part(parts.inputs, field, limits.onnx.operandsCount, 'inputs')
      else if (field.tag === NODE_OUTPUT) this.#part(parts.outputs, field, limits.onnx.operandsCount, 'outputs')
      else if (field.tag === NODE_NAME) parts.name = field
      else if (field.tag === NODE_OP_TYPE) parts.op = field
      else if (field.tag === NODE_ATTRIBUTE)
        this.#part(parts.attributes, field, limits.onnx.attributesCount, 'attributes')
      else if (field.tag === NODE_DOMAIN) parts.domain = field
      else if (field.tag === NODE_OVERLOAD) parts.overload = field
    })
    const operator = await this.#operator(parts)
    const { op, inputs, outputs } = operator
    scope.operators.push({ ...operator, inputs: inputs.map(raw), outputs: outputs.map(raw) })
    const node = { name: await this.#text(parts.name, 'a node'), op, output: outputs[0] ?? '' }
    if (tells(op)) scope.uses.add({ ...node, inputs: inputs.slice(0, INPUTS) })
    for (const attribute of parts.attributes) await this.#attribute(attribute, node, scope)
  }

  async #operator(parts: NodeParts): Promise<Operator> {
    const domain = await this.#text(parts.domain, 'a domain')
    const op = kindOf(
      domain,
      await this.#text(parts.op, 'an operator'),
      await this.#text(parts.overload, 'an overload'),
    )
    const numbers = new Map<string, readonly number[]>()
    const references = new Map<string, string>()
    const names = new Set<string>()
    for (const message of parts.attributes) {
      const { name, values, reference } = await this.#numbersOf(message)
      if (names.has(name)) throw this.#twice(message, `the attribute ${quoted(name)}`)
      names.add(name)
      if (reference !== undefined) references.set(name, reference)
      else if (values) numbers.set(name, values)
    }
    const [inputs, outputs]: string[][] = [[], []]
    for (const input of parts.inputs) inputs.push(await this.#value(input))
    for (const output of parts.outputs) outputs.push(await this.#value(output))
    return {
      ...{ op, inputs, outputs, numbers: numbers.size > 0 ? numbers : NONE },
      ...(references.size > 0 && { references }),
    }
  }

  /** An attribute's numbers: of a field that stands there several times the last, as protobuf has it. */
  async #numbersOf(message: Extent): Promise<Attribute> {
    let name = ''
    let type: number | undefined
    let reference = ''
    const found: Numbers = {}
    const ints: number[] = []
    await this.#wire.walk(message.start, message.end, async field => {
      if (field.tag === ATTRIBUTE_NAME) name = await this.#wire.name(field, 'an attribute')
      else if (field.tag === ATTRIBUTE_REFERENCE) reference = await this.#wire.name(field, 'an attribute')
      else if (field.tag === ATTRIBUTE_TYPE) type = field.int32
      else if (field.tag === ATTRIBUTE_INT) found.int = await this.#wire.integers(field, 1)
      else if (field.tag === ATTRIBUTE_FLOAT) found.float = [await this.#wire.float(field)]
      else if (ATTRIBUTE_INTS.includes(field.tag)) {
        const room = limits.checkpoint.dimensionsCount - ints.length
        if (room > 0) ints.push(...(await this.#wire.integers(field, room)))
        found.ints = ints
      }
    })
    if (reference !== '') return { name, reference }
    const all = Object.values(found) as (readonly number[])[]
    if (type === undefined && all.length > 1) throw this.#twice(message, `a value of the attribute ${quoted(name)}`)
    const values = type === undefined ? all[0] : (found[TYPES.get(type) ?? 'int'] ?? (type === 2 ? [0] : undefined))
    return { name, ...(values && { values }) }
  }

  #twice({ start }: Extent, what: string, where = 'a node'): CheckpointError {
    return new CheckpointError(this.#wire.bytes.path, `${where} has ${what} twice, at byte ${start}`, RESAVE)
  }

  #part(parts: Field[], field: Field, most: number, what: string): void {
    if (parts.length === most) {
      const found = `a node at byte ${field.start} has more than ${most} ${what}`
      throw new CheckpointError(this.#wire.bytes.path, found, RESAVE)
    }
    parts.push(field)
  }

  async #attribute(message: Extent, node: Omit<NodeHead, 'inputs'>, scope: Scope): Promise<void> {
    const { op, output } = node
    const called = node.name || output
    let name: Field | undefined
    const graphs: Field[] = []
    const constants: { kind: 'dense' | 'sparse'; field: Field }[] = []
    const foreign: Field[] = []
    let single = 0
    let floats = 0
    await this.#wire.walk(message.start, message.end, field => {
      if (field.tag === ATTRIBUTE_NAME) name = field
      else if (field.tag === ATTRIBUTE_GRAPH || field.tag === ATTRIBUTE_GRAPHS) {
        if (field.tag === ATTRIBUTE_GRAPH && ++single > 1) throw this.#twice(message, 'a graph')
        graphs.push(this.#counted(field))
      } else if (op !== 'Constant') {
        if (field.tag === ATTRIBUTE_TENSOR && isForeign(op)) foreign.push(field)
      } else if (ATTRIBUTE_FLOATS.includes(field.tag)) floats += (field.end - field.start) / 4
      else if (field.tag === ATTRIBUTE_TENSOR) constants.push({ kind: 'dense', field })
      else if (field.tag === ATTRIBUTE_SPARSE_TENSOR) constants.push({ kind: 'sparse', field })
    })
    if (constants.length > 1) {
      throw new CheckpointError(this.#wire.bytes.path, `a Constant at byte ${message.start} has two values`, RESAVE)
    }
    for (const { kind, field } of constants) await this.#tensor(kind, field, scope, () => output || called)
    if (floats >= limits.onnx.leastElementsCount) {
      this.#add(output, this.#reader.floats(message, scope.prefix + output, floats), scope)
    }
    if (graphs.length === 0 && foreign.length === 0) return
    const attribute = await this.#text(name, 'an attribute')
    for (const field of foreign) {
      const short = `${output || called}/${attribute}`
      const tensor = await this.#reader.dense(field, () => scope.prefix + short)
      const broken = `it is an attribute of a node of a kind that is not known here, ${quoted(op)}`
      if (size(tensor.shape) >= limits.onnx.leastElementsCount) this.#add(short, { ...tensor, broken }, scope)
    }
    for (const [i, graph] of graphs.entries()) {
      const own = graphs.length > 1 ? `${attribute}.${i}/` : `${attribute}/`
      const prefix = this.#prefix(`${scope.prefix}${called}/${own}`, `${scope.prefix}${called}:${output}/${own}`)
      const inner = await this.#graph(graph, prefix, scope.depth + 1)
      scope.uses.inherit(inner.uses, new Set(inner.own.keys()))
      handOut(inner, scope)
    }
  }

  async #tensor(kind: 'dense' | 'sparse', message: Extent, scope: Scope, name: (own: string) => string): Promise<void> {
    let short = ''
    const tensor = await this.#reader[kind](message, given => {
      short = name(given)
      return scope.prefix + short
    })
    this.#add(short, tensor, scope)
  }

  #add(short: string, tensor: OnnxTensor, { own }: Scope): void {
    const { path } = this.#wire.bytes
    if (tensor.name.length > limits.checkpoint.nameCharacters) {
      throw new CheckpointError(path, `has a tensor whose name has ${tensor.name.length} characters within its graphs`)
    }
    if (this.#names.has(tensor.name)) {
      throw new CheckpointError(path, `has two tensors named ${quoted(tensor.name)}`, RESAVE)
    }
    if (this.tensors.length === limits.checkpoint.tensorsCount) {
      throw new CheckpointError(path, `has more than ${limits.checkpoint.tensorsCount} tensors`)
    }
    this.#wire.bytes.budget.name(tensor.name.length)
    this.#names.add(tensor.name)
    own.set(short, this.tensors.length)
    this.tensors.push(tensor)
  }

  #label({ uses, own }: Scope): void {
    for (const [name, index] of own) {
      const label = isMadeUp(name) ? uses.label(name) : undefined
      if (label) this.tensors[index] = { ...this.tensors[index], label }
    }
  }

  /** Of a graph with all that are within it: they apply what it holds, and it what they hold. */
  async #interpret(operators: readonly Operator[], indices: ReadonlyMap<string, number>): Promise<void> {
    const tensors = new Map([...indices].map(([name, index]) => [name, this.tensors[index]]))
    const users = usersOf(operators)
    const constants = constantsOf(operators, users, tensors.keys())
    const dimensions = await dimensionsIn(operators, tensors, constants)
    const found = await interpreted({ operators, tensors, users, constants, dimensions })
    for (const index of indices.values()) {
      this.tensors[index] = found.get(this.tensors[index].name) ?? this.tensors[index]
    }
    // Where no node uses any, they are weights alone.
    const used = new Set([...indices].flatMap(([name, index]) => (users.has(name) ? [index] : [])))
    if (used.size === 0) return
    for (const index of indices.values()) {
      if (!used.has(index)) this.tensors[index] = { ...this.tensors[index], constant: 'no node of the graph uses it' }
    }
  }

  #scope(prefix: string, depth: number): Scope {
    const id = String(this.#scopes++)
    return { id, prefix, depth, uses: new Uses(), operators: [], own: new Map(), given: new Set(), inner: new Map() }
  }

  /** Names of nodes need not be unique, those of values are. */
  #prefix(wanted: string, otherwise: string): string {
    const prefix = this.#prefixes.has(wanted) ? otherwise : wanted
    if (prefix.length > limits.checkpoint.nameCharacters) {
      throw new CheckpointError(this.#wire.bytes.path, `nests graphs whose names have ${prefix.length} characters`)
    }
    this.#prefixes.add(prefix)
    return prefix
  }

  #counted(field: Field): Field {
    if (++this.#nodes > limits.onnx.nodesCount) {
      throw new CheckpointError(this.#wire.bytes.path, `has more than ${limits.onnx.nodesCount} nodes and graphs`)
    }
    return field
  }

  #value(field: Field): Promise<string> {
    return this.#wire.name(field, 'a value')
  }

  #text(field: Field | undefined, what: string): Promise<string> | string {
    return field ? this.#wire.name(field, what) : ''
  }
}

const NONE: ReadonlyMap<string, readonly number[]> = new Map()

/** A node's kind; ONNX' own operators and ONNX Runtime's need no domain. */
function kindOf(domain: string, name: string, overload: string): string {
  return (DOMAINS.includes(domain) ? name : `${domain}::${name}`) + (overload && `:${overload}`)
}

/** Of another domain, but for that of trees and linear models, whose numbers are no layers. */
function isForeign(op: string): boolean {
  return op.includes('::') && !op.startsWith('ai.onnx.ml::')
}

/** In front of a name that may be of any graph around; those that are known to be of one have its number there. */
const RAW = ':'

function raw(name: string): string {
  return name === '' ? '' : RAW + name
}

function indicesOf({ own, inner }: Scope): Map<string, number> {
  return new Map([...inner, ...[...own].map(([name, index]) => [RAW + name, index] as const)])
}

/** The operators and tensors of a graph to the one around it, by names that are of no other. */
function handOut({ id, operators, own, given, inner }: Scope, outer: Scope): void {
  const made = new Set([...[...own.keys(), ...given].map(raw), ...operators.flatMap(({ outputs }) => outputs)])
  const named = (name: string) => (name.startsWith(RAW) && made.has(name) ? id + name : name)
  for (const operator of operators)
    outer.operators.push({ ...operator, inputs: operator.inputs.map(named), outputs: operator.outputs.map(named) })
  for (const [name, index] of inner) outer.inner.set(name, index)
  for (const [name, index] of own) outer.inner.set(id + RAW + name, index)
}

import { CheckpointError, quoted, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { dimensionsIn } from './dimensions.ts'
import { INPUTS, isMadeUp, tells, Uses } from './labels.ts'
import { interpreted, isOperator, OPERANDS } from './operators.ts'
import type { Extent, TensorReader } from './tensor.ts'
import type { OnnxTensor, Operator } from './types.ts'
import { type Field, LENGTH, tag, VARINT, type Wire } from './wire.ts'

const GRAPH_NODE = tag(1, LENGTH)
const GRAPH_INITIALIZER = tag(5, LENGTH)
const GRAPH_SPARSE_INITIALIZER = tag(15, LENGTH)

const NODE_INPUT = tag(1, LENGTH)
const NODE_OUTPUT = tag(2, LENGTH)
const NODE_NAME = tag(3, LENGTH)
const NODE_OP_TYPE = tag(4, LENGTH)
const NODE_ATTRIBUTE = tag(5, LENGTH)
const NODE_DOMAIN = tag(7, LENGTH)
/** Where the operators are defined that are known here: ONNX' own, and ONNX Runtime's. */
const DOMAINS = ['', 'ai.onnx', 'com.microsoft']

const ATTRIBUTE_NAME = tag(1, LENGTH)
/** An integer; several, one by one or packed. */
const NUMBERS = [tag(3, VARINT), tag(8, VARINT), tag(8, LENGTH)]
const ATTRIBUTE_TENSOR = tag(5, LENGTH)
const ATTRIBUTE_GRAPH = tag(6, LENGTH)
const ATTRIBUTE_GRAPHS = tag(11, LENGTH)
const ATTRIBUTE_SPARSE_TENSOR = tag(22, LENGTH)

const FUNCTION_NAME = tag(1, LENGTH)
const FUNCTION_NODE = tag(7, LENGTH)

/** Where the parts of a node lie: they may come in any order. */
interface NodeParts {
  readonly inputs: Field[]
  output?: Field
  name?: Field
  op?: Field
  domain?: Field
  readonly attributes: Field[]
}

/** What is being walked: the prefix of its tensors' names, and what is known of its values. */
interface Scope {
  readonly prefix: string
  readonly depth: number
  readonly uses: Uses
  readonly operators: Operator[]
  /** Of the tensors that it holds: their own names, and where they stand in the list. */
  readonly own: Map<string, number>
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
  #nodes = 0

  constructor(wire: Wire, reader: TensorReader) {
    this.#wire = wire
    this.#reader = reader
  }

  /** The model's graph. */
  async graph(message: Extent): Promise<void> {
    await this.#graph(message, '', 0)
  }

  /** A function of the model: nodes alone, under its name. */
  async function(message: Extent): Promise<void> {
    let name = 'function'
    const nodes: Field[] = []
    await this.#wire.walk(message.start, message.end, async field => {
      if (field.tag === FUNCTION_NAME) name = await this.#wire.name(field, 'a function')
      else if (field.tag === FUNCTION_NODE) nodes.push(this.#counted(field))
    })
    const scope = this.#scope(this.#prefix(`${name}/`, String(message.start)), 0)
    for (const node of nodes) await this.#node(node, scope)
    await this.#label(scope)
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
      }
    })
    await this.#label(scope)
    return scope
  }

  async #node(message: Extent, scope: Scope): Promise<void> {
    const parts: NodeParts = { inputs: [], attributes: [] }
    await this.#wire.walk(message.start, message.end, field => {
      if (field.tag === NODE_INPUT && parts.inputs.length < OPERANDS) parts.inputs.push(field)
      else if (field.tag === NODE_OUTPUT) parts.output ??= field
      else if (field.tag === NODE_NAME) parts.name = field
      else if (field.tag === NODE_OP_TYPE) parts.op = field
      else if (field.tag === NODE_ATTRIBUTE) this.#attributeOf(parts, field)
      else if (field.tag === NODE_DOMAIN) parts.domain = field
    })
    const isKnown = DOMAINS.includes(await this.#text(parts.domain, 'a domain'))
    const op = isKnown ? await this.#text(parts.op, 'an operator') : ''
    const inputs: string[] = []
    if (tells(op) || isOperator(op)) {
      for (const input of parts.inputs) inputs.push(await this.#text(input, 'a value'))
    }
    if (isOperator(op)) scope.operators.push(await this.#operator(op, inputs, parts))
    if (tells(op)) {
      const name = await this.#text(parts.name, 'a node')
      scope.uses.add({ name, op, inputs: inputs.slice(0, INPUTS), output: await this.#text(parts.output, 'a value') })
    }
    for (const attribute of parts.attributes) await this.#attribute(attribute, op, parts, scope)
  }

  async #operator(op: string, inputs: readonly string[], { output, attributes }: NodeParts): Promise<Operator> {
    const numbers = new Map<string, readonly number[]>()
    for (const message of attributes) {
      let name = ''
      const values: number[] = []
      await this.#wire.walk(message.start, message.end, async field => {
        if (field.tag === ATTRIBUTE_NAME) name = await this.#wire.name(field, 'an attribute')
        else if (NUMBERS.includes(field.tag)) {
          const room = limits.checkpoint.dimensionsCount - values.length
          if (room > 0) values.push(...(await this.#wire.integers(field, room)))
        }
      })
      if (values.length > 0) numbers.set(name, values)
    }
    return { op, inputs, output: await this.#text(output, 'a value'), numbers }
  }

  #attributeOf({ attributes }: NodeParts, field: Field): void {
    if (attributes.length === limits.onnx.attributesCount) {
      throw new CheckpointError(
        this.#wire.bytes.path,
        `a node at byte ${field.start} has more than ${limits.onnx.attributesCount} attributes`,
        RESAVE,
      )
    }
    attributes.push(field)
  }

  async #attribute(message: Extent, op: string, parts: NodeParts, scope: Scope): Promise<void> {
    let name: Field | undefined
    const graphs: Field[] = []
    const constants: { kind: 'dense' | 'sparse'; field: Field }[] = []
    await this.#wire.walk(message.start, message.end, field => {
      if (field.tag === ATTRIBUTE_NAME) name = field
      else if (field.tag === ATTRIBUTE_GRAPH || field.tag === ATTRIBUTE_GRAPHS) graphs.push(this.#counted(field))
      else if (op !== 'Constant') return
      else if (field.tag === ATTRIBUTE_TENSOR) constants.push({ kind: 'dense', field })
      else if (field.tag === ATTRIBUTE_SPARSE_TENSOR) constants.push({ kind: 'sparse', field })
    })
    if (constants.length > 1) {
      throw new CheckpointError(this.#wire.bytes.path, `a Constant at byte ${message.start} has two values`, RESAVE)
    }
    for (const { kind, field } of constants) {
      const output = (await this.#text(parts.output, 'a value')) || (await this.#text(parts.name, 'a node'))
      await this.#tensor(kind, field, scope, () => output)
    }
    if (graphs.length === 0) return
    const output = await this.#text(parts.output, 'a value')
    const node = (await this.#text(parts.name, 'a node')) || output
    const attribute = await this.#text(name, 'an attribute')
    for (const [i, graph] of graphs.entries()) {
      const own = graphs.length > 1 ? `${attribute}.${i}/` : `${attribute}/`
      const prefix = this.#prefix(`${scope.prefix}${node}/${own}`, `${scope.prefix}${node}:${output}/${own}`)
      const inner = await this.#graph(graph, prefix, scope.depth + 1)
      scope.uses.inherit(inner.uses, new Set(inner.own.keys()))
      scope.operators.push(...inherited(inner, prefix))
    }
  }

  async #tensor(
    kind: 'dense' | 'sparse',
    message: Extent,
    { prefix, own }: Scope,
    name: (own: string) => string,
  ): Promise<void> {
    let short = ''
    const tensor = await this.#reader[kind](message, given => {
      short = name(given)
      return prefix + short
    })
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

  async #label({ uses, own, operators }: Scope): Promise<void> {
    const tensors = new Map([...own].map(([name, index]) => [name, this.tensors[index]]))
    const found = interpreted(operators, tensors, await dimensionsIn(operators, tensors))
    for (const index of own.values()) {
      this.tensors[index] = found.get(this.tensors[index].name) ?? this.tensors[index]
    }
    for (const [name, index] of own) {
      const label = isMadeUp(name) ? uses.label(name) : undefined
      if (label) this.tensors[index] = { ...this.tensors[index], label }
    }
  }

  #scope(prefix: string, depth: number): Scope {
    return { prefix, depth, uses: new Uses(), operators: [], own: new Map() }
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

  #text(field: Field | undefined, what: string): Promise<string> | string {
    return field ? this.#wire.name(field, what) : ''
  }
}

/** The operators of a graph within another, of which what they make is another than what that makes under the same name. */
function inherited({ operators, own }: Scope, prefix: string): Operator[] {
  const made = new Set([...own.keys(), ...operators.map(({ output }) => output)])
  const outside = (name: string) => (made.has(name) ? prefix + name : name)
  return operators.map(operator => ({
    ...operator,
    inputs: operator.inputs.map(outside),
    output: outside(operator.output),
  }))
}

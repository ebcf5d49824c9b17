import { limits } from '../../limits.ts'
import { contiguous, isFloat, size } from '../types.ts'
import { isFollowed, PASSING, RESHAPING, type Users } from './flow.ts'
import { type Rounding, staysAsItIs } from './rounding.ts'
import type { OnnxTensor, Operator } from './types.ts'

/** Nodes that apply a kernel (out, in, kh, kw), and those that apply a matrix, on either side. */
const CONVOLUTIONS = new Set(['Conv', 'FusedConv', 'ConvTranspose'])
const PRODUCTS = new Set(['MatMul', 'FusedMatMul', 'Gemm', 'FusedGemm'])
/** Recurrent layers and their gates. Weights W and R stack those of each direction: (directions, gates · hidden, columns). */
const RECURRENT: ReadonlyMap<string, readonly string[]> = new Map([
  ['LSTM', ['i', 'o', 'f', 'c']],
  ['GRU', ['z', 'r', 'h']],
  ['RNN', []],
])
export const DIRECTIONS = ['forward', 'backward']
/** What Cast makes floats of: FLOAT, FLOAT16, DOUBLE, BFLOAT16. */
const FLOATS = [1, 10, 11, 16]
/** A product's `alpha` is a scale of its own; beyond this it is what is left of the weight, or all of it. */
const MODEST = 20

/** Nodes that make other numbers of a matrix, element by element, whatever else they are given. */
const CHANGING = new Set([
  ...['Abs', 'Add', 'And', 'Ceil', 'Clip', 'Div', 'Equal', 'Erf', 'Exp', 'Floor', 'Greater', 'Less', 'Log', 'Mod'],
  ...['Mul', 'Neg', 'Not', 'Or', 'Pow', 'RandomNormalLike', 'RandomUniformLike', 'Reciprocal', 'Relu', 'Round'],
  ...['Sigmoid', 'Sign', 'Sqrt', 'Sub', 'Tanh', 'Where', 'Max', 'Min', 'Bernoulli', 'BitShift', 'IsNaN', 'IsInf'],
  ...['EyeLike', 'Loop', 'Scan', 'Scatter', 'ScatterElements', 'ScatterND', 'CumSum', 'Trilu', 'TopK', 'Compress'],
  ...['Pad', 'Resize', 'Upsample'],
])
/**
 * Nodes that take some of a tensor's elements, put them together or repeat them, and those that standardise it as some convolutions do
 * with their kernels: what they make is not followed.
 */
const PICKING = new Set([
  ...['Slice', 'Split', 'Gather', 'Concat', 'Expand'],
  ...['SplitToSequence', 'SequenceConstruct', 'SequenceAt', 'ConcatFromSequence', 'Shape', 'Size', 'Constant'],
  ...['ConstantOfShape', 'DepthToSpace', 'SpaceToDepth', 'ReverseSequence'],
  ...['BatchNormalization', 'InstanceNormalization', 'GroupNormalization', 'LayerNormalization', 'LpNormalization'],
  ...['MeanVarianceNormalization', 'RMSNormalization', 'SkipLayerNormalization', 'SimplifiedLayerNormalization'],
  ...['SkipSimplifiedLayerNormalization', 'GatherND', 'GatherElements'],
])

/** Whether what a node of this kind does to a tensor is known here. */
export function isApplied(op: string): boolean {
  const kinds = [CONVOLUTIONS, PRODUCTS, RECURRENT, CHANGING, PICKING]
  return isFollowed(op) || kinds.some(kind => kind.has(op))
}

export function isRecurrent(op: string): boolean {
  return RECURRENT.has(op)
}

/** How a tensor is seen by a node. */
type View = Pick<OnnxTensor['source'], 'strides'> & Pick<OnnxTensor, 'shape'>

/** What a node makes of what it is given, on the way to the one that applies it. */
interface Seen {
  /** Undefined where something on the way is not known, or changes the values. */
  readonly view: View | undefined
  /** Rounded, and not yet made a float again. */
  readonly open?: Rounded
  /** Rounded, and made a float again. */
  readonly rounded?: Rounded
  /** Other numbers than the tensor's. */
  readonly changed?: true
}

/** A node that rounds, and how it has the tensor. */
interface Rounded {
  readonly operator: Operator
  readonly view: View
}

interface Use extends Seen {
  readonly product: boolean
  readonly recurrent?: Operator
}

/** Names are those of values, which are one a graph. */
export interface Graph {
  readonly operators: readonly Operator[]
  readonly tensors: ReadonlyMap<string, OnnxTensor>
  readonly users: Users
  /** Tensors, and the values that are made of them alone. */
  readonly constants: ReadonlySet<string>
  /** Values of small integer constants. */
  readonly dimensions: ReadonlyMap<string, readonly number[]>
}

/**
 * The tensors of a graph that a Transpose or a Reshape turns before a node applies them, as they are applied: kernels of convolutions, and
 * matrices that are kept in other than two dimensions. Of those that MatMul takes in a batch each is a matrix. What becomes of one that
 * may be a layer and is used in several ways, or in one that is not known, is not read.
 * @returns those that are another than they were, by name
 */
export async function applied(graph: Graph): Promise<Map<string, OnnxTensor>> {
  const { tensors } = graph
  const walk = new Walk(graph)
  const found = new Map<string, OnnxTensor>()
  for (const [tensor, names] of namesOf(tensors)) {
    if (!isFloat(tensor.dtype) || tensor.skip !== undefined || tensor.broken !== undefined || tensor.companion) continue
    if (size(tensor.shape) < limits.onnx.leastElementsCount) continue
    // What is added to what a node is applied to, such as positions, is no matrix of it.
    const uses = walk.usesOf(names, tensor).filter(({ changed }) => isLayer(tensor) || !changed)
    if (uses.length === 0) continue
    const made = asApplied(tensor, uses)
    const rounded = uses.find(use => use.rounded)?.rounded
    const stays =
      made?.broken !== undefined || !rounded || (await staysAsItIs(tensor, roundingOf(tensor, rounded, tensors)))
    if (!stays) found.set(tensor.name, { ...tensor, broken: 'QuantizeLinear makes other numbers of it' })
    else if (made) found.set(tensor.name, made)
  }
  return found
}

/** A tensor of a function has a name in each of its calls. */
function namesOf(tensors: ReadonlyMap<string, OnnxTensor>): Map<OnnxTensor, string[]> {
  const names = new Map<OnnxTensor, string[]>()
  for (const [name, tensor] of tensors) {
    const known = names.get(tensor)
    if (known) known.push(name)
    else names.set(tensor, [name])
  }
  return names
}

function roundingOf(
  { shape, source }: OnnxTensor,
  { operator: { inputs, numbers }, view }: Rounded,
  tensors: ReadonlyMap<string, OnnxTensor>,
): Rounding {
  const [scale, zero] = [1, 2].map(i => tensors.get(inputs[i] ?? ''))
  const isConstant = scale !== undefined && (zero !== undefined || (inputs[2] ?? '') === '')
  const given = numbers.get('axis')?.[0] ?? 1
  const at = given < 0 ? given + view.shape.length : given
  const axis = shape.findIndex((n, d) => n === view.shape[at] && source.strides[d] === view.strides[at])
  return { scale: isConstant ? scale : undefined, zero, axis }
}

/** As it is stored: a matrix, or a kernel. */
function isLayer({ shape }: OnnxTensor): boolean {
  return shape.length === 2 || shape.length === 4
}

function asApplied(tensor: OnnxTensor, uses: readonly Use[]): OnnxTensor | undefined {
  const why = uses.some(({ changed }) => changed)
    ? 'what is applied are other numbers, which nodes of the graph make of it: fold its constants'
    : 'how it is applied is not known: it is reshaped on the way, or in several ways'
  const broken = { ...tensor, broken: why }
  const [first] = uses
  const { view, product } = first
  if (!view || first.open || uses.some(use => use.open || canonical(use) !== canonical(first))) return broken
  if (first.recurrent) return ofDirections(tensor, view, first.recurrent) ?? broken
  const own = { product: tensor.shape.length === 2, view: { shape: tensor.shape, strides: tensor.source.strides } }
  if (isLayer(tensor) && canonical(own) === canonical(first)) return undefined
  if (!product) return isLayer(tensor) && view.shape.length !== 4 ? undefined : viewed(tensor, view)
  const { shape, strides } = trimmed(view)
  if (shape.length < 2) return undefined
  if (shape.length === 2) return viewed(tensor, { shape, strides })
  const stack = stacked({ shape, strides })
  return stack ? { ...viewed(tensor, stack), stack: stack.shape[0] === 1 ? [''] : numbered(stack.shape[0]) } : broken
}

function ofDirections(tensor: OnnxTensor, view: View, { op }: Operator): OnnxTensor | undefined {
  const [directions, ...matrix] = view.shape
  if (matrix.length !== 2 || directions > DIRECTIONS.length) return undefined
  return { ...viewed(tensor, view), stack: directions === 1 ? [''] : DIRECTIONS, gates: RECURRENT.get(op)! }
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `matrix ${i}`)
}

function viewed(tensor: OnnxTensor, { shape, strides }: View): OnnxTensor {
  return { ...tensor, shape, source: { ...tensor.source, strides } }
}

/** Without dimensions of 1 that lead a matrix. */
function trimmed({ shape, strides }: View): View {
  const first = shape.findIndex(n => n !== 1)
  const from = Math.max(0, Math.min(first < 0 ? shape.length : first, shape.length - 2))
  return { shape: shape.slice(from), strides: strides.slice(from) }
}

/** A batch of batches as one; undefined where its matrices do not lie one after the other. */
function stacked({ shape, strides }: View): View | undefined {
  const at = shape.length - 2
  const outer = shape.slice(0, at).flatMap((n, d) => (n === 1 ? [] : [{ n, stride: strides[d] }]))
  const count = size(shape.slice(0, at))
  const isEven = outer.every(
    ({ stride }, d) => d + 1 === outer.length || stride === outer[d + 1].stride * outer[d + 1].n,
  )
  if (count > limits.onnx.stackedCount || !isEven) return undefined
  return { shape: [count, ...shape.slice(at)], strides: [outer.at(-1)?.stride ?? 1, ...strides.slice(at)] }
}

/** The same for all views whose matrices have the same singular values: transposed, or with the sides of a kernel exchanged. */
function canonical({ product, view }: Pick<Use, 'product' | 'view'>): string {
  if (!view) return ''
  const { shape, strides } = product ? trimmed(view) : view
  const sides = shape.map((n, d) => `${n}:${n === 1 ? 0 : strides[d]}`)
  const at = product ? sides.length - 2 : 2
  const [before, after] = [sides.slice(0, at), sides.slice(at)]
  return product ? `matrix ${before} ${after.sort()}` : `kernel ${before.sort()} ${after.sort()}`
}

/** Follows tensors through the nodes of a graph. */
class Walk {
  readonly #users: Users
  readonly #constants: ReadonlySet<string>
  readonly #known: Map<string, readonly number[]>
  #steps = 0

  constructor({ operators, users, constants, dimensions }: Graph) {
    this.#users = users
    this.#constants = constants
    this.#known = new Map(dimensions)
    for (const operator of operators) {
      const ints = integersOf(operator, this.#known)
      if (ints) this.#known.set(operator.outputs[0] ?? '', ints)
    }
  }

  /** The nodes that apply a tensor, directly or after others turned it. */
  usesOf(names: readonly string[], { shape, source }: OnnxTensor): Use[] {
    const found: Use[] = []
    const left = names.map((name): [value: string, seen: Seen] => [name, { view: { shape, strides: source.strides } }])
    const end = this.#steps + limits.onnx.usesCount
    for (const [value, seen] of left) {
      for (const operator of this.#users.get(value) ?? []) {
        if (++this.#steps > end || this.#steps > limits.onnx.stepsCount) return [{ product: true, view: undefined }]
        const { op, inputs, outputs } = operator
        const made = outputs.filter(output => output !== '')
        if (CONVOLUTIONS.has(op)) {
          if (inputs[1] === value) found.push({ ...seen, product: false })
        } else if (PRODUCTS.has(op)) {
          // A product of two that are stored is another matrix.
          if (this.#isConstant(operator)) for (const output of made) left.push([output, CHANGED])
          else if (inputs.indexOf(value) < 2 && !this.#isData(operator, value))
            found.push({ ...(isModest(operator) ? seen : { view: undefined }), product: true })
        } else if (RECURRENT.has(op)) {
          const isWeight = inputs[1] === value || inputs[2] === value
          if (isWeight) found.push({ ...seen, product: true, recurrent: operator })
        } else if (isFollowed(op)) {
          if (inputs[0] !== value) continue
          const next = seen.changed ? seen : through(operator, seen, this.#known)
          for (const output of made) left.push([output, next])
        } else if (CHANGING.has(op) || (this.#isConstant(operator) && (seen.changed || !PICKING.has(op)))) {
          for (const output of made) left.push([output, CHANGED])
        } else if (!seen.changed && inputs[0] === value && isUnknown(operator)) {
          // Of a kind that is not known, with what is made at run time beside it.
          for (const output of made) left.push([output, CHANGED])
        }
      }
    }
    return found
  }

  /** Whether what a node makes is made of stored tensors alone. */
  #isConstant({ outputs }: Operator): boolean {
    return outputs.some(output => output !== '' && this.#constants.has(output))
  }

  /** Of a product with a matrix that is stored: what that is applied to, such as learned tokens. */
  #isData({ inputs }: Operator, value: string): boolean {
    return inputs[0] === value && inputs[1] !== value && this.#constants.has(inputs[1] ?? '')
  }
}

/** Of no known kind; a product of several, and what repeats its elements, apply them. */
function isUnknown({ op, inputs }: Operator): boolean {
  return !isApplied(op) && op !== 'Tile' && (op !== 'Einsum' || inputs.length === 1)
}

const CHANGED: Seen = { view: undefined, changed: true }

function isModest({ numbers }: Operator): boolean {
  const alpha = Math.abs(numbers.get('alpha')?.[0] ?? 1)
  return alpha <= MODEST && alpha >= 1 / MODEST
}

/** Small constants that other nodes take as dimensions, put together. */
function integersOf(
  { op, inputs, numbers }: Operator,
  known: ReadonlyMap<string, readonly number[]>,
): readonly number[] | undefined {
  if (op === 'Constant') return numbers.get('value_ints') ?? numbers.get('value_int')
  if (op !== 'Concat') return undefined
  const parts = inputs.map(input => known.get(input))
  const all = parts.flatMap(part => part ?? [])
  return parts.every(Boolean) && all.length <= limits.checkpoint.dimensionsCount ? all : undefined
}

function through(operator: Operator, seen: Seen, known: ReadonlyMap<string, readonly number[]>): Seen {
  const { op, inputs, numbers } = operator
  const { view, open } = seen
  if (op === 'QuantizeLinear')
    return open || seen.rounded || !view ? { view: undefined } : { view, open: { operator, view } }
  if (op === 'DequantizeLinear' && open) {
    const same = [1, 2].every(i => (inputs[i] ?? '') === (open.operator.inputs[i] ?? ''))
    return same ? { view, rounded: open } : { view: undefined }
  }
  if (op === 'Cast') return FLOATS.includes(numbers.get('to')?.[0] ?? 0) ? seen : { view: undefined }
  if (!view || PASSING.has(op)) return seen
  if (op === 'Transpose')
    return { ...seen, view: permuted(view, numbers.get('perm') ?? view.shape.map((_, d) => d).reverse()) }
  const given = (name: string) => numbers.get(name) ?? known.get(inputs[1] ?? '')
  const isComputed = op !== 'Flatten' && (inputs[1] ?? '') !== '' && !known.has(inputs[1])
  if (!RESHAPING.has(op) || isComputed) return { view: undefined }
  if (op === 'Squeeze' || op === 'Unsqueeze') return { ...seen, view: withOnes(op, view, given('axes')) }
  const shape = isContiguous(view) ? reshaped(op, view.shape, given, numbers.get('allowzero')?.[0] === 1) : undefined
  return { ...seen, view: shape && { shape, strides: contiguous(shape) } }
}

/** Without dimensions of 1, or with more of them: that needs no order of the elements. */
function withOnes(op: 'Squeeze' | 'Unsqueeze', { shape, strides }: View, given?: readonly number[]): View | undefined {
  if (op === 'Squeeze') {
    const axes = given ? axesOf(given, shape.length) : new Set(shape.flatMap((n, d) => (n === 1 ? [d] : [])))
    if (!axes || [...axes].some(d => shape[d] !== 1)) return undefined
    return { shape: shape.filter((_, d) => !axes.has(d)), strides: strides.filter((_, d) => !axes.has(d)) }
  }
  const axes = given && axesOf(given, shape.length + given.length)
  if (!axes) return undefined
  const old = shape.keys()
  const from = Array.from({ length: shape.length + axes.size }, (_, d) => (axes.has(d) ? -1 : old.next().value!))
  return { shape: from.map(d => (d < 0 ? 1 : shape[d])), strides: from.map(d => (d < 0 ? 1 : strides[d])) }
}

function permuted({ shape, strides }: View, axes: readonly number[]): View | undefined {
  if ([...axes].sort().join() !== shape.map((_, d) => d).join()) return undefined
  return { shape: axes.map(d => shape[d]), strides: axes.map(d => strides[d]) }
}

/** Whether the elements lie in the order of the dimensions; of one that is 1 the stride counts for nothing. */
function isContiguous({ shape, strides }: View): boolean {
  const wanted = contiguous(shape)
  return shape.every((n, d) => n === 1 || strides[d] === wanted[d])
}

/** Axes of so many dimensions, counted from either end; undefined where they are none. */
function axesOf(given: readonly number[], rank: number): ReadonlySet<number> | undefined {
  const axes = new Set(given.map(axis => (axis < 0 ? axis + rank : axis)))
  return axes.size === given.length && [...axes].every(axis => axis >= 0 && axis < rank) ? axes : undefined
}

/** The dimensions that a node makes of others, as long as its inputs say so. */
function reshaped(
  op: string,
  shape: readonly number[],
  given: (name: string) => readonly number[] | undefined,
  allowZero: boolean,
): readonly number[] | undefined {
  if (op === 'Flatten') {
    const axis = given('axis')?.[0] ?? 1
    const at = axis < 0 ? axis + shape.length : axis
    return at >= 0 && at <= shape.length ? [size(shape.slice(0, at)), size(shape.slice(at))] : undefined
  }
  const wanted = given('shape')?.map((n, d) => (n === 0 && !allowZero ? (shape[d] ?? -2) : n))
  if (!wanted) return undefined
  const rest = size(shape) / size(wanted.filter(n => n !== -1))
  const made = wanted.map(n => (n === -1 ? rest : n))
  return made.every(n => Number.isSafeInteger(n) && n >= 0) && size(made) === size(shape) ? made : undefined
}

import { contiguous, isFloat, size } from '../types.ts'
import type { OnnxTensor, Operator } from './types.ts'

/** Nodes that hand their first input on as it is, and those that only change its dimensions. */
const PASSING = new Set(['Identity', 'Cast', 'DequantizeLinear', 'QuantizeLinear'])
const RESHAPING = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten'])
/** Nodes that apply a kernel (out, in, kh, kw), and those that apply a matrix, on either side. */
const CONVOLUTIONS = new Set(['Conv', 'FusedConv', 'ConvTranspose'])
const PRODUCTS = new Set(['MatMul', 'FusedMatMul', 'Gemm', 'FusedGemm'])
const HOPS = 8
/** Nodes that are looked at for one tensor. */
const VISITS = 64

/** Whether a node of this kind says how a weight lies where it is applied. */
export function applies(op: string): boolean {
  return (
    op === 'Transpose' ||
    op === 'Constant' ||
    PASSING.has(op) ||
    RESHAPING.has(op) ||
    CONVOLUTIONS.has(op) ||
    PRODUCTS.has(op)
  )
}

/** How a tensor is seen by a node. */
type View = Pick<OnnxTensor['source'], 'strides'> & Pick<OnnxTensor, 'shape'>

interface Use {
  readonly product: boolean
  /** Undefined where something on the way is not known. */
  readonly view: View | undefined
}

/**
 * The tensors of a graph that a Transpose or a Reshape turns before a node applies them, as they are applied: kernels of convolutions, and
 * matrices that are kept in other than two dimensions. Of those that MatMul takes in a batch each is a matrix.
 * @param tensors by their own names in the graph
 * @param dimensions values of small integer constants, by the same names
 * @returns those that are another than they were
 */
export function applied(
  operators: readonly Operator[],
  tensors: ReadonlyMap<string, OnnxTensor>,
  dimensions: ReadonlyMap<string, readonly number[]>,
): Map<string, OnnxTensor> {
  const users = usersOf(operators)
  const known = new Map(dimensions)
  for (const { op, output, numbers } of operators) {
    const ints = numbers.get('value_ints') ?? numbers.get('value_int')
    if (op === 'Constant' && ints) known.set(output, ints)
  }
  const found = new Map<string, OnnxTensor>()
  for (const [name, tensor] of tensors) {
    if (!isFloat(tensor.dtype) || tensor.skip !== undefined || tensor.broken !== undefined || tensor.companion) continue
    const uses = usesOf(name, tensor, users, known)
    const made = uses.length > 0 ? asApplied(tensor, uses) : undefined
    if (made) found.set(name, made)
  }
  return found
}

function asApplied(tensor: OnnxTensor, uses: readonly Use[]): OnnxTensor | undefined {
  const [{ view, product }] = uses
  const isLayer = tensor.shape.length === 2 || tensor.shape.length === 4
  const unknown = isLayer ? undefined : { ...tensor, broken: 'how it is reshaped before it is applied is not known' }
  if (!view || uses.some(use => use.product !== product || !isSame(use.view, view))) return unknown
  if (!product) return isSame(view, viewOf(tensor)) ? undefined : viewed(tensor, view)
  if (view.shape.length < 2) return undefined
  const first = view.shape.findIndex(n => n !== 1)
  const from = Math.min(first < 0 ? view.shape.length : first, view.shape.length - 2)
  const [shape, strides] = [view.shape.slice(from), view.strides.slice(from)]
  if (shape.length > 3) return unknown
  // What is transposed has the same singular values.
  if (tensor.shape.length === 2 && shape.length === 2 && size(shape) === size(tensor.shape)) {
    const [a, b] = [shape, tensor.shape].map(sides => [...sides].sort((a, b) => a - b).join())
    if (a === b) return undefined
  }
  const matrix = viewed(tensor, { shape, strides })
  return shape.length === 2 ? matrix : { ...matrix, stack: Array.from({ length: shape[0] }, (_, i) => `matrix ${i}`) }
}

function viewOf({ shape, source }: OnnxTensor): View {
  return { shape, strides: source.strides }
}

function viewed(tensor: OnnxTensor, { shape, strides }: View): OnnxTensor {
  return { ...tensor, shape, source: { ...tensor.source, strides } }
}

function isSame(a: View | undefined, b: View | undefined): boolean {
  return a?.shape.join() === b?.shape.join() && a?.strides.join() === b?.strides.join()
}

function usersOf(operators: readonly Operator[]): Map<string, Operator[]> {
  const users = new Map<string, Operator[]>()
  for (const operator of operators) {
    for (const input of new Set(operator.inputs)) {
      const known = users.get(input)
      if (known) known.push(operator)
      else users.set(input, [operator])
    }
  }
  return users
}

/** The nodes that apply a tensor, directly or after others turned it. */
function usesOf(
  name: string,
  tensor: OnnxTensor,
  users: ReadonlyMap<string, readonly Operator[]>,
  known: ReadonlyMap<string, readonly number[]>,
): Use[] {
  const found: Use[] = []
  let visits = 0
  const follow = (value: string, view: View | undefined, hops: number): void => {
    for (const operator of users.get(value) ?? []) {
      if (++visits > VISITS || hops > HOPS) return
      const { op, inputs, output } = operator
      if (CONVOLUTIONS.has(op) && inputs[1] === value) found.push({ product: false, view })
      else if (PRODUCTS.has(op) && inputs.indexOf(value) < 2) found.push({ product: true, view })
      else if (inputs[0] === value && output !== '') follow(output, turned(operator, view, known), hops + 1)
    }
  }
  follow(name, viewOf(tensor), 0)
  return found
}

function turned(
  { op, inputs, numbers }: Operator,
  view: View | undefined,
  known: ReadonlyMap<string, readonly number[]>,
): View | undefined {
  if (!view || PASSING.has(op)) return view
  if (op === 'Transpose') return permuted(view, numbers.get('perm') ?? view.shape.map((_, d) => d).reverse())
  if (!RESHAPING.has(op) || !isContiguous(view)) return undefined
  const given = (name: string) => numbers.get(name) ?? known.get(inputs[1] ?? '')
  const shape = reshaped(op, view.shape, given, numbers.get('allowzero')?.[0] === 1)
  return shape && { shape, strides: contiguous(shape) }
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

/** The dimensions that a node makes of others, as long as its inputs say so. */
function reshaped(
  op: string,
  shape: readonly number[],
  given: (name: string) => readonly number[] | undefined,
  allowZero: boolean,
): readonly number[] | undefined {
  const rank = shape.length
  const wrapped = (axes: readonly number[], of: number) => new Set(axes.map(axis => (axis < 0 ? axis + of : axis)))
  switch (op) {
    case 'Squeeze': {
      const axes = given('axes')
      const left = axes ? wrapped(axes, rank) : undefined
      return shape.filter((n, d) => n !== 1 || (left !== undefined && !left.has(d)))
    }
    case 'Unsqueeze': {
      const axes = given('axes')
      if (!axes) return undefined
      const added = wrapped(axes, rank + axes.length)
      const rest = [...shape]
      return Array.from({ length: rank + axes.length }, (_, d) => (added.has(d) ? 1 : rest.shift()!))
    }
    case 'Flatten': {
      const axis = given('axis')?.[0] ?? 1
      const at = axis < 0 ? axis + rank : axis
      return [size(shape.slice(0, at)), size(shape.slice(at))]
    }
    default: {
      const wanted = given('shape')?.map((n, d) => (n === 0 && !allowZero ? shape[d] : n))
      if (!wanted) return undefined
      const rest = size(shape) / size(wanted.filter(n => n !== -1))
      const made = wanted.map(n => (n === -1 ? rest : n))
      return made.every(n => Number.isSafeInteger(n) && n >= 0) && size(made) === size(shape) ? made : undefined
    }
  }
}

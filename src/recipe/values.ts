import { size, type Tensor } from '../checkpoint/types.ts'

/**
 * Real numbers in a rectangular array, described and not computed: a stored tensor, or what is made of others. Plain data, to be
 * handed to a worker. `shapeOf` gives the shape; the functions below refuse operands that do not fit.
 */
export type Values =
  | { readonly op: 'tensor'; readonly tensor: Tensor }
  | { readonly op: 'slice'; readonly of: Values; readonly start: readonly number[]; readonly shape: readonly number[] }
  | { readonly op: 'permute'; readonly of: Values; readonly axes: readonly number[] }
  | { readonly op: 'reshape'; readonly of: Values; readonly shape: readonly number[] }
  | { readonly op: 'sum'; readonly terms: readonly Term[] }
  | { readonly op: 'scale'; readonly of: Values; readonly by: Values; readonly inverse: boolean }
  | { readonly op: 'norm'; readonly of: Values; readonly axis: number }
  | { readonly op: 'product'; readonly left: Values; readonly right: Values; readonly factor: number }
  | { readonly op: 'concat'; readonly parts: readonly Values[]; readonly axis: number }
  | { readonly op: 'shuffle'; readonly of: Values; readonly replica: number }

/** A summand, times a number. */
export interface Term {
  readonly of: Values
  readonly factor: number
}

/** A tensor as it is stored. */
export function stored(tensor: Tensor): Values {
  return { op: 'tensor', tensor }
}

/** The block of `shape` that begins at the indices `start`: a head, a gate, an expert. */
export function slice(of: Values, start: readonly number[], shape: readonly number[]): Values {
  const whole = shapeOf(of)
  const fits = start.length === whole.length && shape.length === whole.length
  if (!fits || !whole.every((n, d) => start[d] >= 0 && shape[d] >= 1 && start[d] + shape[d] <= n))
    throw new RangeError(`no block [${shape}] at [${start}] of [${whole}]`)
  return { op: 'slice', of, start, shape }
}

/** The i-th of what is stacked along the first dimension, without that dimension. */
export function item(of: Values, i: number): Values {
  const [, ...rest] = shapeOf(of)
  return reshape(slice(of, [i, ...rest.map(() => 0)], [1, ...rest]), rest)
}

/** The dimensions in another order: the new dimension d is the old `axes[d]`. */
export function permute(of: Values, axes: readonly number[]): Values {
  const { length } = shapeOf(of)
  if (axes.length !== length || new Set(axes).size !== length || !axes.every(axis => axis >= 0 && axis < length))
    throw new RangeError(`[${axes}] is no order of ${length} dimensions`)
  return { op: 'permute', of, axes }
}

/** Rows as columns. */
export function transpose(of: Values): Values {
  return permute(of, [1, 0])
}

/** The same elements, in row-major order, in another shape. */
export function reshape(of: Values, shape: readonly number[]): Values {
  if (size(shape) !== size(shapeOf(of))) throw new RangeError(`[${shapeOf(of)}] is no [${shape}]`)
  return { op: 'reshape', of, shape }
}

/** Σ factor · term, of terms of one shape. */
export function sum(...terms: readonly Term[]): Values {
  const [first, ...rest] = terms.map(({ of }) => shapeOf(of))
  const other = rest.find(shape => !sameShape(shape, first))
  if (other) throw new RangeError(`[${first}] and [${other}] can't be added`)
  return { op: 'sum', terms }
}

/** left − right. */
export function difference(left: Values, right: Values): Values {
  return sum({ of: left, factor: 1 }, { of: right, factor: -1 })
}

/** Element by element `of` times `by`, or divided by it, which is repeated along the dimensions where it has length 1. */
export function scale(of: Values, by: Values, { inverse = false } = {}): Values {
  const [shape, factors] = [shapeOf(of), shapeOf(by)]
  if (factors.length !== shape.length || !factors.every((n, d) => n === 1 || n === shape[d]))
    throw new RangeError(`[${shape}] can't be scaled by [${factors}]`)
  return { op: 'scale', of, by, inverse }
}

/** The Euclidean norm over all dimensions but `axis`, each kept with length 1 (torch's `norm_except_dim`); over all for −1. */
export function norm(of: Values, axis: number): Values {
  if (!(axis >= -1 && axis < shapeOf(of).length)) throw new RangeError(`there is no dimension ${axis}`)
  return { op: 'norm', of, axis }
}

/** factor · left · right, of matrices. Where the inner dimension is the smallest, the product is never formed. */
export function product(left: Values, right: Values, factor = 1): Values {
  const [a, b] = [shapeOf(left), shapeOf(right)]
  if (a.length !== 2 || b.length !== 2 || a[1] !== b[0]) throw new RangeError(`no product of [${a}] and [${b}]`)
  return { op: 'product', left, right, factor }
}

/**
 * The elements in a random order, each within its own matrix [:, :, i, …]. The order follows from the shape, the matrix's place and
 * the number of the replica alone: values of one shape are shuffled alike, in every run.
 */
export function shuffle(of: Values, replica: number): Values {
  if (shapeOf(of).length < 2) throw new RangeError(`[${shapeOf(of)}] is no matrix`)
  return { op: 'shuffle', of, replica }
}

/** One after the other along a dimension, the others being equal. */
export function concat(parts: readonly Values[], axis: number): Values {
  const shapes = parts.map(shapeOf)
  const [first] = shapes
  const fits = shapes.every(
    shape => shape.length === first.length && shape.every((n, d) => d === axis || n === first[d]),
  )
  if (!fits || !(axis >= 0 && axis < first.length))
    throw new RangeError(`[${shapes.join('] and [')}] do not fit along ${axis}`)
  return { op: 'concat', parts, axis }
}

export function shapeOf(values: Values): readonly number[] {
  switch (values.op) {
    case 'tensor':
      return values.tensor.shape
    case 'slice':
    case 'reshape':
      return values.shape
    case 'permute': {
      const shape = shapeOf(values.of)
      return values.axes.map(axis => shape[axis])
    }
    case 'sum':
      return shapeOf(values.terms[0].of)
    case 'scale':
    case 'shuffle':
      return shapeOf(values.of)
    case 'norm':
      return shapeOf(values.of).map((n, d) => (d === values.axis ? n : 1))
    case 'product':
      return [shapeOf(values.left)[0], shapeOf(values.right)[1]]
    case 'concat': {
      const { parts, axis } = values
      const length = parts.reduce((sum, part) => sum + shapeOf(part)[axis], 0)
      return shapeOf(parts[0]).map((n, d) => (d === axis ? length : n))
    }
  }
}

/** What values are made of directly. */
export function operands(values: Values): readonly Values[] {
  switch (values.op) {
    case 'tensor':
      return []
    case 'sum':
      return values.terms.map(({ of }) => of)
    case 'concat':
      return values.parts
    case 'scale':
      return [values.of, values.by]
    case 'product':
      return [values.left, values.right]
    default:
      return [values.of]
  }
}

/** The stored tensors that values are made of, each once, in order of appearance. */
export function tensorsOf(values: Values): Tensor[] {
  const own = values.op === 'tensor' ? [values.tensor] : []
  return [...new Set([...own, ...operands(values).flatMap(tensorsOf)])]
}

/** The numbers other than 1 by which products of them are multiplied, in order of appearance: what no tensor has of them. */
export function factorsOf(values: Values): number[] {
  const own = values.op === 'product' && values.factor !== 1 ? [values.factor] : []
  return [...own, ...operands(values).flatMap(factorsOf)]
}

/** The same values of other tensors. */
export function withTensors(values: Values, replace: (tensor: Tensor) => Tensor): Values {
  const inner = (of: Values) => withTensors(of, replace)
  switch (values.op) {
    case 'tensor':
      return stored(replace(values.tensor))
    case 'sum':
      return { ...values, terms: values.terms.map(({ of, factor }) => ({ of: inner(of), factor })) }
    case 'concat':
      return { ...values, parts: values.parts.map(inner) }
    case 'scale':
      return { ...values, of: inner(values.of), by: inner(values.by) }
    case 'product':
      return { ...values, left: inner(values.left), right: inner(values.right) }
    default:
      return { ...values, of: inner(values.of) }
  }
}

/** Elements of a stored tensor at regular distances: element (i, j, …) lies `offset + i·strides[0] + …` after its first. */
export interface StridedView {
  readonly tensor: Tensor
  readonly shape: readonly number[]
  /** In elements. */
  readonly offset: number
  readonly strides: readonly number[]
}

/** Elements from the first to the last that an array with these strides covers. */
export function extentOf(shape: readonly number[], strides: readonly number[]): number {
  return shape.reduce((last, n, d) => last + (n - 1) * strides[d], 1)
}

/** Values that are nothing but a view of one stored tensor; null for what has to be computed. */
export function viewOf(values: Values): StridedView | null {
  if (values.op === 'tensor') {
    const { tensor } = values
    return { tensor, shape: tensor.shape, offset: 0, strides: tensor.source.strides }
  }
  if (values.op !== 'slice' && values.op !== 'permute' && values.op !== 'reshape') return null
  const inner = viewOf(values.of)
  if (!inner) return null
  const { tensor, shape, offset, strides } = inner
  switch (values.op) {
    case 'slice':
      return {
        tensor,
        shape: values.shape,
        offset: values.start.reduce((at, start, d) => at + start * strides[d], offset),
        strides,
      }
    case 'permute':
      return {
        tensor,
        shape: values.axes.map(axis => shape[axis]),
        offset,
        strides: values.axes.map(axis => strides[axis]),
      }
    case 'reshape': {
      const reshaped = stridesOfReshaped(shape, strides, values.shape)
      return reshaped && { tensor, shape: values.shape, offset, strides: reshaped }
    }
  }
}

/** The strides of a view in another shape; null where its elements do not lie at regular distances in it. */
function stridesOfReshaped(
  from: readonly number[],
  strides: readonly number[],
  to: readonly number[],
): readonly number[] | null {
  const old = from.map((n, d) => ({ n, stride: strides[d] })).filter(({ n }) => n !== 1)
  const result = new Array<number>(to.length).fill(0)
  let at = old.length - 1
  // From the last dimension on, each new one takes from the old run that it lies in.
  let [left, stride] = at >= 0 ? [old[at].n, old[at].stride] : [1, 1]
  for (let d = to.length - 1; d >= 0; d--) {
    if (to[d] === 1) continue
    if (left === 1) {
      at--
      left = old[at].n
      stride = old[at].stride
    }
    // Old dimensions that continue each other are one run.
    while (left < to[d] && at > 0 && old[at - 1].stride === stride * left) {
      at--
      left *= old[at].n
    }
    if (left % to[d] !== 0) return null
    result[d] = stride
    stride *= to[d]
    left /= to[d]
  }
  return result
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, d) => n === b[d])
}

import picomatch from 'picomatch'
import { type AttentionConfig, type Checkpoint, size, type Tensor } from '../checkpoint/types.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Recipe } from '../recipe/recipe.ts'
import { item, reshape, shapeOf, slice, stored, type Values } from '../recipe/values.ts'
import type { DescribedLayer } from '../report/description.ts'
import type { AnalysisOptions, Skipped } from '../report/schema.ts'
import { notWeights, type Refusal } from './classify.ts'
import { type Flattened, flattened } from './convolution.ts'
import { effectiveWeights } from './effective.ts'
import { withoutHeads } from './heads.ts'
import { layerNames } from './names.ts'
import { naturalOrder } from './order.ts'
import { blocksIn, expertBlocks, gatesIn, type Surroundings } from './packed.ts'

/** What is known of a layer before its spectrum is: the head of its row in the report, and how to get its matrices. */
export interface PlannedLayer extends DescribedLayer {
  readonly recipe: Recipe
  /** Factor on the eigenvalues, WeightWatcher's `conv2d_norm`: 1/2 for a pooled convolution, rf/2 for one of its rf slices; 1 otherwise. */
  readonly scale: number
  /** What its values are the difference of, where they are. */
  readonly against?: { readonly head: Values; readonly base: Values }
  /** Why its values can't be had, where they can't: its row is an error. */
  readonly broken?: string
}

export interface Plan {
  readonly layers: readonly PlannedLayer[]
  readonly skipped: readonly PlannedSkip[]
  /** Tensors whose blocks were asked for, and could not be told apart. */
  readonly whole: readonly { readonly tensor: string; readonly reason: string }[]
}

/** A row of `skipped`, and the tensor whose values could be looked at all the same. */
export interface PlannedSkip {
  readonly row: Skipped
  readonly tensor?: Tensor
}

/**
 * Which tensors are layers, what shape their matrices have, and why the others are left out. A 2-D tensor is dense; a 4-D one
 * is a convolution (out, in, kh, kw) whose kernel slices are pooled into one ESD; with `conv_dims` so are those of one and three
 * dimensions. N ≥ M are the sides of one matrix.
 * Source: WeightWatcher 0.7.5 layer selection and size filters (`min_evals`, `max_evals` on M·rf, `max_N` on N; 0 for no limit).
 * @param attention for `split_packed`: what config.json says of heads
 * @param own roots of networks that follow no other, whatever they are called
 */
export function planLayers(
  { tensors, unread, updates }: Pick<Checkpoint, 'tensors' | 'unread' | 'updates'>,
  options: AnalysisOptions,
  attention?: AttentionConfig,
  own?: ReadonlySet<string>,
): Plan {
  const { weights, parts } = effectiveWeights(tensors, updates)
  const keyed = tensors.map(tensor => {
    const key = weights.get(tensor.name)?.key
    return key === undefined ? tensor : { name: tensor.name, label: key }
  })
  const names = layerNames(keyed)
  const refused = notWeights(tensors, own)
  const selected = patterns(options)
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]))
  const layers: PlannedLayer[] = []
  const whole: Plan['whole'][number][] = []
  const skipped: PlannedSkip[] = unread.map(({ name, shape, dtype, reason, aside, place }) => {
    return {
      row: { tensor: name, ...placed(place), shape: [...shape], dtype, code: aside ? 'aside' : 'unread', reason },
    }
  })
  for (const tensor of tensors) {
    const name = names.get(tensor.name)!
    const { values, broken = tensor.broken } = weights.get(tensor.name) ?? { values: stored(tensor) }
    const owner = parts.get(tensor.name)
    const key = weights.get(tensor.name)?.key ?? tensor.name
    const sibling = siblingsOf(tensor.name, shapes)
    const matrix = (broken === undefined && withoutHeads(key, values, shapes)) || values
    const weight = dimensioned({ name, key, tensor, values: matrix, broken }, options, sibling)
    const refusal =
      (owner === undefined ? refused.get(tensor.name) : { code: 'buffer' as const, reason: partOf(owner) }) ??
      unfit(weight) ??
      selected(name, tensor.name)
    const skip = (shape: readonly number[], why: Refusal) => {
      const row = { tensor: tensor.name, ...placed(tensor.place), shape: [...shape], dtype: tensor.dtype, ...why }
      skipped.push(isReadable(tensor, why) ? { row, tensor } : { row })
    }
    if (refusal) {
      skip(tensor.shape, refusal)
      continue
    }
    const { matrices, reason } = matricesIn(weight, options, { attention, sibling })
    if (reason !== undefined) whole.push({ tensor: tensor.name, reason })
    const planned = matrices.map(matrix => ({ matrix, planned: plan(matrix, options) }))
    const left = planned.filter(isLeft)
    for (const { planned: one } of planned) if (!('reason' in one)) layers.push(one)
    if (layers.length > limits.checkpoint.tensorsCount) {
      throw new UserError(
        `There are more than ${limits.checkpoint.tensorsCount} layers.`,
        'Choose among them: include, exclude, min-evals.',
      )
    }
    // Where all are too small it is the tensor that is; where some are, such as the keys of fewer heads, they are.
    if (left.length === planned.length) skip(tensor.shape, left[0].planned)
    else
      for (const { matrix, planned } of left)
        skip(shapeOf(matrix.values), { ...planned, reason: `${matrix.part}: ${planned.reason}` })
  }
  const inOrder = naturalOrder(layers.map(({ name }) => name))
  return { layers: inOrder.map(i => layers[i]), skipped, whole }
}

interface PlannedMatrix<P = PlannedLayer | Refusal> {
  readonly matrix: Weight
  readonly planned: P
}

function isLeft(one: PlannedMatrix): one is PlannedMatrix<Refusal> {
  return 'reason' in one.planned
}

/** The shapes of the tensors in the module of a key. */
function siblingsOf(key: string, shapes: ReadonlyMap<string, readonly number[]>): Surroundings['sibling'] {
  const module = key.slice(0, Math.max(key.lastIndexOf('.'), key.lastIndexOf('/')) + 1)
  return leaf => shapes.get(module + leaf)
}

/** Whether its values belong to the model, and can be had. */
function isReadable(tensor: Tensor, { code }: Refusal): boolean {
  return code !== 'unread' && code !== 'optimizer' && tensor.broken === undefined && size(tensor.shape) > 0
}

function placed(place: string | undefined): { place?: string } {
  return place === undefined ? {} : { place }
}

function partOf(key: string): string {
  return `a part of ${JSON.stringify(key.slice(0, 200))}`
}

/** What may become a layer. */
interface Weight {
  readonly name: string
  /** As its module applies it. */
  readonly key: string
  readonly tensor: Tensor
  readonly values: Values
  readonly broken?: string | undefined
  /** Which of those that are stacked in one tensor. */
  readonly part?: string
  /** How many kernel slices the convolution has of which it is one. */
  readonly sliceOf?: number
  /** Of a convolution that is none of two dimensions: what it is. */
  readonly convolution?: Pick<Flattened, 'type' | 'shape'>
}

/** A weight with one or three dimensions of a kernel as one with two, where those count. Stacked matrices are matrices. */
function dimensioned(weight: Weight, { conv_dims }: AnalysisOptions, sibling: Surroundings['sibling']): Weight {
  if (conv_dims !== 'all' || weight.broken !== undefined || stackedIn(weight)) return weight
  const { type, shape, values } = flattened(weight.key, weight.values, sibling('bias')) ?? {}
  return type && shape && values ? { ...weight, values, convolution: { type, shape } } : weight
}

/** Components of keys under which mixtures of experts stack their matrices in one tensor. */
const EXPERTS = ['expert', 'experts', 'exps', 'moe']

/** Whether one of a component's words, which `_` parts, is one of them. */
function isOfExperts(component: string): boolean {
  const words = component.split('_')
  const last = words.length - 1
  return (
    /^\w+$/.test(component) &&
    words.some(
      (word, i) => EXPERTS.includes(word) && !(i === 1 && words[0] === '') && !(i === last - 1 && words[last] === ''),
    )
  )
}

/** Whether a component, with the one behind it, is of one expert of many: `experts.3`, `expert_3`. */
function isOneExpert(component: string, next: string): boolean {
  return (/(?:^|_)experts?$/.test(component) && /^\d+$/.test(next)) || /(?:^|_)expert_?\d+$/.test(component)
}

/** What the matrices are called that are stacked in a tensor of three dimensions, as experts or by its reader; undefined of others. */
function stackedIn({ tensor: { name, label, stack }, values }: Weight): readonly string[] | undefined {
  const [count, rows, columns, ...rest] = shapeOf(values)
  if (rest.length > 0 || columns === undefined) return undefined
  if (stack?.length === count) return stack
  const path = (label ?? name).split(/[./]/)
  const at = path.findLastIndex(isOfExperts)
  const experts = at >= 0 && Math.min(count, rows, columns) > 1 && !isOneExpert(path[at], path[at + 1] ?? '')
  return experts ? Array.from({ length: count }, (_, i) => `expert ${i}`) : undefined
}

/** What becomes of a weight, and why it is whole although its blocks were asked for. */
interface Matrices {
  readonly matrices: readonly Weight[]
  readonly reason?: string
}

/**
 * A weight itself, or one for each of those that are stacked (experts, directions), or for each kernel slice of a convolution or each block of what is packed where
 * those are asked for.
 */
function matricesIn(weight: Weight, { conv2d, split_packed }: AnalysisOptions, around: Surroundings): Matrices {
  if (weight.broken !== undefined) return { matrices: [weight] }
  const slices = conv2d === 'slices' && kernelSlices(weight)
  if (slices) return { matrices: slices }
  const stacked = matricesOf(weight)
  if (!split_packed) return { matrices: stacked ?? [weight] }
  const split = (one: Weight, found: ReturnType<typeof blocksIn>): Matrices => {
    if (found === undefined || typeof found === 'string')
      return { matrices: [one], ...(found !== undefined && { reason: found }) }
    const part = (name: string) => (one.part === undefined ? name : `${one.part} ${name}`)
    return { matrices: found.map(({ part: name, values }) => ({ ...one, part: part(name), values })) }
  }
  if (!stacked) return split(weight, blocksIn(weight.key, weight.values, around))
  const { gates } = weight.tensor
  const blocks = (values: Values) =>
    gates ? gatesIn(values, gates) : expertBlocks(weight.key, values, around.attention)
  const each = stacked.map(one => split(one, blocks(one.values)))
  const { reason } = each[0]
  return { matrices: each.flatMap(({ matrices }) => matrices), ...(reason !== undefined && { reason }) }
}

function kernelSlices(weight: Weight): Weight[] | undefined {
  const shape = shapeOf(weight.values)
  if (shape.length !== 4) return undefined
  const [rows, columns, height, width] = shape
  return Array.from({ length: height * width }, (_, i) => ({
    ...weight,
    part: `slice ${i}`,
    sliceOf: height * width,
    values: reshape(slice(weight.values, [0, 0, Math.floor(i / width), i % width], [rows, columns, 1, 1]), [
      rows,
      columns,
    ]),
  }))
}

function matricesOf(weight: Weight): Weight[] | undefined {
  return stackedIn(weight)?.map((part, i) => ({
    ...weight,
    ...(part !== '' && { part }),
    values: item(weight.values, i),
  }))
}

function unfit(weight: Weight): Refusal | undefined {
  const shape = shapeOf(weight.values)
  if (weight.broken !== undefined) return undefined
  if (size(shape) === 0) return { code: 'size', reason: 'empty' }
  if (shape.length !== 2 && shape.length !== 4 && !stackedIn(weight)) {
    return { code: 'rank', reason: `${shape.length}-D` }
  }
  if (shape[0] < 2 && !stackedIn(weight)) return { code: 'size', reason: 'its first dimension is 1' }
  return undefined
}

/** Whether any of the patterns matches a name. */
function anyOf(globs: readonly string[]): (name: string) => boolean {
  const each = globs.map(glob => {
    const matches = picomatch(glob, { dot: true, bash: true })
    const may = SIMPLE.test(glob) ? inOrder(glob.split(/\*+/)) : () => true
    return (name: string) => may(name) && matches(name)
  })
  return name => each.some(matches => matches(name))
}

/** Of characters that stand for themselves, and stars; not a slash, which may stand for nothing beside two of them. */
const SIMPLE = /^[\w.:*-]+$/

/**
 * Whether a name has the pieces between stars one after the other, which every match needs. A regular expression that fails to match a
 * hostile name would try each place of each piece with each of the others.
 */
function inOrder(pieces: readonly string[]): (name: string) => boolean {
  const [first = '', ...rest] = pieces
  return name => {
    if (!name.startsWith(first)) return false
    let at = first.length
    for (const [i, piece] of rest.entries()) {
      const found = i === rest.length - 1 ? Math.max(at, name.length - piece.length) : name.indexOf(piece, at)
      if (found < 0 || !name.startsWith(piece, found)) return false
      at = found + piece.length
    }
    return rest.length > 0 || at === name.length
  }
}

function patterns({ include, exclude }: AnalysisOptions) {
  const included = include.length > 0 ? anyOf(include) : () => true
  const excluded = exclude.length > 0 ? anyOf(exclude) : () => false
  return (name: string, tensor: string): Refusal | undefined => {
    if (!included(name) && !included(tensor)) return { code: 'excluded', reason: 'matches no include pattern' }
    if (excluded(name) || excluded(tensor)) return { code: 'excluded', reason: 'matches an exclude pattern' }
    return undefined
  }
}

function plan(weight: Weight, options: AnalysisOptions): PlannedLayer | Refusal {
  const { name, tensor, values, broken, part, sliceOf, convolution } = weight
  const shape = shapeOf(values)
  const [rows = 1, columns = 1, height = 1, width = 1] = shape
  const N = Math.max(rows, columns)
  const M = Math.min(rows, columns)
  const rf = sliceOf ?? height * width
  const operator = shape.length === 4 && options.conv2d === 'operator'
  const grid = options.conv_grid ?? 1
  const kernel = convolution?.shape.slice(2) ?? shape.slice(2)
  const num_evals = M * (operator ? size(kernel.map(() => grid)) : height * width)
  // Of an operator it bounds one block: there are as many as the grid has points.
  const largest = operator ? M : num_evals
  const { min_evals, max_evals, max_N } = options
  const limited = broken === undefined
  if (limited && min_evals && num_evals < min_evals)
    return { code: 'size', reason: `${num_evals} eigenvalues, fewer than min-evals ${min_evals}` }
  if (limited && max_evals && largest > max_evals)
    return { code: 'size', reason: `${largest} eigenvalues, more than max-evals ${max_evals}` }
  if (limited && max_N && N > max_N) return { code: 'size', reason: `N = ${N}, more than max-n ${max_N}` }
  const conv2d = shape.length === 4 || sliceOf !== undefined
  return {
    name,
    tensor: tensor.name,
    ...placed(tensor.place),
    ...(part !== undefined && { part }),
    layer_type: convolution?.type ?? (conv2d ? 'conv2d' : 'dense'),
    shape: [...((sliceOf === undefined && convolution?.shape) || shape)],
    dtype: tensor.dtype,
    N,
    M,
    Q: N / M,
    rf,
    num_evals,
    recipe: operator
      ? { read: 'operator', values, grid, ...(convolution && { kernel }) }
      : { read: shape.length === 4 ? 'kernel-slices' : 'matrix', values },
    ...(broken !== undefined && { broken }),
    scale: operator || !conv2d ? 1 : (sliceOf ?? 1) / 2,
  }
}

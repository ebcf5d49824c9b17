import picomatch from 'picomatch'
import { type Checkpoint, isFloat, size, type Tensor } from '../checkpoint/types.ts'
import type { Recipe } from '../recipe/recipe.ts'
import { stored } from '../recipe/values.ts'
import type { DescribedLayer } from '../report/description.ts'
import type { AnalysisOptions, Skipped } from '../report/schema.ts'
import { layerNames } from './names.ts'

/** What is known of a layer before its spectrum is: the head of its row in the report, and how to get its matrices. */
export interface PlannedLayer extends DescribedLayer {
  readonly recipe: Recipe
  /** Factor on the eigenvalues: 1/2 for a pooled convolution (WeightWatcher's `conv2d_norm`), 1 otherwise. */
  readonly scale: number
  /** Why its values can't be had, where they can't: its row is an error. */
  readonly broken?: string
}

export interface Plan {
  readonly layers: readonly PlannedLayer[]
  readonly skipped: readonly PlannedSkip[]
}

/** A row of `skipped`, and the tensor whose values could be looked at all the same. */
export interface PlannedSkip {
  readonly row: Skipped
  readonly tensor?: Tensor
}

/** Last components of keys under which frameworks keep constants: masks, rotary tables, running statistics. */
const BUFFERS = new Set([
  'running_mean',
  'running_var',
  'num_batches_tracked',
  'attn_mask',
  'causal_mask',
  'masked_bias',
  'position_ids',
  'relative_position_index',
  'relative_coords_table',
  'inv_freq',
  'cos_cached',
  'sin_cached',
  'freqs_cis',
])
/** Optimizer state, by component (Adam, SGD) or by the key's root. */
const OPTIMIZER = new Set(['exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'momentum_buffer', 'square_avg'])
const OPTIMIZER_ROOTS = new Set(['optimizer', 'optimizer_state_dict', 'optimizer_states', 'optim'])

/**
 * Which tensors are layers, what shape their matrices have, and why the others are left out. A 2-D tensor is dense; a 4-D one
 * is a convolution (out, in, kh, kw) whose kernel slices are pooled into one ESD. N ≥ M are the sides of one matrix.
 * Source: WeightWatcher 0.7.5 layer selection and size filters (`min_evals`, `max_evals` on M·rf, `max_N` on N; 0 for no limit).
 */
export function planLayers(
  { tensors, unread }: Pick<Checkpoint, 'tensors' | 'unread'>,
  options: AnalysisOptions,
): Plan {
  const names = layerNames(tensors)
  const selected = patterns(options)
  const layers: PlannedLayer[] = []
  const skipped: PlannedSkip[] = unread.map(({ name, shape, dtype, reason }) => {
    return { row: { tensor: name, shape: [...shape], dtype, code: 'unread', reason } }
  })
  for (const tensor of tensors) {
    const name = names.get(tensor.name)!
    const layer = unfit(tensor) ?? selected(name, tensor.name) ?? plan(name, tensor, options)
    if ('reason' in layer) {
      const row = { tensor: tensor.name, shape: [...tensor.shape], dtype: tensor.dtype, ...layer }
      skipped.push(isReadable(tensor, layer) ? { row, tensor } : { row })
    } else {
      layers.push(layer)
    }
  }
  return { layers, skipped }
}

/** Whether its values belong to the model, and can be had. */
function isReadable(tensor: Tensor, { code }: Refusal): boolean {
  return code !== 'unread' && code !== 'optimizer' && tensor.broken === undefined && size(tensor.shape) > 0
}

type Refusal = Pick<Skipped, 'code' | 'reason'>

function unfit({ name, dtype, shape, skip, companion, broken }: Tensor): Refusal | undefined {
  if (broken !== undefined) return undefined
  if (companion) return { code: 'buffer', reason: 'belongs to a quantised tensor' }
  if (skip) return { code: 'unread', reason: skip }
  const path = name.split(/[./]/)
  if (OPTIMIZER_ROOTS.has(path[0]) || path.some(component => OPTIMIZER.has(component))) {
    return { code: 'optimizer', reason: 'optimizer state' }
  }
  if (/^F[468]_|^F4$/.test(dtype) && !isFloat(dtype)) return { code: 'dtype', reason: `${dtype} is not decoded` }
  if (!isFloat(dtype)) return { code: 'dtype', reason: `${dtype} is not a floating-point type` }
  if (BUFFERS.has(path.at(-1)!) || isCausalMask(path.at(-1)!, shape))
    return { code: 'buffer', reason: 'a known buffer, not a parameter' }
  if (shape.length !== 2 && shape.length !== 4) return { code: 'rank', reason: `${shape.length}-D` }
  if (size(shape) === 0) return { code: 'size', reason: 'empty' }
  if (shape[0] < 2) return { code: 'size', reason: 'its first dimension is 1' }
  return undefined
}

/** GPT-2 keeps its causal mask under `attn.bias`, as (1, 1, n, n). */
function isCausalMask(component: string, shape: readonly number[]): boolean {
  return component === 'bias' && shape.length === 4 && shape[0] * shape[1] === 1 && shape[2] === shape[3]
}

function patterns({ include, exclude }: AnalysisOptions) {
  const included = include.length > 0 ? picomatch([...include], { dot: true, bash: true }) : () => true
  const excluded = exclude.length > 0 ? picomatch([...exclude], { dot: true, bash: true }) : () => false
  return (name: string, tensor: string): Refusal | undefined => {
    if (!included(name) && !included(tensor)) return { code: 'excluded', reason: 'matches no include pattern' }
    if (excluded(name) || excluded(tensor)) return { code: 'excluded', reason: 'matches an exclude pattern' }
    return undefined
  }
}

function plan(name: string, tensor: Tensor, options: AnalysisOptions): PlannedLayer | Refusal {
  const [rows = 1, columns = 1, height = 1, width = 1] = tensor.shape
  const N = Math.max(rows, columns)
  const M = Math.min(rows, columns)
  const rf = height * width
  const num_evals = M * rf
  const { min_evals, max_evals, max_N } = options
  const limited = tensor.broken === undefined
  if (limited && min_evals && num_evals < min_evals)
    return { code: 'size', reason: `${num_evals} eigenvalues, fewer than min-evals ${min_evals}` }
  if (limited && max_evals && num_evals > max_evals)
    return { code: 'size', reason: `${num_evals} eigenvalues, more than max-evals ${max_evals}` }
  if (limited && max_N && N > max_N) return { code: 'size', reason: `N = ${N}, more than max-n ${max_N}` }
  const conv2d = tensor.shape.length === 4
  return {
    name,
    tensor: tensor.name,
    layer_type: conv2d ? 'conv2d' : 'dense',
    shape: [...tensor.shape],
    dtype: tensor.dtype,
    N,
    M,
    Q: N / M,
    rf,
    num_evals,
    recipe: { read: conv2d ? 'kernel-slices' : 'matrix', values: stored(tensor) },
    ...(tensor.broken !== undefined && { broken: tensor.broken }),
    scale: conv2d ? 0.5 : 1,
  }
}

import { basename } from 'node:path'
import type { LowRank } from '../checkpoint/low-rank.ts'
import { isFloat, size, type Tensor } from '../checkpoint/types.ts'
import {
  norm,
  permute,
  product,
  reshape,
  scale,
  shapeOf,
  stored,
  sum,
  transpose,
  type Values,
} from '../recipe/values.ts'

/** What a layer applies, where that is not a tensor as it is stored. */
export interface Effective {
  /** The key that the weight has once it is applied. */
  readonly key: string
  /** The stored tensor that stands for it in the report. */
  readonly tensor: Tensor
  readonly values: Values
  /** Why it can't be had. */
  readonly broken?: string
}

export interface Effectives {
  /** By the name of the tensor that stands for each. */
  readonly weights: ReadonlyMap<string, Effective>
  /** Tensors that are parts of one, and of which. */
  readonly parts: ReadonlyMap<string, string>
}

/**
 * Weights that modules make of several tensors before they apply them: PyTorch's weight_norm (w = g · v / ‖v‖), spectral_norm
 * (w = W / uᵀWv), pruning and sparsifiers (w = W · mask), in their old form (`weight_g`, `weight_orig`) and as parametrizations
 * (`parametrizations.weight.original0`); and low-rank updates, alone (ΔW = scale · up · down) or added to the weight that lies beside
 * them, with DoRA's magnitudes where it has them. A parametrization that is none of these can't be had.
 * Source: torch/nn/utils/{weight_norm,spectral_norm,prune,parametrize,parametrizations}.py.
 */
export function effectiveWeights(tensors: readonly Tensor[], updates: readonly LowRank[] = []): Effectives {
  const all = new Map(tensors.map(tensor => [tensor.name, tensor]))
  const weights = new Map<string, Effective>()
  const parts = new Map<string, string>()
  const add = (key: string, tensor: Tensor, values: Values, used: readonly (Tensor | undefined)[], why?: string) => {
    const broken = weights.has(tensor.name) ? AGAIN : why
    weights.set(tensor.name, { key, tensor, values, ...(broken !== undefined && { broken }) })
    for (const part of used) if (part) parts.set(part.name, key)
  }
  for (const tensor of tensors) {
    const { name } = tensor
    const own = (suffix: string, from: string) => all.get(name.slice(0, -from.length) + suffix)
    if (name.endsWith('_v')) {
      const key = name.slice(0, -2)
      const magnitude = own('_g', '_v')
      const values = magnitude && !all.has(key) && weightNorm(magnitude, tensor)
      if (values) add(key, tensor, values, [magnitude])
    } else if (name.endsWith('_orig')) {
      const key = name.slice(0, -'_orig'.length)
      const [mask, u, v] = ['_mask', '_u', '_v'].map(suffix => own(suffix, '_orig'))
      // Old hooks kept what they applied beside what they made it of.
      if (all.has(key) && mask) add(key, tensor, stored(tensor), [mask, all.get(key)], TWICE)
      else if (all.has(key)) parts.set(name, key)
      else if (mask) add(key, tensor, masked(tensor, mask) ?? stored(tensor), [mask], unfit(masked(tensor, mask)))
      else if (u) add(key, tensor, spectral(tensor, u, v) ?? stored(tensor), [u, v], unfit(spectral(tensor, u, v)))
      else if (/(?:^|\.)(?:weight|kernel)$/.test(key)) add(key, tensor, stored(tensor), [], UNKNOWN)
      for (const part of all.has(key) && !mask ? [u, v] : []) if (part) parts.set(part.name, key)
    }
  }
  for (const [name, { key, tensor, values }] of weights) {
    if (isHooked(key, all)) weights.set(name, { key, tensor, values, broken: UNKNOWN })
  }
  for (const update of updates) addUpdate(update, all, add)
  for (const { key, members } of parametrised(tensors).values()) addParametrised(key, members, add)
  const owners = new Map<string, string>()
  for (const [name, effective] of weights) {
    const other = owners.get(effective.key)
    if (other === undefined) owners.set(effective.key, name)
    else for (const one of [name, other]) weights.set(one, { ...weights.get(one)!, broken: AGAIN })
  }
  return { weights, parts }
}

const UNKNOWN = 'what is applied is made of it in a way that is not known: remove the parametrization before saving'
const TWICE = 'it is pruned, and a weight that pruning does not apply lies beside it: leave one of them out'
const AGAIN =
  'two adapters or parametrizations change it, or one that is there in two forms, and which the program applies is not known: leave one of them'
const MISFIT = 'the tensors that it is made of do not fit together'

/** Whether what a hook makes is what another makes a weight of. */
function isHooked(key: string, all: ReadonlyMap<string, Tensor>): boolean {
  const base = key.slice(0, -2)
  return key.endsWith('_orig') || (key.endsWith('_v') && (all.has(`${base}_g`) || all.has(`${base}_u`)))
}

function unfit(values: Values | undefined): string | undefined {
  return values ? undefined : MISFIT
}

type Add = (key: string, tensor: Tensor, values: Values, used: readonly (Tensor | undefined)[], broken?: string) => void

function addUpdate(update: LowRank, all: ReadonlyMap<string, Tensor>, add: Add): void {
  const [down, up] = [all.get(update.down)!, all.get(update.up)!]
  const change = changeOf(update, down, up)
  const prefix = update.down.slice(0, update.down.search(/\.lora_|[._]lora\./))
  const leaf = update.key.slice(update.key.lastIndexOf('.') + 1)
  const beside = [update.base ?? '', `${prefix}.base_layer.${leaf}`, `${prefix}.${leaf}`]
  const base = beside.map(name => all.get(name)).find(Boolean)
  const magnitude = update.magnitude === undefined ? undefined : all.get(update.magnitude)
  if (!base) {
    add(update.key, up, change, [down, magnitude])
    return
  }
  const merged = isFloat(base.dtype) && base.broken === undefined && mergedWith(base, change, magnitude, update)
  if (merged) add(update.key, base, merged, [down, up, magnitude])
  else
    add(
      update.key,
      base,
      stored(base),
      [down, up, magnitude],
      base.broken ?? (update.base === undefined ? MISFIT : misfit(base, up, change)),
    )
}

function misfit(base: Tensor, up: Tensor, change: Values): string {
  const [weight, adapter] = [base, up].map(({ source }) => basename(source.path))
  return `the weight in ${weight} is [${base.shape}] of ${base.dtype}, and what ${adapter} adds to it [${shapeOf(change)}]`
}

/** scale · up · down in the shape of the weight. */
function changeOf({ scale: factor, embedding }: LowRank, down: Tensor, up: Tensor): Values {
  if (embedding) return product(transpose(stored(down)), transpose(stored(up)), factor)
  if (down.shape.length === 2) return product(stored(up), stored(down), factor)
  const [rank, ...rest] = down.shape
  const flat = product(reshape(stored(up), [up.shape[0], rank]), reshape(stored(down), [rank, size(rest)]), factor)
  return reshape(flat, [up.shape[0], ...rest])
}

function mergedWith(
  base: Tensor,
  change: Values,
  magnitude: Tensor | undefined,
  { turned: lying, embedding }: LowRank,
): Values | undefined {
  const [shape, own] = [shapeOf(change), base.shape]
  // Transformers' Conv1D keeps its weight as (in, out); of a square one the config says so.
  const turned = shape.length === 2 && (shape.join() !== own.join() || (lying === true && !embedding))
  const upright = turned && own.length === 2 ? transpose(stored(base)) : stored(base)
  if (shapeOf(upright).join() !== shape.join()) return undefined
  const whole = sum({ of: upright, factor: 1 }, { of: change, factor: 1 })
  const again = (values: Values) => (turned ? transpose(values) : values)
  if (!magnitude) return again(whole)
  // Of an embedding PEFT takes the columns: its weight is the other way round.
  const axis = embedding ? 1 : 0
  if (size(magnitude.shape) !== shape[axis] || !isFloat(magnitude.dtype)) return undefined
  const by = reshape(
    stored(magnitude),
    shape.map((n, d) => (d === axis ? n : 1)),
  )
  return again(scale(scale(whole, norm(whole, axis), { inverse: true }), by))
}

/** The tensors of each parametrised weight by what follows its prefix: `original`, `0._u`. */
function parametrised(tensors: readonly Tensor[]): Map<string, { key: string; members: Map<string, Tensor> }> {
  const found = new Map<string, { key: string; members: Map<string, Tensor> }>()
  for (const tensor of tensors) {
    const components = tensor.name.split('.')
    const at = components.findLastIndex(
      (component, i) => component === 'parametrizations' && components[i + 1] && components[i + 2] !== undefined,
    )
    const rest = components.slice(at + 2).join('.')
    if (at < 0 || rest === '') continue
    const before = components
      .slice(0, at)
      .map(component => `${component}.`)
      .join('')
    const weight = components[at + 1]
    const prefix = `${before}parametrizations.${weight}.`
    const group = found.get(prefix) ?? { key: before + weight, members: new Map<string, Tensor>() }
    group.members.set(rest, tensor)
    found.set(prefix, group)
  }
  return found
}

function addParametrised(key: string, members: ReadonlyMap<string, Tensor>, add: Add): void {
  const [plain, first, second] = ['original', 'original0', 'original1'].map(name => members.get(name))
  const head = plain ?? second ?? first ?? [...members.values()].find(({ shape }) => shape.length >= 2)
  if (!head) return
  const others = [...members].filter(([, tensor]) => tensor !== head)
  const used = others.map(([, tensor]) => tensor)
  const names = others.map(([name]) => name).sort()
  const is = (...wanted: string[]) => names.join() === wanted.join()
  const known =
    (first && second && is('original0') && weightNorm(first, second)) ||
    (plain && is('0._u', '0._v') && spectral(plain, members.get('0._u')!, members.get('0._v'))) ||
    (plain && is('0.mask') && masked(plain, members.get('0.mask')!))
  if (known) add(key, head, known, used)
  else if (head.shape.length >= 2) add(key, head, stored(head), used, UNKNOWN)
}

/** g · v / ‖v‖, the norm over all dimensions but the one that g has; undefined where g does not fit. */
function weightNorm(g: Tensor, v: Tensor): Values | undefined {
  if (!isFloat(g.dtype) || !isFloat(v.dtype) || v.shape.length < 2 || size(v.shape) === 0) return undefined
  if (g.shape.length === 0) return scaled(stored(g), v, -1)
  if (g.shape.length !== v.shape.length) return undefined
  const long = g.shape.flatMap((n, d) => (n === 1 ? [] : [d]))
  if (long.length > 1 || long.some(d => g.shape[d] !== v.shape[d])) return undefined
  // All dimensions of length 1: the first, as PyTorch has it by default, or none.
  return scaled(stored(g), v, long[0] ?? (v.shape[0] === 1 ? 0 : -1))
}

function scaled(g: Values, v: Tensor, axis: number): Values {
  const ones = v.shape.map(() => 1)
  const by = axis < 0 ? reshape(g, ones) : g
  return scale(scale(stored(v), norm(stored(v), axis), { inverse: true }), by)
}

function masked(weight: Tensor, mask: Tensor): Values | undefined {
  const isMask = isFloat(mask.dtype) || mask.dtype === 'BOOL' || mask.dtype === 'U8'
  if (!isFloat(weight.dtype) || !isMask || weight.shape.join() !== mask.shape.join()) return undefined
  return scale(stored(weight), stored(mask))
}

/** W / σ with σ = uᵀ · matrix · v, the weight as a matrix with the dimension of u first, the others together. */
function spectral(weight: Tensor, u: Tensor, v: Tensor | undefined): Values | undefined {
  if (!v || ![weight, u, v].every(({ dtype }) => isFloat(dtype))) return undefined
  if (weight.shape.length < 2 || size(weight.shape) === 0) return undefined
  const [rows, columns] = [size(u.shape), size(v.shape)]
  if (rows * columns !== size(weight.shape)) return undefined
  const axis = weight.uAxis ?? weight.shape.findIndex((n, d) => n === rows && (d === 0 || weight.shape[0] !== rows))
  if (axis < 0) return undefined
  const axes = [axis, ...weight.shape.map((_, d) => d).filter(d => d !== axis)]
  const matrix = reshape(axis === 0 ? stored(weight) : permute(stored(weight), axes), [rows, columns])
  const sigma = product(product(reshape(stored(u), [1, rows]), matrix), reshape(stored(v), [columns, 1]))
  return scale(
    stored(weight),
    reshape(
      sigma,
      weight.shape.map(() => 1),
    ),
    { inverse: true },
  )
}

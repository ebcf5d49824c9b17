import { limits } from '../../limits.ts'
import { isFloat, size, type Tensor } from '../types.ts'
import { numbers } from './codec.ts'
import { as, type Family, field, Misfit, part } from './family.ts'
import type { Coded, Grid } from './scheme.ts'
import { scaleOf } from './signs.ts'

/** Rows and columns of a matrix, or of several stacked. */
function sides(shape: readonly number[]): { rows: number; columns: number } {
  return { rows: size(shape.slice(0, -1)), columns: shape.at(-1) ?? 1 }
}

/**
 * What part of a matrix, or of each of a stack, one number of a grid is for.
 * @throws Misfit where that can't be told
 */
function gridOf(
  tensor: Tensor,
  shape: readonly number[],
  more: Partial<Grid> = {},
  integers = false,
  blocks?: readonly [number, number],
): Grid {
  const { rows, columns } = sides(shape)
  const block = blockOf(tensor.shape, shape, rows, columns, blocks)
  if (!block) throw new Misfit(`its scale of shape [${tensor.shape}] does not fit [${shape}]`)
  if (!isFloat(tensor.dtype) && tensor.dtype !== 'F8_E8M0' && !more.exponents && !integers) {
    throw new Misfit(`its scale is of the type ${tensor.dtype}`)
  }
  return { part: part(tensor), ...block, ...more }
}

function blockOf(
  scale: readonly number[],
  shape: readonly number[],
  rows: number,
  columns: number,
  blocks?: readonly [number, number],
): Pick<Grid, 'blockRows' | 'blockColumns' | 'across'> | undefined {
  const given = scale.length > 0 && size(scale) !== 1 ? scale : [1]
  if (size(given) === 1) return { blockRows: rows, blockColumns: columns, across: 1 }
  // Of a convolution, a matrix or a stack, for its first dimension.
  const first = shape[0] ?? 1
  if (given[0] === first && size(given) === first && first > 1) {
    return { blockRows: rows / first, blockColumns: columns, across: 1 }
  }
  // Of a stack of matrices, with as many dimensions as the stack: the leading ones are the same.
  if (given.length === shape.length && shape.length > 2) {
    const heads = shape.slice(0, -2)
    if (!heads.every((n, d) => given[d] === n)) return undefined
    const inner = blockOf(given.slice(-2), shape.slice(-2), shape.at(-2)!, columns, blocks)
    return inner
  }
  const [a = 1, b = 1, ...rest] = given
  if (rest.some(n => n !== 1)) return undefined
  if (shape.length > 2) return undefined
  const perRow = a === rows && b === 1
  const [down, across] = blocks && !perRow ? blocks : [128, 128]
  if (a === Math.ceil(rows / down) && b === Math.ceil(columns / across))
    return { blockRows: down, blockColumns: across, across: b }
  if ((blocks && !perRow) || a === 0 || b === 0 || rows % a !== 0 || columns % b !== 0) return undefined
  // Where nobody says the size of blocks, what divides the matrix evenly may have been meant otherwise.
  const usual = (block: number, side: number) => block === 1 || block === side || block % 16 === 0
  return usual(rows / a, rows) && usual(columns / b, columns)
    ? { blockRows: rows / a, blockColumns: columns / b, across: b }
    : undefined
}

/** Keys of a scale that the elements of a weight are multiplied with. */
function scaleNames(family: Family): string[] {
  const { leaf, tensor } = family
  // torchao's and quanto's flattened tensors: `_weight_qdata` with `_weight_scale`, `weight._data` with `weight._scale`.
  if (/_qdata$/.test(leaf)) return [family.named(leaf.replace(/qdata$/, 'scale'))]
  if (leaf === '_data') return [family.named('_scale')]
  const ends = ['_scale', '_scale_inv', '_scales', '.scale', '._scale', '_s', '_quantizer._scale']
  const bases = /(?:^|[./])weight$/.test(tensor.name)
    ? ['scale_weight', 'weight_scale', 'scale', 'scales'].map(name => family.named(name))
    : []
  return [...ends.map(end => tensor.name + end), ...bases]
}

/**
 * F8 and I8 with a scale for the whole, each row or each block: compressed-tensors, ComfyUI, DeepSeek (`weight_scale_inv` is
 * multiplied, whatever its name says), torchao, quanto, bitsandbytes' int8 (value = q · SCB / 127); bytes as exponents are MXFP8's.
 * Undefined where nothing beside it looks like a scale.
 * @param expected whether other F8 tensors of the checkpoint have theirs
 */
export async function scaled(family: Family, expected: boolean): Promise<Tensor | undefined> {
  const { tensor } = family
  const bnb = tensor.dtype === 'I8' ? family.sibling('SCB') : undefined
  const scale = family.single(...(bnb ? [bnb.name] : []), ...scaleNames(family))
  for (const name of ['input_scale', 'scale_input', 'output_scale', 'comfy_quant']) family.sibling(name)
  if (bnb) family.sibling('weight_format')
  if (!scale) {
    const unknown = scaleOf(family)
    if (unknown) throw new Misfit(`what ${JSON.stringify(unknown.name.slice(-100))} is to it is not known`)
    if (expected && tensor.shape.length >= 2)
      throw new Misfit(`its scale (${scaleNames(family)[0].slice(-200)}) is missing, though others have theirs`)
    return undefined
  }
  const { rows, columns } = sides(tensor.shape)
  if (rows * columns === 0) return undefined
  const exponents = scale.dtype === 'U8' || scale.dtype === 'F8_E8M0'
  const blocks = await blocksOf(family)
  const grid = gridOf(scale, tensor.shape, exponents ? { exponents } : {}, false, blocks)
  const numbers = tensor.dtype === 'I8' ? 'signed' : tensor.dtype === 'F8_E4M3' ? 'e4m3' : 'e5m2'
  const zero = await applied(family, zeroOf(family))
  const second = family.find(`${tensor.name}_scale_2`, `${tensor.name}_global_scale`)
  if (second) throw new Misfit('it has two scales, in a layout that has no reader')
  return coded(family, tensor.shape, {
    ...{ codes: part(tensor), bits: 8, numbers, scale: grid },
    ...(zero && { zero: gridOf(zero, tensor.shape, {}, true) }),
    ...(bnb && { divisor: 127 }),
  })
}

/** Rows and columns of a block, as the model's config has them (fine-grained F8 of DeepSeek and others). */
async function blocksOf(family: Family): Promise<readonly [number, number] | undefined> {
  const own = field(await family.config('config.json'), 'quantization_config')
  const sides = field(own, 'weight_block_size')
  const [down, across] = Array.isArray(sides) ? sides : []
  return [down, across].every(side => Number.isSafeInteger(side) && side > 0) ? [down, across] : undefined
}

/**
 * Zero points as compressed-tensors applies them: by its config it makes none of what is stored for symmetric weights.
 * @throws Misfit where its groups differ, of which nobody is to find the weight's
 */
async function applied(family: Family, zeros: Tensor | undefined): Promise<Tensor | undefined> {
  const groups = field(field(await family.config('config.json'), 'quantization_config'), 'config_groups')
  if (!zeros || typeof groups !== 'object' || groups === null) return zeros
  const symmetric = new Set(Object.values(groups).map(group => field(field(group, 'weights'), 'symmetric') !== false))
  if (symmetric.size > 1) throw new Misfit('its config has groups with zero points, and others without')
  return symmetric.has(true) ? undefined : zeros
}

/** The zero points of int-quantised rows or blocks; none where they are all zero by their absence. */
function zeroOf(family: Family): Tensor | undefined {
  const { tensor, leaf } = family
  const zero = family.find(
    `${tensor.name}_zero_point`,
    ...(/_qdata$/.test(leaf) ? [family.named(leaf.replace(/qdata$/, 'zero_point'))] : []),
  )
  const floats = zero && (isFloat(zero.dtype) || zero.dtype === 'I8' || zero.dtype === 'I32' || zero.dtype === 'I64')
  if (zero && !floats) throw new Misfit(`its zero points are of the type ${zero.dtype}`)
  return zero
}

type Codes = Omit<Coded, 'kind' | 'rows' | 'columns'>

function coded(family: Family, shape: readonly number[], codes: Codes): Tensor {
  const { rows, columns } = sides(shape)
  if (columns > limits.quantised.rowElements) {
    throw new Misfit(`its rows have ${columns} elements, more than ${limits.quantised.rowElements}`)
  }
  return as(family, [...shape], { kind: 'coded', rows, columns, ...codes })
}

/**
 * Two E2M1 codes a byte. NVFP4: an F8 scale for 16, and one for all that multiplies (ModelOpt, ComfyUI: `weight_scale_2`) or
 * divides (compressed-tensors: `weight_global_scale`). MXFP4: a byte for 32 as exponent (`weight_scale`; OpenAI's `blocks` and
 * `scales`, of stacked experts). Undefined where it is neither.
 */
export function float4(family: Family): Tensor | undefined {
  const { tensor, leaf } = family
  const { shape } = tensor
  if (/(?:^|_)blocks$/.test(leaf)) return openaiBlocks(family)
  const weight = leaf.replace(/_packed$/, '')
  const scale = family.sibling(`${weight}_scale`)
  if (!scale || shape.length < 2) return undefined
  const whole = [...shape.slice(0, -1), 2 * shape.at(-1)!]
  const { columns } = sides(whole)
  const codes = { codes: part(tensor), bits: 4, numbers: 'e2m1' } as const
  if (scale.dtype === 'U8' && scale.shape.at(-1) === columns / 32) {
    family.sibling('comfy_quant')
    return coded(family, whole, { ...codes, scale: gridOf(scale, whole, { exponents: true }) })
  }
  if (scale.dtype !== 'F8_E4M3') return undefined
  const [times, over] = [family.sibling(`${weight}_scale_2`), family.sibling(`${weight}_global_scale`)]
  if (times && over) throw new Misfit('it has two scales for all of it, one that multiplies and one that divides')
  const one = times ?? over
  if (!one) throw new Misfit(`its ${weight}_scale_2 or ${weight}_global_scale is missing`)
  if (size(one.shape) !== 1 || !isFloat(one.dtype)) throw new Misfit(`its second scale has the shape [${one.shape}]`)
  for (const name of ['input_scale', 'input_global_scale']) family.sibling(name)
  const globals = times ? { times: [part(times)] } : { over: [part(one)] }
  if (family.sibling('comfy_quant')) return comfy(family, whole, scale, { ...codes, ...globals })
  if (scale.shape.at(-1) !== columns / 16)
    throw new Misfit(`its scale of shape [${scale.shape}] does not fit [${whole}]`)
  return coded(family, whole, { ...codes, ...globals, scale: gridOf(scale, whole) })
}

/** ComfyUI's: the first code in the upper half of the byte, the scales in tiles of 128 × 4. */
function comfy(family: Family, [rows, columns, ...rest]: number[], scale: Tensor, codes: Omit<Codes, 'scale'>): Tensor {
  const [down, across] = [Math.ceil(rows / 128) * 128, Math.ceil(columns / 64) * 4]
  if (rest.length > 0 || scale.shape.join() !== [down, across].join()) {
    throw new Misfit(`its scale of shape [${scale.shape}] does not fit [${[rows, columns, ...rest]}]`)
  }
  const grid = { part: part(scale), blockRows: 1, blockColumns: 16, across, tiled: true }
  return coded(family, [rows, columns], { ...codes, upperFirst: true, scale: grid })
}

/** `gate_up_proj_blocks` (experts, out, in / 32, 16) with `gate_up_proj_scales` (experts, out, in / 32). */
function openaiBlocks(family: Family): Tensor | undefined {
  const { tensor, leaf } = family
  const scale = family.sibling(leaf.replace(/blocks$/, 'scales'))
  if (scale?.dtype !== 'U8') return undefined
  const heads = tensor.shape.slice(0, -2)
  const [groups, bytes] = tensor.shape.slice(-2)
  if (bytes !== 16 || scale.shape.join() !== [...heads, groups].join()) {
    throw new Misfit(`its scale of shape [${scale.shape}] does not fit [${tensor.shape}]`)
  }
  const shape = [...heads, 32 * groups]
  const grid = gridOf(scale, shape, { exponents: true })
  return coded(family, shape, { codes: part(tensor), bits: 4, numbers: 'e2m1', scale: grid })
}

/**
 * MLX: words of codes with `scales` and `biases`, value = q · scale + bias; its modes `mxfp4`, `mxfp8` and `nvfp4` have bytes as
 * scales and no biases. Bits and
 * group are those of the model's config.json, without which the words can be read in several ways.
 */
export async function mlx(family: Family): Promise<Tensor | undefined> {
  const { tensor, base } = family
  const [scales, biases] = [family.sibling('scales'), family.sibling('biases')]
  if (!scales || tensor.shape.length < 2) return undefined
  const config = await family.config('config.json')
  const all = field(config, 'quantization') ?? field(config, 'quantization_config')
  const own = field(all, base)
  const [bits, group] = ['bits', 'group_size'].map(key => field(own, key) ?? field(all, key))
  const mode = field(own, 'mode') ?? field(all, 'mode') ?? 'affine'
  if (typeof bits !== 'number' || typeof group !== 'number') {
    throw new Misfit('its bits and group_size are in no config.json beside it: keep that file with the weights')
  }
  const columns = (tensor.shape.at(-1)! * 32) / bits
  const shape = [...tensor.shape.slice(0, -1), columns]
  const wanted = [...tensor.shape.slice(0, -1), columns / group].join()
  if (![2, 3, 4, 5, 6, 8].includes(bits) || [scales, biases].some(other => other && other.shape.join() !== wanted)) {
    throw new Misfit(`words [${tensor.shape}] and scales [${scales.shape}] are not ${bits} bits in groups of ${group}`)
  }
  if (mode === 'mxfp4' && bits === 4 && scales.dtype === 'U8') {
    const scale = gridOf(scales, shape, { exponents: true })
    return coded(family, shape, { codes: part(tensor), bits, numbers: 'e2m1', scale })
  }
  if (mode === 'mxfp8' && bits === 8 && scales.dtype === 'U8') {
    const scale = gridOf(scales, shape, { exponents: true })
    return coded(family, shape, { codes: part(tensor), bits, numbers: 'e4m3', scale })
  }
  if (mode === 'nvfp4' && bits === 4 && scales.dtype === 'U8') {
    const scale = gridOf({ ...scales, dtype: 'F8_E4M3' }, shape)
    return coded(family, shape, { codes: part(tensor), bits, numbers: 'e2m1', scale })
  }
  if (mode !== 'affine' || !biases) throw new Misfit(`MLX's mode ${JSON.stringify(mode).slice(0, 100)} has no reader`)
  const [scale, bias] = [gridOf(scales, shape), gridOf(biases, shape)]
  return coded(family, shape, { codes: part(tensor), bits, numbers: 'unsigned', scale, bias })
}

/** compressed-tensors' pack-quantized: words along rows, with zeros packed along columns where it is asymmetric. */
export async function packed(family: Family): Promise<Tensor> {
  const { tensor } = family
  const [words, scales, shape] = [part(tensor), family.sibling('weight_scale'), family.need('weight_shape')]
  if (!scales) throw new Misfit('its weight_scale is missing')
  if (family.sibling('weight_global_scale')) throw new Misfit('has a weight_global_scale, which is not supported')
  if (size(shape.shape) !== 2) throw new Misfit(`its weight_shape has the shape [${shape.shape}]`)
  const [rows, columns] = await numbers(shape)
  const across = scales.shape[1] ?? 1
  const bits = [2, 4, 8].find(bits => words.shape[1] === Math.ceil((columns * bits) / 32))
  const fits = words.shape[0] === rows && scales.shape[0] === rows && Number.isInteger(columns / across) && across > 0
  if (!bits || !fits || words.shape.length !== 2 || !isFloat(scales.dtype)) {
    throw new Misfit(
      `words [${words.shape}], scales [${scales.shape}] and weight_shape [${rows}, ${columns}] do not fit together`,
    )
  }
  const index = family.sibling('weight_g_idx')
  if (index && (index.dtype !== 'I32' || index.shape.join() !== String(columns))) {
    throw new Misfit(`its weight_g_idx of shape [${index.shape}] does not fit ${columns} columns`)
  }
  const groups = index && { columnGroups: part(index) }
  const block = { blockRows: 1, blockColumns: columns / across, across }
  const scale = { part: part(scales), ...block, ...groups }
  const zeros = await applied(family, family.sibling('weight_zero_point'))
  if (zeros && (zeros.dtype !== 'I32' || zeros.shape.join() !== [Math.ceil((rows * bits) / 32), across].join())) {
    throw new Misfit(`its weight_zero_point of shape [${zeros.shape}] does not fit`)
  }
  const zero = zeros && { zero: { part: part(zeros), ...block, packed: bits, ...groups } }
  return coded(family, [rows, columns], { codes: words, bits, numbers: 'offset', scale, ...zero })
}

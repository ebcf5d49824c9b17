import { readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { stayInWorkspace } from '../../bytes/workspace.ts'
import { quoted } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { contiguous, type DType, isFloat, size, type Tensor } from '../types.ts'
import { numbers } from './codec.ts'
import type { Part, Scheme } from './scheme.ts'

/**
 * The tensors of a checkpoint, the quantised ones described as the values that they stand for. Scales, zero points and the like
 * become no layers; where one is missing or does not fit, the tensor becomes a layer that can't be read, with the reason.
 *
 * Known are F8 and I8 with scales (per tensor, row or block: `weight_scale`, `weight_scale_inv`, `scale_weight`, `SCB`), GPTQ and
 * AWQ (`qweight`, `scales`, `qzeros`, `g_idx`), compressed-tensors (`weight_packed`) and 4-bit bitsandbytes (`quant_state`).
 * F8 tensors in a checkpoint where none has a scale are plain numbers.
 */
export async function describeQuantised(tensors: readonly Tensor[]): Promise<Tensor[]> {
  const all = new Map(tensors.map(tensor => [tensor.name, tensor]))
  const scaledF8 = tensors.some(tensor => isF8(tensor.dtype) && findScale(tensor.name, all)) || all.has('scaled_fp8')
  const companions = new Set<string>()
  const described = new Map<string, Tensor>()
  for (const tensor of tensors) {
    const family = new Family(tensor, all)
    const found = await describe(family, scaledF8)
    if (!found) continue
    described.set(tensor.name, found)
    for (const name of family.used) companions.add(name)
  }
  if (described.size === 0) return [...tensors]
  companions.add('scaled_fp8')
  return tensors.map(tensor => {
    const companion = companions.has(tensor.name) && !described.has(tensor.name)
    return companion ? { ...tensor, companion } : (described.get(tensor.name) ?? tensor)
  })
}

/** A tensor and those that belong to it by their names. */
class Family {
  readonly tensor: Tensor
  readonly used: string[] = []
  readonly #all: ReadonlyMap<string, Tensor>

  constructor(tensor: Tensor, all: ReadonlyMap<string, Tensor>) {
    this.tensor = tensor
    this.#all = all
  }

  /** The name without its last component. */
  get base(): string {
    return this.tensor.name.replace(/\.?[^.]*$/, '')
  }

  has(suffix: string): boolean {
    return this.tensor.name.endsWith(suffix)
  }

  find(...names: readonly string[]): Tensor | undefined {
    const found = names.map(name => this.#all.get(name)).find(tensor => tensor !== undefined)
    if (found) this.used.push(found.name)
    return found
  }

  /** A member of the family with this last component. */
  sibling(name: string): Tensor | undefined {
    return this.find(this.base ? `${this.base}.${name}` : name)
  }

  /** @throws Misfit where it is not there */
  need(name: string): Part {
    const found = this.sibling(name)
    if (!found) throw new Misfit(`its ${name} is missing`)
    return part(found)
  }
}

/** Why a quantised tensor can't be read. */
class Misfit extends Error {
  override name = 'Misfit'
}

function part({ name, dtype, shape, source }: Tensor): Part {
  const dense = source.kind === 'file' && source.strides.join() === contiguous(shape).join()
  if (!dense) throw new Misfit(`${quoted(name)} is a view, or packed`)
  return { path: source.path, offset: source.offset, dtype, shape }
}

/** The tensor as what it stands for; undefined where it is not quantised. */
async function describe(family: Family, scaledF8: boolean): Promise<Tensor | undefined> {
  const { tensor } = family
  try {
    if (tensor.dtype === 'I32' && family.has('qweight')) return await grouped(family)
    if (tensor.dtype === 'I32' && family.has('weight_packed')) return await packed(family)
    if (tensor.dtype === 'U8') return await fromTable(family)
    if (isF8(tensor.dtype) || tensor.dtype === 'I8') return scaled(family, scaledF8)
    return undefined
  } catch (error) {
    if (!(error instanceof Misfit)) throw error
    return { ...tensor, dtype: 'F32', broken: `it is quantised, and ${error.message}`, ...labelOf(family) }
  }
}

/** A tensor of F32 values that the codec makes; `strides` where the stored rows are not the shape's. */
function as(family: Family, shape: number[], scheme: Scheme, strides = contiguous(shape)): Tensor {
  const { tensor } = family
  return {
    name: tensor.name,
    dtype: 'F32',
    shape,
    source: { kind: 'packed', path: tensor.source.path, codec: 'quantised', parameters: scheme, strides },
    ...labelOf(family),
  }
}

/** The module's name for keys that are not called `weight`. */
function labelOf({ tensor, base }: Family): Pick<Tensor, 'label'> {
  const label = /\.(qweight|weight_packed)$/.test(tensor.name) ? base : tensor.label
  return label ? { label } : {}
}

const isF8 = (dtype: DType): boolean => dtype === 'F8_E4M3' || dtype === 'F8_E5M2'

/** The names that a scale of this tensor may have. */
function scaleNames(name: string): string[] {
  const base = name.replace(/weight$/, '')
  return [`${name}_scale`, `${name}_scale_inv`, ...(base === name ? [] : [`${base}scale_weight`])]
}

function findScale(name: string, all: ReadonlyMap<string, Tensor>): boolean {
  return scaleNames(name).some(scale => all.has(scale))
}

/**
 * F8 and I8 with a scale: compressed-tensors' float- and int-quantized, ComfyUI's `scale_weight`, DeepSeek's blocks of 128 × 128
 * (`weight_scale_inv` is multiplied, whatever its name says), bitsandbytes' int8 (value = q · SCB / 127).
 */
function scaled(family: Family, scaledF8: boolean): Tensor | undefined {
  const { tensor } = family
  const bnb = tensor.dtype === 'I8' ? family.sibling('SCB') : undefined
  const scale = bnb ?? family.find(...scaleNames(tensor.name))
  family.sibling('input_scale')
  family.sibling('scale_input')
  if (bnb) family.sibling('weight_format')
  if (!scale) {
    const expected = isF8(tensor.dtype) && scaledF8 && tensor.shape.length >= 2
    if (expected)
      throw new Misfit(`its scale (${scaleNames(tensor.name)[0]!.slice(-200)}) is missing, though others have theirs`)
    return undefined
  }
  if (family.find(`${tensor.name}_zero_point`)) throw new Misfit('asymmetric: zero points are not supported')
  const rows = tensor.shape[0] ?? 1
  const columns = size(tensor.shape.slice(1))
  if (rows * columns === 0) return undefined
  const block = blockOf(scale.shape, rows, columns)
  if (!block) throw new Misfit(`its scale of shape [${scale.shape}] does not fit [${tensor.shape}]`)
  const scheme = { kind: 'scaled' as const, values: part(tensor), scale: part(scale), rows, columns, ...block }
  return as(family, [...tensor.shape], { ...scheme, divisor: bnb ? 127 : 1 })
}

/** What part of a matrix one scale is for; undefined where that can't be told. */
function blockOf(scale: readonly number[], rows: number, columns: number) {
  const [a = 1, b = 1, ...rest] = scale
  if (rest.some(n => n !== 1)) return undefined
  if (a * b === 1) return { blockRows: rows, blockColumns: columns }
  if (a === rows && b === 1) return { blockRows: 1, blockColumns: columns }
  if (a === Math.ceil(rows / 128) && b === Math.ceil(columns / 128)) return { blockRows: 128, blockColumns: 128 }
  if (rows % a === 0 && columns % b === 0 && a > 0 && b > 0) return { blockRows: rows / a, blockColumns: columns / b }
  return undefined
}

/** GPTQ (AutoGPTQ, GPTQModel) and AWQ (AutoAWQ), told apart by which side of `qweight` is packed. The layer is (out, in). */
async function grouped(family: Family): Promise<Tensor> {
  const words = part(family.tensor)
  const [scales, zeros] = [family.need('scales'), family.need('qzeros')]
  const index = family.sibling('g_idx')
  const columns = scales.shape[1]
  const bits = (32 * zeros.shape[1]) / columns
  if (![2, 4, 8].includes(bits)) throw new Misfit(`its ${bits} bits a weight are not supported`)
  const awq = words.shape[1] === zeros.shape[1] && words.shape[1] !== columns
  const rows = awq ? words.shape[0] : (words.shape[0] * 32) / bits
  const matrices = [words, scales, zeros].every(({ shape }) => shape.length === 2 && !shape.includes(0))
  const fits = words.shape[1] === (awq ? (columns * bits) / 32 : columns) && zeros.shape[0] === scales.shape[0]
  if (!matrices || !fits || (awq && bits !== 4) || !isFloat(scales.dtype) || zeros.dtype !== 'I32') {
    throw new Misfit(
      `qweight [${words.shape}], scales [${scales.shape}] and qzeros [${zeros.shape}] do not fit together`,
    )
  }
  if (index && (index.shape.join() !== String(rows) || index.dtype !== 'I32')) {
    throw new Misfit(`its g_idx of shape [${index.shape}] does not fit ${rows} rows`)
  }
  if (!index && rows % scales.shape[0] !== 0)
    throw new Misfit(`${rows} rows are no whole number of ${scales.shape[0]} groups`)
  const common = { words, scales, zeros, bits, rows, columns }
  const scheme: Scheme = awq
    ? { kind: 'awq', ...common }
    : { kind: 'gptq', ...common, groupIndex: index && part(index), zeroOffset: await zeroOffset(words.path) }
  return as(family, [columns, rows], scheme, [1, columns])
}

/** GPTQ's first format stores zero − 1, its second (`gptq_v2` in the model's config) the zero itself. */
async function zeroOffset(model: string): Promise<number> {
  for (const name of ['quantize_config.json', 'config.json']) {
    const path = join(dirname(model), name)
    try {
      await stayInWorkspace(path)
      if ((await stat(path)).size > limits.checkpoint.configBytes) continue
      const config = JSON.parse(await readFile(path, 'utf8'))
      const format = (config?.quantization_config ?? config)?.checkpoint_format
      if (typeof format === 'string') return format === 'gptq_v2' ? 0 : 1
    } catch {}
  }
  return 1
}

/** compressed-tensors' pack-quantized, symmetric. */
async function packed(family: Family): Promise<Tensor> {
  const [words, scales, shape] = [part(family.tensor), family.need('weight_scale'), family.need('weight_shape')]
  for (const name of ['weight_zero_point', 'weight_g_idx', 'weight_global_scale']) {
    if (family.sibling(name)) throw new Misfit(`has a ${name}, which is not supported`)
  }
  if (size(shape.shape) !== 2) throw new Misfit(`its weight_shape has the shape [${shape.shape}]`)
  const [rows, columns] = await numbers(shape)
  const [across = 0, group = 0] = [scales.shape[1] ?? 1, columns / (scales.shape[1] ?? 1)]
  const bits = [2, 4, 8].find(bits => words.shape[1] === Math.ceil((columns * bits) / 32))
  const fits = words.shape[0] === rows && scales.shape[0] === rows && Number.isInteger(group) && across > 0
  if (!bits || !fits || words.shape.length !== 2 || !isFloat(scales.dtype)) {
    throw new Misfit(
      `words [${words.shape}], scales [${scales.shape}] and weight_shape [${rows}, ${columns}] do not fit together`,
    )
  }
  return as(family, [rows, columns], { kind: 'packed', words, scales, bits, rows, columns })
}

/** bitsandbytes' nf4 and fp4: bitsandbytes/functional.py, QuantState. Undefined where no `quant_state` is there. */
async function fromTable(family: Family): Promise<Tensor | undefined> {
  const { tensor } = family
  const state = ['nf4', 'fp4']
    .map(kind => family.find(`${tensor.name}.quant_state.bitsandbytes__${kind}`))
    .find(Boolean)
  if (!state) return undefined
  const own = (name: string): Part => {
    const found = family.find(`${tensor.name}.${name}`)
    if (!found) throw new Misfit(`its ${name} is missing`)
    return part(found)
  }
  const { shape, blocksize, nested_blocksize, nested_offset } = parseState(await numbers(part(state)))
  const [codes, table, largest] = [part(tensor), own('quant_map'), own('absmax')]
  const elements = size(shape)
  const blocks = Math.ceil(elements / blocksize)
  const fits =
    size(codes.shape) === Math.ceil(elements / 2) && size(table.shape) === 16 && size(largest.shape) === blocks
  if (!fits) throw new Misfit(`its codes, absmax and quant_map do not fit [${shape}] in blocks of ${blocksize}`)
  const scheme = { kind: 'table' as const, codes, table, largest, blocksize, elements }
  if (largest.dtype !== 'U8') return as(family, shape, scheme)
  const inner = { table: own('nested_quant_map'), largest: own('nested_absmax') }
  if (!nested_blocksize || nested_offset === undefined || size(inner.table.shape) !== 256)
    throw new Misfit('its nested state is incomplete')
  if (size(inner.largest.shape) < Math.ceil(blocks / nested_blocksize))
    throw new Misfit('its nested_absmax is too short')
  return as(family, shape, { ...scheme, nested: { ...inner, blocksize: nested_blocksize, offset: nested_offset } })
}

function parseState(bytes: Float64Array) {
  let state: Record<string, unknown>
  try {
    state = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    throw new Misfit('its quant_state is not JSON')
  }
  const { shape, blocksize, nested_blocksize, nested_offset } = state ?? {}
  const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) > 0
  if (
    !Array.isArray(shape) ||
    shape.length > limits.checkpoint.dimensionsCount ||
    !shape.every(isCount) ||
    !isCount(blocksize)
  ) {
    throw new Misfit('its quant_state has no usable shape and blocksize')
  }
  return {
    shape: shape as number[],
    blocksize,
    nested_blocksize: isCount(nested_blocksize) ? nested_blocksize : undefined,
    nested_offset: typeof nested_offset === 'number' ? nested_offset : undefined,
  }
}

import type { Grid, Part } from '../quantised/scheme.ts'
import { contiguous, isFloat, size, type Tensor } from '../types.ts'
import type { KerasLayer } from './config.ts'

/** A variable of a Keras 3 layer: its number in the group, and what was described of it. */
export interface GroupMember {
  readonly index: number
  readonly tensor: Tensor
}

const NO_CONFIG =
  'how, only the config of a .keras archive tells, if at all: save the whole model, or the weights before they are quantised'

const EMBEDDINGS = new Set(['Embedding', 'ReversibleEmbedding'])

/**
 * Keras' quantised layers. Of int8 a scale divides each column of a kernel (in, out), of EinsumDense (in…, out…), or each row of
 * embeddings. Of int4 two codes lie in a byte along the rows; with a scale in the same way, or in blocks along the input with scales
 * and zeros and the block of each of them. Where it is neither, or the mode is not known, the kernel is a layer that can't be read. The
 * others of the group are its companions.
 * Source: keras/src/layers/core/{dense,einsum_dense,embedding}.py and keras/src/quantizers/quantizers.py of Keras 3.15.
 * @param layer of the model's config, whose dtype policy tells the mode (`int8`, `int4/16`, `int4/-1`); undefined without one
 */
export function quantisedGroup(members: readonly GroupMember[], layer: KerasLayer | undefined): Map<string, Tensor> {
  const found = new Map<string, Tensor>()
  const kernel = members.find(({ index }) => index === 0)?.tensor
  if (kernel?.dtype !== 'I8' || kernel.shape.length < 2 || size(kernel.shape) === 0) return found
  const rest = members.filter(({ index }) => index > 0).map(({ tensor }) => tensor)
  const embeddings = layer !== undefined && EMBEDDINGS.has(layer.className)
  const read = layer && (embeddings ? ofEmbeddings(kernel, rest, layer) : ofKernel(kernel, rest, layer))
  const broken = (tensor: Tensor): Tensor => ({ ...tensor, dtype: 'F32', broken: `it is quantised, and ${NO_CONFIG}` })
  found.set(kernel.name, read ?? broken(kernel))
  const [first] = rest
  for (const tensor of rest) {
    const another = tensor.dtype === 'I8' && tensor.shape.length > 1 && size(tensor.shape) >= size(kernel.shape)
    const bias = tensor === first && tensor.shape.length === 1 && !embeddings
    if (another) found.set(tensor.name, broken(tensor))
    else if (!bias) found.set(tensor.name, { ...tensor, companion: true })
  }
  return found
}

function ofKernel(kernel: Tensor, rest: readonly Tensor[], layer: KerasLayer): Tensor | undefined {
  const { mode = '' } = layer
  const [rows, bytes, ...more] = kernel.shape
  if (mode === 'int8') return perOutput(kernel, rest, layer)
  if (!mode.startsWith('int4/') || more.length > 0) return undefined
  if (mode !== 'int4/-1') return inBlocks(kernel, rest)
  const [scale] = rest.slice(-1)
  const columns = scale?.shape[0]
  if (scale?.shape.length !== 1 || Math.ceil(columns / 2) !== bytes) return undefined
  return divided(kernel, [rows, columns], scale, 'column', 4)
}

/** The dimensions of a kernel that follow those which it sums over are its columns, as they are those of its scale. */
function perOutput(kernel: Tensor, rest: readonly Tensor[], { equation }: KerasLayer): Tensor | undefined {
  const inputs = equation === undefined ? 1 : inputsOf(equation)
  const outputs = kernel.shape.slice(inputs)
  const [scale] = rest.slice(-1)
  if (inputs === undefined || scale === undefined) return undefined
  const fits = scale.shape.filter(n => n !== 1).join() === outputs.filter(n => n !== 1).join()
  if (!fits || (equation === undefined && outputs.length !== 1)) return undefined
  return divided(kernel, [size(kernel.shape.slice(0, inputs)), size(outputs)], scale, 'column', 8, kernel.shape)
}

/** How many dimensions of its kernel, the first ones, an equation sums over; undefined where they are not the first, or the others change their order. */
function inputsOf(equation: string): number | undefined {
  const [operands, result] = equation.replace(/\s/g, '').split('->')
  const kernel = operands.split(',')[1]
  if (kernel === undefined || result === undefined) return undefined
  const inputs = [...kernel].findIndex(letter => result.includes(letter))
  const outputs = kernel.slice(inputs)
  return inputs > 0 && [...result].filter(letter => kernel.includes(letter)).join('') === outputs ? inputs : undefined
}

function ofEmbeddings(codes: Tensor, rest: readonly Tensor[], { mode = '', outputs }: KerasLayer): Tensor | undefined {
  const [rows, bytes, ...more] = codes.shape
  const [scale, zero, index] = rest
  const bits = mode === 'int8' ? 8 : 4
  const columns = mode === 'int8' ? bytes : outputs
  if (more.length > 0 || columns === undefined || Math.ceil((columns * bits) / 8) !== bytes) return undefined
  if (mode === 'int8' || mode === 'int4/-1')
    return scale?.shape.join() === String(rows) ? divided(codes, [rows, columns], scale, 'row', bits) : undefined
  const [part, ...parts] = [codes, scale, zero, index].map(tensor => tensor && partOf(tensor))
  const [scales, zeros, columnGroups] = parts
  const fits =
    mode.startsWith('int4/') &&
    scale !== undefined &&
    scale.shape.length === 2 &&
    scale.shape[0] === rows &&
    isFloat(scale.dtype) &&
    zero?.shape.join() === scale.shape.join() &&
    zero.dtype === 'I8' &&
    index?.shape.join() === String(columns)
  if (!fits || !part || !scales || !zeros || !columnGroups) return undefined
  const across = scale.shape[1]
  const block = { blockRows: 1, blockColumns: Math.ceil(columns / across), across, columnGroups }
  return valuesOf(codes, [rows, columns], part, 4, { part: scales, ...block }, { part: zeros, ...block })
}

/** Codes whose rows, or columns, a scale each divides. */
function divided(
  codes: Tensor,
  [rows, columns]: [number, number],
  scale: Tensor | undefined,
  by: 'row' | 'column',
  bits: number,
  shape?: readonly number[],
): Tensor | undefined {
  const [stored, part] = [partOf(codes), scale && isFloat(scale.dtype) && partOf(scale)]
  if (!stored || !part) return undefined
  const block =
    by === 'row'
      ? { blockRows: 1, blockColumns: columns, across: 1 }
      : { blockRows: rows, blockColumns: 1, across: columns }
  return valuesOf(codes, [rows, columns], stored, bits, { part, ...block, reciprocal: true }, undefined, shape)
}

function inBlocks(kernel: Tensor, rest: readonly Tensor[]): Tensor | undefined {
  const [rows, bytes, ...more] = kernel.shape
  const [scale, zero, index] = rest.slice(-3)
  const codes = partOf(kernel)
  if (more.length > 0 || !codes || !scale || !zero || !index) return undefined
  const [groups, columns] = scale.shape
  const parts = [scale, zero, index].map(partOf)
  const fits =
    isFloat(scale.dtype) &&
    scale.shape.length === 2 &&
    Math.ceil(columns / 2) === bytes &&
    zero.shape.join() === scale.shape.join() &&
    zero.dtype === 'I8' &&
    index.shape.join() === String(rows)
  const [scales, zeros, rowGroups] = parts
  if (!fits || !scales || !zeros || !rowGroups) return undefined
  const block = { blockRows: Math.ceil(rows / groups), blockColumns: 1, across: columns, rowGroups }
  return valuesOf(kernel, [rows, columns], codes, 4, { part: scales, ...block }, { part: zeros, ...block })
}

/** @param shape of the values, where it is not that of a matrix of these sides */
function valuesOf(
  kernel: Tensor,
  [rows, columns]: [number, number],
  codes: Part,
  bits: number,
  scale: Grid,
  zero?: Grid,
  shape: readonly number[] = [rows, columns],
): Tensor {
  const parameters = {
    kind: 'coded',
    codes,
    bits,
    numbers: 'signed',
    rows,
    columns,
    scale,
    ...(zero && { zero }),
  } as const
  const source = {
    kind: 'packed',
    path: kernel.source.path,
    codec: 'quantised',
    parameters,
    strides: contiguous(shape),
  } as const
  return { ...kernel, dtype: 'F32', shape, source }
}

/** Elements that lie one after the other in the file; undefined for chunks, or what is deflated. */
function partOf({ dtype, shape, source }: Tensor): Part | undefined {
  const dense = source.kind === 'file' && source.strides.join() === contiguous(shape).join()
  return dense ? { path: source.path, offset: source.offset, dtype, shape } : undefined
}

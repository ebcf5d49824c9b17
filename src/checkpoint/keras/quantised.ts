import type { Grid, Part } from '../quantised/scheme.ts'
import { contiguous, isFloat, size, type Tensor } from '../types.ts'

/** A variable of a Keras 3 layer: its number in the group, and what was described of it. */
export interface GroupMember {
  readonly index: number
  readonly tensor: Tensor
}

const NO_CONFIG = 'its layer quantises it in a way that only the config of a .keras archive tells: save the whole model'

/**
 * Keras' quantised Dense layers: an int8 kernel (in, out) with a scale for each column, that divides; int4 in blocks along the
 * input, two codes a byte along the rows, with scales, zeros and the block of each row. Where it is neither, or the mode is not
 * known, the kernel is a layer that can't be read. The others of the group are its companions.
 * Source: keras/src/layers/core/dense.py and keras/src/quantizers/quantizers.py of Keras 3.15.
 * @param mode the layer's dtype policy (`int8`, `int4/16`), undefined where no config tells it
 */
export function quantisedGroup(members: readonly GroupMember[], mode: string | undefined): Map<string, Tensor> {
  const found = new Map<string, Tensor>()
  const kernel = members.find(({ index }) => index === 0)?.tensor
  if (kernel?.dtype !== 'I8' || kernel.shape.length < 2 || size(kernel.shape) === 0) return found
  const rest = members.filter(({ index }) => index > 0).map(({ tensor }) => tensor)
  const read = (mode === 'int8' && perColumn(kernel, rest)) || (mode?.startsWith('int4/') && inBlocks(kernel, rest))
  found.set(kernel.name, read || { ...kernel, dtype: 'F32', broken: `it is quantised, and ${NO_CONFIG}` })
  const [bias] = rest
  for (const tensor of rest)
    if (tensor !== bias || tensor.shape.length > 1) found.set(tensor.name, { ...tensor, companion: true })
  return found
}

function perColumn(kernel: Tensor, rest: readonly Tensor[]): Tensor | undefined {
  const [rows, columns, ...more] = kernel.shape
  const scale = rest.filter(({ dtype, shape }) => isFloat(dtype) && shape.join() === String(columns)).at(-1)
  const [codes, part] = [partOf(kernel), scale && partOf(scale)]
  if (more.length > 0 || !codes || !part) return undefined
  const grid: Grid = { part, blockRows: rows, blockColumns: 1, across: columns, reciprocal: true }
  return valuesOf(kernel, [rows, columns], codes, 8, grid)
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

function valuesOf(kernel: Tensor, shape: number[], codes: Part, bits: number, scale: Grid, zero?: Grid): Tensor {
  const [rows, columns] = shape
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

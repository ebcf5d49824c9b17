import type { KerasLayer } from './config.ts'
import { isVariable, layerKind } from './variables.ts'

/** How the dimensions of a 4-D tensor are to be read. */
export type Orientation = 'as-is' | 'kernel' | 'depthwise'

/** Layers whose 4-D weights are no convolution kernels. */
const DENSE = new Set(['EinsumDense', 'MultiHeadAttention', 'GroupedQueryAttention', 'einsum_dense'])

/**
 * How a 4-D tensor of a Keras model lies in memory.
 * @param path in the file
 * @param classes of layers by their name, from the model's config; may be empty
 * @param given names of layers by their place, from a Keras 3 file
 */
export function orientation(
  path: string,
  classes: ReadonlyMap<string, KerasLayer>,
  given: ReadonlyMap<string, string>,
): Orientation {
  if (isVariable(path)) {
    const kind = layerKind(path, given)
    if (DENSE.has(kind)) return 'as-is'
    const first = path.endsWith('/0')
    return first && /^(?:depthwise|separable)_conv/.test(kind) ? 'depthwise' : 'kernel'
  }
  const components = path.split('/')
  const variable = components.pop()!
  const layer = components.reverse().find(component => classes.get(component)?.nested === false)
  const { className = '', ordering } = classes.get(layer ?? '') ?? {}
  if (DENSE.has(className) || ordering === 'th') return 'as-is'
  return className.startsWith('Depthwise') || variable.startsWith('depthwise_kernel') ? 'depthwise' : 'kernel'
}

/**
 * Shape and strides (in elements) of a 4-D kernel as PyTorch has it: (kh, kw, in, out) becomes (out, in, kh, kw), and a depthwise
 * (kh, kw, in, multiplier) becomes (in · multiplier, 1, kh, kw).
 */
export function asPyTorch(
  shape: readonly number[],
  strides: readonly number[],
  how: Orientation,
): { shape: readonly number[]; strides: readonly number[] } {
  if (how === 'as-is' || shape.length !== 4) return { shape, strides }
  const [kh, kw, input, output] = shape
  const [sh, sw, si, so] = strides
  return how === 'depthwise'
    ? { shape: [input * output, 1, kh, kw], strides: [so, so, sh, sw] }
    : { shape: [output, input, kh, kw], strides: [so, si, sh, sw] }
}

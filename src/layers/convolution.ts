import { permute, reshape, shapeOf, type Values } from '../recipe/values.ts'

/** Longest kernel of a conv1d that neither its name nor its module's says to be one; matrices have longer sides. */
const LONGEST = 31

/** A convolution of one or three dimensions as one of two: with the same kernel slices in the same order. */
export interface Flattened {
  readonly type: 'conv1d' | 'conv3d'
  /** As PyTorch has it: (out, in, k) or (out, in, kt, kh, kw). */
  readonly shape: readonly number[]
  /** (out, in, 1, k) or (out, in, kt·kh, kw). */
  readonly values: Values
}

/**
 * What a tensor is as a convolution of one or three dimensions. JAX and Keras keep kernels as (k, in, out) and (kt, kh, kw, in, out).
 * A 3-D tensor may be much else: it is a conv1d where its key has `conv` in it, or it is the `weight` of a module with a bias of as
 * many numbers as it has outputs, and a short kernel.
 * @param bias shape of the `bias` beside it
 * @returns undefined where it is none
 */
export function flattened(key: string, values: Values, bias: readonly number[] | undefined): Flattened | undefined {
  const path = key.replace(/:0$/, '').split(/[./]/)
  const leaf = path[path.length - 1]
  const dimensions = shapeOf(values).length
  if (dimensions !== 3 && dimensions !== 5) return undefined
  const called = path.some(component => /conv/i.test(component))
  const oriented = called ? asPyTorch(leaf, values) : values
  const shape = shapeOf(oriented)
  const [outputs, inputs, kernel] = shape
  if (dimensions === 5)
    return { type: 'conv3d', shape, values: reshape(oriented, [outputs, inputs, kernel * shape[3], shape[4]]) }
  const modest = leaf === 'weight' && kernel <= LONGEST && bias?.length === 1 && bias[0] === outputs
  if (!called && !modest) return undefined
  return { type: 'conv1d', shape, values: reshape(oriented, [outputs, inputs, 1, kernel]) }
}

function asPyTorch(leaf: string, values: Values): Values {
  const shape = shapeOf(values)
  const [inputs, outputs] = [shape.length - 2, shape.length - 1]
  const kernel = shape.slice(0, -2).map((_, d) => d)
  if (leaf === 'kernel') return permute(values, [outputs, inputs, ...kernel])
  if (leaf !== 'depthwise_kernel') return values
  const sides = shape.slice(0, -2)
  return reshape(permute(values, [inputs, outputs, ...kernel]), [shape[inputs] * shape[outputs], 1, ...sides])
}

import { asPyTorch, type Orientation } from './keras/orientation.ts'
import type { Tensor } from './types.ts'

/** Sides of kernels that a convolution has; channels are more. */
const WIDEST = 16

/**
 * Convolution kernels as PyTorch has them: JAX's and TensorFlow's `kernel` is (kh, kw, in, out) in any container, TensorFlow 1 called
 * it `weights`.
 */
export function orientKernels(tensors: readonly Tensor[]): Tensor[] {
  return tensors.map(tensor => {
    const how = orientationOf(tensor)
    if (how === 'as-is') return tensor
    const { shape, strides } = asPyTorch(tensor.shape, tensor.source.strides, how)
    return { ...tensor, shape, source: { ...tensor.source, strides } }
  })
}

function orientationOf({ name, shape, skip, broken, companion }: Tensor): Orientation {
  if (shape.length !== 4 || skip !== undefined || broken !== undefined || companion) return 'as-is'
  const path = name.replace(/:0$/, '').split(/[./]/)
  const leaf = path[path.length - 1]
  if (leaf === 'kernel') return isUpright(shape) ? 'as-is' : 'kernel'
  if (/^depthwise_(?:kernel|weights)$/.test(leaf)) return 'depthwise'
  const [kh, kw, input, output] = shape
  // Of a name that says less, the sides have to tell.
  const small = Math.max(kh, kw) <= WIDEST && Math.max(input, output) > WIDEST
  return leaf === 'weights' && name.includes('/') && small ? 'kernel' : 'as-is'
}

/** Whether a kernel lies as (out, in, k, k), whatever it is called: its last sides are equal and small, and one of the first is not. */
function isUpright([out, input, height, width]: readonly number[]): boolean {
  return height === width && height <= WIDEST && Math.max(out, input) > WIDEST
}

import { RandomAccessFile } from '../bytes/file.ts'
import { contiguous, DTYPE_BITS, isFloat, size, type Tensor } from '../checkpoint/types.ts'
import { LayerError } from '../errors.ts'
import { limits } from '../limits.ts'
import { widen } from './widen.ts'

/**
 * The values of a tensor in row-major order, whatever its strides.
 * @throws CheckpointError where the file ends early; LayerError `non-finite` naming the first NaN or Inf.
 */
export async function readTensor(tensor: Tensor): Promise<Float64Array> {
  const { dtype, shape, source } = tensor
  if (!isFloat(dtype)) throw new Error(`${tensor.name} is ${dtype}`)
  const width = DTYPE_BITS[dtype] / 8
  const extent = shape.reduce((last, n, d) => last + (n - 1) * source.strides[d], 1)
  const stored = new Float64Array(extent)
  const file = await RandomAccessFile.open(source.path)
  try {
    for (let begin = 0; begin < extent; ) {
      const end = Math.min(extent, begin + limits.chunk / width)
      stored.set(widen(dtype, await file.read(source.offset + begin * width, (end - begin) * width)), begin)
      begin = end
    }
  } finally {
    await file.close()
  }
  const values = isContiguous(tensor) ? stored : gather(stored, shape, source.strides)
  const bad = values.findIndex(value => !Number.isFinite(value))
  if (bad >= 0) {
    const index = contiguous(shape).map((stride, d) => Math.floor(bad / stride) % shape[d])
    throw new LayerError('non-finite', `${values[bad]} at index [${index.join(', ')}]`)
  }
  return values
}

function isContiguous({ shape, source }: Tensor): boolean {
  return contiguous(shape).every((stride, d) => shape[d] === 1 || stride === source.strides[d])
}

function gather(stored: Float64Array, shape: readonly number[], strides: readonly number[]): Float64Array {
  const dense = contiguous(shape)
  return Float64Array.from({ length: size(shape) }, (_, i) => {
    let offset = 0
    for (let d = 0; d < shape.length; d++) offset += (Math.floor(i / dense[d]) % shape[d]) * strides[d]
    return stored[offset]
  })
}

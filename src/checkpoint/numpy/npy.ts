import type { FileRange, RangeParameters } from '../../bytes/range.ts'
import { CheckpointError, RESAVE, tensorIn } from '../../errors.ts'
import { refuseSecondArray } from '../foreign.ts'
import type { Reader } from '../reader.ts'
import type { ByteSource, Tensor } from '../types.ts'
import { headerLength, isNpy, type NpyHeader, parseHeader } from './header.ts'

/** NumPy's `.npy`: one array, which has no name of its own and is called `array`. */
export const npy: Reader = {
  format: 'npy',

  recognises({ head }) {
    return isNpy(head)
  },

  async read(file) {
    const length = headerLength(file.path, await file.read(0, Math.min(12, file.size)))
    const header = parseHeader(file.path, await file.read(0, length))
    if ('reason' in header) {
      const found = header.type === 'object' ? `is ${header.reason}` : `is an array ${header.reason}, not of numbers`
      throw new CheckpointError(file.path, found, 'Save an array of floats, none of dtype=object.')
    }
    const end = header.start + header.bytes
    if (end < file.size) refuseSecondArray(file.path, await file.read(end, Math.min(6, file.size - end)))
    const tensor = describe(file.path, 'array', { offset: 0, length: file.size }, header)
    return { tensors: [tensor], stateDict: '', ignored: [] }
  },
}

/**
 * The tensor of an array whose header was read from the begin of `range`.
 * @throws CheckpointError where the array does not fill the range exactly
 */
export function describe(path: string, name: string, range: FileRange, header: NpyHeader): Tensor {
  const { dtype, shape, strides, swap, start, bytes } = header
  const available = (range.inflated?.size ?? range.length) - start
  if (bytes !== available) {
    const where = tensorIn(path, name)
    throw new CheckpointError(
      where,
      `${dtype} of shape [${shape}] takes ${bytes} bytes, but ${available} are there`,
      RESAVE,
    )
  }
  const parameters: RangeParameters = { range, skip: start, bytes, swap }
  const source: ByteSource =
    range.inflated || swap > 1
      ? { kind: 'packed', path, codec: 'range', parameters, strides }
      : { kind: 'file', path, offset: range.offset + start, strides }
  return { name, dtype, shape, source }
}

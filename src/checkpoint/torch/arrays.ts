import { CheckpointError, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { arrayType } from '../numpy/header.ts'
import { contiguous, DTYPE_BITS, isFloat, size, type Tensor, type UnreadTensor } from '../types.ts'
import { Global, Inert, type Value } from './values.ts'

/** Whether a value is the record of a NumPy array, whose elements lie in the pickle itself. */
export function isArray(value: Value): value is Inert {
  return value instanceof Inert && value.callee instanceof Global && ARRAY.test(value.callee.path)
}

/** The dimensions of an array of floats; undefined of any other, and where they are not known. */
export function floatShape(value: Inert): readonly number[] | undefined {
  const { shape, type } = stateOf(value)
  const known = arrayType(typeText(type))
  const isShape = Array.isArray(shape) && shape.every(n => Number.isSafeInteger(n) && (n as number) >= 0)
  return isShape && 'dtype' in known && isFloat(known.dtype) ? (shape as number[]) : undefined
}

const ARRAY = /^numpy\.(?:_?core)\.(?:multiarray\._reconstruct|numeric\._frombuffer)$/

/**
 * A NumPy array as a tensor that carries its own bytes, or the reason why it is none. Source: numpy's `array_reduce` and
 * `array_setstate` (state: version, shape, type, Fortran order, bytes); `_frombuffer` by protocol 5.
 * @param where file and tensor, for errors
 */
export function describeArray(path: string, where: string, name: string, value: Inert): Tensor | UnreadTensor {
  const { shape, type, fortran, bytes } = stateOf(value)
  if (isChanged(value) || (type instanceof Inert && isChanged(type))) {
    return {
      name,
      dtype: 'array',
      shape: [],
      reason: 'is a NumPy array that is changed once it is made: save a tensor',
    }
  }
  const counts = Array.isArray(shape) && shape.every(n => Number.isSafeInteger(n) && (n as number) >= 0)
  const known = arrayType(typeText(type))
  if (!counts || shape.length > limits.checkpoint.dimensionsCount) {
    return { name, dtype: 'array', shape: [], reason: 'is a NumPy array of no usable shape' }
  }
  const sides = shape as number[]
  if ('reason' in known) return { name, dtype: typeText(type).slice(0, 16), shape: sides, reason: known.reason }
  const { dtype, swap } = known
  const wanted = (size(sides) * DTYPE_BITS[dtype]) / 8
  if (!(bytes instanceof Uint8Array)) {
    return { name, dtype, shape: sides, reason: 'is a NumPy array that keeps its elements elsewhere: save a tensor' }
  }
  const raw = bytes.length === wanted ? bytes : latin1(bytes)
  if (raw.length !== wanted) {
    throw new CheckpointError(
      where,
      `${dtype} of shape [${sides}] takes ${wanted} bytes, but has ${raw.length}`,
      RESAVE,
    )
  }
  const own = Buffer.from(raw)
  if (swap === 2) own.swap16()
  else if (swap === 4) own.swap32()
  else if (swap === 8) own.swap64()
  const strides = fortran === true ? contiguous([...sides].reverse()).reverse() : contiguous(sides)
  return { name, dtype, shape: sides, source: { kind: 'packed', path, codec: 'inline', parameters: own, strides } }
}

/** Python 2 and the older protocols keep bytes as text of the same code points, which is too long here to have been decoded. */
function latin1(bytes: Uint8Array): Uint8Array {
  return Buffer.from(Buffer.from(bytes).toString('utf8'), 'latin1')
}

interface State {
  readonly shape: Value | undefined
  readonly type: Value | undefined
  readonly fortran: Value | undefined
  readonly bytes: Value | undefined
}

function stateOf({ callee, args, state }: Inert): State {
  if (callee instanceof Global && callee.name === '_frombuffer') {
    const [bytes, type, shape, order] = args
    return { bytes, type, shape, fortran: order === 'F' }
  }
  const [, shape, type, fortran, bytes] = Array.isArray(state) ? state : []
  return { shape, type, fortran, bytes }
}

/** Whether more would be done to what a call makes than its own writer does. */
function isChanged({ callee, items, state }: Inert): boolean {
  if (items.length > 0) return true
  if (!(callee instanceof Global) || state === undefined) return false
  if (callee.name === '_frombuffer') return true
  // Of a dtype: version, byte order, then what records, arrays and fields have.
  return callee.name === 'dtype' && Array.isArray(state) && state.slice(2, 5).some(part => part !== null)
}

/** `<f4` of `numpy.dtype('f4')` whose state says the byte order. */
function typeText(type: Value | undefined): string {
  if (!(type instanceof Inert)) return type instanceof Global ? type.name : 'unknown'
  const [code] = type.args
  const [, order] = Array.isArray(type.state) ? type.state : []
  if (typeof code !== 'string') return code instanceof Global ? code.name : 'unknown'
  return `${typeof order === 'string' && /^[<>|=]$/.test(order) ? order : '<'}${code}`
}

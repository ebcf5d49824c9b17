import { RandomAccessFile } from '../bytes/file.ts'
import { unpack } from './codecs.ts'
import { DTYPE_BITS, type FloatDType, isFloat, size, type Tensor } from './types.ts'
import { widen } from './widen.ts'

/** Ends of keys under which modules keep what they learn: their contents are not looked at. */
const LEARNED =
  /(?:weight|weights|kernel|embeddings?|bias|gamma|beta|scale|lora_\w+|original\d?|_[gv]|codebook|tokens?|W|w)(?:_?\d+|_ih\w*|_hh\w*)?$/
/** Bytes that are read of each. */
const SAMPLE = 32 * 1024
/** Tensors that are looked at, of a checkpoint. */
const MOST = 2_000
/** Elements without which nothing can be told. */
const LEAST = 64

/**
 * Marks floating-point matrices that are no weights by what they hold, where their names say neither: masks (one number and zeros),
 * and tables of sines and cosines of positions. A small part of each is read.
 */
export async function markConstants(tensors: readonly Tensor[]): Promise<Tensor[]> {
  const marked: Tensor[] = []
  let looked = 0
  for (const tensor of tensors) {
    const constant = mayBeConstant(tensor) && looked++ < MOST ? constantIn(tensor, await sample(tensor)) : undefined
    marked.push(constant === undefined ? tensor : { ...tensor, constant })
  }
  return marked
}

const PLAIN: ReadonlySet<string> = new Set(['range', 'hdf5-chunks', 'onnx-values', 'inline'])

function mayBeConstant({ name, label, dtype, shape, source, skip, companion, broken }: Tensor): boolean {
  if (!isFloat(dtype) || skip !== undefined || companion || broken !== undefined) return false
  if (shape.length !== 2 && shape.length !== 4) return false
  // What has to be dequantised for it is not looked at.
  if (source.kind === 'packed' && !PLAIN.has(source.codec)) return false
  return size(shape) >= LEAST && !LEARNED.test((label ?? name).replace(/:0$/, ''))
}

/** The first elements in the order in which they are stored. */
async function sample({ dtype, shape, source }: Tensor): Promise<Float64Array> {
  const bytes = Math.min(SAMPLE, (size(shape) * DTYPE_BITS[dtype]) / 8)
  if (source.kind === 'file') {
    const file = await RandomAccessFile.open(source.path)
    try {
      return widen(dtype as FloatDType, await file.read(source.offset, Math.min(bytes, file.size - source.offset)))
    } finally {
      await file.close()
    }
  }
  for await (const piece of unpack(source)) {
    const whole = piece.length - (piece.length % 8)
    return widen(dtype as FloatDType, piece.subarray(0, Math.min(bytes, whole)))
  }
  return new Float64Array(0)
}

function constantIn({ shape, source: { strides } }: Tensor, values: Float64Array): string | undefined {
  if (values.length < LEAST) return undefined
  const others = values.filter(value => value !== 0)
  if (others.length > 0 && others.length < values.length && others.every(value => value === others[0])) {
    return 'a mask: zeros and one other number'
  }
  const rowMajor = strides[strides.length - 1] === 1
  return rowMajor && isTableOfAngles(values, shape[shape.length - 1]) ? 'a table of sines or cosines' : undefined
}

const CLOSE = 2e-3

/** Rows of positions from 0 on: the first has sin 0 and cos 0 alone, and the second begins with sin 1 or cos 1. */
function isTableOfAngles(values: Float64Array, columns: number): boolean {
  if (values.length < 2 * columns || columns < 2) return false
  const row = values.subarray(0, columns)
  const next = values.subarray(columns, 2 * columns)
  const angles = [Math.sin(1), Math.cos(1)]
  return (
    row.every(value => value === 0 || value === 1) &&
    values.every(value => Math.abs(value) <= 1) &&
    angles.some(angle => Math.abs(next[0] - angle) < CLOSE)
  )
}

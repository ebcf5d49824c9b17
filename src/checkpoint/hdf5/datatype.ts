import type { DType } from '../elements.ts'
import type { Cursor } from './cursor.ts'

/** What one element is. `fixed-text` and `text` (of variable length, in a global heap) are what Keras keeps names in. */
export type ElementType =
  | { readonly kind: 'number'; readonly dtype: DType; readonly bytes: number; readonly bigEndian: boolean }
  | { readonly kind: 'fixed-text'; readonly bytes: number }
  | { readonly kind: 'text'; readonly bytes: number }
  | { readonly kind: 'other'; readonly bytes: number; readonly name: string }

const NAMES = [
  'integers',
  'floats',
  'times',
  'text',
  'bit fields',
  'opaque bytes',
  'records',
  'references',
  'enumerations',
  'sequences',
  'arrays',
]
/** Place and width of the exponent, place and width of the mantissa, bias. */
const FLOATS: Record<string, DType> = {
  '52 11 0 52 1023': 'F64',
  '23 8 0 23 127': 'F32',
  '10 5 0 10 15': 'F16',
  '7 8 0 7 127': 'BF16',
}
const SIGNED: Record<number, DType> = { 1: 'I8', 2: 'I16', 4: 'I32', 8: 'I64' }
const UNSIGNED: Record<number, DType> = { 1: 'U8', 2: 'U16', 4: 'U32', 8: 'U64' }

/** Reads a datatype message. */
export function readDatatype(cursor: Cursor): ElementType {
  const first = cursor.u8()
  const flags = cursor.uint(3)
  const bytes = cursor.u32()
  const kind = NAMES[first & 0x0f] ?? 'elements of an unknown kind'
  if (bytes === 0) throw cursor.error('is a type of no bytes')
  if (kind === 'text') return { kind: 'fixed-text', bytes }
  if (kind === 'sequences' && (flags & 0x0f) === 1) return { kind: 'text', bytes }
  const dtype = kind === 'floats' ? float(cursor, bytes) : kind === 'integers' ? integer(flags, bytes) : undefined
  if (dtype) return { kind: 'number', dtype, bytes, bigEndian: bytes > 1 && (flags & 1) === 1 }
  // h5py keeps booleans as an enumeration.
  if (kind === 'enumerations' && bytes === 1) return { kind: 'number', dtype: 'BOOL', bytes, bigEndian: false }
  return { kind: 'other', bytes, name: kind === 'floats' || kind === 'integers' ? `${kind} of ${bytes} bytes` : kind }
}

function float(cursor: Cursor, bytes: number): DType | undefined {
  cursor.skip(4)
  const layout = [cursor.u8(), cursor.u8(), cursor.u8(), cursor.u8(), cursor.u32()].join(' ')
  const dtype = FLOATS[layout]
  return dtype && bytes === { F64: 8, F32: 4, F16: 2, BF16: 2 }[dtype as string] ? dtype : undefined
}

function integer(flags: number, bytes: number): DType | undefined {
  return (flags & 8 ? SIGNED : UNSIGNED)[bytes]
}

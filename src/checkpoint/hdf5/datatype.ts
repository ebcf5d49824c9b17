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
  const dtype =
    kind === 'floats' ? float(cursor, flags, bytes) : kind === 'integers' ? integer(cursor, flags, bytes) : undefined
  if (dtype) return { kind: 'number', dtype, bytes, bigEndian: bytes > 1 && (flags & 1) === 1 }
  // h5py keeps booleans as an enumeration.
  if (kind === 'enumerations' && bytes === 1) return { kind: 'number', dtype: 'BOOL', bytes, bigEndian: false }
  return { kind: 'other', bytes, name: kind === 'floats' || kind === 'integers' ? `${kind} of ${bytes} bytes` : kind }
}

/** IEEE's formats alone: VAX's byte order, another place of the sign, another normalisation give other numbers of the same bits. */
function float(cursor: Cursor, flags: number, bytes: number): DType | undefined {
  const usual = (flags & 0x40) === 0 && ((flags >> 4) & 3) === IMPLIED && flags >> 8 === 8 * bytes - 1
  if (!(isWhole(cursor, bytes) && usual)) return undefined
  const layout = [cursor.u8(), cursor.u8(), cursor.u8(), cursor.u8(), cursor.u32()].join(' ')
  const dtype = FLOATS[layout]
  return dtype && bytes === { F64: 8, F32: 4, F16: 2, BF16: 2 }[dtype as string] ? dtype : undefined
}

/** Whether the bits that count are all of the element's: their offset, their number. */
function isWhole(cursor: Cursor, bytes: number): boolean {
  const [offset, precision] = [cursor.uint(2), cursor.uint(2)]
  return offset === 0 && precision === 8 * bytes
}

/** The first bit of the mantissa is not stored. */
const IMPLIED = 2

function integer(cursor: Cursor, flags: number, bytes: number): DType | undefined {
  if (!isWhole(cursor, bytes)) return undefined
  return (flags & 8 ? SIGNED : UNSIGNED)[bytes]
}

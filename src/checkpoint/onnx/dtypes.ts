import type { DType } from '../types.ts'

/** A repeated field of TensorProto that holds values. */
export interface ValueField {
  readonly number: number
  /** Bytes that a value takes in the file; 0 for a varint. */
  readonly width: 0 | 4 | 8
}

export interface ElementType {
  readonly name: string
  readonly dtype: DType
  readonly bits: number
  /** Where its values lie if not in raw_data. */
  readonly field: ValueField
  /** No type of ours has such values, or they are packed below a byte: `dtype` is the nearest one, and they are not read. */
  readonly unread?: true
}

const FLOATS: ValueField = { number: 4, width: 4 }
const INT32S: ValueField = { number: 5, width: 0 }
const STRINGS: ValueField = { number: 6, width: 0 }
const INT64S: ValueField = { number: 7, width: 0 }
const DOUBLES: ValueField = { number: 10, width: 8 }
const UINT64S: ValueField = { number: 11, width: 0 }

/** TensorProto.DataType, and the field that holds each type's values. Source: onnx/onnx.proto of onnx 1.23. */
const ELEMENT_TYPES: readonly (ElementType | undefined)[] = [
  undefined,
  { name: 'FLOAT', dtype: 'F32', bits: 32, field: FLOATS },
  { name: 'UINT8', dtype: 'U8', bits: 8, field: INT32S },
  { name: 'INT8', dtype: 'I8', bits: 8, field: INT32S },
  { name: 'UINT16', dtype: 'U16', bits: 16, field: INT32S },
  { name: 'INT16', dtype: 'I16', bits: 16, field: INT32S },
  { name: 'INT32', dtype: 'I32', bits: 32, field: INT32S },
  { name: 'INT64', dtype: 'I64', bits: 64, field: INT64S },
  { name: 'STRING', dtype: 'U8', bits: 8, field: STRINGS, unread: true },
  { name: 'BOOL', dtype: 'BOOL', bits: 8, field: INT32S },
  { name: 'FLOAT16', dtype: 'F16', bits: 16, field: INT32S },
  { name: 'DOUBLE', dtype: 'F64', bits: 64, field: DOUBLES },
  { name: 'UINT32', dtype: 'U32', bits: 32, field: UINT64S },
  { name: 'UINT64', dtype: 'U64', bits: 64, field: UINT64S },
  { name: 'COMPLEX64', dtype: 'C64', bits: 64, field: FLOATS },
  { name: 'COMPLEX128', dtype: 'C128', bits: 128, field: DOUBLES },
  { name: 'BFLOAT16', dtype: 'BF16', bits: 16, field: INT32S },
  { name: 'FLOAT8E4M3FN', dtype: 'F8_E4M3', bits: 8, field: INT32S },
  { name: 'FLOAT8E4M3FNUZ', dtype: 'F8_E4M3FNUZ', bits: 8, field: INT32S, unread: true },
  { name: 'FLOAT8E5M2', dtype: 'F8_E5M2', bits: 8, field: INT32S },
  { name: 'FLOAT8E5M2FNUZ', dtype: 'F8_E5M2FNUZ', bits: 8, field: INT32S, unread: true },
  { name: 'UINT4', dtype: 'U8', bits: 4, field: INT32S, unread: true },
  { name: 'INT4', dtype: 'I8', bits: 4, field: INT32S, unread: true },
  { name: 'FLOAT4E2M1', dtype: 'F4', bits: 4, field: INT32S, unread: true },
  { name: 'FLOAT8E8M0', dtype: 'F8_E8M0', bits: 8, field: INT32S },
  { name: 'UINT2', dtype: 'U8', bits: 2, field: INT32S, unread: true },
  { name: 'INT2', dtype: 'I8', bits: 2, field: INT32S, unread: true },
  { name: 'FLOAT6E2M3', dtype: 'F6_E2M3', bits: 6, field: INT32S, unread: true },
  { name: 'FLOAT6E3M2', dtype: 'F6_E3M2', bits: 6, field: INT32S, unread: true },
]

/** A type by its number in the file; one that is not known is described, and not read. */
export function elementType(number: number): ElementType {
  return ELEMENT_TYPES[number] ?? { name: `type ${number}`, dtype: 'U8', bits: 8, field: INT32S, unread: true }
}

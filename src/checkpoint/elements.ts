/** Element types, named as safetensors names them. */
export type DType = keyof typeof DTYPE_BITS

/** Bits of one element. */
export const DTYPE_BITS = {
  F64: 64,
  F32: 32,
  F16: 16,
  BF16: 16,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  F8_E8M0: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
  C64: 64,
  C128: 128,
  I64: 64,
  U64: 64,
  I32: 32,
  U32: 32,
  I16: 16,
  U16: 16,
  I8: 8,
  U8: 8,
  BOOL: 8,
} as const

/** The types whose values the engine reads as weights. */
export const FLOATS = ['F64', 'F32', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2'] as const
export type FloatDType = (typeof FLOATS)[number]

/** Types that a mask may have: they are read where they multiply a weight. */
export type MaskDType = 'BOOL' | 'U8'

export function isFloat(dtype: DType): dtype is FloatDType {
  return (FLOATS as readonly DType[]).includes(dtype)
}

/** Strides, in elements, of a dense row-major tensor. */
export function contiguous(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = stride
    stride *= shape[d]
  }
  return strides
}

/** The number of elements; Infinity or an unsafe integer where the product overflows, which callers must refuse. */
export function size(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1)
}

import type { FloatDType, MaskDType } from './elements.ts'

/**
 * Little-endian elements to doubles, exactly. F16 is IEEE binary16, BF16 the upper half of binary32, F8_E4M3 the OCP `fn`
 * variant (no infinities, NaN at S.1111.111), F8_E5M2 the OCP variant with infinities. A BOOL is 0 or 1.
 *
 * @param bytes whole elements
 * @returns one double an element
 */
export function widen(dtype: FloatDType | MaskDType, bytes: Uint8Array): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  switch (dtype) {
    case 'F64':
      return each(bytes.length / 8, i => view.getFloat64(8 * i, true))
    case 'F32':
      return each(bytes.length / 4, i => view.getFloat32(4 * i, true))
    case 'F16':
      return each(bytes.length / 2, i => half(view.getUint16(2 * i, true)))
    case 'BF16':
      return each(bytes.length / 2, i => upperHalf(view.getUint16(2 * i, true)))
    case 'F8_E4M3':
      return each(bytes.length, i => E4M3[bytes[i]])
    case 'F8_E5M2':
      return each(bytes.length, i => E5M2[bytes[i]])
    case 'U8':
      return each(bytes.length, i => bytes[i])
    case 'BOOL':
      return each(bytes.length, i => (bytes[i] === 0 ? 0 : 1))
  }
}

/** `Float64Array.from` takes several times as long. */
function each(length: number, value: (i: number) => number): Float64Array {
  const values = new Float64Array(length)
  for (let i = 0; i < length; i++) values[i] = value(i)
  return values
}

/** An IEEE-like float of 8 bits; without `infinities` the top exponent holds ordinary numbers. */
function small(bits: number, exponent: number, mantissa: number, infinities: boolean): number {
  const top = (1 << exponent) - 1
  const bias = top >> 1
  const e = (bits >> mantissa) & top
  const m = bits & ((1 << mantissa) - 1)
  const sign = bits >> 7 ? -1 : 1
  if (infinities && e === top) return m ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return e === 0
    ? sign * m * powerOfTwo(1 - bias - mantissa)
    : sign * (m + (1 << mantissa)) * powerOfTwo(e - bias - mantissa)
}

/** 2^n for −31 < n < 31, exactly. */
function powerOfTwo(n: number): number {
  return n < 0 ? 1 / (1 << -n) : 1 << n
}

function upperHalf(encoded: number): number {
  scratch.setUint32(0, encoded << 16)
  return scratch.getFloat32(0)
}

/** IEEE binary16 to a number, exactly. */
export function half(encoded: number): number {
  const exponent = (encoded >> 10) & 0x1f
  const mantissa = encoded & 0x3ff
  if (exponent === 0) return encoded & 0x8000 ? -mantissa * SUBNORMAL : mantissa * SUBNORMAL
  scratch.setUint32(0, ((encoded & 0x8000) << 16) | ((exponent === 31 ? 255 : exponent + 112) << 23) | (mantissa << 13))
  return scratch.getFloat32(0)
}

const SUBNORMAL = 1 / 16_777_216
const scratch = new DataView(new ArrayBuffer(4))
/** What each byte stands for. */
const E4M3 = each(256, byte => ((byte & 0x7f) === 0x7f ? Number.NaN : small(byte, 4, 3, false)))
const E5M2 = each(256, byte => small(byte, 5, 2, true))

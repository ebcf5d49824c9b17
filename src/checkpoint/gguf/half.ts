const SUBNORMAL = 1 / 16_777_216
const bits = new Uint32Array(1)
const single = new Float32Array(bits.buffer)

/** IEEE binary16 to a number, exactly. */
export function half(encoded: number): number {
  const sign = encoded & 0x8000
  const exponent = (encoded >> 10) & 0x1f
  const mantissa = encoded & 0x3ff
  if (exponent === 0) return sign ? -mantissa * SUBNORMAL : mantissa * SUBNORMAL
  bits[0] = (sign << 16) | ((exponent === 31 ? 255 : exponent + 112) << 23) | (mantissa << 13)
  return single[0]
}

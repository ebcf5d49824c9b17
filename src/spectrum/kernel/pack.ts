/** Element types, as the wrapper numbers them. */
const F64: i32 = 0
const F32: i32 = 1
const F16: i32 = 2
const BF16: i32 = 3
const F8_E4M3: i32 = 4
const F8_E5M2: i32 = 5

const ROWS: usize = 16

/**
 * Widens a chunk of a matrix A (k×n, raw little-endian elements) to doubles, exactly, and packs it for `tile`: panels of four
 * columns, k deep, element (p, i) at panel ⌊i/4⌋, 32p + 8(i mod 4); columns from n up to the next multiple of four are zero.
 *
 * @param source address of element (0, 0)
 * @param pStride bytes from element (p, i) to (p + 1, i)
 * @param iStride bytes from element (p, i) to (p, i + 1)
 * @returns whether every element is finite
 */
export function pack(dtype: i32, source: usize, pStride: usize, iStride: usize, k: usize, n: usize, panels: usize): bool {
  let sum: f64 = 0
  const wide = dtype == F32 && iStride == 4 ? n - (n & 3) : 0
  // A few rows at a time: rows a power of two apart share their cache sets.
  for (let p: usize = 0; p < k; p += ROWS) {
    for (let i: usize = 0; i < wide; i += 4) {
      sum += packF32(source + p * pStride + i * 4, pStride, min(ROWS, k - p), panels + 8 * (i * k + 4 * p))
    }
  }
  for (let i = wide; i < n; i += 4) {
    const width = min<usize>(4, n - i)
    const panel = panels + i * k * 8
    if (width < 4) memory.fill(panel, 0, k * 32)
    for (let r: usize = 0; r < width; r++) {
      sum += packColumn(dtype, source + (i + r) * iStride, pStride, k, panel + 8 * r)
    }
  }
  return sum == 0
}

/** Four neighbouring F32 columns. Returns 0, or NaN where an element is not finite. */
function packF32(source: usize, pStride: usize, k: usize, panel: usize): f64 {
  let sum = f64x2.splat(0)
  for (const end = panel + (k << 5); panel < end; panel += 32) {
    const four = v128.load(source)
    const low = f64x2.promote_low_f32x4(four)
    const high = f64x2.promote_low_f32x4(v128.shuffle<i64>(four, four, 1, 0))
    v128.store(panel, low)
    v128.store(panel, high, 16)
    sum = f64x2.add(sum, f64x2.add(f64x2.sub(low, low), f64x2.sub(high, high)))
    source += pStride
  }
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1)
}

/** One column of any type. Returns 0, or NaN where an element is not finite. */
function packColumn(dtype: i32, source: usize, pStride: usize, k: usize, panel: usize): f64 {
  let sum: f64 = 0
  for (const end = panel + (k << 5); panel < end; panel += 32) {
    const value = widen(dtype, source)
    store<f64>(panel, value)
    sum += value - value
    source += pStride
  }
  return sum
}

/**
 * One element. The small types are moved to the top of a binary32's exponent and mantissa and scaled by the difference of the
 * biases, which is exact for subnormals too.
 */
@inline
export function widen(dtype: i32, source: usize): f64 {
  if (dtype == F64) return load<f64>(source)
  if (dtype == F32) return load<f32>(source)
  if (dtype == BF16) return reinterpret<f32>(<u32>load<u16>(source) << 16)
  if (dtype == F16) return half(<u32>load<u16>(source))
  if (dtype == F8_E5M2) return half(<u32>load<u8>(source) << 8)
  if (dtype == F8_E4M3) return e4m3(<u32>load<u8>(source))
  return f64.NaN
}

@inline
function half(bits: u32): f64 {
  if ((bits & 0x7c00) == 0x7c00) return f64.NaN
  const magnitude = <f64>reinterpret<f32>((bits & 0x7fff) << 13) * reinterpret<f64>((<u64>(1023 + 112)) << 52)
  return bits & 0x8000 ? -magnitude : magnitude
}

/** The OCP `fn` variant: no infinities, NaN at S.1111.111. */
@inline
function e4m3(bits: u32): f64 {
  if ((bits & 0x7f) == 0x7f) return f64.NaN
  const magnitude = <f64>reinterpret<f32>((bits & 0x7f) << 20) * reinterpret<f64>((<u64>(1023 + 120)) << 52)
  return bits & 0x80 ? -magnitude : magnitude
}

/**
 * Sums of squares below this have lost digits to underflow: H would not be orthogonal. The matrix is scaled to about 1, so what
 * they stand for, less than 1e-140 of it, is nothing.
 */
export const LEAST_SQUARES: f64 = 1e-280

/**
 * A Householder reflector H = I − tau·v·vᵀ with H·x = beta·e₁ and v₀ = 1 (LAPACK's `dlarfg`). The caller has scaled the matrix so
 * that squares do not overflow.
 *
 * @param x address of s contiguous doubles; on return x₀ = beta and the rest is 0
 * @param v receives s doubles
 * @returns tau; 0 where x is a multiple of e₁ already
 */
export function reflector(x: usize, s: usize, v: usize): f64 {
  let squares: f64 = 0
  for (let i: usize = 1; i < s; i++) {
    const value = load<f64>(x + 8 * i)
    squares += value * value
  }
  store<f64>(v, 1)
  if (squares < LEAST_SQUARES) {
    memory.fill(v + 8, 0, 8 * (s - 1))
    memory.fill(x + 8, 0, 8 * (s - 1))
    return 0
  }
  const first = load<f64>(x)
  const beta = -copysign(sqrt(first * first + squares), first)
  const scale = 1 / (first - beta)
  for (let i: usize = 1; i < s; i++) store<f64>(v + 8 * i, load<f64>(x + 8 * i) * scale)
  store<f64>(x, beta)
  memory.fill(x + 8, 0, 8 * (s - 1))
  return (beta - first) / beta
}

/**
 * D := H·D·H for a symmetric block D (s×s, lower triangle, column-major, `ld` doubles from column to column), as a rank-2 update:
 * w = tau·D·v − ½·tau²·(vᵀDv)·v, D −= v·wᵀ + w·vᵀ (LAPACK's `dsytd2`).
 *
 * @param w room for s doubles
 */
export function applyBothSides(d: usize, ld: usize, s: usize, v: usize, tau: f64, w: usize): void {
  memory.fill(w, 0, 8 * s)
  for (let c: usize = 0; c < s; c++) multiplyColumn(d + 8 * c * (ld + 1), s - c, v + 8 * c, w + 8 * c)
  const half = -0.5 * tau * tau * dot(v, w, s)
  for (let i: usize = 0; i < s; i++) store<f64>(w + 8 * i, tau * load<f64>(w + 8 * i) + half * load<f64>(v + 8 * i))
  for (let c: usize = 0; c < s; c++) {
    axpy2(d + 8 * c * (ld + 1), v + 8 * c, -load<f64>(w + 8 * c), w + 8 * c, -load<f64>(v + 8 * c), s - c)
  }
}

/** y += D·v for one column of a lower triangle: `column` begins on the diagonal, as do v and y. */
function multiplyColumn(column: usize, s: usize, v: usize, y: usize): void {
  const factor = load<f64>(v)
  let sum = load<f64>(column) * factor
  let i: usize = 1
  let sums = f64x2.splat(0)
  const factors = f64x2.splat(factor)
  for (; i + 1 < s; i += 2) {
    const two = v128.load(column + 8 * i)
    sums = f64x2.add(sums, f64x2.mul(two, v128.load(v + 8 * i)))
    v128.store(y + 8 * i, f64x2.add(v128.load(y + 8 * i), f64x2.mul(two, factors)))
  }
  for (; i < s; i++) {
    const value = load<f64>(column + 8 * i)
    sum += value * load<f64>(v + 8 * i)
    store<f64>(y + 8 * i, load<f64>(y + 8 * i) + value * factor)
  }
  store<f64>(y, load<f64>(y) + sum + f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1))
}

/** xᵀy over s doubles. */
export function dot(x: usize, y: usize, s: usize): f64 {
  let sums = f64x2.splat(0)
  let i: usize = 0
  for (; i + 1 < s; i += 2) sums = f64x2.add(sums, f64x2.mul(v128.load(x + 8 * i), v128.load(y + 8 * i)))
  let sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1)
  if (i < s) sum += load<f64>(x + 8 * i) * load<f64>(y + 8 * i)
  return sum
}

/** y += a·x over s doubles. */
export function axpy(y: usize, x: usize, a: f64, s: usize): void {
  const factor = f64x2.splat(a)
  let i: usize = 0
  for (; i + 1 < s; i += 2)
    v128.store(y + 8 * i, f64x2.add(v128.load(y + 8 * i), f64x2.mul(factor, v128.load(x + 8 * i))))
  if (i < s) store<f64>(y + 8 * i, load<f64>(y + 8 * i) + a * load<f64>(x + 8 * i))
}

/** y += a·x + b·z over s doubles. */
function axpy2(y: usize, x: usize, a: f64, z: usize, b: f64, s: usize): void {
  const as = f64x2.splat(a)
  const bs = f64x2.splat(b)
  let i: usize = 0
  for (; i + 1 < s; i += 2) {
    const sum = f64x2.add(f64x2.mul(as, v128.load(x + 8 * i)), f64x2.mul(bs, v128.load(z + 8 * i)))
    v128.store(y + 8 * i, f64x2.add(v128.load(y + 8 * i), sum))
  }
  if (i < s) store<f64>(y + 8 * i, load<f64>(y + 8 * i) + (a * load<f64>(x + 8 * i) + b * load<f64>(z + 8 * i)))
}

import { applyBothSides, reflector } from './householder'

/**
 * A symmetric matrix to tridiagonal form, one reflector a column (LAPACK's `dsytd2`): for small orders, where blocking does not pay.
 *
 * @param a lower triangle, column-major, `ld` doubles from column to column; destroyed
 * @param d receives n diagonal, e the n − 1 subdiagonal elements
 * @param work 2n doubles
 */
export function tridiagonalise(a: usize, ld: usize, n: usize, d: usize, e: usize, work: usize): void {
  for (let j: usize = 0; j + 1 < n; j++) {
    const column = a + 8 * (j * ld + j)
    const tau = reflector(column + 8, n - j - 1, work)
    if (tau != 0) applyBothSides(column + 8 * (ld + 1), ld, n - j - 1, work, tau, work + 8 * n)
    store<f64>(d + 8 * j, load<f64>(column))
    store<f64>(e + 8 * j, load<f64>(column + 8))
  }
  store<f64>(d + 8 * (n - 1), load<f64>(a + 8 * ((n - 1) * ld + n - 1)))
}

/**
 * Copies the band of a lower triangle into column band storage: element (i, j), j ≤ i ≤ j + b, at j·2b + i − j. The upper half of
 * each column is 0, room for the bulges.
 */
export function extractBand(a: usize, ld: usize, n: usize, b: usize, band: usize): void {
  memory.fill(band, 0, 16 * n * b)
  for (let j: usize = 0; j < n; j++) {
    memory.copy(band + 16 * j * b, a + 8 * (j * ld + j), 8 * min(b + 1, n - j))
  }
}

/**
 * Sweeps `from` … `to` − 1 of the chase that takes a band matrix to tridiagonal form: each sweep annihilates one column below the
 * subdiagonal by a reflector, and chases the bulge that this makes down the band, only its first column at a time.
 * Sources: Lang, Parallel Computing 19 (1993); Haidar, Ltaief, Dongarra, SC11 (2011); LAPACK's `dsb2st_kernels`.
 *
 * @param band of `extractBand`. Read as a column-major matrix, 2b − 1 doubles lie from column to column.
 * @param work 3b doubles
 */
export function chase(band: usize, n: usize, b: usize, from: usize, to: usize, work: usize): void {
  const ld: usize = 2 * b - 1
  let v = work
  let next = work + 8 * b
  const w = work + 16 * b
  for (let j = from; j < to; j++) {
    let r = j + 1
    let s = min(b, n - r)
    let tau = reflector(band + 8 * (j * ld + r), s, v)
    while (true) {
      const below = r + s
      if (tau != 0) applyBothSides(band + 8 * (r * ld + r), ld, s, v, tau, w)
      if (below >= n) break
      const rows = min(b, n - below)
      const bulge = band + 8 * (r * ld + below)
      if (tau != 0) applyRight(bulge, ld, rows, s, v, tau, w)
      tau = reflector(bulge, rows, next)
      if (tau != 0) applyLeft(bulge + 8 * ld, ld, rows, s - 1, next, tau)
      const swap = v
      v = next
      next = swap
      r = below
      s = rows
    }
  }
}

/** B := B·H, B rows×s column-major: u = B·v, B −= tau·u·vᵀ. */
function applyRight(b: usize, ld: usize, rows: usize, s: usize, v: usize, tau: f64, u: usize): void {
  memory.fill(u, 0, 8 * rows)
  for (let c: usize = 0; c < s; c++) {
    const column = b + 8 * c * ld
    const factor = load<f64>(v + 8 * c)
    const factors = f64x2.splat(factor)
    let i: usize = 0
    for (; i + 1 < rows; i += 2) {
      v128.store(u + 8 * i, f64x2.add(v128.load(u + 8 * i), f64x2.mul(factors, v128.load(column + 8 * i))))
    }
    if (i < rows) store<f64>(u + 8 * i, load<f64>(u + 8 * i) + factor * load<f64>(column + 8 * i))
  }
  for (let c: usize = 0; c < s; c++) {
    const column = b + 8 * c * ld
    const factor = tau * load<f64>(v + 8 * c)
    const factors = f64x2.splat(factor)
    let i: usize = 0
    for (; i + 1 < rows; i += 2) {
      v128.store(column + 8 * i, f64x2.sub(v128.load(column + 8 * i), f64x2.mul(factors, v128.load(u + 8 * i))))
    }
    if (i < rows) store<f64>(column + 8 * i, load<f64>(column + 8 * i) - factor * load<f64>(u + 8 * i))
  }
}

/** B := H·B, B rows×s column-major, column by column. */
function applyLeft(b: usize, ld: usize, rows: usize, s: usize, v: usize, tau: f64): void {
  for (let c: usize = 0; c < s; c++) {
    const column = b + 8 * c * ld
    let sums = f64x2.splat(0)
    let i: usize = 0
    for (; i + 1 < rows; i += 2) sums = f64x2.add(sums, f64x2.mul(v128.load(v + 8 * i), v128.load(column + 8 * i)))
    let sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1)
    if (i < rows) sum += load<f64>(v + 8 * i) * load<f64>(column + 8 * i)
    const factor = tau * sum
    const factors = f64x2.splat(factor)
    i = 0
    for (; i + 1 < rows; i += 2) {
      v128.store(column + 8 * i, f64x2.sub(v128.load(column + 8 * i), f64x2.mul(factors, v128.load(v + 8 * i))))
    }
    if (i < rows) store<f64>(column + 8 * i, load<f64>(column + 8 * i) - factor * load<f64>(v + 8 * i))
  }
}

/** Diagonal and subdiagonal of a band that is tridiagonal by now. */
export function extractTridiagonal(band: usize, n: usize, b: usize, d: usize, e: usize): void {
  for (let j: usize = 0; j < n; j++) {
    store<f64>(d + 8 * j, load<f64>(band + 16 * j * b))
    if (j + 1 < n) store<f64>(e + 8 * j, load<f64>(band + 16 * j * b + 8))
  }
}

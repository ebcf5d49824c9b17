import { LEAST_SQUARES } from './householder'
import { block, packedBlock, transposedBlock } from './tile'

/** Rows of a block of A₂₂: a packed block and its panels stay in the second-level cache. */
const BLOCK: usize = 64

/** Doubles of work space that `bandStep` needs for order n and bandwidth b. */
export function bandWork(n: usize, b: usize): usize {
  return 8 * n * b + BLOCK * BLOCK + 6 * b * b + 2 * b
}

/**
 * One step of the reduction of a symmetric matrix to bandwidth b: columns j … j+b−1 below the band are annihilated by a blocked
 * Householder QR of the panel, Q = I − V·T·Vᵀ, and Q is applied to the trailing matrix from both sides:
 * X = A₂₂VT, Z = X − ½·V·TᵀVᵀX, A₂₂ −= V·Zᵀ + Z·Vᵀ.
 * Sources: Schreiber and Van Loan, SIAM J. Sci. Stat. Comput. 10 (1989), compact WY; Bischof, Lang, Sun, ACM TOMS 26 (2000),
 * successive band reduction; LAPACK's `dsytrd_sy2sb`.
 *
 * @param a lower triangle, column-major, `ld` doubles from column to column, order n, a multiple of b
 * @param j a multiple of b below n − b
 * @param work `bandWork(n, b)` doubles
 */
export function bandStep(a: usize, ld: usize, n: usize, b: usize, j: usize, work: usize): void {
  const m = n - j - b
  const bytes = m * b * 8
  const v = work
  const x = v + bytes
  const vColumns = x + bytes
  const xColumns = vColumns + bytes
  const u = xColumns + bytes
  const w = u + 2 * bytes
  const diagonal = w + 2 * bytes
  const t = diagonal + 8 * BLOCK * BLOCK
  const small = t + 8 * b * b
  const panel = a + 8 * (j * ld + j + b)
  const trailing = panel + 8 * b * ld

  factorPanel(panel, ld, m, b, v, t, small)
  packColumns(v, m, b, vColumns)
  multiplySymmetric(trailing, ld, m, b, vColumns, x, diagonal)

  // X = Y·T
  packRows(x, m, b, u, b, 0)
  packColumns(t, b, b, small)
  memory.fill(x, 0, bytes)
  packedBlock(x, 8 * b, small, b / 4, u, m / 4, b, 1, false)

  // Z = X − ½·V·S with S = TᵀVᵀX
  const vx = small + 8 * b * b
  const s = vx + 8 * b * b
  packColumns(x, m, b, xColumns)
  memory.fill(vx, 0, 8 * b * b)
  for (let p: usize = 0; p < m; p += BLOCK) {
    packedBlock(vx, 8 * b, xColumns + 8 * p * b, b / 4, vColumns + 8 * p * b, b / 4, min(BLOCK, m - p), 1, false)
  }
  multiplyTransposed(t, vx, b, s)
  packColumns(s, b, b, small)
  packRows(v, m, b, u, b, 0)
  packedBlock(x, 8 * b, small, b / 4, u, m / 4, b, -0.5, false)

  packRows(v, m, b, u, 2 * b, 0)
  packRows(x, m, b, u, 2 * b, b)
  packRows(x, m, b, w, 2 * b, 0)
  packRows(v, m, b, w, 2 * b, b)
  for (let c: usize = 0; c < m; c += BLOCK) {
    const columns = min(BLOCK, m - c)
    for (let r = c; r < m; r += BLOCK) {
      const rows = min(BLOCK, m - r)
      const at = trailing + 8 * (c * ld + r)
      packedBlock(at, 8 * ld, u + 16 * r * b, rows / 4, w + 16 * c * b, columns / 4, 2 * b, -1, r == c)
    }
  }
}

/**
 * QR of the panel (m×b, m ≥ b, column-major): R goes back to its upper triangle, V (row-major, unit lower trapezoidal) and the
 * upper triangular T (row-major) are returned. LAPACK's `dgeqr2` and `dlarft`.
 *
 * @param work b·b + 2b doubles
 */
function factorPanel(panel: usize, ld: usize, m: usize, b: usize, v: usize, t: usize, work: usize): void {
  const sums = work
  const betas = sums + 8 * b
  for (let c: usize = 0; c < b; c++) copyStrided(panel + 8 * c * ld, 8, v + 8 * c, 8 * b, m)
  memory.fill(t, 0, 8 * b * b)
  for (let c: usize = 0; c < b; c++) {
    const top = v + 8 * (c * b + c)
    const tau = columnReflector(top, 8 * b, m - c, betas + 8 * c)
    for (let half: usize = 0; half < b; half += 16) sweepDot(v + 8 * (c * b + half), top, 8 * b, m - c, sums + 8 * half)
    // T's new column: −tau·T·(Vᵀv).
    for (let r: usize = 0; r < c; r++) {
      let sum: f64 = 0
      for (let p = r; p < c; p++) sum += load<f64>(t + 8 * (r * b + p)) * load<f64>(sums + 8 * p)
      store<f64>(t + 8 * (r * b + c), -tau * sum)
    }
    store<f64>(t + 8 * (c * b + c), tau)
    for (let p: usize = 0; p < b; p++) store<f64>(sums + 8 * p, p > c ? tau * load<f64>(sums + 8 * p) : 0)
    for (let half: usize = ((c + 1) / 16) * 16; half < b; half += 16) {
      sweepUpdate(v + 8 * (c * b + half), top, 8 * b, m - c, sums + 8 * half)
    }
  }
  for (let c: usize = 0; c < b; c++) {
    copyStrided(v + 8 * c, 8 * b, panel + 8 * c * ld, 8, c)
    store<f64>(panel + 8 * (c * ld + c), load<f64>(betas + 8 * c))
    for (let r: usize = 0; r < c; r++) store<f64>(v + 8 * (r * b + c), 0)
  }
}

/** The reflector of a strided column, in place with v₀ = 1: see `reflector`. Returns tau; beta is stored apart. */
function columnReflector(x: usize, stride: usize, s: usize, beta: usize): f64 {
  let squares: f64 = 0
  const end = x + s * stride
  for (let at = x + stride; at < end; at += stride) {
    const value = load<f64>(at)
    squares += value * value
  }
  const first = load<f64>(x)
  store<f64>(x, 1)
  if (squares < LEAST_SQUARES) {
    for (let at = x + stride; at < end; at += stride) store<f64>(at, 0)
    store<f64>(beta, first)
    return 0
  }
  const norm = -copysign(sqrt(first * first + squares), first)
  const scale = 1 / (first - norm)
  for (let at = x + stride; at < end; at += stride) store<f64>(at, load<f64>(at) * scale)
  store<f64>(beta, norm)
  return (norm - first) / norm
}

/** sums(16) = Σ vᵣ·row(r) over 16 columns of a row-major panel. */
function sweepDot(row: usize, v: usize, stride: usize, rows: usize, sums: usize): void {
  let s0 = f64x2.splat(0)
  let s1 = s0
  let s2 = s0
  let s3 = s0
  let s4 = s0
  let s5 = s0
  let s6 = s0
  let s7 = s0
  for (const end = row + rows * stride; row < end; row += stride, v += stride) {
    const factor = v128.load64_splat(v)
    s0 = f64x2.add(s0, f64x2.mul(factor, v128.load(row)))
    s1 = f64x2.add(s1, f64x2.mul(factor, v128.load(row, 16)))
    s2 = f64x2.add(s2, f64x2.mul(factor, v128.load(row, 32)))
    s3 = f64x2.add(s3, f64x2.mul(factor, v128.load(row, 48)))
    s4 = f64x2.add(s4, f64x2.mul(factor, v128.load(row, 64)))
    s5 = f64x2.add(s5, f64x2.mul(factor, v128.load(row, 80)))
    s6 = f64x2.add(s6, f64x2.mul(factor, v128.load(row, 96)))
    s7 = f64x2.add(s7, f64x2.mul(factor, v128.load(row, 112)))
  }
  v128.store(sums, s0)
  v128.store(sums, s1, 16)
  v128.store(sums, s2, 32)
  v128.store(sums, s3, 48)
  v128.store(sums, s4, 64)
  v128.store(sums, s5, 80)
  v128.store(sums, s6, 96)
  v128.store(sums, s7, 112)
}

/** row(r) −= vᵣ·sums(16) over 16 columns of a row-major panel. */
function sweepUpdate(row: usize, v: usize, stride: usize, rows: usize, sums: usize): void {
  const s0 = v128.load(sums)
  const s1 = v128.load(sums, 16)
  const s2 = v128.load(sums, 32)
  const s3 = v128.load(sums, 48)
  const s4 = v128.load(sums, 64)
  const s5 = v128.load(sums, 80)
  const s6 = v128.load(sums, 96)
  const s7 = v128.load(sums, 112)
  for (const end = row + rows * stride; row < end; row += stride, v += stride) {
    const factor = v128.load64_splat(v)
    v128.store(row, f64x2.sub(v128.load(row), f64x2.mul(factor, s0)))
    v128.store(row, f64x2.sub(v128.load(row, 16), f64x2.mul(factor, s1)), 16)
    v128.store(row, f64x2.sub(v128.load(row, 32), f64x2.mul(factor, s2)), 32)
    v128.store(row, f64x2.sub(v128.load(row, 48), f64x2.mul(factor, s3)), 48)
    v128.store(row, f64x2.sub(v128.load(row, 64), f64x2.mul(factor, s4)), 64)
    v128.store(row, f64x2.sub(v128.load(row, 80), f64x2.mul(factor, s5)), 80)
    v128.store(row, f64x2.sub(v128.load(row, 96), f64x2.mul(factor, s6)), 96)
    v128.store(row, f64x2.sub(v128.load(row, 112), f64x2.mul(factor, s7)), 112)
  }
}

/** Y = A·V (m×b, row-major) for a symmetric A given by its lower triangle, block by block: each block serves twice. */
function multiplySymmetric(a: usize, ld: usize, m: usize, b: usize, vColumns: usize, y: usize, diagonal: usize): void {
  memory.fill(y, 0, 8 * m * b)
  for (let c: usize = 0; c < m; c += BLOCK) {
    const columns = min(BLOCK, m - c)
    for (let r = c; r < m; r += BLOCK) {
      const rows = min(BLOCK, m - r)
      const at = a + 8 * (c * ld + r)
      const y0 = y + 8 * r * b
      const v0 = vColumns + 8 * c * b
      if (r == c) {
        packDiagonal(at, ld, rows, diagonal)
        packedBlock(y0, 8 * b, v0, b / 4, diagonal, rows / 4, columns, 1, false)
      } else {
        // The block as it lies, and its transpose.
        block(y0, 8 * b, v0, b / 4, at, 32, 8 * ld, rows / 4, columns, 1, false)
        transposedBlock(y + 8 * c * b, 8 * b, vColumns + 8 * r * b, b / 4, at, 8 * ld, columns / 4, rows, 1)
      }
    }
  }
}

/** A block on the diagonal as panels of four rows, its upper triangle mirrored from the lower. */
function packDiagonal(a: usize, ld: usize, rows: usize, byRows: usize): void {
  for (let c: usize = 0; c < rows; c++) {
    for (let r = c; r < rows; r++) {
      const value = load<f64>(a + 8 * (c * ld + r))
      store<f64>(byRows + 8 * ((r >> 2) * 4 * rows + c * 4 + (r & 3)), value)
      store<f64>(byRows + 8 * ((c >> 2) * 4 * rows + r * 4 + (c & 3)), value)
    }
  }
}

/** A row-major m×b matrix, block by block of 64 rows, as panels of four columns. */
function packColumns(x: usize, m: usize, b: usize, panels: usize): void {
  for (let r: usize = 0; r < m; r += BLOCK) {
    const rows = min(BLOCK, m - r)
    for (let c: usize = 0; c < b; c += 4) copyFours(x + 8 * (r * b + c), 8 * b, panels + 8 * (r * b + c * rows), rows)
  }
}

function copyFours(x: usize, stride: usize, panel: usize, rows: usize): void {
  for (const end = panel + 32 * rows; panel < end; panel += 32, x += stride) {
    v128.store(panel, v128.load(x))
    v128.store(panel, v128.load(x, 16), 16)
  }
}

/** A row-major m×b matrix as panels of four rows, `depth` deep, in their places `first` … `first + b − 1`. */
function packRows(x: usize, m: usize, b: usize, panels: usize, depth: usize, first: usize): void {
  for (let r: usize = 0; r < m; r += 4) transposeFour(x + 8 * r * b, b, panels + 8 * (r * depth + 4 * first))
}

function transposeFour(x: usize, b: usize, panel: usize): void {
  for (let c: usize = 0; c < b; c += 2) {
    const x0 = v128.load(x + 8 * c)
    const x1 = v128.load(x + 8 * (b + c))
    const x2 = v128.load(x + 8 * (2 * b + c))
    const x3 = v128.load(x + 8 * (3 * b + c))
    const out = panel + 32 * c
    v128.store(out, v128.shuffle<i64>(x0, x1, 0, 2))
    v128.store(out, v128.shuffle<i64>(x2, x3, 0, 2), 16)
    v128.store(out, v128.shuffle<i64>(x0, x1, 1, 3), 32)
    v128.store(out, v128.shuffle<i64>(x2, x3, 1, 3), 48)
  }
}

/** S = Tᵀ·M, b×b, row-major, T upper triangular. */
function multiplyTransposed(t: usize, m: usize, b: usize, s: usize): void {
  for (let q: usize = 0; q < b; q++) {
    for (let c: usize = 0; c < b; c++) {
      let sum: f64 = 0
      for (let p: usize = 0; p <= q; p++) sum += load<f64>(t + 8 * (p * b + q)) * load<f64>(m + 8 * (p * b + c))
      store<f64>(s + 8 * (q * b + c), sum)
    }
  }
}

function copyStrided(from: usize, fromStride: usize, to: usize, toStride: usize, count: usize): void {
  for (let i: usize = 0; i < count; i++, from += fromStride, to += toStride) store<f64>(to, load<f64>(from))
}

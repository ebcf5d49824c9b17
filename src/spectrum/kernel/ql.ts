/** Relative machine precision for rounding to nearest: 2⁻⁵³. */
const EPSILON: f64 = 1.1102230246251565e-16
const SWEEPS: usize = 30

/**
 * All eigenvalues of a symmetric tridiagonal matrix by the root-free QL and QR iterations of Pal, Walker and Kahan, which work on the
 * squares of the off-diagonal (Parlett, The Symmetric Eigenvalue Problem, 8.15; LAPACK's `dsterf`).
 *
 * @param d n diagonal elements; on return the eigenvalues, in no order
 * @param e n − 1 off-diagonal elements; destroyed
 * @returns whether it converged, within 30 sweeps an eigenvalue
 */
export function eigenvalues(d: usize, e: usize, n: usize): bool {
  let sweeps = SWEEPS * n
  let first: usize = 0
  while (first < n) {
    const last = blockEnd(d, e, first, n)
    if (last > first) {
      for (let i = first; i < last; i++) store<f64>(e + 8 * i, load<f64>(e + 8 * i) * load<f64>(e + 8 * i))
      // From the end with the smaller diagonal towards the larger: graded matrices keep their small eigenvalues.
      const used = abs(load<f64>(d + 8 * last)) < abs(load<f64>(d + 8 * first))
        ? qr(d, e, first, last, sweeps)
        : ql(d, e, first, last, sweeps)
      if (used > sweeps) return false
      sweeps -= used
    }
    first = last + 1
  }
  return true
}

/** The last row of the unreduced block that begins at `first`; the off-diagonal after it is set to 0. */
function blockEnd(d: usize, e: usize, first: usize, n: usize): usize {
  for (let m = first; m + 1 < n; m++) {
    const scale = sqrt(abs(load<f64>(d + 8 * m))) * sqrt(abs(load<f64>(d + 8 * m + 8)))
    if (abs(load<f64>(e + 8 * m)) <= scale * EPSILON) {
      store<f64>(e + 8 * m, 0)
      return m
    }
  }
  return n - 1
}

/** QL on rows l … last of squared off-diagonals. Returns the sweeps used, `sweeps + 1` where they did not do. */
function ql(d: usize, e: usize, l: usize, last: usize, sweeps: usize): usize {
  let used: usize = 0
  while (l <= last) {
    let m = l
    while (m < last && load<f64>(e + 8 * m) > EPSILON * EPSILON * abs(load<f64>(d + 8 * m) * load<f64>(d + 8 * m + 8))) m++
    if (m < last) store<f64>(e + 8 * m, 0)
    if (m == l) l++
    else if (m == l + 1) {
      solveTwo(d + 8 * l, d + 8 * m, e + 8 * l)
      l += 2
    } else {
      if (++used > sweeps) return used
      qlSweep(d, e, l, m)
    }
  }
  return used
}

/** QR on rows l … first, upwards. */
function qr(d: usize, e: usize, first: usize, l: usize, sweeps: usize): usize {
  let used: usize = 0
  let rows: isize = l
  const end: isize = first
  while (rows >= end) {
    let m = rows
    while (m > end && load<f64>(e + 8 * (m - 1)) > EPSILON * EPSILON * abs(load<f64>(d + 8 * m) * load<f64>(d + 8 * (m - 1)))) m--
    if (m > end) store<f64>(e + 8 * (m - 1), 0)
    if (m == rows) rows--
    else if (m == rows - 1) {
      solveTwo(d + 8 * rows, d + 8 * m, e + 8 * m)
      rows -= 2
    } else {
      if (++used > sweeps) return used
      qrSweep(d, e, rows, m)
    }
  }
  return used
}

/** The shift: of the leading 2×2 block, the eigenvalue nearer to p. */
@inline
function shift(p: f64, neighbour: f64, square: f64): f64 {
  const root = sqrt(square)
  const sigma = (neighbour - p) / (2 * root)
  return p - root / (sigma + copysign(sqrt(sigma * sigma + 1), sigma))
}

function qlSweep(d: usize, e: usize, l: usize, m: usize): void {
  const sigma = shift(load<f64>(d + 8 * l), load<f64>(d + 8 * l + 8), load<f64>(e + 8 * l))
  let c: f64 = 1
  let s: f64 = 0
  let gamma = load<f64>(d + 8 * m) - sigma
  let p = gamma * gamma
  for (let i = m; i > l; ) {
    i--
    const square = load<f64>(e + 8 * i)
    const r = p + square
    if (i + 1 != m) store<f64>(e + 8 * i + 8, s * r)
    const before = c
    c = p / r
    s = square / r
    const old = gamma
    const alpha = load<f64>(d + 8 * i)
    gamma = c * (alpha - sigma) - s * old
    store<f64>(d + 8 * i + 8, old + (alpha - gamma))
    p = c != 0 ? (gamma * gamma) / c : before * square
  }
  store<f64>(e + 8 * l, s * p)
  store<f64>(d + 8 * l, sigma + gamma)
}

function qrSweep(d: usize, e: usize, l: usize, m: usize): void {
  const sigma = shift(load<f64>(d + 8 * l), load<f64>(d + 8 * (l - 1)), load<f64>(e + 8 * (l - 1)))
  let c: f64 = 1
  let s: f64 = 0
  let gamma = load<f64>(d + 8 * m) - sigma
  let p = gamma * gamma
  for (let i = m; i < l; i++) {
    const square = load<f64>(e + 8 * i)
    const r = p + square
    if (i != m) store<f64>(e + 8 * (i - 1), s * r)
    const before = c
    c = p / r
    s = square / r
    const old = gamma
    const alpha = load<f64>(d + 8 * i + 8)
    gamma = c * (alpha - sigma) - s * old
    store<f64>(d + 8 * i, old + (alpha - gamma))
    p = c != 0 ? (gamma * gamma) / c : before * square
  }
  store<f64>(e + 8 * (l - 1), s * p)
  store<f64>(d + 8 * l, sigma + gamma)
}

/** The eigenvalues of [[a, b], [b, c]], the larger in magnitude to `a`, the other to `c`, from b² (LAPACK's `dlae2`). */
function solveTwo(aAt: usize, cAt: usize, squareAt: usize): void {
  const a = load<f64>(aAt)
  const c = load<f64>(cAt)
  const b = sqrt(load<f64>(squareAt))
  const sum = a + c
  const difference = abs(a - c)
  const twice = b + b
  const larger = max(difference, twice)
  const ratio = larger == 0 ? 0 : min(difference, twice) / larger
  const root = larger * sqrt(1 + ratio * ratio)
  const acmx = abs(a) > abs(c) ? a : c
  const acmn = abs(a) > abs(c) ? c : a
  if (sum == 0) {
    store<f64>(aAt, 0.5 * root)
    store<f64>(cAt, -0.5 * root)
  } else {
    const first = 0.5 * (sum < 0 ? sum - root : sum + root)
    store<f64>(aAt, first)
    store<f64>(cAt, (acmx / first) * acmn - (b / first) * b)
  }
  store<f64>(squareAt, 0)
}

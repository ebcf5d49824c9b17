/**
 * The one inner kernel: C(4×4) += alpha · A·Bᵀ with A and B of 4×depth. A is a packed panel: element (r, p) lies at 32p + 8r; that of
 * B lies at p·bp + r·br. C is column-major, `ldc` bytes from column to column. Eight accumulators of two doubles each, as in the
 * register blocking of Goto and van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34 (2008).
 *
 * It is bound by the number of instructions: where B's rows are neighbours (br = 8), their loads need no address of their own.
 * V8 replaces a function by its optimised form at a call, never inside a loop: what is hot has to be a function of its own.
 */
@inline
function multiply(
  c: usize, ldc: usize, a: usize, b: usize, bp: usize, br: usize, depth: usize, alpha: f64, neighbours: bool,
): void {
  let c00 = f64x2.splat(0)
  let c10 = c00
  let c01 = c00
  let c11 = c00
  let c02 = c00
  let c12 = c00
  let c03 = c00
  let c13 = c00
  const br2 = br + br
  const br3 = br2 + br
  const end = a + (depth << 5)
  while (a < end) {
    const a0 = v128.load(a)
    const a1 = v128.load(a, 16)
    const b0 = v128.load64_splat(b)
    c00 = f64x2.add(c00, f64x2.mul(a0, b0))
    c10 = f64x2.add(c10, f64x2.mul(a1, b0))
    const b1 = neighbours ? v128.load64_splat(b, 8) : v128.load64_splat(b + br)
    c01 = f64x2.add(c01, f64x2.mul(a0, b1))
    c11 = f64x2.add(c11, f64x2.mul(a1, b1))
    const b2 = neighbours ? v128.load64_splat(b, 16) : v128.load64_splat(b + br2)
    c02 = f64x2.add(c02, f64x2.mul(a0, b2))
    c12 = f64x2.add(c12, f64x2.mul(a1, b2))
    const b3 = neighbours ? v128.load64_splat(b, 24) : v128.load64_splat(b + br3)
    c03 = f64x2.add(c03, f64x2.mul(a0, b3))
    c13 = f64x2.add(c13, f64x2.mul(a1, b3))
    a += 32
    b += bp
  }
  const factor = f64x2.splat(alpha)
  accumulate(c, c00, c10, factor)
  accumulate(c + ldc, c01, c11, factor)
  accumulate(c + 2 * ldc, c02, c12, factor)
  accumulate(c + 3 * ldc, c03, c13, factor)
}

/** `multiply` of a B whose rows are neighbours: packed (bp = 32), or as a column-major matrix has them. */
function tile(c: usize, ldc: usize, a: usize, b: usize, bp: usize, depth: usize, alpha: f64): void {
  multiply(c, ldc, a, b, bp, 8, depth, alpha, true)
}

/** `multiply` of a B whose columns are neighbours, its rows `br` bytes apart. */
function transposedTile(c: usize, ldc: usize, a: usize, b: usize, br: usize, depth: usize, alpha: f64): void {
  multiply(c, ldc, a, b, 8, br, depth, alpha, false)
}

@inline
function accumulate(c: usize, low: v128, high: v128, factor: v128): void {
  v128.store(c, f64x2.add(v128.load(c), f64x2.mul(factor, low)))
  v128.store(c, f64x2.add(v128.load(c, 16), f64x2.mul(factor, high)), 16)
}

/**
 * C += alpha · A·Bᵀ: `rows` and `columns` count groups of four. The panels of A are packed one after another; the groups of B lie
 * `bGroup` bytes apart, their rows are neighbours and their columns `bp` bytes apart. On the diagonal (`lower`) only groups with
 * row ≥ column are computed.
 */
export function block(
  c: usize, ldc: usize, a: usize, rows: usize,
  b: usize, bGroup: usize, bp: usize, columns: usize, depth: usize, alpha: f64, lower: bool,
): void {
  const panel = depth << 5
  for (let j: usize = 0; j < columns; j++) {
    for (let i: usize = lower ? j : 0; i < rows; i++) {
      tile(c + 4 * j * ldc + 32 * i, ldc, a + i * panel, b + j * bGroup, bp, depth, alpha)
    }
  }
}

/** `block` of a whole B whose columns are neighbours and whose rows lie `br` bytes apart. */
export function transposedBlock(
  c: usize, ldc: usize, a: usize, rows: usize, b: usize, br: usize, columns: usize, depth: usize, alpha: f64,
): void {
  for (let j: usize = 0; j < columns; j++) {
    for (let i: usize = 0; i < rows; i++) {
      transposedTile(c + 4 * j * ldc + 32 * i, ldc, a + i * (depth << 5), b + 4 * j * br, br, depth, alpha)
    }
  }
}

/** `block` with B packed as A is. */
@inline
export function packedBlock(
  c: usize, ldc: usize, a: usize, rows: usize, b: usize, columns: usize, depth: usize, alpha: f64, lower: bool,
): void {
  block(c, ldc, a, rows, b, depth << 5, 32, columns, depth, alpha, lower)
}

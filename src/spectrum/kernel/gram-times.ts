/**
 * r = AᵀAv for a matrix A of k rows and n columns, row-major, of doubles or floats; k and n multiples of four. Four rows at a time, so
 * that v and r are read once for all of them.
 *
 * @param wide whether the elements are doubles
 */
export function gramTimes(a: usize, wide: bool, k: usize, n: usize, v: usize, r: usize): void {
  memory.fill(r, 0, n << 3)
  const row = n << (wide ? 3 : 2)
  for (let p: usize = 0; p < k; p += 4) {
    if (wide) fourOfDoubles(a + p * row, row, n, v, r)
    else fourOfFloats(a + p * row, row, n, v, r)
  }
}

function fourOfDoubles(a: usize, row: usize, n: usize, v: usize, r: usize): void {
  four(a, row, n, v, r, true)
}

function fourOfFloats(a: usize, row: usize, n: usize, v: usize, r: usize): void {
  four(a, row, n, v, r, false)
}

/** Two elements as doubles. */
@inline
function pair(at: usize, wide: bool): v128 {
  return wide ? v128.load(at) : f64x2.promote_low_f32x4(v128.load64_zero(at))
}

@inline
function four(a: usize, row: usize, n: usize, v: usize, r: usize, wide: bool): void {
  const step: usize = wide ? 16 : 8
  const b = a + row
  const c = b + row
  const d = c + row
  let sa = f64x2.splat(0)
  let sb = sa
  let sc = sa
  let sd = sa
  for (let at: usize = 0, x = v; at < row; at += step, x += 16) {
    const two = v128.load(x)
    sa = f64x2.add(sa, f64x2.mul(two, pair(a + at, wide)))
    sb = f64x2.add(sb, f64x2.mul(two, pair(b + at, wide)))
    sc = f64x2.add(sc, f64x2.mul(two, pair(c + at, wide)))
    sd = f64x2.add(sd, f64x2.mul(two, pair(d + at, wide)))
  }
  const ta = f64x2.splat(f64x2.extract_lane(sa, 0) + f64x2.extract_lane(sa, 1))
  const tb = f64x2.splat(f64x2.extract_lane(sb, 0) + f64x2.extract_lane(sb, 1))
  const tc = f64x2.splat(f64x2.extract_lane(sc, 0) + f64x2.extract_lane(sc, 1))
  const td = f64x2.splat(f64x2.extract_lane(sd, 0) + f64x2.extract_lane(sd, 1))
  for (let at: usize = 0, y = r; at < row; at += step, y += 16) {
    const first = f64x2.add(f64x2.mul(ta, pair(a + at, wide)), f64x2.mul(tb, pair(b + at, wide)))
    const second = f64x2.add(f64x2.mul(tc, pair(c + at, wide)), f64x2.mul(td, pair(d + at, wide)))
    v128.store(y, f64x2.add(v128.load(y), f64x2.add(first, second)))
  }
}

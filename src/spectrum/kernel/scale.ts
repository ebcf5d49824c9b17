/**
 * Scales a lower triangle by the power of two that brings its largest diagonal element, the largest of all in a Gram matrix, to
 * [1, 2): squares then neither overflow nor matter where they underflow, and no bit is lost.
 *
 * @returns the power of two that undoes it; 0 for a zero matrix, infinite or NaN where the diagonal is
 */
export function scale(a: usize, ld: usize, n: usize): f64 {
  let largest: f64 = 0
  for (let j: usize = 0; j < n; j++) largest = max(largest, load<f64>(a + 8 * j * (ld + 1)))
  if (!(largest > 0 && largest < f64.POSITIVE_INFINITY)) return largest
  const exponent = <i32>((reinterpret<u64>(largest) >> 52) & 0x7ff)
  // A subnormal diagonal has lost its precision already: the least normal power of two does.
  const undo = reinterpret<f64>((<u64>max(1, min(2045, exponent))) << 52)
  const factor = 1 / undo
  for (let j: usize = 0; j < n; j++) scaleColumn(a + 8 * j * (ld + 1), n - j, factor)
  return undo
}

function scaleColumn(column: usize, s: usize, factor: f64): void {
  for (let i: usize = 0; i < s; i++) store<f64>(column + 8 * i, load<f64>(column + 8 * i) * factor)
}

/** What the solver rounds otherwise where rows or columns of the same matrix are in another order. Measured on a ResNet-20: 1e-13 at most. */
const ROUNDING = { relative: 1e-11, absolute: 1e-13 }

/** head − base of what follows from spectra, 0 within their rounding; null where a side has no value, or it exceeds a double. */
export function subtract(head: number | null, base: number | null): number | null {
  const change = difference(head, base)
  if (change === null) return null
  const noise = ROUNDING.relative * Math.max(Math.abs(head!), Math.abs(base!)) + ROUNDING.absolute
  return Math.abs(change) <= noise ? 0 : change
}

/** head − base; null where a side has no value, or the difference exceeds a double. */
export function difference(head: number | null, base: number | null): number | null {
  if (head === null || base === null) return null
  return Number.isFinite(head - base) ? head - base : null
}

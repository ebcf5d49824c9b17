/** head − base; null where a side has no value, or the difference exceeds a double. */
export function subtract(head: number | null, base: number | null): number | null {
  if (head === null || base === null) return null
  return Number.isFinite(head - base) ? head - base : null
}

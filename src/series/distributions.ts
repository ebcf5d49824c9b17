const { default: jStat } = await import('jstat')

/** P(|T| ≥ |t|) of Student's t with these degrees of freedom. */
export function tTwoSided(t: number, degrees: number): number {
  if (!Number.isFinite(t)) return 0
  return t === 0 ? 1 : 2 * jStat.studentt.cdf(-Math.abs(t), degrees)
}

/** P(F ≥ f). By the reciprocal, 1/F having the degrees exchanged, so that a small p keeps its digits. */
export function fUpper(f: number, degrees1: number, degrees2: number): number {
  if (!Number.isFinite(f)) return 0
  return f <= 0 ? 1 : jStat.centralF.cdf(1 / f, degrees2, degrees1)
}

/** The value below which a standard normal variable lies with probability p. */
export function normalQuantile(p: number): number {
  return jStat.normal.inv(p, 0, 1)
}

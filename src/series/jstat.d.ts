/** The part of jStat that is used here: the package has no types of its own. */
declare module 'jstat' {
  interface JStat {
    /** Student's t: P(T ≤ t), and the t of a P. */
    readonly studentt: { cdf(t: number, degrees: number): number; inv(p: number, degrees: number): number }
    /** Fisher's F: P(F ≤ f). */
    readonly centralF: { cdf(f: number, degrees1: number, degrees2: number): number }
    readonly normal: { inv(p: number, mean: number, sd: number): number }
    /** Pearson's coefficient of the average ranks. */
    spearmancoeff(x: readonly number[], y: readonly number[]): number
  }
  const jStat: JStat
  export default jStat
}

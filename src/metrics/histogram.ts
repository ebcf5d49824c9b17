import type { Histogram } from '../report/schema.ts'

const MOST_BINS = 100

/**
 * A histogram of the positive eigenvalues over equal bins of log10 λ: ⌈√n⌉ bins, 100 at most. Zeros are in no bin, so the counts
 * add up to num_evals less the zeros. One value, or none, gives one bin, or none.
 */
export function histogram(eigenvalues: Float64Array): Histogram {
  const logs = eigenvalues.filter(value => value > 0).map(Math.log10)
  if (logs.length === 0) return { log10_edges: [], counts: [] }
  const low = logs.reduce((least, value) => Math.min(least, value))
  const high = logs.reduce((most, value) => Math.max(most, value))
  const bins = low === high ? 1 : Math.min(MOST_BINS, Math.ceil(Math.sqrt(logs.length)))
  const width = low === high ? 1 : (high - low) / bins
  const start = low === high ? low - 0.5 : low
  const counts = new Array<number>(bins).fill(0)
  for (const value of logs) counts[Math.min(bins - 1, Math.floor((value - start) / width))]++
  return { log10_edges: Array.from({ length: bins + 1 }, (_, i) => start + i * width), counts }
}

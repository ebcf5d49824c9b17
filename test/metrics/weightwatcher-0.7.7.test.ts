import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fitSmallSample } from '../../src/metrics/small-sample.ts'
import { mean, standardDeviation } from '../../src/statistics.ts'
import { analyseTensors } from '../support/analyse.ts'
import { generate, goldenTensor } from '../support/golden.ts'

interface Case {
  readonly num_ERG_spikes: number
  readonly detX_num: number
  readonly detX_val: number
  readonly ERG_gap: number
  readonly num_pl_spikes: number
  /** Of ten seeds. */
  readonly num_traps: readonly number[]
}

/** What the package itself says: test/fixtures/tails/make.py. */
const { cases, fits } = JSON.parse(
  readFileSync(new URL('../fixtures/tails/weightwatcher-0.7.7.json', import.meta.url), 'utf8'),
) as {
  cases: Record<string, Case>
  fits: { seed: number; n: number; alpha: number; D: number; sigma: number; xmin: number }[]
}

function matrix(name: string) {
  if (name !== 'trap') return goldenTensor(name)
  const { shape, values } = generate(5, [120, 110], false)
  return { shape, values: Float32Array.from(values as Float32Array, (value, i) => (i === 7 * 110 + 7 ? 200 : value)) }
}

describe.each(Object.entries(cases))('%s', (name, theirs) => {
  test('the tail that the determinant sets off, and its gap to that of the fit', async () => {
    const { layers } = await analyseTensors({ w: matrix(name) }, { min_evals: 0, analyses: ['detx'] })
    const { num_ERG_spikes, detX_num, detX_val, ERG_gap, num_pl_spikes } = layers[0]
    const { num_traps: _, detX_val: value, ...counts } = theirs
    expect({ num_ERG_spikes, detX_num, ERG_gap, num_pl_spikes }).toEqual(counts)
    expect(Math.abs(detX_val! / value - 1)).toBeLessThan(1e-8)
  })

  // It swaps N and M of an even kernel with fewer outputs than inputs, which is another law: docs/metrics.md.
  if (name === 'G5') return
  test('traps, within the scatter of ten of its shuffles', async () => {
    const { layers } = await analyseTensors({ w: matrix(name) }, { min_evals: 0, analyses: ['randomize'] })
    const { num_traps, rand_num_spikes } = layers[0]
    expect(num_traps).toBe(rand_num_spikes)
    // Ours are of one draw at least; a count that never moved in ten may by one in the eleventh.
    const scatter = Math.max(standardDeviation(theirs.num_traps), 1 / 3)
    expect(Math.abs(num_traps! - mean(theirs.num_traps))).toBeLessThanOrEqual(3 * scatter * Math.sqrt(1 + 1 / 10))
  })
})

test.each(fits.map(fit => [fit.n, fit] as const))('%d values are fitted as the package does', (n, theirs) => {
  let s = theirs.seed
  const x = Float64Array.from({ length: n }, () => {
    s = (1664525 * s + 1013904223) % 2 ** 32
    return Math.exp(-Math.log(1 - (s + 0.5) / 2 ** 32) / 1.8)
  }).sort()
  const law = fitSmallSample(x, 'least-d')!
  for (const metric of ['alpha', 'D', 'xmin'] as const)
    expect(Math.abs(law[metric] / theirs[metric] - 1), metric).toBeLessThan(1e-8)
  // Of fewer than 8 values it has the sigma of an alpha of 0.
  if (n >= 8) expect(Math.abs(law.sigma / theirs.sigma - 1)).toBeLessThan(1e-8)
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fitPowerLaw } from '../../src/metrics/powerlaw.ts'
import { golden } from '../support/golden.ts'

const lists: Record<string, number[]> = {
  'k^1.3, k=1..50': range(50, k => k ** 1.3),
  '1/k, k=1..50': range(50, k => 1 / k),
  '1/k^2, k=1..100': range(100, k => 1 / (k * k)),
  'with ties: 1,1,1,2,2,3,5,8,8,13,21,34': [1, 1, 1, 2, 2, 3, 5, 8, 8, 13, 21, 34],
  'two points 3,7': [3, 7],
  '(1-(k-0.5)/200)^(-1/1.5), k=1..200': range(200, k => (1 - (k - 0.5) / 200) ** (-1 / 1.5)),
}

test.each(Object.entries(lists))('fits %s as WeightWatcher does', (name, values) => {
  const { n_tail, ...expected } = golden.wwfit_lists[name]
  const x = Float64Array.from(values).sort()
  const law = fitPowerLaw(x)!
  for (const [key, value] of Object.entries(expected))
    expect(law[key as keyof typeof law]).toBeCloseTo(value as number, 10)
  expect(x.filter(value => value >= law.xmin)).toHaveLength(n_tail)
})

test('gives the result of the full search, to the last bit', () => {
  const values = fc.array(fc.double({ min: 1e-5, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 60 })
  const withTies = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 40 })
  fc.assert(
    fc.property(fc.oneof(values, withTies), list => {
      const x = Float64Array.from(list).sort()
      expect(fitPowerLaw(x)).toEqual(fullSearch(x))
    }),
    { numRuns: 2000, seed: 1 },
  )
})

test('recovers the exponent of a power law', () => {
  const x = Float64Array.from(range(5000, k => (1 - (k - 0.5) / 5000) ** (-1 / 2)))
  expect(fitPowerLaw(x.sort())!.alpha).toBeCloseTo(3, 2)
})

test('a tail of one value has an infinite exponent', () => {
  expect(fitPowerLaw(Float64Array.of(2, 2, 2))).toMatchObject({
    alpha: Number.POSITIVE_INFINITY,
    D: 0.5,
    xmin: 2,
    xmax: 2,
  })
})

test.each([[[]], [[1]]])('there is no fit of %j', values => {
  expect(fitPowerLaw(Float64Array.from(values))).toBeNull()
})

/** The definition: every candidate, every distance. */
function fullSearch(x: Float64Array) {
  const n = x.length
  const ln = x.map(Math.log)
  const suffix = new Float64Array(n + 1)
  for (let i = n - 1; i >= 0; i--) suffix[i] = suffix[i + 1] + ln[i]
  const candidates = Array.from({ length: n - 1 }, (_, i) => {
    const m = n - i
    const alpha = 1 + m / (suffix[i] - m * ln[i])
    const distances = Array.from({ length: m }, (_, k) => {
      return Math.abs(1 - Math.exp((1 - alpha) * (ln[i + k] - ln[i])) - k / m)
    })
    const D = alpha === Number.POSITIVE_INFINITY ? (m - 1) / m : alpha > 1 ? Math.max(...distances) : 1
    return { alpha, D, sigma: (alpha - 1) / Math.sqrt(m), xmin: x[i], xmax: x[n - 1] }
  })
  return candidates.reduce((best, candidate) => (candidate.D < best.D ? candidate : best))
}

function range(n: number, f: (k: number) => number): number[] {
  return Array.from({ length: n }, (_, i) => f(i + 1))
}

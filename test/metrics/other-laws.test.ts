import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { erfc, millsRatio } from '../../src/metrics/normal.ts'
import { fitOtherLaws, type OtherLaws } from '../../src/metrics/other-laws.ts'
import { fitPowerLaw, type PowerLaw } from '../../src/metrics/powerlaw.ts'
import { analyseTensors } from '../support/analyse.ts'
import { goldenTensor } from '../support/golden.ts'

const { laws } = JSON.parse(readFileSync(new URL('../fixtures/weightwatcher-analyses.json', import.meta.url), 'utf8'))

interface Case {
  readonly name: string
  readonly x: number[]
  readonly xmin: number
  readonly alpha: number
  readonly mu: number
  readonly sigma: number
  readonly lam: number
  readonly talpha: number
  readonly tLambda: number
  readonly ratios: Record<'lognormal' | 'exponential' | 'truncated_power_law', [number, number]>
}

const cases = laws.cases as Case[]

function fitOf({ x, xmin, alpha }: Pick<Case, 'x' | 'xmin' | 'alpha'>): OtherLaws {
  return fitOtherLaws(Float64Array.from(x), { alpha, xmin } as PowerLaw)!
}

const near = (ours: number, theirs: number, tolerance: number, what: string) =>
  expect(Math.abs(ours - theirs), `${what}: ${ours} beside ${theirs}`).toBeLessThan(
    tolerance * Math.max(1, Math.abs(theirs)),
  )

describe('beside the powerlaw package, which searches with a simplex', () => {
  test.each(cases.map((one, i) => [i, one.name, one] as const))('%d: %s', (_, __, one) => {
    const ours = fitOf(one)
    near(ours.exponential_lambda, one.lam, 1e-4, 'rate')
    near(ours.R_exponential, one.ratios.exponential[0], 1e-4, 'R to the exponential')
    near(ours.p_exponential, one.ratios.exponential[1], 1e-4, 'p')
    near(ours.truncated_alpha, one.talpha, 2e-3, 'alpha of the truncated')
    near(ours.Lambda, one.tLambda, 2e-3, 'Lambda')
    near(ours.R_truncated, one.ratios.truncated_power_law[0], 1e-4, 'R to the truncated')
    near(ours.p_truncated, one.ratios.truncated_power_law[1], 1e-3, 'p')
  })

  // Of the others its normal law lies so far below the cut that the package divides 0 by 0.
  test.each(cases.filter(({ mu }) => mu > -5).map(one => [one.name, one] as const))('log-normal: %s', (_, one) => {
    const ours = fitOf(one)
    near(ours.lognormal_mu, one.mu, 2e-3, 'mu')
    near(ours.lognormal_sigma, one.sigma, 1e-3, 'sigma')
    near(ours.R_lognormal, one.ratios.lognormal[0], 1e-3, 'R')
    near(ours.p_lognormal, one.ratios.lognormal[1], 1e-3, 'p')
  })
})

test('the likelihood of each law is greatest where it is said to be', () => {
  const { x, xmin, alpha } = cases[3]
  const ours = fitOf(cases[3])
  const power = x.reduce((sum, x) => sum + Math.log((alpha - 1) / xmin) - alpha * Math.log(x / xmin), 0)
  /** By a sum over a fine grid, and none of the code under test. */
  const truncated = (a: number, l: number) => {
    let norm = 0
    for (let s = 0; s < 60; s += 1e-3)
      norm += 1e-3 * Math.exp((1 - a) * s - l * xmin * Math.exp(s)) * (s === 0 ? 0.5 : 1)
    return x.reduce((sum, x) => sum - a * Math.log(x / xmin) - l * x - Math.log(norm * xmin), 0)
  }
  const best = truncated(ours.truncated_alpha, ours.Lambda)
  expect(power - best).toBeCloseTo(ours.R_truncated, 4)
  for (const [a, l] of [
    [1e-3, 0],
    [-1e-3, 0],
    [0, 1e-3],
    [0, -1e-3],
  ])
    expect(truncated(ours.truncated_alpha + a, ours.Lambda + l)).toBeLessThan(best)
})

test('a perfect power law is told from the exponential, and from nothing that holds it', () => {
  const x = Float64Array.from({ length: 400 }, (_, i) => Math.exp(-Math.log(1 - (i + 0.5) / 400) / 1.5))
  const law = fitPowerLaw(x)!
  const ours = fitOtherLaws(
    x.filter(value => value >= law.xmin),
    law,
  )!
  expect(ours.R_exponential).toBeGreaterThan(3)
  expect(ours.p_exponential).toBeLessThan(0.01)
  expect(ours.p_truncated).toBeGreaterThan(0.3)
  expect(ours.R_truncated).toBeLessThanOrEqual(0)
})

test('a tail whose logarithms scatter more than an exponential law’s is no log-normal: its limit is the power law', () => {
  const x = Float64Array.of(1, 1.01, 1.02, 1.03, 50)
  expect(fitOtherLaws(x, { alpha: 2, xmin: 1 } as PowerLaw)).toMatchObject({
    lognormal_mu: Number.NaN,
    R_lognormal: 0,
    p_lognormal: 1,
  })
  expect(fitOtherLaws(Float64Array.of(1), { alpha: 2, xmin: 1 } as PowerLaw)).toBeNull()
})

test('Mills’ ratio and erfc', () => {
  // Abramowitz and Stegun, tables 26.1 and 7.1.
  expect(millsRatio(0)).toBeCloseTo(Math.sqrt(Math.PI / 2), 14)
  expect(millsRatio(1)).toBeCloseTo(0.15865525393145707 / 0.24197072451914337, 12)
  expect(millsRatio(-1)).toBeCloseTo(0.8413447460685429 / 0.24197072451914337, 12)
  expect(millsRatio(10)).toBeCloseTo(0.09903, 5)
  for (const z of [2.9999, 3, 3.0001, -2.9999, -3.0001]) {
    const step = 1e-5
    // M′ = zM − 1.
    const slope = (millsRatio(z + step) - millsRatio(z - step)) / (2 * step)
    near(slope, z * millsRatio(z) - 1, 1e-5, String(z))
  }
  expect(erfc(0)).toBeCloseTo(1, 14)
  expect(erfc(0.5)).toBeCloseTo(0.4795001221869535, 13)
  expect(erfc(2)).toBeCloseTo(0.004677734981047266, 14)
})

test('the columns are there on request', async () => {
  const { layers } = await analyseTensors(
    { a: goldenTensor('G4'), z: { shape: [20, 30] } },
    { analyses: ['other-laws'] },
  )
  const [a, z] = ['a', 'z'].map(name => layers.find(layer => layer.name === name)!)
  expect(a.Lambda).toBeGreaterThan(0)
  expect(a.p_exponential).toBeLessThanOrEqual(1)
  expect(z).toMatchObject({ Lambda: null, R_truncated: null, p_lognormal: null })
})

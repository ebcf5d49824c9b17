import { describe, expect, test } from 'vitest'
import { fitPowerLaw } from '../../src/metrics/powerlaw.ts'
import { bootstrapped, exponential, logNormal, power, samples } from '../support/samples.ts'

describe('of a true power law', () => {
  const found = samples(200, 100, power(2.5)).map((x, i) => bootstrapped(x, 100, i))

  test('p is about uniform, and errs towards 1', () => {
    const p = found.map(({ p_value }) => p_value).sort((a, b) => a - b)
    const distance = Math.max(...p.map((value, i) => Math.max((i + 1) / p.length - value, value - i / p.length)))
    expect(distance).toBeLessThan(0.2)
    const rejected = p.filter(value => value < 0.1).length / p.length
    expect(rejected).toBeGreaterThan(0.01)
    expect(rejected).toBeLessThan(0.13)
    expect(p.filter(value => value > 0.5).length / p.length).toBeGreaterThan(0.4)
  })

  test('the interval holds the true alpha in about 95 %', () => {
    const held = found.filter(({ alpha_low, alpha_high }) => alpha_low <= 2.5 && 2.5 <= alpha_high)
    expect(held.length / found.length).toBeGreaterThan(0.89)
    expect(held.length / found.length).toBeLessThan(0.99)
  })
})

test.each([
  ['exponential', 150, exponential],
  ['log-normal', 200, logNormal],
] as const)(
  '%s samples are rejected where the tail has %d of 500 values: in a short one any law looks like it',
  (_, enough, law) => {
    const found = samples(80, 500, law).map((x, i) => {
      const { xmin } = fitPowerLaw(x)!
      return { tail: x.filter(value => value >= xmin).length, p: bootstrapped(x, 100, i).p_value }
    })
    const long = found.filter(({ tail }) => tail >= enough)
    expect(long.length).toBeGreaterThanOrEqual(3)
    expect(long.filter(({ p }) => p < 0.1).length / long.length).toBeGreaterThan(0.7)
    expect(found.filter(({ p }) => p < 0.1).length / found.length).toBeGreaterThan(0.2)
    expect(found.filter(({ p }) => p < 0.01).length / found.length).toBeGreaterThan(0.05)
  },
)

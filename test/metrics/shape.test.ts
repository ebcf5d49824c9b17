import { describe, expect, test } from 'vitest'
import { hill } from '../../src/metrics/hill.ts'
import { quantiles } from '../../src/metrics/quantiles.ts'
import { structure } from '../../src/metrics/structure.ts'

const spectrum = (...singular: number[]) => ({ matrices: [Float64Array.from(singular, value => value * value)] })

describe("Hill's estimator", () => {
  test('of a power law of known exponent is that exponent', () => {
    // Quantiles of a density λ^(−3) above 1: λ = p^(−1/2).
    const n = 40_000
    const lambda = Float64Array.from({ length: n }, (_, i) => ((n - i) / (n + 0.5)) ** -0.5)
    const { alpha, sigma } = hill(lambda)!
    expect(alpha).toBeCloseTo(3, 2)
    expect(sigma).toBeCloseTo(2 / Math.sqrt(n / 4), 4)
  })

  test('takes the largest quarter of the positive ones, two at least', () => {
    const tail = [1, 4, 16]
    const k3 = 1 + 3 / (Math.log(4) + Math.log(16))
    const ten = Float64Array.of(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, ...tail)
    expect(hill(ten)!.alpha).toBeCloseTo(k3, 12)
    // Zeros don't count, wherever they come from.
    expect(hill(Float64Array.of(0, 0, 0, 0, 0, 0, ...ten))!.alpha).toBeCloseTo(k3, 12)
    expect(hill(Float64Array.of(1, 4))!.alpha).toBeCloseTo(1 + 2 / Math.log(4), 12)
    expect(hill(Float64Array.of(0, 4))).toBeNull()
    expect(hill(Float64Array.of(0, 0))).toBeNull()
    expect(hill(Float64Array.of(3, 3))!.alpha).toBe(Number.POSITIVE_INFINITY)
  })

  test('does not know the scale', () => {
    const lambda = Float64Array.from({ length: 64 }, (_, i) => Math.exp(i / 9))
    expect(hill(lambda.map(value => 1e-9 * value))!.alpha).toBeCloseTo(hill(lambda)!.alpha, 10)
  })
})

describe('structure', () => {
  test('is the mean distance of sorted singular values, over what chance does', () => {
    // rms of 1 and 3 is √5; the distances are 1 and 1.
    expect(structure({ N: 8 }, spectrum(1, 3), [spectrum(2, 2)])).toBeCloseTo(Math.sqrt(16) / Math.sqrt(5), 12)
  })

  test('of several shuffles is their mean', () => {
    const one = structure({ N: 8 }, spectrum(1, 3), [spectrum(2, 2)])
    const two = structure({ N: 8 }, spectrum(1, 3), [spectrum(0, 3)])
    expect(structure({ N: 8 }, spectrum(1, 3), [spectrum(2, 2), spectrum(0, 3)])).toBeCloseTo((one + two) / 2, 12)
  })

  test('slices are pooled before they are sorted', () => {
    const sliced = { matrices: [Float64Array.of(1, 9), Float64Array.of(4, 16)] }
    const shuffled = { matrices: [Float64Array.of(4, 9), Float64Array.of(1, 16)] }
    expect(structure({ N: 8 }, sliced, [shuffled])).toBe(0)
  })

  test('of nothing is no number', () => {
    expect(structure({ N: 8 }, spectrum(0, 0), [spectrum(0, 0)])).toBeNaN()
  })
})

describe('quantiles', () => {
  test('are of singular values over their root mean square, linear in between', () => {
    const found = quantiles(Float64Array.of(0, 1, 4, 9))
    const rms = Math.sqrt(14 / 4)
    expect(found).toHaveLength(101)
    expect(found[0]).toBe(0)
    expect(found[50]).toBeCloseTo(1.5 / rms, 5)
    expect(found[100]).toBeCloseTo(3 / rms, 5)
  })

  test('have six digits, and there are none of a matrix of zeros', () => {
    expect(quantiles(Float64Array.of(1, 2))[0]).toBe(0.816497)
    expect(quantiles(Float64Array.of(0, 0))).toEqual([])
  })
})

import { expect, test } from 'vitest'
import { distancesBetween } from '../../src/metrics/distances.ts'
import type { Spectrum } from '../../src/spectrum/engine.ts'

/** The eigenvalues of each slice. */
const spectrum = (...slices: number[][]) => ({ matrices: slices.map(values => Float64Array.from(values)) }) as Spectrum

test('by hand: diag(3, 4) beside diag(1, 2)', () => {
  // W − V is diag(2, 2), WWᵀ + VVᵀ is diag(10, 20), tr(WWᵀ·VVᵀ) is 9·1 + 16·4.
  const found = distancesBetween(spectrum([4, 4]), spectrum([9, 16]), spectrum([1, 4]), spectrum([10, 20]))
  expect(found.delta_W).toBeCloseTo(Math.sqrt(8), 12)
  expect(found.delta_W_relative).toBeCloseTo(Math.sqrt(8 / 5), 12)
  expect(found.cosine).toBeCloseTo(11 / Math.sqrt(25 * 5), 12)
  expect(found.cka).toBeCloseTo(Math.sqrt(73 / Math.sqrt(337 * 17)), 12)
})

test('of several slices norms are of the whole, alignment is the mean', () => {
  // The second slice: diag(1, 0) beside diag(0, 1), which have nothing in common.
  const found = distancesBetween(
    spectrum([4, 4], [1, 1]),
    spectrum([9, 16], [1, 0]),
    spectrum([1, 4], [1, 0]),
    spectrum([10, 20], [1, 1]),
  )
  expect(found.delta_W).toBeCloseTo(Math.sqrt(10), 12)
  expect(found.cosine).toBeCloseTo(11 / Math.sqrt(26 * 6), 12)
  expect(found.cka).toBeCloseTo(Math.sqrt(73 / Math.sqrt(337 * 17)) / 2, 12)
})

test('the same weights are 0 away and wholly aligned; beside nothing there is no angle', () => {
  const same = distancesBetween(spectrum([0, 0]), spectrum([9, 16]), spectrum([9, 16]), spectrum([18, 32]))
  expect(same).toEqual({ delta_W: 0, delta_W_relative: 0, cosine: 1, cka: 1 })
  const none = distancesBetween(spectrum([9, 16]), spectrum([9, 16]), spectrum([0, 0]), spectrum([9, 16]))
  expect(none).toEqual({ delta_W: 5, delta_W_relative: Number.POSITIVE_INFINITY, cosine: Number.NaN, cka: 0 })
  // What rounding leaves below 0 is 0.
  const rounded = distancesBetween(spectrum([2]), spectrum([1]), spectrum([1]), spectrum([1.4]))
  expect(rounded.cka).toBe(0)
})

import { expect, test } from 'vitest'
import { mean, median, standardDeviation } from '../src/statistics.ts'

test('of none there is none', () => {
  expect([mean([]), median([]), standardDeviation([3])]).toEqual([Number.NaN, Number.NaN, Number.NaN])
})

test('of few', () => {
  expect(mean([1, 2, 6])).toBe(3)
  expect(median([9, 1, 2])).toBe(2)
  expect(median([9, 1, 2, 4])).toBe(3)
  expect(standardDeviation([1, 2, 3, 4])).toBeCloseTo(Math.sqrt(5 / 3), 15)
})

test('finite where all values are, though their sum is not', () => {
  expect(mean([1e308, 1.6e308])).toBeCloseTo(1.3e308, -295)
  expect(mean([-1.7e308, -1.7e308])).toBe(-1.7e308)
  expect(median([1, 1.7e308, 1.7e308, 1.7e308])).toBe(1.7e308)
})

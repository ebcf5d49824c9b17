import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sparkline } from '../../src/render/spark.ts'
import { modelTrend } from '../../src/render/trend.ts'
import type { Report } from '../../src/report/schema.ts'

const values = fc.array(fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })), { maxLength: 50 })

test('a character a value: the least ▁, the greatest █, the order kept; any range', () => {
  fc.assert(
    fc.property(values, values => {
      const drawn = [...sparkline(values)]
      expect(drawn).toHaveLength(values.length)
      const known = values.flatMap((value, i) => (value === null ? [] : [{ value, bar: drawn[i]! }]))
      for (const [i, value] of values.entries()) expect(drawn[i] === '·').toBe(value === null)
      const sorted = known.sort((a, b) => a.value - b.value)
      if (sorted.length < 2 || sorted[0]!.value / 2 === sorted.at(-1)!.value / 2) return
      expect([sorted[0]!.bar, sorted.at(-1)!.bar]).toEqual(['▁', '█'])
      for (let i = 1; i < sorted.length; i++) expect(sorted[i]!.bar >= sorted[i - 1]!.bar).toBe(true)
    }),
  )
})

test('what is constant is flat, what is empty is nothing', () => {
  expect(sparkline([2, 2, null, 2])).toBe('▄▄·▄')
  expect(sparkline([])).toBe('')
  expect(sparkline([0, 1, 2, 7])).toBe('▁▂▃█')
})

test('a trend needs three points, and the head stands apart', () => {
  const point = (alpha: number | null, name = 'net') => ({ models: [{ name, summary: { alpha } }] })
  const report = (history: object[], models = [{ name: 'net' }]) =>
    ({ baseline: { history }, models }) as unknown as Report
  const model = { name: 'net', summary: { alpha: 4 } } as Report['models'][number]
  expect(modelTrend(report([point(1), point(2), point(3)]), model, 'alpha')).toBe('▁▃▆ █')
  expect(modelTrend(report([point(1), point(2)]), model, 'alpha')).toBe('')
  expect(modelTrend(report([point(1), point(null), point(3)]), model, 'alpha')).toBe('')
  expect(modelTrend(report([point(1, 'x'), point(2, 'y'), point(3, 'z')]), model, 'alpha')).toBe('▁▃▆ █')
  const two = [{ name: 'net' }, { name: 'other' }]
  expect(modelTrend(report([point(1, 'x'), point(2, 'y'), point(3, 'z')], two), model, 'alpha')).toBe('')
})

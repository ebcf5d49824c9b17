import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { kendall, pearson, type Sample, spearman, withinPearson, withinSpearman } from '../../src/series/correlation.ts'
import { fUpper, normalQuantile, tTwoSided } from '../../src/series/distributions.ts'
import {
  bootstrapInterval,
  correlationP,
  fisherInterval,
  generator,
  holm,
  leaveOneOut,
  permutationP,
  pooledSlope,
} from '../../src/series/inference.ts'

/** Made by make.py beside it. */
const scipy = JSON.parse(readFileSync(new URL('../fixtures/series/scipy.json', import.meta.url), 'utf8'))

/** Relative to what scipy says. */
function expectClose(ours: number | null | undefined, theirs: number, tolerance = 1e-6): void {
  expect(Math.abs(ours! - theirs)).toBeLessThanOrEqual(tolerance * Math.max(Math.abs(theirs), 1e-12))
}

test('the distributions are scipy’s, their far tails too', () => {
  for (const [t, degrees, p] of scipy.t) expectClose(tTwoSided(t, degrees), p)
  for (const [f, a, b, p] of scipy.f) expectClose(fUpper(f, a, b), p)
  for (const [p, z] of scipy.normal) expect(normalQuantile(p)).toBeCloseTo(z, 9)
  expect([tTwoSided(0, 3), tTwoSided(Number.POSITIVE_INFINITY, 3), fUpper(0, 1, 2)]).toEqual([1, 0, 1])
})

interface Expected extends Sample {
  readonly pearson: number
  readonly p: number
  readonly fisher: readonly number[]
  readonly spearman: number
  readonly kendall: number
  readonly permutation?: number
  readonly within?: {
    readonly pearson: number
    readonly spearman: number
    readonly slope: number
    readonly p: number
    readonly unequal: { readonly f: number; readonly p: number }
  }
}

test.each<[number, Expected]>(scipy.samples.map((sample: Expected) => [sample.x.length, sample]))(
  'of %i models every coefficient, interval and p is scipy’s',
  (n, given) => {
    const { x, y, group, within, ...expected } = given
    const sample: Sample = { x, y, group }
    const r = pearson(sample)!
    expectClose(r, expected.pearson, 1e-12)
    expectClose(spearman(sample), expected.spearman, 1e-12)
    expectClose(kendall(sample), expected.kendall, 1e-12)
    expectClose(correlationP(r, n - 2), expected.p)
    const interval = fisherInterval(r, n)!
    expectClose(interval.low, expected.fisher[0], 1e-9)
    expectClose(interval.high, expected.fisher[1], 1e-9)
    if (expected.permutation !== undefined) expect(permutationP(sample)).toBe(expected.permutation)
    if (!within) return
    expectClose(withinPearson(sample), within.pearson, 1e-9)
    expectClose(withinSpearman(sample), within.spearman, 1e-9)
    const { slope, p, unequal } = pooledSlope(sample)!
    expectClose(slope, within.slope, 1e-9)
    expectClose(p, within.p)
    expectClose(unequal!.f, within.unequal.f, 1e-9)
    expectClose(unequal!.p, within.unequal.p)
  },
)

test('Fisher’s interval holds the truth as often as it says', () => {
  const random = generator(3)
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  let held = 0
  for (let k = 0; k < 1000; k++) {
    const x = Array.from({ length: 12 }, normal)
    const y = x.map(value => 0.6 * value + 0.8 * normal())
    const { low, high } = fisherInterval(pearson({ x, y, group: x.map(() => 0) })!, 12)!
    if (low <= 0.6 && 0.6 <= high) held++
  }
  expect(held).toBeGreaterThan(930)
  expect(held).toBeLessThan(970)
})

test('the bootstrap is the same every time, around r, and none where most resamples have no r', () => {
  const { x, y, group } = scipy.samples.at(-1)
  const interval = bootstrapInterval({ x, y, group })!
  expect(interval).toEqual(bootstrapInterval({ x, y, group }))
  const r = withinPearson({ x, y, group })!
  expect(interval.low).toBeLessThan(r)
  expect(interval.high).toBeGreaterThan(r)
  expect(bootstrapInterval({ x: [1, 2], y: [1, 2], group: [0, 0] })).toBeNull()
  // Of a group alone, its model is drawn whatever is drawn: it takes no part.
  const alone = bootstrapInterval({ x: [...x, 50], y: [...y, -50], group: [...group, 9] })!
  expect(alone.low).toBeGreaterThan(0)
})

test('Holm: each p against what is left, never below the one before', () => {
  const adjusted = [0.01, 0.04, 0.03, 0.005]
  expect(holm(adjusted).map(p => Number(p.toFixed(6)))).toEqual([0.03, 0.06, 0.06, 0.02])
  expect(holm([0.9, 0.8])).toEqual([1, 1])
  expect(holm([])).toEqual([])
})

test('constants have no coefficient, whatever their mean rounds to', () => {
  const group = [0, 0, 0, 1, 1, 1]
  const x = [0.1, 0.1, 0.1, 0.3, 0.3, 0.3]
  const y = [1, 2, 3, 4, 5, 7]
  expect(pearson({ x, y, group })).toBeGreaterThan(0)
  expect([withinPearson({ x, y, group }), withinSpearman({ x, y, group }), pooledSlope({ x, y, group })]).toEqual([
    null,
    null,
    null,
  ])
  const flat = { x: [0.1, 0.1, 0.1], y: [1, 2, 3], group: [0, 0, 0] }
  expect([pearson(flat), spearman(flat), kendall(flat), permutationP(flat)]).toEqual([null, null, null, null])
})

test('no sample of numbers gives a coefficient beyond 1, and the order of the rows changes nothing', () => {
  const value = fc.double({ min: -1e100, max: 1e100, noNaN: true })
  const rows = fc.array(fc.tuple(value, value, fc.nat(2)), { minLength: 3, maxLength: 12 })
  fc.assert(
    fc.property(rows, rows => {
      const of = (rows: [number, number, number][]): Sample => ({
        ...{ x: rows.map(([x]) => x), y: rows.map(([, y]) => y), group: rows.map(([, , g]) => g) },
      })
      for (const coefficient of [pearson, spearman, kendall, withinPearson]) {
        const r = coefficient(of(rows))
        if (r === null) continue
        expect(Math.abs(r)).toBeLessThanOrEqual(1)
        expect(coefficient(of([...rows].reverse())) ?? 0).toBeCloseTo(r, 6)
      }
    }),
  )
})

test('r without each model is r of the others, within groups too, and null where nothing is left', () => {
  for (const { x, y, group } of scipy.samples as Sample[]) {
    const without = (i: number): Sample => ({
      ...{ x: x.toSpliced(i, 1), y: y.toSpliced(i, 1), group: group.toSpliced(i, 1) },
    })
    leaveOneOut({ x, y, group }).forEach((r, i) => {
      expect(r).toBeCloseTo(withinPearson(without(i))!, 12)
    })
  }
  const [first, second, third] = leaveOneOut({ x: [1, 1, 2], y: [3, 5, 4], group: [0, 0, 0] })
  expect([first, second, third]).toEqual([expect.closeTo(-1, 12), expect.closeTo(1, 12), null])
  expect(leaveOneOut({ x: [1, 1, 1e12], y: [3, 5, 4], group: [0, 0, 0] })[2]).toBeNull()
})

import { describe, expect, test } from 'vitest'
import { compare } from '../../src/comparison/compare.ts'
import { earlierChanges, LEAST_CHANGES } from '../../src/policy/history.ts'
import { judge } from '../../src/policy/judge.ts'
import { parseRule } from '../../src/policy/rule.ts'
import { SUMMARY_METRICS } from '../../src/report/columns.ts'
import type { BaselineRecord, Layer } from '../../src/report/schema.ts'
import { defaults } from '../support/analyse.ts'
import { layer, model } from '../support/models.ts'

type Point = BaselineRecord['history'][number]
type Summary = Point['models'][number]['summary']

const summary = (alpha: number | null) =>
  Object.fromEntries(SUMMARY_METRICS.map(metric => [metric, metric === 'alpha' ? alpha : 1])) as Summary

/** Baselines whose mean alpha and change of shape were these. */
const history = (...points: [alpha: number | null, tail_shape?: number | null][]): Point[] =>
  points.map(([alpha, tail_shape], i) => ({
    ...{ commit: `c${i}`, time: '2026-01-01T00:00:00Z', run_id: i },
    models: [{ name: 'net', summary: summary(alpha), ...(tail_shape !== undefined && { tail_shape }) }],
  }))

const SIX = history([3], [3.1, 0.02], [2.9, -0.02], [3, 0.04], [3.2, -0.04], [3.1, 0.02], [3, -0.02])

describe('what earlier changes predict', () => {
  test('the interval of six is 2.78 standard deviations wide on each side', async () => {
    const found = (await earlierChanges(SIX)).predict('net', 'primary')
    // s² = (4·0.02² + 2·0.04²)/5; t of 5 degrees is 2.5706.
    const s = Math.sqrt((4 * 0.0004 + 2 * 0.0016) / 5)
    expect(found).toMatchObject({ changes: 6 })
    expect(found).toHaveProperty('mean', expect.closeTo(0, 12))
    expect(found).toHaveProperty('reach', expect.closeTo(2.5705818 * s * Math.sqrt(7 / 6), 6))
  })

  test('of a mean they are its differences, null left out', async () => {
    const earlier = await earlierChanges([...SIX.slice(0, 3), ...history([null]), ...SIX.slice(3)])
    const found = earlier.predict('net', 'alpha')
    expect(found).toMatchObject({ changes: 6 })
    expect(found).toHaveProperty('mean', expect.closeTo(0, 12))
  })

  test('fewer predict nothing; several models are told apart by name', async () => {
    expect((await earlierChanges(SIX.slice(1))).predict('net', 'alpha')).toEqual({ changes: 5 })
    expect((await earlierChanges(SIX.slice(0, 3))).predict('net', 'primary')).toEqual({ changes: 0 })
    const two = SIX.map(point => ({ ...point, models: [...point.models, { ...point.models[0], name: 'other' }] }))
    expect((await earlierChanges(two)).predict('third', 'primary')).toEqual({ changes: 0 })
    expect((await earlierChanges(two)).predict('other', 'primary')).toMatchObject({ changes: LEAST_CHANGES })
    expect((await earlierChanges(SIX)).predict('renamed', 'primary')).toMatchObject({ changes: 6 })
  })
})

/** A layer with this change of its tail's shape against `tail(0)`. */
const tail = (change: number, more: Partial<Layer> = {}) =>
  layer('a', 3, { alpha_hill: 1 + 2 * Math.exp(change), sigma_hill: 0.3, sigma: 0.4, S: 8, ...more })

async function rules(head: Layer[], base: Layer[], points: Point[], ...texts: string[]) {
  const { pairs } = compare([model('net', head)], defaults, {
    ...{ path: 'b', kind: 'report', options: defaults, models: [model('net', base)] },
  })
  const policy = { rules: texts.map(text => parseRule(text, 'fail')), enforce: true }
  return judge(policy, pairs, { cause: '' }, [], [], await earlierChanges(points)).rules
}

describe('rules in units of spread', () => {
  test('history is the distance from the mean in half-widths of the interval', async () => {
    const { reach } = (await earlierChanges(SIX)).predict('net', 'primary') as { reach: number }
    const [rule] = await rules([tail(0.05)], [tail(0)], SIX, 'primary > 0.3 history')
    expect(rule).toMatchObject({ outcome: 'violated', unit: 'history' })
    expect(rule.value).toBeCloseTo(0.05 / reach, 9)
  })

  test('history is inconclusive while it is short', async () => {
    const [rule] = await rules([tail(0.05)], [tail(0)], SIX.slice(3), 'primary > 1 history')
    expect(rule).toMatchObject({
      outcome: 'inconclusive',
      reason: '0 earlier changes are known, and it takes 6 to tell what is usual',
    })
  })

  test('commits that left the model as it is are no changes', async () => {
    const still = history(...Array.from({ length: 8 }, (): [number, number] => [3, 0]))
    const texts = ['primary > 1 history', 'delta(alpha) > 1 history'] as const
    const [primary] = await rules([tail(0.05)], [tail(0)], still, ...texts)
    expect(primary).toMatchObject({
      outcome: 'inconclusive',
      reason: '0 earlier changes are known, and it takes 6 to tell what is usual',
    })
    const same = await rules([tail(0)], [tail(0)], still, ...texts)
    expect(same.map(({ outcome, value }) => [outcome, value])).toEqual(texts.map(() => ['ok', 0]))
    const among = SIX.flatMap(point => [point, ...history([point.models[0].summary.alpha, 0])])
    const [known, alone] = await Promise.all(
      [among, SIX].map(async points => (await earlierChanges(points)).predict('net', 'primary')),
    )
    expect(known).toEqual(alone)
  })

  test('changes that are all the same have no spread', async () => {
    const steady = history([3], ...Array.from({ length: 6 }, (): [number, number] => [3, 0.01]))
    const [rule] = await rules([tail(0.05)], [tail(0)], steady, 'primary > 1 history')
    expect(rule).toMatchObject({ outcome: 'inconclusive', reason: 'all earlier changes were the same' })
  })

  test('sigma is the standard error of the change, of a mean and of a layer', async () => {
    const head = [tail(0, { alpha: 4 }), tail(0, { name: 'b', sigma: 0.3 })]
    const base = [tail(0), tail(0, { name: 'b', sigma: 0 })]
    const [mean, one, hill] = await rules(
      head,
      base,
      [],
      'delta(alpha) > 0 sigma',
      'any(delta(alpha)) > 0 sigma',
      'delta(alpha_hill) >= 0 sigma',
    )
    expect(mean.value).toBeCloseTo(0.5 / Math.hypot(Math.hypot(0.4, 0.3) / 2, 0.4 / 2), 12)
    expect(one.value).toBeCloseTo(1 / Math.hypot(0.4, 0.4), 12)
    expect(hill).toMatchObject({ value: 0, outcome: 'violated' })
  })

  test('primary is what decides, and is inconclusive where nothing does', async () => {
    const [same] = await rules([tail(0.2)], [tail(0)], [], 'primary > 0.1')
    expect(same).toMatchObject({ outcome: 'violated', layers: 1 })
    expect(same.value).toBeCloseTo(0.2, 12)
    const [deeper] = await rules(
      ['a.1', 'a.2', 'a.3'].map(name => tail(0, { name })),
      [tail(0, { name: 'a.1' })],
      [],
      'primary > 0.1',
    )
    expect(deeper).toMatchObject({ outcome: 'inconclusive', cause: 'incomparable' })
    expect(deeper.reason).toMatch(/^Another depth or width/)
  })
})

describe('built-in thresholds follow the history', () => {
  const wild = history([3], ...[0.1, -0.1, 0.12, -0.12, 0.1, -0.1].map((shape): [number, number] => [3, shape]))
  const named = async (change: number, points: Point[]) =>
    (await rules([tail(change, { num_evals: 20_000 })], [tail(0)], points)).map(({ rule }) => rule)

  test('a wilder one allows more, a calmer one warns earlier, never below what seeds do', async () => {
    expect(await named(0.2, [])).toEqual(['lighter-tail > 0.15'])
    expect(await named(0.2, wild)).toEqual([])
    expect(await named(0.4, wild)).toEqual(['lighter-tail > 0.33'])
    expect(await named(-0.2, wild)).toEqual([])
    expect(await named(0.08, SIX)).toEqual([])
    const calm = history([3], ...[0.01, -0.01, 0.01, -0.01, 0.01, -0.01].map((shape): [number, number] => [3, shape]))
    expect(await named(0.07, calm)).toEqual(['slightly-lighter-tail > 0.06'])
    expect(await named(0.05, calm)).toEqual([])
    const few = (change: number) => rules([tail(change, { num_evals: 200 })], [tail(0)], calm)
    expect((await few(0.07)).map(({ rule }) => rule)).toEqual([])
    expect(await named(-0.07, calm)).toEqual(['heavier-tail < -0.06'])
    expect(await named(0.16, calm)).toEqual(['lighter-tail > 0.15'])
  })

  test('the reason says so', async () => {
    const [{ reason }] = await rules([tail(0.4)], [tail(0)], wild)
    expect(reason).toMatch(/; the last 6 baselines predict −0\.33 to \+0\.33$/)
  })
})

describe('a metric that misleads for these two models', () => {
  const caution = async (text: string, head: Layer[], base: Layer[]) => (await rules(head, base, [], text))[0].caution
  const deep = (n: number) => Array.from({ length: n }, (_, i) => tail(0, { name: `c.${i}` }))

  test.each<[string, Layer[], Layer[], RegExp]>([
    ['delta(alpha) > 9', deep(6), deep(3), /^alpha misleads across depths/],
    ['any(delta(alpha)) > 9', deep(6), deep(3), /^alpha misleads across depths/],
    ['delta(log_spectral_norm) > 9', deep(3), deep(3), /a Simpson paradox/],
    ['delta(max(lambda_max)) > 9', deep(3), deep(3), /a Simpson paradox/],
    ['delta(alpha) > 9', deep(3), deep(3), /^the mean alpha moves by/],
    ['delta(entropy) > 9', [tail(0)], [layer('z', 3)], /^another architecture/],
  ])('%s', async (rule, head, base, said) => {
    expect(await caution(rule, head, base)).toMatch(said)
  })

  test.each<[string, Layer[], Layer[]]>([
    ['delta(alpha_weighted) > 9', deep(6), deep(3)],
    ['delta(log_spectral_norm) > 9', deep(6), deep(3)],
    ['alpha > 9', deep(3), deep(3)],
    ['any(alpha) > 9', deep(3), deep(3)],
    ['delta(alpha[c.0]) > 9', deep(3), deep(3)],
    ['primary > 9', deep(3), deep(3)],
    ['delta(layers) > 9', deep(6), deep(3)],
  ])('%s does not', async (rule, head, base) => {
    expect(await caution(rule, head, base)).toBeUndefined()
  })
})

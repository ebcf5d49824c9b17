import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { judgeSeries, serialiseSeries } from '../../src/series/report.ts'
import { seriesReport } from '../../src/series/schema.ts'
import { fixture, groups, judged, metricOf } from './support.ts'

/** A line of y = x with noise of a fixed pattern, larger for later models. */
function table(n: number, of: (i: number) => string, head = 'name,error,alpha'): string {
  return [head, ...Array.from({ length: n }, (_, i) => of(i))].join('\n')
}
const wobble = (i: number) => ((i * 7919) % 13) / 13

test('the published VGG series: alpha is rejected, alpha_weighted recommended, to three decimals', async () => {
  const report = await judged(fixture('vgg.csv'))
  const published = { alpha: -0.969, alpha_weighted: 0.957, log_norm: 0.94, log_spectral_norm: 0.99 }
  for (const [name, r] of Object.entries(published)) expect(metricOf(report, name).pearson).toBeCloseTo(r, 3)
  expect(report.verdict).toEqual({
    ...{ status: 'recommended', metric: 'alpha_weighted', contradicted: ['alpha'], before_holm: [] },
  })
  expect(metricOf(report, 'alpha')).toMatchObject({ state: 'contradicts', within: null, paradox: null, rests_on: null })
  const { low, high } = metricOf(report, 'alpha_weighted').fisher!
  expect([low, high]).toEqual([expect.closeTo(0.773, 3), expect.closeTo(0.992, 3)])
})

/** The reference data lies beside the clone, or does not. */
const published = (name: string) => new URL(`../../../shared/published/ww-trends-${name}.csv`, import.meta.url)

// numpy's corrcoef of the same rows: 0.96536 for DenseNet's log_norm.
test.runIf(existsSync(published('vgg'))).each([
  [
    'resnet',
    5,
    { alpha: 0.713, alpha_weighted: 0.98, log_alpha_norm: 0.977, log_norm: 0.957, log_spectral_norm: 0.95 },
  ],
  [
    'densenet',
    4,
    { alpha: -0.074, alpha_weighted: 0.99, log_alpha_norm: 0.983, log_norm: 0.9654, log_spectral_norm: 0.995 },
  ],
  [
    'resnet-1k',
    19,
    { alpha: 0.043, alpha_weighted: 0.934, log_alpha_norm: 0.926, log_norm: 0.878, log_spectral_norm: 0.826 },
  ],
  ['vgg', 8, { alpha: -0.969, alpha_weighted: 0.957, log_alpha_norm: 0.979, log_norm: 0.94, log_spectral_norm: 0.99 }],
])('published %s: the correlations of the paper’s data over %i models', async (name, n, expected) => {
  const report = await judged(readFileSync(published(name), 'utf8'))
  expect(report.n).toBe(n)
  for (const [metric, r] of Object.entries(expected)) expect(metricOf(report, metric).pearson).toBeCloseTo(r, 3)
  const few = n < 8
  expect(report.verdict.status).toBe(few ? 'too-few' : 'recommended')
  expect(report.verdict.metric).toBe(few ? null : 'alpha_weighted')
  if (few) expect(new Set(report.metrics.map(({ state }) => state))).toEqual(new Set(['too-few']))
})

test('six ResNet20: too few, and the one correlation rests on the doubtful accuracy', async () => {
  const report = await judged(fixture('resnet20.yml'), 'resnet20.yml')
  expect(report.verdict.status).toBe('too-few')
  const alpha = metricOf(report, 'alpha')
  expect(alpha).toMatchObject({
    ...{ state: 'too-few', p_method: 'permutation' },
    rests_on: { name: 'distiller-4d-5lremoved-ft', without: expect.closeTo(0.113, 3) },
  })
  expect([alpha.pearson, alpha.spearman, alpha.kendall]).toEqual([
    expect.closeTo(-0.864885219, 8),
    expect.closeTo(-0.376851173, 8),
    expect.closeTo(-0.276026224, 8),
  ])
  expect(report.metrics.filter(({ rests_on }) => rests_on)).toHaveLength(1)
})

test.each([7, 8])('%i models with a perfect line: eight are enough to say', async n => {
  const report = await judged(table(n, i => `m${i},${i + wobble(i) / 50},${i}`))
  expect(metricOf(report, 'alpha').state).toBe(n < 8 ? 'too-few' : 'tracks')
  expect(report.verdict.metric).toBe(n < 8 ? null : 'alpha')
})

test.each([
  ['error', 'alpha', 1, 'tracks'],
  ['error', 'alpha', -1, 'contradicts'],
  ['accuracy', 'alpha', 1, 'contradicts'],
  ['accuracy', 'alpha', -1, 'tracks'],
  ['top1_error', 'mine (larger)', -1, 'tracks'],
  ['accuracy', 'mine (smaller)', 1, 'contradicts'],
  ['accuracy', 'stable_rank', 1, 'no-direction'],
])('%s with %s, slope %i: %s', async (target, metric, slope, state) => {
  const head = `name,${target},${metric}`
  const report = await judged(table(12, i => `m${i},${slope * i},${i + wobble(i)}`, head))
  expect(report.metrics[0].state).toBe(state)
  expect(report.verdict.metric).toBe(state === 'tracks' ? metric.split(' ')[0] : null)
})

test('one model that carries it all is no tracking', async () => {
  const report = await judged(table(10, i => (i === 9 ? 'far,40,40' : `m${i},${wobble(i)},${-wobble(i) / 2}`)))
  const alpha = metricOf(report, 'alpha')
  expect(alpha.pearson).toBeGreaterThan(0.9)
  expect(alpha.rests_on).toMatchObject({ name: 'far' })
  expect(alpha.rests_on!.without).toBeLessThan(0)
  expect(alpha.state).toBe('unclear')
  expect(report.verdict).toMatchObject({ status: 'none', metric: null })
})

test('what tracks alone and not among many is not recommended', async () => {
  const others = Array.from({ length: 12 }, (_, k) => `own${k} (smaller)`)
  const head = ['name', 'error', 'alpha', ...others].join()
  const rows = table(
    9,
    i =>
      [`m${i}`, i + 9 * wobble(i), i + 3 * wobble(i + 3), ...others.map((_, k) => ((i + 1) * (k + 3) * 7) % 11)].join(),
    head,
  )
  const report = await judged(rows)
  expect(metricOf(report, 'alpha')).toMatchObject({ state: 'tracks' })
  expect(metricOf(report, 'alpha').p).toBeLessThan(0.05)
  expect(metricOf(report, 'alpha').holm).toBeGreaterThan(0.05)
  expect(report.verdict).toMatchObject({ metric: null, before_holm: expect.arrayContaining(['alpha']) })
})

test('a planted paradox is found and named, and no metric with it tracks', () => {
  let found = 0
  for (let seed = 1; seed <= 20; seed++) {
    const [alpha] = judgeSeries(groups(seed, -0.5, 2)).metrics
    if (!alpha.paradox) continue
    found++
    expect(alpha.paradox).toMatchObject({ groups: 4, overall: alpha.pearson, within: alpha.within!.pearson })
    expect(alpha.state).toBe('contradicts')
  }
  expect(found).toBeGreaterThanOrEqual(19)
})

test.each([
  ['no trend', 0, 0],
  ['the same sign', 0.5, 1],
  ['within alone', -0.5, 0],
])('%s is no paradox', (_, within, between) => {
  for (let seed = 1; seed <= 10; seed++) {
    expect(judgeSeries(groups(seed, within, between)).metrics[0].paradox).toBeNull()
  }
})

test('offsets of groups alone are no tracking: it has to hold within them', () => {
  const states = Array.from({ length: 20 }, (_, seed) => judgeSeries(groups(seed + 1, 0, 3)).metrics[0])
  expect(states.every(({ fisher }) => fisher!.low > 0)).toBe(true)
  expect(states.filter(({ state }) => state === 'tracks').length).toBeLessThanOrEqual(2)
  expect(states.filter(({ state }) => state === 'between-groups').length).toBeGreaterThanOrEqual(16)
  expect(judgeSeries(groups(1, 0.6, 3)).verdict).toMatchObject({ status: 'recommended', metric: 'alpha' })
})

test('groups of one model say nothing within them', () => {
  const { n, verdict, metrics } = judgeSeries(groups(1, 0.5, 3, { count: 12, size: 1 }))
  expect({ n, status: verdict.status }).toEqual({ n: 12, status: 'too-few' })
  expect(metrics[0]).toMatchObject({ state: 'too-few', within: { n: 1, pearson: null, fisher: null, p: null } })
})

test('moments of one training are described, and never track', async () => {
  const report = await judged(table(30, i => `e${i},${i},${i},${30 - i}`, 'name,accuracy,step,alpha'))
  expect(report).toMatchObject({ kind: 'training', verdict: { status: 'training', metric: null } })
  expect(report.metrics[0]).toMatchObject({ state: 'one-run', pearson: -1, kendall: -1, fisher: null, p: null })
  expect(report.trainings[0].least_alpha).toMatchObject({ step: 29, name: 'e29', alpha: 1 })
})

test('the result is valid by its schema, and the same bytes each time', async () => {
  for (const report of [await judged(fixture('vgg.csv')), judgeSeries(groups(3, -0.5, 2))]) {
    const json = serialiseSeries(report)
    expect(seriesReport.parse(JSON.parse(json))).toEqual(report)
    expect(json).not.toMatch(/NaN|Infinity/)
  }
  expect(serialiseSeries(judgeSeries(groups(3, 0, 1)))).toBe(serialiseSeries(judgeSeries(groups(3, 0, 1))))
})

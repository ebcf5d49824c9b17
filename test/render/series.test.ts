import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { renderSeriesCsv } from '../../src/render/csv.ts'
import { renderSeriesMarkdown, renderSeriesText, seriesHeadline, seriesPlots } from '../../src/render/series.ts'
import { phrase } from '../../src/render/text.ts'
import { judgeSeries } from '../../src/series/report.ts'
import { fixture, groups, judged, read } from '../series/support.ts'

test('what a recommendation says, with what it rejects', async () => {
  const text = renderSeriesText(await judged(fixture('vgg.csv')))
  expect(text).toMatch(
    /\nGate on alpha_weighted here: it tracks top1_error over 8 models, r = \+0\.957 \[\+0\.773, \+0\.992\]\n$/,
  )
  expect(text).toContain(
    'alpha is rejected: smaller is said to be better, and here it is worse, r = −0.969 [−0.995, −0.835].',
  )
  expect(text).toMatch(/^alpha +\| +−0\.969 \| \[−0\.995, −0\.835\] .*\| points the other way$/m)
})

test('too few, and the one model that a correlation rests on', async () => {
  const text = renderSeriesText(await judged(fixture('resnet20.yml'), 'r.yml'))
  expect(text).toMatch(/\nToo few to say: 6 models, and 8 are needed\n$/)
  expect(text).toContain('alpha: r = −0.865 rests on distiller-4d-5lremoved-ft alone; without it, r = +0.113.')
  expect(text).not.toMatch(/\| tracks/)
})

test('the paradox is called by its name, over these groups', () => {
  const text = renderSeriesText(judgeSeries(groups(4, -0.5, 2)))
  expect(text).toMatch(
    /^Simpson's paradox over these 4 groups: over all 96 models alpha goes one way with error, r = \+0\.\d+; within the groups the other, r = −0\.\d+ \(p < \.001, after Holm < \.001\)\./m,
  )
  expect(text).toContain('No metric tracks error beyond doubt over 96 models in 4 groups: none to gate on')
  expect(renderSeriesText(judgeSeries(groups(4, 0.5, 1)))).not.toContain('Simpson')
  const few = judgeSeries(groups(1, 0.5, 3, { count: 12, size: 1 }))
  expect(phrase(seriesHeadline(few))).toBe('Too few to say: within 12 groups, 12 models count as 1, and 8 are needed')
})

test('a training is described by its steps, without intervals', async () => {
  const text = renderSeriesText(
    await judged('name,step,accuracy,alpha\nb,20,0.8,2.5\na,10,0.7,3\nc,30,0.9,2.75\nd,40,0.95,2.75\n'),
  )
  expect(text).toContain('Mean alpha is least at step 20 (b: 2.500).')
  expect(text).toMatch(/^ {2}10 \| a +\| 3\.000 \| +0\.700$/m)
  expect(text).toMatch(/^metric \| Pearson \| Spearman \| Kendall$/m)
  expect(text).not.toMatch(/\[[+−]/)
  expect(text).toMatch(/4 moments of one training: described, and no claim that a metric tracks\n$/)
})

test('hostile names stay names in Markdown, on a terminal and in the plots', async () => {
  const evil = '`|<img src=x onerror=y> [l](http://evil.test) @all\u202e'
  const cell = `"${evil}"`
  const series = await read(
    `name,group,error,alpha\n${Array.from({ length: 9 }, (_, i) => `${cell},${cell},${i},${(i * 5) % 9}`).join('\n')}\nfar,g2,99,99\n`,
  )
  const report = judgeSeries(series)
  const markdown = renderSeriesMarkdown(report, 60_000)
  expect(markdown.replace(/(`+)[^\n]*?\1/g, '')).not.toMatch(/<img|\]\(http|@all/)
  for (const text of [markdown, renderSeriesText(report), ...seriesPlots(report).map(({ svg }) => svg)])
    expect(text).not.toContain('\u202e')
  for (const { svg } of seriesPlots(report)) expect(svg).not.toContain('<img')
})

test('the summary keeps its limit, and the verdict', async () => {
  const rows = Array.from({ length: 2000 }, (_, i) => `${'n'.repeat(200)}${i},${i % 7},${i},${i % 91}`).join('\n')
  const report = await judged(`name,accuracy,step,alpha\n${rows}\n`)
  for (const limit of [60_000, 4_000, 200]) {
    const markdown = renderSeriesMarkdown(report, limit)
    expect(Buffer.byteLength(markdown)).toBeLessThanOrEqual(limit)
    expect(markdown).toMatch(/^### /)
  }
})

test('the table that it writes is a series that it reads, with the same figures', async () => {
  const report = judgeSeries(groups(2, -0.5, 2))
  expect((await judged(renderSeriesCsv(report))).metrics).toEqual(report.metrics)
  const own = await judged('name,step,error,mine (larger),alpha\na,1,1,2,3\nb,2,2,1,\nc,3,4,0.5,2\n')
  const again = await judged(renderSeriesCsv(own))
  expect(again).toEqual(own)
})

test('a plot a metric, against what is known, or else over the steps', async () => {
  const known = await judged(fixture('vgg.csv'))
  expect(seriesPlots(known).map(({ metric }) => metric)).toEqual(known.metrics.map(({ name }) => name))
  expect(seriesPlots(known)[0].svg).toContain('alpha and top1_error, 8 models')
  const steps = await judged('name,step,alpha,mp_softrank\na,1,3,\nb,2,2,\n')
  expect(seriesPlots(steps).map(({ metric }) => metric)).toEqual(['alpha'])
  expect(seriesPlots(steps)[0].svg).toContain('alpha over the training')
})

test.each([
  ['docs/series/vgg-alpha_weighted.svg', 'test/fixtures/series/vgg.csv'],
  ['docs/series/grid-alpha_weighted.svg', 'bench/paradox/results.csv'],
])('%s is the plot that %s makes', async (path, table) => {
  const plots = seriesPlots(await judged(readFileSync(table, 'utf8')))
  expect(plots.find(({ metric }) => metric === 'alpha_weighted')!.svg).toBe(readFileSync(path, 'utf8'))
})

test.each([
  ['results.csv', 0.222, 0.023],
  ['results-seed2.csv', 0.345, 0.076],
])('the grid in %s shows what the docs say: no paradox, and nothing that tracks', async (file, overall, within) => {
  const { metrics, verdict } = await judged(readFileSync(`bench/paradox/${file}`, 'utf8'))
  expect(verdict).toEqual({ status: 'none', metric: null, contradicted: [], before_holm: [] })
  expect(metrics.map(({ paradox }) => paradox)).toEqual(metrics.map(() => null))
  expect(metrics.find(({ name }) => name === 'alpha_weighted')).toMatchObject({
    ...{ pearson: expect.closeTo(overall, 3), within: { pearson: expect.closeTo(within, 3) } },
  })
})

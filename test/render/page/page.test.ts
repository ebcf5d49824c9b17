import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { renderCsv } from '../../../src/render/csv.ts'
import { h, write as writeHtml } from '../../../src/render/page/element.ts'
import { renderPage, renderSeriesPage } from '../../../src/render/page/index.ts'
import { drawSpectrum } from '../../../src/render/page/spectrum.ts'
import { parseReport } from '../../../src/report/io.ts'
import type { Report } from '../../../src/report/schema.ts'
import { judgeSeries } from '../../../src/series/report.ts'
import { root } from '../../support/cli.ts'
import { REPORTS } from '../../support/reports.ts'

const whole = (report: Report) => JSON.parse(JSON.stringify(report)) as Report

interface Data {
  readonly header: string
  readonly models: ({ name: string; csv: string; head: { counts: number[] }; base?: object } | null)[][]
}
const dataOf = (html: string): Data =>
  JSON.parse(/<script type="application\/json" id="data">(.*)<\/script>/.exec(html)![1])

test.each(Object.keys(REPORTS))('%s: one file that lets in nothing but its own script and style', async name => {
  const html = await renderPage(whole(REPORTS[name]))
  const [, policy] = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(html)!
  const allowed = (kind: string) => new RegExp(`${kind} &#39;(sha256-[^;]+)&#39;;`).exec(policy)![1]
  const hash = (text: string) => `sha256-${createHash('sha256').update(text).digest('base64')}`
  const [styles, scripts] = ['style', 'script'].map(tag =>
    [...html.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))].map(([, text]) => text),
  )
  expect(styles.map(hash)).toEqual([allowed('style-src')])
  expect(scripts.map(hash)).toEqual([allowed('script-src')])
  expect(policy).toContain('default-src &#39;none&#39;')
  const rest = [...styles, ...scripts].reduce((text, part) => text.replace(part, ''), html)
  expect(rest).not.toMatch(/\s(?:src|srcset|style|on[a-z]+)="|@import|url\(/)
  for (const [, url] of rest.matchAll(/href="([^"]*)"/g)) expect(url).toMatch(/^(#[\w-]+|data:,|https:\/\/[\w./-]+)$/)
  const ids = [...rest.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id)
  expect(new Set(ids).size).toBe(ids.length)
  for (const [, target] of rest.matchAll(/href="#([^"]*)"/g)) expect(ids).toContain(target)
})

test('its CSV is that of --csv, row by row', async () => {
  const report = whole(REPORTS.full)
  const { header, models } = dataOf(await renderPage(report))
  const rows = models.flat().map(layer => layer!.csv)
  expect(`${[header, ...rows].join('\n')}\n`).toBe(renderCsv(report))
})

test('a hundred layers take less than 1.5 MB, and more layers than a page holds are counted', async () => {
  const report = whole(REPORTS.full)
  const [model] = report.models
  const [layer] = model.layers
  const esd = {
    log10_edges: Array.from({ length: 101 }, (_, i) => -3.123456789012345 + i * 0.0432109876543),
    counts: new Array(100).fill(12345),
  }
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ ...layer, esd, name: `layers.${i}.attention.query_key_value` }))
  const base = { esd, xmin: 0.123456789, xmax: 12.3456789, num_pl_spikes: 1234 }
  const change = report.comparison!.models[0].layers[0]
  const changed = (count: number) => many(count).map(({ name, shape }) => ({ ...change, name, shape, base }))
  const of = (count: number): Report => ({
    ...report,
    models: [{ ...model, layers: many(count) }],
    comparison: {
      ...report.comparison!,
      models: [{ ...report.comparison!.models[0], layers: changed(count), added: [] }],
    },
  })
  const hundred = await renderPage(of(100))
  expect(Buffer.byteLength(hundred)).toBeLessThan(1_500_000)
  expect(dataOf(hundred).models[0].every(layer => layer?.base)).toBe(true)
  const most = await renderPage(of(5_003))
  expect(most).toContain('3 more layers are in the report')
  expect(dataOf(most).models[0].filter(layer => layer !== null)).toHaveLength(5_000)
})

test('reports of earlier versions are drawn', async () => {
  const folder = join(root, 'test/fixtures/reports')
  for (const name of readdirSync(folder).filter(name => name.endsWith('.json'))) {
    const report = parseReport(readFileSync(join(folder, name)), name)
    const html = await renderPage(report)
    expect(dataOf(html).models[0]).toHaveLength(report.models[0].layers.length)
    expect(html).not.toMatch(/undefined|NaN/)
  }
})

test('no place of a drawing is NaN, whatever numbers a layer has', () => {
  const counts = [0, 3, 0, 12, 1]
  const odd = [
    { low: 0, width: 1, counts: [] },
    { low: -300, width: 100, counts },
    { low: -2, width: 1e-9, counts },
    { low: -2, width: 0.5, counts: [0, 0, 7] },
  ]
  const tails = [
    undefined,
    { alpha: 1, xmin: 1, xmax: 1, count: 0 },
    { alpha: 3, xmin: 1e-300, xmax: 1e300, count: 12 },
    { alpha: 0.5, xmin: 2, xmax: 3, count: 5 },
  ]
  const bulks = [undefined, { min: 0, max: 2, count: 12 }, { min: 3, max: 3, count: 1 }]
  for (const one of odd)
    for (const tail of tails)
      for (const bulk of bulks)
        for (const base of [undefined, ...odd]) {
          const drawn = drawSpectrum('layer', { ...one, ...(tail && { tail }), ...(bulk && { bulk }) }, base)
          expect(drawn.map(writeHtml).join('')).not.toMatch(/NaN|Infinity|undefined/)
        }
})

test('the fit stands where the law has it: n·(alpha − 1)·ln 10 eigenvalues per decade at xmin', () => {
  // 100 eigenvalues of alpha 2 above 1: 100·ln 10 = 230 per decade there, a tenth of that at 10.
  const drawn = drawSpectrum(
    'layer',
    { low: 0, width: 1, counts: [90, 9], tail: { alpha: 2, xmin: 1, xmax: 10, count: 100 } },
    undefined,
  )
  const html = drawn.map(writeHtml).join('')
  const [, x1, y1, x2, y2] = /class="fit head" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"/.exec(html)!.map(Number)
  const tick = (text: string) =>
    Number(new RegExp(`text-anchor="end">${text}<|y="([\\d.]+)" text-anchor="end">${text}<`).exec(html)?.[1]) - 4
  const perDecade = (tick('10') - tick('100')) / 1
  expect(y2 - y1).toBeCloseTo(perDecade, 0)
  expect(tick('100') - y1).toBeCloseTo(Math.log10(Math.LN10) * perDecade, 0)
  expect(x2).toBeGreaterThan(x1)
})

test('a series: a plot a metric, and every model', () => {
  const points = Array.from({ length: 12 }, (_, i) => ({
    name: i === 0 ? '<b>evil</b>' : `model ${i}`,
    group: i % 2 ? 'wide' : 'deep',
    target: 80 + i,
    metrics: new Map([['alpha', 6 - i / 4 + (i % 3) / 10]]),
  }))
  const report = judgeSeries({ points, target: { name: 'accuracy', better: 'higher' }, ignored: [] } as never)
  const html = renderSeriesPage(report)
  expect(html.match(/<g class="dot g[01]"/g)).toHaveLength(12)
  expect(html).not.toContain('<b>evil')
  expect(html).toContain('&#60;b&#62;evil')
})

test('texts and values of attributes end no element', () => {
  expect(writeHtml(h('a', { title: '"><x y=\'' }, '<&>', ['b', h('br')], false, undefined))).toBe(
    '<a title="&#34;&#62;&#60;x y=&#39;">&#60;&#38;&#62;b<br></a>',
  )
})

test('a report without models has a page too', async () => {
  const { comparison: _, ...rest } = whole(REPORTS.full)
  const html = await renderPage({ ...rest, models: [] })
  expect(html).toContain('Why this verdict')
  expect(dataOf(html).models).toEqual([])
})

test('no name of a tensor reorders what follows it, in the data of the page either', async () => {
  const [name] = Object.keys(REPORTS)
  const report = whole(REPORTS[name])
  for (const layer of report.models[0]!.layers) layer.tensor = `a\u202e\u200bb`
  const html = await renderPage(report)
  expect(html).toContain('tensor a\\\\u202e')
  expect(html).not.toMatch(/[\u200b\u202e]/)
})

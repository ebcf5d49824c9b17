import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { renderCsv, renderSeriesCsv } from '../../src/render/csv.ts'
import { renderMarkdown } from '../../src/render/markdown.ts'
import {
  format,
  formatAge,
  formatChange,
  formatPercent,
  formatReal,
  formatShare,
  plural,
} from '../../src/render/numbers.ts'
import { write as writeHtml } from '../../src/render/page/element.ts'
import { renderPage, renderSeriesPage } from '../../src/render/page/index.ts'
import { drawSpectrum } from '../../src/render/page/spectrum.ts'
import { renderSeriesMarkdown, renderSeriesText, seriesPlots } from '../../src/render/series.ts'
import { renderDescription, renderText } from '../../src/render/text.ts'
import { type Report, strictReport } from '../../src/report/schema.ts'
import { judgeSeries } from '../../src/series/report.ts'
import type { SeriesReport } from '../../src/series/schema.ts'
import { fixture, groups, judged } from '../series/support.ts'
import { root } from '../support/cli.ts'
import { head, REPORTS, skipped } from '../support/reports.ts'

/** Each view of a report as a file that a reviewer can read: `vitest -u` writes them anew, and their diff is to be read. */
/** A page without its style, its script and their digests, an element a line. */
const linesOf = (html: string) =>
  html
    .replace(/<(style|script)>[\s\S]*?<\/\1>/g, '')
    .replace(/sha256-[^&]+/g, '…')
    .replaceAll('><', '>\n<')
const file = (name: string) => join(root, 'test/fixtures/views', name)
describe.each(Object.keys(REPORTS))('%s', name => {
  const one = Object.fromEntries(Object.entries(REPORTS[name]).filter(([, value]) => value !== undefined)) as Report

  test('is a report', () => {
    expect(strictReport.safeParse(one).error?.issues ?? []).toEqual([])
  })

  test('as a comment, whole and shorter', async () => {
    await expect(
      renderMarkdown(one, { limit: 100_000, note: 'A note.', whereabouts: '[all](https://x.example/1)' }),
    ).toMatchFileSnapshot(file(`${name}.md`))
    const shorter = [6000, 3000, 1500, 700].map(limit => renderMarkdown(one, { limit }))
    for (const [i, limit] of [6000, 3000, 1500].entries())
      expect(Buffer.byteLength(shorter[i])).toBeLessThanOrEqual(Math.max(limit, Buffer.byteLength(shorter[3])))
    await expect(shorter.join('\n----\n\n')).toMatchFileSnapshot(file(`${name}.short.md`))
  })

  test('in a terminal of several widths, and in part', async () => {
    const texts = [
      renderText(one),
      ...[120, 80, 50].map(width => renderText(one, { width })),
      renderText(one, { top: 2 }),
      renderText(one, { quiet: true }),
    ]
    await expect(texts.join('\n----\n\n')).toMatchFileSnapshot(file(`${name}.txt`))
  })

  test('as a page', async () => {
    await expect(linesOf(await renderPage(one))).toMatchFileSnapshot(file(`${name}.page.txt`))
  })

  test('as a table of values', async () => {
    await expect(renderCsv(one)).toMatchFileSnapshot(file(`${name}.csv`))
  })
})

test('spectra of layers', async () => {
  const counts = [0, 3, 9, 27, 12, 0, 4, 1]
  const whole = { low: -2, width: 0.5, counts }
  const tail = { alpha: 2.5, xmin: 1, xmax: 80, count: 17 }
  const bulk = { min: 0.02, max: 3, count: 12 }
  const drawings = [
    drawSpectrum('plain', whole, undefined),
    drawSpectrum('with its tail', { ...whole, tail }, undefined),
    drawSpectrum('with its bulk', { ...whole, bulk }, undefined),
    drawSpectrum('with both, beside the baseline', { ...whole, tail, bulk }, { ...whole, low: -1.5, tail }),
    drawSpectrum(
      'beside a baseline of other bins',
      { ...whole, tail },
      { low: -3, width: 0.25, counts: [1, 2, 40, 3] },
    ),
    drawSpectrum('of one bin', { low: 0, width: 1, counts: [5] }, undefined),
    drawSpectrum('of none', { low: 0, width: 1, counts: [] }, undefined),
  ]
  const html = drawings.map(drawing => drawing.map(writeHtml).join('').replaceAll('><', '>\n<'))
  await expect(html.join('\n----\n\n')).toMatchFileSnapshot(file('spectra.txt'))
})

const SERIES: Record<string, () => SeriesReport | Promise<SeriesReport>> = {
  widths: () => judged(fixture('vgg.csv')),
  few: () => judged(fixture('resnet20.yml'), 'r.yml'),
  paradox: () => judgeSeries(groups(4, -0.5, 2)),
  groups: () => judgeSeries(groups(3, 0.5, 3, { count: 12, size: 2 })),
  training: () => judged('name,step,accuracy,alpha\nb,20,0.8,2.5\na,10,0.7,3\nc,30,0.9,2.75\nd,40,0.95,2.75\n'),
  steps: () => judged('name,step,alpha,mp_softrank\na,1,3,\nb,2,2,0.5\n'),
}

test.each(Object.keys(SERIES))('a series: %s', async name => {
  const report = await SERIES[name]()
  const texts = [
    renderSeriesText(report),
    renderSeriesMarkdown(report, 60_000),
    renderSeriesMarkdown(report, 1_500),
    renderSeriesCsv(report),
    linesOf(renderSeriesPage(report)),
    ...seriesPlots(report).map(({ metric, svg }) => `${metric}\n${svg.replaceAll('><', '>\n<')}`),
  ]
  await expect(texts.join('\n----\n\n')).toMatchFileSnapshot(file(`series-${name}.txt`))
})

test('what a description says', async () => {
  const described = {
    ...{
      name: 'net',
      path: 'out/net.pt',
      format: 'torch-zip',
      bytes: 12,
      state_dict: 'model',
      ignored: ['optimizer', 'epoch'],
    },
    layers: head.layers.slice(0, 2),
    skipped,
  }
  const texts = [
    renderDescription(described),
    renderDescription(described, { width: 40 }),
    renderDescription({ ...described, state_dict: '', ignored: [], layers: [], skipped: [] }),
  ]
  await expect(texts.join('\n----\n\n')).toMatchFileSnapshot(file('description.txt'))
})

describe('numbers for people', () => {
  test.each<[number | null, string, string, string]>([
    [null, '–', '–', '–'],
    [0, '0', '0.000', '0'],
    [2, '2', '2.000', '+2.000'],
    [-3, '−3', '−3.000', '−3.000'],
    [999, '999', '999.000', '+999.000'],
    [1000, '1000', '1000', '+1000'],
    [2.5, '2.500', '2.500', '+2.500'],
    [-2.5, '−2.500', '−2.500', '−2.500'],
    [0.0005, '0.001', '0.001', '+0.001'],
    [0.00049, '4.90e−4', '4.90e−4', '+4.90e−4'],
    [999.5, '999.500', '999.500', '+999.500'],
    [1000.5, '1000.5', '1000.5', '+1000.5'],
    [999_999.4, '999999.4', '999999.4', '+999999.4'],
    [1_000_000.5, '1.00e+6', '1.00e+6', '+1.00e+6'],
    [999_999_999, '999999999', '999999999', '+999999999'],
    [1e9, '1.00e+9', '1.00e+9', '+1.00e+9'],
    [-1e-9, '−1.00e−9', '−1.00e−9', '−1.00e−9'],
  ])('%d', (value, plain, real, change) => {
    expect([format(value), formatReal(value), formatChange(value)]).toEqual([plain, real, change])
  })

  test('shares are never rounded up to the whole, ages go down', () => {
    expect([1, 0.9999, 0.5, 0, null].map(formatShare)).toEqual(['100 %', '99.9 %', '50.0 %', '0.0 %', '–'])
    expect([12.34, -5, null].map(formatPercent)).toEqual(['12.3 %', '−5.0 %', '–'])
    expect([59, 60, 119, 7199, 7200, 172_799, 172_800].map(formatAge)).toEqual([
      ...['0 minutes', '1 minute', '1 minute', '119 minutes', '2 hours', '47 hours', '2 days'],
    ])
    expect([plural(1, 'leg'), plural(2, 'leg'), plural(0, 'leg'), plural(2, 'mouse', 'mice')]).toEqual([
      ...['1 leg', '2 legs', '0 legs', '2 mice'],
    ])
  })
})

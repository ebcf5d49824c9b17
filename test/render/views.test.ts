import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { renderCsv } from '../../src/render/csv.ts'
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
import { renderDescription, renderText } from '../../src/render/text.ts'
import { type Report, strictReport } from '../../src/report/schema.ts'
import { root } from '../support/cli.ts'
import { head, REPORTS, skipped } from '../support/reports.ts'

/** Each view of a report as a file that a reviewer can read: `vitest -u` writes them anew, and their diff is to be read. */
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

  test('as a table of values', async () => {
    await expect(renderCsv(one)).toMatchFileSnapshot(file(`${name}.csv`))
  })
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

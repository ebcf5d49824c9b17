import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { compare } from '../../src/comparison/compare.ts'
import { judge } from '../../src/policy/judge.ts'
import { parseRule } from '../../src/policy/rule.ts'
import { renderCsv } from '../../src/render/csv.ts'
import { renderMarkdown } from '../../src/render/markdown.ts'
import { renderText } from '../../src/render/text.ts'
import {
  ALL_METRICS,
  COLUMNS,
  COMPARED_METRICS,
  column,
  LAYER_METRICS,
  SUMMARY_METRICS,
} from '../../src/report/columns.ts'
import { parseReport, serialiseReport } from '../../src/report/io.ts'
import type { Report } from '../../src/report/schema.ts'
import { cli, root } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'

const FOLDER = join(root, 'test/fixtures/reports')
const earlier = readdirSync(FOLDER).filter(name => name.endsWith('.json'))

describe('a report of an earlier version', () => {
  test('there are some', () => expect(earlier.length).toBeGreaterThanOrEqual(2))

  test.each(earlier)('%s is a baseline, and an unchanged network has not changed', async name => {
    const checkpoint = `examples/digits/${name.replace(/^[^-]+-(.*)\.json$/, '$1')}.safetensors`
    const { status, stdout, stderr } = await cli(
      ...[checkpoint, '--baseline', join(FOLDER, name), '--json', '-'],
      ...['--fail-if', 'delta(alpha) > 0', '--fail-if', 'any(delta(log_norm)) > 0'],
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const report: Report = JSON.parse(stdout)
    expect(report.comparison?.status).toBe('compared')
    const [{ layers, matched, summary }] = report.comparison!.models
    expect(layers).toEqual([])
    expect(matched).toBe(report.models[0].layers.length)
    expect(SUMMARY_METRICS.map(metric => summary![metric].change)).toEqual(SUMMARY_METRICS.map(() => 0))
    expect(report.verdict?.rules.map(({ outcome }) => outcome)).toEqual(['ok', 'ok'])
  })
})

/** The report as a version would have written it that had neither of two columns, and had others. */
function another(): Buffer {
  const json = JSON.parse(readFileSync(join(FOLDER, earlier[0]), 'utf8'))
  for (const { layers, summary } of json.models) {
    for (const layer of layers) {
      delete layer.entropy
      delete layer.log_norm
      layer.novelty = 7
      layer.layer_type = 'conv3d'
      layer.warning = 'random-like'
    }
    delete summary.log_norm
    summary.novelty = 7
  }
  return Buffer.from(JSON.stringify(json))
}

describe('a report of a version with other columns', () => {
  const base = parseReport(another(), 'base.json')
  const head = parseReport(readFileSync(join(FOLDER, earlier[0])), 'head.json')
  const { pairs, comparison } = compare(head.models, head.options, { ...base, path: 'base.json', kind: 'report' })

  test('is read: what is unknown is dropped, and an unknown word is kept', () => {
    expect(base.models[0].layers[0]).not.toHaveProperty('novelty')
    expect(base.models[0].layers[0]).toMatchObject({ layer_type: 'conv3d', warning: 'random-like' })
    expect(base.models[0].layers[0].entropy).toBeUndefined()
  })

  test('has changed in nothing that both have', () => {
    expect(comparison.models[0].layers).toEqual([])
    expect(comparison.models[0].summary!.alpha.change).toBe(0)
    expect(comparison.models[0].summary!.log_norm).toEqual({
      head: head.models[0].summary.log_norm,
      base: null,
      change: null,
    })
  })

  test.each([
    ['delta(entropy) > 0', 'in the baseline, entropy was not computed'],
    ['any(delta(log_norm)) > 0', 'in the baseline, log_norm was not computed'],
    ['delta(median(entropy)) > 0', 'in the baseline, entropy was not computed'],
    ['delta(entropy[conv1]) > 0', 'in the baseline, entropy was not computed'],
  ])('leaves %s undecided, and says why', (text, reason) => {
    const policy = { rules: [parseRule(text, 'fail')], enforce: true }
    expect(judge(policy, pairs, { cause: '' }).rules[0]).toMatchObject({ outcome: 'inconclusive', reason })
  })

  test('is written as soon as a view of it is', () => {
    const report = { ...head, models: base.models, comparison }
    for (const text of [renderText(report), renderMarkdown(report, { limit: 60_000 }), renderCsv(report)])
      expect(text).not.toMatch(/undefined|NaN/)
  })

  test('lends no row to a run that wants all columns', async () => {
    const path = join(temporaryFolder(), 'base.json')
    writeFileSync(path, another())
    const { stdout } = await cli('examples/digits/depth3-batch128.safetensors', '--baseline', path, '--json', '-')
    const report: Report = JSON.parse(stdout)
    expect(report.models[0].layers.every(({ reused, entropy }) => !reused && entropy !== null)).toBe(true)
  })
})

test('an unknown word that is none is refused', () => {
  const json = JSON.parse(readFileSync(join(FOLDER, earlier[0]), 'utf8'))
  json.models[0].layers[0].layer_type = '[x](https://example.com)'
  expect(() => parseReport(Buffer.from(JSON.stringify(json)), 'x.json')).toThrow(/layer_type/)
})

describe('the table of columns', () => {
  test('is what a row holds', async () => {
    const { stdout } = await cli('examples/digits/depth3-batch8.safetensors', '--json', '-')
    const report = parseReport(Buffer.from(stdout), 'x.json')
    const numbers = Object.entries(report.models[0].layers[0]).filter(([, value]) => typeof value === 'number')
    expect(numbers.map(([name]) => name).sort()).toEqual([...LAYER_METRICS].sort())
    expect(serialiseReport(report)).toBe(stdout)
  })

  test('has each column once in the order for people, the summary first', () => {
    expect([...ALL_METRICS].sort()).toEqual(Object.keys(COLUMNS).sort())
    expect(ALL_METRICS.slice(0, LAYER_METRICS.length)).toEqual(LAYER_METRICS)
    for (const metric of ALL_METRICS)
      expect(column(metric).analysis !== undefined, metric).toBe(!LAYER_METRICS.includes(metric))
    expect(LAYER_METRICS.slice(0, SUMMARY_METRICS.length)).toEqual(SUMMARY_METRICS)
    expect(SUMMARY_METRICS.map(metric => column(metric).summary)).toEqual(SUMMARY_METRICS.map((_, i) => i + 1))
    expect(COMPARED_METRICS).toContain('alpha')
  })

  test('is the table of docs/metrics.md', () => {
    const docs = readFileSync(join(root, 'docs/metrics.md'), 'utf8')
    for (const metric of ALL_METRICS) expect(docs).toContain(`| \`${metric}\` | ${column(metric).unit} |`)
  })
})

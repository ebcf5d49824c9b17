import { expect, test } from 'vitest'
import { ADDED, ANALYSES, askedIn, isAdded } from '../../src/report/analyses.ts'
import {
  ALL_METRICS,
  COLUMNS,
  columnsFrom,
  columnsOf,
  columnTable,
  isLayerMetric,
  LAYER_METRICS,
  metricsWith,
  needsFit,
} from '../../src/report/columns.ts'
import { inPercent } from '../../src/report/hill.ts'
import { isComputed, isModelMetric, layerKey, layerValue, NORM_METRICS } from '../../src/report/metrics.ts'
import { layer } from '../support/models.ts'

test('columns of every row, and those of analyses where they were asked for', () => {
  expect(metricsWith()).toEqual(LAYER_METRICS)
  expect(metricsWith(['detx'])).toEqual([...LAYER_METRICS, ...columnsOf('detx')])
  expect(columnsOf('detx').length).toBeGreaterThan(0)
  expect(new Set(ALL_METRICS)).toEqual(new Set(Object.keys(COLUMNS)))
  expect(LAYER_METRICS.filter(name => COLUMNS[name as keyof typeof COLUMNS] && 'analysis' in COLUMNS[name])).toEqual([])
})

test('by where they come from', () => {
  expect(columnsFrom('matrix')).toEqual(
    Object.keys(COLUMNS).filter(name => isLayerMetric(name) && from(name) === 'matrix'),
  )
  expect(columnsFrom('norms')).toContain('lambda_max')
  expect(columnsFrom('norms')).not.toContain('sigma_mp')
  expect(columnsFrom('fit', 'tail').every(needsFit)).toBe(true)
  expect(ALL_METRICS.filter(needsFit).every(name => ['fit', 'tail'].includes(from(name)))).toBe(true)
  expect(['alpha', 'alpha_weighted', 'log_norm', 'num_evals'].map(name => needsFit(name as 'alpha'))).toEqual([
    true,
    true,
    false,
    false,
  ])
})

const from = (name: string) => COLUMNS[name as keyof typeof COLUMNS].from

test('the table of the documentation has a row for each', () => {
  const [head, line, ...rows] = columnTable().trimEnd().split('\n')
  expect(head).toMatch(/^\| column \| unit \|/)
  expect(line).toMatch(/^(\| --- )+\|$/)
  expect(rows.map(row => row.split(' | ')[0])).toEqual(ALL_METRICS.map(name => `| \`${name}\``))
  const cells = (name: string) =>
    rows
      .find(row => row.startsWith(`| \`${name}\` |`))!
      .split('|')
      .map(cell => cell.trim())
  expect(cells('alpha').slice(3, 7)).toEqual(['yes', 'yes', '', '0.1.0'])
  expect(cells('norm').slice(3, 7)).toEqual(['', '', '', '0.1.0'])
  expect(cells('mp_softrank').slice(3, 6)).toEqual(['', 'yes', '`mp-fit`'])
  expect(cells('num_spikes').slice(3, 6)).toEqual(['', '', '`mp-fit`'])
})

test('which analyses were asked for', () => {
  expect(askedIn({})).toEqual([])
  expect(askedIn({ analyses: ['detx', 'mp-fit'], bootstrap: 100, fix_fingers: 'clip_xmax' })).toEqual([
    'mp-fit',
    'detx',
    'bootstrap',
    'fix-fingers',
  ])
  expect(ANALYSES.filter(isAdded)).toEqual([...ADDED, 'bootstrap'])
  expect(isAdded('min-evals')).toBe(false)
})

test('what is known where the spectral norm alone was computed', () => {
  const whole = layer('a', 3)
  const normAlone = layer('b', null, { only: 'spectral-norm' })
  for (const metric of [...NORM_METRICS, 'N', 'num_evals'] as const) {
    expect(isComputed([whole, normAlone], metric)).toBe(true)
  }
  for (const metric of ['alpha', 'stable_rank', 'log_norm'] as const) {
    expect(isComputed([whole, normAlone], metric)).toBe(false)
    expect(isComputed([whole], metric)).toBe(true)
  }
  const { entropy: _, ...earlier } = whole
  expect(isComputed([whole, earlier as typeof whole], 'entropy')).toBe(false)
  expect(isComputed([], 'entropy')).toBe(true)
})

test("a layer's number, its key, and a model's numbers", () => {
  expect(layerValue(layer('a', 3), 'alpha')).toBe(3)
  expect(layerValue(layer('a', 3, { status: 'degenerate' }), 'alpha')).toBeNull()
  expect(layerValue(layer('a', null), 'log_norm')).toBe(2)
  expect(layerKey(layer('a', 3))).not.toBe(layerKey(layer('a', 3, { part: 'q' })))
  expect(layerKey(layer('a', 3))).not.toBe(layerKey(layer('a', 3, { shape: [1, 64] })))
  expect(['coverage', 'layers', 'alpha'].map(isModelMetric)).toEqual([true, true, false])
})

test('a share, for people', () => {
  expect([0.25, 1 / 3, 1].map(inPercent)).toEqual(['25 %', '33.3333 %', '100 %'])
})

import { expect, test } from 'vitest'
import { seriesOfHistory, signsOf } from '../../src/pipeline/series.ts'
import type { Layer, Report } from '../../src/report/schema.ts'
import { layer, model } from '../support/models.ts'
import { report } from '../support/report.ts'

const trapped = (name: string, rand_num_spikes: number): Layer => ({ ...layer(name, 3), rand_num_spikes }) as Layer

test('signs of a moment: the least alpha below 2 of fitted layers, and traps where somebody looked', () => {
  expect(signsOf([layer('a', 1.9), layer('b', 1.5), layer('c', 2), layer('d', 1, { status: 'degenerate' })])).toEqual({
    ...{ below2: { layer: 'b', value: 1.5 }, trap: undefined },
  })
  expect(signsOf([trapped('a', 1), trapped('b', 4), trapped('c', 0)]).trap).toEqual({ layer: 'b', value: 4 })
  expect(signsOf([trapped('a', 0)])).toEqual({ below2: null, trap: null })
})

const head = (accuracy?: number, models = [model('net', [layer('a', 3)])]): Report => ({
  ...report(models, undefined, []),
  ...(accuracy !== undefined && { figures: [{ name: 'accuracy', value: accuracy }] }),
})
const point = (i: number, accuracy: number | undefined, names = ['net']) => ({
  ...{ commit: `${i}`.repeat(40), time: '2026-03-04T12:00:00Z', run_id: i },
  ...(accuracy !== undefined && { figures: [{ name: 'accuracy', value: accuracy }] }),
  models: names.map(name => ({ name, summary: model(name, [layer('a', 2 + i)]).summary })),
})

test('history: baselines with the accuracy of one model, then this one; others are left out', () => {
  const history = [point(1, 0.9), point(2, undefined), point(3, 0.7, ['a', 'b']), point(4, 0.6)]
  const series = seriesOfHistory(head(0.8), { history }, 'here')
  expect(series.points.map(({ name, target, metrics }) => [name, target, metrics.alpha])).toEqual([
    ['111111111111', 0.9, 3],
    ['444444444444', 0.6, 6],
    ['here', 0.8, 3],
  ])
  expect(series.verdict.status).toBe('too-few')
})

test('history without an accuracy, or with two models, is an error that says what to do', () => {
  const two = [model('a', [layer('x', 3)]), model('b', [layer('x', 3)])]
  for (const report of [head(), head(0.9, two)])
    expect(() => seriesOfHistory(report, { history: [] }, 'here')).toThrow('needs one model, and its accuracy')
})

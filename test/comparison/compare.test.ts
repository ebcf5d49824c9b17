import { expect, test } from 'vitest'
import { type Baseline, compare } from '../../src/comparison/compare.ts'
import { pairModels } from '../../src/comparison/pair.ts'
import type { Model } from '../../src/report/schema.ts'
import { defaults } from '../support/analyse.ts'
import { layer, model } from '../support/models.ts'

const baseline = (models: Model[], more: Partial<Baseline> = {}): Baseline => ({
  path: 'main.json',
  kind: 'report',
  options: defaults,
  models,
  ...more,
})

test('one model on each side is a pair whatever it is called', () => {
  const { pairs } = pairModels([model('head', [layer('a', 3)])], [model('base', [layer('a', 2)])])
  expect(pairs[0]).toMatchObject({
    base: { name: 'base' },
    matched: [{ head: { alpha: 3 }, base: { alpha: 2 } }],
    added: [],
    removed: [],
  })
})

test('several are paired by name', () => {
  const { pairs, removed } = pairModels([model('x', []), model('y', [])], [model('y', []), model('z', [])])
  expect(pairs.map(({ head, base }) => [head.name, base?.name])).toEqual([
    ['x', undefined],
    ['y', 'y'],
  ])
  expect(removed.map(({ name }) => name)).toEqual(['z'])
})

test('two models of one name are refused', () => {
  expect(() => pairModels([model('x', []), model('x', [])], [])).toThrow(/Two models are called "x"/)
})

test('layers are aligned by name and shape, and then by the exact key of their tensor', () => {
  const head = model('m', [
    layer('a', 3),
    layer('wide', 3, { shape: [128, 64] }),
    layer('enc.b', 4, { tensor: 'enc.b.weight' }),
  ])
  const base = model('m', [
    layer('wide', 2),
    layer('a', 2),
    layer('b', 1, { tensor: 'enc.b.weight' }),
    layer('gone', 2),
  ])
  const [{ matched, added, removed }] = pairModels([head], [base]).pairs
  expect(matched.map(({ head, base }) => [head.name, base.name])).toEqual([
    ['a', 'a'],
    ['enc.b', 'b'],
  ])
  expect(added.map(({ name }) => name)).toEqual(['wide'])
  expect(removed.map(({ name, shape }) => [name, shape])).toEqual([
    ['wide', [64, 64]],
    ['gone', [64, 64]],
  ])
})

test('the comparison holds head, base and change, the largest change of alpha first', () => {
  const head = model('m', [layer('same', 2), layer('up', 3), layer('down', 1), layer('lost', null)])
  const base = model('m', [layer('same', 2), layer('up', 2.5), layer('down', 4), layer('lost', 3)])
  const { comparison } = compare([head], defaults, baseline([base]))
  expect(comparison).toMatchObject({
    status: 'compared',
    reason: '',
    baseline: { path: 'main.json', kind: 'report' },
    removed: [],
  })
  const [compared] = comparison.models
  expect(compared).toMatchObject({ name: 'm', base: 'm', matched: 4 })
  expect(compared.summary!.alpha).toEqual({ head: 2, base: 2.875, change: -0.875 })
  expect(compared.layers.map(({ name, alpha }) => [name, alpha.change])).toEqual([
    ['down', -3],
    ['up', 0.5],
    ['lost', null],
  ])
  expect(compared.layers[2].status).toEqual({ head: 'failed', base: 'success' })
})

test('what a solver rounds is no change', () => {
  const changed = (alpha: number) => {
    const [head, base] = [model('net', [layer('a', alpha)]), model('net', [layer('a', 3)])]
    const baseline = { path: 'b', kind: 'report', options: defaults, models: [base] } as const
    return compare([head], defaults, baseline).comparison.models[0].layers.length
  }
  expect([3 + 2e-11, 3 + 4e-11, 3 - 4e-11].map(changed)).toEqual([0, 1, 1])
})

test('other options make it incomparable, name them, and nothing is subtracted', () => {
  const options = { ...defaults, min_evals: 50, exclude: ['head'] }
  const { comparison } = compare(
    [model('m', [layer('a', 3)])],
    defaults,
    baseline([model('m', [layer('a', 2)])], { options }),
  )
  expect(comparison).toMatchObject({ status: 'incomparable', models: [{ summary: null, layers: [] }] })
  expect(comparison.reason).toBe(
    'min_evals is 10, but the baseline was made with 50; exclude is [], but the baseline was made with ["head"]',
  )
})

import { afterEach, describe, expect, test } from 'vitest'
import { type Baseline, compare } from '../../src/comparison/compare.ts'
import { pairModels } from '../../src/comparison/pair.ts'
import { limits } from '../../src/limits.ts'
import { serialiseReport } from '../../src/report/io.ts'
import type { Layer, Model, Report } from '../../src/report/schema.ts'
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

test('an option that one side does not have is at its default', () => {
  const { fix_fingers: _, ...plain } = defaults
  const reason = (head: typeof defaults, base: typeof defaults) =>
    compare([model('m', [])], head, baseline([model('m', [])], { options: base })).comparison.reason
  expect(reason({ ...plain, fix_fingers: 'clip_xmax' }, plain)).toBe(
    'fix_fingers is "clip_xmax", but the baseline was made with the default',
  )
  expect(reason(plain, { ...plain, fix_fingers: 'clip_xmax' })).toBe(
    'fix_fingers is the default, but the baseline was made with "clip_xmax"',
  )
})

describe('the share of the eigenvalues that alpha_hill is over', () => {
  const of = (head: number | undefined, base: number | undefined) => {
    const options = (hill_share: number | undefined) => ({
      ...defaults,
      ...(hill_share !== undefined && { hill_share }),
    })
    const layers = (alpha_hill: number) => [layer('a', 3, { alpha_hill })]
    const { pairs, comparison } = compare(
      [model('m', layers(3))],
      options(head),
      baseline([model('m', layers(4))], { options: options(base) }),
    )
    return { pair: pairs[0]!, change: comparison.models[0]!.layers[0]?.alpha_hill }
  }

  test('the usual one on both sides, said or not', () => {
    for (const { pair, change } of [of(undefined, undefined), of(0.25, undefined), of(undefined, 0.25)]) {
      expect(pair.judgement).not.toHaveProperty('hill_share')
      expect(pair).not.toHaveProperty('incomparable')
      expect(change).toEqual({ head: 3, base: 4, change: -1 })
    }
  })

  test('another one on both sides is compared, and judges no tail', () => {
    const { pair, change } = of(0.5, 0.5)
    expect(pair.judgement!.hill_share).toEqual({ head: 0.5, base: 0.5 })
    expect(pair).not.toHaveProperty('incomparable')
    expect(change).toEqual({ head: 3, base: 4, change: -1 })
  })

  test.each([
    [0.5, undefined, 50, 25],
    [undefined, 0.5, 25, 50],
  ])('another one on one side is not compared: %s, %s', (head, base, now, before) => {
    const { pair, change } = of(head, base)
    expect(pair.judgement!.hill_share).toEqual({ head: now / 100, base: before / 100 })
    expect(pair.incomparable).toEqual({
      metrics: ['alpha_hill', 'sigma_hill', 'alpha_hill_farms'],
      reason: `alpha_hill is over ${now} % of the eigenvalues, but over ${before} % in the baseline`,
    })
    expect(change).toBeUndefined()
  })
})

describe('the spectrum of the baseline, to be drawn', () => {
  const { baseSpectraCount } = limits.report
  afterEach(() => {
    Object.assign(limits.report, { baseSpectraCount })
  })
  const drawn = (bases: Layer[]) =>
    compare(
      [
        model(
          'm',
          bases.map(({ name }, i) => layer(name, 3, { log_norm: 3 + i })),
        ),
      ],
      defaults,
      baseline([model('m', bases)]),
    ).comparison.models[0]!.layers.map(({ base }) => base)

  test('has its tail where it was fitted', () => {
    const esd = { log10_edges: [0, 1, 2], counts: [60, 4] }
    const [fitted, failed] = drawn([
      layer('a', 3, { esd, xmin: 2, xmax: 8, num_pl_spikes: 4 }),
      layer('b', null, { esd, xmin: 2, xmax: 8, num_pl_spikes: 4 }),
    ])
    expect(fitted).toEqual({ esd, xmin: 2, xmax: 8, num_pl_spikes: 4 })
    expect(failed).toEqual({ esd, xmin: null, xmax: null, num_pl_spikes: null })
  })

  test('is kept of the first alone', () => {
    Object.assign(limits.report, { baseSpectraCount: 2 })
    expect(drawn(['a', 'b', 'c', 'd'].map(name => layer(name, 3))).map(base => base !== undefined)).toEqual([
      true,
      true,
      false,
      false,
    ])
  })
})

test('where no layer has a partner there is no summary', () => {
  const { comparison } = compare([model('m', [layer('a', 3)])], defaults, baseline([model('m', [layer('b', 2)])]))
  expect(comparison.models[0]).toMatchObject({ base: 'm', matched: 0, summary: null })
})

test('moments of custom metrics are those of the run, which nobody knows of several models', () => {
  const trained = (step: number) => [{ name: 'step', value: step }]
  const layers = [layer('a', 3, { alpha_hill: 3, sketch: [1, 2, 3, 4] })]
  const judged = (names: string[]) =>
    compare(
      names.map(name => model(name, layers)),
      defaults,
      baseline(
        names.map(name => model(name, layers)),
        { figures: trained(10) },
      ),
      trained(20),
    ).pairs.map(({ judgement }) => judgement!.moments)
  expect(judged(['x', 'y'])).toEqual([undefined, undefined])
})

test('a status that a later version gave the baseline stays its word', () => {
  const later = layer('a', 3, { status: 'reasonable' as never })
  const { comparison } = compare([model('m', [layer('a', 2)])], defaults, baseline([model('m', [later])]))
  expect(comparison.models[0]!.layers[0]!.status).toEqual({ head: 'success', base: 'reasonable' })
  const report = {
    schemaVersion: 1 as const,
    tool: { name: 'spectral-gate', version: '1' },
    options: defaults,
    models: [],
  }
  expect(() => serialiseReport({ ...report, comparison } as Report)).not.toThrow()
})

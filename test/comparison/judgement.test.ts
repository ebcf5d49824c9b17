import { describe, expect, test } from 'vitest'
import { type Baseline, compare } from '../../src/comparison/compare.ts'
import { judgement } from '../../src/comparison/judgement.ts'
import { pairModels } from '../../src/comparison/pair.ts'
import type { CustomMetric, Layer, Model } from '../../src/report/schema.ts'
import { defaults } from '../support/analyse.ts'
import { layer, model } from '../support/models.ts'

/** A layer whose tail has this shape. */
const tail = (name: string, alpha_hill: number, more: Partial<Layer> = {}) =>
  layer(name, 3, { alpha_hill, S: 8, ...more })
const judge = (head: Layer[], base: Layer[]) =>
  judgement(pairModels([model('net', head)], [model('net', base)]).pairs[0])

describe('what two models are to each other', () => {
  const names = (...list: string[]) => list.map(name => tail(name, 3))
  test.each<[string, Layer[], Layer[], string, string]>([
    ['equal layers', names('a', 'b', 'c'), names('a', 'b', 'c'), 'same', 'tail_shape'],
    [
      'another head',
      [...names('a', 'b'), tail('head', 3, { shape: [20, 64] })],
      names('a', 'b', 'head'),
      'same',
      'tail_shape',
    ],
    ['one layer more', names('c.1', 'c.2', 'c.3', 'c.4'), names('c.1', 'c.2', 'c.3'), 'resized', 'alpha_weighted'],
    [
      'twice as wide',
      ['a', 'b', 'c'].map(name => tail(name, 3, { shape: [128, 128] })),
      names('a', 'b', 'c'),
      'resized',
      'alpha_weighted',
    ],
    ['other names', names('x', 'y', 'z'), names('a', 'b', 'c'), 'unrelated', ''],
    ['one in ten more', names(...'abcdefghij'), names(...'abcdefghi'), 'same', 'tail_shape'],
    ['two in ten more', names(...'abcdefghij'), names(...'abcdefgh'), 'resized', 'alpha_weighted'],
  ])('%s', (_, head, base, relation, primary) => {
    expect(judge(head, base)).toMatchObject({ relation, primary })
  })
})

describe('adapters', () => {
  const update = (name: string, more: Partial<Layer> = {}) =>
    tail(name, 3, { tensor: `base_model.model.${name}.lora_B.weight`, ...more })
  const names = ['a', 'b', 'c']

  test('one after another', () => {
    const found = judge(
      names.map(name => update(name)),
      names.map(name => update(name)),
    )
    expect(found).toMatchObject({ relation: 'same', how: ['adapter'], primary: 'tail_shape' })
  })

  test('of low rank have too few eigenvalues, however large their weights are', () => {
    const low = names.map(name => update(name, { matrix_rank: 49 }))
    const found = judge(low, low)
    expect(found.why).toBe('Every layer has fewer than 50 eigenvalues: too few for the shape of a tail.')
  })

  test('are not compared with whole weights', () => {
    const [adapter, whole] = [names.map(name => update(name)), names.map(name => tail(name, 3))]
    expect(judge(adapter, whole)).toMatchObject({ relation: 'unrelated', primary: '', layers: [] })
    expect(judge(adapter, whole).why).toMatch(/^This is an adapter, .* and the baseline is not: /)
    expect(judge(whole, adapter).why).toMatch(/^The baseline is an adapter, .* and this is not: /)
  })
})

describe('the shape of the tails', () => {
  test('is the mean logarithm over the layers with eigenvalues enough', () => {
    const small = { num_evals: 49 }
    const base = [tail('a', 3), tail('b', 1.5), tail('random', 4, { S: 2.3 }), tail('small', 3, small), tail('c', 2.5)]
    const head = [tail('a', 5), tail('b', 2), tail('random', 4), tail('small', 30, small), tail('c', 2.5)]
    const found = judge(head, base)
    expect(found.judged).toBe(4)
    expect(found.tail_shape).toBeCloseTo((2 * Math.LN2) / 4, 12)
    expect(found.tail_shape_median).toBeCloseTo(Math.LN2 / 2, 12)
    // Of b, whose base is below 2, nothing is to be feared.
    expect(found.from_above).toBeCloseTo(Math.LN2 / 3, 12)
    expect(found.driven_by).toBe(1)
    expect(found.layers.map(({ name, note }) => [name, note])).toEqual([
      ['a', ''],
      ['b', ''],
      ['random', 'random-like'],
      ['small', 'few-evals'],
      ['c', ''],
    ])
    expect(found.why).toBe(
      'Same architecture, so the shape of the tail decides: alpha over the largest quarter of each spectrum. 1 of 5 layers looks random in the baseline and has nothing to lose. 1 of 5 layers has fewer than 50 eigenvalues and is left out.',
    )
  })

  test('is exactly 0 of equal spectra', () => {
    const layers = [tail('a', 3.1), tail('b', 2.7)]
    expect(judge(layers, layers)).toMatchObject({
      tail_shape: 0,
      tail_shape_median: 0,
      spectrum_distance: null,
      log_norm: 0,
    })
  })

  test('where most of the baseline looks random, or all of it, that is said', () => {
    const random = (name: string) => tail(name, 3, { S: 1 })
    expect(judge([tail('a', 3), tail('b', 3), tail('c', 3)], [random('a'), random('b'), tail('c', 3)]).why).toMatch(
      / 2 of 3 layers look random in the baseline and have nothing to lose, most of them, so that spectra show little\.$/,
    )
    expect(judge([tail('a', 3)], [random('a')]).why).toMatch(
      / Every layer of the baseline looks random, so that spectra show almost nothing that could be lost\.$/,
    )
    expect(judge([tail('a', 3, { num_evals: 9 })], [tail('a', 3, { num_evals: 9 })])).toMatchObject({
      primary: '',
      why: 'Every layer has fewer than 50 eigenvalues: too few for the shape of a tail.',
    })
  })

  test('a report that lacks it does not judge', () => {
    const { alpha_hill: _, ...earlier } = layer('a', 3)
    expect(judge([tail('a', 3)], [earlier as Layer])).toMatchObject({ primary: '', layers: [], tail_shape: null })
    expect(judge([tail('a', 3)], [earlier as Layer]).why).toMatch(/: an earlier version did not measure it\.$/)
    expect(judge([tail('a', 3)], [layer('a', 3)]).why).toBe(
      'No layer has a tail on both sides, so that its shape does not judge.',
    )
  })

  test('distances of quantiles, of norms', () => {
    const found = judge(
      [tail('a', 3, { quantiles: [0, 1, 2.5], log_norm: 2.5, num_evals: 64, N: 100 })],
      [tail('a', 3, { quantiles: [0, 1, 2], log_norm: 2 })],
    )
    expect(found).toMatchObject({ log_norm: 0.5, spectrum_noise: 1 / 80 })
    expect(found.spectrum_distance).toBeCloseTo(0.5 / 3, 12)
  })
})

describe('what became of the weights', () => {
  const sketched = (...sketch: number[]) => tail('a', 3, { sketch })
  test.each<[string, Layer, Layer, string[], number | null]>([
    ['another seed', sketched(0, 1), sketched(1, 0), ['retrained'], Math.SQRT2],
    ['the next epoch', sketched(1, 0.2), sketched(1, 0), ['continued'], 0.2],
    ['another type', { ...sketched(1, 0.01), dtype: 'BF16' }, sketched(1, 0), ['cast'], 0.01],
    ['no change', sketched(1, 2), sketched(1, 2), [], 0],
    ['no sketch', tail('a', 3), sketched(1, 2), [], null],
    ['grid of 4 bits', tail('a', 3, { row_levels: 16 }), tail('a', 3, { row_levels: 33 }), ['quantised'], null],
    ['few values before, too', tail('a', 3, { row_levels: 16 }), tail('a', 3, { row_levels: 32 }), [], null],
    ['17 values', tail('a', 3, { row_levels: 17 }), tail('a', 3, { row_levels: 64 }), [], null],
    ['zeros', tail('a', 3, { zeros: 0.25 }), tail('a', 3, { zeros: 0.125 }), ['pruned'], null],
    ['few zeros', tail('a', 3, { zeros: 0.1 }), tail('a', 3), [], null],
  ])('%s', (_, head, base, how, distance) => {
    const found = judge([head], [base])
    expect(found.how).toEqual(how)
    if (distance === null) expect(found.weight_distance).toBeNull()
    else expect(found.weight_distance).toBeCloseTo(distance, 12)
  })
})

describe('two moments of one training', () => {
  const compared = (
    [head, base]: readonly [number[], number[]],
    now: Partial<Model['source']>,
    before: Partial<Model['source']>,
    figures: readonly [CustomMetric[], CustomMetric[]] = [[], []],
  ) => {
    const at = (sketch: number[], moment: Partial<Model['source']>) => {
      const one = model('net', [tail('a', 3, { sketch })])
      return { ...one, source: { ...one.source, ...moment } }
    }
    const baseline = { path: 'b', kind: 'report', options: defaults, models: [at(base, before)], figures: figures[1] }
    const { comparison } = compare([at(head, now)], defaults, baseline as Baseline, figures[0])
    return comparison.models[0].judgement!
  }
  const near: [number[], number[]] = [
    [1, 1],
    [1, 0],
  ]
  const apart: [number[], number[]] = [
    [0.4, 1],
    [1, 0],
  ]

  test('are told by their steps, or else their epochs, and by their weights', () => {
    const found = compared(near, { step: 200, epoch: 1 }, { step: 100, epoch: 1 })
    expect(found).toMatchObject({ how: ['same-training'], moments: { unit: 'step', head: 200, base: 100 } })
    expect(found.why).toMatch(/^Two moments of one training: step 100 in the baseline, 200 here\. Same architecture/)
    expect(compared(near, { step: 200, epoch: 2 }, { epoch: 1 }).moments).toEqual({ unit: 'epoch', head: 2, base: 1 })
  })

  test('an earlier one than the baseline’s may be of another training, too', () => {
    expect(compared(near, { epoch: 2 }, { epoch: 10 }).why).toMatch(
      /^The baseline comes later: epoch 10 there, 2 here, of one training or of one that began with it\. /,
    )
  })

  test.each<[string, [number[], number[]], Partial<Model['source']>, Partial<Model['source']>]>([
    ['weights of another seed', apart, { step: 200 }, { step: 100 }],
    ['the same moment', near, { step: 100, epoch: 2 }, { step: 100, epoch: 1 }],
    ['a side that does not tell', near, { step: 100 }, {}],
    ['steps and epochs', near, { step: 100 }, { epoch: 1 }],
  ])('%s are none', (_, sketches, now, before) => {
    const found = compared(sketches, now, before)
    expect(found.moments).toBeUndefined()
    expect(found.how).toEqual(['retrained'])
    expect(found.why).toMatch(/^Same architecture/)
  })

  test('may be given as custom metrics, which come before the file', () => {
    const steps = (value: number) => [{ name: 'steps', value }]
    expect(compared(near, { step: 7 }, {}, [steps(300), steps(200)]).moments).toEqual({
      unit: 'step',
      head: 300,
      base: 200,
    })
  })
})

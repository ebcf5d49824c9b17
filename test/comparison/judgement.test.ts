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
    expect(found).toMatchObject({ relation: 'same', how: ['adapter'], primary: '', judged: 0, log_norm: null })
    expect(found.why).toBe(
      'What an adapter adds to weights begins as zeros, so that the shape of its tails says little of what was lost.',
    )
  })

  test('beside whole weights, which alone are judged by their tails, norms and spectra', () => {
    const both = (more: Partial<Layer>) => [
      ...names.map(name => update(name, more)),
      ...names.map(name => tail(`${name}${name}`, 3)),
    ]
    const found = judge(both({ alpha_hill: 9, log_norm: 5, quantiles: [0, 2] }), both({ quantiles: [0, 1] }))
    expect(found).toMatchObject({
      primary: 'tail_shape',
      judged: 3,
      tail_shape: 0,
      log_norm: 0,
      spectrum_distance: null,
    })
    expect(found.why).toMatch(/ 3 of 6 layers are what an adapter adds, and left out\.$/)
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

describe('at the thresholds', () => {
  const sketched = (...sketch: number[]) => tail('a', 3, { sketch })
  const how = (head: Layer[], base: Layer[]) => judge(head, base).how

  test('a distance of exactly so much', () => {
    expect(how([{ ...sketched(1, 0.05), dtype: 'BF16' }], [sketched(1, 0)])).toEqual(['cast'])
    expect(how([{ ...sketched(1, 0.0501), dtype: 'BF16' }], [sketched(1, 0)])).toEqual(['continued'])
    expect(how([sketched(1, 0.05)], [sketched(1, 0)])).toEqual([])
    expect(how([sketched(1, 0.5)], [sketched(1, 0)])).toEqual(['continued'])
    expect(how([sketched(1, 0.51)], [sketched(1, 0)])).toEqual(['retrained'])
  })

  test('another type is one of more than half of the layers, all of them near', () => {
    const of = (...dtypes: string[]) => dtypes.map((dtype, i) => tail(`l${i}`, 3, { dtype, sketch: [1, 2] }))
    expect(how(of('BF16', 'BF16', 'F32'), of('F32', 'F32', 'F32'))).toEqual(['cast'])
    expect(how(of('BF16', 'F32'), of('F32', 'F32'))).toEqual([])
    expect(how([tail('a', 3, { dtype: 'BF16' })], [tail('a', 3)])).toEqual([])
  })

  test('distance and cosine are over all layers together', () => {
    const pair = (head: number[][], base: number[][]) =>
      judge(
        head.map((sketch, i) => tail(`l${i}`, 3, { sketch })),
        base.map((sketch, i) => tail(`l${i}`, 3, { sketch })),
      ).weight_distance
    expect(
      pair(
        [
          [3, 0],
          [0, 4],
        ],
        [
          [3, 0],
          [0, 8],
        ],
      ),
    ).toBeCloseTo(4 / Math.sqrt(73), 12)
    expect(pair([[1, 2]], [[1, 2, 3]])).toBeNull()
    expect(pair([[1, 2], []], [[1, 2], []])).toBeNull()
    expect(pair([[1, 2]], [[0, 0]])).toBeNull()
  })

  test('one layer is enough to be pruned, rounded or an adapter', () => {
    const others = [tail('x', 3), tail('y', 3)]
    expect(how([tail('a', 3, { zeros: 0.5 }), ...others], [tail('a', 3, { zeros: 0.1 }), ...others])).toEqual([
      'pruned',
    ])
    expect(how([tail('a', 3, { row_levels: 4 }), ...others], [tail('a', 3, { row_levels: 33 }), ...others])).toEqual([
      'quantised',
    ])
    expect(how([tail('a', 3, { row_levels: null }), ...others], [tail('a', 3, { row_levels: 33 }), ...others])).toEqual(
      [],
    )
    expect(how([tail('a', 3, { row_levels: 4 }), ...others], [tail('a', 3, { row_levels: null }), ...others])).toEqual(
      [],
    )
    expect(how([tail('a', 3, { zeros: 0.5 }), ...others], [tail('a', 3, { zeros: null }), ...others])).toEqual([])
    const update = tail('a', 3, { tensor: 'a.lora_B.weight' })
    expect(how([update, ...others], [update, ...others])).toEqual(['adapter'])
  })

  test('nothing is said of weights where the architecture is another', () => {
    expect(
      how(
        ['a', 'b', 'c'].map(name => tail(name, 3, { sketch: [1] })),
        [tail('z', 3, { sketch: [1] })],
      ),
    ).toEqual([])
  })

  test('50 eigenvalues, without those that are 0', () => {
    const note = (more: Partial<Layer>) => judge([tail('a', 3)], [tail('a', 3, more)]).layers[0]!.note
    expect(note({ num_evals: 50, matrix_rank: 50 })).toBe('')
    expect(note({ num_evals: 49, matrix_rank: 64 })).toBe('few-evals')
    expect(note({ num_evals: 64, matrix_rank: 49 })).toBe('few-evals')
    expect(note({ num_evals: 64, matrix_rank: null })).toBe('')
  })

  test('layers of which most, or half, look random; and those with too few eigenvalues', () => {
    const random = tail('r', 3, { S: 1 })
    const few = (name: string) => tail(name, 3, { num_evals: 9 })
    expect(judge([random, tail('b', 3)], [random, tail('b', 3)]).why).toMatch(
      / 1 of 2 layers looks random in the baseline and has nothing to lose\.$/,
    )
    expect(judge([tail('b', 3)], [tail('b', 3)]).why).toMatch(/each spectrum\.$/)
    expect(judge([few('f'), tail('b', 3)], [few('f'), tail('b', 3)]).why).toMatch(
      / 1 of 2 layers has fewer than 50 eigenvalues and is left out\.$/,
    )
    const two = [few('f'), few('g'), tail('b', 3)]
    expect(judge(two, two).why).toMatch(/ 2 of 3 layers have fewer than 50 eigenvalues and are left out\.$/)
  })

  test('an error row, and one without a tail, have no shape', () => {
    const broken = tail('a', 3, { status: 'error', error: { code: 'non-finite', message: 'NaN' } })
    expect(judge([broken, tail('b', 3)], [tail('a', 3), tail('b', 3)]).layers.map(({ name }) => name)).toEqual(['b'])
    expect(judge([tail('a', 3), tail('b', 3)], [broken, tail('b', 3)]).layers.map(({ name }) => name)).toEqual(['b'])
  })

  test('a part is named', () => {
    const part = tail('a', 3, { part: 'q' })
    expect(judge([part], [part]).layers[0]).toMatchObject({ name: 'a', part: 'q' })
    expect(judge([tail('a', 3)], [tail('a', 3)]).layers[0]).not.toHaveProperty('part')
  })

  test('a tail that cannot be compared: an alpha of 1', () => {
    const found = judge([tail('a', 3), tail('b', 4)], [tail('a', 1), tail('b', 3)])
    expect(found.layers.map(({ change }) => change)).toEqual([null, Math.log(3 / 2)])
    expect(found.tail_shape).toBeCloseTo(Math.log(3 / 2), 12)
    expect(judge([tail('a', 1)], [tail('a', 1)]).tail_shape).toBe(0)
  })

  test('from_above is over the layers that were at 2 or more', () => {
    const found = judge([tail('a', 2.5), tail('b', 2), tail('c', 1.5)], [tail('a', 2), tail('b', 3), tail('c', 1.9)])
    expect(found.from_above).toBeCloseTo((Math.log(1.5) + Math.log(0.5)) / 2, 12)
    expect(judge([tail('c', 1.5)], [tail('c', 1.9)]).from_above).toBeNull()
  })

  test('spectra of other lengths, or none, have no distance', () => {
    const distance = (a: number[] | undefined, b: number[] | undefined) =>
      judge([tail('a', 3, a && { quantiles: a })], [tail('a', 3, b && { quantiles: b })]).spectrum_distance
    expect(distance([1, 2], [1, 3])).toBe(0.5)
    expect([distance([1, 2], [1]), distance([], []), distance(undefined, [1]), distance([1], undefined)]).toEqual([
      ...[null, null, null, null],
    ])
  })

  test('how few layers drive the mean', () => {
    const driven = (...changes: number[]) =>
      judge(
        changes.map((change, i) => tail(`l${i}`, 1 + Math.exp(change))),
        changes.map((_, i) => tail(`l${i}`, 2)),
      ).driven_by
    expect(driven(0.4, 0.1, 0.1, 0.1)).toBe(1)
    expect(driven(0.1, 0.1, 0.4, 0.1)).toBe(1)
    expect(driven(-0.1, -0.1, -0.4, 0.1)).toBe(1)
    expect(driven(0.1, 0.1, 0.1, 0.1, 0.1, 0.1)).toBe(3)
    expect(driven(0)).toBe(0)
  })

  test('a baseline without the model, adapters against weights', () => {
    const [alone] = pairModels([model('x', [tail('a', 3)])], [model('y', []), model('z', [])]).pairs
    expect(judgement(alone!)).toMatchObject({ relation: 'unrelated', why: 'The baseline has no model of this name.' })
    const update = (name: string) => tail(name, 3, { tensor: `${name}.lora_B.weight` })
    const weights = [tail('u', 3), tail('v', 3)]
    expect(judge([update('a'), tail('k', 3), tail('l', 3)], weights).why).toMatch(
      /^This is an adapter, .* and the baseline is not:/,
    )
    expect(judge(weights, [update('a'), tail('k', 3)]).why).toMatch(/^The baseline is an adapter, .* and this is not:/)
    expect(judge([update('a')], [update('b')]).why).toMatch(/^0 of 1 layers are in the baseline:/)
    expect(judge(weights, [tail('y', 3)]).why).toMatch(/^0 of 2 layers are in the baseline:/)
  })

  test('one layer in exchange for another is the same architecture, if others stay', () => {
    expect(judge([tail('a', 3), tail('x', 3)], [tail('a', 3), tail('y', 3)]).relation).not.toBe('same')
    expect(judge([tail('a', 3), tail('b', 3), tail('x', 3)], [tail('a', 3), tail('b', 3), tail('y', 3)]).relation).toBe(
      'same',
    )
  })

  test('kinds of layers do without numbers, and half of them in common are a family', () => {
    const net = (...names: string[]) => names.map(name => tail(name, 3))
    expect(judge(net('c.1', 'c.2', 'c.13', 'q'), net('c.100')).relation).toBe('resized')
    expect(judge(net('c.1', 'c.2', 'q', 'r'), net('c.100')).relation).toBe('unrelated')
  })

  test('only spectral norms', () => {
    const { alpha_hill: _, ...row } = tail('a', 3)
    const norm = { ...row, only: 'spectral-norm' } as Layer
    const said = 'Only spectral norms were computed, of which none says which model is better.'
    expect(
      judge(
        [norm, tail('b', 3)].map(layer => ({ ...layer, alpha_hill: null })),
        [norm, tail('b', 3)],
      ).why,
    ).toBe(said)
    expect(judge([tail('a', 3)], [tail('a', 3)]).why).not.toBe(said)
  })
})

import { describe, expect, test } from 'vitest'
import { pairModels } from '../../src/comparison/pair.ts'
import { accept, isAcceptable } from '../../src/policy/accept.ts'
import { type Comparability, evaluateCustomMetric } from '../../src/policy/evaluate.ts'
import { judge, noCheckpoint, type Policy, undecided } from '../../src/policy/judge.ts'
import { type CustomMetricRule, parseRule, refuseRelative } from '../../src/policy/rule.ts'
import type { Layer, Model, RuleResult, Skipped } from '../../src/report/schema.ts'
import { layer, model } from '../support/models.ts'

const COMPARABLE: Comparability = { cause: '' }
const policy = (...rules: string[]): Policy => ({ rules: rules.map(rule => parseRule(rule, 'fail')), enforce: true })

/** What one rule says of these layers. */
function say(rule: string, head: Layer[] | Model, base?: Layer[] | Model, comparability = COMPARABLE): RuleResult {
  const of = (layers: Layer[] | Model) => (Array.isArray(layers) ? model('m', layers) : layers)
  const { pairs } = pairModels([of(head)], base ? [of(base)] : [])
  return judge(policy(rule), pairs, comparability).rules.find(({ builtin }) => !builtin)!
}
const skipped = (more: Partial<Skipped>): Skipped => ({
  ...{ tensor: 's', shape: [4, 4], dtype: 'F32', code: 'rank', reason: 'small' },
  ...more,
})

describe('values', () => {
  const layers = [layer('a', 3), layer('b', 1), layer('c', 8), layer('d', 4)]

  test.each<[string, number, number]>([
    ['alpha > 0', 4, 4],
    ['mean(entropy) > 0', 0.9, 4],
    ['median(alpha) > 0', 3.5, 4],
    ['min(alpha) > 0', 1, 4],
    ['max(alpha) > 0', 8, 4],
    ['count(alpha > 3) > 0', 2, 4],
    ['count(alpha >= 3) > 0', 3, 4],
    ['count(alpha < 3) >= 1', 1, 4],
    ['count(alpha <= 3) > 0', 2, 4],
    ['any(alpha) > 0', 8, 4],
    ['any(alpha) < 9', 1, 4],
    ['layers > 0', 4, 4],
    ['alpha[c] > 0', 8, 1],
    ['alpha[c.weight] > 0', 8, 1],
  ])('%s measures %d', (rule, value, over) => {
    expect(say(rule, layers)).toMatchObject({ outcome: 'violated', value, layers: over, of: 4, reason: '', cause: '' })
  })

  test('a median of an odd number, and of unordered layers', () => {
    expect(say('median(alpha) > 0', [layer('a', 9), layer('b', 1), layer('c', 5)]).value).toBe(5)
  })

  test.each([
    ['alpha > 4', 'ok'],
    ['alpha >= 4', 'violated'],
    ['alpha < 4', 'ok'],
    ['alpha <= 4', 'violated'],
    ['alpha > 3.9', 'violated'],
    ['alpha < 4.1', 'violated'],
  ])('%s on exactly 4 is %s', (rule, outcome) => {
    expect(say(rule, [layer('a', 4)]).outcome).toBe(outcome)
  })

  test('the first of equal extremes is named', () => {
    expect(say('any(alpha) > 0', [layer('a', 3), layer('b', 3)]).layer).toBe('a')
    expect(say('any(alpha) < 9', [layer('a', 3), layer('b', 3)]).layer).toBe('a')
  })

  test('layers without a fit take no part', () => {
    const some = [layer('a', 3), layer('b', null, { lambda_max: 0 }), layer('c', 50, { status: 'degenerate' })]
    expect(say('max(alpha) > 9', some)).toMatchObject({ outcome: 'ok', value: 3, layers: 1, of: 3 })
    expect(say('any(alpha) > 9', some)).toMatchObject({ outcome: 'ok', value: 3, layers: 1 })
    expect(say('count(alpha > 9) > 0', some)).toMatchObject({ value: 0, layers: 1 })
    // Norms need no fit, but a mean is over the fitted layers all the same.
    expect(say('any(log_norm) > 1', some)).toMatchObject({ value: 2, layers: 3 })
    expect(say('alpha[b] > 9', some)).toMatchObject({
      outcome: 'inconclusive',
      cause: 'no-value',
      reason: 'layer b has no alpha: its status is failed',
    })
  })

  test('with none fitted there is nothing to say', () => {
    const none = [layer('a', null)]
    for (const rule of ['alpha > 1', 'median(alpha) > 1', 'min(alpha) > 1', 'max(alpha) > 1'])
      expect(say(rule, none)).toMatchObject({ outcome: 'inconclusive', reason: 'no layer has alpha: no fit succeeded' })
    expect(say('any(alpha) > 1', none)).toMatchObject({ outcome: 'inconclusive', reason: 'no layer has a alpha' })
    expect(say('count(alpha > 1) > 0', none)).toMatchObject({ outcome: 'ok', value: 0, layers: 0 })
  })

  test('a layer that could not be read leaves undecided what it could break', () => {
    const bad = [layer('a', 3), layer('e', null, { status: 'error', error: { code: 'worker', message: 'died' } })]
    for (const rule of [
      'median(alpha) > 9',
      'min(alpha) > 9',
      'max(alpha) > 9',
      'any(alpha) > 9',
      'count(alpha > 9) > 0',
    ])
      expect(say(rule, bad)).toMatchObject({ outcome: 'inconclusive', reason: '1 of 2 layers could not be read' })
    expect(say('alpha > 9', bad)).toMatchObject({ outcome: 'inconclusive', cause: 'no-value' })
    expect(say('alpha[a] > 9', bad)).toMatchObject({ outcome: 'ok' })
    expect(say('layers > 9', bad)).toMatchObject({ outcome: 'ok' })
    expect(say('max(alpha) > 2', bad)).toMatchObject({ outcome: 'violated', value: 3 })
  })

  test('a layer that is not there: skipped, or misspelt', () => {
    const one = {
      ...model('m', [layer('conv1', 3)]),
      skipped: [skipped({ tensor: 'tiny.weight' }), skipped({ tensor: 'b' })],
    }
    expect(say('alpha[tiny] > 1', one)).toMatchObject({ cause: 'no-layer', reason: 'layer tiny was skipped: small' })
    expect(say('alpha[b] > 1', one)).toMatchObject({ reason: 'layer b was skipped: small' })
    expect(say('alpha[conv2] > 1', one).reason).toBe('there is no layer conv2; did you mean conv1?')
    expect(say('alpha[something else] > 1', one).reason).toBe('there is no layer something else')
    expect(say(`alpha[${'x'.repeat(500)}] > 1`, one).reason).toBe(`there is no layer ${'x'.repeat(500)}`)
  })
})

describe('some layers alone', () => {
  const layers = [
    layer('layer1.conv', 3, { layer_type: 'conv2d', num_evals: 20, S: 5 }),
    layer('layer3.conv', 1, { layer_type: 'conv2d', num_evals: 60, S: 1 }),
    layer('layer3.fc', 8, { layer_type: 'dense', num_evals: 100, S: 9 }),
  ]
  const grouped = [layer('h.0.attn.c_attn', 4, { part: 'k' }), layer('lm_head', 5)]

  test('of a group', () => {
    expect(say('mean(alpha where group = head) > 0', grouped)).toMatchObject({ value: 5, layers: 1 })
    expect(say('mean(alpha where group = attention) > 0', grouped)).toMatchObject({ value: 4, layers: 1 })
    expect(say('mean(alpha where group = attention.k) > 0', grouped)).toMatchObject({ value: 4, layers: 1 })
    expect(say('mean(alpha where group = mlp) > 0', grouped)).toMatchObject({
      cause: 'no-layer',
      reason: 'there is no layer where group = mlp',
    })
  })

  test.each<[string, number, number]>([
    ['mean(alpha where num_evals >= 50) > 0', 4.5, 2],
    ['mean(alpha where name ~ "layer3.*") > 0', 4.5, 2],
    ['mean(alpha where name ~ "!layer3.*") > 0', 3, 1],
    ['mean(alpha where name ~ layer3.{conv,fc}.weight) > 0', 4.5, 2],
    ['std(alpha where type = conv2d) > 0', Math.SQRT2, 2],
    ['any(alpha where type = conv2d) > 0', 3, 2],
    ['any(alpha where type = conv2d and num_evals >= 50) > 0', 1, 1],
    ['max(alpha where S <= 2.3) > 0', 1, 1],
    ['min(alpha where S > 2.3) > 0', 3, 2],
    ['median(alpha where D < 1) > 0', 3, 3],
    ['count(alpha > 2 where num_evals >= 50) > 0', 1, 2],
  ])('%s measures %d', (rule, value, over) => {
    const found = say(rule, layers)
    expect(found).toMatchObject({ outcome: 'violated', layers: over, of: 3 })
    expect(found.value).toBeCloseTo(value, 12)
  })

  test('changes are those of the same layers', () => {
    const base = layers.map(row => ({ ...row, alpha: 1 }))
    expect(say('delta(alpha where type = conv2d) > 0', layers, base)).toMatchObject({ value: 1, layers: 2 })
    expect(say('any(delta(alpha) where type = conv2d) > 0', layers, base)).toMatchObject({ value: 2, layers: 2 })
    expect(say('delta(count(alpha > 2 where type = dense)) > 0', layers, base).value).toBe(1)
    const wide = say('delta(alpha) > 0 sigma', layers, base).value!
    expect(say('delta(alpha where name ~ *fc) > 0 sigma', layers, base).value).not.toBeCloseTo(wide, 3)
  })

  test('a name that no layer has leaves it undecided, a metric that none reaches counts none', () => {
    expect(say('count(alpha > 6 where name ~ layr*) > 0', layers)).toMatchObject({
      outcome: 'inconclusive',
      cause: 'no-layer',
      reason: 'there is no layer where name ~ "layr*"',
    })
    expect(say('any(alpha where name ~ layr*) > 0', layers).cause).toBe('no-layer')
    expect(say('count(alpha > 6 where num_evals > 999) > 0', layers)).toMatchObject({ outcome: 'ok', value: 0 })
    expect(say('mean(alpha where num_evals > 999) > 0', layers)).toMatchObject({
      cause: 'no-value',
      reason: 'no layer has alpha where num_evals > 999: no fit succeeded',
    })
    expect(say('mean(alpha where num_traps > 0) > 0', layers).reason).toBe(
      'num_traps was not computed: ask with randomize',
    )
    expect(say('std(alpha where name ~ *fc) > 0', layers)).toMatchObject({ outcome: 'inconclusive', cause: 'no-value' })
  })

  test('a layer that could not be read leaves undecided the rules that might be about it', () => {
    const bad = [...layers, layer('layer9.x', null, { status: 'error', error: { code: 'worker', message: 'died' } })]
    expect(say('mean(alpha where name ~ layer3.*) > 9', bad)).toMatchObject({ outcome: 'ok', value: 4.5 })
    expect(say('mean(alpha where num_evals > 10) > 9', bad).outcome).toBe('inconclusive')
    expect(say('any(alpha where name ~ layer9.*) > 9', bad).outcome).toBe('inconclusive')
    expect(say('std(alpha) > 9', bad)).toMatchObject({ reason: '1 of 4 layers could not be read' })
  })
})

describe('changes', () => {
  const base = [layer('a', 2), layer('b', 4), layer('z', 1e-7)]
  const head = [layer('a', 3), layer('b', 3), layer('n', 7)]

  test.each<[string, number | null]>([
    ['delta(max(alpha)) > 0', 3],
    ['delta(alpha[a]) > 0', 1],
    ['delta(alpha[a]) > 10%', 50],
    ['delta(layers) >= 0', 0],
    ['any(delta(alpha)) > 0', 1],
    ['any(delta(alpha)) < 0', -1],
    ['any(delta(alpha)) > 10%', 50],
    ['any(delta(alpha)) < -10%', -25],
  ])('%s measures %d', (rule, value) => {
    expect(say(rule, head, base)).toMatchObject({ outcome: 'violated', value })
  })

  test('a percentage of a base of nothing means nothing', () => {
    expect(say('delta(min(alpha)) > 5%', [layer('a', 3)], [layer('a', 1e-7)])).toMatchObject({
      outcome: 'inconclusive',
      reason: 'the base is 1e-7: a percentage of it means nothing',
    })
    expect(say('delta(min(alpha)) > 5%', [layer('a', 3)], [layer('a', 1e-6)]).outcome).toBe('violated')
    expect(say('delta(alpha_weighted) > 5%', [layer('a', -3)], [layer('a', -4)]).value).toBe(25)
  })

  test('what one side lacks', () => {
    const none = [layer('a', null)]
    expect(say('delta(alpha) > 1', [layer('a', 2)], none)).toMatchObject({
      outcome: 'inconclusive',
      reason: 'in the baseline, no layer has alpha: no fit succeeded',
    })
    expect(say('delta(alpha) > 1', none, [layer('a', 2)]).reason).toBe('no layer has alpha: no fit succeeded')
    expect(say('any(delta(alpha)) > 1', none, [layer('a', 2)]).reason).toBe('no layer has a change of alpha')
    const several = pairModels([model('x', base)], [model('y', base), model('z', base)])
    expect(judge(policy('delta(alpha) > 1'), several.pairs, COMPARABLE).rules[0]).toMatchObject({
      cause: 'no-baseline',
      reason: 'the baseline has no model of this name',
    })
  })

  test('where nothing can be compared, the cause is said', () => {
    for (const cause of ['no-baseline', 'unavailable', 'incomparable'] as const)
      expect(say('delta(alpha) > 1', head, base, { cause, reason: 'because' })).toMatchObject({
        cause,
        reason: 'because',
      })
    expect(say('alpha > 9', head, base, { cause: 'unavailable', reason: 'because' }).outcome).toBe('ok')
  })
})

describe('what changed', () => {
  const bias = (tensor: string, digest?: string) => skipped({ tensor, shape: [4], ...(digest && { digest }) })
  const of = (layers: Layer[], ...rows: Skipped[]): Model => ({ ...model('m', layers), skipped: rows })
  const fc = (digest: string | undefined, more: Partial<Layer> = {}) =>
    layer('head.fc', 3, { digest, ...more } as Layer)
  const conv = (digest: string) => layer('backbone.conv', 3, { digest, layer_type: 'conv2d' })
  const before = of([conv('c'), fc('f')], bias('backbone.bn.bias', 'b'), bias('head.fc.bias', 'h'))

  test('nothing', () => {
    expect(say('count(changed) > 0', before, before)).toMatchObject({ outcome: 'ok', value: 0, layers: 4, of: 4 })
    expect(say('count(changed) <= 0', before, before)).toMatchObject({ outcome: 'violated', value: 0 })
    const wrapped = of(
      [
        layer('backbone.conv', 3, { tensor: 'module.backbone.conv.weight', digest: 'c', layer_type: 'conv2d' }),
        fc('f', { tensor: 'module.head.fc.weight' }),
      ],
      bias('module.backbone.bn.bias', 'b'),
      bias('module.head.fc.bias', 'h'),
    )
    expect(say('count(changed) > 0', wrapped, before)).toMatchObject({ outcome: 'ok', value: 0 })
  })

  test('layers, biases and norms, by their bytes', () => {
    const after = of([conv('c'), fc('F')], bias('backbone.bn.bias', 'B'), bias('head.fc.bias', 'h'))
    expect(say('count(changed) > 0', after, before)).toMatchObject({
      ...{ outcome: 'violated', value: 2, layers: 4, of: 4, layer: 'head.fc.weight', reason: 'its bytes changed' },
    })
    expect(say('count(changed where name ~ "backbone.*") > 0', after, before)).toMatchObject({
      ...{ outcome: 'violated', value: 1, layers: 2, layer: 'backbone.bn.bias' },
    })
    expect(say('count(changed where name ~ "!head.*") > 0', after, before).value).toBe(1)
    // Only a layer has a type, or numbers.
    expect(say('count(changed where type = conv2d) > 0', after, before)).toMatchObject({ outcome: 'ok', layers: 1 })
    expect(say('count(changed where alpha > 2) > 0', after, before)).toMatchObject({ value: 1, layers: 2 })
    expect(say('count(changed) > 2', after, before)).toMatchObject({ outcome: 'ok', value: 2 })
  })

  test('what came and went', () => {
    const after = of([conv('c'), layer('new', 3, { digest: 'n' })], bias('backbone.bn.bias', 'b'))
    expect(say('count(changed) > 0', after, before)).toMatchObject({
      value: 3,
      layer: 'new.weight',
      reason: 'it was added',
    })
    expect(say('count(changed where name ~ head.*) > 0', after, before)).toMatchObject({
      ...{ value: 2, layer: 'head.fc.weight', reason: 'it was removed' },
    })
  })

  test('a layer that became none, and another shape', () => {
    const small = of(
      [conv('c')],
      bias('backbone.bn.bias', 'b'),
      bias('head.fc.bias', 'h'),
      skipped({ tensor: 'head.fc.weight', shape: fc('f').shape, digest: 'f' }),
    )
    expect(say('count(changed) > 0', small, before)).toMatchObject({ outcome: 'ok', value: 0 })
    const wider = of([conv('c'), fc('f', { shape: [9, 9] })], ...before.skipped)
    expect(say('count(changed) > 0', wider, before)).toMatchObject({ outcome: 'violated', layer: 'head.fc.weight' })
  })

  test('several rows of one tensor count once, and what an optimizer keeps not at all', () => {
    const slices = (digest: string) => [0, 1].map(i => layer('conv', 3, { part: `slice ${i}`, digest }))
    expect(say('count(changed) > 0', of(slices('a')), of(slices('b')))).toMatchObject({ value: 1, of: 1 })
    const state = of([fc('f')], skipped({ tensor: 'optimizer.exp_avg', code: 'optimizer' }))
    expect(say('count(changed) > 0', state, of([fc('f')]))).toMatchObject({ outcome: 'ok', of: 1 })
  })

  test('without a hash of what would decide it is undecided', () => {
    const unknown = of([conv('c'), fc(undefined)], ...before.skipped)
    expect(say('count(changed) > 0', unknown, before)).toMatchObject({
      ...{ outcome: 'inconclusive', cause: 'no-value', value: null },
      reason: 'of 1 tensors a side has no content hash, such as head.fc.weight',
    })
    expect(say('count(changed where name ~ backbone.*) > 0', unknown, before).outcome).toBe('ok')
    expect(say('count(changed) > 1', unknown, before).outcome).toBe('ok')
    const worse = of([conv('C'), fc(undefined)], ...before.skipped)
    expect(say('count(changed) > 0', worse, before)).toMatchObject({
      outcome: 'violated',
      value: 1,
      layer: 'backbone.conv.weight',
    })
    expect(say('count(changed where name ~ bakbone.*) > 0', before, before)).toMatchObject({
      ...{ cause: 'no-layer', reason: 'there is no tensor where name ~ "bakbone.*"' },
    })
  })

  test('it needs a baseline', () => {
    expect(say('count(changed) > 0', before, undefined, { cause: 'no-baseline', reason: 'first' })).toMatchObject({
      ...{ outcome: 'inconclusive', cause: 'no-baseline', reason: 'first' },
    })
    expect(() => refuseRelative([parseRule('count(changed) > 0', 'fail')], '')).toThrow(/compares with a baseline/)
  })
})

describe('advice', () => {
  const head = [
    layer('old', 3, { S: 1, num_evals: 60 }),
    layer('new', 3, { S: 2.3, num_evals: 40 }),
    layer('b', 3, { S: 9 }),
  ]
  const base = [layer('old', 3, { S: 1 }), layer('new', 3, { S: 5 }), layer('b', 3, { S: 9 })]

  test('counts the layers that it is given of', () => {
    expect(say('count(random-like) > 0', head)).toMatchObject({
      ...{ outcome: 'violated', value: 2, layers: 3, of: 3, layer: 'old', reason: 'S is 1' },
    })
    expect(say('count(random-like where num_evals >= 50) > 1', head)).toMatchObject({ outcome: 'ok', value: 1 })
    expect(say('count(over-trained) > 0', [layer('a', 1.5, { warning: 'over-trained' })]).value).toBe(1)
  })

  test('of a change the new one is named', () => {
    expect(say('delta(count(random-like)) > 0', head, base)).toMatchObject({
      ...{ outcome: 'violated', value: 1, layer: 'new', reason: 'S is 2.3' },
    })
    expect(say('delta(count(random-like)) > 0', base, base)).toMatchObject({ outcome: 'ok', value: 0 })
  })

  test('what was not asked for, or could not be read, is undecided', () => {
    expect(say('count(correlation-trap) > 0', head)).toMatchObject({
      ...{ outcome: 'inconclusive', reason: 'rand_num_spikes was not computed: ask with randomize' },
    })
    const bad = [...base, layer('e', null, { status: 'error', error: { code: 'worker', message: 'died' } })]
    expect(say('count(random-like) > 0', bad)).toMatchObject({ outcome: 'violated', value: 1, layer: 'old' })
    expect(say('count(random-like where name ~ !old) > 0', bad)).toMatchObject({
      ...{ outcome: 'inconclusive', reason: '1 of 4 layers could not be read' },
    })
  })
})

describe('who stands behind a count', () => {
  const dead = layer('dead', null, { lambda_max: 0 })
  const error = layer('err', null, { status: 'error', error: { code: 'worker', message: 'died' } })

  test.each<[string, Layer[], string, string]>([
    ['failed > 0', [layer('a', 2), dead], 'dead', 'all its eigenvalues are 0'],
    ['errors > 0', [layer('a', 2), dead, error], 'err', 'died'],
    [
      'non_finite > 0',
      [layer('e', null, { status: 'error', error: { code: 'non-finite', message: 'NaN' } })],
      'e',
      'NaN',
    ],
    ['delta(failed) > 0', [layer('old', null), dead], 'dead', 'all its eigenvalues are 0'],
  ])('%s', (rule, head, who, reason) => {
    const base = [layer('a', 2), layer('dead', 2), layer('old', null)]
    expect(say(rule, head, base)).toMatchObject({ outcome: 'violated', layer: who, reason })
  })

  test('a tensor that is no layer', () => {
    const rows = [skipped({ tensor: 'fine' }), skipped({ tensor: 'bn', non_finite: 'NaN at index [0]' })]
    const { summary, ...rest } = model('m', [layer('a', 2)])
    const one = { ...rest, summary: { ...summary, non_finite: 1 }, skipped: rows }
    expect(say('non_finite > 0', one)).toMatchObject({ layer: 'bn', reason: 'NaN at index [0]' })
  })

  test('nobody behind other numbers, or where the rule holds', () => {
    expect(say('layers > 0', [dead])).not.toHaveProperty('layer')
    expect(say('coverage > 0', [dead])).not.toHaveProperty('layer')
    expect(say('failed > 5', [dead])).not.toHaveProperty('layer')
  })
})

describe('custom metrics', () => {
  const metrics = [
    { name: 'accuracy', head: 0.9, base: 0.8, change: 0.1 },
    { name: 'new', head: 1, base: null, change: null },
    { name: 'gone', head: null, base: 1, change: null },
  ]
  const say = (text: string, comparability: Comparability = COMPARABLE) =>
    evaluateCustomMetric(
      parseRule(text, 'warn', ['accuracy', 'new', 'gone', 'never']) as CustomMetricRule,
      metrics,
      comparability,
    )

  test('its value, and its change', () => {
    expect(say('accuracy < 0.95')).toEqual({
      ...{ rule: 'accuracy < 0.95', level: 'warn', builtin: false, unit: '', threshold: 0.95, model: '' },
      ...{ layers: 0, of: 0, outcome: 'violated', value: 0.9, reason: '', cause: '' },
    })
    expect(say('accuracy < 0.9')).toMatchObject({ outcome: 'ok', value: 0.9 })
    expect(say('delta(accuracy) > 0').value).toBeCloseTo(0.1, 12)
    expect(say('delta(accuracy) > 5%')).toMatchObject({ outcome: 'violated', unit: '%' })
    expect(say('delta(accuracy) > 5%').value).toBeCloseTo(12.5, 10)
  })

  test('what is missing', () => {
    expect(say('gone > 0')).toMatchObject({
      outcome: 'inconclusive',
      value: null,
      reason: 'the metrics file has no gone',
    })
    expect(say('never > 0')).toMatchObject({ cause: 'no-value' })
    expect(say('delta(new) > 0')).toMatchObject({ cause: 'no-baseline', reason: 'the baseline has no new' })
    for (const cause of ['no-baseline', 'unavailable'] as const)
      expect(say('delta(accuracy) > 0', { cause, reason: 'why' })).toMatchObject({ cause, reason: 'why' })
    // The options that make models incomparable do not touch a number of the project's own.
    expect(say('delta(accuracy) > 0', { cause: 'incomparable', reason: 'why' }).outcome).toBe('violated')
    expect(say('accuracy > 0', { cause: 'no-baseline', reason: 'why' }).outcome).toBe('violated')
  })

  test('are judged once, whatever models there are', () => {
    const rule = parseRule('accuracy < 1', 'fail', ['accuracy'])
    const { pairs } = pairModels([model('x', [layer('a', 2)]), model('y', [layer('a', 2)])], [])
    const { rules, status } = judge({ rules: [rule], enforce: true }, pairs, COMPARABLE, metrics)
    expect(rules).toHaveLength(1)
    expect(status).toBe('failed')
    expect(judge({ rules: [rule], enforce: true }, pairs, COMPARABLE).rules[0].outcome).toBe('inconclusive')
  })
})

describe('the job', () => {
  const none: Comparability = { cause: 'no-baseline', reason: 'first' }
  const { pairs } = pairModels([model('m', [layer('a', 2)])], [])
  const rules = (fail: string[], warn: string[] = []) => [
    ...fail.map(rule => parseRule(rule, 'fail')),
    ...warn.map(rule => parseRule(rule, 'warn')),
  ]

  test.each<[string, string[], string[], boolean | undefined, Comparability, string, boolean]>([
    ['nothing is violated', ['alpha > 9'], [], undefined, COMPARABLE, 'passed', false],
    ['a fail rule is', ['alpha > 1'], [], undefined, COMPARABLE, 'failed', true],
    ['a warn rule is', [], ['alpha > 1'], undefined, COMPARABLE, 'warned', false],
    ['both are', ['alpha > 1'], ['alpha > 1'], undefined, COMPARABLE, 'failed', true],
    ['a fail rule can’t be told', ['alpha[x] > 1'], [], undefined, COMPARABLE, 'inconclusive', true],
    ['the same, and it shall not fail', ['alpha[x] > 1'], [], false, COMPARABLE, 'inconclusive', false],
    ['a warn rule can’t be told', [], ['alpha[x] > 1'], undefined, COMPARABLE, 'warned', false],
    ['a first run', ['delta(alpha) > 1'], [], undefined, none, 'inconclusive', false],
    ['a first run that shall fail', ['delta(alpha) > 1'], [], true, none, 'inconclusive', true],
    [
      'a first run, and more is missing',
      ['delta(alpha) > 1', 'alpha[x] > 1'],
      [],
      undefined,
      none,
      'inconclusive',
      true,
    ],
    ['a first run with a violation', ['delta(alpha) > 1', 'alpha > 1'], [], undefined, none, 'failed', true],
    [
      'a first run, and a warning can’t be told',
      ['delta(alpha) > 1'],
      ['alpha[x] > 1'],
      undefined,
      none,
      'inconclusive',
      false,
    ],
  ])('%s', (_, fail, warn, failOnInconclusive, comparability, status, fails_job) => {
    const given = { rules: rules(fail, warn), enforce: true, failOnInconclusive }
    const first_run = comparability.cause === 'no-baseline'
    expect(judge(given, pairs, comparability)).toMatchObject({ status, fails_job, first_run, enforced: true })
    expect(judge({ ...given, enforce: false }, pairs, comparability)).toMatchObject({
      status,
      fails_job: false,
      enforced: false,
    })
  })

  test('without a checkpoint nothing is decided', () => {
    expect(undecided({ rules: [], enforce: true }, ['not there'])).toMatchObject({
      status: 'inconclusive',
      fails_job: true,
      first_run: false,
      enforced: true,
      rules: [{ rule: 'no checkpoint', level: 'fail', builtin: true, outcome: 'inconclusive', reason: 'not there' }],
    })
    expect(undecided({ rules: [], enforce: false }, [''])).toMatchObject({ fails_job: false, enforced: false })
    expect(undecided({ rules: [], enforce: true, failOnInconclusive: false }, ['']).fails_job).toBe(false)
    const excused = { rules: [], enforce: true, excusesMissing: true }
    expect(undecided(excused, ['']).fails_job).toBe(false)
    expect(undecided({ ...excused, failOnInconclusive: true }, ['']).fails_job).toBe(true)
  })

  test('a checkpoint that is not there beside others is inconclusive, unless these fail', () => {
    const missing = [noCheckpoint('not there')]
    const judged = (rule: string, excusesMissing: boolean) =>
      judge({ rules: rules([rule]), enforce: true, excusesMissing }, pairs, COMPARABLE, [], missing)
    expect(judged('alpha > 99', true)).toMatchObject({ status: 'inconclusive', fails_job: false })
    expect(judged('alpha > 99', false)).toMatchObject({ status: 'inconclusive', fails_job: true })
    expect(judged('alpha > 1', true)).toMatchObject({ status: 'failed', fails_job: true })
    expect(judged('alpha[x] > 1', true)).toMatchObject({ status: 'inconclusive', fails_job: true })
  })

  test('a person may let pass what a rule of theirs decides, not what always holds', () => {
    const verdict = judge({ rules: rules(['alpha > 1']), enforce: true }, pairs, COMPARABLE)
    expect(isAcceptable(verdict)).toBe(true)
    expect(isAcceptable({ ...verdict, fails_job: false })).toBe(false)
    const nan = layer('e', null, { status: 'error', error: { code: 'non-finite', message: 'NaN' } })
    const broken = judge(policy('alpha > 1'), pairModels([model('m', [nan])], []).pairs, COMPARABLE)
    expect(isAcceptable(broken)).toBe(false)
    const dead = judge(
      policy('alpha > 1'),
      pairModels([model('m', [layer('a', 2), layer('d', null)])], []).pairs,
      COMPARABLE,
    )
    expect(dead.rules.some(({ builtin, outcome }) => builtin && outcome === 'violated')).toBe(true)
    expect(isAcceptable(dead)).toBe(true)

    expect(accept(verdict, 'ok', { by: 'me', at: 'now' })).toEqual({
      ...verdict,
      status: 'accepted',
      fails_job: false,
      accepted: { label: 'ok', by: 'me', at: 'now', was: 'failed' },
    })
    const open = judge({ rules: rules(['alpha[x] > 1']), enforce: true }, pairs, COMPARABLE)
    expect(accept(open, 'ok', { by: 'me', at: 'now' }).accepted?.was).toBe('inconclusive')
    expect(accept(verdict, 'ok', { refused: 'a bot' })).toEqual({
      ...verdict,
      refused: { label: 'ok', reason: 'a bot' },
    })
  })

  test('a relative rule needs a baseline', () => {
    const rules = ['alpha > 1', 'any(delta(alpha)) > 1'].map(rule => parseRule(rule, 'warn'))
    expect(() => refuseRelative(rules, 'Name one.')).toThrow(
      'warn-if: any(delta(alpha)) > 1 compares with a baseline, and there is none.',
    )
    refuseRelative(rules.slice(0, 1), '')
    expect(() => refuseRelative([parseRule('delta(acc) > 1', 'fail', ['acc'])], '')).toThrow(/delta\(acc\)/)
    refuseRelative([parseRule('acc > 1', 'fail', ['acc'])], '')
  })
})

import { describe, expect, test } from 'vitest'
import { headline, limit, measured, ruleIcon } from '../../src/render/headline.ts'
import { phrase } from '../../src/render/text.ts'
import type { Layer, Model, Report, RuleResult } from '../../src/report/schema.ts'
import { layer, model } from '../support/models.ts'
import { report } from '../support/report.ts'

const say = (one: Report) => phrase(headline(one))
const net = (...layers: Layer[]) => model('net', layers)
const dig = (one: Model, digest = 'x') => ({ ...one, layers: one.layers.map(layer => ({ ...layer, digest })) })

describe('what decided', () => {
  const base = [net(layer('a', 2), layer('b', 2))]
  test.each<[string, Model[], Model[] | undefined, string[], string]>([
    [
      'one rule',
      [net(layer('a', 3), layer('b', 2))],
      base,
      ['alpha > 2.2'],
      'alpha > 2.2 is true: 2.500; alpha 2.000 → 2.500 (+0.500, worse), most in a (+1.000)',
    ],
    [
      'two of a kind',
      [net(layer('a', 3), layer('b', 2))],
      base,
      ['alpha > 2.2', 'alpha > 2.1'],
      'alpha > 2.2 is true: 2.500, and 1 more; alpha 2.000 → 2.500 (+0.500, worse), most in a (+1.000)',
    ],
    ['a layer', [net(layer('a', 3), layer('b', 2))], base, ['any(alpha) > 2.5'], 'any(alpha) > 2.5 is true: 3 (a)'],
    [
      'what can’t be told',
      [net(layer('a', 2), layer('b', 2))],
      base,
      ['alpha[x] > 1'],
      'alpha[x] > 1 is inconclusive: there is no layer x; did you mean a?; no spectrum changed',
    ],
    [
      'a violation before what can’t be told',
      [net(layer('a', 2), layer('b', 2))],
      base,
      ['alpha[x] > 1', 'alpha > 1'],
      'alpha > 1 is true: 2; no spectrum changed',
    ],
    [
      'a dead layer',
      [net(layer('a', 2), layer('b', null, { lambda_max: 0 }))],
      base,
      ['alpha > 9'],
      '1 layer died, b: all its eigenvalues are 0',
    ],
    [
      'two dead layers',
      [net(layer('b', null, { lambda_max: 0 }), layer('a', null))],
      base,
      ['layers > 9'],
      '2 layers died, b for one: all its eigenvalues are 0',
    ],
    [
      'in one of several',
      [net(layer('a', 3)), model('m', [layer('a', 1)])],
      undefined,
      ['alpha > 2'],
      'alpha > 2 is true in net: 3',
    ],
    [
      'nothing to compare with',
      [net(layer('a', 3))],
      undefined,
      ['delta(alpha) > 2'],
      'first run, nothing to compare with yet; alpha 3 over 1 layer',
    ],
    [
      'several, and nothing to compare with',
      [net(layer('a', 3)), model('m', [layer('a', 1), layer('b', null)])],
      undefined,
      ['delta(alpha) > 2'],
      'first run, nothing to compare with yet; net: alpha 3 over 1 layer; m: alpha 1 over 1 layer',
    ],
  ])('%s', (_, heads, bases, rules, sentence) => {
    expect(say(report(heads, bases, rules))).toBe(sentence)
  })
})

describe('what moved', () => {
  const of = (heads: Model[], bases: Model[]) => say(report(heads, bases, ['layers > 99']))

  test('the model whose mean moved most, and its layer', () => {
    const heads = [model('x', [layer('a', 3)]), model('y', [layer('a', 1), layer('b', 2)]), model('z', [layer('a', 2)])]
    const bases = [
      model('x', [layer('a', 2.9)]),
      model('y', [layer('a', 4), layer('b', 2)]),
      model('z', [layer('a', 2)]),
    ]
    expect(of(heads, bases)).toBe('alpha of y 3.000 → 1.500 (−1.500, over-trained), most in a (−3.000)')
  })

  test('a layer that went is said before the mean that moved for it', () => {
    const [head, base] = [[net(layer('a', 2))], [net(layer('a', 2), layer('b', 4))]]
    expect(of(head, base)).toBe('1 layer went, b: only the baseline has it')
  })

  test('changes that cancel out, in one layer and in two', () => {
    const base = [net(layer('a', 2), layer('b', 4))]
    expect(of([net(layer('a', 3), layer('b', 3))], base)).toBe('2 layers changed, the mean alpha did not')
    expect(of([net(layer('a', 2, { log_norm: 2.2 }), layer('b', 4))], base)).toBe(
      '1 layer changed, the mean alpha did not',
    )
  })

  test('nothing changed only where every byte is known to be the same', () => {
    const one = dig(net(layer('a', 2)))
    expect(of([one], [one])).toBe('nothing changed against the baseline')
    expect(of([net(layer('a', 2))], [net(layer('a', 2))])).toBe('no spectrum changed')
    expect(of([one, model('new', [layer('a', 2)])], [one, model('old', [layer('a', 2)])])).toBe('no spectrum changed')
    const two = dig(model('m', [layer('a', 2)]))
    expect(of([one, two], [one, { ...two, layers: two.layers.map(layer => ({ ...layer, digest: 'y' })) }])).toBe(
      'no spectrum changed; 1 tensor that spectra don’t show did: a.weight',
    )
  })

  test('nothing in common', () => {
    expect(of([net(layer('a', 2))], [net(layer('x', 2))])).toBe(
      '0 of 1 layers are in the baseline: another architecture, so that no change of a metric says which is better.',
    )
    expect(of([model('p', []), model('q', [])], [model('r', []), model('s', [])])).toBe(
      'nothing to compare with: the baseline has no model of this name',
    )
  })

  test('that no rule is set is said first where it passed, and last where it warned', () => {
    const first = report([net(layer('a', 2))], undefined, [])
    expect(say(first)).toBe('first run, nothing to compare with yet; alpha 2 over 1 layer')
    const alone = { ...first, verdict: { ...first.verdict!, first_run: false } }
    expect(say(alone)).toBe('no rule is set; alpha 2 over 1 layer')
    expect(say(report([net(layer('a', 2), layer('b', null))], undefined, []))).toMatch(
      /^1 layer could not be judged, b: .*; no rule is set$/,
    )
  })

  test('incomparable, without rules that depend on it', () => {
    const one = report([net(layer('a', 2))], [net(layer('a', 3))], ['layers > 9'])
    const comparison = { ...one.comparison!, status: 'incomparable' as const, reason: 'min_evals differs' }
    expect(say({ ...one, comparison })).toBe('incomparable with the baseline: min_evals differs')
  })
})

const rule = (more: Partial<RuleResult>): RuleResult => ({
  ...{ rule: 'alpha > 1', level: 'fail', builtin: false, model: 'm', outcome: 'violated', value: 2, unit: '' },
  ...{ threshold: 1, layers: 1, of: 1, reason: '', cause: '' },
  ...more,
})

test.each<[Partial<RuleResult>, string, string, string]>([
  [{}, '❌', '2', '> 1'],
  [{ level: 'warn' }, '⚠️', '2', '> 1'],
  [{ level: 'warn', outcome: 'inconclusive', value: null }, '🟡', '–', '> 1'],
  [{ outcome: 'ok', level: 'warn', rule: 'delta(alpha) >= -1.5', value: 0.5 }, '✅', '+0.500', '>= -1.5'],
  [{ unit: '%', rule: 'delta(alpha) > 5 %', value: 12.345 }, '❌', '+12.35 %', '> 5 %'],
  [{ unit: '%', rule: 'delta(alpha) < -5%', value: -12.345 }, '❌', '−12.35 %', '< -5%'],
  [{ unit: '%', rule: 'delta(alpha) > 5e-3%', value: 0 }, '❌', '0 %', '> 5e-3%'],
  [{ rule: 'count(alpha > 6) > 3 ' }, '❌', '2', '> 3'],
  [{ rule: 'no checkpoint' }, '❌', '2', '–'],
  [{ rule: 'alpha > 1 @octocat' }, '❌', '2', '–'],
])('of %j the icon is %s, measured %s, limit %s', (more, icon, value, boundary) => {
  const one = rule(more)
  expect([ruleIcon(one), measured(one), limit(one)]).toEqual([icon, value, boundary])
})

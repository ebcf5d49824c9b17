import { describe, expect, test } from 'vitest'
import { pairModels } from '../../src/comparison/pair.ts'
import type { Comparability } from '../../src/policy/evaluate.ts'
import { judge, lostModels, type Policy } from '../../src/policy/judge.ts'
import type { Level } from '../../src/policy/operator.ts'
import { parseRule } from '../../src/policy/rule.ts'
import type { Layer, Model, Skipped } from '../../src/report/schema.ts'
import { layer, model } from '../support/models.ts'

const firstRun: Comparability = { cause: 'no-baseline', reason: 'there is no baseline to compare with yet' }
const comparable: Comparability = { cause: '' }

function verdict(
  rules: string[],
  head: Layer[] | Model[],
  base?: Layer[] | Model[],
  more: Partial<Policy> & { level?: Level; comparability?: Comparability } = {},
) {
  const { level = 'fail', comparability = base ? comparable : firstRun, ...policy } = more
  const { pairs } = pairModels(models(head), models(base ?? []))
  return judge({ rules: rules.map(rule => parseRule(rule, level)), enforce: true, ...policy }, pairs, comparability)
}

function models(given: Layer[] | Model[]): Model[] {
  return given.length > 0 && !('layers' in given[0]) ? [model('net', given as Layer[])] : (given as Model[])
}

const head = [layer('a', 3), layer('b', 4), layer('c', 8)]
const base = [layer('a', 2), layer('b', 4), layer('c', 3)]

test.each([
  ['alpha > 5', 'ok', 5],
  ['alpha >= 5', 'violated', 5],
  ['median(alpha) > 3.9', 'violated', 4],
  ['max(alpha) > 7', 'violated', 8],
  ['min(alpha) < 3', 'ok', 3],
  ['mean(alpha) <= 5', 'violated', 5],
  ['any(alpha) > 7', 'violated', 8],
  ['any(alpha) < 1.5', 'ok', 3],
  ['count(alpha > 3.5) > 1', 'violated', 2],
  ['alpha[b] >= 4', 'violated', 4],
  ['alpha[b.weight] > 4', 'ok', 4],
  ['layers < 3', 'ok', 3],
  ['failed > 0', 'ok', 0],
  ['coverage < 1', 'ok', 1],
  ['delta(alpha) > 1.9', 'violated', 2],
  ['delta(alpha) > 66%', 'violated', 200 / 3],
  ['delta(alpha) > 67%', 'ok', 200 / 3],
  ['delta(median(alpha)) > 0', 'violated', 1],
  ['delta(count(alpha > 7)) > 0', 'violated', 1],
  ['delta(alpha[a]) > 0.5', 'violated', 1],
  ['any(delta(alpha)) > 4', 'violated', 5],
  ['any(delta(alpha)) < 0', 'ok', 0],
  ['any(delta(alpha)) > 160%', 'violated', 500 / 3],
] as const)('%s is %s', (rule, outcome, value) => {
  const [result] = verdict([rule], head, base).rules
  expect(result).toMatchObject({ rule, outcome, of: 3, model: 'net', layers: /\[/.test(rule) ? 1 : 3 })
  expect(result.value).toBeCloseTo(value, 9)
})

test('a violated fail-if fails, a violated warn-if warns, otherwise it passes', () => {
  expect(verdict(['alpha > 4'], head)).toMatchObject({ status: 'failed', fails_job: true })
  expect(verdict(['alpha > 4'], head, undefined, { level: 'warn' })).toMatchObject({
    status: 'warned',
    fails_job: false,
  })
  expect(verdict(['alpha > 6'], head)).toMatchObject({ status: 'passed', fails_job: false })
  expect(verdict([], head)).toMatchObject({ status: 'passed', fails_job: false, rules: [] })
})

test('every rule is evaluated although an earlier one failed', () => {
  expect(verdict(['alpha > 1', 'median(alpha) > 1', 'failed > 9'], head).rules.map(({ outcome }) => outcome)).toEqual([
    'violated',
    'violated',
    'ok',
  ])
})

test('unenforced, the verdict stands and the job goes on', () => {
  expect(verdict(['alpha > 4'], head, undefined, { enforce: false })).toMatchObject({
    status: 'failed',
    enforced: false,
    fails_job: false,
  })
})

test('a rule is about each model, and the worst decides', () => {
  const result = verdict(['alpha > 5'], [model('good', [layer('a', 3)]), model('bad', [layer('a', 7)])])
  expect(result.status).toBe('failed')
  expect(result.rules.map(({ model, outcome }) => [model, outcome])).toEqual([
    ['good', 'ok'],
    ['bad', 'violated'],
  ])
})

test.each([
  ['no baseline', ['delta(alpha) > 1'], head, undefined, 'no-baseline', /no baseline/],
  ['no such layer', ['alpha[nope] > 1'], head, base, 'no-layer', /there is no layer nope/],
  [
    'no such layer in the baseline',
    ['delta(alpha[c]) > 1'],
    head,
    base.slice(0, 2),
    'no-layer',
    /in the baseline, there is no layer c/,
  ],
  [
    'a named layer without a fit',
    ['alpha[z] > 1'],
    [...head, layer('z', null)],
    undefined,
    'no-value',
    /layer z has no alpha: its status is failed/,
  ],
  [
    'a degenerate layer',
    ['alpha[z] > 1'],
    [...head, layer('z', 5000, { status: 'degenerate' })],
    undefined,
    'no-value',
    /degenerate/,
  ],
  [
    'a base of 0 in percent',
    ['delta(rank_loss) > 1%'],
    head,
    base,
    'no-value',
    /the base is 0: a percentage of it means nothing/,
  ],
  ['no fit at all', ['alpha > 1'], [layer('z', null)], undefined, 'no-value', /no fit succeeded/],
] as const)('%s is inconclusive', (_, rules, head, base, cause, reason) => {
  const result = verdict([...rules], [...head], base && [...base])
  expect(result.rules[0]).toMatchObject({
    outcome: 'inconclusive',
    value: null,
    cause,
    reason: expect.stringMatching(reason),
  })
  expect(result.status).toBe('inconclusive')
})

test('a model that joins those of the baseline has a first run of its own, unless one is missing', () => {
  const [small, large] = ['small', 'large'].map(name => model(name, base))
  const fails = (heads: Model[], comparability: Comparability, ...rules: string[]) =>
    verdict(['delta(alpha) > 1', ...rules], heads, [small], { comparability }).fails_job
  const complete: Comparability = { cause: '', complete: true }
  expect(fails([small, large], complete)).toBe(false)
  expect(fails([small, large], { cause: '', complete: false })).toBe(true)
  expect(fails([small, large], complete, 'alpha[nope] > 1')).toBe(true)
  expect(fails([small, model('large', head)], complete, 'alpha > 4.9')).toBe(true)
})

test('inconclusive fails the job, except for the missing baseline of a first run', () => {
  expect(verdict(['delta(alpha) > 1'], head)).toMatchObject({
    status: 'inconclusive',
    first_run: true,
    fails_job: false,
  })
  expect(verdict(['alpha[nope] > 1'], head)).toMatchObject({ status: 'inconclusive', first_run: true, fails_job: true })
  expect(verdict(['alpha[nope] > 1'], head, base)).toMatchObject({ first_run: false, fails_job: true })
  expect(verdict(['delta(alpha) > 1'], head, undefined, { failOnInconclusive: true })).toMatchObject({
    fails_job: true,
  })
  expect(verdict(['alpha[nope] > 1'], head, base, { failOnInconclusive: false })).toMatchObject({
    status: 'inconclusive',
    fails_job: false,
  })
})

test('a baseline made with other options makes relative rules inconclusive, and says which', () => {
  const comparability = { cause: 'incomparable', reason: 'min_evals is 50' } as const
  const result = verdict(['delta(alpha) > 1', 'any(delta(alpha)) > 1', 'alpha > 9'], head, base, { comparability })
  expect(result).toMatchObject({ status: 'inconclusive', fails_job: true })
  expect(result.rules.map(({ outcome, cause }) => [outcome, cause])).toEqual([
    ['inconclusive', 'incomparable'],
    ['inconclusive', 'incomparable'],
    ['ok', ''],
  ])
})

test('a model that the baseline lacks is inconclusive, and no first run', () => {
  const heads = [model('old', head), model('new', head)]
  const result = verdict(['delta(alpha) > 1'], heads, [model('old', base), model('gone', base)])
  expect(result).toMatchObject({ status: 'failed', first_run: false })
  expect(result.rules[1]).toMatchObject({ model: 'new', outcome: 'inconclusive', cause: 'no-baseline' })
})

test('where there should be a baseline and is none, that warns, unless a rule says it', () => {
  const comparability = { cause: 'unavailable', reason: 'the baseline is expired', expected: true } as const
  const warned = verdict([], head, undefined, { comparability })
  expect(warned).toMatchObject({ status: 'warned', fails_job: false })
  expect(warned.rules).toMatchObject([
    { rule: 'no baseline', outcome: 'inconclusive', reason: 'nothing was compared: the baseline is expired' },
  ])
  const ruled = verdict(['delta(alpha) > 1'], head, undefined, { comparability })
  expect(ruled.rules).toMatchObject([{ rule: 'delta(alpha) > 1', cause: 'unavailable' }])
  expect(verdict(['alpha > 9'], head, undefined, { comparability }).status).toBe('warned')
  expect(verdict([], head, undefined, { comparability: { ...comparability, expected: undefined } }).rules).toEqual([])
  expect(verdict([], head).rules).toEqual([])
})

test('models that only the baseline has warn, and say what is compared with nothing', () => {
  const { pairs, removed } = pairModels(models([model('enc-2', head)]), [model('enc-1', base), model('dec', base)])
  const names = removed.map(({ name }) => name)
  expect(lostModels(pairs, names)).toMatchObject([
    {
      ...{ level: 'warn', outcome: 'violated', value: 2 },
      reason: expect.stringMatching(/^only the baseline has enc-1, dec, and enc-2 is compared with nothing/),
    },
  ])
  expect(lostModels(pairModels(models(head), models(base)).pairs, ['dec'])[0].reason).toBe('only the baseline has dec')
  expect(lostModels(pairs, [])).toEqual([])
  expect(lostModels(pairs, [], ['train'])).toEqual([])
  expect(lostModels(pairs, names, ['train (large)'])).toMatchObject([
    {
      ...{ level: 'fail', outcome: 'inconclusive', cause: 'no-value' },
      reason: expect.stringContaining('and the job "train (large)" failed: run it again'),
    },
  ])
})

test('NaN in a weight fails the gate without any rule', () => {
  const broken = layer('b', null, { status: 'error', error: { code: 'non-finite', message: 'NaN at index [0, 0]' } })
  const result = verdict(
    ['any(alpha) > 7', 'any(alpha) > 2', 'alpha > 9', 'count(alpha > 9) > 0'],
    [layer('a', 3), broken],
  )
  expect(result.status).toBe('failed')
  expect(result.rules.map(({ rule, outcome }) => [rule, outcome])).toEqual([
    ['any(alpha) > 7', 'inconclusive'],
    ['any(alpha) > 2', 'violated'],
    ['alpha > 9', 'inconclusive'],
    ['count(alpha > 9) > 0', 'inconclusive'],
    ['errors > 0', 'violated'],
  ])
  expect(verdict([], [layer('a', 3), broken])).toMatchObject({ status: 'failed', fails_job: true })
})

test('a worker that died leaves the gate undecided', () => {
  const lost = layer('b', null, { status: 'error', error: { code: 'worker', message: 'out of memory' } })
  expect(verdict([], [layer('a', 3), lost])).toMatchObject({ status: 'inconclusive', fails_job: true })
})

test('a layer without a fit warns, unless a rule speaks of failed', () => {
  const some = [layer('a', 3), layer('z', null, { lambda_max: 0 })]
  expect(verdict([], some)).toMatchObject({
    status: 'warned',
    rules: [{ builtin: true, layer: 'z', reason: 'all its eigenvalues are 0' }],
  })
  expect(verdict(['failed > 1'], some)).toMatchObject({ status: 'passed' })
})

describe('weights that were not read', () => {
  const row = (tensor: string, code: Skipped['code'], dtype: string, shape: number[]): Skipped => {
    return { tensor, shape, dtype, code, reason: 'has no reader' }
  }
  const withSkipped = (...skipped: Skipped[]) => [{ ...model('net', head), skipped }]
  const small = row('q', 'unread', 'Int8Tensor', [2, 2])
  const large = row('big', 'unread', 'Int8Tensor', [10_000, 10_000])

  test('are a warning that names the largest and their share', () => {
    const { status, fails_job, rules } = verdict([], withSkipped(small, row('q2', 'dtype', 'C64', [1, 2])))
    expect({ status, fails_job }).toEqual({ status: 'warned', fails_job: false })
    expect(rules).toMatchObject([{ rule: 'unread > 0', level: 'warn', builtin: true, value: 2, layer: 'q' }])
    expect(rules[0]!.reason).toMatch(/^2 that may be weights were not read, [\d.]+ % of the parameters: has no reader$/)
  })

  test('leave the gate inconclusive where they are more than half, and fail the job', () => {
    const { status, fails_job, rules } = verdict([], withSkipped(large))
    expect({ status, fails_job }).toEqual({ status: 'inconclusive', fails_job: true })
    expect(rules).toMatchObject([{ rule: 'unread > 50%', level: 'fail', outcome: 'inconclusive', layer: 'big' }])
    expect(verdict([], withSkipped(large), undefined, { failOnInconclusive: false }).fails_job).toBe(false)
  })

  test('outside of the state dict are a warning, however large', () => {
    const { status, rules } = verdict([], withSkipped(row('teacher', 'aside', 'F32', [10_000, 10_000])))
    expect(status).toBe('warned')
    expect(rules).toMatchObject([{ rule: 'unread > 0', level: 'warn', outcome: 'violated', layer: 'teacher' }])
    expect(rules[0]!.reason).toMatch(
      /^1 that may be weights were not read, 1\.0e\+2 %|^1 that may be weights were not read, (?:9\d|100)/,
    )
  })

  test('are the business of a rule that speaks of coverage', () => {
    expect(verdict(['coverage < 0'], withSkipped(large)).rules).toHaveLength(1)
  })

  test.each([
    row('ids', 'dtype', 'I64', [100, 100]),
    row('mask', 'dtype', 'BOOL', [100, 100]),
    row('object', 'unread', 'Namespace', []),
    row('number', 'unread', 'F32', [1]),
    row('places', 'dtype', 'I32', [100]),
    row('small', 'size', 'F32', [100, 100]),
    row('scales', 'buffer', 'F32', [100, 100]),
    row('moments', 'optimizer', 'F32', [100, 100]),
  ])('$tensor is none', skipped => {
    expect(verdict([], withSkipped(skipped)).rules).toEqual([])
  })

  test.each([row('bias', 'unread', 'F32', [1_000_000]), row('norm', 'dtype', 'C64', [100])])(
    'a vector, $tensor, warns, however long',
    skipped => {
      expect(verdict([], withSkipped(skipped)).rules).toMatchObject([
        { rule: 'unread > 0', level: 'warn', layer: skipped.tensor },
      ])
    },
  )
})

test('nothing in common with the baseline makes every relative rule inconclusive', () => {
  const rules = ['delta(alpha) > 0.1', 'delta(alpha) > 500%', 'any(delta(alpha)) > 1', 'alpha > 100']
  const { rules: results } = verdict(rules, head, [{ ...layer('z', 2), shape: [3, 3] }])
  expect(results.map(({ outcome, cause }) => [outcome, cause])).toEqual([
    ['inconclusive', 'incomparable'],
    ['inconclusive', 'incomparable'],
    ['inconclusive', 'incomparable'],
    ['ok', ''],
  ])
})

import { expect, test } from 'vitest'
import { resolveSettings } from '../../src/config/settings.ts'

test('the defaults are WeightWatcher’s filters, an enforced gate and no rule', () => {
  expect(resolveSettings({})).toEqual({
    baseline: undefined,
    stateDict: undefined,
    shard: undefined,
    figures: [],
    workers: undefined,
    reuse: true,
    options: { min_evals: 10, max_evals: 15000, max_N: 50000, include: [], exclude: [], conv2d: 'pooled' },
    policy: { rules: [], renames: [], ignore: [], thresholds: {}, enforce: true, failOnInconclusive: undefined },
  })
})

test('built-in rules are switched off by name, and a name that is none is an error', () => {
  expect(resolveSettings({ ignore: 'pruned\nmeasured' }).policy.ignore).toEqual(['measured', 'pruned'])
  expect(() => resolveSettings({ ignore: 'prunned' })).toThrow('ignore: there is no built-in rule "prunned".')
})

test('renames are names, or beginnings on both sides', () => {
  expect(resolveSettings({ rename: 'fc = head\nencoder.=backbone.' }).policy.renames).toEqual([
    { from: 'fc', to: 'head' },
    { from: 'encoder.', to: 'backbone.' },
  ])
  for (const rename of ['fc', '=head', 'fc=', 'encoder.=backbone'])
    expect(() => resolveSettings({ rename })).toThrow('is no OLD=NEW')
})

test('a later layer overrides an earlier one, an empty value does not', () => {
  const { options, policy } = resolveSettings(
    { 'min-evals': '20', 'fail-if': 'alpha > 6' },
    { 'min-evals': '30', 'fail-if': '' },
  )
  expect(options.min_evals).toBe(30)
  expect(policy.rules.map(({ text }) => text)).toEqual(['alpha > 6'])
})

test('lists are one a line or one an element; blank lines and comments are left out', () => {
  const { policy, options } = resolveSettings({
    'fail-if': '\n alpha > 6 \r\n\n# a reason\nfailed > 0\n',
    include: ['b*', 'a*'],
  })
  expect(policy.rules.map(({ text }) => text)).toEqual(['alpha > 6', 'failed > 0'])
  expect(options.include).toEqual(['a*', 'b*'])
})

test.each([
  [{ 'min-evals': 'ten' }, /min-evals is "ten", but takes a whole number/],
  [{ 'max-n': '-1' }, /max-n is "-1"/],
  [{ 'fix-fingers': 'all' }, /fix-fingers is "all", but takes none or clip_xmax/],
  [{ workers: '0' }, /workers is 0, but takes 1 to 256/],
  [{ enforce: 'maybe' }, /enforce is "maybe", but takes true or false/],
  [{ baseline: ['a.json', 'b.json'] }, /baseline takes one value, but got 2/],
  [{ 'min-evals': '100', 'max-evals': '50' }, /no layer could qualify/],
  [{ 'warn-if': 'alhpa > 6' }, /warn-if, column 1/],
])('refuses %j', (raw, message) => {
  expect(() => resolveSettings(raw)).toThrow(message)
})

test('more lines of an option than a report holds are refused', () => {
  const lines = (count: number) => Array.from({ length: count }, (_, i) => `layer${i}`)
  expect(resolveSettings({ include: lines(1_000) }).options.include).toHaveLength(1_000)
  expect(() => resolveSettings({ include: lines(1_001) })).toThrow('include has 1001 lines, more than 1000')
})

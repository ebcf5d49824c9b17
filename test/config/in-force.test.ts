import { expect, test } from 'vitest'
import { parseConfig } from '../../src/config/file.ts'
import { impose, type Layers, recorded, stricterSettings, withoutLoosening } from '../../src/config/in-force.ts'

const layers = async (config: string, inputs = ''): Promise<Layers> => ({
  config: await parseConfig(config, 'config'),
  inputs: await parseConfig(inputs, 'inputs'),
})

test('what is recorded are the options that can let something pass and are not the default, inputs over the file', async () => {
  expect(
    recorded(await layers('enforce: true\nbaseline: auto\nmissing-checkpoint: error\ncomment: never\nexclude: a*')),
  ).toEqual({})
  expect(recorded(await layers('enforce: false\naccept-label: ok', 'accept-label: fine'))).toEqual({
    enforce: 'false',
    'accept-label': 'fine',
  })
})

test.each<[Record<string, string>, Record<string, string>, string[]]>([
  [{}, { enforce: 'false' }, ['enforce']],
  [{ enforce: 'false' }, {}, []],
  [{}, { 'fail-on-inconclusive': 'false' }, ['fail-on-inconclusive']],
  [{ 'fail-on-inconclusive': 'true' }, {}, ['fail-on-inconclusive']],
  [{}, { 'fail-on-inconclusive': 'true' }, []],
  [{}, { 'missing-checkpoint': 'inconclusive' }, ['missing-checkpoint']],
  [{ 'missing-checkpoint': 'inconclusive' }, {}, ['missing-checkpoint']],
  [{ 'missing-checkpoint': 'inconclusive-on-forks' }, { 'missing-checkpoint': 'inconclusive' }, ['missing-checkpoint']],
  [{ 'baseline-required': 'true' }, {}, ['baseline-required']],
  [{}, { 'baseline-required': 'true' }, []],
  [{}, { baseline: 'none' }, ['baseline']],
  [{ baseline: 'none' }, {}, []],
  [{ baseline: 'a.json' }, { baseline: 'b.json' }, ['baseline']],
  [{}, { 'accept-label': 'x' }, ['accept-label']],
  [{ 'baseline-key': 'a' }, { 'baseline-key': 'b' }, ['baseline-key']],
  [{ 'state-dict': 'ema' }, {}, ['state-dict']],
])('%j, then %j: stays %j', (before, now, names) => {
  expect(stricterSettings(before, now).map(([name]) => name)).toEqual(names)
  for (const [name, value] of stricterSettings(before, now)) expect(value).toBe(before[name] ?? '')
})

test('imposed values take the place of the inputs’ and the file’s; an empty one is the default', async () => {
  const imposed = impose(await layers('enforce: false\naccept-label: x', 'enforce: false\naccept-label: y'), [
    ['enforce', ''],
    ['accept-label', 'z'],
  ])
  expect(recorded(imposed)).toEqual({ 'accept-label': 'z' })
})

test('a config file without what can let something pass keeps its rules', async () => {
  const config = await parseConfig(
    'fail-if: alpha > 6\nenforce: false\nexclude: a*\ncomment: never\nbaseline: none',
    'x',
  )
  expect(withoutLoosening(config)).toEqual({ settings: { 'fail-if': 'alpha > 6' }, publishing: { comment: 'never' } })
})

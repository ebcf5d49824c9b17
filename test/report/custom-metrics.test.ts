import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { limits } from '../../src/limits.ts'
import { parseCustomMetrics } from '../../src/report/custom-metrics.ts'
import { strictReport } from '../../src/report/schema.ts'
import { cli } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { goldenTensor } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'

test('numbers, with a direction or without', () => {
  const text = '{"accuracy": {"value": 0.93, "better": "higher"}, "eval/loss": {"value": -1e-3}, "steps": 1200}'
  expect(parseCustomMetrics(text, 'm.json')).toEqual([
    { name: 'accuracy', value: 0.93, better: 'higher' },
    { name: 'eval/loss', value: -0.001 },
    { name: 'steps', value: 1200 },
  ])
})

test.each([
  ['NaN', '{"a1": NaN}', /is not valid JSON/],
  ['a list', '[1]', /is not an object from names to numbers/],
  ['null', 'null', /is not an object/],
  ['a text', '{"a1": "0.9"}', /"a1" is not a number, nor/],
  ['an overflow', '{"a1": 1e999}', /"a1" is not a number, nor/],
  ['a direction that there is not', '{"a1": {"value": 1, "better": "up"}}', /"a1" is not a number/],
  ['another key', '{"a1": {"value": 1, "unit": "s"}}', /"a1" is not a number/],
  ['a metric of ours', '{"alpha": 1}', /"alpha" is a word of the rules already/],
  ['a function', '{"delta": 1}', /"delta" is a word of the rules/],
  ['a prototype', '{"__proto__": 1}', /"__proto__" is a word of the rules/],
  ['a name with spaces', '{"a b": 1}', /"a b" is no name of a custom metric/],
  ['Markdown', '{"](http:evil)": 1}', /is no name of a custom metric/],
  ['a long name', `{"${'a'.repeat(101)}": 1}`, /is no name of a custom metric/],
  [
    'too many',
    JSON.stringify(Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`f${i}`, i]))),
    /has 201 metrics/,
  ],
])('refuses %s', (_, text, message) => {
  expect(() => parseCustomMetrics(text, 'm.json')).toThrow(message)
})

describe('end to end', () => {
  async function run(figures: unknown, ...more: string[]) {
    const folder = temporaryFolder()
    const path = writeSafetensors({ 'a.weight': goldenTensor('G1') }, 'net.safetensors', folder)
    const file = join(folder, 'metrics.json')
    writeFileSync(file, JSON.stringify(figures))
    const json = join(folder, 'report.json')
    const ended = await cli(path, '--metrics-file', file, '--json', json, ...more)
    return { ...ended, json }
  }

  test('a custom metric joins report, comparison, rules and tables', async () => {
    const base = await run({ accuracy: { value: 0.95, better: 'higher' }, old: 1 })
    expect(base.stdout).toMatch(/^accuracy +\| 0\.950$/m)
    const markdown = join(temporaryFolder(), 'comment.md')
    const rules = ['--fail-if', 'accuracy < 0.9', '--fail-if', 'delta(accuracy) < -1%', '--warn-if', 'loss > 1']
    const figures = { accuracy: { value: 0.93, better: 'higher' }, loss: { value: 0.5, better: 'lower' } }
    const head = await run(figures, '--baseline', base.json, ...rules, '--markdown', markdown)
    expect(head.status, head.stderr).toBe(1)
    expect(head.stdout).toContain('❌ failed: delta(accuracy) < -1% is true: −2.11 %')
    expect(head.stdout).toMatch(/^accuracy +\| 0\.930 \| 0\.950 \| −0\.020, worse$/m)
    const report = strictReport.parse(JSON.parse(readFileSync(head.json, 'utf8')))
    expect(report.figures).toEqual([
      { name: 'accuracy', value: 0.93, better: 'higher' },
      { name: 'loss', value: 0.5, better: 'lower' },
    ])
    expect(report.comparison!.figures!.map(({ name, head, base }) => [name, head, base])).toEqual([
      ['accuracy', 0.93, 0.95],
      ['loss', 0.5, null],
      ['old', null, 1],
    ])
    expect(report.verdict!.rules.map(({ rule, model, outcome }) => [rule, model, outcome])).toEqual([
      ['accuracy < 0.9', '', 'ok'],
      ['delta(accuracy) < -1%', '', 'violated'],
      ['loss > 1', '', 'ok'],
    ])
    expect(readFileSync(markdown, 'utf8')).toMatch(/\| `accuracy` \| +0\.930 \| 0\.950 \| −0\.020, worse \|/)
  })

  test('without a baseline a change is wrong usage, and where it has no such metric inconclusive', async () => {
    const first = await run({ accuracy: 0.9 }, '--fail-if', 'delta(accuracy) < 0')
    expect(first).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('compares with a baseline, and there is none'),
    })
    const other = await run({ loss: 1 })
    const { status, stdout } = await run(
      { accuracy: 0.9 },
      '--baseline',
      other.json,
      '--fail-if',
      'delta(accuracy) < 0',
    )
    expect(status).toBe(1)
    expect(stdout).toContain('the baseline has no accuracy')
  })

  test('a rule on a custom metric that the file has not is an error, with the nearest name', async () => {
    const { status, stderr } = await run({ accuracy: 0.9 }, '--fail-if', 'acuracy < 0.9')
    expect(status).toBe(2)
    expect(stderr).toMatch(/column 1: unknown metric "acuracy"[\s\S]*Did you mean accuracy\?/)
    expect((await run({ accuracy: 0.9 }, '--fail-if', 'any(accuracy) < 1')).stderr).toMatch(
      /accuracy is a custom metric/,
    )
    expect((await run({ accuracy: 0.9 }, '--fail-if', 'accuracy < 5%')).stderr).toMatch(/a percentage needs a change/)
  })

  test('a file that is missing or too large', async () => {
    const folder = temporaryFolder()
    const path = writeSafetensors({ 'a.weight': goldenTensor('G1') })
    const missing = await cli(path, '--metrics-file', join(folder, 'none.json'))
    expect(missing).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("the metrics file can't be read (ENOENT)"),
    })
    writeFileSync(join(folder, 'big.json'), ' '.repeat(limits.report.customMetricsBytes + 1))
    expect((await cli(path, '--metrics-file', join(folder, 'big.json'))).stderr).toMatch(/more than 1048576/)
  })
})

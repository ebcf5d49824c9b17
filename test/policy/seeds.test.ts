import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compare } from '../../src/comparison/compare.ts'
import { calibrate } from '../../src/policy/calibrate.ts'
import { judge } from '../../src/policy/judge.ts'
import { parseRule } from '../../src/policy/rule.ts'
import { readReport } from '../../src/report/io.ts'
import type { Report } from '../../src/report/schema.ts'
import { root } from '../support/cli.ts'

const read = (name: string) => readReport(join(root, 'test/fixtures/seeds', `${name}.json`))
const SEEDS = ['seed0', 'seed1', 'seed2', 'seed3', 'seed4', 'seed5']

function verdict(head: Report, base: Report, ...rules: string[]) {
  const { options, models } = base
  const { pairs } = compare(head.models, head.options, { path: '', kind: 'report', options, models })
  return judge({ rules: rules.map(rule => parseRule(rule, 'fail')), enforce: true }, pairs, { cause: '' })
}

test('retrained seeds of one recipe pass against each other, which a rule on the mean alpha does not let them', async () => {
  const reports = await Promise.all(SEEDS.map(read))
  const pairs = reports.flatMap(head => reports.filter(base => base !== head).map(base => [head, base] as const))
  expect(pairs).toHaveLength(30)
  for (const [head, base] of pairs) expect(verdict(head, base)).toMatchObject({ status: 'passed', rules: [] })
  const alarmed = pairs.filter(([head, base]) => verdict(head, base, 'delta(alpha) > 0.3').status === 'failed')
  expect(alarmed.length).toBeGreaterThan(0)
})

test.each(['conv1', 'conv2', 'conv3'])(
  'the same network with a fresh %s fails, and the layer is named',
  async layer => {
    const { status, rules } = verdict(await read(layer), await read('seed0'))
    expect(status).toBe('failed')
    expect(rules).toContainEqual(expect.objectContaining({ name: 'lost-structure', layer, value: 1 }))
  },
)

test('what calibrate finds of four of them lets the others pass', async () => {
  const named = await Promise.all(
    SEEDS.map(async name => {
      const { models, options } = await read(name)
      return { name, model: models[0], options }
    }),
  )
  const { thresholds } = await calibrate(named.slice(0, 4))
  for (const { model, options } of named.slice(4)) {
    const { pairs } = compare([model], options, { path: '', kind: 'report', options, models: [named[0].model] })
    expect(judge({ rules: [], enforce: true, thresholds }, pairs, { cause: '' }).status).toBe('passed')
  }
})

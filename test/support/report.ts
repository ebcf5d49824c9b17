import { expect } from 'vitest'
import { compare } from '../../src/comparison/compare.ts'
import { judge } from '../../src/policy/judge.ts'
import { parseRule } from '../../src/policy/rule.ts'
import { renderMarkdown } from '../../src/render/markdown.ts'
import { type Model, type Report, strictReport } from '../../src/report/schema.ts'
import { defaults } from './analyse.ts'
import { layer, many, model } from './models.ts'

/** Bytes of a comment. */
export const LIMIT = 64_512

/** What a gate says of these models. */
export function report(heads: Model[], bases: Model[] | undefined, rules: string[] = ['delta(alpha) > 0.2']): Report {
  const { pairs, comparison } = compare(heads, defaults, {
    path: 'main.json',
    kind: 'report',
    options: defaults,
    models: bases ?? [],
  })
  const comparability = bases
    ? ({ cause: '' } as const)
    : ({ cause: 'no-baseline', reason: 'there is no baseline to compare with yet' } as const)
  return strictReport.parse({
    schemaVersion: 1,
    tool: { name: 'spectral-gate', version: '0.0.0' },
    options: defaults,
    models: heads,
    ...(bases && { comparison }),
    verdict: judge({ rules: rules.map(rule => parseRule(rule, 'fail')), enforce: true }, pairs, comparability),
  })
}

/** A comment on so many layers, of which all may have changed: within the limit, the verdict first, what is left out counted. */
export function expectLayersFit(n: number): void {
  const [head, base] = [(i: number) => 3 + (i % 7), (i: number) => 2 + (i % 5)].map(alpha =>
    model('net', many(n, alpha)),
  )
  const markdown = renderMarkdown(report([head], [base]), { limit: LIMIT })
  expect(Buffer.byteLength(markdown)).toBeLessThanOrEqual(LIMIT)
  expect(markdown.split('\n')[0]).toContain('Failed')
  if (n > 40) expect(markdown).toMatch(/… and \d+ more changed layers: the report has them all\./)
}

/** A comment on so many models with long names: within the limit, the verdict first, whole rows only. */
export function expectModelsFit(n: number): void {
  const models = Array.from({ length: n }, (_, i) => model(`${i}-${'n'.repeat(200)}`, [layer('x'.repeat(300), 3)]))
  const rules = ['alpha > 1', 'alpha > 2', 'any(alpha) > 1']
  const markdown = renderMarkdown(report(models, models, rules), { limit: LIMIT })
  expect(Buffer.byteLength(markdown)).toBeLessThanOrEqual(LIMIT)
  for (const line of markdown.split('\n').filter(line => line.startsWith('|'))) expect(line).toMatch(/\|$/)
  expect(markdown.split('\n')[0]).toContain('Failed')
}

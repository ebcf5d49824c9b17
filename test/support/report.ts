import { compare } from '../../src/comparison/compare.ts'
import { judge } from '../../src/policy/judge.ts'
import { parseRule } from '../../src/policy/rule.ts'
import { type Model, type Report, strictReport } from '../../src/report/schema.ts'
import { defaults } from './analyse.ts'

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

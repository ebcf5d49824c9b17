import { describe, expect, test } from 'vitest'
import { commentAction, parseCommentMode } from '../../src/action/comment-mode.ts'
import { compare } from '../../src/comparison/compare.ts'
import { resolveSettings } from '../../src/config/settings.ts'
import type { Model, Report, Verdict } from '../../src/report/schema.ts'
import { layer, model } from '../support/models.ts'

const { options } = resolveSettings({})
const same = [model('net', [layer('a', 2)])]

function report(status: Verdict['status'], base: Model[] | undefined, more: Partial<Verdict> = {}): Report {
  const compared = base && compare(same, options, { path: 'x', kind: 'report', options, models: base })
  return {
    schemaVersion: 1,
    tool: { name: 'spectral-gate', version: '0.1.0' },
    options,
    models: same,
    ...(compared && { comparison: compared.comparison }),
    verdict: { status, first_run: !base, enforced: true, fails_job: status === 'failed', rules: [], ...more },
  }
}

test.each(['always', 'on-change', 'on-failure', 'never'])('comment: %s', mode => {
  expect(parseCommentMode(mode)).toBe(mode)
})

test('by default always, and nothing else', () => {
  expect(parseCommentMode('')).toBe('always')
  expect(() => parseCommentMode('sometimes')).toThrow(
    'comment is "sometimes", but takes always, on-change, on-failure, never.',
  )
})

describe('what a mode makes of a report', () => {
  const changed = [model('net', [layer('a', 2.1)])]
  const cases: [string, Report, string, string][] = [
    ['nothing changed', report('passed', same), 'update', 'update'],
    ['a layer changed', report('passed', changed), 'write', 'update'],
    ['a layer came', report('passed', [model('net', [])]), 'write', 'update'],
    ['a model went', report('passed', [...same, model('old', [layer('a', 2)])]), 'write', 'update'],
    ['a model came', report('passed', [model('x', [layer('a', 2)]), model('y', [layer('a', 2)])]), 'write', 'update'],
    ['nothing to compare with', report('passed', undefined), 'write', 'update'],
    ['a first run', report('inconclusive', undefined), 'write', 'update'],
    ['a warning', report('warned', same), 'write', 'update'],
    ['undecided', report('inconclusive', same), 'write', 'write'],
    ['failed', report('failed', same), 'write', 'write'],
    ['failed, not enforced', report('failed', same, { enforced: false, fails_job: false }), 'write', 'write'],
  ]
  test.each(cases)('%s', (_, report, onChange, onFailure) => {
    expect(commentAction('on-change', report)).toBe(onChange)
    expect(commentAction('on-failure', report)).toBe(onFailure)
    expect(commentAction('always', report)).toBe('write')
    expect(commentAction('never', report)).toBe('skip')
  })
})

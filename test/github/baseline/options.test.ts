import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import {
  baselineArtifactName,
  type GateKey,
  isReportArtifact,
  isTooOld,
  parseBaselineSource,
  parseMaxAge,
  publishesBaseline,
  reportArtifactName,
  workflowPath,
} from '../../../src/github/baseline/options.ts'
import { missingBaseline } from '../../../src/github/baseline/search.ts'
import type { Context } from '../../../src/github/context.ts'
import { formatAge } from '../../../src/render/numbers.ts'

test.each([
  ['', { kind: 'auto' }],
  [' auto ', { kind: 'auto' }],
  ['none', { kind: 'none' }],
  ['run:123', { kind: 'run', id: 123 }],
  ['run: 123', { kind: 'run', id: 123 }],
  ['base/main.json', { kind: 'path', path: 'base/main.json' }],
  ['./auto', { kind: 'path', path: './auto' }],
])('baseline: %j', (text, source) => {
  expect(parseBaselineSource(text)).toEqual(source)
})

test.each(['run:', 'run:0', 'run:abc', 'run:1e9', 'run:99999999999999999999'])('refuses baseline: %j', text => {
  expect(() => parseBaselineSource(text)).toThrow(UserError)
})

test.each([
  ['', undefined],
  ['30', 30 * 86_400],
  ['30d', 30 * 86_400],
  ['1.5 D', 1.5 * 86_400],
  ['36h', 36 * 3600],
  ['8w', 56 * 86_400],
])('baseline-max-age: %j', (text, seconds) => {
  expect(parseMaxAge(text)).toBe(seconds)
})

test.each(['0', '0d', '-1d', '1y', 'd', '30 days', '1e3d'])('refuses baseline-max-age: %j', text => {
  expect(() => parseMaxAge(text)).toThrow(/^baseline-max-age is ".*", but takes an age such as 30d, 36h or 8w\.$/)
})

test('too old', () => {
  expect(isTooOld(0, 10_001, 10)).toBe(true)
  expect(isTooOld(0, 10_000, 10)).toBe(false)
  expect(isTooOld(0, 1e15, undefined)).toBe(false)
  expect(isTooOld(Number.NaN, 1e15, 1)).toBe(false)
})

test('baseline-required', () => {
  expect(missingBaseline({ reason: 'It expired.' }, false)).toBe('')
  expect(missingBaseline({ reason: 'It expired.' }, true)).toMatch(/baseline-required.*It expired\./)
})

test.each([
  [30, '0 minutes'],
  [60, '1 minute'],
  [7199, '119 minutes'],
  [7200, '2 hours'],
  [172_799, '47 hours'],
  [172_800, '2 days'],
])('%i s are %s', (seconds, text) => {
  expect(formatAge(seconds)).toBe(text)
})

test.each([
  ['', ''],
  ['train.yml', '.github/workflows/train.yml'],
  ['.forgejo/workflows/train.yml', '.forgejo/workflows/train.yml'],
])('baseline-workflow: %j', (text, path) => {
  expect(workflowPath(text)).toBe(path)
})

test.each<[string, string, boolean]>([
  ['push', 'refs/heads/main', true],
  ['schedule', 'refs/heads/main', true],
  ['workflow_dispatch', 'refs/heads/release/1', true],
  ['merge_group', 'refs/heads/gh-readonly-queue/main/pr-1-x', true],
  ['push', 'refs/tags/v1', false],
  ['pull_request', 'refs/pull/1/merge', false],
  ['pull_request_target', 'refs/heads/main', false],
  ['workflow_run', 'refs/heads/main', false],
  ['issue_comment', 'refs/heads/main', false],
])('%s on %s publishes a baseline: %s', (event, ref, expected) => {
  expect(publishesBaseline({ event, ref, pullRequest: null })).toBe(expected)
})

test('a run about a pull request publishes none, whatever started it', () => {
  const pullRequest = { number: 7 } as Context['pullRequest']
  expect(publishesBaseline({ event: 'workflow_dispatch', ref: 'refs/heads/main', pullRequest })).toBe(false)
})

describe('the artifact’s name', () => {
  const gate: GateKey = { workflow: 'gate.yml', job: 'gate', step: '__self', matrix: 'null', models: [] }
  const key = ({ key, ...more }: Partial<GateKey> & { key?: string } = {}) =>
    baselineArtifactName({ ...gate, ...more }, key)

  test('reads well', () => {
    expect(key()).toMatch(/^spectral-gate-baseline-gate-[0-9a-f]{16}$/)
    expect(key({ matrix: '{"model":"resnet 20/x","seed":3}' })).toMatch(/-baseline-gate-resnet-20-x-3-[0-9a-f]{16}$/)
    expect(key({ key: 'resnet20', job: 'other', matrix: '{"a":1}' })).toBe(key({ key: 'resnet20' }))
    expect(key({ key: '../../..' })).toMatch(/^spectral-gate-baseline-[0-9a-f]{16}$/)
  })

  test('of a report is told from what users call theirs', () => {
    expect(isReportArtifact(reportArtifactName(gate))).toBe(true)
    expect(isReportArtifact(reportArtifactName({ ...gate, job: '…' }))).toBe(true)
    expect(isReportArtifact('spectral-gate')).toBe(true)
    for (const name of ['spectral-gate-report-html', 'spectral-gate-report', 'spectral-gate-2', key()])
      expect(isReportArtifact(name)).toBe(false)
  })

  test('is the same however the matrix was written', () => {
    expect(key({ matrix: '{ "b": [1, {"d":1,"c":2}],\n "a": null }' })).toBe(
      key({ matrix: '{"a":null,"b":[1,{"c":2,"d":1}]}' }),
    )
  })

  test('differs for each workflow, job, step, leg, name of a model and key, and is one that GitHub allows', () => {
    const leg = fc
      .dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean()))
      .map(one => JSON.stringify(one))
    const keys = fc.record({
      key: fc.oneof(fc.constant(''), fc.string()),
      workflow: fc.string(),
      models: fc.array(fc.string(), { maxLength: 2 }),
      job: fc.string(),
      step: fc.string(),
      matrix: fc.oneof(fc.constant('null'), leg),
    })
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        const [one, other] = [a, b].map(({ key, ...gate }) => baselineArtifactName(gate, key))
        expect(one).toMatch(/^[A-Za-z0-9._-]{1,110}$/)
        const identity = ({ key, ...gate }: GateKey & { key: string }) =>
          key ? [key] : [gate.workflow, gate.job, gate.step, canonical(gate.matrix), [...gate.models].sort()]
        expect(one === other).toBe(JSON.stringify(identity(a)) === JSON.stringify(identity(b)))
      }),
    )
  })
})

function canonical(matrix: string): unknown {
  return Object.entries(JSON.parse(matrix) ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
}

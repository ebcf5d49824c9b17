import { describe, expect, test } from 'vitest'
import { aggregates, summarise } from '../../src/metrics/summary.ts'
import { SUMMARY_METRICS } from '../../src/report/columns.ts'
import type { Skipped } from '../../src/report/schema.ts'
import { layer } from '../support/models.ts'

const skipped = (code: Skipped['code'], shape: number[], dtype = 'F32', more: Partial<Skipped> = {}): Skipped => ({
  tensor: 's',
  shape,
  dtype,
  code,
  reason: '',
  ...more,
})
const error = (code: string) => layer('e', null, { status: 'error', error: { code, message: '' } })

test('means are over the layers that are fitted, rows are all counted', () => {
  const layers = [
    layer('a', 2),
    layer('b', 4, { log_norm: 3 }),
    layer('c', null),
    layer('d', 9, { status: 'degenerate' }),
  ]
  expect(summarise(layers, [])).toEqual({
    layers: 4,
    failed: 2,
    errors: 0,
    non_finite: 0,
    coverage: 1,
    alpha: 3,
    alpha_weighted: 3,
    log_alpha_norm: 3,
    log_norm: 2.5,
    log_spectral_norm: 1,
    stable_rank: 10,
  })
})

test('a model with an error has no means; without a fitted layer there is none either', () => {
  const none = Object.fromEntries(SUMMARY_METRICS.map(metric => [metric, null]))
  expect(summarise([layer('a', 2), error('worker')], [])).toMatchObject({ errors: 1, failed: 1, ...none })
  expect(summarise([layer('a', null)], [])).toMatchObject({ errors: 0, failed: 1, ...none })
  expect(summarise([], [])).toMatchObject({ layers: 0, coverage: null, ...none })
})

test('what is not finite is counted in layers and in what is skipped', () => {
  const bad = skipped('rank', [3], 'F32', { non_finite: 'NaN at index [0]' })
  expect(summarise([error('non-finite'), error('memory')], [bad, skipped('rank', [3])]).non_finite).toBe(2)
  expect(summarise([layer('a', 2)], [skipped('rank', [3])]).non_finite).toBe(0)
})

test('coverage is the share of the parameters in rows without an error', () => {
  const cover = (...rows: Skipped[]) => summarise([layer('a', 2, { shape: [10, 10] })], rows).coverage
  expect(cover()).toBe(1)
  expect(cover(skipped('rank', [100]))).toBe(0.5)
  expect(cover(skipped('size', [10, 30]), skipped('excluded', [100]))).toBe(0.2)
  expect(cover(skipped('buffer', [100]), skipped('optimizer', [100]))).toBe(1)
  // Packed integers are parameters; flags, counters and vectors of integers are not.
  expect(cover(skipped('dtype', [10, 10], 'U8'))).toBe(0.5)
  expect(cover(skipped('dtype', [10, 10], 'BOOL'))).toBe(1)
  expect(cover(skipped('dtype', [10, 10], 'I64'))).toBe(1)
  expect(cover(skipped('dtype', [100], 'I32'))).toBe(1)
  expect(summarise([layer('a', 2, { shape: [10, 10] }), { ...error('worker'), shape: [20, 15] }], []).coverage).toBe(
    0.25,
  )
})

describe('groups and slices', () => {
  const names = ['h.0.attn.q_proj', 'h.0.mlp.fc1', 'h.1.attn.q_proj', 'h.1.mlp.fc1']
  const rows = names.map((name, i) => layer(name, 2 + i))

  test('the usual groups come first, then the blocks, each with its means; no group is empty', () => {
    const { groups, convolutions } = aggregates(rows, [])
    expect(convolutions).toBeUndefined()
    expect(groups?.map(({ group, kind, layers, fitted, alpha }) => [group, kind, layers, fitted, alpha])).toEqual([
      ['attention.q', 'function', 2, 2, 3],
      ['mlp', 'function', 2, 2, 4],
      ['h.0', 'block', 2, 2, 2.5],
      ['h.1', 'block', 2, 2, 4.5],
    ])
  })

  test('a layer without a fit is left out of its means, and with an error there are none', () => {
    const [q0, fc0, q1, fc1] = rows
    const broken = { ...q1!, status: 'error' as const, error: { code: 'worker' as const, message: '' } }
    const { groups } = aggregates([q0!, { ...fc0!, status: 'degenerate' }, broken, fc1!], [])
    expect(groups?.map(({ group, layers, fitted, alpha }) => [group, layers, fitted, alpha])).toEqual([
      ['attention.q', 2, 1, null],
      ['mlp', 2, 1, 5],
      ['h.0', 2, 1, 2],
      ['h.1', 2, 1, null],
    ])
  })

  test('layers of no group make none', () => {
    expect(aggregates([layer('a', 2)], [])).not.toHaveProperty('groups')
  })

  test('of the slices of a kernel there are means, over those that are fitted', () => {
    const slice = (i: number, alpha: number | null) =>
      layer('conv', alpha, { tensor: 'conv.weight', part: `slice ${i}` })
    const { convolutions } = aggregates([slice(0, 2), slice(1, 4), slice(2, null), layer('a', 9, { part: 'q' })], [])
    expect(convolutions).toMatchObject([{ name: 'conv', tensor: 'conv.weight', slices: 3, fitted: 2, alpha: 3 }])
  })

  test('a mean that was asked for is over the layers that have it', () => {
    const mean = (...values: (number | null | undefined)[]) =>
      summarise(
        values.map((mp_softrank, i) => layer(`${i}`, 2, mp_softrank === undefined ? {} : { mp_softrank })),
        [],
      )
    expect(mean(0.2, null, undefined, 0.4).mp_softrank).toBeCloseTo(0.3, 12)
    expect(mean(null).mp_softrank).toBeNull()
    expect(mean(undefined)).not.toHaveProperty('mp_softrank')
  })

  test('what is counted as a parameter', () => {
    const share = (row: Skipped) => summarise([layer('a', 2, { shape: [10, 10] })], [row]).coverage
    expect(share(skipped('identical', [10, 10]))).toBe(1)
    expect(share(skipped('rank', [10, 10]))).toBe(0.5)
  })
})

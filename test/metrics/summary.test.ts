import { expect, test } from 'vitest'
import { summarise } from '../../src/metrics/summary.ts'
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

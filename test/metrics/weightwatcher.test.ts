import { expect, test } from 'vitest'
import type { Layer } from '../../src/report/schema.ts'
import { analyseTensors } from '../support/analyse.ts'
import { golden, goldenTensor } from '../support/golden.ts'

const COUNTS = ['N', 'M', 'rf', 'num_evals', 'num_pl_spikes', 'matrix_rank', 'rank_loss', 'weak_rank_loss'] as const

/** Holds every column of a row against WeightWatcher's, to 1e-9, but for those that differ on purpose. */
function expectEqual(row: Layer, expected: Record<string, unknown>, onPurpose: readonly string[] = []): void {
  for (const [column, value] of Object.entries(expected)) {
    if (onPurpose.includes(column)) continue
    const ours = row[column as keyof Layer]
    if (typeof value !== 'number' || (COUNTS as readonly string[]).includes(column))
      expect([column, ours]).toEqual([column, value])
    else expect(Math.abs((ours as number) - value), column).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(value)))
  }
}

test.each(['G1', 'G2', 'G3', 'G4', 'G6'])('%s has the default columns of WeightWatcher', async name => {
  const { layers } = await analyseTensors({ 'w.weight': goldenTensor(name) }, { min_evals: 0 })
  const pooled = golden[name].expected.rf > 1
  expectEqual(layers[0], golden[name].expected, pooled ? ['sv_min'] : [])
})

test('N is the larger side of an even kernel with few outputs too (WeightWatcher swaps them)', async () => {
  const { layers } = await analyseTensors({ 'w.weight': goldenTensor('G5') })
  expect(golden.G5.expected).toMatchObject({ N: 16, M: 32, Q: 0.5 })
  expect(layers[0]).toMatchObject({ N: 32, M: 16, Q: 2 })
  expectEqual(layers[0], golden.G5.expected, ['N', 'M', 'Q', 'sv_min'])
})

test('sv_min is the smallest singular value, not the largest of the slices’ minima', async () => {
  const { layers } = await analyseTensors({ 'w.weight': goldenTensor('G4') })
  const slices = await Promise.all(
    Array.from({ length: 9 }, async (_, slice) => {
      const { shape, values } = goldenTensor('G4')
      const one = Float32Array.from({ length: 24 * 16 }, (_, i) => (values as Float32Array)[i * 9 + slice])
      return (await analyseTensors({ w: { shape: shape.slice(0, 2), values: one } })).layers[0].sv_min! * Math.SQRT1_2
    }),
  )
  expect(layers[0].sv_min).toBeCloseTo(Math.min(...slices), 12)
  expect(golden.G4.expected.sv_min).toBeCloseTo(Math.max(...slices), 9)
})

test('a rank-1 matrix has no fit: null numbers instead of −1, entropy 0 instead of a division by 1e-10', async () => {
  const values = Float32Array.from({ length: 600 }, (_, i) => (Math.floor(i / 30) + 1) * ((i % 30) + 1))
  const { layers } = await analyseTensors({ 'w.weight': { shape: [20, 30], values } })
  expectEqual(layers[0], golden.rank1.expected, [
    'alpha',
    'D',
    'sigma',
    'xmin',
    'num_pl_spikes',
    'warning',
    'alpha_weighted',
    'log_alpha_norm',
    'entropy',
    'sv_min',
  ])
  expect(layers[0]).toMatchObject({
    status: 'failed',
    alpha: null,
    alpha_weighted: null,
    entropy: 0,
    warning: '',
    sv_min: 0,
  })
})

test('an all-zero matrix has null logarithms', async () => {
  const { layers } = await analyseTensors({ 'w.weight': { shape: [20, 30] } })
  expect(layers[0]).toMatchObject({
    status: 'failed',
    alpha: null,
    log_norm: null,
    log_spectral_norm: null,
    stable_rank: null,
    norm: 0,
    lambda_max: 0,
    matrix_rank: 0,
    rank_loss: 20,
    weak_rank_loss: 20,
    sv_max: 0,
    sv_min: 0,
    entropy: 0,
    num_evals: 20,
  })
})

test('an identity is degenerate, not a success with an infinite alpha', async () => {
  const values = Float32Array.from({ length: 400 }, (_, i) => (i % 21 === 0 ? 1 : 0))
  const { layers } = await analyseTensors({ 'w.weight': { shape: [20, 20], values } })
  expectEqual(layers[0], golden.identity.expected, ['status', 'alpha', 'sigma', 'alpha_weighted', 'log_alpha_norm'])
  expect(layers[0]).toMatchObject({ status: 'degenerate', alpha: null, sigma: null })
})

test('the summary is the mean over layers', async () => {
  const { summary } = await analyseTensors(
    Object.fromEntries(['G1', 'G2', 'G3', 'G4'].map((name, i) => [`${'abcd'[i]}.weight`, goldenTensor(name)])),
  )
  for (const [metric, value] of Object.entries(golden.summary.expected)) {
    if (metric !== 'mp_softrank')
      expect(summary[metric as keyof typeof summary], metric).toBeCloseTo(value as number, 9)
  }
  expect(summary).toMatchObject({ layers: 4, failed: 0, errors: 0, coverage: 1 })
})

test('log_alpha_norm neither over- nor underflows', async () => {
  const { values, ...rest } = goldenTensor('G2')
  const huge = Float64Array.from(values as Float32Array, value => value * 1e60)
  const { layers } = await analyseTensors({ w: { ...rest, dtype: 'F64', values: huge } })
  expect(layers[0].alpha).toBeCloseTo(golden.G2.expected.alpha, 9)
  expect(layers[0].log_alpha_norm).toBeCloseTo(golden.G2.expected.log_alpha_norm + golden.G2.expected.alpha * 120, 6)
})

test('float64 weights are used as they are, not rounded to float32', async () => {
  const tiny = Float64Array.from({ length: 400 }, (_, i) => (i % 21 === 0 ? 1 + i * 1e-12 : 0))
  const { layers } = await analyseTensors({ w: { dtype: 'F64', shape: [20, 20], values: tiny } })
  expect(layers[0].lambda_max! - 1).toBeGreaterThan(7e-10)
})

test('a failed fit is excluded from the means and counted (WeightWatcher averages −1 in)', async () => {
  const alone = await analyseTensors({ 'a.weight': goldenTensor('G1') })
  const both = await analyseTensors({ 'a.weight': goldenTensor('G1'), 'z.weight': { shape: [20, 30] } })
  expect(both.summary).toMatchObject({ ...alone.summary, layers: 2, failed: 1, coverage: 1 })
})

test('a layer with NaN is an error row, and its model has no means', async () => {
  const { shape, values } = goldenTensor('G1')
  const broken = Float32Array.from(values as Float32Array)
  broken[41] = Number.NaN
  const { layers, summary } = await analyseTensors({
    'a.weight': goldenTensor('G1'),
    'b.weight': { shape, values: broken },
  })
  expect(layers[1]).toMatchObject({
    status: 'error',
    error: { code: 'non-finite', message: 'NaN at index [1, 1]' },
    alpha: null,
    norm: null,
  })
  expect(summary).toMatchObject({ layers: 2, failed: 1, errors: 1, coverage: 0.5, alpha: null, log_norm: null })
})

test('the histogram counts every positive eigenvalue', async () => {
  const { layers } = await analyseTensors({ a: goldenTensor('G4'), z: { shape: [20, 30] } })
  const { log10_edges, counts } = layers[0].esd
  expect(counts).toHaveLength(12)
  expect(log10_edges).toHaveLength(13)
  expect(counts.reduce((sum, n) => sum + n)).toBe(144)
  expect(log10_edges[12]).toBeCloseTo(layers[0].log_spectral_norm!, 12)
  expect(layers[1].esd).toEqual({ log10_edges: [], counts: [] })
})

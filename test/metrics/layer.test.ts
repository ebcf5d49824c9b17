import { describe, expect, test } from 'vitest'
import { contiguous, type Tensor } from '../../src/checkpoint/types.ts'
import { LayerError } from '../../src/errors.ts'
import { type PlannedLayer, planLayers } from '../../src/layers/select.ts'
import { histogram } from '../../src/metrics/histogram.ts'
import { errorRow, type Findings, isComplete, layerMetrics, sameRow } from '../../src/metrics/layer.ts'
import { fitPowerLaw } from '../../src/metrics/powerlaw.ts'
import { columnsFrom, LAYER_METRICS } from '../../src/report/columns.ts'
import { defaults } from '../support/analyse.ts'

function planned(shape: number[]): PlannedLayer {
  const tensor: Tensor = {
    name: 'a.weight',
    dtype: 'F32',
    shape,
    source: { kind: 'file', path: 'x', offset: 0, strides: contiguous(shape) },
  }
  return planLayers({ tensors: [tensor], unread: [] }, { ...defaults, min_evals: 0 }).layers[0]
}
const weights = { zeros: 0.25, row_levels: 7, sketch: Float64Array.of(1 / 3) }
const findings = (...matrices: number[][]): Findings => ({
  spectrum: { matrices: matrices.map(values => Float64Array.from(values)) },
  shuffled: [],
  forStructure: 0,
  weights,
})
const metrics = (values: number[], floor = 1e-12) => layerMetrics(planned([64, values.length]), findings(values), floor)

/** Two eigenvalues whose fitted exponent is exactly this: alpha = 1 + 2/ln(x₂/x₁). */
function pairFor(alpha: number): number[] {
  for (let least = 1; least < 2; least += 1 / 1024) {
    const start = least * Math.exp(2 / (alpha - 1))
    for (let i = -20; i <= 20; i++) {
      const x = start * (1 + i * Number.EPSILON)
      if (fitPowerLaw(Float64Array.of(least, x))!.alpha === alpha) return [least, x]
    }
  }
  throw new Error(`no pair has alpha ${alpha}`)
}

describe('the words for alpha begin beyond their thresholds, not on them', () => {
  test.each<[number, string, string]>([
    [1.5, 'success', 'over-trained'],
    [2, 'success', ''],
    [3, 'success', ''],
    [6, 'success', ''],
    [6.5, 'success', 'under-trained'],
  ])('alpha %d is %s %s', (alpha, status, warning) => {
    expect(metrics(pairFor(alpha))).toMatchObject({ alpha, status, warning })
  })

  test('beyond 1000 the tail has no spread', () => {
    const near = (alpha: number) => metrics([1, Math.exp(2 / (alpha - 1))])
    expect(near(999.9)).toMatchObject({ status: 'success', warning: 'under-trained' })
    expect(near(1000.1)).toMatchObject({ status: 'degenerate', warning: 'under-trained' })
  })

  test('one value again and again has no spread, and fewer than two have no fit', () => {
    expect(metrics([2, 2, 2])).toMatchObject({ status: 'degenerate', alpha: null, sigma: null })
    const failed = metrics([0, 1e-5, 3])
    expect(failed).toMatchObject({ status: 'failed', warning: '', log_norm: Math.log10(3 + 1e-5) })
    for (const metric of columnsFrom('fit', 'tail')) expect(failed[metric]).toBeNull()
  })

  test('eigenvalues of exactly 1e-5 take no part in the fit', () => {
    expect(metrics([1e-5, 1, 2, 4]).num_pl_spikes).toBe(metrics([0, 1, 2, 4]).num_pl_spikes)
    expect(metrics([1e-5, 1, 2, 4]).alpha).toBe(metrics([0, 1, 2, 4]).alpha)
  })
})

describe('norms and ranks', () => {
  test('by hand', () => {
    const row = metrics([0, 1e-6, 0.25, 1, 4])
    expect(row).toMatchObject({
      num_evals: 5,
      norm: 5.25 + 1e-6,
      lambda_max: 4,
      spectral_norm: 4,
      sv_max: 2,
      sv_min: 0,
      rank_loss: 1,
      weak_rank_loss: 1,
      matrix_rank: 4,
    })
    expect(row.log_norm).toBe(Math.log10(row.norm!))
    expect(row.log_spectral_norm).toBe(Math.log10(4))
    expect(row.stable_rank).toBe(row.norm! / 4)
    expect(row.alpha_weighted).toBe(row.alpha! * Math.log10(4))
    const alphaNorm = [1e-6, 0.25, 1, 4].reduce((sum, value) => sum + Math.exp(row.alpha! * Math.log(value)), 0)
    expect(row.log_alpha_norm).toBeCloseTo(Math.log10(alphaNorm), 12)
  })

  test('what is within the noise is 0, on the floor too', () => {
    expect(metrics([1e-8, 0.0001, 1], 0.01)).toMatchObject({ rank_loss: 2, matrix_rank: 1, sv_min: 0 })
    expect(metrics([1e-8, 0.00011, 1], 0.01)).toMatchObject({ rank_loss: 1, matrix_rank: 2 })
    // Relative to the largest, whatever its size.
    expect(metrics([1e-4, 1.1, 1e4], 0.01)).toMatchObject({ rank_loss: 1, matrix_rank: 2 })
  })

  test('entropy: 1 for equal values, 0 for rank 1 and for zeros', () => {
    expect(metrics([1, 1]).entropy).toBeCloseTo(1, 8)
    expect(metrics([1, 1, 1, 1]).entropy).toBeCloseTo(1, 8)
    expect(metrics([0, 0, 5]).entropy).toBe(0)
    expect(metrics([0, 0, 0])).toMatchObject({ entropy: 0, lambda_max: 0, stable_rank: null, status: 'failed' })
    const p = [0.2, 0.8].map(p => p + 1e-10)
    expect(metrics([1, 4]).entropy).toBeCloseTo(-p.reduce((s, p) => s + p * Math.log(p), 0) / Math.log(2 + 1e-10), 14)
  })

  test('kernel slices are pooled, in order, and halved', () => {
    const row = layerMetrics(planned([64, 2, 1, 2]), findings([2, 8], [0, 4]), 1e-12)
    expect(row).toMatchObject({ num_evals: 4, lambda_max: 4, norm: 7, rank_loss: 1, sv_min: 0 })
  })
})

describe('rows', () => {
  const row = { ...metrics([1, 2, 4]), fingerprint: 'f', digest: 'd' }

  test('of an error has no number', () => {
    const bad = errorRow(planned([64, 20]), new LayerError('memory', 'too large'))
    expect(bad).toMatchObject({ status: 'error', error: { code: 'memory', message: 'too large' }, warning: '' })
    expect(bad.esd).toEqual({ log10_edges: [], counts: [] })
    for (const metric of columnsFrom('fit', 'tail', 'norms')) expect(bad[metric]).toBeNull()
    for (const metric of columnsFrom('matrix')) expect(bad[metric]).not.toBeNull()
  })

  test('are complete with every column', () => {
    expect(isComplete(row)).toBe(false)
    expect(isComplete(row, { structure: false })).toBe(true)
    expect(isComplete(row, { conv2d: 'operator' })).toBe(true)
    const whole = { ...row, S: 2 }
    expect(isComplete(whole)).toBe(true)
    // A product of low rank is not shuffled.
    expect(isComplete({ ...row, matrix_rank: 2 })).toBe(true)
    for (const metric of LAYER_METRICS) {
      const { [metric]: _, ...rest } = whole
      expect(isComplete(rest as typeof row)).toBe(false)
    }
  })

  test('are taken over under the names of another layer', () => {
    const other = { ...planned([64, 3]), name: 'b', tensor: 'b.weight', part: 'q' }
    const same = sameRow(other, { digest: 'e', fingerprint: 'f' }, row, 'baseline')
    expect(same).toMatchObject({ name: 'b', tensor: 'b.weight', part: 'q', alpha: row.alpha, reused: 'baseline' })
    expect(same).toMatchObject({ digest: 'e', fingerprint: 'f' })
    expect(sameRow(other, { fingerprint: 'f' }, row, 'run')).toMatchObject({ reused: 'run', digest: 'd' })
    const plain = sameRow(planned([64, 3]), { fingerprint: 'f' }, { ...row, part: 'q' }, 'run')
    expect(plain).not.toHaveProperty('part')
    const bad = errorRow(planned([64, 20]), new LayerError('worker', 'died'))
    expect(sameRow(other, { fingerprint: 'f', digest: 'e' }, bad, 'run')).toEqual({
      ...bad,
      name: 'b',
      tensor: 'b.weight',
      part: 'q',
      shape: [64, 3],
      M: 3,
      Q: 64 / 3,
      num_evals: 3,
    })
  })
})

describe('histogram', () => {
  test('⌈√n⌉ bins of equal width, 100 at the most; zeros are in none', () => {
    const esd = histogram(Float64Array.from({ length: 12 }, (_, i) => (i < 2 ? 0 : 10 ** (i - 2))))
    expect(esd.counts).toHaveLength(4)
    expect(esd.counts.reduce((a, b) => a + b)).toBe(10)
    expect(esd.log10_edges[0]).toBe(0)
    expect(esd.log10_edges.at(-1)).toBeCloseTo(9, 12)
    expect(esd.counts).toEqual([3, 2, 2, 3])
    const many = histogram(Float64Array.from({ length: 40_000 }, (_, i) => i + 1))
    expect(many.counts).toHaveLength(100)
    expect(many.log10_edges).toHaveLength(101)
    expect(histogram(Float64Array.from({ length: 9801 }, (_, i) => i + 1)).counts).toHaveLength(99)
  })

  test('one value, and none', () => {
    expect(histogram(Float64Array.of(0, 10, 10))).toEqual({ log10_edges: [0.5, 1.5], counts: [2] })
    expect(histogram(Float64Array.of(0, 0))).toEqual({ log10_edges: [], counts: [] })
  })
})

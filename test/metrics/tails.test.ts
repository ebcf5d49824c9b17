import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { clipFingers } from '../../src/metrics/fingers.ts'
import { fitPowerLaw } from '../../src/metrics/powerlaw.ts'
import { fitSmallSample } from '../../src/metrics/small-sample.ts'
import { traceLogTail } from '../../src/metrics/trace-log.ts'
import { analyseFile, analyseTensors } from '../support/analyse.ts'
import { goldenTensor } from '../support/golden.ts'
import { hasShared, references, rowOf } from '../support/shared.ts'

const { cases, finger, small_sample } = JSON.parse(
  readFileSync(new URL('../fixtures/weightwatcher-analyses.json', import.meta.url), 'utf8'),
)

function expectClose(ours: number | null | undefined, theirs: number, what = ''): void {
  expect(Math.abs(ours! - theirs), `${what}: ${ours} instead of ${theirs}`).toBeLessThanOrEqual(
    1e-8 * Math.max(Math.abs(theirs), 1e-3),
  )
}

describe('the tail that the determinant sets off', () => {
  test.each(['G1', 'G2', 'G3', 'G4', 'G5', 'G6'])('of %s is WeightWatcher’s', async name => {
    const { layers } = await analyseTensors({ 'w.weight': goldenTensor(name) }, { min_evals: 0, analyses: ['detx'] })
    const { detX_num, detX_val, num_ERG_spikes, ERG_gap, num_pl_spikes } = layers[0]
    expect([detX_num, num_ERG_spikes]).toEqual([cases[name].detX_num, cases[name].detX_num])
    expect(ERG_gap).toBe(detX_num! - num_pl_spikes!)
    expectClose(detX_val, cases[name].detX_val)
  })

  test.runIf(hasShared).each(references('detX'))('$name: every layer as WeightWatcher', async ({ path, tables }) => {
    const { layers } = await analyseFile(path, { analyses: ['detx'] })
    for (const layer of layers) {
      const [row] = rowOf(tables.detX, layer.tensor)
      const [{ rank_loss, weak_rank_loss, lambda_max, num_evals }] = rowOf(tables.default, layer.tensor)
      const constant = Math.abs(layer.norm! / (Number(num_evals) * Number(lambda_max)) - 1) < 1e-6
      // Equal eigenvalues are, for us and for LAPACK, equal within rounding, or not.
      if (constant || Number(lambda_max) === 0) continue
      const near = Number(rank_loss) > 0 || Number(weak_rank_loss) > 0
      expect(Math.abs(layer.detX_num! - Number(row.detX_num)), layer.name).toBeLessThanOrEqual(near ? 1 : 0)
      if (layer.detX_num === row.detX_num) expectClose(layer.detX_val, Number(row.detX_val), layer.name)
    }
  })

  test('is summed in logarithms: a wide spectrum does not underflow', () => {
    // A geometric sequence: half of it, as many above as below the geometric mean, has the product of the mean.
    const lambda = Float64Array.from({ length: 4001 }, (_, i) => Math.exp((i - 2000) / 4))
    const mean = lambda.reduce((sum, value) => sum + value, 0) / lambda.length
    const { num, value } = traceLogTail(lambda)
    // Σ of the m largest logarithms: m(500 − (m−1)/8) − m ln mean < 0 where m > 1 + 8(500 − ln mean).
    expect(num).toBe(Math.floor(1 + 8 * (500 - Math.log(mean))) + 1)
    expect(value).toBe(lambda[4001 - num])
    expect(lambda.slice(-num).reduce((product, x) => product * (x / mean), 1)).toBeLessThan(1)
  })

  test('equal values have none; where the product never falls, it is all', () => {
    expect(traceLogTail(Float64Array.of(2, 2, 2))).toEqual({ num: 0, value: 2 })
    expect(traceLogTail(Float64Array.of(1, 2))).toEqual({ num: 2, value: 2 })
    expect(traceLogTail(Float64Array.of(3))).toEqual({ num: 0, value: 3 })
  })
})

describe('fingers', () => {
  test('are clipped as WeightWatcher does', () => {
    let s = finger.seed
    const u = Array.from({ length: 120 }, () => {
      s = (1664525 * s + 1013904223) % 2 ** 32
      return s / 2 ** 32
    }).sort((a, b) => a - b)
    const x = Float64Array.from(u, (u, k) => Math.min((1 - u) ** (-1 / 1.6), 8 + k * 1e-3))
    const { law, raw_alpha, num_fingers } = clipFingers(x, fitPowerLaw)
    expectClose(raw_alpha, finger.raw_alpha)
    expectClose(law!.alpha, finger.alpha)
    expectClose(law!.xmin, finger.xmin)
    expectClose(law!.D, finger.D)
    expect(num_fingers).toBe(finger.num_fingers)
    expect(clipFingers(x, fitPowerLaw, 0)).toMatchObject({ law: { alpha: raw_alpha }, num_fingers: 0 })
  })

  test.runIf(hasShared).each(references('clip_xmax'))(
    '$name: every layer as WeightWatcher',
    async ({ path, tables, nearTie }) => {
      const { layers } = await analyseFile(path, { fix_fingers: 'clip_xmax' })
      for (const layer of layers) {
        const [row] = rowOf(tables.clip_xmax, layer.tensor)
        if (!row || nearTie.includes(row.name)) continue
        if (row.status !== 'success') {
          // WeightWatcher fails where its search runs out of eigenvalues.
          if (layer.status === 'success') expect(layer.num_evals).toBeLessThan(14)
          continue
        }
        for (const metric of ['alpha', 'D', 'sigma', 'xmin', 'raw_alpha', 'num_fingers'] as const)
          expectClose(layer[metric], Number(row[metric]), `${layer.name} ${metric}`)
      }
    },
  )

  test('of a failed fit have no number', async () => {
    const { layers } = await analyseTensors({ z: { shape: [20, 30] } }, { fix_fingers: 'clip_xmax' })
    expect(layers[0]).toMatchObject({ status: 'failed', raw_alpha: null, num_fingers: null })
  })
})

interface SmallFit {
  readonly which: 'least-d' | 'adjusted-d'
  readonly x: readonly number[]
  readonly alpha: number
  readonly D: number
  readonly sigma: number
  readonly xmin: number
}

describe('small samples', () => {
  const fits = small_sample.fits as readonly SmallFit[]

  test.each(fits.map(fit => [fit.x.length, fit.which, fit] as const))(
    '%d values are fitted as WeightWatcher 0.7.7 has it: %s',
    (n, which, { x, alpha, D, sigma, xmin }) => {
      const law = fitSmallSample(Float64Array.from(x), which)!
      expectClose(law.alpha, alpha, 'alpha')
      expectClose(law.D, D, 'D')
      expectClose(law.xmin, xmin, 'xmin')
      // Of fewer than 8 values WeightWatcher has the sigma of an alpha of 0, or reports that alpha.
      if (n >= 8) expectClose(law.sigma, sigma, 'sigma')
    },
  )

  test('fewer than two have no fit, equal ones no spread', () => {
    expect(fitSmallSample(new Float64Array(0), 'least-d')).toBeNull()
    expect(fitSmallSample(Float64Array.of(1), 'least-d')).toBeNull()
    expect(fitSmallSample(new Float64Array(9).fill(2), 'least-d')!.alpha).toBe(Number.POSITIVE_INFINITY)
  })

  test('the option moves layers of fewer than 20 eigenvalues alone, and their fingerprint', async () => {
    const tensors = { small: { ...goldenTensor('G1'), shape: [160, 15] }, large: goldenTensor('G3') }
    const [plain, asked] = [
      (await analyseTensors(tensors)).layers,
      (await analyseTensors(tensors, { small_sample_fit: 'adjusted-d' })).layers,
    ]
    const [small, large] = ['small', 'large'].map(name => asked.find(layer => layer.name === name)!)
    const plainOf = (name: string) => plain.find(layer => layer.name === name)!
    expect(small.alpha).not.toBe(plainOf('small').alpha)
    expect(large.alpha).toBe(plainOf('large').alpha)
    expect(small.fingerprint).not.toBe(plainOf('small').fingerprint)
  })
})

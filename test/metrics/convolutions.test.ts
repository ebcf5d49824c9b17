import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { planLayers } from '../../src/layers/select.ts'
import { fitPowerLaw } from '../../src/metrics/powerlaw.ts'
import type { AnalysisOptions, Layer } from '../../src/report/schema.ts'
import { WorkerPool } from '../../src/spectrum/pool.ts'
import { analyseFile, analyseTensors, defaults } from '../support/analyse.ts'
import { generate, goldenTensor } from '../support/golden.ts'
import { oracleEigenvalues } from '../support/oracle.ts'
import { hasShared, references, rowOf, sharedCheckpoint } from '../support/shared.ts'

const fixture = JSON.parse(readFileSync(new URL('../fixtures/weightwatcher-analyses.json', import.meta.url), 'utf8'))
const engine = new WorkerPool(new URL('../../dist/worker.js', import.meta.url))

const REAL = [
  'alpha',
  'D',
  'sigma',
  'xmin',
  'xmax',
  'log_norm',
  'log_spectral_norm',
  'stable_rank',
  'alpha_weighted',
  'log_alpha_norm',
] as const

function expectSame(ours: Layer, theirs: Record<string, number | string>): void {
  for (const metric of REAL) {
    const value = Number(theirs[metric])
    const difference = Math.abs(ours[metric]! - value)
    expect(difference, `${ours.name} ${ours.part} ${metric}: ${ours[metric]} instead of ${value}`).toBeLessThanOrEqual(
      1e-8 * Math.max(Math.abs(value), 1),
    )
  }
  for (const metric of ['num_evals', 'num_pl_spikes', 'rf'] as const) expect(ours[metric]).toBe(theirs[metric])
}

describe('each kernel slice as a layer', () => {
  test('has WeightWatcher’s numbers, and its place as `part`; the layer’s means are over them', async () => {
    const model = await analyseTensors({ 'w.weight': goldenTensor('G4') }, { conv2d: 'slices' })
    expect(model.layers.map(({ part }) => part)).toEqual(Array.from({ length: 9 }, (_, i) => `slice ${i}`))
    for (const [i, layer] of model.layers.entries()) expectSame(layer, fixture.slices.rows[i])
    expect(model.layers[0]).toMatchObject({ layer_type: 'conv2d', shape: [24, 16], N: 24, M: 16, rf: 9 })
    const [{ alpha, ...whole }] = model.convolutions!
    expect(whole).toMatchObject({ name: 'w', tensor: 'w.weight', slices: 9, fitted: 9 })
    expect(alpha).toBeCloseTo(fixture.slices.rows.reduce((sum: number, row: Layer) => sum + row.alpha!, 0) / 9, 8)
    expect(model.summary).toMatchObject({ layers: 9, coverage: 1, alpha })
  })

  test.runIf(hasShared).each(references('slices'))(
    '$name: every slice as WeightWatcher',
    async ({ path, tables, nearTie }) => {
      const { layers } = await analyseFile(path, { conv2d: 'slices' })
      let compared = 0
      for (const layer of layers) {
        const rows = rowOf(tables.slices, layer.tensor)
        const theirs = rows.find(({ slice_id }) => slice_id === Number(layer.part?.slice('slice '.length) ?? 0))
        if (theirs?.status !== 'success' || nearTie.includes(theirs.name) || layer.status !== 'success') continue
        compared++
        expectSame(layer, theirs)
      }
      expect(compared).toBeGreaterThan(0)
      expect(layers.length).toBeGreaterThanOrEqual(compared)
    },
  )
})

/** The matrix of a convolution with periodic boundary on an image with sides of n, by its definition. */
function operator(values: ArrayLike<number>, [rows, columns, ...kernel]: number[], n: number): number[][] {
  const points = placesIn(kernel.map(() => n))
  const taps = placesIn(kernel)
  const matrix = Array.from({ length: rows * points.length }, () => new Array<number>(columns * points.length).fill(0))
  for (let o = 0; o < rows; o++)
    for (let c = 0; c < columns; c++)
      for (const [t, tap] of taps.entries())
        for (const [p, point] of points.entries()) {
          const met = point.reduce((index, x, d) => index * n + ((x + tap[d]) % n), 0)
          matrix[o * points.length + p][c * points.length + met] += values[(o * columns + c) * taps.length + t]
        }
  return matrix
}

/** Indices of an array of these sides, in row-major order. */
function placesIn(sides: readonly number[]): number[][] {
  return sides.reduce<number[][]>(
    (places, side) => places.flatMap(place => Array.from({ length: side }, (_, i) => [...place, i])),
    [[]],
  )
}

describe('the convolution as an operator', () => {
  test.each([
    [[3, 2, 3, 3], 4],
    [[2, 4, 3, 3], 5],
    [[3, 3, 2, 2], 6],
    [[2, 2, 1, 3], 4],
    [[4, 2, 1, 1], 3],
    [[2, 3, 5, 5], 4],
    [[3, 2, 3, 3], 1],
    [[2, 2, 3, 3], 2],
    [[4, 3, 3], 6],
    [[3, 4, 5], 4],
    [[3, 3, 1], 5],
    [[2, 3, 2, 1, 3], 3],
    [[3, 2, 3, 3, 3], 4],
    [[2, 2, 2, 2, 2], 2],
  ])('%j on a grid of %d has the singular values of its matrix', async (shape, n) => {
    const values = generate(3, shape, true).values!
    const asked = {
      ...(shape.length !== 4 && { conv_dims: 'all' as const }),
      conv2d: 'operator' as const,
      conv_grid: n,
    }
    const tensors = { 'conv.weight': { shape, values } }
    const { layers } = await analyseTensors(tensors, { ...asked, min_evals: 0 })
    expect(layers[0].shape).toEqual(shape)
    const expected = oracleEigenvalues(operator(values as Float32Array, shape, n))
    expect(layers[0].num_evals).toBe(expected.length)
    const { matrices } = await spectrum(tensors, asked)
    const ours = Float64Array.from(matrices.flatMap(values => [...values])).sort()
    expect(ours).toHaveLength(expected.length)
    const most = expected[expected.length - 1]
    for (const [i, value] of expected.entries()) expect(Math.abs(ours[i] - value)).toBeLessThan(1e-12 * most)
    expect(layers[0].lambda_max! / most).toBeCloseTo(1, 12)
    expect(layers[0].norm! / expected.reduce((a, b) => a + b)).toBeCloseTo(1, 12)
  })

  test('is not scaled, says which image it is on, and max-evals bounds one of its blocks', async () => {
    const tensors = { w: goldenTensor('G4') }
    const model = await analyseTensors(tensors, { conv2d: 'operator', conv_grid: 8, max_evals: 16 })
    expect(model.layers[0]).toMatchObject({ num_evals: 16 * 64, M: 16, N: 24, rf: 9, S: null })
    // Parseval: every tap meets every point once.
    const pooled = await analyseTensors(tensors)
    expect(model.layers[0].norm! / (2 * 64 * pooled.layers[0].norm!)).toBeCloseTo(1, 12)
    await expect(analyseTensors(tensors, { conv2d: 'operator', conv_grid: 8, max_evals: 15 })).rejects.toThrow(
      /16 eigen/,
    )
  })

  test('half a million eigenvalues, most of them twice, are fitted in a moment', () => {
    const half = Float64Array.from({ length: 262_144 }, (_, i) => Math.exp(-0.4 * Math.log((i + 0.5) / 262_144)))
    const x = new Float64Array(524_288)
    for (const [i, value] of half.entries()) x.fill(value, 2 * i, 2 * i + 2)
    const start = performance.now()
    const law = fitPowerLaw(x.sort())!
    expect(performance.now() - start).toBeLessThan(20_000)
    expect(law.alpha).toBeCloseTo(3.5, 1)
  })
})

async function spectrum(tensors: Parameters<typeof analyseTensors>[0], asked: Partial<AnalysisOptions>) {
  const { writeSafetensors } = await import('../support/safetensors.ts')
  const checkpoint = await openCheckpoint(writeSafetensors(tensors), {})
  const { layers } = planLayers(checkpoint, { ...defaults, ...asked, min_evals: 0 })
  return engine.spectrum(layers[0].recipe)
}

/**
 * The six ResNet20 for CIFAR-10 of Martin, Peng and Mahoney (Nature Communications 2021) as WeightWatcher 0.1 printed them: slices and
 * matrices with 50 and more of the shorter side, the smallest singular value left out, D to the law cut off at the largest.
 */
const PUBLISHED: [string, number, number, number, number][] = [
  ['distiller-4d-5lremoved', 3.1960536961, 0.3071951145, 0.51755166, 4.3157954],
  ['distiller-4d-5lremoved-ft', 2.9283531958, 1.0113120746, 0.6895095, 5.1753674],
  ['distiller-channel', 2.8896926582, -0.2959171188, 0.4641057, 3.6135206],
  ['distiller-channel-ft', 2.835688656, 1.0363721888, 0.70176435, 5.1061406],
  ['distiller-dense', 3.2900305228, 1.261966776, 0.7015861, 5.1555324],
  ['distiller-ch-dense', 2.950133411, -0.4276622621, 0.46435806, 3.6407423],
]

describe.runIf(hasShared)('the published means of six ResNet20', () => {
  test.each(PUBLISHED)('%s', async (name, alpha, alpha_weighted, lognorm, norm) => {
    const checkpoint = await openCheckpoint(sharedCheckpoint(name), {})
    const { layers } = planLayers(checkpoint, { ...defaults, conv2d: 'slices', min_evals: 50 })
    const slices = layers.filter(({ M }) => M >= 50)
    expect(slices).toHaveLength(45)
    const rows = await Promise.all(
      slices.map(async ({ recipe }) => {
        const [lambda] = (await engine.spectrum(recipe)).matrices
        const kept = lambda.slice(1)
        const law = fitPowerLaw(
          kept.filter(value => value > 0),
          true,
        )!
        const frobenius = Math.sqrt(lambda.reduce((sum, value) => sum + value, 0))
        return [law.alpha, law.alpha * Math.log10(law.xmax), Math.log10(frobenius), frobenius]
      }),
    )
    const means = [0, 1, 2, 3].map(i => rows.reduce((sum, row) => sum + row[i], 0) / rows.length)
    for (const [i, published] of [alpha, alpha_weighted, lognorm, norm].entries())
      expect(Math.abs(means[i] - published), `${i}: ${means[i]}`).toBeLessThan(i < 2 ? 5e-5 : 1e-5)
  })
})

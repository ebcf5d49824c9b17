import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fitMarchenkoPastur } from '../../src/metrics/marchenko-pastur.ts'
import { minimise } from '../../src/metrics/nelder-mead.ts'
import { columnsOf } from '../../src/report/columns.ts'
import { analyseFile, analyseTensors } from '../support/analyse.ts'
import { goldenTensor } from '../support/golden.ts'
import { hasShared, references, rowOf } from '../support/shared.ts'

const { cases } = JSON.parse(readFileSync(new URL('../fixtures/weightwatcher-analyses.json', import.meta.url), 'utf8'))
const COLUMNS = columnsOf('mp-fit')

/**
 * Two points of the density, or two steps of the search, are equal there within the last bit, and which of them wins moves the fit by
 * up to 0.7 %: WeightWatcher's own, too, from one build of LAPACK to another.
 */
const TIES = ['burn-mnist fc1.weight', 'edge evals_11.weight']

/** To 1e-8, relative to what is not tiny. */
function expectClose(ours: number, theirs: number, what: string): void {
  expect(Math.abs(ours - theirs), `${what}: ${ours} instead of ${theirs}`).toBeLessThanOrEqual(
    1e-8 * Math.max(Math.abs(theirs), 1e-3),
  )
}

test.each(['G1', 'G2', 'G3', 'G4', 'G6'])('%s has the fit of WeightWatcher', async name => {
  const { layers } = await analyseTensors({ 'w.weight': goldenTensor(name) }, { min_evals: 0, analyses: ['mp-fit'] })
  for (const metric of COLUMNS) expectClose(layers[0][metric]!, cases[name][metric], metric)
})

test('an even kernel with few outputs has Q = N/M > 1, where WeightWatcher fits the inverse', async () => {
  const { layers } = await analyseTensors({ 'w.weight': goldenTensor('G5') }, { analyses: ['mp-fit'] })
  expectClose(layers[0].W_scale!, cases.G5.W_scale, 'W_scale')
  expect(layers[0].sigma_mp).toBeGreaterThan(1.2 * cases.G5.sigma_mp)
})

test.runIf(hasShared).each(references('mp'))('$name: every layer as WeightWatcher', async ({ name, path, tables }) => {
  const { layers, summary } = await analyseFile(path, { analyses: ['mp-fit'] })
  let compared = 0
  for (const layer of layers) {
    const [row] = rowOf(tables.mp, layer.tensor)
    const [plain] = rowOf(tables.default, layer.tensor)
    if (Number(plain.N) < Number(plain.M)) continue
    compared++
    const onTie = TIES.includes(`${name} ${layer.tensor}`)
    for (const metric of COLUMNS) {
      const theirs = Number(row[metric])
      if (row.W_scale === -1) expect(layer[metric], `${layer.name} ${metric}`).toBeNull()
      else if (!onTie) expectClose(layer[metric]!, theirs, `${layer.name} ${metric}`)
      else if (metric === 'sigma_mp') expect(Math.abs(layer[metric]! / theirs - 1)).toBeLessThan(0.01)
    }
  }
  expect(compared).toBeGreaterThan(0)
  const ranks = layers.map(({ tensor }) => Number(rowOf(tables.mp, tensor)[0].mp_softrank))
  const plain = compared === layers.length && layers.every(({ status }) => status === 'success')
  if (plain && !TIES.some(tie => tie.startsWith(`${name} `)))
    expectClose(summary.mp_softrank!, ranks.reduce((sum, rank) => sum + rank, 0) / ranks.length, 'mean')
})

test('the summary has the mean of mp_softrank where it was asked for, over the layers that have it', async () => {
  const tensors = { a: goldenTensor('G1'), b: goldenTensor('G3'), nothing: { shape: [40, 30] } }
  const { layers, summary } = await analyseTensors(tensors, { analyses: ['mp-fit'] })
  expect(layers.map(({ mp_softrank }) => mp_softrank === null)).toEqual([false, false, true])
  expect(summary.mp_softrank).toBeCloseTo((layers[0].mp_softrank! + layers[1].mp_softrank!) / 2, 14)
  expect((await analyseTensors(tensors)).summary).not.toHaveProperty('mp_softrank')
})

describe('by a law whose answer is known', () => {
  test('Gaussian matrices: the bulk is all, sigma is 1, and the edge is where theory has it', async () => {
    let s = 7
    const uniform = () => {
      s = (1664525 * s + 1013904223) % 2 ** 32
      return (s + 0.5) / 2 ** 32
    }
    const values = Float32Array.from(
      { length: 600 * 300 },
      () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
    )
    const { layers } = await analyseTensors({ w: { shape: [600, 300], values } }, { analyses: ['mp-fit'] })
    const [{ sigma_mp, bulk_max, bulk_min, num_spikes, mp_softrank }] = layers
    expect(Math.abs(sigma_mp! - 1)).toBeLessThan(0.02)
    expect(num_spikes).toBe(0)
    expect(Math.abs(bulk_max! / (600 * (1 + Math.SQRT1_2) ** 2) - 1)).toBeLessThan(0.04)
    expect(Math.abs(bulk_min! / (600 * (1 - Math.SQRT1_2) ** 2) - 1)).toBeLessThan(0.04)
    expect(mp_softrank).toBeGreaterThan(0.97)
  })

  test('zeros have no bulk', () => expect(fitMarchenkoPastur(new Float64Array(20), 30, 20)).toBeNull())

  test('values too far apart for any density have none', () => {
    const far = Float64Array.from({ length: 2000 }, (_, i) => i * i)
    expect(fitMarchenkoPastur(far, 3000, 2000)).not.toBeNull()
    expect(fitMarchenkoPastur(Float64Array.of(1), 2, 1)).not.toBeNull()
  })
})

describe('the minimum of a function of one number', () => {
  test.each([
    [(x: number) => (x - 2) * (x - 2), 1, 2],
    [(x: number) => Math.abs(x + 3), 5, -3],
    [(x: number) => (x - 1) * (x - 1), 0, 1],
  ])('%s', (f, start, expected) => expect(Math.abs(minimise(f, start) - expected)).toBeLessThan(2e-4))

  test('is looked for a bounded time', () => {
    let calls = 0
    minimise(x => {
      calls++
      return -x
    }, 1)
    expect(calls).toBeLessThanOrEqual(201)
  })
})

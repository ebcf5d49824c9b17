import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { jensenShannon, randomised } from '../../src/metrics/randomised.ts'
import { columnsOf, type LayerMetric } from '../../src/report/columns.ts'
import { analyseFile, analyseTensors } from '../support/analyse.ts'
import { generate, goldenTensor } from '../support/golden.ts'
import { hasShared, references, rowOf } from '../support/shared.ts'

const { jensen_shannon } = JSON.parse(
  readFileSync(new URL('../fixtures/weightwatcher-analyses.json', import.meta.url), 'utf8'),
)

test('the Jensen-Shannon distance is WeightWatcher’s, 0 for equal lists, and √ln 2 for those that share nothing', () => {
  const { p, q, expected } = jensen_shannon
  expect(jensenShannon(Float64Array.from(p), Float64Array.from(q))).toBeCloseTo(expected, 14)
  expect(jensenShannon(Float64Array.of(1, 2), Float64Array.of(1, 2))).toBe(0)
  expect(jensenShannon(Float64Array.of(1, 0), Float64Array.of(0, 1))).toBeCloseTo(Math.sqrt(Math.LN2), 14)
})

test('by hand: means and scatter over the replicas, the bulk of five together', () => {
  const lambda = Float64Array.of(1, 2, 9)
  const shuffled = [3, 4, 5, 6, 7].map(top => Float64Array.of(1, 2, top))
  const found = randomised(lambda, shuffled, 4, 3)!
  expect(found).toMatchObject({ max_rand_eval: 7, ww_softrank: 5 / 9, ww_maxdist: 4 })
  expect(found.ww_softrank_sd).toBeCloseTo(Math.sqrt(2.5) / 9, 14)
  expect(found.rand_W_scale).toBeCloseTo(Math.sqrt(15 / 40), 14)
  expect(found.num_traps).toBe(found.rand_num_spikes)
  expect(randomised(lambda, [], 4, 3)).toBeNull()
})

test('a run repeats exactly, whatever the layer is called; S stays as it is without; what is never formed has none', async () => {
  const tensors = (name: string) => ({ [name]: goldenTensor('G3'), conv: goldenTensor('G4') })
  const [one, two, plain] = await Promise.all([
    analyseTensors(tensors('a'), { analyses: ['randomize'] }),
    analyseTensors(tensors('b'), { analyses: ['randomize'] }),
    analyseTensors(tensors('a')),
  ])
  for (const metric of columnsOf('randomize')) {
    expect(one.layers[0][metric], metric).toBe(two.layers[0][metric])
    expect(one.layers[0][metric], metric).not.toBeNull()
  }
  expect(one.layers.map(({ S }) => S)).toEqual(plain.layers.map(({ S }) => S))
  const operator = await analyseTensors(tensors('a'), { analyses: ['randomize'], conv2d: 'operator', conv_grid: 4 })
  expect(operator.layers.find(({ layer_type }) => layer_type === 'conv2d')!.rand_distance).toBeNull()
})

test('a single huge weight is a trap that no shuffle hides', async () => {
  const { shape, values } = generate(5, [120, 110], false)
  const spoilt = Float32Array.from(values as Float32Array)
  spoilt[777] = 200
  const traps = async (values: Float32Array) =>
    (await analyseTensors({ w: { shape, values } }, { analyses: ['randomize'] })).layers[0].num_traps!
  expect(await traps(Float32Array.from(values as Float32Array, value => Math.tanh(value)))).toBe(0)
  expect(await traps(spoilt)).toBeGreaterThanOrEqual(1)
})

/** Of ten seeds of WeightWatcher's and five shuffles of ours, each with its own scatter where it is known. */
test.runIf(hasShared).each(references('randomize_10_seeds'))(
  '$name: every layer within 3 standard errors of WeightWatcher’s',
  async ({ path, tables }) => {
    const { layers } = await analyseFile(path, { analyses: ['randomize'] })
    const beyond: string[] = []
    let compared = 0
    for (const layer of layers) {
      const [row] = rowOf(tables.randomize_10_seeds, layer.tensor)
      for (const metric of columnsOf('randomize')) {
        const theirs = (row as unknown as Partial<Record<LayerMetric, { mean: number; sd: number }>>)[metric]
        if (!theirs) continue
        compared++
        // Fits of five shuffles together are one number: its own scatter counts, not that of a mean of five.
        const ours = layer.num_evals < 100 && /^(?:rand_[^d]|max_)/.test(metric) ? 1 : 5
        const unit = metric === 'ww_softrank' ? 1 : layer.lambda_max!
        const own = metric === 'rand_distance' ? layer.rand_distance_sd! : unit * layer.ww_softrank_sd!
        const sd = /^rand_[^d]/.test(metric) ? theirs.sd : Math.max(theirs.sd, own)
        const error = Math.sqrt((theirs.sd * theirs.sd) / 10 + (sd * sd) / ours)
        const least = metric === 'rand_num_spikes' ? 0.7 : 1e-9 * Math.abs(theirs.mean)
        if (Math.abs(layer[metric]! - theirs.mean) > 3 * Math.max(error, least))
          beyond.push(`${layer.name} ${metric}: ${layer[metric]} beside ${theirs.mean} ± ${error}`)
      }
    }
    expect(compared).toBeGreaterThan(0)
    // Of a thousand comparisons of means, Student's law lets some ten fall beyond.
    expect(beyond.length / compared, beyond.join('\n')).toBeLessThan(0.02)
  },
)

import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { afterAll, describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { planLayers } from '../../src/layers/select.ts'
import { analyse } from '../../src/pipeline/analyse.ts'
import { Kernel } from '../../src/spectrum/kernel.ts'
import wasm from '../../src/spectrum/kernel.wasm'
import { largestEigenvalue } from '../../src/spectrum/lanczos.ts'
import { WorkerPool } from '../../src/spectrum/pool.ts'
import { resident } from '../../src/spectrum/resident.ts'
import { footprint, openRecipe } from '../../src/spectrum/source.ts'
import { analyseTensors, defaults } from '../support/analyse.ts'
import { cli } from '../support/cli.ts'
import { generate } from '../support/golden.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'
import { hasShared, references } from '../support/shared.ts'

const pool = new WorkerPool(new URL('../../dist/worker.js', import.meta.url), 2)
afterAll(() => pool.close())

const N = 200
const K = 260

/** Numbers from a normal law, the same in every run. */
function normals(seed: number, count: number): Float64Array {
  const random = xoroshiro128plus(seed)
  const uniform = () => uniformInt(random, 1, 1_000_000_000) / 1_000_000_001
  return Float64Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  )
}

/** U·diag(sigmas)·Vᵀ: U and V are products of three reflections, so that the singular values are known. */
function withSingularValues(sigmas: readonly number[], seed: number, first?: Float64Array): Float64Array {
  const a = new Float64Array(K * N)
  for (const [i, sigma] of sigmas.entries()) a[i * N + i] = sigma
  const reflect = (v: Float64Array, columns: boolean) => {
    const square = v.reduce((sum, x) => sum + x * x, 0)
    const [outer, inner] = columns ? [K, N] : [N, K]
    const at = (o: number, i: number) => (columns ? o * N + i : i * N + o)
    for (let o = 0; o < outer; o++) {
      let s = 0
      for (let i = 0; i < inner; i++) s += v[i] * a[at(o, i)]
      for (let i = 0; i < inner; i++) a[at(o, i)] -= ((2 * s) / square) * v[i]
    }
  }
  for (let i = 0; i < 3; i++) {
    reflect(normals(seed + i, K), false)
    reflect(normals(seed + 10 + i, N), true)
  }
  if (first) reflect(first, true)
  return a
}

async function timesOf(matrix: Float64Array, k: number, n: number) {
  const { elements, stride, times } = (await Kernel.create(wasm)).hold(k, n, true)
  for (let row = 0; row < k; row++) elements.set(matrix.subarray(row * n, (row + 1) * n), row * stride)
  return times
}

test.each([true, false])('the product AᵀAv of odd sides, doubles: %s', async wide => {
  const [k, n] = [7, 5]
  const [matrix, v] = [normals(1, k * n).map(Math.fround), normals(2, n)]
  const { elements, stride, times } = (await Kernel.create(wasm)).hold(k, n, wide)
  for (let row = 0; row < k; row++) elements.set(matrix.subarray(row * n, (row + 1) * n), row * stride)
  const at = (p: number, i: number) => matrix[p * n + i]
  const product = Array.from({ length: k }, (_, p) => v.reduce((sum, x, i) => sum + at(p, i) * x, 0))
  for (const [i, value] of times(v).entries())
    expect(value).toBeCloseTo(
      product.reduce((sum, x, p) => sum + at(p, i) * x, 0),
      12,
    )
})

const graded = Array.from({ length: N }, (_, i) => 1 / (1 + i))

describe('known singular values', () => {
  test.each<[string, number[]]>([
    ['graded', graded],
    ['one apart', [100, ...Array(N - 1).fill(1)]],
    ['two equal', [1, 1, ...graded.slice(2)]],
    ['a cluster', Array.from({ length: N }, (_, i) => (i < 20 ? 1 - i * 1e-11 : 0.9 - i * 1e-3))],
    ['all equal', Array(N).fill(3)],
    ['rank 1', [5]],
    ['rank 2, next to each other', [5, 5 - 1e-9]],
    ['a semicircle', Array.from({ length: N }, (_, i) => Math.cos((i * Math.PI) / (2 * N)))],
  ])('%s', async (_, sigmas) => {
    for (const scale of [1, 1e-150, 1e150, 1e-20]) {
      const elements = withSingularValues(sigmas, 5).map(x => x * scale)
      const path = writeSafetensors({ w: { dtype: 'F64', shape: [K, N], values: elements } })
      const [tensor] = (await openCheckpoint(path)).tensors
      const { largest } = await pool.spectralNorm({ read: 'matrix', values: { op: 'tensor', tensor } })
      expect(Math.abs(Math.sqrt(largest) / (sigmas[0] * scale) - 1), `${scale}`).toBeLessThan(1e-8)
    }
  })

  test('zeros', async () => {
    const model = await analyseTensors(
      { w: { shape: [K, N] }, v: generate(3, [K, N], true) },
      { metrics: 'spectral-norm' },
    )
    expect(model.layers.map(({ name, status, lambda_max }) => [name, status, lambda_max === 0])).toEqual([
      ['w', 'failed', true],
      ['v', 'success', false],
    ])
  })
})

test('a start that does not see the largest: the second start does', async () => {
  // The very start of this seed, as the search makes it.
  const random = xoroshiro128plus(77)
  const start = Float64Array.from({ length: N }, () => uniformInt(random, -1_000_000, 1_000_000))
  // A diagonal matrix turned so that its first right singular vector is orthogonal to the start, exactly but for rounding.
  const [a, b] = [start[0], start[1]]
  const length = Math.hypot(a, b)
  const matrix = new Float64Array(K * N)
  const sigmas = [2, ...Array.from({ length: N - 1 }, (_, i) => 1 - i / N)]
  for (let i = 2; i < N; i++) matrix[i * N + i] = sigmas[i]
  matrix.set([(sigmas[0] * b) / length, (-sigmas[0] * a) / length], 0)
  matrix.set([(sigmas[1] * a) / length, (sigmas[1] * b) / length], N)
  const found = largestEigenvalue(await timesOf(matrix, K, N), N, 77)!
  expect(Math.abs(found.value / 4 - 1)).toBeLessThan(1e-8)
  expect(found.residual).toBeLessThanOrEqual(2e-9 * 4)
})

test('where the tolerance is not reached, all eigenvalues are computed', async () => {
  // So dense at its top that 500 steps do not tell one from the next.
  const n = 800
  const elements = new Float64Array(n * n)
  for (let i = 0; i < n; i++) elements[i * n + i] = Math.cos((i * Math.PI) / (2 * n))
  expect(largestEigenvalue(await timesOf(elements, n, n), n, 1)).toBeNull()
  const path = writeSafetensors({ w: { dtype: 'F64', shape: [n, n], values: elements } })
  const [tensor] = (await openCheckpoint(path)).tensors
  const { largest } = await pool.spectralNorm({ read: 'matrix', values: { op: 'tensor', tensor } })
  expect(Math.abs(largest - 1)).toBeLessThan(1e-12)
})

test('the same for any number of workers, and from a report of before', async () => {
  const tensors: Record<string, Written> = {}
  for (let i = 0; i < 6; i++) tensors[`l${i}`] = generate(40 + i, [500, 400], true)
  const path = writeSafetensors(tensors)
  const reports = await Promise.all(
    ['1', '3'].map(workers => cli(path, '--metrics', 'spectral-norm', '--workers', workers, '--json', '-')),
  )
  expect(reports[0].stdout).toBe(reports[1].stdout)
  const [{ layers, summary }] = JSON.parse(reports[0].stdout).models
  expect(layers[0]).toMatchObject({ only: 'spectral-norm', status: 'success', alpha: null, S: null, norm: null })
  expect(summary).toMatchObject({ alpha: null, log_norm: null, failed: 0 })
  expect(summary.log_spectral_norm).toBeCloseTo(
    layers.reduce((sum: number, layer: { log_spectral_norm: number }) => sum + layer.log_spectral_norm, 0) / 6,
    12,
  )
})

test('rules on what was not computed are inconclusive, with the reason', async () => {
  const path = writeSafetensors({ w: generate(1, [400, 300], true) })
  const asked = ['--metrics', 'spectral-norm', '--json', '-', '--fail-if']
  const rules = async (rule: string) => JSON.parse((await cli(path, ...asked, rule)).stdout).verdict.rules
  expect(await rules('alpha > 6')).toMatchObject([
    { outcome: 'inconclusive', reason: 'alpha was not computed: metrics is spectral-norm' },
  ])
  expect(await rules('max(log_spectral_norm) > -9')).toMatchObject([{ outcome: 'violated', layers: 1 }])
  expect(await rules('count(random-like) > 0')).toMatchObject([{ outcome: 'inconclusive' }])
  const refused = await cli(path, '--metrics', 'spectral-norm', '--mp-fit')
  expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining('mp-fit needs all eigenvalues')])
})

describe.runIf(hasShared)('real networks', () => {
  test.each(references('default').map(({ name, path }) => [name, path]))(
    '%s: within 1e-8 of the full spectrum',
    async (_, path) => {
      const checkpoint = await openCheckpoint(path)
      const { layers } = planLayers(checkpoint, defaults)
      for (const { recipe, name, broken } of layers) {
        if (broken !== undefined) continue
        const [{ matrices }, { largest }] = await Promise.all([pool.spectrum(recipe), pool.spectralNorm(recipe)])
        const full = Math.max(...matrices.map(values => values[values.length - 1]))
        expect(Math.abs(largest - full), name).toBeLessThanOrEqual(1e-8 * full)
      }
      expect(layers.length).toBeGreaterThan(0)
    },
    600_000,
  )

  test('the search itself, in matrices of all sizes: within 1e-8 of the full spectrum', async () => {
    const kernel = await Kernel.create(wasm)
    let [searched, given] = [0, 0]
    for (const { path } of references('default')) {
      for (const { recipe, name, broken } of planLayers(await openCheckpoint(path), defaults).layers) {
        if (broken !== undefined) continue
        const [{ matrices }, open] = [await pool.spectrum(recipe), await openRecipe(recipe)]
        const { window } = footprint(recipe, Kernel.depth)
        for (const [i, source] of open.matrices.entries()) {
          if (i > 1 || source.zeros > 0) continue
          const matrix = resident(source, window, kernel)!
          const found = largestEigenvalue(matrix.times, source.n, matrix.seed)
          searched++
          if (!found) continue
          given++
          const full = matrices[i][matrices[i].length - 1]
          const value = found.value / matrix.factor / matrix.factor
          expect(Math.abs(value - full), `${path} ${name} ${i}`).toBeLessThanOrEqual(1e-8 * full)
        }
        await open.close()
      }
    }
    expect(searched).toBeGreaterThan(1000)
    expect(given).toBe(searched)
  }, 600_000)

  test('a whole model has the columns of a full run', async () => {
    const { path } = references('default').find(({ name }) => name === 'resnet56') ?? references('default')[0]
    const run = (options: object) =>
      analyse({ path }, { engine: pool, options: { ...defaults, structure: false, ...options }, known: new Map() })
    const [norms, full] = await Promise.all([run({ metrics: 'spectral-norm' }), run({})])
    for (const [i, layer] of norms.layers.entries())
      expect(Math.abs(layer.spectral_norm! / full.layers[i].spectral_norm! - 1)).toBeLessThan(1e-8)
  })
})

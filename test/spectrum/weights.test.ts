import { describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { size } from '../../src/checkpoint/types.ts'
import { permute, stored, transpose, type Values } from '../../src/recipe/values.ts'
import { Evaluator } from '../../src/spectrum/evaluate.ts'
import { weightStatistics } from '../../src/spectrum/weights.ts'
import { generate } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'

async function valuesOf(shape: number[], values: ArrayLike<number>): Promise<Values> {
  const path = writeSafetensors({ w: { dtype: 'F32', shape, values: Float32Array.from(values) } })
  return stored((await openCheckpoint(path)).tensors[0])
}

async function statistics(values: Values) {
  const evaluator = await Evaluator.open(values)
  try {
    return weightStatistics(evaluator, values)
  } finally {
    await evaluator.close()
  }
}

const random = (seed: number, shape: number[]) => generate(seed, shape, false).values as Float32Array
const squares = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0)

describe('zeros and levels', () => {
  test('zeros are counted, of either sign', async () => {
    const values = Float32Array.from({ length: 64 * 40 }, (_, i) => (i % 4 === 0 ? -0 : i))
    expect((await statistics(await valuesOf([64, 40], values))).zeros).toBe(0.25)
  })

  test.each<[string, number[], (row: number, column: number) => number, number | null]>([
    ['a grid of 16 values', [64, 64], (r, c) => (7 * r + 3 * c) % 16, 16],
    ['a scale a row', [64, 64], (r, c) => (1 + r) * ((3 * c) % 5), 5],
    ['a scale a column, as other frameworks lay it out', [64, 64], (r, c) => (1 + c) * ((3 * r) % 5), 5],
    ['all different', [64, 40], (r, c) => 40 * r + c, 40],
    ['rows too short to tell', [64, 31], (r, _) => r, 64],
    ['both too short', [31, 31], () => 1, null],
    ['pruned rows', [64, 64], (r, c) => (r < 40 ? 0 : 64 * r + c), 25],
    ['pruned rows and columns', [64, 64], (r, c) => (r < 40 || c < 40 ? 0 : 64 * r + c), 25],
    ['zeros alone', [64, 64], () => 0, null],
    ['a few rows of another kind', [64, 64], (r, c) => (r < 20 ? 64 * r + c : (r + c) % 3), 3],
  ])('%s', async (_, shape, value, levels) => {
    const values = Float32Array.from({ length: size(shape) }, (_, i) => value(Math.floor(i / shape[1]), i % shape[1]))
    expect((await statistics(await valuesOf(shape, values))).row_levels).toBe(levels)
  })

  test('a kernel is read as outputs × the rest', async () => {
    const values = Float32Array.from({ length: 32 * 4 * 9 }, (_, i) => Math.floor(i / 36) + (i % 7))
    expect((await statistics(await valuesOf([32, 4, 3, 3], values))).row_levels).toBe(7)
  })
})

describe('the sketch', () => {
  test('estimates the distance of two tensors, within its standard error', async () => {
    let [sum, sumOfSquares] = [0, 0]
    const n = 60
    for (let i = 0; i < n; i++) {
      const [a, b] = [random(2 * i + 1, [60, 50]), random(2 * i + 2, [60, 50])]
      const [x, y] = [await statistics(await valuesOf([60, 50], a)), await statistics(await valuesOf([60, 50], b))]
      const ratio = squares(x.sketch, y.sketch) / squares(a, b)
      sum += ratio
      sumOfSquares += ratio * ratio
    }
    const mean = sum / n
    // Unbiased, with a standard deviation of √(2/64) = 0.177: four standard errors of each.
    expect(Math.abs(mean - 1)).toBeLessThan((4 * 0.177) / Math.sqrt(n))
    expect(Math.sqrt(sumOfSquares / n - mean * mean)).toBeCloseTo(0.177, 0)
  })

  test('is linear, follows places and not layouts, and is the same in several blocks', async () => {
    const shape = [1500, 900]
    const a = random(1, shape)
    const one = await statistics(await valuesOf(shape, a))
    const double = await statistics(
      await valuesOf(
        shape,
        a.map(value => 2 * value),
      ),
    )
    expect(Array.from(double.sketch)).toEqual(Array.from(one.sketch, value => 2 * value))
    const turned = Float32Array.from({ length: a.length }, (_, i) => a[(i % 1500) * 900 + Math.floor(i / 1500)])
    const back = await statistics(transpose(await valuesOf([900, 1500], turned)))
    for (const [i, value] of back.sketch.entries()) expect(value).toBeCloseTo(one.sketch[i], 9)
    expect({ ...back, sketch: [] }).toEqual({ ...one, sketch: [] })
    const kernel = await valuesOf([20, 10, 3, 3], random(3, [20, 10, 3, 3]))
    const permuted = await statistics(permute(kernel, [1, 0, 2, 3]))
    expect(Array.from(permuted.sketch)).not.toEqual(Array.from((await statistics(kernel)).sketch))
  })

  test('is pinned: baselines hold it', async () => {
    const values = Float32Array.from({ length: 128 }, (_, i) => 2 ** (i % 8))
    const { sketch } = await statistics(await valuesOf([8, 16], values))
    expect(Array.from(sketch.slice(0, 8))).toEqual(PINNED)
  })
})

const PINNED = [0, 32, -130, -127, 41, -128, -60, 44]

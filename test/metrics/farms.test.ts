import { readFileSync } from 'node:fs'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { describe, expect, test } from 'vitest'
import { windowsOf } from '../../src/metrics/farms.ts'
import { withOnly } from '../../src/metrics/layer.ts'
import { shapeOf, stored } from '../../src/recipe/values.ts'
import { analyseTensors } from '../support/analyse.ts'
import { generate, goldenTensor } from '../support/golden.ts'

const { cases } = JSON.parse(readFileSync(new URL('../fixtures/tails/farms.json', import.meta.url), 'utf8')) as {
  cases: { seed: number; shape: number[]; colscale: boolean; alpha_hill_farms: Record<string, number> }[]
}

function gaussian(seed: number, shape: readonly number[]) {
  const random = xoroshiro128plus(seed)
  const normal = () =>
    Math.sqrt(-2 * Math.log(1 - uniformFloat64(random))) * Math.cos(2 * Math.PI * uniformFloat64(random))
  return { shape, values: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, normal) }
}

const asked = { analyses: ['farms' as const] }

describe('beside an independent computation in Python', () => {
  test.each(cases.map(one => [one.shape.join('×'), one] as const))(
    '%s',
    async (_, { seed, shape, colscale, ...one }) => {
      const { layers } = await analyseTensors({ w: generate(seed, shape, colscale) }, asked)
      expect(layers[0].alpha_hill_farms).toBeCloseTo(one.alpha_hill_farms['0.25'], 9)
    },
  )
})

test('Gaussian matrices of any aspect ratio have the same tail, which alpha_hill alone does not see', async () => {
  const shapes = [
    [200, 200],
    [400, 200],
    [200, 1000],
    [3000, 200],
  ]
  const rows = await Promise.all(
    shapes.map(async (shape, i) => (await analyseTensors({ w: gaussian(i + 1, shape) }, asked)).layers[0]),
  )
  const plain = rows.map(({ alpha_hill }) => alpha_hill!)
  const windows = rows.map(({ alpha_hill_farms }) => alpha_hill_farms!)
  for (let i = 1; i < plain.length; i++) expect(plain[i]).toBeGreaterThan(1.2 * plain[i - 1])
  expect(Math.max(...plain) / Math.min(...plain)).toBeGreaterThan(2.5)
  expect(Math.max(...windows) / Math.min(...windows)).toBeLessThan(1.1)
})

test('the columns move no other number; of what is square it is alpha_hill; operators have none', async () => {
  const tensors = { square: generate(5, [40, 40], true), tall: generate(6, [90, 30], true), conv: goldenTensor('G4') }
  const [found, plain] = await Promise.all([analyseTensors(tensors, asked), analyseTensors(tensors)])
  expect(found.layers.map(layer => withOnly(layer))).toEqual(plain.layers)
  const of = (name: string) => found.layers.find(layer => layer.name === name)!
  expect(of('square').alpha_hill_farms).toBe(of('square').alpha_hill)
  expect(of('tall').alpha_hill_farms).not.toBe(of('tall').alpha_hill)
  const operator = await analyseTensors({ conv: goldenTensor('G4') }, { ...asked, conv2d: 'operator', conv_grid: 4 })
  expect(operator.layers[0].alpha_hill_farms).toBeNull()
})

test('windows cover the longer side, and are fifteen at the most', () => {
  const windowsOfShape = (shape: number[], read: 'matrix' | 'kernel-slices' = 'matrix') =>
    windowsOf({ read, values: stored({ shape } as never) })!.map(({ values }) => [
      values.op === 'slice' ? values.start : null,
      shapeOf(values),
    ])
  expect(windowsOfShape([4, 4])).toEqual([[null, [4, 4]]])
  expect(windowsOfShape([9, 4])).toEqual([
    [
      [0, 0],
      [4, 4],
    ],
    [
      [3, 0],
      [4, 4],
    ],
    [
      [5, 0],
      [4, 4],
    ],
  ])
  expect(windowsOfShape([2, 3, 1, 5], 'kernel-slices')).toEqual([
    [
      [0, 0, 0, 0],
      [2, 2, 1, 5],
    ],
    [
      [0, 1, 0, 0],
      [2, 2, 1, 5],
    ],
  ])
  const many = windowsOfShape([1000, 10])
  expect(many).toHaveLength(15)
  expect(many.at(-1)).toEqual([
    [990, 0],
    [10, 10],
  ])
})

import { expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { analyseFile } from '../support/analyse.ts'
import { generate } from '../support/golden.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'

const [n, k] = [12, 9]
const weight = generate(5, [n, n, 3, 3], false)
const values = weight.values as Float32Array

/** u and v after many steps on the weight as a matrix with one of its dimensions first. */
function iterated(axis: 0 | 1): { u: Float32Array; v: Float32Array; sigma: number } {
  const at = (row: number, column: number) => {
    const [other, place] = [Math.floor(column / k), column % k]
    return axis === 0 ? values[(row * n + other) * k + place]! : values[(other * n + row) * k + place]!
  }
  const unit = (x: Float64Array) => x.map(value => value / Math.hypot(...x))
  let u = unit(Float64Array.from({ length: n }, (_, i) => Math.sin(i + 1)))
  let v = new Float64Array(n * k)
  let sigma = 0
  for (let step = 0; step < 60; step++) {
    v = unit(Float64Array.from({ length: n * k }, (_, j) => u.reduce((sum, x, i) => sum + x * at(i, j), 0)))
    const next = Float64Array.from({ length: n }, (_, i) => v.reduce((sum, x, j) => sum + x * at(i, j), 0))
    sigma = Math.hypot(...next)
    u = unit(next)
  }
  return { u: Float32Array.from(u), v: Float32Array.from(v), sigma }
}

const KINDS = [
  ['d.weight_orig', 'd.weight_u', 'd.weight_v'],
  ['d.parametrizations.weight.original', 'd.parametrizations.weight.0._u', 'd.parametrizations.weight.0._v'],
] as const

const written = ([w, uName, vName]: readonly string[], u: Float32Array, v: Float32Array): Record<string, Written> => ({
  [w!]: weight,
  [uName!]: { shape: [u.length], values: u },
  [vName!]: { shape: [v.length], values: v },
})

test.each(KINDS.flatMap(names => ([0, 1] as const).map(axis => [names, axis] as const)))(
  '%s of a square weight: u and v tell that its matrix has dimension %d first',
  async (names, axis) => {
    const { u, v, sigma } = iterated(axis)
    const { layers } = await analyseFile(writeSafetensors(written(names, u, v)))
    const plain = await analyseFile(writeSafetensors({ 'd.weight': weight }))
    expect(layers).toHaveLength(1)
    expect(layers[0]!.lambda_max! / (plain.layers[0]!.lambda_max! / (sigma * sigma))).toBeCloseTo(1, 3)
  },
)

test('what says nothing is taken as PyTorch has it by default', async () => {
  const of = async (tensors: Record<string, Written>) =>
    (await openCheckpoint(writeSafetensors(tensors))).tensors.map(({ uAxis }) => uAxis)
  const { u, v } = iterated(1)
  const noise = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * i + 1))
  expect(await of(written(KINDS[0], noise(n), noise(n * k)))).toEqual([undefined, undefined, undefined])
  expect(await of(written(KINDS[0], u.slice(1), v))).toEqual([undefined, undefined, undefined])
  expect(await of(written(['d.weight', 'd.weight_u', 'd.weight_v'], u, v))).toEqual([undefined, undefined, undefined])
  const { 'd.weight_v': _, ...rest } = written(KINDS[0], u, v)
  expect(await of(rest)).toEqual([undefined, undefined])
})

import { expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { followers } from '../../src/layers/classify.ts'
import { independent } from '../../src/layers/followers.ts'
import { analyseTensors } from '../support/analyse.ts'
import { writeSafetensors } from '../support/safetensors.ts'

const wave = (seed: number, scale = 1) => ({
  shape: [40, 30],
  values: Float32Array.from({ length: 1200 }, (_, i) => scale * Math.sin(seed * i * i + i)),
})
const towers = (key: ReturnType<typeof wave>, more: Record<string, { shape: number[] }> = {}) => ({
  'query_encoder.fc.weight': wave(1),
  'query_encoder.fc.bias': { shape: [40] },
  'key_encoder.fc.weight': key,
  'key_encoder.fc.bias': { shape: [40] },
  ...more,
})
const rootsOf = async (tensors: Parameters<typeof writeSafetensors>[0]) => [
  ...(await independent((await openCheckpoint(writeSafetensors(tensors))).tensors)),
]

test('what follows has its original’s values, about: another tower has values of its own', async () => {
  const near = wave(1)
  expect(await rootsOf(towers({ ...near, values: near.values.map((value, i) => value + 0.5 * Math.cos(i)) }))).toEqual(
    [],
  )
  expect(await rootsOf(towers(wave(1, 0.01)))).toEqual([])
  expect(await rootsOf(towers(wave(2)))).toEqual(['key_encoder'])
  expect(await rootsOf(towers(wave(1, 0)))).toEqual(['key_encoder'])
})

test('all matrices of a network tell', async () => {
  const two = { ...towers(wave(1)), 'query_encoder.out.weight': wave(3), 'key_encoder.out.weight': wave(4) }
  expect(await rootsOf(two)).toEqual([])
  expect(await rootsOf({ ...two, 'key_encoder.fc.weight': wave(5) })).toEqual(['key_encoder'])
})

test('averages are asked nothing, nor what has no original', async () => {
  const { tensors } = await openCheckpoint(
    writeSafetensors({ 'model.fc.weight': wave(1), 'model_ema.fc.weight': wave(2), 'target.a.weight': wave(3) }),
  )
  expect(followers(tensors)).toEqual([])
})

test('another tower is judged', async () => {
  const layers = async (key: ReturnType<typeof wave>) =>
    (await analyseTensors(towers(key))).layers.map(({ name }) => name)
  expect(await layers(wave(1))).toEqual(['query_encoder.fc'])
  expect(await layers(wave(2))).toEqual(['query_encoder.fc', 'key_encoder.fc'])
})

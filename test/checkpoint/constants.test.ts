import { expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'

const grid = (rows: number, columns: number, value: (i: number, j: number) => number) => ({
  shape: [rows, columns],
  values: Array.from({ length: rows * columns }, (_, k) => value(Math.floor(k / columns), k % columns)),
})
/** A wave in no direction. */
const noise = (i: number, j: number) => Math.sin(17.3 * i * i + 91.7 * j * j + i * j)

async function constants(tensors: Record<string, Written>) {
  const found = (await openCheckpoint(writeSafetensors(tensors))).tensors
  return found.filter(({ constant }) => constant !== undefined).map(({ name, constant }) => [name, constant])
}

test('a matrix of zeros and one other number is a mask, whatever it is called', async () => {
  expect(
    await constants({
      'a.triangle': grid(32, 32, (i, j) => (j <= i ? 1 : 0)),
      'a.allowed': grid(32, 32, (i, j) => (j <= i ? 0 : Number.NEGATIVE_INFINITY)),
      'a.zeros': grid(32, 32, () => 0),
      'a.matrix': grid(32, 32, noise),
      'a.weight': grid(32, 32, (i, j) => (i === j ? 1 : 0)),
    }),
  ).toEqual([
    ['a.triangle', 'a mask: zeros and one other number'],
    ['a.allowed', 'a mask: zeros and one other number'],
  ])
})

const bfloat16 = (value: number) => {
  const words = new Uint32Array(Float32Array.of(value).buffer)
  return new Float32Array(Uint32Array.of((words[0]! + 0x8000) & 0xffff0000).buffer)[0]!
}

test('a table of sines and cosines of positions is told by its columns, under the names of weights, too', async () => {
  const wave = (i: number, j: number) => (j % 2 ? Math.cos : Math.sin)(i * 10_000 ** -((2 * Math.floor(j / 2)) / 32))
  expect(
    await constants({
      'a.positions': grid(64, 32, wave),
      'a.wide': grid(9, 4096, (i, j) => Math.sin(i / (1 + j))),
      'a.sines': grid(64, 32, (i, j) => Math.sin(i * 10_000 ** -(j / 32))),
      'a.halves': grid(64, 32, (i, j) => (j < 16 ? Math.sin : Math.cos)(i * 10_000 ** -((j % 16) / 15))),
      'a.after_padding': grid(64, 32, (i, j) => (i < 2 ? 0 : wave(i, j))),
      'a.bfloat16': grid(64, 32, (i, j) => bfloat16(wave(i, j))),
      'encoder.embed_positions.weight': grid(64, 32, wave),
      'decoder.embed_positions.weight': grid(64, 32, (i, j) => 0.02 * noise(i, j)),
      'a.learned': grid(64, 32, (i, j) => wave(i, j) + 0.3 * noise(i, j)),
      'a.weight': grid(64, 32, wave),
      'a.rows': grid(64, 32, (_, j) => noise(3, j)),
      'a.zeros': grid(64, 32, () => 0),
      'a.few': grid(64, 4, wave),
    }),
  ).toEqual(
    [
      'a.positions',
      'a.wide',
      'a.sines',
      'a.halves',
      'a.after_padding',
      'a.bfloat16',
      'encoder.embed_positions.weight',
    ].map(name => [name, 'a table of sines or cosines']),
  )
})

test('numbers whose squares are 0 are told by what they are to each other', async () => {
  const wave = (i: number, j: number) => (j % 2 ? Math.cos : Math.sin)(i * 10_000 ** -((2 * Math.floor(j / 2)) / 32))
  const tiny = (value: typeof wave) => ({ ...grid(64, 32, (i, j) => value(i, j) * 1e-200), dtype: 'F64' as const })
  expect(await constants({ 'a.noise': tiny(noise), 'a.positions': tiny(wave) })).toEqual([
    ['a.positions', 'a table of sines or cosines'],
  ])
})

test('what only begins as a mask, or as a table, is a matrix', async () => {
  const far = (i: number, j: number) => (i === 399 && j === 60 ? 2 : 0)
  const wave = (i: number, j: number) => (j % 2 ? Math.cos : Math.sin)(i * 10_000 ** -((2 * Math.floor(j / 2)) / 64))
  expect(
    await constants({
      'a.mask': grid(400, 64, (i, j) => (j <= i ? 1 : 0)),
      'b.mask': grid(400, 64, (i, j) => (j <= i ? 1 : 0) + far(i, j)),
      'a.positions': grid(400, 64, wave),
      'b.positions': grid(400, 64, (i, j) => wave(i, j) + far(i, j)),
    }),
  ).toEqual([
    ['a.mask', 'a mask: zeros and one other number'],
    ['a.positions', 'a table of sines or cosines'],
  ])
})

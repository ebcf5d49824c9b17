import { expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { writeSafetensors } from '../support/safetensors.ts'

const grid = (rows: number, columns: number, value: (i: number, j: number) => number) => ({
  shape: [rows, columns],
  values: Array.from({ length: rows * columns }, (_, k) => value(Math.floor(k / columns), k % columns)),
})
const noise = (i: number, j: number) => Math.sin(17.3 * i + 91.7 * j + i * j)

async function constants(tensors: Record<string, ReturnType<typeof grid>>) {
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

test('a table of sines and cosines of positions is told by its rows', async () => {
  const frequency = (j: number) => 10_000 ** -((2 * Math.floor(j / 2)) / 32)
  expect(
    await constants({
      'a.positions': grid(64, 32, (i, j) => (j % 2 ? Math.cos : Math.sin)(i * frequency(j))),
      'a.sines': grid(64, 32, (i, j) => Math.sin(i * frequency(2 * j))),
      'a.padded': grid(64, 32, (i, j) => (i === 0 ? 0 : 0.9 * noise(i, j))),
    }),
  ).toEqual([
    ['a.positions', 'a table of sines or cosines'],
    ['a.sines', 'a table of sines or cosines'],
  ])
})

import { expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { size } from '../../src/checkpoint/types.ts'
import { shuffle, slice, stored } from '../../src/recipe/values.ts'
import { Evaluator } from '../../src/spectrum/evaluate.ts'
import { writeSafetensors } from '../support/safetensors.ts'

test('a shuffle of a large kernel is done slice by slice, with the same result', async () => {
  const side = 1500
  const shape = [side, side, 2, 2]
  const values = Float32Array.from({ length: size(shape) }, (_, i) => i)
  const [big] = (await openCheckpoint(writeSafetensors({ w: { dtype: 'F32', shape, values } }))).tensors
  const shuffled = shuffle(stored(big), 0)
  const evaluator = await Evaluator.open(shuffled)
  const half = (row: number) => evaluator.block(shuffled, [row, 0, 0, 0], [side / 2, side, 1, 2])
  const [upper, lower] = [half(0), half(side / 2)]
  await evaluator.close()
  const slices = [0, 1].map(j =>
    Float64Array.from({ length: side * side }, (_, i) =>
      i < (side * side) / 2 ? upper[2 * i + j] : lower[2 * i + j - side * side],
    ),
  )
  // The same seeds as of a kernel that is small enough to be shuffled at once: only the first of its slices are looked at.
  const smaller = shuffle(slice(stored(big), [0, 0, 0, 0], [side, side, 1, 2]), 0)
  const other = await Evaluator.open(smaller)
  const small = other.whole(smaller)
  await other.close()
  for (const [j, numbers] of slices.entries()) {
    expect(numbers.every((value, i) => value === small[2 * i + j])).toBe(true)
    expect(numbers.toSorted().every((value, i) => value === 4 * i + j)).toBe(true)
  }
})

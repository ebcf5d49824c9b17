import { size } from '../checkpoint/types.ts'
import { limits } from '../limits.ts'
import { evaluationMemory, type Frequency, frequenciesOf, kernelOf, matricesOf, type Recipe } from '../recipe/recipe.ts'
import { shapeOf } from '../recipe/values.ts'
import { Evaluator } from './evaluate.ts'
import { type Chunk, chunkRows, type Footprint, type OpenRecipe } from './matrix-source.ts'

/**
 * The matrices of a convolution as a linear operator with periodic boundary: for each frequency (u, v) of the image
 * A + ιB = Σ W[:, :, i, j]·exp(−2πι(ui + vj)/n), out×in. A complex one is read as the real [A −B; B A], which has each of its singular
 * values twice: once for the opposite frequency. With a kernel of one or three dimensions the frequency has as many.
 * Source: Sedghi, Gupta and Long, The singular values of convolutional layers, ICLR 2019, theorem 6.
 *
 * @throws CheckpointError as the evaluator does
 */
export async function openOperator(recipe: Recipe): Promise<OpenRecipe> {
  const evaluator = await Evaluator.open(recipe.values)
  const [rows, columns] = shapeOf(recipe.values)
  const sides = kernelOf(recipe)
  const grid = recipe.grid!
  const [k, n] = rows >= columns ? [rows, columns] : [columns, rows]
  const taps = size(sides)
  let kernel: Float64Array[] | undefined
  const frequencies: Frequency[] =
    taps === 1 ? [{ at: sides.map(() => 0), real: true }] : frequenciesOf(grid, sides.length)
  const turn = Array.from({ length: grid }, (_, m) => (2 * Math.PI * m) / grid)
  const [cosines, sines] = [turn.map(Math.cos), turn.map(Math.sin)]

  /** The real and the imaginary part, k×n. */
  function parts({ at, real }: Frequency): [Float64Array, Float64Array] {
    kernel ??= slices(evaluator.whole(recipe.values), rows, columns, taps)
    const [a, b] = [new Float64Array(k * n), new Float64Array(real ? 0 : k * n)]
    for (const [tap, slice] of kernel.entries()) {
      let [angle, rest] = [0, tap]
      for (let d = sides.length - 1; d >= 0; d--) {
        angle = (angle + at[d] * (rest % sides[d])) % grid
        rest = Math.floor(rest / sides[d])
      }
      add(a, slice, cosines[angle])
      if (!real) add(b, slice, -sines[angle])
    }
    return [a, b]
  }

  function* chunks(frequency: Frequency, window: Uint8Array, multiple: number): Generator<Chunk> {
    const doubles = new Float64Array(window.buffer, window.byteOffset, Math.floor(window.length / 8))
    const [a, b] = parts(frequency)
    const [tall, wide] = frequency.real ? [k, n] : [2 * k, 2 * n]
    const step = chunkRows(tall, multiple, rows => rows * wide <= doubles.length)
    for (let p = 0; p < tall; p += step) {
      const count = Math.min(step, tall - p)
      for (let r = 0; r < count; r++) {
        const row = (p + r) % k
        const [left, right] = p + r < k ? [a, b] : [b, a]
        const sign = p + r < k ? -1 : 1
        for (let i = 0; i < n; i++) doubles[r * wide + i] = left[row * n + i]
        if (!frequency.real) for (let i = 0; i < n; i++) doubles[r * wide + n + i] = sign * right[row * n + i]
      }
      yield { k: count, base: 0, pStride: wide, iStride: 1 }
    }
  }

  return {
    matrices: matricesOf(recipe).map((shape, i) => ({
      ...shape,
      dtype: 'F64' as const,
      chunks: (window: Uint8Array, multiple: number) => chunks(frequencies[i], window, multiple),
    })),
    close: () => evaluator.close(),
  }
}

/** What reading an operator takes: the kernel, the parts of one matrix, and chunks of its rows. */
export function operatorFootprint(recipe: Recipe, multiple: number): Footprint {
  const kernel = size(shapeOf(recipe.values))
  const [k, n] = matricesOf(recipe).reduce(([k, n], shape) => [Math.max(k, shape.k), Math.max(n, shape.n)], [0, 0])
  const whole = 8 * k * n
  const least = 8 * Math.min(multiple, k) * n
  const window = whole <= limits.spectrum.chunkBytes ? whole : Math.max(limits.spectrum.chunkBytes, least)
  return { window, evaluation: evaluationMemory(recipe.values, kernel) + 8 * kernel + whole / 2 }
}

/** W[:, :, i, j] for each tap, with the longer side first. */
function slices(values: Float64Array, rows: number, columns: number, taps: number): Float64Array[] {
  const tall = rows >= columns
  return Array.from({ length: taps }, (_, tap) => {
    const slice = new Float64Array(rows * columns)
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++)
        slice[tall ? i * columns + j : j * rows + i] = values[(i * columns + j) * taps + tap]
    }
    return slice
  })
}

function add(sum: Float64Array, term: Float64Array, factor: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] += factor * term[i]
}

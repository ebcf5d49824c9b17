import { DTYPE_BITS, type FloatDType } from '../checkpoint/types.ts'
import { limits } from '../limits.ts'
import { evaluationMemory, matricesOf, type Recipe } from '../recipe/recipe.ts'
import { extentOf, type StridedView, shapeOf, type Values, viewOf } from '../recipe/values.ts'
import { Evaluator } from './evaluate.ts'
import { type Chunk, chunkRows, type Footprint, type OpenRecipe } from './matrix-source.ts'
import { openOperator, operatorFootprint } from './operator.ts'
import { TensorStream } from './stream.ts'

/**
 * @param multiple as for `chunks`
 * @throws CheckpointError where a file can't be opened, or does not unpack to its tensor
 */
export async function openRecipe(recipe: Recipe): Promise<OpenRecipe> {
  if (recipe.read === 'operator') return openOperator(recipe)
  const view = viewOf(recipe.values)
  return view ? openView(view) : openValues(recipe)
}

/** What reading a recipe's matrices takes, with chunks of at least `multiple` rows. */
export function footprint(recipe: Recipe, multiple: number): Footprint {
  if (recipe.read === 'operator') return operatorFootprint(recipe, multiple)
  const view = viewOf(recipe.values)
  const layout = view ?? { shape: shapeOf(recipe.values), strides: [] }
  const bytes = view ? DTYPE_BITS[view.tensor.dtype] / 8 : 8
  const whole = view ? extentOf(view.shape, view.strides) * bytes : 8 * elementsOf(recipe)
  const [matrix] = view ? matrixViews(layout) : []
  const [{ k, n }] = matricesOf(recipe)
  const rows = Math.min(multiple, k)
  const least = matrix ? elements(matrix, rows) : rows * n
  const window = whole <= limits.spectrum.chunkBytes ? whole : Math.max(limits.spectrum.chunkBytes, least * bytes)
  return { window, evaluation: view ? 0 : evaluationMemory(recipe.values, window / 8) }
}

function elementsOf(recipe: Recipe): number {
  return matricesOf(recipe).reduce((sum, { k, n }) => sum + k * n, 0)
}

/** One matrix A (k×n) inside a strided array. Wide matrices are read as their transpose, so that AᵀA is the smaller Gram matrix. */
interface MatrixView {
  readonly k: number
  readonly n: number
  readonly offset: number
  readonly pStride: number
  readonly iStride: number
}

/** The array itself, or its kernel slices W[:, :, i, j] in row-major order of (i, j). */
function matrixViews({ shape, strides }: Pick<StridedView, 'shape' | 'strides'>): MatrixView[] {
  const [rows, columns, height = 1, width = 1] = shape
  const [rowStride, columnStride, heightStride = 0, widthStride = 0] = strides
  const tall = rows >= columns
  return Array.from({ length: height * width }, (_, slice) => ({
    k: tall ? rows : columns,
    n: tall ? columns : rows,
    offset: Math.floor(slice / width) * heightStride + (slice % width) * widthStride,
    pStride: tall ? rowStride : columnStride,
    iStride: tall ? columnStride : rowStride,
  }))
}

/** Elements that so many rows of a view take in the window: with what lies between them, or gathered column by column. */
function elements({ n, pStride, iStride }: MatrixView, rows: number): number {
  const run = (rows - 1) * pStride + 1
  return pStride >= iStride ? run + (n - 1) * iStride : n * run
}

/** Bytes go from the file straight into the window. What fits into it as a whole is read once for all matrices. */
async function openView(view: StridedView): Promise<OpenRecipe> {
  const stream = await TensorStream.open(view.tensor)
  const extent = extentOf(view.shape, view.strides)
  const views = matrixViews(view)
  let picked: PickedSlices | undefined
  let resident: { readonly buffer: ArrayBufferLike; readonly byteOffset: number } | undefined

  function* chunks(slice: number, window: Uint8Array, multiple: number): Generator<Chunk> {
    const matrix = views[slice]
    const { k, n, offset, pStride, iStride } = matrix
    if (extent * stream.bytes <= window.length) {
      if (resident?.buffer !== window.buffer || resident.byteOffset !== window.byteOffset) {
        stream.read(window, 0, view.offset, extent)
        resident = { buffer: window.buffer, byteOffset: window.byteOffset }
      }
      yield { k, base: offset, pStride, iStride }
      return
    }
    const together = Math.floor(limits.spectrum.pickedBytes / (k * n * stream.bytes))
    if (together > 1 && elements(matrix, k) > WASTE * k * n) {
      if (!picked || slice < picked.first || slice >= picked.first + picked.count)
        picked = pickSlices(stream, view.offset, views, slice, Math.min(together, views.length - slice))
      const bytes = k * n * stream.bytes
      window.set(picked.bytes.subarray((slice - picked.first) * bytes, (slice - picked.first + 1) * bytes))
      yield { k, base: 0, pStride: n, iStride: 1 }
      return
    }
    const room = Math.floor(window.length / stream.bytes)
    const step = chunkRows(k, multiple, rows => elements(matrix, rows) <= room)
    // Whole rows where they lie far apart, pieces of columns where they are interleaved.
    const byRows = pStride >= iStride
    for (let p = 0; p < k; p += step) {
      const rows = Math.min(step, k - p)
      const run = (rows - 1) * pStride + 1
      const from = view.offset + offset + p * pStride
      if (byRows) stream.read(window, 0, from, run + (n - 1) * iStride)
      else for (let i = 0; i < n; i++) stream.read(window, i * run, from + i * iStride, run)
      yield { k: rows, base: 0, pStride, iStride: byRows ? iStride : run }
    }
  }

  return {
    matrices: views.map((matrix, slice) => ({
      k: matrix.k,
      n: matrix.n,
      zeros: 0,
      dtype: view.tensor.dtype as FloatDType,
      chunks: (window: Uint8Array, multiple: number) => chunks(slice, window, multiple),
    })),
    close: async () => stream.close(),
  }
}

/** Slices whose elements lie among each other's are picked out together where one has at least so many strangers to an element. */
const WASTE = 4

interface PickedSlices {
  readonly first: number
  readonly count: number
  /** Each k×n, row-major, one after the other. */
  readonly bytes: Uint8Array
}

/** Several kernel slices in one pass over the file. */
function pickSlices(
  stream: TensorStream,
  from: number,
  views: readonly MatrixView[],
  first: number,
  count: number,
): PickedSlices {
  const { k, n, pStride, iStride } = views[first]
  const Elements = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[stream.bytes]!
  const result = new Elements(count * k * n)
  const offsets = views.slice(first, first + count).map(({ offset }) => offset)
  const last = offsets.reduce((most, offset) => Math.max(most, offset), 0)
  // Pieces along the dimension with the longer stride: each is one run of the file.
  const [outer, inner, outerStride, innerStride] =
    pStride >= iStride ? [k, n, pStride, iStride] : [n, k, iStride, pStride]
  const [outerStep, innerStep] = pStride >= iStride ? [n, 1] : [1, n]
  const run = (inner - 1) * innerStride + last + 1
  const most = Math.max(1, Math.floor((limits.spectrum.chunkBytes / stream.bytes - run) / outerStride) + 1)
  const buffer = new Elements((Math.min(most, outer) - 1) * outerStride + run)
  for (let o = 0; o < outer; o += most) {
    const pieces = Math.min(most, outer - o)
    stream.read(new Uint8Array(buffer.buffer), 0, from + o * outerStride, (pieces - 1) * outerStride + run)
    for (const [s, offset] of offsets.entries()) {
      for (let a = 0; a < pieces; a++) {
        const [source, target] = [a * outerStride + offset, s * k * n + (o + a) * outerStep]
        for (let b = 0; b < inner; b++) result[target + b * innerStep] = buffer[source + b * innerStride]
      }
    }
  }
  return { first, count, bytes: new Uint8Array(result.buffer) }
}

/** Blocks of doubles are computed into the window. */
async function openValues(recipe: Recipe): Promise<OpenRecipe> {
  const { read, values } = recipe
  const evaluator = await Evaluator.open(values)
  const shapes = matricesOf(recipe)
  const [rows, columns, , width = 1] = shapeOf(values)
  const tall = rows >= columns
  const lowRank = shapes.some(({ zeros }) => zeros > 0) ? await lowRankCore(evaluator, values) : undefined

  function* chunks(slice: number, k: number, n: number, window: Uint8Array, multiple: number): Generator<Chunk> {
    const doubles = new Float64Array(window.buffer, window.byteOffset, Math.floor(window.length / 8))
    const step = chunkRows(k, multiple, rows => rows * n <= doubles.length)
    const [i, j] = [Math.floor(slice / width), slice % width]
    for (let p = 0; p < k; p += step) {
      const count = Math.min(step, k - p)
      const start = tall ? [p, 0] : [0, p]
      const shape = tall ? [count, n] : [n, count]
      const sliced = read === 'kernel-slices'
      doubles.set(evaluator.block(values, sliced ? [...start, i, j] : start, sliced ? [...shape, 1, 1] : shape))
      yield { k: count, base: 0, pStride: tall ? n : 1, iStride: tall ? 1 : count }
    }
  }

  function* core(n: number, window: Uint8Array, multiple: number): Generator<Chunk> {
    const doubles = new Float64Array(window.buffer, window.byteOffset, Math.floor(window.length / 8))
    const step = chunkRows(n, multiple, rows => rows * n <= doubles.length)
    for (let p = 0; p < n; p += step) {
      const count = Math.min(step, n - p)
      doubles.set(lowRank!.subarray(p * n, (p + count) * n))
      yield { k: count, base: 0, pStride: n, iStride: 1 }
    }
  }

  return {
    matrices: shapes.map((shape, slice) => ({
      ...shape,
      dtype: 'F64' as const,
      chunks: (window: Uint8Array, multiple: number) =>
        shape.zeros > 0 ? core(shape.n, window, multiple) : chunks(slice, shape.k, shape.n, window, multiple),
    })),
    close: () => evaluator.close(),
  }
}

/**
 * A small matrix with the non-zero singular values of factor · left · right, left rows×r and right r×columns: with the thin QR
 * factorisations left = Q₁R₁ and rightᵀ = Q₂R₂ it is factor · R₁R₂ᵀ, r×r.
 */
async function lowRankCore(evaluator: Evaluator, values: Values): Promise<Float64Array> {
  if (values.op !== 'product') throw new Error(`${values.op} is no product`)
  const { Matrix, QrDecomposition } = await import('ml-matrix')
  const triangle = (factor: Values, transposed: boolean) => {
    const [rows, columns] = shapeOf(factor)
    const matrix = Matrix.from1DArray(rows, columns, evaluator.whole(factor))
    return new QrDecomposition(transposed ? matrix.transpose() : matrix).upperTriangularMatrix
  }
  const core = triangle(values.left, false).mmul(triangle(values.right, true).transpose()).mul(values.factor)
  return Float64Array.from(core.to1DArray())
}

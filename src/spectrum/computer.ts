import { createHash } from 'node:crypto'
import { isFloat, type Tensor } from '../checkpoint/types.ts'
import { widen } from '../checkpoint/widen.ts'
import { LayerError } from '../errors.ts'
import { EPSILON, isVariance } from '../norms.ts'
import type { Recipe } from '../recipe/recipe.ts'
import type { Values } from '../recipe/values.ts'
import type { Scan, SpectralNorms, Spectrum } from './engine.ts'
import { Evaluator } from './evaluate.ts'
import { firstNonFinite, largestMagnitude } from './finite.ts'
import { Kernel } from './kernel.ts'
import { largestEigenvalue } from './lanczos.ts'
import type { MatrixSource } from './matrix-source.ts'
import { bytesInMemory, isSearched, type Resident, resident } from './resident.ts'
import { footprint, openRecipe } from './source.ts'
import { asUnpacked, unpackInto } from './spool.ts'
import { TensorStream } from './stream.ts'
import { type WeightStatistics, weightStatistics } from './weights.ts'

/** What a thread is asked. */
export type Task =
  | { readonly id: number; readonly kind: 'scan'; readonly of: Tensor; readonly into?: number | undefined }
  | { readonly id: number; readonly kind: 'spectrum'; readonly of: Recipe }
  | { readonly id: number; readonly kind: 'spectral-norm'; readonly of: Recipe }
  | { readonly id: number; readonly kind: 'weights'; readonly of: Values }
  | { readonly id: number; readonly kind: 'call'; readonly name: string; readonly of: unknown }

export type Result = Scan | Spectrum | SpectralNorms | WeightStatistics | Called

/** What a procedure gave. */
export interface Called {
  readonly returned: unknown
}

/** What threads do for later rooms, by name: functions of plain data, which tell the share of their work that is done. */
export type Procedures = Readonly<Record<string, (argument: never, onWork: (share: number) => void) => unknown>>

/** Scans and spectra, one after another, on the thread at hand and with one instance of the kernel. */
export class Computer {
  readonly #kernel: Kernel
  readonly #procedures: Procedures

  constructor(kernel: Kernel, procedures: Procedures = {}) {
    this.#kernel = kernel
    this.#procedures = procedures
  }

  async perform(task: Task, onWork: (share: number) => void): Promise<Result> {
    switch (task.kind) {
      case 'scan':
        return this.scan(task.of, task.into)
      case 'spectrum':
        return this.spectrum(task.of, onWork)
      case 'spectral-norm':
        return this.spectralNorm(task.of, onWork)
      case 'weights':
        return this.weights(task.of)
      case 'call':
        return { returned: this.#procedures[task.name](task.of as never, onWork) }
    }
  }

  /** @param into descriptor of an empty file, in which a packed tensor is to stay unpacked */
  async scan(tensor: Tensor, into?: number): Promise<Scan> {
    const { dtype, shape, source } = tensor
    if (into !== undefined) await unpackInto(tensor, into)
    const hash = createHash('sha256').update(JSON.stringify([dtype, shape, source.strides]))
    const stream = await TensorStream.open(into === undefined ? tensor : asUnpacked(tensor, into))
    let nonFinite: string | undefined
    let largest = 0
    let at = 0
    const isOfSquares = isVariance(tensor.name)
    const place = (index: number) => `at index [${indexOf(at + index, shape, source.strides).join(', ')}]`
    try {
      for (const bytes of stream.all()) {
        hash.update(bytes)
        if (nonFinite === undefined && isFloat(dtype)) {
          largest = Math.max(largest, largestMagnitude(dtype, bytes))
          if (!Number.isFinite(largest)) {
            const bad = firstNonFinite(dtype, bytes)
            const [value] = widen(dtype, bytes.subarray(bad * stream.bytes, (bad + 1) * stream.bytes))
            nonFinite = `${value} ${place(bad)}`
          } else if (isOfSquares) {
            const values = widen(dtype, bytes)
            const bad = values.findIndex(value => value < -EPSILON.greatest)
            if (bad >= 0)
              nonFinite = `${Number(values[bad].toPrecision(6))} ${place(bad)}, a variance, whose root is NaN`
          }
        }
        at += bytes.length / stream.bytes
      }
    } finally {
      stream.close()
    }
    return {
      digest: hash.digest('hex'),
      ...(nonFinite !== undefined && { nonFinite }),
      ...(nonFinite === undefined && isFloat(dtype) && { largest }),
    }
  }

  async spectrum(recipe: Recipe, onWork: (share: number) => void = () => {}): Promise<Spectrum> {
    const open = await openRecipe(recipe)
    try {
      const { window } = footprint(recipe, Kernel.depth)
      const matrices: Float64Array[] = []
      for (const [i, source] of open.matrices.entries()) {
        matrices.push(finite(this.#eigenvalues(source, window, share => onWork((i + share) / open.matrices.length))))
      }
      return { matrices }
    } finally {
      await open.close()
    }
  }

  /** A search where a matrix is large, and all eigenvalues where that does not reach its tolerance. */
  async spectralNorm(recipe: Recipe, onWork: (share: number) => void = () => {}): Promise<SpectralNorms> {
    const open = await openRecipe(recipe)
    try {
      const { window } = footprint(recipe, Kernel.depth)
      let largest = 0
      for (const [i, source] of open.matrices.entries()) {
        const found = this.#search(source, window, largest)
        const value = found ?? finite(this.#eigenvalues(source, window, () => {})).at(-1)!
        largest = Math.max(largest, value)
        onWork((i + 1) / open.matrices.length)
      }
      return { largest }
    } finally {
      await open.close()
    }
  }

  /** The largest eigenvalue, or what none exceeds where that is less than what is known; null where it can't be had so. */
  #search(source: MatrixSource, window: number, known: number): number | null {
    if (!isSearched(source, bytesInMemory(source.dtype))) return null
    const matrix = this.#resident(source, window)
    if (matrix === undefined) return null
    if (!matrix) throw new LayerError('non-finite', NOT_FINITE)
    const unscaled = (value: number) => value / matrix.factor / matrix.factor
    if (matrix.norm === 0 || unscaled(matrix.norm) <= known) return 0
    const found = largestEigenvalue(matrix.times, source.n, matrix.seed)
    return found && finiteValue(unscaled(found.value))
  }

  /** Undefined where the memory would not do. */
  #resident(source: MatrixSource, window: number): Resident | null | undefined {
    try {
      return resident(source, window, this.#kernel)
    } catch (error) {
      if (error instanceof RangeError) return undefined
      throw error
    }
  }

  async weights(values: Values): Promise<WeightStatistics> {
    const evaluator = await Evaluator.open(values)
    try {
      return weightStatistics(evaluator, values)
    } finally {
      await evaluator.close()
    }
  }

  /** Ascending, the source's missing zeros first; null where an element is not finite. */
  #eigenvalues(source: MatrixSource, window: number, onWork: (share: number) => void): Float64Array | null {
    const { k, n, zeros, dtype, paired, copies = 1 } = source
    this.#begin(n, window)
    const gram = k / (k + 1.6 * n)
    let done = 0
    for (const chunk of source.chunks(this.#kernel.window(window), Kernel.depth)) {
      if (!this.#kernel.add(dtype, chunk.base, chunk.k, chunk.pStride, chunk.iStride)) return null
      done += chunk.k
      onWork((gram * done) / k)
    }
    const eigenvalues = this.#kernel.eigenvalues(share => onWork(gram + (1 - gram) * share))
    if (paired) equalPairs(eigenvalues)
    if (zeros === 0 && copies === 1) return eigenvalues
    const all = new Float64Array(zeros + n * copies)
    for (let i = 0; i < n; i++) all.fill(eigenvalues[i], zeros + i * copies, zeros + (i + 1) * copies)
    return all
  }

  #begin(n: number, windowBytes: number): void {
    try {
      this.#kernel.begin(n, windowBytes)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      const megabytes = Math.ceil(Kernel.memoryFor(n, windowBytes) / 1e6)
      throw new LayerError(
        'memory',
        `its ${n} × ${n} Gram matrix needs ${megabytes} MB of memory, more than there is: lower max-evals to skip it`,
      )
    }
  }
}

const NOT_FINITE = 'NaN or Inf where its tensors are put together'

/** @throws LayerError where an element, or an eigenvalue, is not finite */
function finite(eigenvalues: Float64Array | null): Float64Array {
  if (!eigenvalues) throw new LayerError('non-finite', NOT_FINITE)
  finiteValue(eigenvalues[eigenvalues.length - 1])
  return eigenvalues
}

function finiteValue(value: number): number {
  if (!Number.isFinite(value)) throw new LayerError('non-finite', 'its eigenvalues exceed the range of a double')
  return value
}

/** What is twice the same but for rounding becomes so. */
function equalPairs(ascending: Float64Array): void {
  for (let i = 0; i + 1 < ascending.length; i += 2) ascending.fill((ascending[i] + ascending[i + 1]) / 2, i, i + 2)
}

/** The index of the stored element that lies `at` elements after the first. */
function indexOf(at: number, shape: readonly number[], strides: readonly number[]): number[] {
  const order = shape.map((_, d) => d).sort((a, b) => strides[b] - strides[a])
  const index = new Array<number>(shape.length).fill(0)
  for (const d of order) {
    if (shape[d] === 1 || strides[d] === 0) continue
    index[d] = Math.min(shape[d] - 1, Math.floor(at / strides[d]))
    at -= index[d] * strides[d]
  }
  return index
}

import { createHash } from 'node:crypto'
import { DTYPE_BITS, type FloatDType, type Tensor } from '../checkpoint/types.ts'
import { LayerError } from '../errors.ts'
import { NUMERICS_VERSION, type Recipe, type Spectrum } from './engine.ts'
import { Kernel } from './kernel.ts'
import { type MatrixView, matrixViews, TensorStream, windowBytes } from './stream.ts'
import { widen } from './widen.ts'

/** Fingerprints and spectra, one after another, on the thread at hand and with one instance of the kernel. */
export class Computer {
  readonly #kernel: Kernel

  constructor(kernel: Kernel) {
    this.#kernel = kernel
  }

  async fingerprint({ op, tensor }: Recipe): Promise<string> {
    const { dtype, shape, source } = tensor
    const hash = createHash('sha256').update(JSON.stringify([NUMERICS_VERSION, op, dtype, shape, source.strides]))
    const stream = await TensorStream.open(tensor)
    try {
      for (const bytes of stream.bytes()) hash.update(bytes)
      return hash.digest('hex')
    } finally {
      await stream.close()
    }
  }

  async spectrum({ tensor }: Recipe, onWork: (share: number) => void = () => {}): Promise<Spectrum> {
    const stream = await TensorStream.open(tensor)
    try {
      const views = matrixViews(tensor)
      const matrices: Float64Array[] = []
      for (const [slice, view] of views.entries()) {
        matrices.push(await this.#eigenvalues(tensor, stream, view, share => onWork((slice + share) / views.length)))
      }
      return { matrices }
    } finally {
      await stream.close()
    }
  }

  async #eigenvalues(
    tensor: Tensor,
    stream: TensorStream,
    view: MatrixView,
    onWork: (share: number) => void,
  ): Promise<Float64Array> {
    const { n, k } = view
    const bytes = windowBytes(tensor, Kernel.depth)
    this.#begin(n, bytes)
    const gram = k / (k + 1.6 * n)
    let done = 0
    for (const chunk of stream.chunks(view, this.#kernel.window(bytes), Kernel.depth)) {
      if (!this.#kernel.add(tensor.dtype as FloatDType, chunk.base, chunk.k, chunk.pStride, chunk.iStride)) {
        throw new LayerError('non-finite', await firstNonFinite(tensor))
      }
      done += chunk.k
      onWork((gram * done) / k)
    }
    const eigenvalues = this.#kernel.eigenvalues(share => onWork(gram + (1 - gram) * share))
    if (!Number.isFinite(eigenvalues[n - 1])) {
      throw new LayerError('non-finite', 'its eigenvalues exceed the range of a double')
    }
    return eigenvalues
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

/** Where the first NaN or Inf is. */
async function firstNonFinite(tensor: Tensor): Promise<string> {
  const { dtype, shape, source } = tensor
  const stream = await TensorStream.open(tensor)
  try {
    let at = 0
    for (const bytes of stream.bytes()) {
      const values = widen(dtype as FloatDType, bytes)
      const bad = values.findIndex(value => !Number.isFinite(value))
      if (bad >= 0) return `${values[bad]} at index [${indexOf(at + bad, shape, source.strides).join(', ')}]`
      at += (8 * bytes.length) / DTYPE_BITS[dtype]
    }
  } finally {
    await stream.close()
  }
  return 'NaN or Inf'
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

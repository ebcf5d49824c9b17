import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { RandomAccessFile } from '../../../src/bytes/file.ts'
import { unpack } from '../../../src/checkpoint/codecs.ts'
import { keras } from '../../../src/checkpoint/keras/archive.ts'
import { hdf5 } from '../../../src/checkpoint/keras/hdf5.ts'
import { npy } from '../../../src/checkpoint/numpy/npy.ts'
import { npz } from '../../../src/checkpoint/numpy/npz.ts'
import type { Contents, Reader } from '../../../src/checkpoint/reader.ts'
import { DTYPE_BITS, size, type Tensor } from '../../../src/checkpoint/types.ts'
import { CheckpointError } from '../../../src/errors.ts'
import { limits } from '../../../src/limits.ts'

const READERS: readonly Reader[] = [npy, npz, keras, hdf5]

/** What the reader that recognises a file makes of it. */
export async function read(path: string): Promise<Contents & { format: string }> {
  const file = await RandomAccessFile.open(path)
  try {
    const head = await file.read(0, Math.min(4096, file.size))
    const reader = READERS.find(reader => reader.recognises({ head, size: file.size }))
    if (!reader) throw new CheckpointError(path, 'is of no known kind')
    return { format: reader.format, ...(await reader.read(file, {})) }
  } finally {
    await file.close()
  }
}

/** The little-endian elements of a tensor in row-major order of its shape. */
export async function values(tensor: Tensor): Promise<Buffer> {
  const { shape } = tensor
  const { strides } = tensor.source
  const width = DTYPE_BITS[tensor.dtype] / 8
  const bytes = await stored(tensor)
  const result = Buffer.alloc(bytes.length)
  for (let i = 0; i < bytes.length / width; i++) {
    let rest = i
    let from = 0
    for (let d = shape.length - 1; d >= 0; d--) {
      from += (rest % shape[d]) * strides[d]
      rest = Math.floor(rest / shape[d])
    }
    bytes.copy(result, i * width, from * width, (from + 1) * width)
  }
  return result
}

/** The bytes of a tensor as they lie in its source. */
export async function stored({ source, name, dtype, shape }: Tensor): Promise<Buffer> {
  const length = (size(shape) * DTYPE_BITS[dtype]) / 8
  if (source.kind === 'file') {
    const file = await RandomAccessFile.open(source.path)
    try {
      return await file.read(source.offset, length)
    } finally {
      await file.close()
    }
  }
  const pieces: Buffer[] = []
  let total = 0
  for await (const piece of unpack(structuredClone(source))) {
    total += piece.length
    if (piece.length > limits.spectrum.chunkBytes || total > length)
      throw new Error(`${name} unpacks to ${total} of ${length} bytes`)
    pieces.push(Buffer.from(piece))
  }
  if (total !== length) throw new Error(`${name} unpacks to ${total} of ${length} bytes`)
  return Buffer.concat(pieces)
}

type Expected = Record<string, Record<string, { readonly shape: readonly number[]; readonly sha256: string }>>

/** What the frameworks said of the fixtures in a folder when they wrote them. */
export function expectations(folder: URL): Expected {
  return JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8'))
}

/** The same of what we read. */
export async function summary(path: string): Promise<Expected[string]> {
  const { tensors } = await read(path)
  const entries = tensors.map(async tensor => {
    const sha256 = createHash('sha256')
      .update(await values(tensor))
      .digest('hex')
    return [tensor.name, { shape: [...tensor.shape], sha256 }] as const
  })
  return Object.fromEntries(await Promise.all(entries))
}

/** The message and remedy of the CheckpointError that a file ends in, or a word that it was accepted. */
export async function refusal(path: string): Promise<string> {
  try {
    for (const tensor of (await read(path)).tensors) await stored(tensor)
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error
    if (!error.message.includes(path)) throw new Error(`names no file: ${error.message}`)
    return `${error.message} ${error.remedy}`.replace(path, 'FILE')
  }
  return 'accepted'
}

import { closeSync, fstatSync, openSync } from 'node:fs'
import { unreadable } from '../bytes/file.ts'
import { WITHOUT_WAITING } from '../bytes/small-file.ts'
import { temporaryDescriptor, writeAt } from '../bytes/temporary.ts'
import { unpack } from '../checkpoint/codecs.ts'
import { DTYPE_BITS, type FileSource, type Tensor } from '../checkpoint/types.ts'
import { CheckpointError, tensorIn } from '../errors.ts'
import { extentOf } from '../recipe/values.ts'

/** Descriptor of an open file with a tensor's bytes, which can be read at any offset. */
export interface Readable {
  readonly fd: number
  readonly source: FileSource
}

/**
 * Opens what a tensor's bytes lie in. A packed tensor is unpacked, in bounded memory, into a temporary file that has no name any
 * more when this returns: the system removes it when it is closed, whatever happens.
 * @throws CheckpointError where the file can't be read or unpacks to more or less than the tensor
 */
export async function openTensor(tensor: Tensor): Promise<Readable> {
  const { source } = tensor
  if (source.kind === 'file') return { fd: openNow(source.path), source }
  const fd = temporaryDescriptor()
  try {
    await unpackInto(tensor, fd)
    return { fd, source: { kind: 'file', path: source.path, offset: 0, strides: source.strides } }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** For thousands of tensors of a few bytes each, to wait for another thread would take most of the time. */
function openNow(path: string): number {
  let fd: number
  try {
    fd = openSync(path, WITHOUT_WAITING)
  } catch (cause) {
    throw unreadable(path, cause)
  }
  if (fstatSync(fd).isFile()) return fd
  closeSync(fd)
  throw new CheckpointError(path, 'changed while it was being read: it is no file any more')
}

/** Bytes of a tensor unpacked; 0 of one that is not packed. */
export function unpackedBytes({ dtype, shape, source }: Tensor): number {
  return source.kind === 'file' ? 0 : (extentOf(shape, source.strides) * DTYPE_BITS[dtype]) / 8
}

/** A packed tensor as it lies in the open file that it was unpacked into. */
export function asUnpacked(tensor: Tensor, fd: number): Tensor {
  const { path, strides } = tensor.source
  return { ...tensor, source: { kind: 'file', path, offset: 0, strides, fd } }
}

/**
 * Unpacks a tensor into an empty file that is open.
 * @throws CheckpointError where it unpacks to more or less than the tensor
 */
export async function unpackInto(tensor: Tensor, fd: number): Promise<void> {
  const { name, source } = tensor
  if (source.kind === 'file') throw new TypeError(`${name} is not packed`)
  const wanted = unpackedBytes(tensor)
  let written = 0
  for await (const piece of unpack(source)) {
    if (written + piece.length > wanted) {
      written = Number.POSITIVE_INFINITY
      break
    }
    await writeAt(fd, piece, written)
    written += piece.length
  }
  if (written === wanted) return
  throw new CheckpointError(
    tensorIn(source.path, name),
    `unpacks to ${written > wanted ? 'more than' : `${written} of`} ${wanted} bytes`,
    'The file is damaged.',
  )
}

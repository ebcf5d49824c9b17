import { type FileHandle, open } from 'node:fs/promises'
import { unreadable } from '../bytes/file.ts'
import { temporaryFile } from '../bytes/temporary.ts'
import { unpack } from '../checkpoint/codecs.ts'
import { DTYPE_BITS, type FileSource, type Tensor } from '../checkpoint/types.ts'
import { CheckpointError, tensorIn } from '../errors.ts'
import { extentOf } from '../recipe/values.ts'

/** An open file with a tensor's bytes, which can be read at any offset. */
export interface Readable {
  readonly file: FileHandle
  readonly source: FileSource
}

/**
 * Opens what a tensor's bytes lie in. A packed tensor is unpacked, in bounded memory, into a temporary file that has no name any
 * more when this returns: the system removes it when it is closed, whatever happens.
 * @throws CheckpointError where the file can't be read or unpacks to more or less than the tensor
 */
export async function openTensor({ name, dtype, source, shape }: Tensor): Promise<Readable> {
  if (source.kind === 'file') {
    const file = await open(source.path, 'r').catch(cause => {
      throw unreadable(source.path, cause)
    })
    return { file, source }
  }
  const { path, strides } = source
  const wanted = (extentOf(shape, strides) * DTYPE_BITS[dtype]) / 8
  const file = await temporaryFile()
  try {
    let written = 0
    for await (const piece of unpack(source)) {
      written += piece.length
      if (written > wanted) break
      await file.appendFile(piece)
    }
    if (written !== wanted) {
      const where = tensorIn(path, name)
      throw new CheckpointError(
        where,
        `unpacks to ${written > wanted ? 'more than' : `${written} of`} ${wanted} bytes`,
        'The file is damaged.',
      )
    }
    return { file, source: { kind: 'file', path: source.path, offset: 0, strides } }
  } catch (error) {
    await file.close()
    throw error
  }
}

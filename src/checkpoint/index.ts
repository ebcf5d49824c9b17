import { stat } from 'node:fs/promises'
import { RandomAccessFile, unreadable } from '../bytes/file.ts'
import { CheckpointError } from '../errors.ts'
import { findInFolder } from './folder.ts'
import { gguf } from './gguf/index.ts'
import { keras } from './keras/archive.ts'
import { hdf5 } from './keras/hdf5.ts'
import { npy } from './numpy/npy.ts'
import { npz } from './numpy/npz.ts'
import { onnx } from './onnx/index.ts'
import { refusePointer } from './pointer.ts'
import type { Contents, Reader, ReadOptions } from './reader.ts'
import { safetensors } from './safetensors.ts'
import { sb3 } from './sb3/index.ts'
import { torchLegacy, torchZip } from './torch/index.ts'
import type { Checkpoint, Format } from './types.ts'

export * from './types.ts'
export type { ReadOptions }

/** In this order: the special kinds of zip before PyTorch's, and ONNX, which has no magic number, last. */
const READERS: readonly Reader[] = [safetensors, npz, keras, sb3, torchZip, torchLegacy, hdf5, npy, gguf, onnx]

/**
 * Describes the tensors of a checkpoint from its headers: a file, or a folder as Hugging Face lays it out. The kind is found
 * by content.
 * @throws CheckpointError for whatever can't be read whole.
 */
export async function openCheckpoint(path: string, options: ReadOptions = {}): Promise<Checkpoint> {
  const found = await stat(path).catch(cause => {
    throw unreadable(path, cause)
  })
  if (!found.isDirectory()) {
    const { format, bytes, contents } = await readFile(path, options)
    return { path, format, bytes, unread: [], ...contents }
  }
  const { files, expected } = await findInFolder(path)
  const parts = []
  for (const file of files) parts.push({ file, ...(await readFile(file, options)) })
  const tensors = parts.flatMap(part => part.contents.tensors)
  expected?.check(parts.map(part => ({ file: part.file, names: part.contents.tensors.map(tensor => tensor.name) })))
  return {
    path,
    format: parts[0].format,
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
    tensors,
    unread: parts.flatMap(part => part.contents.unread ?? []),
    stateDict: parts[0].contents.stateDict,
    ignored: [...new Set(parts.flatMap(part => part.contents.ignored))],
  }
}

async function readFile(
  path: string,
  options: ReadOptions,
): Promise<{ format: Format; bytes: number; contents: Contents }> {
  const file = await RandomAccessFile.open(path)
  try {
    const head = await file.read(0, Math.min(4096, file.size))
    refusePointer(path, head)
    const reader = READERS.find(reader => reader.recognises({ head, size: file.size }))
    if (!reader) throw unknownKind(path, head, file.size)
    return { format: reader.format, bytes: file.size, contents: await reader.read(file, options) }
  } finally {
    await file.close()
  }
}

function unknownKind(path: string, head: Buffer, size: number): CheckpointError {
  const known =
    'Known kinds are safetensors, PyTorch (torch.save, TorchScript), Keras (.h5, .keras), ONNX, GGUF, NumPy (.npz, .npy), Stable-Baselines3 zips, and Hugging Face folders.'
  if (size === 0) return new CheckpointError(path, 'is empty', known)
  const text = head.subarray(0, 64)
  const printable = text.every(byte => byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte < 127))
  if (printable)
    return new CheckpointError(
      path,
      `is a text file, not a checkpoint: ${JSON.stringify(text.toString('latin1', 0, 40))}`,
      known,
    )
  return new CheckpointError(path, `is of no known kind (it begins with ${text.subarray(0, 8).toString('hex')})`, known)
}

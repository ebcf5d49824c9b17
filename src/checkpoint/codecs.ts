import { CheckpointError } from '../errors.ts'
import type { PackedSource } from './types.ts'

/**
 * The unpacked bytes of a packed tensor, in order, in pieces of bounded size. Codecs are loaded when first used.
 * @throws CheckpointError where they are damaged, LayerError where what they are made of can't be had
 */
export async function* unpack(source: PackedSource): AsyncGenerator<Uint8Array> {
  const { path } = source
  switch (source.codec) {
    case 'range':
      return yield* (await import('../bytes/unpack-range.ts')).unpackRange(path, source.parameters)
    case 'hdf5-chunks':
      return yield* (await import('./hdf5/codec.ts')).unpackChunks(path, source.parameters)
    case 'onnx-values':
      return yield* (await import('./onnx/values.ts')).onnxValues(path, source.parameters)
    case 'gguf-blocks':
      return yield* (await import('./gguf/dequantise.ts')).ggufBlocks(path, source.parameters)
    case 'quantised':
      return yield* (await import('./quantised/codec.ts')).dequantised(source.parameters)
    case 'torch-quantised':
      return yield* (await import('./torch/affine.ts')).torchQuantised(path, source.parameters)
    case 'assembled':
      return yield* (await import('./torch/assembled.ts')).assembled(source.parameters)
    case 'inline':
      yield source.parameters
      return
    case 'unread':
      throw new CheckpointError(path, 'a tensor that has no reader was to be read')
  }
}

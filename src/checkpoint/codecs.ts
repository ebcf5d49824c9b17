import type { PackedSource } from './types.ts'

/** Yields the unpacked bytes of a tensor in order, in pieces of bounded size. Throws CheckpointError where they are damaged. */
export type Codec = (source: PackedSource) => AsyncIterable<Uint8Array>

/** Loaded when first used. */
const CODECS: Record<string, () => Promise<Codec>> = {
  range: async () => (await import('./numpy/range.ts')).unpackRange,
  'hdf5-chunks': async () => (await import('./hdf5/codec.ts')).unpackChunks,
  'onnx-values': async () => (await import('./onnx/values.ts')).onnxValues,
  'gguf-blocks': async () => (await import('./gguf/dequantise.ts')).ggufBlocks,
  quantised: async () => (await import('./quantised/codec.ts')).dequantised,
  'torch-quantised': async () => (await import('./torch/quantised.ts')).torchQuantised,
}

/** The unpacked bytes of a packed tensor, in order. */
export async function* unpack(source: PackedSource): AsyncGenerator<Uint8Array> {
  const codec = await CODECS[source.codec]()
  yield* codec(source)
}

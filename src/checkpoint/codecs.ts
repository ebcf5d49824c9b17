import type { PackedSource } from './types.ts'

/** Yields the unpacked bytes of a tensor in order, in pieces of bounded size. Throws CheckpointError where they are damaged. */
export type Codec = (source: PackedSource) => AsyncIterable<Uint8Array>

/** Loaded when first used. */
const CODECS: Record<string, () => Promise<Codec>> = {}

/** The unpacked bytes of a packed tensor, in order. */
export async function* unpack(source: PackedSource): AsyncGenerator<Uint8Array> {
  const codec = await CODECS[source.codec]()
  yield* codec(source)
}

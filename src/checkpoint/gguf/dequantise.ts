import { RandomAccessFile } from '../../bytes/file.ts'
import { GGML_TYPES } from './types.ts'

/** Quantised blocks in a file, one after the other. */
export interface BlocksParameters {
  /** The ggml type's number, of one that is decoded. */
  readonly type: number
  readonly offset: number
  /** How many. */
  readonly blocks: number
}

/** Values of a piece. */
const PIECE = 64 * 1024

/** The F32 values of a quantised GGUF tensor. */
export async function* ggufBlocks(
  path: string,
  { type, offset, blocks }: BlocksParameters,
): AsyncGenerator<Uint8Array> {
  const { elements, bytes, decode } = GGML_TYPES.get(type)!
  const step = PIECE / elements
  const file = await RandomAccessFile.open(path)
  try {
    for (let from = 0; from < blocks; from += step) {
      const count = Math.min(step, blocks - from)
      const encoded = await file.read(offset + from * bytes, count * bytes)
      const values = new Float32Array(count * elements)
      for (let i = 0; i < count; i++) decode!(encoded.subarray(i * bytes, (i + 1) * bytes), values, i * elements)
      yield new Uint8Array(values.buffer)
    }
  } finally {
    await file.close()
  }
}

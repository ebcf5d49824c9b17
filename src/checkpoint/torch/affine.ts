import { RandomAccessFile } from '../../bytes/file.ts'

/** What the codec `torch-quantised` needs to know: value = (stored - zeroPoint) · scale. */
export interface QuantisedParameters {
  readonly offset: number
  readonly bytes: number
  readonly signed: boolean
  /** One of each, or one for each index along a dimension: element i has the index `⌊i / stride⌋ mod scales.length`. */
  readonly scales: readonly number[]
  readonly zeroPoints: readonly number[]
  readonly stride: number
}

const PIECE = 64 * 1024

/** The F32 values of a quantised tensor, in the order of its bytes. */
export async function* torchQuantised(
  path: string,
  { offset, bytes, signed, scales, zeroPoints, stride }: QuantisedParameters,
): AsyncGenerator<Uint8Array> {
  const file = await RandomAccessFile.open(path)
  try {
    for (let from = 0; from < bytes; from += PIECE) {
      const raw = await file.read(offset + from, Math.min(PIECE, bytes - from))
      const values = new Float32Array(raw.length)
      for (let i = 0; i < raw.length; i++) {
        const channel = Math.floor((from + i) / stride) % scales.length
        values[i] = ((signed ? raw.readInt8(i) : raw[i]) - zeroPoints[channel]) * scales[channel]
      }
      yield new Uint8Array(values.buffer)
    }
  } finally {
    await file.close()
  }
}

/** Element types, named as safetensors names them. */
export type DType = keyof typeof DTYPE_BITS

/** Bits of one element. */
export const DTYPE_BITS = {
  F64: 64,
  F32: 32,
  F16: 16,
  BF16: 16,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  F8_E8M0: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
  C64: 64,
  C128: 128,
  I64: 64,
  U64: 64,
  I32: 32,
  U32: 32,
  I16: 16,
  U16: 16,
  I8: 8,
  U8: 8,
  BOOL: 8,
} as const

/** The types whose values the engine reads as weights. */
export const FLOATS = ['F64', 'F32', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2'] as const
export type FloatDType = (typeof FLOATS)[number]

export function isFloat(dtype: DType): dtype is FloatDType {
  return (FLOATS as readonly DType[]).includes(dtype)
}

/**
 * Where a tensor's bytes lie, as plain data that can be handed to a worker: in a file that can be read at any offset, or packed
 * so that they have to be unpacked in order (deflate, gzip, HDF5 chunks, quantised blocks).
 */
export type ByteSource = FileSource | PackedSource

/** Little-endian elements at an offset of a file. */
export interface FileSource {
  readonly kind: 'file'
  readonly path: string
  /** Of the element with all indices 0, in bytes. */
  readonly offset: number
  /** Distance in elements between neighbours along each dimension. Never negative. */
  readonly strides: readonly number[]
}

/** Little-endian elements that a codec yields in order: `unpack` in codecs.ts. */
export interface PackedSource {
  readonly kind: 'packed'
  readonly path: string
  /** Name of the codec, and what it needs to know: plain data. */
  readonly codec: string
  readonly parameters: unknown
  /** As of a file source, in the unpacked elements. */
  readonly strides: readonly number[]
}

/** A named tensor of a checkpoint: its description, not its values. Structured-clonable. */
export interface Tensor {
  /** The exact key in the file. */
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly source: ByteSource
  /** What the layer is called where the key says nothing: the ONNX node that uses it, for one. */
  readonly label?: string
  /** Why its values can't be read as weights, where they can't: it becomes a row of `skipped`. */
  readonly skip?: string
  /** Why it is a layer whose values can't be had. */
  readonly broken?: string
  /** It is a part of a quantised tensor, such as its scales. */
  readonly companion?: boolean
}

/** A tensor that is there and can't be read as weights, with the reason: it becomes a row of `skipped`. */
export interface UnreadTensor {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly reason: string
}

export type Format =
  | 'safetensors'
  | 'torch-zip'
  | 'torch-legacy'
  | 'sb3-zip'
  | 'onnx'
  | 'hdf5'
  | 'keras'
  | 'npz'
  | 'npy'
  | 'gguf'

/** What a checkpoint holds: the order of `tensors` is that of the file. */
export interface Checkpoint {
  /** Path as the user gave it. */
  readonly path: string
  readonly format: Format
  /** Size of all files that were opened. */
  readonly bytes: number
  readonly tensors: readonly Tensor[]
  readonly unread: readonly UnreadTensor[]
  /** Path of keys to the state dict that was taken, where the file nests one (`model_state_dict`). */
  readonly stateDict: string
  /** What lies beside the weights and was not looked at: optimizer state, epoch, other state dicts. */
  readonly ignored: readonly string[]
  /** The files as they were when their headers were read. */
  readonly stamps: readonly Stamp[]
}

/** A file at a time. */
export interface Stamp {
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** Of its last change, in milliseconds since 1970. */
  readonly time: number
}

/** Strides, in elements, of a dense row-major tensor. */
export function contiguous(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = stride
    stride *= shape[d]
  }
  return strides
}

/** The number of elements; Infinity or an unsafe integer where the product overflows, which callers must refuse. */
export function size(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1)
}

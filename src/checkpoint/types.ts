import type { RangeParameters } from '../bytes/range.ts'
import type { DType } from './elements.ts'
import type { BlocksParameters } from './gguf/dequantise.ts'
import type { ChunkParameters } from './hdf5/codec.ts'
import type { LowRank } from './low-rank.ts'
import type { ValuesParameters } from './onnx/values.ts'
import type { Scheme } from './quantised/scheme.ts'
import type { QuantisedParameters } from './torch/affine.ts'
import type { AssembledParameters } from './torch/assembled.ts'

export * from './elements.ts'

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
  /** Of the file that it was unpacked into, which is open; `path` is where it comes from. */
  readonly fd?: number
}

/** Little-endian elements that a codec yields in order: `unpack` in codecs.ts. */
export type PackedSource = Packing & {
  readonly kind: 'packed'
  readonly path: string
  /** As of a file source, in the unpacked elements. */
  readonly strides: readonly number[]
}

/** A codec, and what it needs to know: plain data. */
export type Packing =
  | { readonly codec: 'range'; readonly parameters: RangeParameters }
  | { readonly codec: 'hdf5-chunks'; readonly parameters: ChunkParameters }
  | { readonly codec: 'onnx-values'; readonly parameters: ValuesParameters }
  | { readonly codec: 'gguf-blocks'; readonly parameters: BlocksParameters }
  | { readonly codec: 'quantised'; readonly parameters: Scheme }
  | { readonly codec: 'torch-quantised'; readonly parameters: QuantisedParameters }
  | { readonly codec: 'assembled'; readonly parameters: AssembledParameters }
  /** The bytes themselves, of what stands in a pickle. */
  | { readonly codec: 'inline'; readonly parameters: Uint8Array }
  /** Of a tensor that is described and never read. */
  | { readonly codec: 'unread'; readonly parameters: null }

/** A named tensor of a checkpoint: its description, not its values. Structured-clonable. */
export interface Tensor {
  /** The exact key in the file. */
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly source: ByteSource
  /** What the layer is called where the key says nothing: the ONNX node that uses it, for one. */
  readonly label?: string
  /** Where the framework looks for it, whatever it is called: of Keras. */
  readonly place?: string
  /** Why its values can't be read as weights, where they can't: it becomes a row of `skipped`. */
  readonly skip?: string
  /** Why it is a layer whose values can't be had. */
  readonly broken?: string
  /** Why its contents are no weights, where they tell: a mask, a table of sines. */
  readonly constant?: string
  /** Of matrices that are stacked along its first dimension: what each is called, or an empty name. */
  readonly stack?: readonly string[]
  /** Of such a recurrent layer: the gates that each packs in runs of rows, in order. */
  readonly gates?: readonly string[]
  /** Of a weight of spectral_norm: the dimension that its u belongs to, where that is not the first with so many. */
  readonly uAxis?: number
  /** It is a part of a quantised tensor, such as its scales. */
  readonly companion?: boolean
}

/** A tensor that is there and can't be read as weights, with the reason: it becomes a row of `skipped`. */
export interface UnreadTensor {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly reason: string
  /** The model has it, and its state dict does not. */
  readonly aside?: true
  readonly place?: string
}

export type Format =
  | 'safetensors'
  | 'torch-zip'
  | 'torch-legacy'
  | 'torch-distributed'
  | 'sb3-zip'
  | 'onnx'
  | 'hdf5'
  | 'keras'
  | 'npz'
  | 'npy'
  | 'gguf'

/** How far a training had come, as far as it is known. */
export interface Moment {
  readonly step?: number
  readonly epoch?: number
}

/** How a model's attention is divided into heads, as far as the file or the config.json beside it says so. */
export interface AttentionConfig {
  /** `model_type`, GGUF's architecture; empty where there is none. */
  readonly family: string
  /** Width of the residual stream. */
  readonly hidden: number | undefined
  readonly heads: number | undefined
  /** Of keys and values: fewer than `heads` where queries share them. */
  readonly sharedHeads: number | undefined
  /** Columns of one head. */
  readonly width: number | undefined
  /** Falcon's two layouts, and the one head of keys and values that all queries share. */
  readonly grouped: boolean
  readonly multiQuery: boolean | undefined
  /** The model's code is its own, and may lay its heads out otherwise than the family does. */
  readonly ownCode: boolean
}

/** Of a config beside weights: what decides which of them a framework loads, or how it applies them. */
export interface Setting {
  /** The config. */
  readonly file: string
  /** Keys with dots between them. */
  readonly key: string
  /** As JSON; of a long one its digest. */
  readonly value: string
}

/** What a checkpoint holds: the order of `tensors` is that of the file. */
export interface Checkpoint {
  /** Path as the user gave it. */
  readonly path: string
  readonly format: Format
  /** Size of all files that were opened. */
  readonly bytes: number
  readonly tensors: readonly Tensor[]
  readonly unread: readonly UnreadTensor[]
  /** Low-rank updates that some of the tensors are the factors of. */
  readonly updates?: readonly LowRank[]
  /** Of a file that says it itself. */
  readonly attention?: AttentionConfig
  /** How far its training had come, where something says so. */
  readonly moment?: Moment
  /** Of the configs beside it, where there are any. */
  readonly settings?: readonly Setting[]
  /** Path of keys to the state dict that was taken, where the file nests one (`model_state_dict`). */
  readonly stateDict: string
  /** What lies beside the weights and was not looked at: optimizer state, epoch, other state dicts. */
  readonly ignored: readonly string[]
  /** The files as they were when they were read: weights, indices of shards, configs, which can be read later than the others. */
  readonly stamps: Stamp[]
}

/** A file at a time. */
export interface Stamp {
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** Of its last change, in milliseconds since 1970. */
  readonly time: number
  /** Of the last change of anything about it, which nobody can set; and which file it is. */
  readonly changed: number
  readonly inode: number
}

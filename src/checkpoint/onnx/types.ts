import type { Tensor } from '../types.ts'

/** A tensor as an ONNX file describes it. */
export interface OnnxTensor extends Tensor {
  /** A key that says what the tensor is, from the node that uses it, where its own name does not. */
  readonly label?: string
  /** Where values of 4 bits lie, two a byte. */
  readonly nibbles?: { readonly path: string; readonly offset: number; readonly signed: boolean }
  /** Why its values can't be read. */
  readonly skip?: string
}

/** A node whose inputs are made a weight of, or that turns or applies one. */
export interface Operator {
  readonly op: string
  readonly inputs: readonly string[]
  readonly output: string
  /** Attributes that are whole numbers, or lists of them. */
  readonly numbers: ReadonlyMap<string, readonly number[]>
}

import type { Tensor } from '../types.ts'

/** A tensor as an ONNX file describes it. */
export interface OnnxTensor extends Tensor {
  /** A key that says what the tensor is, from the node that uses it, where its own name does not. */
  readonly label?: string
  /** Values of 4 bits as the bytes that hold two each, the first in the lower half. */
  readonly pairs?: OnnxTensor
  /** The elements of a small one that does not hold them one after the other. */
  readonly bytes?: Uint8Array
  /** Why its values can't be read. */
  readonly skip?: string
}

/** A node of a graph. */
export interface Operator {
  /** Its kind; of a domain that is not known here the domain and its name, `domain::name`. */
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Attributes that are whole numbers, or lists of them. */
  readonly numbers: ReadonlyMap<string, readonly number[]>
  /** In a function: attributes whose values are those of the call, by its names for them. */
  readonly references?: ReadonlyMap<string, string>
}

/** A function of the model, which nodes call. */
export interface ModelFunction {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly operators: readonly Operator[]
  /** What its attributes are where a call does not say. */
  readonly defaults: ReadonlyMap<string, readonly number[]>
  /** Where the tensors that it holds stand in the list, by the names that its operators call them. */
  readonly tensors: ReadonlyMap<string, number>
}

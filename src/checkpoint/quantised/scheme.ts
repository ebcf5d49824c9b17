import type { DType } from '../elements.ts'

/** Dense elements in a file: a tensor that a quantised one is made of. */
export interface Part {
  readonly path: string
  /** Bytes. */
  readonly offset: number
  readonly dtype: DType
  readonly shape: readonly number[]
}

/**
 * How a quantised tensor's values follow from what is stored, as plain data: the parameters of the codec `quantised`, which yields
 * F32 in the order of the stored rows.
 */
export type Scheme =
  /** Elements times scales: of the whole, of each row, or of each block. `divisor` divides every scale. */
  | {
      readonly kind: 'scaled'
      readonly values: Part
      readonly scale: Part
      readonly rows: number
      readonly columns: number
      readonly blockRows: number
      readonly blockColumns: number
      readonly divisor: number
    }
  /** GPTQ: 32-bit words hold `32 / bits` rows of one column; (q − zero) · scale of the row's group. */
  | (Grouped & {
      readonly kind: 'gptq'
      /** The group of each row; otherwise rows are grouped in order. */
      readonly groupIndex?: Part | undefined
      /** Added to the stored zero: 1 in GPTQ's first format. */
      readonly zeroOffset: number
    })
  /** AWQ: 32-bit words hold eight 4-bit columns of one row, interleaved. */
  | (Grouped & { readonly kind: 'awq' })
  /** compressed-tensors, `pack-quantized`, symmetric: words hold columns of one row; (q − 2^(bits−1)) · scale. */
  | {
      readonly kind: 'packed'
      readonly words: Part
      readonly scales: Part
      readonly bits: number
      readonly rows: number
      readonly columns: number
    }
  /** bitsandbytes, 4 bits: a table's entry times the block's largest value, itself quantised where `nested` is given. */
  | {
      readonly kind: 'table'
      readonly codes: Part
      readonly table: Part
      readonly largest: Part
      readonly blocksize: number
      readonly elements: number
      readonly nested?: {
        readonly table: Part
        readonly largest: Part
        readonly blocksize: number
        readonly offset: number
      }
    }

interface Grouped {
  readonly words: Part
  readonly zeros: Part
  readonly scales: Part
  readonly bits: number
  readonly rows: number
  readonly columns: number
}

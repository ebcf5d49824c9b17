import type { DType } from '../elements.ts'

/** Dense elements in a file: a tensor that a quantised one is made of. */
export interface Part {
  readonly path: string
  /** Bytes. */
  readonly offset: number
  readonly dtype: DType
  readonly shape: readonly number[]
  /** The elements themselves, where they lie otherwise in the file. */
  readonly bytes?: Uint8Array
}

/**
 * How a quantised tensor's values follow from what is stored, as plain data: the parameters of the codec `quantised`, which yields
 * F32 in the order of the stored rows.
 */
export type Scheme =
  | Coded
  /** GPTQ: codes of `bits` bits follow each other down a column, in 32-bit words; (q − zero) · scale of the row's group. */
  | (Grouped & {
      readonly kind: 'gptq'
      /** The group of each row; otherwise rows are grouped in order. */
      readonly groupIndex?: Part | undefined
      /** Added to the stored zero: 1 in GPTQ's first format. */
      readonly zeroOffset: number
    })
  /** AWQ: 32-bit words hold eight 4-bit columns of one row, interleaved. */
  | (Grouped & { readonly kind: 'awq' })
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

/** Rows of codes, each times what its block has: (q − zero) · scale · factor + bias. */
export interface Coded {
  readonly kind: 'coded'
  /** Row after row; a row's codes follow each other bit by bit, the first in the lowest bits of its first byte. */
  readonly codes: Part
  /** What a code of this many bits stands for. */
  readonly bits: number
  readonly numbers: 'unsigned' | 'signed' | 'offset' | 'e2m1' | 'e4m3' | 'e5m2'
  /** The first of two 4-bit codes lies in the upper half of its byte. */
  readonly upperFirst?: boolean
  /** Bytes of a row, where they are more than its codes need. */
  readonly rowBytes?: number
  /** A row may begin within a byte, where the one before it ends. */
  readonly unpadded?: boolean
  /** Of the matrix; several stacked are one after the other. */
  readonly rows: number
  readonly columns: number
  readonly scale: Grid
  readonly zero?: Grid
  readonly bias?: Grid
  /** Single numbers that the scales are multiplied and divided by. */
  readonly times?: readonly Part[]
  readonly over?: readonly Part[]
  readonly divisor?: number
}

/** Numbers of which each is for a block of a matrix, row-major. */
export interface Grid {
  readonly part: Part
  readonly blockRows: number
  readonly blockColumns: number
  /** How many lie side by side. */
  readonly across: number
  /** Bytes that are exponents with the bias 127. */
  readonly exponents?: boolean
  /** In the tiles of 128 × 4 that tensor cores read, padded to whole ones. */
  readonly tiled?: boolean
  /** Divides. */
  readonly reciprocal?: boolean
  /** The block row of each row, where rows are not grouped in order. */
  readonly rowGroups?: Part
  /** Codes of 4 bits, two a byte, the first in the lower half; rows are padded to `rowBytes` where it is given. */
  readonly nibbles?: { readonly signed: boolean; readonly rowBytes?: number }
  /** Of zeros packed along rows in 32-bit words: bits each. The codes' own offset is theirs, too. */
  readonly packed?: number
  /** The block column of each column, where columns are not grouped in order. */
  readonly columnGroups?: Part
}

interface Grouped {
  readonly words: Part
  readonly zeros: Part
  readonly scales: Part
  readonly bits: number
  readonly rows: number
  readonly columns: number
}

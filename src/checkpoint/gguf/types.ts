import type { DType } from '../elements.ts'
import * as blocks from './blocks.ts'

/** A ggml type: blocks of so many elements in so many bytes. */
export interface GgmlType {
  readonly name: string
  readonly elements: number
  readonly bytes: number
  /** Of plain numbers. */
  readonly dtype?: DType
  /** Of quantised blocks that are read. */
  readonly decode?: blocks.Decode
}

const plain = (name: string, dtype: DType, bytes: number): GgmlType => ({ name, elements: 1, bytes, dtype })
const coded = (name: string, elements: number, bytes: number, decode?: blocks.Decode): GgmlType => ({
  name,
  elements,
  bytes,
  ...(decode && { decode }),
})

/** By the number in the file. Source: ggml.h, enum ggml_type; GGML_QUANT_SIZES of gguf-py 0.19. */
export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map([
  [0, plain('F32', 'F32', 4)],
  [1, plain('F16', 'F16', 2)],
  [2, coded('Q4_0', 32, 18, blocks.q4_0)],
  [3, coded('Q4_1', 32, 20, blocks.q4_1)],
  [6, coded('Q5_0', 32, 22, blocks.q5_0)],
  [7, coded('Q5_1', 32, 24, blocks.q5_1)],
  [8, coded('Q8_0', 32, 34, blocks.q8_0)],
  [9, coded('Q8_1', 32, 40)],
  [10, coded('Q2_K', 256, 84, blocks.q2_k)],
  [11, coded('Q3_K', 256, 110, blocks.q3_k)],
  [12, coded('Q4_K', 256, 144, blocks.q4_k)],
  [13, coded('Q5_K', 256, 176, blocks.q5_k)],
  [14, coded('Q6_K', 256, 210, blocks.q6_k)],
  [15, coded('Q8_K', 256, 292, blocks.q8_k)],
  [16, coded('IQ2_XXS', 256, 66)],
  [17, coded('IQ2_XS', 256, 74)],
  [18, coded('IQ3_XXS', 256, 98)],
  [19, coded('IQ1_S', 256, 50)],
  [20, coded('IQ4_NL', 32, 18, blocks.iq4_nl)],
  [21, coded('IQ3_S', 256, 110)],
  [22, coded('IQ2_S', 256, 82)],
  [23, coded('IQ4_XS', 256, 136, blocks.iq4_xs)],
  [24, plain('I8', 'I8', 1)],
  [25, plain('I16', 'I16', 2)],
  [26, plain('I32', 'I32', 4)],
  [27, plain('I64', 'I64', 8)],
  [28, plain('F64', 'F64', 8)],
  [29, coded('IQ1_M', 256, 56)],
  [30, plain('BF16', 'BF16', 2)],
  [34, coded('TQ1_0', 256, 54, blocks.tq1_0)],
  [35, coded('TQ2_0', 256, 66, blocks.tq2_0)],
  [39, coded('MXFP4', 32, 17, blocks.mxfp4)],
  [40, coded('NVFP4', 64, 36)],
  [41, coded('Q1_0', 128, 18)],
])

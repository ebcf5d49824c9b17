/** The factors of a low-rank update of one weight: ΔW = scale · up · down. */
export interface LowRank {
  /** The key of the weight that it is added to. */
  readonly key: string
  /** (r, in), or a convolution's (r, in, kh, kw). */
  readonly down: string
  /** (out, r), or (out, r, 1, 1). */
  readonly up: string
  /** Of an embedding, whose rows are the inputs: ΔW is transposed. */
  readonly embedding: boolean
  readonly scale: number
  /** The weight lies as (in, out), as transformers' Conv1D keeps it; where its sides differ, they tell. */
  readonly turned?: true
  /** The tensor that it is added to, where that is known. */
  readonly base?: string
  /** DoRA's magnitudes, a number a row of the weight; of an embedding, a column. */
  readonly magnitude?: string
}

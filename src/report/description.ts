import type { Layer, Skipped } from './schema.ts'

/** What is known of a layer from its header alone. */
export type DescribedLayer = Pick<
  Layer,
  'name' | 'tensor' | 'place' | 'part' | 'layer_type' | 'shape' | 'dtype' | 'N' | 'M' | 'Q' | 'rf' | 'num_evals'
>

/** What an analysis of a checkpoint would look at: no weight has been read for it. */
export interface Description {
  readonly name: string
  readonly path: string
  readonly format: string
  /** Size of the files. */
  readonly bytes: number
  readonly state_dict: string
  readonly ignored: readonly string[]
  readonly layers: readonly DescribedLayer[]
  readonly skipped: readonly Skipped[]
}

import { portable } from '../bytes/portable.ts'
import { openCheckpoint } from '../checkpoint/index.ts'
import type { Description } from '../report/description.ts'
import type { AnalysisOptions } from '../report/schema.ts'
import { modelName, planOf, type Source } from './analyse.ts'

/**
 * What an analysis would look at, from headers alone. A checkpoint without layers is described as it is.
 * @throws CheckpointError where the checkpoint can't be read
 */
export async function describe(source: Source, options: AnalysisOptions): Promise<Description> {
  const checkpoint = await openCheckpoint(source.path, { stateDict: source.stateDict })
  const { format, bytes, stateDict, ignored } = checkpoint
  const { layers, skipped } = await planOf(checkpoint, options)
  return {
    name: source.name ?? modelName(source.path),
    path: portable(source.path),
    format,
    bytes,
    state_dict: stateDict,
    ignored,
    layers: layers.map(({ recipe, scale, broken, against, ...layer }) => layer),
    skipped: skipped.map(({ row }) => row),
  }
}

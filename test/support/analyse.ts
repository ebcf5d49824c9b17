import type { AnalysisOptions, Model } from '../../src/report/schema.ts'
import { resolveSettings } from '../../src/settings.ts'
import { MlMatrixEngine } from '../../src/spectrum/ml-matrix.ts'
import { analyse } from '../../src/walks/analyse.ts'
import { type Written, writeSafetensors } from './safetensors.ts'

export const defaults: AnalysisOptions = resolveSettings({}).options

/** The model that tensors make, through a real file and the whole walk. */
export function analyseTensors(
  tensors: Record<string, Written>,
  options: Partial<AnalysisOptions> = {},
): Promise<Model> {
  const path = writeSafetensors(tensors)
  return analyse({ path }, { engine: new MlMatrixEngine(), options: { ...defaults, ...options } })
}

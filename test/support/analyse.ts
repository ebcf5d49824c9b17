import { resolveSettings } from '../../src/config/settings.ts'
import { PROCEDURES } from '../../src/metrics/procedures.ts'
import { analyse } from '../../src/pipeline/analyse.ts'
import type { AnalysisOptions, Model } from '../../src/report/schema.ts'
import { WorkerPool } from '../../src/spectrum/pool.ts'
import { type Written, writeSafetensors } from './safetensors.ts'

export const defaults: AnalysisOptions = resolveSettings({}).options

/** With the built worker, for what is large enough for one. */
const engine = new WorkerPool(new URL('../../dist/worker.js', import.meta.url), undefined, PROCEDURES)

/** The model that tensors make, through a real file and the whole walk. */
export function analyseTensors(
  tensors: Record<string, Written>,
  options: Partial<AnalysisOptions> = {},
): Promise<Model> {
  return analyseFile(writeSafetensors(tensors), options)
}

/** The model in a file or folder. */
export function analyseFile(path: string, options: Partial<AnalysisOptions> = {}): Promise<Model> {
  return analyse({ path }, { engine, options: { ...defaults, ...options }, known: new Map() })
}

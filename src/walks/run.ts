import { stat } from 'node:fs/promises'
import type { OnProgress } from '../progress.ts'
import type { BaselineRecord, Provenance, Report } from '../report/schema.ts'
import type { Settings } from '../settings.ts'
import { WorkerPool } from '../spectrum/pool.ts'
import type { Source } from './analyse.ts'
import { type FoundReport, gate } from './gate.ts'

export interface RunRequest {
  /** PATH or NAME=PATH. */
  readonly checkpoints: readonly string[]
  readonly settings: Settings
  /** Takes the place of the settings' own. */
  readonly baseline?: FoundReport | undefined
  readonly search?: BaselineRecord | undefined
  readonly provenance?: Provenance | undefined
  readonly onProgress?: OnProgress | undefined
}

/** Beside the bundle's entries, from the chunk that this file becomes part of. */
const WORKER = new URL('../worker.js', import.meta.url)

/** The walk that both doors take: settings in, report out. */
export async function run({
  checkpoints,
  settings,
  baseline,
  search,
  provenance,
  onProgress,
}: RunRequest): Promise<Report> {
  const { options, policy, stateDict, workers, reuse } = settings
  const engine = new WorkerPool(WORKER, workers)
  try {
    const sources = await Promise.all(checkpoints.map(text => parseSource(text, stateDict)))
    return await gate(
      { sources, baseline: search ? baseline : settings.baseline, search, policy, provenance },
      { engine, options, known: reuse ? new Map() : null, onProgress },
    )
  } finally {
    await engine.close()
  }
}

/** `NAME=PATH`, unless a file is called so as a whole: Lightning writes `epoch=3-step=100.ckpt`. */
export async function parseSource(text: string, stateDict: string | undefined): Promise<Source> {
  const named = /^([^=/\\]+)=(.+)$/s.exec(text)
  const whole =
    named &&
    (await stat(text).then(
      () => true,
      () => false,
    ))
  return named && !whole ? { name: named[1], path: named[2], stateDict } : { path: text, stateDict }
}

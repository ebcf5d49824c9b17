import { exists } from '../bytes/file.ts'
import { refuseNamesakes } from '../comparison/pair.ts'
import type { Settings } from '../config/settings.ts'
import { UserError } from '../errors.ts'
import { PROCEDURES } from '../metrics/procedures.ts'
import type { OnProgress } from '../progress.ts'
import type { NamedPart, PartialReport } from '../report/io.ts'
import type { BaselineRecord, Provenance, Report } from '../report/schema.ts'
import { WorkerPool } from '../spectrum/pool.ts'
import { type AnalyseContext, modelName, type Source } from './analyse.ts'
import {
  type FoundReport,
  type GatePolicy,
  type GateRequest,
  gate,
  gatePart,
  gateParts,
  type PartRequest,
} from './gate.ts'
import { refuseNoPath } from './paths.ts'

export interface RunRequest extends Pick<GateRequest, 'onMissing'> {
  /** PATH or NAME=PATH. */
  readonly checkpoints: readonly string[]
  readonly settings: Settings
  /** Takes the place of the settings' own. */
  readonly baseline?: FoundReport | undefined
  readonly search?: BaselineRecord | undefined
  readonly governed?: GatePolicy | undefined
  readonly provenance?: Provenance | undefined
  readonly onProgress?: OnProgress | undefined
  readonly onFiles?: AnalyseContext['onFiles']
}

/** Beside the bundle that this file becomes part of. */
const WORKER = new URL('./worker.js', import.meta.url)

/** The walk that both doors take: settings in, report out. */
export function run(request: RunRequest): Promise<Report> {
  const { settings, search, governed, provenance, onMissing } = request
  const { policy, figures } = settings
  return withEngine(request, async context => {
    const sources = await parseSources(request)
    const baseline = baselineOf(request)
    return gate({ sources, baseline, search, policy, figures, governed, provenance, onMissing }, context)
  })
}

/** As `run`, but a part of the report alone, for `runMerge`. */
export function runPart(
  request: Pick<RunRequest, 'checkpoints' | 'settings' | 'provenance' | 'onProgress' | 'onFiles' | 'onMissing'> &
    Pick<PartRequest, 'job'>,
): Promise<PartialReport> {
  const { settings, job, provenance, onMissing } = request
  return withEngine(request, async context => {
    const { shard, stateDict } = settings
    return gatePart({ sources: await parseSources(request), shard, stateDict, job, provenance, onMissing }, context)
  })
}

/** As `run`, from parts that `runPart` made. The options that change numbers are theirs. */
export function runMerge(
  request: Omit<RunRequest, 'checkpoints'> & Pick<GateRequest, 'failedJobs'> & { readonly parts: readonly NamedPart[] },
): Promise<Report> {
  const { parts, failedJobs, settings, search, governed, provenance, onMissing } = request
  const { policy, figures } = settings
  return withEngine(request, context =>
    gateParts(
      parts,
      { baseline: baselineOf(request), search, policy, figures, governed, provenance, failedJobs, onMissing },
      context,
    ),
  )
}

/** What a search found, or what the settings name. */
function baselineOf({ baseline, search, settings }: Pick<RunRequest, 'baseline' | 'search' | 'settings'>) {
  return baseline ?? (search ? undefined : settings.baseline)
}

/** Work with threads that end with it. */
export async function withEngine<T>(
  {
    settings: { options, workers, reuse, baseModel },
    onProgress,
    onFiles,
  }: Pick<RunRequest, 'settings' | 'onProgress' | 'onFiles'>,
  work: (context: AnalyseContext) => Promise<T>,
): Promise<T> {
  const engine = new WorkerPool(WORKER, workers, PROCEDURES)
  try {
    return await work({ engine, options, baseModel, known: reuse ? new Map() : null, onProgress, onFiles })
  } finally {
    await engine.close()
  }
}

async function parseSources({
  checkpoints,
  settings,
  onMissing,
}: Pick<RunRequest, 'checkpoints' | 'settings' | 'onMissing'>): Promise<Source[]> {
  // What is not there and is no error is told one by one.
  const parse = onMissing ? readSource : parseSource
  const sources = await Promise.all(checkpoints.map(text => parse(text, settings.stateDict)))
  refuseNamesakes(sources.map(({ name, path }) => name ?? modelName(path)))
  return sources
}

/**
 * `NAME=PATH`, unless a file is called so as a whole: Lightning writes `epoch=3-step=100.ckpt`. Where neither is there, the whole
 * is what an error should name.
 * @throws UserError where both are there
 */
export async function parseSource(text: string, stateDict: string | undefined): Promise<Source> {
  const source = await readSource(text, stateDict)
  await refuseNoPath(source.path)
  return source
}

async function readSource(text: string, stateDict: string | undefined): Promise<Source> {
  const named = /^([^=/\\]+)=(.+)$/s.exec(text)
  const [isWhole, isPath] = await Promise.all([text, named?.[2] ?? ''].map(path => exists(path)))
  if (named && isWhole && isPath)
    throw new UserError(
      `${text} can be read as NAME=PATH, and a file is called so as a whole`,
      `Write ./${text} where that is meant, or call it something else.`,
    )
  const whole = !named || isWhole || !isPath
  return whole ? { path: text, stateDict } : { name: named[1], path: named[2], stateDict }
}

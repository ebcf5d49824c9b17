import { open } from 'node:fs/promises'
import { unreadable } from '../bytes/file.ts'
import { type Baseline, compare } from '../comparison/compare.ts'
import { pairModels } from '../comparison/pair.ts'
import { UserError } from '../errors.ts'
import type { Comparability } from '../policy/evaluate.ts'
import { judge, type Policy, undecided } from '../policy/judge.ts'
import { readReport } from '../report/io.ts'
import {
  type AnalysisOptions,
  type BaselineRecord,
  type Layer,
  type Model,
  type Provenance,
  type Report,
  SCHEMA_VERSION,
} from '../report/schema.ts'
import { VERSION } from '../version.ts'
import { type AnalyseContext, analyse, portable, type Source } from './analyse.ts'

export interface GateRequest {
  readonly sources: readonly Source[]
  /** An earlier report, the path of one or of another checkpoint; undefined where there is none. */
  readonly baseline?: string | FoundReport | undefined
  /** What a search for the baseline came to. */
  readonly search?: BaselineRecord | undefined
  readonly policy: Policy
  readonly provenance?: Provenance | undefined
}

/** A baseline that is at hand. `where` names it for people. */
export interface FoundReport {
  readonly report: Report
  readonly where: string
}

/** Checkpoints in, report with comparison and verdict out. */
export async function gate(request: GateRequest, context: AnalyseContext): Promise<Report> {
  const baseline =
    request.baseline === undefined ? undefined : await readBaseline(request.baseline, request.sources, context)
  const known = context.known && new Map([...context.known, ...fingerprinted(baseline?.models ?? [])])
  const models: Model[] = []
  for (const source of request.sources) models.push(await analyse(source, { ...context, known }))
  const { options } = context
  const compared = baseline && compare(models, options, baseline)
  const pairs = compared?.pairs ?? pairModels(models, []).pairs
  return {
    schemaVersion: SCHEMA_VERSION,
    tool: { name: 'spectral-gate', version: VERSION },
    options,
    models,
    ...(request.search && { baseline: request.search }),
    ...(compared && { comparison: compared.comparison }),
    verdict: judge(request.policy, pairs, comparability(compared?.comparison, request.search)),
    ...(request.provenance && { provenance: request.provenance }),
  }
}

/** The report of a gate that has nothing to look at: no model, and a verdict that says why. */
export function gateNothing(
  reason: string,
  { policy, provenance }: Pick<GateRequest, 'policy' | 'provenance'>,
  options: AnalysisOptions,
): Report {
  return {
    schemaVersion: SCHEMA_VERSION,
    tool: { name: 'spectral-gate', version: VERSION },
    options,
    models: [],
    verdict: undecided(policy, reason),
    ...(provenance && { provenance }),
  }
}

/** Rows that a layer of the same fingerprint can take its numbers from. */
function fingerprinted(models: readonly Model[]): [string, Layer][] {
  const rows = models.flatMap(model => model.layers).filter(layer => layer.status !== 'error')
  return rows.flatMap(({ reused, ...row }) => (row.fingerprint ? [[row.fingerprint, row]] : []))
}

function comparability(comparison: Report['comparison'], search: BaselineRecord | undefined): Comparability {
  if (!comparison && search && search.state !== 'first-run') {
    return { cause: 'unavailable', reason: `the baseline is ${search.state}` }
  }
  if (!comparison) return { cause: 'no-baseline', reason: 'there is no baseline to compare with yet' }
  return comparison.status === 'incomparable' ? { cause: 'incomparable', reason: comparison.reason } : { cause: '' }
}

/** A JSON object is an earlier report; anything else has to be a checkpoint. */
async function readBaseline(
  path: string | FoundReport,
  sources: readonly Source[],
  context: AnalyseContext,
): Promise<Baseline> {
  if (typeof path !== 'string') {
    const { options, models } = path.report
    return { path: path.where, kind: 'report', options, models }
  }
  try {
    if (await isJson(path)) {
      const { options, models } = await readReport(path)
      return { path: portable(path), kind: 'report', options, models }
    }
    const stateDict = sources.length === 1 ? sources[0].stateDict : undefined
    const model = await analyse({ path, stateDict }, context)
    return { path: portable(path), kind: 'checkpoint', options: context.options, models: [model] }
  } catch (error) {
    if (error instanceof UserError)
      throw new UserError(`The baseline can't be used. ${error.message}`, error.remedy, { cause: error })
    throw error
  }
}

async function isJson(path: string): Promise<boolean> {
  const file = await open(path).catch(cause => {
    throw unreadable(path, cause)
  })
  try {
    if ((await file.stat()).isDirectory()) return false
    const { bytesRead, buffer } = await file.read(Buffer.alloc(64), 0, 64, 0)
    return /^\s*\{/.test(buffer.toString('utf8', 0, bytesRead))
  } finally {
    await file.close()
  }
}

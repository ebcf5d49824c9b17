import { open } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { unreadable } from '../bytes/file.ts'
import { portable } from '../bytes/portable.ts'
import { WITHOUT_WAITING } from '../bytes/small-file.ts'
import { hasArraysBehind } from '../checkpoint/foreign.ts'
import { isShardIndex } from '../checkpoint/shards.ts'
import { type Baseline, compare } from '../comparison/compare.ts'
import { compareCustomMetrics } from '../comparison/custom-metrics.ts'
import { pairModels } from '../comparison/pair.ts'
import { explain, MissingCheckpointError, UserError } from '../errors.ts'
import type { Shard } from '../layers/shard.ts'
import { isComplete, withOnly } from '../metrics/layer.ts'
import type { Comparability } from '../policy/evaluate.ts'
import { earlierChanges } from '../policy/history.ts'
import { judge, lostModels, noCheckpoint, type Policy, undecided } from '../policy/judge.ts'
import type { NamedPart } from '../report/io.ts'
import { type PartialReport, readReport } from '../report/io.ts'
import {
  type AnalysisOptions,
  type BaselineRecord,
  type CustomMetric,
  type GateChange,
  type Layer,
  type Model,
  type Part,
  type PolicyRecord,
  type Provenance,
  type Report,
  type RuleResult,
  SCHEMA_VERSION,
} from '../report/schema.ts'
import { VERSION } from '../version.ts'
import { type AnalyseContext, analyse, analyseShard, modelName, type Source } from './analyse.ts'
import { type Absent, markReused, mergeParts } from './merge.ts'
import { refuseNoPath } from './paths.ts'

export interface GateRequest {
  readonly sources: readonly Source[]
  /** An earlier report, the path of one or of another checkpoint; undefined where there is none. */
  readonly baseline?: string | FoundReport | undefined
  /** What a search for the baseline came to. */
  readonly search?: BaselineRecord | undefined
  readonly policy: Policy
  /** The project's own metrics. */
  readonly figures?: readonly CustomMetric[] | undefined
  readonly provenance?: Provenance | undefined
  readonly governed?: GatePolicy | undefined
  /** Names of jobs that failed, any of which may have been to give a model. */
  readonly failedJobs?: readonly string[] | undefined
  /**
   * Told of each checkpoint that is not there and its path, which leaves the gate undecided; undefined where that is an error. It throws
   * where one is an error all the same.
   */
  readonly onMissing?: ((error: MissingCheckpointError, path: string) => Promise<void>) | undefined
}

/** What judges, for the report, and what a change of it would say. */
export interface GatePolicy {
  readonly policy: PolicyRecord
  /** Without what the new would have said: the gate finds that out. */
  readonly change?: GateChange | undefined
  readonly proposed?: { readonly policy: Policy; readonly options: AnalysisOptions } | undefined
  /** Why the gate in force can't decide, whatever its rules say: a sentence; undefined where it can. */
  readonly undecided?: string | undefined
}

export interface PartRequest extends Pick<GateRequest, 'sources' | 'provenance' | 'onMissing'> {
  readonly shard?: Shard | undefined
  readonly job?: Part['job']
  /** The option. */
  readonly stateDict?: string | undefined
}

/** A baseline that is at hand. `where` names it for people. */
export interface FoundReport {
  readonly report: Report
  readonly where: string
  /** Its numbers may be taken over: it is no file of the workspace, into which a pull request may have written. */
  readonly trusted: boolean
}

/** Checkpoints in, report with comparison and verdict out. */
export async function gate(request: GateRequest, context: AnalyseContext): Promise<Report> {
  const baseline =
    request.baseline === undefined ? undefined : await readBaseline(request.baseline, request.sources, context)
  const known = context.known && new Map([...context.known, ...reusable(request, baseline, context.options)])
  const { found: models, missing } = await eachThere(request, source => analyse(source, { ...context, known }))
  const missed = missing.map(({ source }) => source)
  const report = await conclude(models, baseline, { ...request, missing }, context.options)
  const { proposed } = request.governed ?? {}
  if (!report.gate_change || !proposed) return report
  if (isDeepStrictEqual(proposed.options, context.options))
    return await withProposed(report, models, baseline, { ...request, missing })
  const again = {
    ...context,
    options: proposed.options,
    known: new Map([...(known ?? []), ...fingerprinted(models, proposed.options)]),
  }
  const theirs: Model[] = []
  try {
    for (const source of request.sources) if (!missed.includes(source)) theirs.push(await analyse(source, again))
  } catch (error) {
    // What it leaves may be no layer at all: then there is nothing that it would have said.
    if (error instanceof UserError) return report
    throw error
  }
  return await withProposed(report, theirs, baseline, { ...request, missing })
}

/** What is made of each source that is there, and which are not. */
async function eachThere<T>(
  { sources, onMissing }: Pick<GateRequest, 'sources' | 'onMissing'>,
  make: (source: Source) => Promise<T>,
): Promise<{ readonly found: T[]; readonly missing: (Absent & { readonly source: Source })[] }> {
  const found: T[] = []
  const missing: (Absent & { readonly source: Source })[] = []
  for (const source of sources) {
    try {
      if (onMissing) await refuseNoPath(source.path)
      found.push(await make(source))
    } catch (error) {
      if (!(error instanceof MissingCheckpointError) || !onMissing) throw error
      await onMissing(error, source.path)
      missing.push({ name: nameOf(source), reason: explain(error).replaceAll('\n', ' '), source })
    }
  }
  return { found, missing }
}

/** Of a path that is not there, what stands before `=` may be the name. */
function nameOf({ name, path }: Source): string {
  return name ?? /^([^=/\\]+)=./s.exec(path)?.[1] ?? modelName(path)
}

/** What a gate judges: without what is not there. */
type Judged = Omit<GateRequest, 'sources' | 'baseline'> & { readonly missing?: readonly Absent[] | undefined }

/** The report, with what the proposed gate would have said of these models. */
async function withProposed(
  report: Report,
  models: Model[],
  baseline: Baseline | undefined,
  request: Judged,
): Promise<Report> {
  const { policy, options } = request.governed!.proposed!
  const { excusesMissing } = request.policy
  const ungoverned = { ...request, policy: { ...policy, excusesMissing }, governed: undefined }
  const { status, fails_job } = (await conclude(models, baseline, ungoverned, options)).verdict!
  const said = { status: status as Exclude<typeof status, 'accepted'>, fails_job }
  return { ...report, gate_change: { ...report.gate_change!, proposed: said } }
}

/** The report that one run over all layers of all models would have given, from its parts. */
export async function gateParts(
  parts: readonly NamedPart[],
  request: Omit<GateRequest, 'sources'>,
  context: Omit<AnalyseContext, 'options' | 'known'>,
): Promise<Report> {
  const { options, reuse, models, missing } = mergeParts(parts)
  if (missing.length > 0 && !request.onMissing)
    throw new UserError(
      missing[0].reason,
      'A part lacks its model: missing-checkpoint says here, too, what that means.',
    )
  const analysis = { ...context, options, known: reuse ? new Map() : null }
  const baseline = request.baseline === undefined ? undefined : await readBaseline(request.baseline, [], analysis)
  const known = reuse ? new Map(reusable(request, baseline, options)) : null
  const whole = models.map(model => markReused(model, known))
  const judged = { ...request, missing }
  const report = await conclude(whole, baseline, judged, options)
  return report.gate_change && request.governed?.proposed ? await withProposed(report, whole, baseline, judged) : report
}

/** The rows of a baseline that may stand for those of equal layers: of a trusted search, or computed here and now. */
function reusable(
  { baseline: asked }: Pick<GateRequest, 'baseline'>,
  baseline: Baseline | undefined,
  options: AnalysisOptions,
) {
  const own = baseline?.kind === 'checkpoint' || (typeof asked === 'object' && asked.trusted)
  return own ? fingerprinted(baseline?.models ?? [], options) : []
}

/** Comparison and verdict: what follows from the models alone. */
async function conclude(
  models: Model[],
  whole: Baseline | undefined,
  request: Judged,
  options: AnalysisOptions,
): Promise<Report> {
  const figures = request.figures ?? []
  const { missing = [] } = request
  if (models.length === 0 && missing.length > 0) return ofNothing(missing, request, options)
  const baseline = whole && withoutMissing(whole, models, missing)
  const compared = baseline && compare(models, options, baseline, figures, request.policy.renames)
  const pairs = compared?.pairs ?? pairModels(models, []).pairs
  return {
    schemaVersion: SCHEMA_VERSION,
    tool: { name: 'spectral-gate', version: VERSION },
    options,
    models,
    ...(figures.length > 0 && { figures: [...figures] }),
    ...(request.search && { baseline: request.search }),
    ...(compared && { comparison: compared.comparison }),
    verdict: judge(
      request.policy,
      pairs,
      comparability(compared?.comparison, request.search),
      compared?.comparison.figures ?? compareCustomMetrics(figures, []),
      [
        ...missing.map(({ reason }) => noCheckpoint(reason)),
        ...(request.governed?.undecided ? [unchangedGate(request.governed.undecided)] : []),
        ...(request.policy.ignore?.includes('lost-models')
          ? []
          : lostModels(pairs, compared?.comparison.removed ?? [], request.failedJobs)),
      ],
      await earlierChanges(request.search?.history),
    ),
    ...(request.governed && { policy: request.governed.policy }),
    ...(request.governed?.change && { gate_change: request.governed.change }),
    ...(request.provenance && { provenance: request.provenance }),
  }
}

/** A rule that always holds: a change is judged by the gate as it was. A reviewer may let it pass. */
function unchangedGate(reason: string): RuleResult {
  return {
    ...{ rule: 'the gate is the same', level: 'fail', builtin: false, model: '', outcome: 'inconclusive', value: null },
    ...{ unit: '', threshold: 0, layers: 0, of: 0, reason, cause: 'incomparable' },
  }
}

/** What is not there is compared with nothing, and is not lost. */
function withoutMissing(baseline: Baseline, models: readonly Model[], missing: readonly Absent[]): Baseline {
  const names = new Set(missing.map(({ name }) => name))
  for (const { name } of models) names.delete(name)
  return { ...baseline, models: baseline.models.filter(({ name }) => !names.has(name)) }
}

/** The report of a gate that has nothing to look at: no model, and a verdict that says why. */
function ofNothing(
  missing: readonly Absent[],
  { policy, provenance, governed }: Pick<GateRequest, 'policy' | 'provenance' | 'governed'>,
  options: AnalysisOptions,
): Report {
  const reasons = new Set(missing.map(({ reason }) => reason))
  return {
    schemaVersion: SCHEMA_VERSION,
    tool: { name: 'spectral-gate', version: VERSION },
    options,
    models: [],
    verdict: undecided(policy, [...reasons]),
    ...(governed && { policy: governed.policy }),
    ...(governed?.change && { gate_change: governed.change }),
    ...(provenance && { provenance }),
  }
}

/** The part of a report that one leg of a matrix, or one shard, makes: metrics, and no judgement. */
export async function gatePart(
  { sources, shard, job, stateDict, provenance, onMissing }: PartRequest,
  context: AnalyseContext,
): Promise<PartialReport> {
  const { found: parts, missing } = await eachThere({ sources, onMissing }, source =>
    analyseShard(source, context, shard ?? { index: 1, of: 1 }),
  )
  return {
    schemaVersion: SCHEMA_VERSION,
    tool: { name: 'spectral-gate', version: VERSION },
    options: context.options,
    models: parts.map(({ model }) => model),
    ...(provenance && { provenance }),
    part: {
      ...(shard && { shard }),
      ...(job && { job }),
      reuse: context.known !== null,
      ...(stateDict && { state_dict: stateDict }),
      ...(missing.length > 0 && { missing: missing.map(({ name, reason }) => ({ name, reason })) }),
      models: parts.map(({ layers, positions }) => ({ layers, positions })),
    },
  }
}

/** Rows that a layer of the same fingerprint can take its numbers from: those that have all of them. */
function fingerprinted(models: readonly Model[], options: AnalysisOptions): [string, Layer][] {
  const rows = models
    .flatMap(model => model.layers)
    .filter(layer => layer.status !== 'error' && isComplete(layer, options))
  return rows.flatMap(({ reused, ...row }) => (row.fingerprint ? [[row.fingerprint, withOnly(row, options)]] : []))
}

function comparability(comparison: Report['comparison'], search: BaselineRecord | undefined): Comparability {
  if (!comparison && search && search.state !== 'first-run') {
    const expected = search.state !== 'disabled'
    return { cause: 'unavailable', reason: `the baseline is ${search.state}`, ...(expected && { expected }) }
  }
  if (!comparison && search) return { cause: 'no-baseline', reason: 'there is no baseline to compare with yet' }
  if (!comparison) return { cause: 'unavailable', reason: 'no baseline was given' }
  return comparison.status === 'incomparable'
    ? { cause: 'incomparable', reason: comparison.reason, expected: true }
    : { cause: '', complete: comparison.removed.length === 0 }
}

/** A JSON object is an earlier report; anything else has to be a checkpoint. */
async function readBaseline(
  path: string | FoundReport,
  sources: readonly Source[],
  context: AnalyseContext,
): Promise<Baseline> {
  if (typeof path !== 'string') {
    const { options, models, figures } = path.report
    return { path: path.where, kind: 'report', options, models, figures }
  }
  try {
    if (!isShardIndex(path) && (await isJson(path))) {
      const { options, models, figures } = await readReport(path)
      return { path: portable(path), kind: 'report', options, models, figures }
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
  const file = await open(path, WITHOUT_WAITING).catch(cause => {
    throw unreadable(path, cause)
  })
  try {
    const found = await file.stat()
    // What is neither a file nor a folder is refused where it is read.
    if (!found.isFile()) return !found.isDirectory()
    const { bytesRead, buffer } = await file.read(Buffer.alloc(4096), 0, 4096, 0)
    const head = buffer.subarray(0, bytesRead)
    return /^\s*\{/.test(head.toString('utf8', 0, 64)) && !hasArraysBehind(head)
  } finally {
    await file.close()
  }
}

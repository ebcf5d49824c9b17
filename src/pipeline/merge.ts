import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../errors.ts'
import { sameRow } from '../metrics/layer.ts'
import { aggregates } from '../metrics/summary.ts'
import type { NamedPart } from '../report/io.ts'
import type { AnalysisOptions, Layer, Model } from '../report/schema.ts'
import { VERSION } from '../version.ts'

export interface Merged {
  readonly options: AnalysisOptions
  readonly reuse: boolean
  readonly models: Model[]
  readonly missing: Absent[]
}

/** A model whose checkpoint is not there. */
export interface Absent {
  readonly name: string
  readonly reason: string
}

/**
 * One model of each name, whole: every leg of the matrix and every shard is there exactly once, and all were made in the same
 * way of the same checkpoint.
 * @throws UserError that names the parts that are missing, doubled or different
 */
export function mergeParts(parts: readonly NamedPart[]): Merged {
  if (parts.length === 0) throw new UserError('There is no part to merge.', 'Name the reports that the parts wrote.')
  const sorted = [...parts].sort(inOrder)
  for (const part of sorted) comparable(part, sorted[0])
  completeJobs(sorted)
  const pieces = new Map<string, Piece[]>()
  for (const { where, report } of sorted) {
    const { models, part } = report
    if (models.length !== part.models.length) throw new UserError(`${where}: does not say where its layers belong`)
    for (const [i, model] of models.entries()) {
      const piece = { where, model, shard: part.shard ?? { index: 1, of: 1 }, ...part.models[i] }
      pieces.set(model.name, [...(pieces.get(model.name) ?? []), piece])
    }
  }
  const { options, part } = sorted[0].report
  const missing = sorted.flatMap(({ report }) => report.part.missing ?? [])
  return { options, reuse: part.reuse, models: [...pieces.values()].map(mergeModel), missing }
}

interface Piece {
  readonly where: string
  readonly model: Model
  readonly shard: { readonly index: number; readonly of: number }
  readonly layers: number
  readonly positions: readonly number[]
}

/** Legs as the matrix has them; what was made outside a matrix keeps the order in which it was named. */
function inOrder({ report: { part: a } }: NamedPart, { report: { part: b } }: NamedPart): number {
  const jobs = a.job && b.job ? compareText(a.job.id, b.job.id) || a.job.index - b.job.index : 0
  return jobs || (a.shard?.index ?? 0) - (b.shard?.index ?? 0)
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function comparable({ where, report }: NamedPart, first: NamedPart): void {
  const { tool, options, part } = report
  if (tool.version !== VERSION) {
    throw new UserError(
      `${where}: was made by version ${tool.version}, and this is ${VERSION}`,
      'Use one version in all jobs.',
    )
  }
  const different = (Object.keys({ ...first.report.options, ...options }) as (keyof AnalysisOptions)[]).filter(
    name => !isDeepStrictEqual(options[name], first.report.options[name]),
  )
  if (part.reuse !== first.report.part.reuse) different.push('reuse' as keyof AnalysisOptions)
  if (different.length > 0) {
    throw new UserError(
      `${where} and ${first.where} were made with other options (${different.join(', ')})`,
      'Give all parts the same, for example in the config file.',
    )
  }
}

/** A leg whose training failed has no part: it must not go unnoticed. */
function completeJobs(parts: readonly NamedPart[]): void {
  const jobs = new Map<string, { of: number; found: Set<number> }>()
  for (const { where, report } of parts) {
    const { job } = report.part
    if (!job) continue
    const { of, found } = jobs.get(job.id) ?? { of: job.of, found: new Set() }
    if (of !== job.of) throw new UserError(`${where}: its matrix has ${job.of} legs, another part's has ${of}`)
    jobs.set(job.id, { of, found: found.add(job.index) })
  }
  for (const [id, { of, found }] of jobs) {
    const missing = gaps(found, 0, of)
    if (missing.length === 0) continue
    throw new UserError(
      `The job ${JSON.stringify(id)} has ${of} legs, and there is no part of ${list(missing.map(index => index + 1))}.`,
      'Did a leg fail before its gate? Run it again, then this job.',
    )
  }
}

/** The numbers from `from` on that are not among those found: at most 20 of them. */
function gaps(found: ReadonlySet<number>, from: number, count: number): number[] {
  const missing: number[] = []
  for (let i = from; i < from + count && missing.length < 20; i++) if (!found.has(i)) missing.push(i)
  return missing
}

function list(numbers: readonly number[]): string {
  return `${numbers.length > 1 ? 'numbers' : 'number'} ${numbers.join(', ')}`
}

function mergeModel(pieces: readonly Piece[]): Model {
  const [first] = pieces
  const name = JSON.stringify(first.model.name)
  const { of } = first.shard
  const shards = new Map<number, Piece>()
  for (const piece of pieces) {
    const doubled = shards.get(piece.shard.index)
    if (doubled) {
      const what = of > 1 ? `Shard ${piece.shard.index}/${of} of the model ${name}` : `The model ${name}`
      throw new UserError(
        `${what} is there twice: ${doubled.where} and ${piece.where}.`,
        of > 1 ? 'Each shard belongs into one job.' : 'Give each model a name of its own: NAME=PATH.',
      )
    }
    shards.set(piece.shard.index, piece)
    sameCheckpoint(piece, first)
  }
  const missing = gaps(new Set(shards.keys()), 1, of)
  if (missing.length > 0) {
    throw new UserError(
      `The model ${name} was split into ${of} shards, and there is no part of ${list(missing)}.`,
      'Did its job fail? Run it again, then this one.',
    )
  }
  const rows = new Map<number, Layer>()
  for (const { where, model, positions } of pieces) {
    if (positions.length !== model.layers.length) throw new UserError(`${where}: does not say where its layers belong`)
    for (const [i, position] of positions.entries()) {
      if (rows.has(position)) throw new UserError(`${where}: layer ${position} of the model ${name} is there twice`)
      rows.set(position, model.layers[i])
    }
  }
  if (rows.size !== first.layers || gaps(new Set(rows.keys()), 0, rows.size).length > 0) {
    throw new UserError(`The parts of the model ${name} do not have each of its ${first.layers} layers`)
  }
  const layers = [...rows].sort(([a], [b]) => a - b).map(([, layer]) => layer)
  const { source, skipped, whole } = first.model
  return {
    ...{ name: first.model.name, source, layers, skipped },
    ...(whole && { whole }),
    ...aggregates(layers, skipped),
  }
}

function sameCheckpoint(piece: Piece, first: Piece): void {
  const same =
    piece.shard.of === first.shard.of &&
    piece.layers === first.layers &&
    isDeepStrictEqual(piece.model.source, first.model.source) &&
    isDeepStrictEqual(piece.model.skipped, first.model.skipped)
  if (same) return
  throw new UserError(
    `${piece.where} and ${first.where} are not shards of one checkpoint, though both are of the model ${JSON.stringify(first.model.name)}`,
    'Every shard reads the same file, and all have the same number of shards. Different models need names of their own: NAME=PATH.',
  )
}

/**
 * The model with its rows marked as one run would have: what the baseline has, and what an earlier layer has.
 * @param known rows by fingerprint; null where nothing was to be reused
 */
export function markReused(model: Model, known: ReadonlyMap<string, Layer> | null): Model {
  if (!known) return model
  const firsts = new Map<string, Layer>()
  const layers = model.layers.map(({ reused, ...row }): Layer => {
    if (row.fingerprint === undefined) return row
    const earlier = known.get(row.fingerprint)
    if (earlier) return sameRow(row, row, earlier, 'baseline')
    const first = firsts.get(row.fingerprint)
    if (first) return sameRow(row, row, first, 'run')
    firsts.set(row.fingerprint, row)
    return row
  })
  return { ...model, layers }
}

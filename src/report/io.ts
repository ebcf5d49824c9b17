import type * as z from 'zod'
import { checkJson, jsonProblem } from '../bytes/json.ts'
import { readSmallFile } from '../bytes/small-file.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { VERSION } from '../version.ts'
import { foreignReport, lenientReport, type Part, type Report, SCHEMA_VERSION, strictReport } from './schema.ts'

/**
 * A report as JSON: two spaces, lists of numbers on one line, so that a committed one can be reviewed in a diff. The same report
 * gives the same bytes.
 * @param most what is read again
 * @throws UserError where it would be too large to be read again; another where the report is not valid: our own mistake
 */
export function serialiseReport(report: Report, most: ReportBounds = limits.report): string {
  const valid = strictReport.parse(report)
  let text: string
  try {
    const json = toJson(valid)
    text = `${json.replace(/\[\n +(-?\d[^[\]{}"]*)\]/g, (_, numbers: string) => `[${numbers.trimEnd().replace(/,\s+/g, ', ')}]`)}\n`
  } catch (cause) {
    // The longest string that there can be has half a billion characters.
    if (cause instanceof RangeError) throw tooLarge(`more than the ${most.bytes} bytes`, cause)
    throw cause
  }
  const bytes = Buffer.from(text)
  if (bytes.length > most.bytes) throw tooLarge(`${bytes.length} bytes, more than the ${most.bytes}`)
  try {
    checkJson(bytes, { depth: limits.json.nestingLevels, marks: most.marksCount })
  } catch (cause) {
    throw tooLarge(`more than the ${most.marksCount} commas, colons and brackets`, cause)
  }
  return text
}

/** Of what is read as a report. */
export interface ReportBounds {
  readonly bytes: number
  readonly marksCount: number
}

function tooLarge(found: string, cause?: unknown): UserError {
  return new UserError(
    `The report would have ${found} that are read again`,
    'Leave layers out with include and exclude, or gate the models in several jobs.',
    { cause },
  )
}

/** JSON, with what would move the cursor or the order of characters on a terminal as escapes: it means the same. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, null, 2)
    .replace(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, escaped)
    .replaceAll('##[', '##\\u005b')
}

function escaped(character: string): string {
  return Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
  ).join('')
}

/** A report of some of the layers or some of the models, to be merged. */
export type PartialReport = Report & { readonly part: Part }

/** A part of a report. `where` names it for people. */
export interface NamedPart {
  readonly where: string
  readonly report: PartialReport
}

/**
 * Reads a whole report that this version or an earlier one wrote; unknown fields are dropped.
 * @param where names it in errors
 */
export function parseReport(bytes: Buffer, where: string): Report {
  return whole(parse(bytes, where), where)
}

/**
 * Reads a whole report that anybody may have written, lists of which are bounded, too.
 * @param left how many commas, colons and brackets may be read yet, of this and of others: it takes its own from them
 */
export function parseForeignReport(bytes: Buffer, where: string, left: MarksLeft): Report {
  return whole(parseAnyReport(jsonOf(bytes, where, left), where, AS_BASELINE, foreignReport), where)
}

function whole(report: Report, where: string): Report {
  if (!report.part) return report
  throw new UserError(`${where}: is a part of a report`, 'Merge all parts first (`mode: merge`, --merge).')
}

/** Reads a part of a report, as `parseReport` does a whole one. */
export function parsePart(bytes: Buffer, where: string): PartialReport {
  const report = parse(bytes, where)
  if (report.part) {
    // One of another version is refused as such, whatever words it has.
    const { error } = report.tool.version === VERSION ? strictReport.safeParse(report) : {}
    if (error) throw new UserError(`${where}: is not a part as this version writes it: ${wrong(error)}`, REMADE)
    return report as PartialReport
  }
  throw new UserError(`${where}: is a whole report`, 'A part is made with `mode: part`, or with a shard such as 1/4.')
}

const REMADE = 'Make it again with `mode: part`, or with a shard such as 1/4.'
const AS_BASELINE = 'A baseline is a report that --json wrote, or a checkpoint.'

function parse(bytes: Buffer, where: string): Report {
  return parseAnyReport(jsonOf(bytes, where, { ...limits.report }), where, AS_BASELINE)
}

/** What may be read yet. */
interface MarksLeft {
  marksCount: number
}

function jsonOf(bytes: Buffer, where: string, left: MarksLeft): unknown {
  try {
    left.marksCount -= checkJson(bytes, { depth: limits.json.nestingLevels, marks: left.marksCount })
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new UserError(`${where}: ${jsonProblem(cause)}`, AS_BASELINE, { cause })
  }
}

/**
 * A report, or a part of one, of what was read as JSON.
 * @param hint what there should have been
 */
export function parseAnyReport(json: unknown, where: string, hint: string, schema = lenientReport): Report {
  const version = (json as { schemaVersion?: unknown } | null)?.schemaVersion
  if (typeof version === 'number' && version > SCHEMA_VERSION) {
    throw new UserError(
      `${where}: was written by a newer version (schema ${version})`,
      'Use the same version on both branches.',
    )
  }
  const parsed = schema.safeParse(json)
  if (!parsed.success) {
    throw new UserError(`${where}: is JSON, but not a report of Spectral Gate: ${wrong(parsed.error)}`, hint)
  }
  return parsed.data as Report
}

/** @throws UserError where the file is too large or is not a report */
export async function readReport(path: string): Promise<Report> {
  return parseReport(await readBytes(path), path)
}

/** @throws UserError where the file is too large or is not a part of a report */
export async function readPart(path: string): Promise<PartialReport> {
  return parsePart(await readBytes(path), path)
}

/** @throws UserError where the file is too large, or can't be read */
export async function readBytes(path: string): Promise<Buffer> {
  return readSmallFile(path, limits.report.bytes).catch(cause => {
    if (cause instanceof UserError) throw cause
    throw new UserError(`${path}: can't be read (${cause.code})`, '', { cause })
  })
}

/** The first thing that is not as it should be, by its place. */
export function wrong({ issues: [{ path, message }] }: z.ZodError): string {
  const place = path
    .map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`))
    .join('')
  return place ? `${place.slice(0, 200)}: ${message}` : message
}

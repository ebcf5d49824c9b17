import { jsonProblem, parseJson } from '../bytes/json.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { parseAnyReport, readBytes } from '../report/io.ts'
import type { Report } from '../report/schema.ts'
import { readSeriesReport } from '../series/report.ts'
import type { SeriesReport } from '../series/schema.ts'

/**
 * What is to be drawn: a report or a part of one, or a series, that this version or an earlier one wrote.
 * @throws UserError where the file is neither
 */
export async function readRendered(
  path: string,
): Promise<
  { readonly kind: 'report'; readonly report: Report } | { readonly kind: 'series'; readonly report: SeriesReport }
> {
  const bytes = await readBytes(path)
  let json: unknown
  try {
    json = parseJson(bytes, { depth: limits.json.nestingLevels, marks: limits.report.marksCount })
  } catch (cause) {
    throw new UserError(`${path}: ${jsonProblem(cause)}`, 'render takes a report that --json wrote.', { cause })
  }
  const isSeries = typeof json === 'object' && json !== null && 'points' in json
  if (isSeries) return { kind: 'series', report: readSeriesReport(json, path) }
  return { kind: 'report', report: parseAnyReport(json, path, 'render takes a report that --json wrote.') }
}

import * as z from 'zod'
import { readSmallFile } from '../bytes/small-file.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { isLayerMetric } from './columns.ts'
import { isModelMetric } from './metrics.ts'
import { CUSTOM_METRIC_NAME, type CustomMetric } from './schema.ts'

const value = z.union([
  z.number(),
  z.strictObject({ value: z.number(), better: z.enum(['higher', 'lower']).optional() }),
])
/** What rules take for something else. */
const TAKEN = ['delta', 'any', 'count', 'mean', 'median', 'std', 'min', 'max', '__proto__']
const FORMAT = 'It holds JSON such as {"accuracy": {"value": 0.93, "better": "higher"}, "steps": 1200}.'

/**
 * A project's own metrics: JSON, from each name to a number, or to `{value, better}`, where `better` says which direction is.
 * @throws UserError that names the file and the custom metric
 */
export async function readCustomMetrics(path: string): Promise<CustomMetric[]> {
  const bytes = await readSmallFile(path, limits.report.customMetricsBytes).catch(cause => {
    if (cause instanceof UserError) throw cause
    throw new UserError(`${path}: the metrics file can't be read (${cause.code})`, '', { cause })
  })
  return parseCustomMetrics(bytes.toString('utf8'), path)
}

/** @param where names the text in errors */
export function parseCustomMetrics(text: string, where: string): CustomMetric[] {
  let json: unknown
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (cause) {
    throw new UserError(`${where}: is not valid JSON`, `${FORMAT} NaN and Infinity are no numbers of JSON.`, { cause })
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new UserError(`${where}: is not an object from names to numbers`, FORMAT)
  }
  const entries = Object.entries(json)
  if (entries.length > limits.report.customMetricsCount) {
    throw new UserError(`${where}: has ${entries.length} metrics, more than ${limits.report.customMetricsCount}`)
  }
  return entries.map(([name, said]) => {
    const quoted = JSON.stringify(name.slice(0, 200))
    if (!CUSTOM_METRIC_NAME.test(name)) {
      throw new UserError(
        `${where}: ${quoted} is no name of a custom metric`,
        'A name begins with a letter or _, and goes on with letters, digits, _ - . and /, 100 in all at the most.',
      )
    }
    if (isLayerMetric(name) || isModelMetric(name) || TAKEN.includes(name)) {
      throw new UserError(
        `${where}: ${quoted} is a word of the rules already`,
        'Give it another name, such as my_alpha.',
      )
    }
    const parsed = value.safeParse(said)
    if (!parsed.success) throw new UserError(`${where}: ${quoted} is not a number, nor {value, better}`, FORMAT)
    return typeof parsed.data === 'number' ? { name, value: parsed.data } : { name, ...parsed.data }
  })
}

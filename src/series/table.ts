import { parseYaml, tooMuchYaml } from '../bytes/yaml.ts'
import { quoted, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { CUSTOM_METRIC_NAME } from '../report/schema.ts'
import { firstTwice } from '../words.ts'
import { isKnownMetric } from './directions.ts'
import { type LayerSigns, type Point, type Series, type Target, tooMany } from './points.ts'

/** A row as it stands in a file. */
interface Row {
  /** The file and the row, for errors. */
  readonly where: string
  readonly cells: ReadonlyMap<string, string>
}

/** What a file that a row names turned out to hold. */
export interface Measured {
  readonly name: string
  readonly metrics: ReadonlyMap<string, number | null>
  readonly signs: LayerSigns
}

/** Analyses or reads the checkpoint or report of a row. `where` names the row in errors. */
export type Measure = (path: string, where: string) => Promise<Measured>

const ROLES = { name: ['name', 'model'], path: ['checkpoint', 'report'], group: ['group'], step: ['step'] } as const
const LOWER = 'error'
const HIGHER = 'accuracy'
/** As spreadsheets and pandas write what is not there. */
const ABSENT = new Set(['', 'nan', 'null', 'none', 'na', 'n/a', '~'])
const LIST =
  'A list has a row a model: checkpoint (or metrics), accuracy or error, and optionally name, group and step.'

/** Whether a path is that of a list or table, by its ending. */
export function isTable(path: string): boolean {
  return /\.(csv|tsv|ya?ml)$/i.test(path)
}

/**
 * Reads a list of checkpoints or reports, or a plain table of metrics: CSV with a header, or YAML with a list of mappings.
 * @param path names the file in errors, and its ending says what it is
 * @throws UserError naming the file, the row and the column
 */
export async function readTable(text: string, path: string, measure: Measure): Promise<Series> {
  const rows = /\.ya?ml$/i.test(path) ? await yamlRows(text, path) : await csvRows(text, path)
  if (rows.length === 0) throw new UserError(`${path}: has no rows`, LIST)
  if (rows.length > limits.series.modelsCount) throw tooMany(rows.length)
  const columns = [...new Set(rows.flatMap(({ cells }) => [...cells.keys()]))]
  if (columns.length > limits.series.columnsCount) throw tooWide(columns.length, path)
  const long = columns.find(name => name.length > limits.series.nameCharacters)
  if (long !== undefined) throw new UserError(`${path}: the name of the column ${quoted(long)} is too long`)
  const roles = Object.fromEntries(
    Object.entries(ROLES).map(([role, names]) => [role, oneColumn(columns, names, path)]),
  ) as Record<keyof typeof ROLES, string | undefined>
  const target = targetColumn(columns, path)
  const taken = new Set([...Object.values(roles), target?.column])
  const others = columns.filter(name => !taken.has(name))
  const own = new Map(others.flatMap(name => ownMetric(name, path)))
  const metrics = others.filter(name => own.has(name) || isKnownMetric(name))
  const ignored = others.filter(name => !metrics.includes(name))
  if (metrics.length === 0 && !roles.path)
    throw new UserError(
      `${path}: no column is a metric, and none names a checkpoint (${columns.map(quoted).slice(0, 20).join(', ')})`,
      'A metric of your own says which way is better in its heading: sharpness (smaller).',
    )
  const points: Point[] = []
  for (const row of rows) {
    const cell = (column: string | undefined) => (column === undefined ? undefined : present(row.cells.get(column)))
    const value = target && cell(target.column)
    const file = cell(roles.path)
    if (roles.path && file === undefined && metrics.length === 0)
      throw new UserError(`${row.where}: ${roles.path} is empty`, LIST)
    const measured = file === undefined ? undefined : await measure(file, row.where)
    const given = metrics.map((name): [string, number | null] => {
      const text = cell(name)
      return [own.get(name)?.name ?? name, text === undefined ? null : number(text, row, name)]
    })
    const twice = given.find(([name, value]) => value !== null && measured?.metrics.has(name))
    if (twice)
      throw new UserError(`${row.where}: ${quoted(twice[0])} is in the table, and measured of ${quoted(file!)} too`)
    const step = cell(roles.step)
    points.push({
      name: name(cell(roles.name) ?? measured?.name ?? `row ${points.length + 1}`, row),
      group: cell(roles.group) === undefined ? undefined : name(cell(roles.group)!, row),
      step: step === undefined ? undefined : number(step, row, roles.step!),
      target: value === undefined ? undefined : number(value, row, target!.column),
      metrics: new Map([...given.filter(([name]) => !measured?.metrics.has(name)), ...(measured?.metrics ?? [])]),
      signs: measured?.signs,
    })
  }
  assureWhole(points, rows, roles, target?.column)
  const known = points.some(point => point.target !== undefined)
  if (target && !known && points.every(point => point.step === undefined))
    throw new UserError(`${path}: ${target.column} is empty in every row`, LIST)
  return {
    ...{ target: known ? target?.target : undefined, points, ignored },
    directions: new Map([...own.values()].map(({ name, better }) => [name, better])),
  }
}

/**
 * What one row has, all have: a part must not pass for the whole.
 * @throws UserError naming the first row that lacks it
 */
function assureWhole(
  points: readonly Point[],
  rows: readonly Row[],
  { group, step }: Record<'group' | 'step', string | undefined>,
  target: string | undefined,
): void {
  const demand = (column: string | undefined, has: (point: Point) => boolean, why: string) => {
    if (column === undefined || points.every(point => !has(point))) return
    const missing = points.findIndex(point => !has(point))
    if (missing >= 0) throw new UserError(`${rows[missing].where}: ${column} is empty`, why)
  }
  demand(target, point => point.target !== undefined, 'Leave the row out, or say what is known of its model.')
  demand(group, point => point.group !== undefined, 'Each model has a group, or none has.')
  demand(step, point => point.step !== undefined, 'Each model has a step of a training, or none has.')
  if (new Set(points.map(point => point.group)).size > limits.series.groupsCount)
    throw new UserError(`${rows[0].where.split(': ')[0]}: has more than ${limits.series.groupsCount} groups`)
}

function oneColumn(columns: readonly string[], names: readonly string[], path: string): string | undefined {
  const found = columns.filter(column => names.includes(column.toLowerCase()))
  if (found.length > 1) throw new UserError(`${path}: ${found.join(' and ')} say the same thing`, 'Leave one out.')
  return found[0]
}

/** `accuracy` or `error`; where neither is there, the one column that ends so, such as top1_error. */
function targetColumn(columns: readonly string[], path: string): { column: string; target: Target } | undefined {
  const exact = columns.filter(column => [LOWER, HIGHER].includes(column.toLowerCase()))
  const ending = columns.filter(column => /[_ -](accuracy|error)$/i.test(column))
  const found = exact.length > 0 ? exact : ending
  if (found.length > 1)
    throw new UserError(
      `${path}: ${found.map(quoted).join(' and ')} could be what is known of the models`,
      `Call the one that counts ${HIGHER} or ${LOWER}.`,
    )
  const [column] = found
  if (column === undefined) return undefined
  return { column, target: { name: column, better: column.toLowerCase().endsWith(LOWER) ? 'lower' : 'higher' } }
}

/** `sharpness (smaller)`: a metric of the user's own, and which way is better. */
function ownMetric(column: string, path: string): [string, { name: string; better: 'smaller' | 'larger' }][] {
  for (const better of ['smaller', 'larger'] as const) {
    const ending = ` (${better})`
    const name = column.slice(0, -ending.length).trim()
    if (!column.endsWith(ending)) continue
    if (!CUSTOM_METRIC_NAME.test(name) || name === '__proto__' || isKnownMetric(name))
      throw new UserError(
        `${path}: ${quoted(name)} is no name of a metric of your own`,
        'It begins with a letter or _, goes on with letters, digits, _ - . and /, and is no metric that is known already.',
      )
    return [[column, { name, better }]]
  }
  return []
}

function present(text: string | undefined): string | undefined {
  return text === undefined || ABSENT.has(text.trim().toLowerCase()) ? undefined : text.trim()
}

function number(text: string, { where }: Row, column: string): number {
  const value = text.length <= 64 && /^[-+.\dEe]+$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isFinite(value)) throw new UserError(`${where}: ${column} is ${quoted(text)}, which is no number`)
  if (Math.abs(value) <= limits.series.largestNumber) return value
  throw new UserError(`${where}: ${column} is ${text}, beyond ${limits.series.largestNumber}`)
}

function name(text: string, { where }: Row): string {
  if (text.length <= limits.series.nameCharacters) return text
  throw new UserError(
    `${where}: ${quoted(text)} has ${text.length} characters, more than the ${limits.series.nameCharacters} of a name`,
  )
}

async function csvRows(text: string, path: string): Promise<Row[]> {
  const { parse } = await import('csv-parse/sync')
  const end = text.indexOf('\n')
  const first = end < 0 ? text : text.slice(0, end)
  const delimiter = /\.tsv$/i.test(path) ? '\t' : first.includes(';') && !first.includes(',') ? ';' : ','
  let records: { record: string[]; info: { lines: number } }[]
  try {
    records = parse(text, {
      ...{ delimiter, bom: true, info: true, skip_empty_lines: true, relax_column_count: true },
      ...{ trim: true, to: limits.series.modelsCount + 2 },
    }) as unknown as typeof records
  } catch (cause) {
    const lines = (cause as { lines?: number }).lines
    throw new UserError(`${path}: is not valid CSV${lines ? ` (line ${lines})` : ''}`, LIST, { cause })
  }
  const [head, ...rest] = records
  if (!head) return []
  const columns = head.record
  if (columns.length > limits.series.columnsCount) throw tooWide(columns.length, path)
  const twice = firstTwice(columns.filter(column => column !== ''))
  if (twice !== undefined) throw new UserError(`${path}: has two columns ${quoted(twice)}`)
  return rest.map(({ record, info: { lines } }) => {
    const where = `${path}: line ${lines}`
    if (record.length !== columns.length)
      throw new UserError(`${where}: has ${record.length} fields, but the header has ${columns.length}`)
    return { where, cells: new Map(columns.map((column, i): [string, string] => [column, record[i]])) }
  })
}

async function yamlRows(text: string, path: string): Promise<Row[]> {
  const problem = tooMuchYaml(text, { marks: limits.series.marksCount, depth: limits.series.nestingLevels })
  if (problem) throw new UserError(`${path}: ${problem}`, LIST)
  let value: unknown
  let twice: string | undefined
  try {
    const document = await parseYaml(text, false)
    twice = firstDouble(document.contents)
    value = document.toJS({ maxAliasCount: 0 })
  } catch (cause) {
    const line = / at line (\d+)/.exec((cause as Error).message)?.[1]
    throw new UserError(`${path}: is not valid YAML${line ? ` (line ${line})` : ''}`, LIST, { cause })
  }
  if (twice !== undefined) throw new UserError(`${path}: has two columns ${quoted(twice)}`)
  if (!Array.isArray(value)) throw new UserError(`${path}: is not a list of models`, LIST)
  return value.map((entry: unknown, i) => {
    const where = `${path}: row ${i + 1}`
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
      throw new UserError(`${where}: is no mapping`, LIST)
    const cells = Object.entries(entry).map(([key, cell]: [string, unknown]): [string, string] => {
      if (typeof cell === 'object' && cell !== null)
        throw new UserError(`${where}: ${quoted(key)} is neither text nor a number`, LIST)
      return [key, String(cell ?? '')]
    })
    return { where, cells: new Map(cells) }
  })
}

function tooWide(columns: number, path: string): UserError {
  return new UserError(`${path}: has ${columns} columns, more than ${limits.series.columnsCount}`)
}

interface Yaml {
  readonly items?: readonly { readonly items?: readonly { readonly key?: unknown }[] }[]
}

/** The first key that a mapping of a list has twice. */
function firstDouble(list: unknown): string | undefined {
  const rows = (list as Yaml | null)?.items ?? []
  return rows.map(({ items = [] }) => firstTwice(items.map(({ key }) => String(key)))).find(key => key !== undefined)
}

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './cli.ts'

const SHARED = join(root, '../shared')

/** Whether the reference data lies beside the clone. */
export const hasShared = existsSync(join(SHARED, 'reference'))

type Row = Record<string, number | string> & { name: string }

/** What the real WeightWatcher computes for a real checkpoint: tables by analysis, a row a layer. */
export interface Reference {
  readonly name: string
  readonly path: string
  readonly tables: Readonly<Record<string, Row[]>>
  readonly nearTie: readonly string[]
}

/** The references that have a table, by the name of their checkpoint. None where the data is not here. */
export function references(table: string): Reference[] {
  if (!hasShared) return []
  const manifest = readFileSync(join(SHARED, 'checkpoints/manifest.tsv'), 'utf8').trim().split('\n').slice(1)
  return manifest.flatMap(line => {
    const [name, file] = line.split('\t')
    const path = join(SHARED, 'reference', `${name}.json`)
    const tables = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
    return tables[table]
      ? [{ name, path: join(SHARED, 'checkpoints', file), tables, nearTie: tables.near_tie ?? [] }]
      : []
  })
}

/** The row of a tensor, whose key the file may have below others. */
export function rowOf(rows: readonly Row[], tensor: string): Row[] {
  const plain = (name: string) => name.replace(/^\//, '')
  const exact = rows.filter(({ name }) => plain(name) === plain(tensor))
  return exact.length > 0 ? exact : rows.filter(({ name }) => tensor.endsWith(`/${plain(name)}`))
}

/** The path of a real checkpoint, by its name. */
export function sharedCheckpoint(name: string): string {
  const manifest = readFileSync(join(SHARED, 'checkpoints/manifest.tsv'), 'utf8').split('\n')
  const [, file] = manifest.map(line => line.split('\t')).find(([first]) => first === name)!
  return join(SHARED, 'checkpoints', file)
}

import { join, posix, resolve } from 'node:path'
import { readSmallFile } from '../bytes/small-file.ts'
import { parseYaml, tooMuchYaml } from '../bytes/yaml.ts'
import type { Api } from '../github/api.ts'
import type { Context } from '../github/context.ts'
import { blobId, readAt } from '../github/repository.ts'
import { limits } from '../limits.ts'

/**
 * The file by which DVC knows the content of another, where the judged change edits what it says of it; undefined where none does.
 * DVC keeps `PATH.dvc` beside a file or one of the folders that it lies in, or lists it in a `dvc.lock` in one of them.
 * GitHub's errors pass through.
 *
 * @param inRepository the path of the file in the repository
 * @param path the same, where it was checked out
 * @param ref of the base branch
 */
export async function editedByDvc(
  api: Api,
  context: Context,
  { inRepository, path, ref }: { inRepository: string; path: string; ref: string },
): Promise<string | undefined> {
  const above = foldersOf(inRepository)
  const root = resolve(path, ...above.map(() => '..'))
  const most = limits.checkpoint.configBytes
  const at = async (name: string) => {
    const base = await readAt(api, context, { path: name, ref, most })
    const head = base && (await readSmallFile(join(root, name), most).catch(() => Buffer.alloc(0)))
    return base && head && blobId(base) !== blobId(head) ? { base, head } : undefined
  }
  for (const name of [inRepository, ...above.filter(folder => folder !== '')]) {
    if (await at(`${name}.dvc`)) return `${name}.dvc`
  }
  for (const folder of above) {
    const lock = posix.join(folder, 'dvc.lock')
    const found = await at(lock)
    if (!found) continue
    const [base, head] = await Promise.all(
      [found.base, found.head].map(bytes => outputs(bytes.toString('utf8'), folder, inRepository)),
    )
    if (base === undefined || base !== head) return lock
  }
  return undefined
}

/** The folders that a path of the repository lies in, the nearest first; the last is the repository, an empty text. */
function foldersOf(path: string): string[] {
  const folder = posix.dirname(path)
  return folder === '.' ? [''] : [folder, ...foldersOf(folder)]
}

/** What a dvc.lock says of a file, or of a folder that it lies in; undefined where it can't be read. */
async function outputs(text: string, folder: string, file: string): Promise<string | undefined> {
  if (tooMuchYaml(text, { marks: limits.checkpoint.configMarks, depth: limits.config.nestingLevels })) return undefined
  const lock = await parseYaml(text, false)
    .then((document): { stages?: Record<string, { outs?: unknown[] }> } => document.toJS({ maxAliasCount: 0 }))
    .catch(() => undefined)
  if (typeof lock !== 'object' || lock === null) return undefined
  const outs = Object.values(lock.stages ?? {}).flatMap(stage => (Array.isArray(stage?.outs) ? stage.outs : []))
  const ofFile = outs.filter(out => {
    const named = (out as { path?: unknown } | null)?.path
    const place = typeof named === 'string' ? posix.join(folder, named) : ''
    return place !== '' && (place === file || file.startsWith(`${place}/`))
  })
  return JSON.stringify(ofFile)
}

import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { exists } from '../bytes/file.ts'
import { isInside, located, workspaceOf } from '../bytes/workspace.ts'
import { UserError } from '../errors.ts'
import type { Context } from '../github/context.ts'
import { isOfAnother } from '../github/git.ts'

/**
 * The checkout that a path lies in: the nearest folder above it that has a `.git`, no further up than the workspace, or else
 * the workspace. A link to a checkout is none: a change can put one in the place of a folder, so that other files have its paths.
 */
export async function checkoutOf(path: string, workspace: string): Promise<string> {
  const root = workspaceOf(workspace)
  for (let at = dirname(located(resolve(root, path), workspace)); isInside(at, root); at = dirname(at)) {
    if (at === root) break
    if ((await exists(join(at, '.git'))) && (await realpath(at).catch(() => '')) === at) return at
  }
  return root
}

/** The one checkout of a job: the workspace, or the only folder of it that is one; where there are several, that of the checkpoint. */
export async function mainCheckout(checkpoints: readonly string[], workspace: string): Promise<string> {
  const root = workspaceOf(workspace)
  if (await exists(join(root, '.git'))) return root
  for (const checkpoint of checkpoints) {
    const found = await checkoutOf(withoutName(checkpoint), root)
    if (found !== root) return found
  }
  const folders = await subfolders(root)
  const checkouts: string[] = []
  for (const folder of folders) if (await exists(join(folder, '.git'))) checkouts.push(folder)
  return checkouts.length === 1 ? checkouts[0] : root
}

/** Every checkout in the workspace, down to this depth of folders. */
export async function allCheckouts(workspace: string, depth = 3): Promise<string[]> {
  const found = (await exists(join(workspace, '.git'))) ? [workspace] : []
  if (depth === 0) return found
  for (const folder of await subfolders(workspace)) found.push(...(await allCheckouts(folder, depth - 1)))
  return found
}

/** The path of `NAME=PATH`. */
export function withoutName(checkpoint: string): string {
  return /^[^=/\\]+=(.+)$/s.exec(checkpoint)?.[1] ?? checkpoint
}

/** Whether a folder is a submodule's checkout: its `.git` is a file, and not that of another worktree of a checkout. */
export async function isSubmodule(checkout: string): Promise<boolean> {
  const file = join(checkout, '.git')
  const found = await stat(file).catch(() => undefined)
  if (!found?.isFile()) return false
  const folder = /^gitdir: (.+)$/m.exec(found.size < 8192 ? await readFile(file, 'utf8') : '')?.[1]
  return folder === undefined || !(await exists(join(resolve(checkout, folder), 'commondir')))
}

export function isCheckout(folder: string): Promise<boolean> {
  return exists(join(folder, '.git'))
}

async function subfolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries
    .filter(entry => entry.isDirectory() && entry.name !== '.git' && entry.name !== 'node_modules')
    .slice(0, 1000)
    .map(entry => join(folder, entry.name))
}

/**
 * The path of a file within the repository, as it was checked out; undefined where it lies outside the workspace, or was checked out
 * from another repository.
 * @param within a submodule, and another repository's checkout, count as part of what they lie in: a change can put one in the place of a
 * folder, or of the whole
 */
export async function repositoryPath(
  path: string,
  context: Context,
  { within = false } = {},
): Promise<string | undefined> {
  const root = workspaceOf()
  let checkout = await checkoutOf(path, root)
  const isForeign = async () => (await isSubmodule(checkout)) || (await isOfAnother(checkout, context))
  while (within && checkout !== root && (await isForeign())) {
    const around = await checkoutOf(checkout, root)
    if (!(await isCheckout(around))) break
    checkout = around
  }
  const below = pathWithin(checkout, path)
  return below === undefined || (!within && (await isOfAnother(checkout, context))) ? undefined : below
}

/** The path of a file below a checkout, as the repository has it; undefined where it does not lie there. */
export function pathWithin(checkout: string, path: string): string | undefined {
  const at = located(path)
  return isInside(at, checkout) ? relative(checkout, at).split(sep).join('/') : undefined
}

/** A path and its ends, the longest first. */
export function pathEnds(path: string): string[] {
  const parts = path.split('/')
  return parts.map((_, i) => parts.slice(i).join('/'))
}

/**
 * What leads back after a folder leads to one place as a text, and to another where that folder is a link.
 * @throws UserError for such a path
 */
export function refuseBack(path: string): void {
  const parts = path.split(sep).filter(part => part !== '' && part !== '.')
  if (parts.some((part, i) => part === '..' && i > 0 && parts[i - 1] !== '..'))
    throw new UserError(`${path} leads back (..) after a folder.`, 'Write the path without that.')
}

import { readdir } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { exists } from '../bytes/file.ts'
import { MissingCheckpointError } from '../errors.ts'
import { nearest } from '../words.ts'

/**
 * Refuses a path that leads to no file where it looks like something that only a shell, or another system, understands.
 * @throws MissingCheckpointError with what to write instead
 */
export async function refuseNoPath(path: string): Promise<void> {
  if (await exists(path)) return
  const hint = await whatElse(path)
  if (hint) throw new MissingCheckpointError(path, 'no such file or folder', hint)
}

/** Whether something stands between two characters. */
function isAround(path: string, open: string, close: string): boolean {
  const from = path.indexOf(open)
  return from >= 0 && path.lastIndexOf(close) > from + 1
}

async function whatElse(path: string): Promise<string> {
  if (path.length > 1 && (path[0] === '"' || path[0] === "'") && path.endsWith(path[0])) {
    return `Write it without quotes: ${path.slice(1, -1)}`
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) {
    return 'It is a URL: let a step before this one download the file, and name where it lies.'
  }
  if (path.startsWith('~'))
    return 'No shell reads it, which would put the home folder in place of ~: write the whole path.'
  if (/\$\w|\$\{|%\w+%/.test(path)) {
    return `No shell reads it, which would put a value in place of the variable: write the path, or an expression such as \${{ github.workspace }}.`
  }
  if (path.includes('\\')) {
    const forward = path.replaceAll('\\', '/')
    return (await exists(forward)) ? `Write it with forward slashes: ${forward}` : 'Write it with forward slashes.'
  }
  if (/[*?]/.test(path) || isAround(path, '[', ']') || isAround(path, '{', '}')) {
    return 'Patterns are expanded by a shell, or in the Action’s checkpoint input: this one matches no file.'
  }
  const other = process.env.GITHUB_WORKSPACE && !isAbsolute(path) ? await belowWorkingDirectory(path) : undefined
  if (other) return `A step's working-directory does not hold for an action: write ${other}`
  const names = await readdir(dirname(path)).catch((): string[] => [])
  const near = nearest(basename(path), names.slice(0, 10_000))
  return near ? `Did you mean ${join(dirname(path), near)}?` : ''
}

/** The same file one folder down, as where `working-directory` is set for the steps around it. */
async function belowWorkingDirectory(path: string): Promise<string | undefined> {
  const entries = await readdir('.', { withFileTypes: true }).catch(() => [])
  const found: string[] = []
  for (const entry of entries.filter(entry => entry.isDirectory()).slice(0, 200)) {
    const candidate = join(entry.name, path)
    if (await exists(candidate)) found.push(candidate)
  }
  return found.length === 1 ? found[0] : undefined
}

import { realpathSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { CheckpointError } from '../errors.ts'

/** Where the job's files lie: a runner may name it by a link, which the working directory does not have in it. */
export function workspaceOf(workspace = process.env.GITHUB_WORKSPACE): string {
  const named = resolve(workspace || '.')
  try {
    return realpathSync(named)
  } catch {
    return named
  }
}

/** The whole path of a file, below the workspace as `workspaceOf` has it. */
export function located(path: string, workspace = process.env.GITHUB_WORKSPACE): string {
  const [at, named] = [resolve(path), resolve(workspace || '.')]
  return isInside(at, named) ? join(workspaceOf(workspace), relative(named, at)) : at
}

/**
 * In a workflow, a path in the workspace may be a link that a pull request brought. It must not lead out of it: into secrets of the
 * runner, whose first bytes an error would show. What the workflow itself names outside the workspace is its own affair, and so is
 * everything on the command line.
 * @throws CheckpointError where it leads out
 */
export async function stayInWorkspace(path: string, workspace = process.env.GITHUB_WORKSPACE): Promise<void> {
  const root = workspaceOf(workspace)
  if (!workspace || !isInside(located(path, workspace), root)) return
  const real = await realpath(path).catch(() => undefined)
  if (real === undefined || isInside(real, root)) return
  throw new CheckpointError(
    path,
    'is a symbolic link that leads out of the workspace',
    'Name the file itself, or copy it into the workspace.',
  )
}

/**
 * In a workflow, a list may be one that a pull request brought: what it names lies in the workspace, or where the runner keeps the files of
 * this job.
 * @throws CheckpointError where it lies elsewhere
 */
export function refuseOutside(
  path: string,
  { GITHUB_WORKSPACE: workspace, RUNNER_TEMP: temporary } = process.env,
): void {
  if (!workspace) return
  if (isInside(located(path, workspace), workspaceOf(workspace))) return
  if (temporary && isInside(resolve(path), resolve(temporary))) return
  throw new CheckpointError(
    path,
    'lies outside of the workspace',
    'Name it in the input series itself, or copy it into the workspace.',
  )
}

export function isInside(path: string, root: string): boolean {
  const way = relative(root, path)
  return way === '' || !(way === '..' || way.startsWith(`..${sep}`) || resolve(way) === way)
}

import { realpath } from 'node:fs/promises'
import { resolve, sep } from 'node:path'
import { CheckpointError } from '../errors.ts'

/**
 * In a workflow, a path in the workspace may be a link that a pull request brought. It must not lead out of it: into secrets of the
 * runner, whose first bytes an error would show. What the workflow itself names outside the workspace is its own affair, and so is
 * everything on the command line.
 * @throws CheckpointError where it leads out
 */
export async function stayInWorkspace(path: string, workspace = process.env.GITHUB_WORKSPACE): Promise<void> {
  if (!workspace || !isInside(resolve(path), resolve(workspace))) return
  const [real, root] = await Promise.all([path, workspace].map(one => realpath(one).catch(() => undefined)))
  if (real === undefined || root === undefined || isInside(real, root)) return
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
  if ([workspace, temporary].some(folder => folder && isInside(resolve(path), resolve(folder)))) return
  throw new CheckpointError(
    path,
    'lies outside of the workspace',
    'Name it in the input series itself, or copy it into the workspace.',
  )
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}

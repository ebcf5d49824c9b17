import type { Deadline } from './api.ts'
import type { Context, Environment } from './context.ts'
import { clean } from './failures.ts'

export interface ArtifactResult {
  /** Null where nothing was uploaded. */
  id: number | null
  url: string
  /** SHA-256 of the archive, in hex. */
  digest: string
  /** Why it failed; empty otherwise. */
  warning: string
  /** This run has an artifact of this name already. */
  taken: boolean
}

export interface ArtifactRequest {
  name: string
  /** Paths of the files, all below `root`. */
  files: string[]
  root: string
  context: Context
  deadline: Deadline
  env: Environment
}

/**
 * Uploads files as an artifact of this run, with the official toolkit. Failures do not throw: they come back as a warning.
 * The toolkit can't be stopped, so after the deadline it may still be at it: the caller ends the process.
 */
export async function uploadArtifact({
  name,
  files,
  root,
  context,
  deadline,
  env,
}: ArtifactRequest): Promise<ArtifactResult> {
  const failed = (warning: string, taken = false): ArtifactResult => ({ id: null, url: '', digest: '', warning, taken })
  const impossible = obstacle(name, context, env)
  if (impossible) return failed(`The artifact was not uploaded: ${impossible}`)
  try {
    const { DefaultArtifactClient } = await import('@actions/artifact')
    const { id, digest } = await deadline.race(new DefaultArtifactClient().uploadArtifact(name, files, root))
    const { serverUrl, repository, run } = context
    const url = `${serverUrl}/${repository.owner}/${repository.name}/actions/runs/${run.id}/artifacts/${id}`
    return { id: id ?? null, url, digest: digest ?? '', warning: '', taken: false }
  } catch (error) {
    if (error instanceof Error && /\(409\)/.test(error.message)) {
      return failed(`The artifact was not uploaded: this run has one named ${quote(name)} already.`, true)
    }
    const said = clean(error instanceof Error ? error.message : String(error))
    return failed(`The artifact was not uploaded: ${said}. The verdict stands.`)
  }
}

/** Why it is no use to try; empty if it is. */
function obstacle(name: string, { serverUrl }: Context, env: Environment): string {
  if (!/^[^":<>|*?\\/\p{Cc}]{1,256}$/u.test(name)) {
    return `the name ${quote(name)} is not possible. Leave out " : < > | * ? \\ / and line breaks.`
  }
  const host = new URL(serverUrl).hostname
  if (host !== 'github.com' && !host.endsWith('.ghe.com') && !host.endsWith('.localhost')) {
    return (
      `GitHub's toolkit does not upload to ${host} (GitHub Enterprise Server, Gitea, Forgejo). Add a step after this one:\n` +
      '- uses: actions/upload-artifact@v3 # or the one that your forge recommends\n' +
      `  with: { name: ${clean(name)}, path: '\${{ steps.<id of this step>.outputs.report-json }}' }`
    )
  }
  const missing = ['ACTIONS_RESULTS_URL', 'ACTIONS_RUNTIME_TOKEN'].find(variable => !env[variable])
  return missing ? `the runner has not set ${missing}. An artifact can be uploaded from an action's step only.` : ''
}

function quote(name: string): string {
  return JSON.stringify(clean(name).slice(0, 100))
}

import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { NamedPart } from '../report/io.ts'
import { parsePart } from '../report/io.ts'
import { type Api, connect, type Deadline } from './api.ts'
import { type Candidate, readArtifact, UnreachableError } from './baseline/archive.ts'
import { PART_PREFIX } from './baseline/options.ts'
import type { Context } from './context.ts'
import { explainFailure } from './failures.ts'

/**
 * The parts that the jobs of this very run have uploaded, the newest of each name: a leg that ran again takes the place of its
 * first attempt.
 * @throws UserError where GitHub does not give them, or one of them is not a part
 */
export async function downloadParts(context: Context, token: string, deadline: Deadline): Promise<NamedPart[]> {
  const api = await connect({ token, apiUrl: context.apiUrl, deadline })
  try {
    const parts: NamedPart[] = []
    for (const artifact of await listParts(api, context)) {
      const where = `The artifact ${artifact.name}`
      if (artifact.expired) throw new UserError(`${where} has expired.`, 'Run its job again.')
      try {
        parts.push({ where, report: await readArtifact(api, context, artifact, { parse: parsePart }) })
      } catch (error) {
        throw explained(error, `${where} can't be read`, context)
      }
    }
    return parts
  } catch (error) {
    throw explained(error, "The parts of this run can't be fetched", context)
  }
}

function explained(error: unknown, what: string, context: Context): UserError {
  if (error instanceof UserError) return error
  return new UserError(explainFailure(error, what, 'actions: read', context), '', { cause: error })
}

async function listParts({ octokit }: Api, context: Context): Promise<Candidate[]> {
  const { owner, name: repo } = context.repository
  const newest = new Map<string, Candidate>()
  for (let page = 1; ; page++) {
    if (page > limits.github.artifactPages) {
      throw new UserError(
        `This run has more than ${100 * limits.github.artifactPages} artifacts: too many to look through.`,
      )
    }
    const { data, headers } = await octokit.rest.actions.listWorkflowRunArtifacts({
      ...{ owner, repo, run_id: context.run.id, per_page: 100, page },
    })
    if (!Array.isArray(data?.artifacts)) throw new UnreachableError('the list of artifacts is not one')
    for (const { id, name, size_in_bytes, expired, digest, created_at } of data.artifacts) {
      if (!name.startsWith(`${PART_PREFIX}-`) || (newest.get(name)?.id ?? 0) > id) continue
      newest.set(name, {
        ...{ id, name, size: size_in_bytes, expired, digest: digest ?? '', created: Date.parse(created_at ?? '') },
        ...{ run: context.run.id, sha: context.sha },
      })
    }
    if (!headers.link?.includes('rel="next"')) return [...newest.values()].sort((a, b) => a.id - b.id)
  }
}

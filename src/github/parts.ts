import { UserError } from '../errors.ts'
import { type NamedPart, parsePart } from '../report/io.ts'
import { type Api, connect, type Deadline } from './api.ts'
import { readArtifact } from './baseline/archive.ts'
import { newestOf } from './baseline/artifacts.ts'
import { PART_PREFIX } from './baseline/options.ts'
import type { Context } from './context.ts'
import { explainFailure } from './failures.ts'
import { jobsOf, jobThatMade, type RunJob } from './jobs.ts'

export interface Collected {
  readonly parts: readonly NamedPart[]
  /** Names of jobs of this run that failed and made no part. */
  readonly failedJobs: readonly string[]
}

/**
 * The parts that the jobs of this very run have uploaded, the newest of each name: a leg that ran again takes the place of its
 * first attempt.
 * @throws UserError where GitHub does not give them, or one of them is not a part
 */
export async function downloadParts(context: Context, token: string, deadline: Deadline): Promise<Collected> {
  const api = await connect({ token, apiUrl: context.apiUrl, deadline })
  try {
    const parts: NamedPart[] = []
    const wanted = (name: string) => name.startsWith(`${PART_PREFIX}-`)
    const artifacts = await newestOf(api, context, context.run.id, { wanted })
    for (const artifact of [...artifacts.values()].sort((a, b) => a.id - b.id)) {
      const where = `The artifact ${artifact.name}`
      if (artifact.expired) throw new UserError(`${where} has expired.`, 'Run its job again.')
      try {
        parts.push({ where, report: await readArtifact(api, context, artifact, { parse: parsePart }) })
      } catch (error) {
        throw explained(error, `${where} can't be read`, context)
      }
    }
    return { parts, failedJobs: parts.length > 0 ? await checkJobs(api, context, parts) : [] }
  } catch (error) {
    throw explained(error, "The parts of this run can't be fetched", context)
  }
}

/**
 * Each part is of a job that has not run again since, and has not failed: what a leg made before it broke is not what it would make.
 * And no job that should have made one failed without.
 * @returns the names of other jobs that failed
 * @throws UserError that names the part
 */
async function checkJobs(api: Api, context: Context, parts: readonly NamedPart[]): Promise<string[]> {
  const jobs = await jobsOf(api, context)
  const makers = new Set<RunJob>()
  for (const { where, report } of parts) {
    const { provenance, part } = report
    const attempt = provenance?.run_attempt ?? 1
    const made = { attempt, runner: part.job?.runner ?? '', time: Date.parse(provenance?.time ?? '') }
    const job = jobThatMade(jobs, made)
    if (job) makers.add(job)
    if (!job && attempt < context.run.attempt) {
      throw new UserError(
        `${where} was made in attempt ${attempt} of this run, and its job has run again since without making one.`,
        'Did the leg fail before its gate? Run it again, then this job.',
      )
    }
    if (job?.broken) {
      throw new UserError(
        `${where} was made by the job ${JSON.stringify(job.name.slice(0, 100))}, which failed.`,
        'Run it again, then this job.',
      )
    }
  }
  refuseLost(jobs, makers)
  return jobs.filter(job => job.broken && !makers.has(job)).map(({ name }) => name.slice(0, 100))
}

/** A job with a step of this Action that failed and made no part: its model would be missing in silence. */
function refuseLost(jobs: readonly RunJob[], makers: ReadonlySet<RunJob>): void {
  const lost = jobs.find(job => job.broken && job.gated && !makers.has(job))
  if (!lost) return
  throw new UserError(
    `The job ${JSON.stringify(lost.name.slice(0, 100))} failed, and there is no part of it.`,
    'Run it again, then this job.',
  )
}

function explained(error: unknown, what: string, context: Context): UserError {
  if (error instanceof UserError) return error
  return new UserError(explainFailure(error, what, 'actions: read', context), '', { cause: error })
}

import { UserError } from '../errors.ts'
import { type NamedPart, parsePart } from '../report/io.ts'
import { type Api, connect, type Deadline } from './api.ts'
import { readArtifact } from './baseline/archive.ts'
import { newestOf } from './baseline/artifacts.ts'
import { PART_PREFIX } from './baseline/options.ts'
import type { Context } from './context.ts'
import { explainFailure } from './failures.ts'
import { jobsOf, jobThatMade, type RunJob } from './jobs.ts'
import { Needed, type Needs } from './needed.ts'

export interface Collected {
  readonly parts: readonly NamedPart[]
  /** Names of jobs of this run that failed and made no part, and may have been to. */
  readonly failedJobs: readonly string[]
}

/**
 * The parts that the jobs of this very run have uploaded, the newest of each name: a leg that ran again takes the place of its
 * first attempt.
 * @param needs the jobs whose parts are meant; none where all are
 * @param runner where this job runs; empty where that is not known
 * @throws UserError where GitHub does not give them, or one of them is not a part
 */
export async function downloadParts(
  context: Context,
  token: string,
  needs: Needs,
  runner: string,
  deadline: Deadline,
): Promise<Collected> {
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
    return parts.length > 0 ? await ofNeeded(api, context, parts, { needs, runner }) : { parts, failedJobs: [] }
  } catch (error) {
    throw explained(error, "The parts of this run can't be fetched", context)
  }
}

/**
 * Those of the needed jobs. Each is of a job that has not run again since, and has not failed: what a leg made before it broke is not
 * what it would make. And no job that should have made one failed without.
 * @throws UserError that names the part
 */
async function ofNeeded(
  api: Api,
  context: Context,
  all: readonly NamedPart[],
  { needs, runner }: { readonly needs: Needs; readonly runner: string },
): Promise<Collected> {
  const jobs = await jobsOf(api, context)
  const made = all.map(part => ({ part, maker: { id: part.report.part.job?.id, job: makerOf(part, jobs) } }))
  const needed = new Needed(
    needs,
    made.map(({ maker }) => maker),
    jobs,
    jobs.find(job => runner !== '' && job.runner === runner && !Number.isFinite(job.ended)),
  )
  const wanted = made.filter(({ maker }) => needed.made(maker))
  for (const { part, maker } of wanted) refuseStale(context, part, maker.job)
  const makers = new Set(made.map(({ maker }) => maker.job))
  const failed = jobs.filter(job => job.broken && !makers.has(job) && needed.misses(job))
  refuseLost(failed)
  return { parts: wanted.map(({ part }) => part), failedJobs: failed.map(nameOf) }
}

function makerOf({ report: { provenance, part } }: NamedPart, jobs: readonly RunJob[]): RunJob | undefined {
  const attempt = provenance?.run_attempt ?? 1
  return jobThatMade(jobs, { attempt, runner: part.job?.runner ?? '', time: Date.parse(provenance?.time ?? '') })
}

function refuseStale(context: Context, { where, report }: NamedPart, job: RunJob | undefined): void {
  const attempt = report.provenance?.run_attempt ?? 1
  if (!job && attempt < context.run.attempt) {
    throw new UserError(
      `${where} was made in attempt ${attempt} of this run, and its job has run again since without making one.`,
      'Did the leg fail before its gate? Run it again, then this job.',
    )
  }
  if (job?.broken) {
    throw new UserError(
      `${where} was made by the job ${JSON.stringify(nameOf(job))}, which failed.`,
      'Run it again, then this job.',
    )
  }
}

/** A job with a step of this Action that failed and made no part: its model would be missing in silence. */
function refuseLost(failed: readonly RunJob[]): void {
  const lost = failed.find(({ gated }) => gated)
  if (!lost) return
  throw new UserError(
    `The job ${JSON.stringify(nameOf(lost))} failed, and there is no part of it.`,
    'Run it again, then this job. Where it is a gate of its own, the input needs says whose parts are meant: $' +
      '{{ toJSON(needs) }}.',
  )
}

function nameOf({ name }: RunJob): string {
  return name.slice(0, 100)
}

function explained(error: unknown, what: string, context: Context): UserError {
  if (error instanceof UserError) return error
  return new UserError(explainFailure(error, what, 'actions: read', context), '', { cause: error })
}

import { limits } from '../limits.ts'
import type { Api } from './api.ts'
import type { Context } from './context.ts'

/** A job of a run, in the last attempt in which it ran. */
export interface RunJob {
  readonly name: string
  readonly attempt: number
  readonly runner: string
  /** Milliseconds since 1970; infinite where it goes on. */
  readonly started: number
  readonly ended: number
  readonly broken: boolean
  readonly skipped: boolean
  /** One of its steps looks like this Action's. */
  readonly gated: boolean
}

/** The jobs of a run, each as of its last attempt: of the run's last attempt GitHub may list those alone that ran again. GitHub's errors pass through. */
export async function jobsOf(
  { octokit }: Api,
  { repository, run }: Pick<Context, 'repository'> & { run: { id: number } },
): Promise<RunJob[]> {
  const { owner, name: repo } = repository
  const jobs: RunJob[] = []
  for (let page = 1; page <= limits.github.artifactPages; page++) {
    const { data, headers } = await octokit.rest.actions.listJobsForWorkflowRun({
      ...{ owner, repo, run_id: run.id, filter: 'all', per_page: 100, page },
    })
    for (const { name, run_attempt, runner_name, started_at, completed_at, conclusion, steps } of data.jobs) {
      jobs.push({
        ...{ name, attempt: run_attempt ?? 1, runner: runner_name ?? '' },
        started: Date.parse(started_at),
        ended: completed_at ? Date.parse(completed_at) : Number.POSITIVE_INFINITY,
        broken: ['failure', 'cancelled', 'timed_out', 'startup_failure'].includes(conclusion ?? ''),
        skipped: conclusion === 'skipped',
        gated: (steps ?? []).some(({ name }) => /spectral.?gate/i.test(name)),
      })
    }
    if (!headers.link?.includes('rel="next"')) break
  }
  const last = new Map<string, number>()
  for (const { name, attempt } of jobs) last.set(name, Math.max(attempt, last.get(name) ?? 0))
  return jobs.filter(({ name, attempt }) => attempt === last.get(name))
}

/**
 * The job that made something at a time on a runner, in an attempt; undefined where none of the latest jobs did: then it ran again
 * since. A job that did not run again may be listed as of a later attempt, with its old times.
 * @param slack milliseconds by which clocks may differ
 */
export function jobThatMade(
  jobs: readonly RunJob[],
  made: { attempt: number; runner: string; time: number },
  slack = 5_000,
): RunJob | undefined {
  return jobs.find(
    ({ attempt, runner, started, ended }) =>
      (attempt === made.attempt
        ? (!made.runner || !runner || runner === made.runner) &&
          (!Number.isFinite(made.time) || made.time >= started - slack)
        : attempt > made.attempt && made.runner !== '' && runner === made.runner && made.time >= started) &&
      !(made.time > ended + slack),
  )
}

/**
 * Whether what was made at a time on a runner (on any, where that is empty) was made by one of these: else its job ran again since.
 * @param slack milliseconds by which clocks may differ
 */
export function isOfLatest(
  jobs: readonly RunJob[],
  { runner, time }: { runner: string; time: number },
  slack = 5_000,
): boolean {
  return jobs.some(
    job => (!runner || !job.runner || job.runner === runner) && time >= job.started && time <= job.ended + slack,
  )
}

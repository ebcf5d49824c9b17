import { limits } from '../../limits.ts'
import type { Api } from '../api.ts'
import type { Context } from '../context.ts'
import { clean } from '../failures.ts'
import { type Candidate, GoneError, InvalidError, UnreachableError } from './archive.ts'

export interface ArtifactsRequest {
  api: Api
  context: Context
  name: string
  branch: string
  /** Of the workflow that makes the baselines; empty: not checked. */
  workflowPath: string
}

interface Listed {
  id: number
  name: string
  size_in_bytes: number
  expired: boolean
  digest?: string | null
  created_at: string | null
  workflow_run?: {
    id?: number
    repository_id?: number
    head_repository_id?: number
    head_branch?: string | null
    head_sha?: string
  } | null
}

const EVENTS = ['push', 'schedule', 'workflow_dispatch', 'merge_group']

/**
 * The artifacts of one name that runs on one branch of this very repository made, and that may be trusted. Forks upload into
 * the same list, so that a name proves nothing.
 */
export class Artifacts {
  readonly #request: ArtifactsRequest
  readonly #loaded: (Candidate & { branch: string | undefined })[] = []
  readonly #runs = new Map<number, Promise<string>>()
  readonly #refused = new Map<number, string>()
  #page = 0
  #complete = false
  #lookedThrough = 0
  #unasked = false

  constructor(request: ArtifactsRequest) {
    this.#request = request
  }

  /** Why artifacts were refused, and how many for each reason. */
  get refused(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const reason of this.#refused.values()) counts.set(reason, (counts.get(reason) ?? 0) + 1)
    return counts
  }

  /** There are more artifacts, or more runs of theirs, than were looked at. */
  get bounded(): boolean {
    return this.#unasked || this.#isCut()
  }

  #isCut(): boolean {
    return this.#page >= limits.github.artifactPages && !this.#complete
  }

  /** Lists one page more; false where there is none, or where enough were looked through. */
  async more(): Promise<boolean> {
    if (this.#complete || this.#page >= limits.github.artifactPages) return false
    const { api, context, name } = this.#request
    const { data, headers } = await api.octokit.rest.actions.listArtifactsForRepo({
      owner: context.repository.owner,
      repo: context.repository.name,
      name,
      per_page: 100,
      page: ++this.#page,
    })
    const artifacts = listed(data)
    this.#complete = artifacts.length === 0 || !headers.link?.includes('rel="next"')
    for (const artifact of artifacts) this.#add(artifact)
    return true
  }

  /** Those of one commit, the newest first. */
  of(sha: string): Candidate[] {
    return this.#loaded.filter(one => one.sha === sha).sort(newestFirst)
  }

  /** The same, by the commit's runs where there are more of the name than are listed: anybody may have filled the list. */
  async inRunsOf(sha: string): Promise<Candidate[]> {
    if (!this.#isCut() || this.#lookedThrough >= limits.github.artifactCommits) return this.of(sha)
    this.#lookedThrough++
    const { api, context, name } = this.#request
    const { data } = await api.octokit.rest.actions.listWorkflowRunsForRepo({
      ...{ owner: context.repository.owner, repo: context.repository.name, head_sha: sha, per_page: 100 },
    })
    const runs = data.workflow_runs.filter(
      run => EVENTS.includes(run.event) && run.head_repository?.id === run.repository.id && run.id !== context.run.id,
    )
    for (const { id, head_branch } of runs.slice(0, limits.github.artifactRuns)) {
      if (this.#loaded.some(one => one.run === id)) continue
      const found = await newestOfRun(api, context, name, id)
      if (found) this.#loaded.push({ ...found, sha, branch: head_branch ?? undefined })
    }
    return this.of(sha)
  }

  /** It is not to be used, for this reason. */
  refuse({ id }: Candidate, reason: string): void {
    this.#refused.set(id, reason)
  }

  /** Those of runs on the branch itself that began before this one, the newest first. */
  ofBranch(): Candidate[] {
    const { branch, context } = this.#request
    return this.#loaded.filter(one => (one.branch ?? branch) === branch && one.run < context.run.id).sort(newestFirst)
  }

  /** Whether the run that made it may be trusted: asks GitHub once for each run, and for no more than `most` of them. */
  async trusted({ run, sha, id }: Candidate, most: number = limits.github.artifactRuns): Promise<boolean> {
    if (!this.#runs.has(run)) {
      if (this.#runs.size >= most) {
        this.#unasked = true
        return false
      }
      this.#runs.set(run, this.#refusal(run, sha))
    }
    const reason = await this.#runs.get(run)!
    if (reason) this.#refused.set(id, reason)
    return reason === ''
  }

  /** Whether it was refused only because GitHub does not know the run that made it. */
  isWithoutRun({ id }: Candidate): boolean {
    return this.#refused.get(id) === NO_RUN
  }

  #add(artifact: Listed): void {
    const { branch, context } = this.#request
    const { id, name, size_in_bytes, expired, digest, created_at, workflow_run: run } = artifact
    if (name !== this.#request.name || !run?.id || !run.head_sha || run.id === context.run.id) return
    const { repository_id, head_repository_id, head_branch } = run
    if (head_repository_id !== undefined && head_repository_id !== repository_id) {
      this.#refused.set(id, FORK)
    } else if (head_branch && head_branch !== branch && !isQueue(head_branch, branch)) {
      this.#refused.set(id, OTHER_BRANCH)
    } else {
      this.#loaded.push({
        ...{ id, name, size: size_in_bytes, expired, digest: digest ?? '', created: Date.parse(created_at ?? '') },
        ...{ run: run.id, sha: run.head_sha, branch: head_branch ?? undefined },
      })
    }
  }

  /** Why the run is not trusted; empty if it is. */
  async #refusal(id: number, sha: string): Promise<string> {
    const { api, context, branch, workflowPath } = this.#request
    const { owner, name: repo } = context.repository
    const run = await getRun(api, { owner, repo, run_id: id })
    if (!run) return NO_RUN
    if (run.head_repository?.id === undefined || run.head_repository.id !== run.repository?.id) return FORK
    if (!EVENTS.includes(run.event)) return `made by the event ${clean(run.event)}`
    const onBranch = run.head_branch === branch || (run.event === 'merge_group' && isQueue(run.head_branch, branch))
    if (!onBranch) return OTHER_BRANCH
    if (run.head_sha !== sha) return 'they and their run name different commits'
    const path = (run.path ?? '').replace(/@.*$/s, '')
    // Gitea leaves out the folder.
    const ours = path === workflowPath || (/^[^/]+$/.test(path) && workflowPath.endsWith(`/${path}`))
    if (workflowPath && !ours) {
      return `made by another workflow, ${clean(path)} (\`baseline-workflow\` would choose it)`
    }
    return ''
  }
}

const FORK = 'made by a fork'
const NO_RUN = 'their run is not known to GitHub'
const OTHER_BRANCH = 'made on another branch'

/** A branch of the merge queue for this branch: its commits become the branch's own. */
function isQueue(name: string | null, branch: string): boolean {
  return name?.startsWith(`gh-readonly-queue/${branch}/`) ?? false
}

async function getRun({ octokit }: Api, run: { owner: string; repo: string; run_id: number }) {
  try {
    const { data } = await octokit.rest.actions.getWorkflowRun({ ...run, exclude_pull_requests: true })
    return data
  } catch (error) {
    if ((error as { status?: number }).status === 404) return undefined
    throw error
  }
}

function listed(data: { artifacts: Listed[] }): Listed[] {
  if (!Array.isArray(data?.artifacts)) throw new UnreachableError('the list of artifacts is not one')
  return data.artifacts
}

/**
 * The artifact of a run that the user named. Any event may have made it, but no fork.
 * @throws GoneError where the run has none of this name, InvalidError where a fork made it
 */
export async function artifactOfRun(api: Api, context: Context, name: string, id: number): Promise<Candidate> {
  const repository = { owner: context.repository.owner, repo: context.repository.name }
  const run = await getRun(api, { ...repository, run_id: id })
  if (!run) throw new GoneError(`GitHub knows no run ${id} in this repository`)
  if (run.head_repository?.id === undefined || run.head_repository.id !== run.repository?.id) {
    throw new InvalidError(`run ${id} is of a fork`)
  }
  const found = await newestOfRun(api, context, name, id)
  if (!found) throw new GoneError(`run ${id} has no artifact named ${JSON.stringify(name)}`)
  return { ...found, sha: run.head_sha }
}

/** The newest artifact of this name that a run made, whoever's run it is; undefined where there is none. */
export async function newestOfRun(
  api: Api,
  context: Context,
  name: string,
  id: number,
): Promise<Candidate | undefined> {
  return (await newestOf(api, context, id, { name })).get(name)
}

interface Wanted {
  name?: string
  wanted?: (name: string) => boolean
}

/** The newest artifact of each name that a run made: of all, or of those that have this name. */
export async function newestOf(
  api: Api,
  context: Context,
  run: number,
  which: Wanted = {},
): Promise<Map<string, Candidate>> {
  const all = await allOf(api, context, run, which)
  return new Map(all.reverse().map(one => [one.name, one]))
}

/** All artifacts that a run made, in whatever attempt, the newest first. */
export async function allOf(
  api: Api,
  context: Context,
  run: number,
  { name = '', wanted = (_: string) => true }: Wanted = {},
): Promise<Candidate[]> {
  const all: Candidate[] = []
  for (let page = 1; ; page++) {
    if (page > limits.github.artifactPages)
      throw new UnreachableError(`run ${run} has too many artifacts to look through`)
    const { data, headers } = await api.octokit.rest.actions.listWorkflowRunArtifacts({
      ...{ owner: context.repository.owner, repo: context.repository.name, run_id: run, per_page: 100, page },
      ...(name && { name }),
    })
    for (const { id, name: found, size_in_bytes, expired, digest, created_at } of listed(data)) {
      if ((name && found !== name) || !wanted(found)) continue
      all.push({
        ...{ id, name: found, size: size_in_bytes, expired, digest: digest ?? '' },
        ...{ created: Date.parse(created_at ?? ''), run, sha: '' },
      })
    }
    if (!headers.link?.includes('rel="next"')) break
  }
  return all.sort(newestFirst)
}

/** By the time of their creation, and then by id: the artifact of a second attempt may have a lower one. */
export function newestFirst(a: Candidate, b: Candidate): number {
  const later = (Number.isFinite(b.created) ? b.created : 0) - (Number.isFinite(a.created) ? a.created : 0)
  return later || b.id - a.id
}

import { createHash } from 'node:crypto'
import { Zip } from '../bytes/zip.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { parseReport } from '../report/io.ts'
import type { Report } from '../report/schema.ts'
import { type Api, DeadlineError, WaitError } from './api.ts'
import type { Context } from './context.ts'
import { clean } from './failures.ts'

/** An artifact that may hold a baseline. */
export interface Candidate {
  id: number
  name: string
  /** Bytes of its archive. */
  size: number
  expired: boolean
  /** `sha256:…`; empty where the forge tells none. */
  digest: string
  /** Milliseconds since 1970; NaN where the forge tells no time. */
  created: number
  run: number
  sha: string
}

/** The artifact has expired or was deleted. */
export class GoneError extends Error {
  override name = 'GoneError'
}

/** What was found is not a baseline that may be used. */
export class InvalidError extends Error {
  override name = 'InvalidError'
}

/** The connection or the store of artifacts failed, again and again. */
export class UnreachableError extends Error {
  override name = 'UnreachableError'
}

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
    return this.#unasked || (this.#page >= limits.github.artifactPages && !this.#complete)
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

  /** Those of one commit, the newest first: a second attempt's artifact has a higher id. */
  of(sha: string): Candidate[] {
    return this.#loaded.filter(one => one.sha === sha).sort((a, b) => b.id - a.id)
  }

  /** Those of runs on the branch itself that began before this one, the newest first. */
  ofBranch(): Candidate[] {
    const { branch, context } = this.#request
    return this.#loaded
      .filter(one => (one.branch ?? branch) === branch && one.run < context.run.id)
      .sort((a, b) => b.id - a.id)
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
    if (!run) return 'their run is gone'
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
  const { data } = await api.octokit.rest.actions.listWorkflowRunArtifacts({
    ...{ owner: context.repository.owner, repo: context.repository.name },
    ...{ run_id: id, name, per_page: 100 },
  })
  const found = listed(data)
    .filter(artifact => artifact.name === name)
    .sort((a, b) => b.id - a.id)[0]
  return (
    found && {
      ...{ id: found.id, name, size: found.size_in_bytes, expired: found.expired, digest: found.digest ?? '' },
      ...{ created: Date.parse(found.created_at ?? ''), run: id, sha: '' },
    }
  )
}

/**
 * The report in an artifact. Its archive is held against the size and the hash that GitHub tells, and has to hold `report.json`,
 * and where `alone` is asked for no other file.
 * @throws GoneError, InvalidError or UnreachableError; GitHub's own errors pass through
 */
export async function readArtifact<T extends Report = Report>(
  api: Api,
  context: Context,
  artifact: Candidate,
  {
    parse = parseReport as (bytes: Buffer, where: string) => T,
    alone = true,
  }: { parse?: (bytes: Buffer, where: string) => T; alone?: boolean } = {},
): Promise<T> {
  const { size, digest, id } = artifact
  if (size > limits.github.archiveBytes) throw tooLarge(size)
  const bytes = await download(api, context, id)
  const [, claimed] = /^sha256:([0-9a-f]{64})$/i.exec(digest) ?? []
  if (digest && claimed?.toLowerCase() !== createHash('sha256').update(bytes).digest('hex')) {
    throw new InvalidError('its bytes do not have the hash that GitHub has on record')
  }
  try {
    return parse(await unpack(bytes, alone), 'report.json')
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new InvalidError(clean(error.remedy ? `${error.message}. ${error.remedy}` : error.message), { cause: error })
  }
}

async function unpack(bytes: Buffer, alone: boolean): Promise<Buffer> {
  try {
    const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length)
    const zip = await Zip.open({ path: 'its archive', size: bytes.length, read })
    const report = zip.members.get('report.json')
    if (!report || (alone && zip.members.size !== 1)) {
      const names = [...zip.members.keys()].slice(0, 5).map(name => JSON.stringify(name.slice(0, 80)))
      throw new InvalidError(
        clean(`its archive has to hold report.json alone, but has ${names.join(', ') || 'nothing'}`),
      )
    }
    return await zip.read(report, limits.report.bytes)
  } catch (error) {
    // The remedies of a checkpoint's zip do not fit here.
    throw error instanceof UserError ? new InvalidError(clean(error.message), { cause: error }) : error
  }
}

/** Milliseconds before the second and third attempt. */
const PAUSES = [250, 1000]

async function download(api: Api, context: Context, id: number): Promise<Buffer> {
  for (const pause of [...PAUSES, undefined]) {
    try {
      return await fetchArchive(api, context, id)
    } catch (error) {
      api.deadline.signal.throwIfAborted()
      if (!(error instanceof UnreachableError) || pause === undefined) throw error
      await api.deadline.sleep(pause)
    }
  }
  throw new Error('unreachable')
}

async function fetchArchive({ octokit, deadline }: Api, context: Context, id: number): Promise<Buffer> {
  const { owner, name: repo } = context.repository
  const answer = await octokit
    .request('GET /repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}', {
      ...{ owner, repo, artifact_id: id, archive_format: 'zip' },
      // The store must not get our token; and a forge that sends the archive at once must not fill our memory.
      request: { redirect: 'manual', parseSuccessResponseBody: false },
    })
    .catch(error => {
      if (error.status === 404 || error.status === 410) throw new GoneError('it has expired or was deleted')
      throw error
    })
  const { status, headers } = answer as { status: number; headers: { location?: string } }
  if (status === 200) return collect(answer.data as unknown as ReadableStream<Uint8Array> | null)
  await (answer.data as unknown as ReadableStream | null)?.cancel()
  const url = headers.location ?? ''
  if (!/^https?:/i.test(url) || !URL.canParse(url))
    throw new UnreachableError(`GitHub answers ${status}, but not where`)
  const response = await fetch(url, { signal: deadline.signal }).catch(error => {
    throw lost(error)
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new UnreachableError(`the store of artifacts answers ${response.status}`)
  }
  const length = Number(response.headers.get('content-length') ?? 0)
  if (length > limits.github.archiveBytes) {
    await response.body?.cancel()
    throw tooLarge(length)
  }
  return collect(response.body)
}

async function collect(body: ReadableStream<Uint8Array> | null): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of body ?? []) {
      size += chunk.length
      if (size > limits.github.archiveBytes) throw tooLarge(size)
      chunks.push(chunk)
    }
  } catch (error) {
    throw error instanceof InvalidError ? error : lost(error)
  }
  return Buffer.concat(chunks, size)
}

function lost(error: unknown): Error {
  if (error instanceof DeadlineError || error instanceof WaitError) return error
  const { message, cause } = error as Error
  const said = cause instanceof Error && cause.message ? cause.message : message
  return new UnreachableError(`the connection to the store of artifacts failed (${clean(said)})`, { cause: error })
}

function tooLarge(size: number): InvalidError {
  return new InvalidError(`its archive has ${size} bytes or more; ${limits.github.archiveBytes} are allowed`)
}

import { createHash, randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Job, type JobOptions, startJob } from './job.ts'
import { type Answer, type Call, failure, routes } from './rest.ts'
import { Results } from './results.ts'
import { requestProblem, responseProblem, route } from './schema.ts'

export interface Fault {
  method?: string
  /** A part of the path, or a pattern for it. */
  path?: string | RegExp
  /** How often it strikes; 1 if not given. */
  times?: number
  /** The request is carried out all the same, and only its answer is replaced. */
  after?: boolean
  status?: number
  headers?: Record<string, string>
  body?: unknown
  /** The connection is cut: before any answer, or in the middle of the answer's body. */
  cut?: 'before' | 'middle'
  /** No answer ever. */
  hang?: boolean
}

export interface Comment {
  id: number
  issue: number
  body: string
  login: string
  created: string
  updated: string
}

export interface Artifact {
  id: number
  name: string
  runId: number
  runAttempt: number
  zip: Buffer
  digest: string
  expired: boolean
  created: string
}

export interface Run {
  id: number
  attempt: number
  event: string
  branch: string
  sha: string
  path: string
  headRepositoryId: number
  headRepository?: string
  created?: string
}

/** A symbolic link. */
export class Link {
  readonly target: string

  constructor(target: string) {
    this.target = target
  }
}

/** A submodule in a commit, at a commit of its own. */
export class Submodule {
  readonly commit: string

  constructor(commit: string) {
    this.commit = commit
  }
}

/** A job of a run, as far as it has gone. */
export interface RunJob {
  id: number
  runId: number
  attempt: number
  /** What tells it apart within its attempt. */
  key: string
  runner: string
  started: string
  completed: string | null
  failed: boolean
  /** The user's name of the step of the gate. */
  stepName?: string
}

export interface Pull {
  number: number
  head: { sha: string; ref: string; repository: string | null }
  base: { sha: string; ref: string }
  labels: string[]
}

export interface Request {
  method: string
  path: string
  query: Record<string, string>
  /** Parsed where it is JSON. */
  body: unknown
  status: number
}

export type Scope = 'actions' | 'contents' | 'pull-requests'

/**
 * GitHub on loopback: its REST API, the service that keeps artifacts and the blob store, true enough for the real toolkit.
 * Requests and responses of the REST API are checked against GitHub's own description of it. What an honest client never
 * does (an unknown route, a wrong token, a malformed body) is recorded in `problems`.
 */
export class GitHubDouble {
  readonly repository: string
  readonly repositoryId = 4711
  readonly serverUrl = 'http://gate.localhost'
  readonly token = `ghs_${randomBytes(18).toString('hex')}`
  /** Who the token is. */
  login = 'github-actions[bot]'
  /** What the token may do. */
  permissions: Partial<Record<Scope, 'read' | 'write'>> = {
    actions: 'read',
    contents: 'read',
    'pull-requests': 'write',
  }
  readonly pulls = new Map<number, Pull>()
  readonly runs = new Map<number, Run>()
  /** The parents of each commit, the first one first. */
  readonly commits = new Map<string, string[]>()
  /** The last commit of each branch. */
  readonly branches = new Map([['main', sha('main')]])
  /** The files of a commit; one that is not here has those of its first parent. */
  readonly files = new Map<string, Map<string, Buffer>>()
  /** Which of these are symbolic links: they hold the path that they lead to. */
  readonly links = new WeakSet<Buffer>()
  /** Which of these are submodules: they hold their commit. */
  readonly submodules = new WeakSet<Buffer>()
  readonly jobs: RunJob[] = []
  /** How many files of a tree are listed. */
  listedFiles = 100_000
  /** Whether jobs that did not run again are missing from the last attempt of their run. */
  listsLastAttemptAlone = false
  /** Logins with their permission: `admin`, `write`, `read`. */
  readonly collaborators = new Map<string, string>()
  /** Of the issues: `labeled` and the like, as parts of GitHub's own objects. */
  readonly events: { issue: number; event: object }[] = []
  readonly artifacts: Artifact[] = []
  readonly requests: Request[] = []
  readonly problems: string[] = []
  readonly #comments: Comment[] = []
  readonly #faults: (Fault & { times: number })[] = []
  readonly #results = new Results(this)
  readonly #server: Server
  readonly #folder: string
  #id = 1000

  private constructor(repository: string, server: Server, folder: string) {
    this.repository = repository
    this.#server = server
    this.#folder = folder
    server.on('request', (request, response) => {
      this.#serve(request, response).catch(error => {
        this.problems.push(`the double crashed: ${error.stack}`)
        response.destroy()
      })
    })
  }

  static async start({ repository = 'octo/net' } = {}): Promise<GitHubDouble> {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return new GitHubDouble(repository, server, await mkdtemp(join(tmpdir(), 'github-double-')))
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
    rmSync(this.#folder, { recursive: true, force: true })
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get apiUrl(): string {
    return `${this.url}/api`
  }

  nextId(): number {
    return ++this.#id
  }

  /** The comments of an issue or pull request, the oldest first. */
  comments(issue: number): Comment[] {
    return this.#comments.filter(comment => comment.issue === issue).sort((a, b) => a.id - b.id)
  }

  /** Any comment by its id. */
  comment(id: number): Comment | undefined {
    return this.#comments.find(comment => comment.id === id)
  }

  /** Puts a comment there, by whomever. */
  addComment(issue: number, body: string, login = 'someone'): Comment {
    const now = new Date().toISOString()
    const comment = { id: this.nextId(), issue, body, login, created: now, updated: now }
    this.#comments.push(comment)
    return comment
  }

  removeComment(id: number): void {
    this.#comments.splice(
      this.#comments.findIndex(comment => comment.id === id),
      1,
    )
  }

  addPull(pull: Partial<Pull> & { number: number }): Pull {
    const full: Pull = {
      head: { sha: sha(`head of ${pull.number}`), ref: 'topic', repository: this.repository },
      base: { sha: sha('main'), ref: 'main' },
      labels: [],
      ...pull,
    }
    this.pulls.set(full.number, full)
    return full
  }

  addArtifact(name: string, runId: number, zip: Buffer, runAttempt = 1): Artifact {
    const digest = `sha256:${createHash('sha256').update(zip).digest('hex')}`
    const created = new Date().toISOString()
    const artifact = { id: this.nextId(), name, runId, runAttempt, zip, digest, expired: false, created }
    this.artifacts.push(artifact)
    return artifact
  }

  /** From now on the next matching request, or the next `times`, go wrong. */
  fault(fault: Fault): void {
    this.#faults.push({ times: 1, ...fault })
  }

  /** A job of a workflow run: the environment in which a runner would start the Action, and what it leaves behind. */
  job(options: JobOptions): Job {
    const job = startJob(this, join(this.#folder, `job-${this.nextId()}`), options)
    // GitHub tells of a run as of its last attempt.
    const known = this.runs.get(job.workflowRun.id)
    if (!known || known.attempt <= job.workflowRun.attempt) this.runs.set(job.workflowRun.id, job.workflowRun)
    this.#results.allow(job.runtimeToken, job.workflowRun)
    return job
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, this.url)
    const method = request.method!
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const raw = Buffer.concat(chunks)
    const record: Request = {
      method,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      body: raw,
      status: 0,
    }
    this.requests.push(record)

    const fault = this.#faults.find(
      one =>
        one.times > 0 &&
        (!one.method || one.method === method) &&
        (one.path === undefined ||
          (typeof one.path === 'string' ? url.pathname.includes(one.path) : one.path.test(url.pathname))),
    )
    if (fault) fault.times--
    const carriedOut = !fault || fault.after || fault.cut === 'middle'
    let answer: Answer = carriedOut ? this.#answer(request, url, raw, record) : { status: 500 }
    if (fault?.hang) return
    if (fault?.cut === 'before') {
      response.destroy()
      return
    }
    if (fault?.status) {
      answer = {
        status: fault.status,
        headers: fault.headers ?? {},
        body: fault.body ?? { message: 'a fault', status: `${fault.status}` },
      }
    }
    record.status = answer.status
    const { body } = answer
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body === undefined ? '' : JSON.stringify(body))
    response.writeHead(answer.status, {
      'x-github-request-id': `${this.requests.length}`,
      'content-length': bytes.length,
      ...(bytes.length > 0 ? { 'content-type': 'application/json; charset=utf-8' } : {}),
      ...answer.headers,
    })
    if (fault?.cut === 'middle') response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy())
    else response.end(bytes)
  }

  #answer(request: IncomingMessage, url: URL, raw: Buffer, record: Request): Answer {
    if (url.pathname.startsWith('/blob/')) return this.#results.blob(request, url, raw)
    let body: unknown
    if (raw.length > 0) {
      try {
        body = JSON.parse(raw.toString())
      } catch {
        return this.problem(record, 'its body is not JSON', failure(400, 'Problems parsing JSON'))
      }
    }
    record.body = body
    if (url.pathname.startsWith('/twirp/')) return this.#results.twirp(request, url, body)
    const authorization = request.headers.authorization ?? ''
    if (!/^(token|bearer) /i.test(authorization) || authorization.replace(/^\w+ /, '') !== this.token) {
      return this.problem(record, 'a wrong token', failure(401, 'Bad credentials'))
    }
    const path = url.pathname.replace(/^\/api/, '')
    if (record.method === 'POST' && path === '/graphql') return this.#graphql(record)
    for (const [id, { needs, handle }] of Object.entries(routes)) {
      const call = match(id, record.method, path)
      if (!call) continue
      const wrong = requestProblem(id, url.searchParams, body)
      if (wrong) return this.problem(record, wrong, failure(422, 'Invalid request'))
      if (call.owner && `${call.owner}/${call.repo}` !== this.repository) return failure(404, 'Not Found')
      if (needs && !this.#may(...needs)) {
        return failure(403, 'Resource not accessible by integration', {
          'x-accepted-github-permissions': `${needs[0].replace('-', '_')}=${needs[1]}`,
        })
      }
      const answer = handle({
        github: this,
        path: call,
        query: url.searchParams,
        body,
        url,
        accept: request.headers.accept ?? '',
      } as Call)
      if (Buffer.isBuffer(answer.body)) return answer
      const untrue = responseProblem(id, answer.status, answer.body)
      return untrue ? this.problem(record, `the double's answer is wrong: ${untrue}`, answer) : answer
    }
    return this.problem(record, 'an unknown route', failure(404, 'Not Found'))
  }

  /** Puts files into a commit. */
  commitFiles(commit: string, files: Record<string, string | Buffer | Link | Submodule>): void {
    const stored = (file: string | Buffer | Link | Submodule): Buffer => {
      if (typeof file === 'string' || Buffer.isBuffer(file)) return Buffer.from(file)
      const content = Buffer.from(file instanceof Link ? file.target : file.commit)
      if (file instanceof Link) this.links.add(content)
      else this.submodules.add(content)
      return content
    }
    this.files.set(commit, new Map(Object.entries(files).map(([name, file]) => [name, stored(file)])))
  }

  /** Where an artifact can be fetched without a token. */
  signedDownload(artifact: Artifact): string {
    return this.#results.signed(artifact)
  }

  /** Records that a request was one that GitHub would not understand. */
  problem<T>(request: { method?: string; path?: string }, what: string, answer: T): T {
    this.problems.push(`${request.method} ${request.path}: ${what}`)
    return answer
  }

  #may(scope: Scope, level: 'read' | 'write'): boolean {
    const granted = this.permissions[scope]
    return granted === 'write' || (granted === 'read' && level === 'read')
  }

  #graphql(record: Request): Answer {
    const { query } = record.body as { query?: string }
    if (query?.replace(/\s+/g, '') !== 'query{viewer{login}}')
      return this.problem(record, 'an unknown query', failure(400, 'Bad'))
    return { status: 200, body: { data: { viewer: { login: this.login } } } }
  }
}

/** The parameters in the path, if a request is for this operation. */
function match(id: string, method: string, path: string): Record<string, string> | undefined {
  const operation = route(id)
  if (operation.method !== method) return undefined
  const pattern = operation.path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')
  const groups = new RegExp(`^${pattern}$`).exec(path)
  return groups
    ? Object.fromEntries(Object.entries(groups.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]))
    : undefined
}

/** A commit id for a name: the same each time. */
export function sha(name: string): string {
  return createHash('sha1').update(name).digest('hex')
}

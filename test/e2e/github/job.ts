import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { type GitHubDouble, type Run, sha } from './double.ts'
import { pullObject, repositoryId } from './rest.ts'
import { backendIds } from './results.ts'
import { fill } from './schema.ts'

export interface JobOptions {
  event: string
  /** The number of the pull request that the event is about. */
  pull?: number
  /** The event is that somebody set this label on the pull request. */
  labelled?: { name: string; by: string }
  /** The event's payload; if not given, one is made for the event. */
  payload?: unknown
  sha?: string
  ref?: string
  runId?: number
  runAttempt?: number
  actor?: string
  serverUrl?: string
}

export interface Job {
  workflowRun: Run
  runtimeToken: string
  /** Where the child process runs; empty at first. */
  workspace: string
  /** The whole environment of the child process but for the inputs. */
  env: Record<string, string>
  /** Runs a script as the step of an action, with these inputs, until it ends. */
  run(script: string, inputs?: Record<string, string>): Promise<Ended>
  /** What it wrote to `GITHUB_OUTPUT`, by name. */
  outputs(): Record<string, string>
  /** What it wrote to `GITHUB_STEP_SUMMARY`. */
  summary(): string
}

export interface Ended {
  /** Null if it was killed. */
  status: number | null
  stdout: string
  stderr: string
}

const WORKFLOW = '.github/workflows/gate.yml'

/** Prepares files and environment as a runner does. */
export function startJob(github: GitHubDouble, folder: string, options: JobOptions): Job {
  const pull =
    options.pull === undefined
      ? undefined
      : (github.pulls.get(options.pull) ?? github.addPull({ number: options.pull }))
  const mainSha = github.branches.get('main') ?? sha('main')
  const merged = pull && options.event !== 'pull_request_target'
  const commit = options.sha ?? (merged ? sha(`merge of ${pull.head.sha}`) : mainSha)
  const ref = options.ref ?? (merged ? `refs/pull/${pull.number}/merge` : 'refs/heads/main')
  const run: Run = {
    id: options.runId ?? github.nextId(),
    attempt: options.runAttempt ?? 1,
    event: options.event,
    branch: pull?.head.ref ?? ref.replace('refs/heads/', ''),
    sha: pull?.head.sha ?? commit,
    path: WORKFLOW,
    created: new Date().toISOString(),
    headRepository: pull?.head.repository ?? github.repository,
    headRepositoryId: repositoryId(github, pull?.head.repository ?? github.repository),
  }
  const payload = options.payload ?? {
    ...(pull && {
      action: options.labelled ? 'labeled' : 'synchronize',
      ...(options.labelled && { label: fill('label', { name: options.labelled.name }) }),
      number: pull.number,
      pull_request: fill('pull-request', pullObject(github, pull)),
    }),
    ...(options.event === 'push' && { ref, before: github.commits.get(commit)?.[0] ?? '0'.repeat(40), after: commit }),
    repository: fill('repository', { id: github.repositoryId, full_name: github.repository, default_branch: 'main' }),
    sender: fill('simple-user', { login: options.labelled?.by ?? options.actor ?? 'octocat' }),
  }
  const workspace = join(folder, 'workspace')
  mkdirSync(workspace, { recursive: true })
  const file = (name: string, content: string) => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const runtimeToken = `${part({ alg: 'none' })}.${part({ scp: `Actions.Results:${backendIds(run)}` })}.x`
  const serverUrl = options.serverUrl ?? github.serverUrl
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    // Node 24 keeps what it compiled: the suite starts the same bundle a thousand times.
    NODE_COMPILE_CACHE: join(tmpdir(), 'spectral-gate-compiled'),
    CI: 'true',
    GITHUB_ACTIONS: 'true',
    GITHUB_ACTION: '__spectral-gate',
    GITHUB_ACTOR: options.actor ?? 'octocat',
    GITHUB_API_URL: github.apiUrl,
    GITHUB_BASE_REF: pull?.base.ref ?? '',
    GITHUB_ENV: file('env', ''),
    GITHUB_EVENT_NAME: options.event,
    GITHUB_EVENT_PATH: file('event.json', JSON.stringify(payload)),
    GITHUB_GRAPHQL_URL: `${github.apiUrl}/graphql`,
    GITHUB_HEAD_REF: pull?.head.ref ?? '',
    GITHUB_JOB: 'gate',
    GITHUB_OUTPUT: file('output', ''),
    GITHUB_PATH: file('path', ''),
    GITHUB_REF: ref,
    GITHUB_REF_NAME: ref.replace(/^refs\/(heads|tags|pull)\//, ''),
    GITHUB_REPOSITORY: github.repository,
    GITHUB_REPOSITORY_ID: `${github.repositoryId}`,
    GITHUB_REPOSITORY_OWNER: github.repository.split('/')[0]!,
    GITHUB_RUN_ATTEMPT: `${run.attempt}`,
    GITHUB_RUN_ID: `${run.id}`,
    GITHUB_RUN_NUMBER: '1',
    GITHUB_SERVER_URL: serverUrl,
    GITHUB_SHA: commit,
    GITHUB_STATE: file('state', ''),
    GITHUB_STEP_SUMMARY: file('summary.md', ''),
    GITHUB_TRIGGERING_ACTOR: options.actor ?? 'octocat',
    GITHUB_WORKFLOW: 'Gate',
    GITHUB_WORKFLOW_REF: `${github.repository}/${WORKFLOW}@${ref}`,
    GITHUB_WORKFLOW_SHA: commit,
    GITHUB_WORKSPACE: workspace,
    RUNNER_OS: 'Linux',
    RUNNER_TEMP: folder,
    ACTIONS_RESULTS_URL: `${github.url}/`,
    ACTIONS_RUNTIME_TOKEN: runtimeToken,
    ACTIONS_RUNTIME_URL: `${github.url}/`,
  }
  return {
    workflowRun: run,
    runtimeToken,
    workspace,
    env,
    async run(script, inputs = {}) {
      const variables = asVariables(inputs)
      // What ran on a branch had that branch's files.
      if (!pull && !github.files.has(commit)) github.files.set(commit, snapshot(workspace))
      const done = beginJob(github, run, env, variables)
      const ended = await runScript(script, workspace, { ...env, ...variables })
      done(ended.status !== 0)
      return ended
    },
    outputs: () => parseOutputs(readFileSync(env.GITHUB_OUTPUT!, 'utf8')),
    summary: () => readFileSync(env.GITHUB_STEP_SUMMARY!, 'utf8'),
  }
}

function snapshot(folder: string): Map<string, Buffer> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  return new Map(
    paths
      .map(path => [relative(folder, path), readFileSync(path)] as const)
      .filter(([path]) => !path.includes('.git/')),
  )
}

/** The job that a step belongs to begins, or goes on; what is given back ends it. */
function beginJob(
  github: GitHubDouble,
  { id: runId, attempt }: Run,
  env: Record<string, string>,
  inputs: Record<string, string>,
): (failed: boolean) => void {
  const leg = [inputs.INPUT_MATRIX, inputs.INPUT_STRATEGY].filter(Boolean).join(', ')
  // As GitHub calls a leg of a matrix.
  const key = leg ? `${env.GITHUB_JOB} (${leg})` : env.GITHUB_JOB
  env.RUNNER_NAME ??= `runner ${key}`
  const runner = env.RUNNER_NAME
  let job = github.jobs.find(job => job.runId === runId && job.attempt === attempt && job.key === key)
  if (!job) {
    const started = new Date().toISOString()
    job = { id: github.nextId(), runId, attempt, key, runner, started, completed: null, failed: false }
    github.jobs.push(job)
  }
  job.completed = null
  return failed => {
    job.completed = new Date().toISOString()
    job.failed ||= failed
  }
}

function asVariables(inputs: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [`INPUT_${name.replaceAll(' ', '_').toUpperCase()}`, value]),
  )
}

function runScript(script: string, cwd: string, env: Record<string, string>): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 })
    const ended: Ended = { status: null, stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', text => (ended.stdout += text))
    child.stderr.setEncoding('utf8').on('data', text => (ended.stderr += text))
    child.on('error', reject)
    child.on('close', status => resolve({ ...ended, status }))
  })
}

/** `name<<delimiter`, lines, `delimiter`; or `name=value`. */
function parseOutputs(text: string): Record<string, string> {
  const pattern = /^([^\n<=]+)(?:=(.*)|<<(\S+)\r?\n(?:([\s\S]*?)\r?\n)?\3)$/gm
  return Object.fromEntries([...text.matchAll(pattern)].map(([, name, line, , block]) => [name!, line ?? block ?? '']))
}

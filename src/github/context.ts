import * as z from 'zod'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Provenance } from '../report/schema.ts'
import { withoutEnd } from '../words.ts'

/** A repository, `owner/name`. */
export interface Repository {
  owner: string
  name: string
}

export interface PullRequest {
  number: number
  headSha: string
  headRef: string
  /** `owner/name`; null when the fork was deleted. */
  headRepository: string | null
  /** Its head lies in another repository: the token of a `pull_request` event is read-only then. */
  fork: boolean
  baseSha: string
  baseRef: string
  labels: string[]
  /** The label that this very event set, and who did. */
  labelled: { name: string; by: string } | null
}

/** What a run is about: the environment and the event's payload, checked. */
export interface Context {
  serverUrl: string
  apiUrl: string
  repository: Repository
  event: string
  /** What the event checks out by default: for a pull request its merge commit. */
  sha: string
  ref: string
  actor: string
  workflow: string
  /** `.github/workflows/gate.yml`; empty where the runner does not say. */
  workflowPath: string
  /** Whose that is: a ruleset may require another repository's. Empty where the runner does not say. */
  workflowRepository: string
  run: { id: number; attempt: number; url: string }
  defaultBranch: string
  pullRequest: PullRequest | null
  /** `before` is null for a new branch. */
  push: { before: string | null; forced: boolean } | null
  mergeGroup: { headSha: string; headRef: string; baseSha: string; baseRef: string } | null
  /** The run that a `workflow_run` event reports on. Its pull request must be looked up: the payload leaves forks out. */
  workflowRun: WorkflowRun | null
}

export interface WorkflowRun {
  id: number
  attempt: number
  event: string
  headSha: string
  headBranch: string
  headRepository: string | null
  workflowPath: string
  /** Who started it. */
  actor: string
  /** How it ended: `success`, `skipped`, …; empty where that is not said. */
  conclusion: string
}

export type Environment = Readonly<Record<string, string | undefined>>

const sha = z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/)
const ref = z.string().min(1).max(1024)
const id = z.int().min(1)
const fullName = z.string().regex(/^[\w.-]{1,100}\/[\w.-]{1,100}$/)
const someRepository = z.object({ full_name: fullName, id: id.optional() })

const pullRequest = z.object({
  number: id,
  head: z.object({ sha, ref, repo: someRepository.nullish() }),
  base: z.object({ sha, ref, repo: someRepository.nullish() }),
  labels: z
    .array(z.object({ name: z.string().max(1024) }))
    .max(1000)
    .nullish(),
})

/** Only what we use, and only where we use it: other forges send less than GitHub. */
const payloads = {
  pull: z.object({
    pull_request: pullRequest,
    action: z.string().max(64).nullish(),
    label: z.object({ name: z.string().max(1024) }).nullish(),
    sender: z.object({ login: z.string().max(256) }).nullish(),
  }),
  push: z.object({ before: sha.nullish(), forced: z.boolean().nullish() }),
  merge_group: z.object({
    merge_group: z.object({ head_sha: sha, head_ref: ref, base_sha: sha, base_ref: ref }),
  }),
  workflow_run: z.object({
    workflow_run: z.object({
      id,
      run_attempt: id.nullish(),
      event: z.string().max(64),
      head_sha: sha,
      head_branch: ref.nullish(),
      head_repository: someRepository.nullish(),
      path: z.string().max(1024).nullish(),
      actor: z.object({ login: z.string().max(256) }).nullish(),
      conclusion: z.string().max(64).nullish(),
    }),
  }),
  any: z.object({ repository: z.object({ default_branch: ref.nullish() }).nullish() }),
}

const PULL_EVENTS = ['pull_request', 'pull_request_target', 'pull_request_review', 'pull_request_review_comment']
const OUTSIDE = 'The Action runs in GitHub Actions only; elsewhere use the command line: node dist/cli.js --help'

/**
 * The event that started this run, from the environment and the payload at `GITHUB_EVENT_PATH`. `readFile` reads that
 * file. What does not fit is a `UserError` that names the variable or the payload's field.
 */
export async function readContext(env: Environment, readFile: (path: string) => Promise<string>): Promise<Context> {
  const variable = <T>(name: string, schema: z.ZodType<T>, fallback?: string): T => {
    const result = schema.safeParse(env[name] || fallback)
    if (result.success) return result.data
    if (!env[name]) throw new UserError(`The environment variable ${name} is not set.`, OUTSIDE)
    throw new UserError(`The environment variable ${name} is ${quote(env[name])}, which is not usable.`, OUTSIDE)
  }
  const [owner, name] = variable('GITHUB_REPOSITORY', fullName).split('/') as [string, string]
  const event = variable('GITHUB_EVENT_NAME', z.string().regex(/^\w{1,64}$/))
  const runId = variable('GITHUB_RUN_ID', z.coerce.number().pipe(id))
  const attempt = variable('GITHUB_RUN_ATTEMPT', z.coerce.number().pipe(id), '1')
  const serverUrl = variable('GITHUB_SERVER_URL', url, 'https://github.com')
  const payload = await readPayload(env.GITHUB_EVENT_PATH, readFile)
  const part = <T>(schema: z.ZodType<T>): T => {
    const result = schema.safeParse(payload)
    if (result.success) return result.data
    const { path, message } = result.error.issues[0]!
    throw new UserError(`The payload of the event ${event} has no usable ${path.join('.')}: ${message}.`)
  }
  const workflow = /^([^/]+\/[^/]+)\/([^@\n]+)@/.exec(env.GITHUB_WORKFLOW_REF?.slice(0, 2048) ?? '')
  const attemptPath = attempt > 1 ? `/attempts/${attempt}` : ''
  return {
    serverUrl,
    apiUrl: variable('GITHUB_API_URL', url, 'https://api.github.com'),
    repository: { owner, name },
    event,
    sha: variable('GITHUB_SHA', sha),
    ref: variable('GITHUB_REF', ref),
    actor: env.GITHUB_ACTOR?.slice(0, 256) ?? '',
    workflow: env.GITHUB_WORKFLOW?.slice(0, 1024) ?? '',
    workflowPath: workflow?.[2] ?? '',
    workflowRepository: workflow?.[1] ?? '',
    run: { id: runId, attempt, url: `${serverUrl}/${owner}/${name}/actions/runs/${runId}${attemptPath}` },
    defaultBranch: part(payloads.any).repository?.default_branch ?? '',
    pullRequest: PULL_EVENTS.includes(event) ? pull(part(payloads.pull)) : null,
    push: event === 'push' ? push(part(payloads.push)) : null,
    mergeGroup: event === 'merge_group' ? mergeGroup(part(payloads.merge_group).merge_group) : null,
    workflowRun: event === 'workflow_run' ? workflowRun(part(payloads.workflow_run).workflow_run) : null,
  }
}

export const DEPENDABOT = 'dependabot[bot]'

/** Whether GitHub gives this run none of the repository's secrets: those of forks' pull requests, and what Dependabot started. */
export function hasNoSecrets({ event, actor, pullRequest }: Context): boolean {
  if (event === 'pull_request_target') return false
  const isOfPull = event.startsWith('pull_request')
  return actor === DEPENDABOT ? isOfPull || WITHOUT_SECRETS.includes(event) : isOfPull && pullRequest?.fork === true
}

/** Events, beside those of pull requests, for which Dependabot gets no secrets: "Troubleshooting Dependabot on GitHub Actions". */
const WITHOUT_SECRETS = ['push', 'create', 'deployment', 'deployment_status']

/**
 * Who made a report. The commit is the pull request's head where there is one: its merge commit soon exists no more.
 * `time` is when, in ISO 8601.
 */
export function provenance(context: Context, time: string): Provenance {
  return {
    repository: `${context.repository.owner}/${context.repository.name}`,
    commit: context.pullRequest?.headSha ?? context.mergeGroup?.headSha ?? context.sha,
    ref: context.ref,
    event: context.event,
    workflow: context.workflow,
    run_id: context.run.id,
    run_attempt: context.run.attempt,
    run_url: context.run.url,
    time,
  }
}

const url = z
  .url({ protocol: /^https?$/ })
  .max(1024)
  .transform(text => withoutEnd(text, '/'))

async function readPayload(path: string | undefined, readFile: (path: string) => Promise<string>): Promise<object> {
  if (!path) return {}
  let payload: unknown
  try {
    const text = await readFile(path)
    if (text.length > limits.github.eventBytes) throw new RangeError(`it has ${text.length} characters`)
    payload = JSON.parse(text)
  } catch (cause) {
    throw new UserError(`The event's payload at GITHUB_EVENT_PATH (${quote(path)}) cannot be read.`, OUTSIDE, { cause })
  }
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
    throw new UserError(`The event's payload at GITHUB_EVENT_PATH (${quote(path)}) is not a JSON object.`, OUTSIDE)
  }
  return payload
}

function pull({ pull_request, action, label, sender }: z.infer<typeof payloads.pull>): PullRequest {
  const { number, head, base, labels } = pull_request
  const same =
    head.repo && base.repo && (head.repo.id && base.repo.id ? head.repo.id === base.repo.id : name(head) === name(base))
  return {
    number,
    headSha: head.sha,
    headRef: head.ref,
    headRepository: head.repo?.full_name ?? null,
    fork: !same,
    baseSha: base.sha,
    baseRef: base.ref,
    labels: labels?.map(label => label.name) ?? [],
    labelled: action === 'labeled' && label && sender ? { name: label.name, by: sender.login } : null,
  }
}

function name({ repo }: z.infer<typeof pullRequest>['head']): string | undefined {
  return repo?.full_name.toLowerCase()
}

function push({ before, forced }: z.infer<typeof payloads.push>): Context['push'] {
  return { before: before && !/^0+$/.test(before) ? before : null, forced: forced ?? false }
}

function mergeGroup(group: z.infer<typeof payloads.merge_group>['merge_group']): Context['mergeGroup'] {
  return { headSha: group.head_sha, headRef: group.head_ref, baseSha: group.base_sha, baseRef: group.base_ref }
}

function workflowRun(run: z.infer<typeof payloads.workflow_run>['workflow_run']): WorkflowRun {
  return {
    id: run.id,
    attempt: run.run_attempt ?? 1,
    event: run.event,
    headSha: run.head_sha,
    headBranch: run.head_branch ?? '',
    headRepository: run.head_repository?.full_name ?? null,
    workflowPath: (run.path ?? '').replace(/@.*$/s, ''),
    actor: run.actor?.login ?? '',
    conclusion: run.conclusion ?? '',
  }
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200))
}

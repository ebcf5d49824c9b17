import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import {
  type Artifact,
  type Comment,
  type GitHubDouble,
  type Pull,
  type Run,
  type RunJob,
  type Scope,
  sha,
} from './double.ts'
import { fill } from './schema.ts'

export interface Answer {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

export interface Call {
  github: GitHubDouble
  path: Record<string, string>
  query: URLSearchParams
  body: { body: string }
  url: URL
  accept: string
}

interface Route {
  /** The permission without which GitHub answers 403. */
  needs?: [Scope, 'read' | 'write']
  handle(call: Call): Answer
}

/** GitHub's way of saying no. */
export function failure(
  status: number,
  message: string,
  headers: Record<string, string> = {},
  errors?: object[],
): Answer {
  const body = {
    message,
    ...(errors && { errors }),
    documentation_url: 'https://docs.github.com/rest',
    status: `${status}`,
  }
  return { status, headers, body }
}

const NOT_FOUND = failure(404, 'Not Found')

/** The operations of the REST API that the double plays, by their names in GitHub's description. */
export const routes: Record<string, Route> = {
  'issues/list-comments': {
    handle: call =>
      exists(call)
        ? page(call, call.github.comments(Number(call.path.issue_number)), comment => comments(call, comment))
        : NOT_FOUND,
  },
  'issues/create-comment': {
    needs: ['pull-requests', 'write'],
    handle(call) {
      if (!exists(call)) return NOT_FOUND
      const { github, path, body } = call
      return (
        tooLong(body.body) ?? {
          status: 201,
          body: comments(call, github.addComment(Number(path.issue_number), body.body, github.login)),
        }
      )
    },
  },
  'issues/get-comment': {
    handle: call => {
      const comment = call.github.comment(Number(call.path.comment_id))
      return comment ? { status: 200, body: comments(call, comment) } : NOT_FOUND
    },
  },
  'issues/update-comment': {
    needs: ['pull-requests', 'write'],
    handle(call) {
      const comment = call.github.comment(Number(call.path.comment_id))
      if (!comment) return NOT_FOUND
      const refused = tooLong(call.body.body)
      if (refused) return refused
      Object.assign(comment, { body: call.body.body, updated: new Date().toISOString() })
      return { status: 200, body: comments(call, comment) }
    },
  },
  'issues/delete-comment': {
    needs: ['pull-requests', 'write'],
    handle({ github, path }) {
      if (!github.comment(Number(path.comment_id))) return NOT_FOUND
      github.removeComment(Number(path.comment_id))
      return { status: 204 }
    },
  },
  'issues/list-labels-on-issue': {
    handle: call =>
      exists(call)
        ? page(call, call.github.pulls.get(Number(call.path.issue_number))!.labels, name => fill('label', { name }))
        : NOT_FOUND,
  },
  'issues/list-events': {
    handle: call =>
      page(
        call,
        call.github.events.filter(({ issue }) => issue === Number(call.path.issue_number)),
        ({ event }) => fill('labeled-issue-event', event),
      ),
  },
  'pulls/get': {
    handle({ github, path }) {
      const pull = github.pulls.get(Number(path.pull_number))
      return pull ? { status: 200, body: fill('pull-request', pullObject(github, pull)) } : NOT_FOUND
    },
  },
  'pulls/list': {
    handle(call) {
      const { github, query } = call
      const found = [...github.pulls.values()].filter(
        ({ head }) => !query.has('head') || query.get('head') === `${head.repository?.split('/')[0]}:${head.ref}`,
      )
      return page(call, found, pull => fill('pull-request-simple', pullObject(github, pull)))
    },
  },
  'repos/list-commits': {
    needs: ['contents', 'read'],
    handle(call) {
      const from = call.query.get('sha') ?? 'main'
      return page(call, ancestors(call.github, call.github.branches.get(from) ?? from), sha => commit(call.github, sha))
    },
  },
  'repos/compare-commits-with-basehead': {
    needs: ['contents', 'read'],
    handle({ github, path }) {
      const [base, head] = path.basehead!.split('...').map(ref => github.branches.get(ref) ?? ref) as [string, string]
      const [below, above] = [ancestors(github, base), ancestors(github, head)]
      const mergeBase = above.find(sha => below.includes(sha))
      if (mergeBase === undefined) return NOT_FOUND
      const ahead = above.filter(sha => !below.includes(sha))
      const behind = below.filter(sha => !above.includes(sha))
      const body = fill('commit-comparison', {
        status:
          ahead.length > 0 ? (behind.length > 0 ? 'diverged' : 'ahead') : behind.length > 0 ? 'behind' : 'identical',
        ahead_by: ahead.length,
        behind_by: behind.length,
        total_commits: ahead.length,
        base_commit: commit(github, base),
        merge_base_commit: commit(github, mergeBase),
        commits: ahead.map(sha => commit(github, sha)).reverse(),
      })
      return { status: 200, body }
    },
  },
  'repos/get-branch': {
    needs: ['contents', 'read'],
    handle({ github, path }) {
      const tip = github.branches.get(path.branch!)
      if (!tip) return failure(404, 'Branch not found')
      return {
        status: 200,
        body: fill('branch-with-protection', { name: path.branch, commit: commit(github, tip), protected: false }),
      }
    },
  },
  'git/get-tree': {
    needs: ['contents', 'read'],
    handle({ github, path }) {
      const files = filesOf(github, path.tree_sha!) ?? new Map<string, Buffer>()
      const tree = [...files].map(([name, file]) =>
        github.submodules.has(file)
          ? { path: name, mode: '160000', type: 'commit', sha: file.toString() }
          : {
              ...{ path: name, mode: github.links.has(file) ? '120000' : '100644', type: 'blob' },
              ...{ sha: blobId(file), size: file.length },
            },
      )
      const truncated = tree.length > github.listedFiles
      const listed = tree.slice(0, github.listedFiles)
      return { status: 200, body: fill('git-tree', { sha: path.tree_sha, tree: listed, truncated }) }
    },
  },
  'repos/get-content': {
    needs: ['contents', 'read'],
    handle({ github, path, query, accept }) {
      const ref = (query.get('ref') ?? 'main').replace(/^refs\/heads\//, '')
      const files = filesOf(github, github.branches.get(ref) ?? ref)
      const file = files?.get(path.path!)
      const inside = [...(files?.keys() ?? [])].filter(name => name.startsWith(`${path.path}/`))
      if (!file && inside.length > 0) {
        const names = new Set(inside.map(name => name.slice(path.path!.length + 1)))
        const type = (name: string) => (name.includes('/') ? 'dir' : 'file')
        const entries = [...names].map(name => ({ type: type(name), name: name.split('/')[0], size: 0 }))
        return { status: 200, body: fill('content-directory', entries) }
      }
      if (!file) return NOT_FOUND
      if (github.submodules.has(file)) {
        const module = { type: 'submodule', sha: file.toString(), submodule_git_url: null, size: 0 }
        return { status: 200, body: fill('content-submodule', { ...module, path: path.path }) }
      }
      if (github.links.has(file)) {
        const to = posix.join(posix.dirname(path.path!), file.toString())
        if (files?.has(to)) return contentOf(files.get(to)!, path.path!, accept)
        const target = { type: 'symlink', target: file.toString(), sha: blobId(file) }
        return { status: 200, body: fill('content-symlink', { ...target, path: path.path, size: file.length }) }
      }
      return contentOf(file, path.path!, accept)
    },
  },
  'actions/list-jobs-for-workflow-run': {
    needs: ['actions', 'read'],
    handle(call) {
      const ofRun = call.github.jobs.filter(({ runId }) => runId === Number(call.path.run_id))
      const latest = new Map(ofRun.sort((a, b) => a.attempt - b.attempt).map(job => [job.key, job]))
      const most = Math.max(...ofRun.map(({ attempt }) => attempt))
      const last = [...latest.values()].filter(({ attempt }) => !call.github.listsLastAttemptAlone || attempt === most)
      const found = call.query.get('filter') === 'all' ? ofRun : last
      return page(
        call,
        found,
        job => jobObject(job),
        jobs => ({ total_count: found.length, jobs }),
      )
    },
  },
  'repos/get-collaborator-permission-level': {
    needs: ['contents', 'read'],
    handle({ github, path }) {
      const permission = github.collaborators.get(path.username!) ?? 'read'
      const user = { login: path.username, permissions: undefined }
      return {
        status: 200,
        body: fill('repository-collaborator-permission', { permission, role_name: permission, user }),
      }
    },
  },
  'actions/list-artifacts-for-repo': {
    needs: ['actions', 'read'],
    handle: call => artifactPage(call, call.github.artifacts),
  },
  'actions/list-workflow-run-artifacts': {
    needs: ['actions', 'read'],
    handle: call =>
      artifactPage(
        call,
        call.github.artifacts.filter(({ runId }) => runId === Number(call.path.run_id)),
      ),
  },
  'actions/get-artifact': {
    needs: ['actions', 'read'],
    handle({ github, path }) {
      const artifact = github.artifacts.find(({ id }) => id === Number(path.artifact_id))
      return artifact ? { status: 200, body: artifactObject(github, artifact) } : NOT_FOUND
    },
  },
  'actions/delete-artifact': {
    needs: ['actions', 'write'],
    handle({ github, path }) {
      const index = github.artifacts.findIndex(({ id }) => id === Number(path.artifact_id))
      if (index < 0) return NOT_FOUND
      github.artifacts.splice(index, 1)
      return { status: 204 }
    },
  },
  'actions/download-artifact': {
    needs: ['actions', 'read'],
    handle({ github, path }) {
      const artifact = github.artifacts.find(({ id }) => id === Number(path.artifact_id))
      if (!artifact) return NOT_FOUND
      if (artifact.expired) return failure(410, 'Artifact has expired')
      return { status: 302, headers: { location: github.signedDownload(artifact) } }
    },
  },
  'actions/list-workflow-runs-for-repo': {
    needs: ['actions', 'read'],
    handle(call) {
      const sha = call.query.get('head_sha')
      const branch = call.query.get('branch')
      const found = [...call.github.runs.values()]
        .filter(run => (sha === null || run.sha === sha) && (branch === null || run.branch === branch))
        .reverse()
      return page(
        call,
        found,
        run => runObject(call.github, run),
        runs => ({ total_count: found.length, workflow_runs: runs }),
      )
    },
  },
  'actions/get-workflow-run': {
    needs: ['actions', 'read'],
    handle({ github, path }) {
      const run = github.runs.get(Number(path.run_id))
      return run ? { status: 200, body: runObject(github, run) } : NOT_FOUND
    },
  },
  'users/get-authenticated': {
    handle: ({ github }) =>
      github.login.endsWith('[bot]')
        ? failure(403, 'Resource not accessible by integration')
        : { status: 200, body: fill('public-user', { login: github.login }) },
  },
}

function jobObject({ id, runId, attempt, key, runner, started, completed, failed, stepName }: RunJob): object {
  return fill('job', {
    ...{ id, run_id: runId, run_attempt: attempt, name: key, runner_name: runner },
    ...{ started_at: started, completed_at: completed, status: completed ? 'completed' : 'in_progress' },
    conclusion: completed ? (failed ? 'failure' : 'success') : null,
    steps: [
      { name: stepName ?? 'Run spectral-gate/spectral-gate@v0', status: 'completed', conclusion: null, number: 1 },
    ],
  })
}

/** Those of the nearest commit, along first parents, whose files are known. */
function filesOf(github: GitHubDouble, start: string): Map<string, Buffer> | undefined {
  const pull = [...github.pulls.values()].find(({ head }) => sha(`merge of ${head.sha}`) === start)
  if (pull && !github.files.has(start)) return merged(github, pull)
  for (let at: string | undefined = start; at !== undefined; at = github.commits.get(at)?.[0]) {
    const files = github.files.get(at)
    if (files) return files
  }
  return undefined
}

/** What a pull request's merge commit has: of each file what one side made of it, the head first. */
function merged(github: GitHubDouble, { base, head }: Pull): Map<string, Buffer> {
  const tip = github.branches.get(base.ref) ?? ''
  const common = ancestors(github, head.sha).find(commit => ancestors(github, tip).includes(commit)) ?? ''
  const [before, ours, theirs] = [common, tip, head.sha].map(
    commit => filesOf(github, commit) ?? new Map<string, Buffer>(),
  )
  const names = new Set([...ours.keys(), ...theirs.keys()])
  return new Map(
    [...names].flatMap(name => {
      const [old, own, other] = [before, ours, theirs].map(files => files.get(name))
      const isTheirs = !(old && other ? old.equals(other) : old === other)
      const file = isTheirs ? other : own
      return file ? [[name, file] as const] : []
    }),
  )
}

function contentOf(file: Buffer, path: string, accept: string): Answer {
  if (accept.includes('raw')) {
    return { status: 200, body: file, headers: { 'content-type': 'application/vnd.github.raw+json' } }
  }
  const content = file.length > 1024 * 1024 ? '' : file.toString('base64')
  const about = { name: path.split('/').at(-1), path, sha: blobId(file), size: file.length }
  return {
    status: 200,
    body: fill('content-file', { ...about, type: 'file', encoding: content ? 'base64' : 'none', content }),
  }
}

/** The id that git gives to a file's content. */
function blobId(file: Buffer): string {
  return createHash('sha1').update(`blob ${file.length}\0`).update(file).digest('hex')
}

function exists({ github, path }: Call): boolean {
  return github.pulls.has(Number(path.issue_number))
}

function tooLong(body: string): Answer | undefined {
  if (body.trim() !== '' && body.length <= 65_536) return undefined
  const message = body.length > 65_536 ? 'body is too long (maximum is 65536 characters)' : "body can't be blank"
  return failure(422, 'Validation Failed', {}, [
    { resource: 'IssueComment', code: 'unprocessable', field: 'data', message },
  ])
}

/** One page of a list, with the Link header that leads to the next. */
function page<T>(
  call: Call,
  all: readonly T[],
  object: (item: T) => unknown,
  wrap = (items: unknown[]): unknown => items,
): Answer {
  const size = Math.min(Number(call.query.get('per_page') ?? 30), 100)
  const number = Number(call.query.get('page') ?? 1)
  const last = Math.max(1, Math.ceil(all.length / size))
  const link = (to: number, rel: string) => {
    const url = new URL(call.url)
    url.searchParams.set('page', `${to}`)
    return `<${url}>; rel="${rel}"`
  }
  return {
    status: 200,
    headers: number < last ? { link: `${link(number + 1, 'next')}, ${link(last, 'last')}` } : {},
    body: wrap(all.slice((number - 1) * size, number * size).map(object)),
  }
}

function comments({ github }: Call, comment: Comment): unknown {
  const { id, issue, body, login } = comment
  return fill('issue-comment', {
    id,
    body,
    user: { login, type: login.endsWith('[bot]') ? 'Bot' : 'User' },
    url: `${github.apiUrl}/repos/${github.repository}/issues/comments/${id}`,
    html_url: `${github.serverUrl}/${github.repository}/pull/${issue}#issuecomment-${id}`,
    created_at: comment.created,
    updated_at: comment.updated,
  })
}

/** A pull request, as the REST API and the events say it. */
export function pullObject(github: GitHubDouble, { number, head, base, labels }: Pull): object {
  const repo = (name: string) => ({
    full_name: name,
    name: name.split('/')[1],
    id: repositoryId(github, name),
    fork: name !== github.repository,
  })
  return {
    number,
    state: 'open',
    html_url: `${github.serverUrl}/${github.repository}/pull/${number}`,
    head: { sha: head.sha, ref: head.ref, repo: head.repository && repo(head.repository) },
    base: { sha: base.sha, ref: base.ref, repo: repo(github.repository) },
    labels: labels.map(name => ({ name })),
  }
}

/** The id of our repository or of a fork of it. */
export function repositoryId(github: GitHubDouble, name: string): number {
  return name === github.repository ? github.repositoryId : 90_000 + name.length
}

/** The commit and those it comes from, itself first, each once. */
function ancestors(github: GitHubDouble, start: string): string[] {
  const seen = new Set<string>([start])
  for (const sha of seen) for (const parent of github.commits.get(sha) ?? []) seen.add(parent)
  return [...seen]
}

function commit(github: GitHubDouble, sha: string): object {
  return fill('commit', { sha, parents: (github.commits.get(sha) ?? []).map(parent => ({ sha: parent })) })
}

function artifactPage(call: Call, all: Artifact[]): Answer {
  const name = call.query.get('name')
  const found = all.filter(artifact => name === null || artifact.name === name).sort((a, b) => b.id - a.id)
  return page(
    call,
    found,
    artifact => artifactObject(call.github, artifact),
    artifacts => ({ total_count: found.length, artifacts }),
  )
}

function artifactObject(github: GitHubDouble, artifact: Artifact): object {
  const run = github.runs.get(artifact.runId)
  return fill('artifact', {
    id: artifact.id,
    name: artifact.name,
    size_in_bytes: artifact.zip.length,
    expired: artifact.expired,
    digest: artifact.digest,
    created_at: artifact.created,
    workflow_run: run && {
      id: run.id,
      repository_id: github.repositoryId,
      head_repository_id: run.headRepositoryId,
      head_branch: run.branch,
      head_sha: run.sha,
    },
  })
}

function runObject(github: GitHubDouble, run: Run): object {
  return fill('workflow-run', {
    id: run.id,
    run_attempt: run.attempt,
    event: run.event,
    path: run.path,
    head_branch: run.branch,
    head_sha: run.sha,
    html_url: `${github.serverUrl}/${github.repository}/actions/runs/${run.id}`,
    repository: { id: github.repositoryId, full_name: github.repository },
    head_repository: { id: run.headRepositoryId, full_name: run.headRepository },
    created_at: run.created,
  })
}

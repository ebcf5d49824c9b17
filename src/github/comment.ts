import { createHash } from 'node:crypto'
import { type Api, DeadlineError, isTransient, WaitError } from './api.ts'
import type { Context } from './context.ts'
import { explainFailure, isRefusal } from './failures.ts'

/** GitHub's limit, in characters. */
const COMMENT_LIMIT = 65_536
/** How long the body of a comment may be: the marker needs the rest. */
export const COMMENT_ROOM = COMMENT_LIMIT - 150

export interface CommentResult {
  /** `taken`: another gate of this very run has written it. */
  action: 'created' | 'updated' | 'unchanged' | 'skipped-older' | 'skipped' | 'taken' | 'failed'
  /** Of the comment; empty where there is none. */
  url: string
  /** Why it failed; empty otherwise. */
  warning: string
}

export interface CommentRequest {
  api: Api
  context: Context
  /** Number of the pull request or issue. */
  issue: number
  /** One comment per key. */
  key: string
  /** What stands for the key in the marker, where the key itself is not known. */
  hash?: string
  /** At most `COMMENT_ROOM` characters. */
  body: string
  /** The run that the comment tells of, if not this one. */
  run?: Run
  /** False: only a comment that is there already is updated. */
  create?: boolean
  /** What the body says. It goes into the marker. */
  verdict?: string | undefined
  /** A verdict that is worse than the last one gets a new comment, for those whom an edited one does not notify. */
  recreateOnWorse?: boolean
  /** Login of the token's owner, where the caller knows it. */
  author?: string
  /** The workflow file of the run that the comment tells of; empty: not checked. */
  workflowPath?: string
  /**
   * Told for a run that can't be believed: it may be told of again, and no comment but of a run of that workflow is touched, whatever
   * key it claims.
   */
  again?: boolean
}

interface Run {
  id: number
  attempt: number
}

interface Comment {
  id: number
  body?: string | undefined
  html_url: string
  user: { login: string } | null
}

/**
 * Writes our one comment with this key on a pull request, or updates it in place. Failures do not throw: they come back
 * as a warning.
 *
 * A comment is ours if it ends with our marker and its author is the owner of our token: anybody can copy a marker, and
 * an edited comment stays its author's. Who owns the token is asked only when there is a marker to check. GraphQL's
 * `viewer` knows it for every kind of token (`github-actions[bot]` for `GITHUB_TOKEN`, `name[bot]` for an app's); where a
 * forge has no GraphQL, `GET /user` knows it for a person's; else it is taken for `github-actions[bot]`, until a comment that we
 * created tells it. No person can have a login with brackets. Of several comments that are ours the lowest id wins, and the others
 * are deleted.
 *
 * The marker names run and attempt. A comment of a newer run is left alone, if GitHub knows that run: another workflow may have
 * echoed a stranger's text under our login. One of the same run is another gate's, which is told apart badly: it is left alone, too.
 * A comment with the same body is left as it is: the body has to tell runs apart if its reader shall.
 */
export async function publishComment(request: CommentRequest): Promise<CommentResult> {
  try {
    return await publish(request)
  } catch (error) {
    const warning = explainFailure(error, 'The comment was not written', 'pull-requests: write', request.context)
    return { action: 'failed', url: '', warning }
  }
}

async function publish(request: CommentRequest): Promise<CommentResult> {
  const { api, context, issue, key, body, run = context.run, create: mayCreate = true } = request
  const hash = request.hash ?? hashOf(key)
  const { verdict = '', recreateOnWorse = false, workflowPath = context.workflowPath, again = false } = request
  let { author } = request
  const text = `${body.trimEnd()}\n\n${marker(hash, run, verdict)}`
  if (text.length > COMMENT_LIMIT)
    throw new RangeError(`its body has ${body.length} characters, more than ${COMMENT_ROOM}`)
  const repository = { owner: context.repository.owner, repo: context.repository.name }
  const { issues } = api.octokit.rest

  const gone = new Set<number>()

  /** Ours, the oldest first. */
  const find = async (): Promise<Comment[]> => {
    const marked = (await listComments(api, { ...repository, issue_number: issue })).filter(
      comment => readMarker(comment.body)?.key === hash,
    )
    if (marked.length === 0) return []
    author ??= await tokenOwner(api)
    const ours = marked.filter(({ user }) => user?.login === author).sort((a, b) => a.id - b.id)
    if (!again) return ours
    const known = await Promise.all(ours.map(({ body }) => isKnown(api, context, readMarker(body)!, workflowPath)))
    return ours.filter((_, i) => known[i])
  }
  const update = async ([comment, ...doubles]: Comment[]): Promise<CommentResult> => {
    const url = comment.html_url
    const written = readMarker(comment.body)!
    if (withoutMarker(comment.body!) === withoutMarker(text)) {
      for (const double of doubles) await removed(double)
      return { action: 'unchanged', url, warning: '' }
    }
    if (isNewer(written, run) && (await isKnown(api, context, written, workflowPath)))
      return { action: 'skipped-older', url, warning: '' }
    if (written.id === run.id && written.attempt === run.attempt && !again) {
      const warning = 'The comment was not written: another gate of this very run has written it.'
      return { action: 'taken', url, warning }
    }
    for (const double of doubles) await removed(double)
    if (recreateOnWorse && isWorse(verdict, written.verdict) && (await removed(comment))) return create()
    try {
      await issues.updateComment({ ...repository, comment_id: comment.id, body: text })
    } catch (error) {
      // Somebody deleted it meanwhile.
      if ((error as { status?: number }).status !== 404 || !mayCreate) throw error
      gone.add(comment.id)
      return create()
    }
    return { action: 'updated', url, warning: '' }
  }
  const removed = (comment: Comment): Promise<boolean> =>
    issues.deleteComment({ ...repository, comment_id: comment.id }).then(
      () => true,
      error => {
        if (isTransient(error) || error instanceof DeadlineError || error instanceof WaitError) throw error
        // Another job that saw doubles may have been faster.
        return (error as { status?: number }).status === 404
      },
    )
  const create = async (): Promise<CommentResult> => {
    const { data } = await issues.createComment({ ...repository, issue_number: issue, body: text })
    author = data.user?.login ?? author
    // Another job may have written one at the same time, or we did not know that an earlier one was ours: the first is kept.
    const earlier = (await find().catch(() => [])).filter(({ id }) => id < data.id && !gone.has(id))
    if (earlier.length === 0) return { action: 'created', url: data.html_url, warning: '' }
    await removed(data)
    return update(earlier)
  }

  const ours = await find()
  if (ours.length > 0) return update(ours)
  if (!mayCreate) return { action: 'skipped', url: '', warning: '' }
  try {
    return await create()
  } catch (error) {
    if (!isTransient(error)) throw error
    await api.deadline.sleep(1000)
    const made = await find()
    if (made.length === 0) return create()
    return made[0].body === text ? { action: 'created', url: made[0].html_url, warning: '' } : update(made)
  }
}

/** Whether GitHub knows this attempt of this run, and that it is of our workflow. */
async function isKnown(api: Api, context: Context, run: Run, workflowPath: string): Promise<boolean> {
  return (await commitOf(api, context, run, workflowPath)) !== undefined
}

/** The commit of this run, where GitHub knows this attempt of it, and that it is of our workflow. */
async function commitOf(
  { octokit }: Api,
  context: Context,
  { id, attempt }: Run,
  workflowPath: string,
): Promise<string | undefined> {
  const { owner, name: repo } = context.repository
  try {
    const { data } = await octokit.rest.actions.getWorkflowRun({
      ...{ owner, repo, run_id: id, exclude_pull_requests: true },
    })
    const known = (data.run_attempt ?? 1) >= attempt && isSameFile((data.path ?? '').replace(/@.*$/s, ''), workflowPath)
    // A run of another pull request has nothing to say on this one.
    const { pullRequest } = context
    const anyPull = !pullRequest || !data.event.startsWith('pull_request')
    const ours =
      anyPull ||
      (data.head_branch === pullRequest.headRef && data.head_repository?.full_name === pullRequest.headRepository)
    return known && ours ? (data.head_sha ?? '') : undefined
  } catch (error) {
    if (isRefusal(error)) return undefined
    throw error
  }
}

/**
 * What stands for the keys of our comments on a pull request that tell of runs of one workflow file (of any, where that is not
 * known), each with the commit of that run. GitHub's errors pass through.
 */
export async function commentsOf(
  api: Api,
  context: Context,
  issue: number,
  workflowPath: string,
): Promise<Map<string, string>> {
  const { owner, name: repo } = context.repository
  const found = new Map<string, string>()
  for (const { body, user } of await listComments(api, { owner, repo, issue_number: issue })) {
    const written = readMarker(body)
    if (!written || found.has(written.key) || user?.login !== (await tokenOwner(api))) continue
    const commit = await commitOf(api, context, written, workflowPath)
    if (commit !== undefined) found.set(written.key, commit)
  }
  return found
}

/** Of one workflow, as far as is known: Gitea leaves out the folder. */
function isSameFile(a: string, b: string): boolean {
  return !a || !b || a === b || a.endsWith(`/${b}`) || b.endsWith(`/${a}`)
}

async function listComments(
  { octokit }: Api,
  issue: { owner: string; repo: string; issue_number: number },
): Promise<Comment[]> {
  const all: Comment[] = []
  for (let page = 1; ; page++) {
    const { data, headers } = await octokit.rest.issues.listComments({ ...issue, per_page: 100, page })
    all.push(...data)
    if (data.length === 0 || !headers.link?.includes('rel="next"')) return all
  }
}

const owners = new WeakMap<Api, Promise<string>>()

function tokenOwner(api: Api): Promise<string> {
  const known = owners.get(api) ?? askOwner(api)
  owners.set(api, known)
  return known
}

async function askOwner({ octokit }: Api): Promise<string> {
  const ways = [
    async () => (await octokit.graphql<{ viewer: { login: string } }>('query { viewer { login } }')).viewer.login,
    async () => (await octokit.rest.users.getAuthenticated()).data.login,
  ]
  for (const way of ways) {
    try {
      return await way()
    } catch (error) {
      if (isTransient(error) || error instanceof DeadlineError || error instanceof WaitError) throw error
    }
  }
  return 'github-actions[bot]'
}

const MARKER =
  /\n\r?\n<!-- spectral-gate key=([0-9a-f]{16}) run=(\d{1,15}) attempt=(\d{1,9})(?: verdict=([a-z]{1,16}))? -->\s*$/

function marker(hash: string, { id, attempt }: Run, verdict: string): string {
  const said = verdict && ` verdict=${verdict}`
  return `<!-- spectral-gate key=${hash} run=${id} attempt=${attempt}${said} -->`
}

function readMarker(body: string | undefined): (Run & { key: string; verdict: string }) | undefined {
  const [, key, id, attempt, verdict = ''] = MARKER.exec(body ?? '') ?? []
  return key === undefined ? undefined : { key, id: Number(id), attempt: Number(attempt), verdict }
}

function withoutMarker(body: string): string {
  return body.replace(MARKER, '').replaceAll('\r\n', '\n').trimEnd()
}

function isNewer(a: Run, b: Run): boolean {
  return a.id > b.id || (a.id === b.id && a.attempt > b.attempt)
}

const ORDER = ['passed', 'accepted', 'warned', 'inconclusive', 'failed']

/** False where the earlier verdict is not known. */
function isWorse(now: string, before: string): boolean {
  return ORDER.includes(before) && ORDER.indexOf(now) > ORDER.indexOf(before)
}

/** What stands for a key in the marker. */
export function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 16)
}

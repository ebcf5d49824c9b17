import { createHash } from 'node:crypto'
import { type Api, DeadlineError, isTransient, WaitError } from './api.ts'
import type { Context } from './context.ts'
import { explainFailure } from './failures.ts'

/** GitHub's limit, in characters. */
const COMMENT_LIMIT = 65_536
/** How long the body of a comment may be: the marker needs the rest. */
export const COMMENT_ROOM = COMMENT_LIMIT - 150

export interface CommentResult {
  action: 'created' | 'updated' | 'unchanged' | 'skipped-older' | 'skipped' | 'failed'
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
 * forge has no GraphQL, `GET /user` knows it for a person's; else it is `github-actions[bot]`. No person can have a login
 * with brackets. Of several comments that are ours the lowest id wins.
 *
 * The marker names run and attempt, and an older run leaves the comment of a newer one alone. A comment with the same
 * body is left as it is: the body has to tell runs apart if its reader shall.
 */
export async function publishComment(request: CommentRequest): Promise<CommentResult> {
  try {
    return await publish(request)
  } catch (error) {
    const warning = explainFailure(error, 'The comment was not written', 'pull-requests: write', request.context)
    return { action: 'failed', url: '', warning }
  }
}

async function publish({
  api,
  context,
  issue,
  key,
  body,
  run = context.run,
  author,
  create: mayCreate = true,
  verdict = '',
  recreateOnWorse = false,
}: CommentRequest): Promise<CommentResult> {
  const text = `${body.trimEnd()}\n\n${marker(key, run, verdict)}`
  if (text.length > COMMENT_LIMIT)
    throw new RangeError(`its body has ${body.length} characters, more than ${COMMENT_ROOM}`)
  const repository = { owner: context.repository.owner, repo: context.repository.name }
  const { issues } = api.octokit.rest

  const find = async (): Promise<Comment | undefined> => {
    const marked = (await listComments(api, { ...repository, issue_number: issue })).filter(
      comment => readMarker(comment.body)?.key === hash(key),
    )
    if (marked.length === 0) return undefined
    author ??= await tokenOwner(api)
    return marked.filter(({ user }) => user?.login === author).sort((a, b) => a.id - b.id)[0]
  }
  const update = async (comment: Comment): Promise<CommentResult> => {
    const url = comment.html_url
    if (isNewer(readMarker(comment.body)!, run)) return { action: 'skipped-older', url, warning: '' }
    if (withoutMarker(comment.body!) === withoutMarker(text)) return { action: 'unchanged', url, warning: '' }
    if (recreateOnWorse && isWorse(verdict, readMarker(comment.body)!.verdict) && (await removed(comment)))
      return create()
    await issues.updateComment({ ...repository, comment_id: comment.id, body: text })
    return { action: 'updated', url, warning: '' }
  }
  const removed = (comment: Comment): Promise<boolean> =>
    issues.deleteComment({ ...repository, comment_id: comment.id }).then(
      () => true,
      error => {
        if (isTransient(error) || error instanceof DeadlineError || error instanceof WaitError) throw error
        return false
      },
    )
  const create = async (): Promise<CommentResult> => {
    const { data } = await issues.createComment({ ...repository, issue_number: issue, body: text })
    author ??= data.user?.login
    // Another job may have written one at the same time: both keep the first.
    const first = await find().catch(() => undefined)
    if (!first || first.id >= data.id) return { action: 'created', url: data.html_url, warning: '' }
    await issues.deleteComment({ ...repository, comment_id: data.id })
    return update(first)
  }

  const comment = await find()
  if (comment) return update(comment)
  if (!mayCreate) return { action: 'skipped', url: '', warning: '' }
  try {
    return await create()
  } catch (error) {
    if (!isTransient(error)) throw error
    await api.deadline.sleep(1000)
    const made = await find()
    if (!made) return create()
    return made.body === text ? { action: 'created', url: made.html_url, warning: '' } : update(made)
  }
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

async function tokenOwner({ octokit }: Api): Promise<string> {
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

function marker(key: string, { id, attempt }: Run, verdict: string): string {
  const said = verdict && ` verdict=${verdict}`
  return `<!-- spectral-gate key=${hash(key)} run=${id} attempt=${attempt}${said} -->`
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

function hash(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 16)
}

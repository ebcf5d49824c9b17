import { createHash } from 'node:crypto'
import { limits } from '../limits.ts'
import type { Api } from './api.ts'
import type { Context } from './context.ts'

/** What GitHub says of a file at a commit: the id of its content, as git has it. */
export interface FileAt {
  readonly sha: string
  readonly size: number
}

/** A file that is too large to be asked for, or no file. */
export class UnreadableError extends Error {
  override name = 'UnreadableError'
}

/**
 * The file at a path of the repository, at a commit or a branch (`refs/heads/main`); undefined where it has none. That there is
 * none is believed only of a branch or commit that the token may read. GitHub's errors pass through.
 */
export async function statAt(api: Api, context: Context, path: string, ref: string): Promise<FileAt | undefined> {
  const data = await contentAt(api, context, path, ref)
  if (data === undefined) return undefined
  if (Array.isArray(data)) throw new UnreadableError(`${path} is a folder`)
  if (data.type !== 'file') throw new UnreadableError(`${path} is a ${data.type}`)
  return { sha: data.sha, size: data.size }
}

/** Names of the files in a folder of the repository, at a commit or a branch; empty where it has none. GitHub's errors pass through. */
export async function namesAt(api: Api, context: Context, path: string, ref: string): Promise<string[]> {
  const data = await contentAt(api, context, path, ref)
  if (data === undefined) return []
  if (!Array.isArray(data)) throw new UnreadableError(`${path} is no folder there`)
  return data.flatMap(({ type, name }) => (type === 'file' ? [name] : []))
}

/** What the repository has at a path, at a commit or a branch: `dir` for a folder; undefined where it has nothing. GitHub's errors pass through. */
export async function kindAt(
  api: Api,
  context: Context,
  path: string,
  ref: string,
): Promise<'dir' | 'file' | 'submodule' | 'symlink' | undefined> {
  const data = await contentAt(api, context, path, ref)
  return Array.isArray(data) ? 'dir' : (data?.type as 'file' | undefined)
}

/** What lies at a path, a file or a folder; undefined where nothing does. */
async function contentAt(api: Api, context: Context, path: string, ref: string) {
  const { owner, name: repo } = context.repository
  try {
    return (await api.octokit.rest.repos.getContent({ owner, repo, path, ref })).data
  } catch (error) {
    if ((error as { status?: number }).status !== 404) throw error
    await assureReadable(api, context, ref)
    return undefined
  }
}

/** The files of the repository by their paths, and whether these are all: GitHub lists no more than 100,000. */
export interface Listing {
  readonly files: ReadonlyMap<string, FileAt>
  /** Symbolic links and submodules: ids of the paths that they lead to, and of commits. */
  readonly links: ReadonlyMap<string, string>
  readonly all: boolean
}

/** The mode of a symbolic link in git's trees. */
const LINK = '120000'

/** All files of the repository, at a commit or a branch. GitHub's errors pass through. */
export async function filesAt(api: Api, context: Context, ref: string): Promise<Listing> {
  const { owner, name: repo } = context.repository
  const tree_sha = ref.startsWith('refs/heads/') ? await branchTip(api, context, ref.slice('refs/heads/'.length)) : ref
  const { data } = await api.octokit.rest.git.getTree({ owner, repo, tree_sha, recursive: '1' })
  if (!Array.isArray(data?.tree)) throw new UnreadableError(`the answer does not tell of the files of ${ref}`)
  const files = new Map<string, FileAt>()
  const links = new Map<string, string>()
  for (const { type, mode, path, sha, size = 0 } of data.tree) {
    if (mode === LINK || type === 'commit') links.set(path, sha)
    else if (type === 'blob') files.set(path, { sha, size })
  }
  return { files, links, all: data.truncated === false }
}

/**
 * The bytes of a file of the repository, at a commit or a branch; undefined where it has none.
 * @param most bytes that it may have
 * @throws UnreadableError where it has more; GitHub's errors pass through
 */
export async function readAt(
  api: Api,
  context: Context,
  { path, ref, most }: { path: string; ref: string; most: number },
): Promise<Buffer | undefined> {
  const found = await statAt(api, context, path, ref)
  if (!found) return undefined
  if (found.size > most) throw new UnreadableError(`${path} has ${found.size} bytes, more than ${most}`)
  const { owner, name: repo } = context.repository
  const { data } = await api.octokit.request('GET /repos/{owner}/{repo}/contents/{path}', {
    ...{ owner, repo, path, ref },
    headers: { accept: 'application/vnd.github.raw+json' },
    request: { parseSuccessResponseBody: false },
  })
  const bytes = await collect(data as unknown as ReadableStream<Uint8Array>, most, path)
  if (blobId(bytes) !== found.sha) throw new UnreadableError(`${path} does not have the content that GitHub tells of`)
  return bytes
}

async function collect(body: ReadableStream<Uint8Array>, most: number, path: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > most) throw new UnreadableError(`${path} has more than ${most} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

/** The id that git gives to a file's content. */
export function blobId(bytes: Buffer): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
}

/** The last commit of a branch. A tag of the same name is none. */
export async function branchTip(api: Api, context: Context, branch: string): Promise<string> {
  const { owner, name: repo } = context.repository
  const { data } = await api.octokit.rest.repos.getBranch({ owner, repo, branch })
  // What stands between may answer in GitHub's place.
  if (typeof data?.commit?.sha !== 'string')
    throw new UnreadableError(`the answer does not tell of the branch ${branch}`)
  return data.commit.sha
}

/** The parents of a commit, the first one first; empty where GitHub tells none. */
export async function parentsOf(api: Api, context: Context, sha: string): Promise<string[]> {
  const { owner, name: repo } = context.repository
  const { data } = await api.octokit.rest.repos.listCommits({ owner, repo, sha, per_page: 1 })
  return data[0]?.sha === sha ? data[0].parents.map(parent => parent.sha) : []
}

/** Whether a commit is one of those that a branch consists of. */
export async function isOnBranch(api: Api, context: Context, sha: string, branch: string): Promise<boolean> {
  const tip = await branchTip(api, context, branch)
  return tip === sha || (await compared(api, context, tip, sha))?.ahead_by === 0
}

/** How many commits one is ahead of another of its history, infinitely many of what is none; undefined where GitHub does not know one. */
export async function ahead(api: Api, context: Context, from: string, sha: string): Promise<number | undefined> {
  const found = await compared(api, context, from, sha)
  return found && (found.behind_by === 0 ? found.ahead_by : Number.POSITIVE_INFINITY)
}

/** Whether two branches have no commit in common, which GitHub tells by a 404 of commits that it knows. Failures are no such thing. */
export async function haveNothingInCommon(api: Api, context: Context, one: string, other: string): Promise<boolean> {
  try {
    const [from, to] = await Promise.all([one, other].map(branch => branchTip(api, context, branch)))
    return (await compared(api, context, from, to)) === undefined
  } catch {
    return false
  }
}

/** How two commits are to each other; undefined where GitHub does not know one, or they have none in common. */
async function compared(api: Api, context: Context, from: string, to: string) {
  const { owner, name: repo } = context.repository
  try {
    const basehead = `${from}...${to}`
    return (await api.octokit.rest.repos.compareCommitsWithBasehead({ owner, repo, basehead, per_page: 1 })).data
  } catch (error) {
    if ((error as { status?: number }).status === 404) return undefined
    throw error
  }
}

async function assureReadable(api: Api, context: Context, ref: string): Promise<void> {
  if (ref.startsWith('refs/heads/')) await branchTip(api, context, ref.slice('refs/heads/'.length))
  else await parentsOf(api, context, ref)
}

/** Bytes that a file of the repository may have to be read at a commit. */
export const MOST_AT = Math.min(limits.report.bytes, 100 * 1024 * 1024)

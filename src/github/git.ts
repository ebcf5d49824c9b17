import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { exists } from '../bytes/file.ts'
import type { Context } from './context.ts'

/** What was checked out. */
export interface Head {
  sha: string
  parents: string[]
}

/**
 * The commit that HEAD is in a folder, and its parents. They are read from the commit itself: in a clone of depth 1 git knows
 * no parent otherwise. Undefined where there is no git, no repository or no commit.
 */
export async function readHead(folder: string): Promise<Head | undefined> {
  const output = await git(folder, ['cat-file', '--batch'], 'HEAD\n')
  return output === undefined ? undefined : parseCommit(output)
}

/** Whether one of these commits is HEAD, or before it, as far as a clone has what is. */
export async function isUpon(folder: string, { sha, parents }: Head, commits: readonly string[]): Promise<boolean> {
  if ([sha, ...parents].some(one => commits.includes(one))) return true
  const listed = await git(folder, ['rev-list', `--max-count=${MOST_COMMITS}`, 'HEAD'])
  return listed?.split('\n').some(one => commits.includes(one)) ?? false
}

/** Commits that steps may have made upon what was checked out. */
const MOST_COMMITS = 100

/** What `git cat-file --batch` says of one commit. */
export function parseCommit(output: string): Head | undefined {
  const sha = /^([0-9a-f]{40}|[0-9a-f]{64}) commit \d+\n/.exec(output)?.[1]
  if (sha === undefined) return undefined
  const [header] = output.slice(output.indexOf('\n') + 1).split('\n\n', 1)
  return { sha, parents: [...header!.matchAll(/^parent ([0-9a-f]+)$/gm)].map(([, parent]) => parent!) }
}

/** Whether the tracked files of a checkout are those of its commit. A filter that has to rewrite files, but Git LFS, makes it false. */
export async function isUnchanged(folder: string): Promise<boolean> {
  return (await isGenuine(folder)) && (await status(folder)) === '' && (await isLookedAt(folder))
}

/** Whether the file at a path is one that git has in its checkout, changed or not. */
export async function isTracked(folder: string, path: string): Promise<boolean> {
  return Boolean(await git(folder, ['--literal-pathspecs', 'ls-files', '-z', '--', path]))
}

/** Whether the file at a path is what the commit of its checkout has there, whatever filters made of its bytes. */
export async function isAsCommitted(folder: string, path: string): Promise<boolean> {
  return (await isTracked(folder, path)) && (await isLookedAt(folder, path)) && (await status(folder, path)) === ''
}

/**
 * Whether a checkout is known to be of another repository than this one, and than the fork whose pull request this is about. A copy on
 * the runner's own disk may be of any.
 */
export async function isOfAnother(folder: string, context: Context): Promise<boolean> {
  const { repository, pullRequest, serverUrl } = context
  const url = (await git(folder, ['config', '--get', 'remote.origin.url']))?.trim()
  const path = url && !/^(?:\/|\.|file:)/.test(url) && /[/:]([^/:]+\/[^/]+?)(?:\.git)?\/?$/.exec(url)?.[1]
  if (!path) return false
  // By SSH a host may have names of its own.
  if (/^https?:/.test(url) && URL.canParse(url) && new URL(url).hostname !== new URL(serverUrl).hostname) return true
  const known = [`${repository.owner}/${repository.name}`, pullRequest?.headRepository ?? '']
  return !known.some(name => name.toLowerCase() === path.toLowerCase())
}

/**
 * Whether git looks at the files that are there: its index may say of some that they are to be taken as unchanged, or, as a sparse
 * checkout does, as absent. Of a path, or of all.
 */
async function isLookedAt(folder: string, path?: string): Promise<boolean> {
  const listed = await git(folder, ['--literal-pathspecs', 'ls-files', '-v', '-z', ...only(path)])
  if (listed === undefined) return false
  for (const entry of listed.split('\0').filter(entry => entry !== '' && !entry.startsWith('H ')))
    if (!entry.startsWith('S ') || (await exists(join(folder, entry.slice(2))))) return false
  return true
}

function only(path: string | undefined): string[] {
  return path === undefined ? [] : ['--', path]
}

/**
 * Whether the commit and its trees are those that their ids say: git believes a repository's objects without a look, and one that an
 * artifact brings may hold others under these ids.
 */
async function isGenuine(folder: string): Promise<boolean> {
  const [head] = (await objects(folder, ['HEAD'])) ?? []
  const root = head && isItself(head) ? /^tree ([0-9a-f]+)\n/.exec(head.content.toString('latin1'))?.[1] : undefined
  if (root === undefined) return false
  for (let ids = [root]; ids.length > 0; ) {
    const found = await objects(folder, ids)
    if (!found?.every((one, i) => one.id === ids[i] && isItself(one))) return false
    ids = [...new Set(found.flatMap(treesIn))]
  }
  return true
}

interface GitObject {
  readonly id: string
  readonly kind: string
  readonly content: Buffer
}

/** Objects as a repository has them; undefined where one is missing. */
async function objects(folder: string, names: readonly string[]): Promise<GitObject[] | undefined> {
  const output = await gitBytes(folder, ['cat-file', '--batch'], `${names.join('\n')}\n`)
  const found: GitObject[] = []
  for (let at = 0; output !== undefined && at < output.length; ) {
    const end = output.indexOf('\n', at)
    const [id, kind, size] = output.toString('latin1', at, end).split(' ')
    const length = Number(size)
    if (end < 0 || kind === 'missing' || !Number.isSafeInteger(length)) return undefined
    found.push({ id, kind, content: output.subarray(end + 1, end + 1 + length) })
    at = end + 1 + length + 1
  }
  return found.length === names.length ? found : undefined
}

function isItself({ id, kind, content }: GitObject): boolean {
  const hash = createHash(id.length === 64 ? 'sha256' : 'sha1').update(`${kind} ${content.length}\0`)
  return hash.update(content).digest('hex') === id
}

/** The folders in a tree: entries of a mode, a name, and the id's bytes behind a zero. */
function treesIn({ id, content }: GitObject): string[] {
  const found: string[] = []
  for (let at = 0; at < content.length; ) {
    const end = content.indexOf(0, at)
    if (end < 0) break
    const next = end + 1 + id.length / 2
    if (content.toString('latin1', at, end).startsWith('40000 ')) found.push(content.toString('hex', end + 1, next))
    at = next
  }
  return found
}

/** Files that differ from the commit; empty where none does, undefined where that can't be told without running programs. */
async function status(folder: string, path?: string): Promise<string | undefined> {
  const filters = await filtersOf(folder)
  if (!filters) return undefined
  const off = filters.flatMap(name =>
    ['clean=', 'smudge=', 'process=', 'required=false'].flatMap(set => ['-c', `filter.${name}.${set}`]),
  )
  // A submodule's own changes would be told by git within it, with its configuration.
  const told = ['status', '--porcelain', '--untracked-files=no', '--ignore-submodules=dirty']
  return git(folder, [...off, '--literal-pathspecs', ...told, ...only(path)])
}

/**
 * Filters of the configuration that would run other programs than Git LFS. An artifact may bring a repository, whose filters are a
 * stranger's programs.
 * @returns undefined where they are not known, or can't be switched off
 */
async function filtersOf(folder: string): Promise<string[] | undefined> {
  const listed = await git(folder, ['config', '--list', '-z'])
  if (listed === undefined) return undefined
  const pairs = listed.split('\0').map(pair => [pair.split('\n', 1)[0]!, pair.slice(pair.indexOf('\n') + 1)] as const)
  const ofLfs = (key: string, value: string) => key.startsWith('filter.lfs.') && LFS.test(value)
  // What Git LFS would run, or where it would write.
  const isBent = pairs.some(([key]) => /^lfs\.(?:extension\.|storage$)/.test(key))
  const others = pairs.filter(([key, value]) => key.startsWith('filter.') && (isBent || !ofLfs(key, value)))
  const names = new Set(others.map(([key]) => key.slice('filter.'.length, key.lastIndexOf('.'))))
  return [...names].every(name => /^[\w.+-]+$/.test(name)) ? [...names] : undefined
}

/** What `git lfs install` sets. */
const LFS = /^(?:true|git-lfs (?:(?:clean|smudge|smudge --skip) -- %f|filter-process(?: --skip)?))$/

/**
 * What git prints; undefined where it fails. The folder's own `.git` is named: git must neither look around, nor take a folder that
 * a pull request brought for a repository. Its configuration could run programs: none may but filters, and those only where they are
 * looked at before. Objects that are missing are not fetched.
 */
async function git(folder: string, words: readonly string[], input = ''): Promise<string | undefined> {
  return (await gitBytes(folder, words, input))?.toString('utf8')
}

function gitBytes(folder: string, words: readonly string[], input: string): Promise<Buffer | undefined> {
  // A container's user owns no file of the checkout, which git refuses by default.
  const options = [
    ...['--no-replace-objects', '--no-optional-locks', `--git-dir=${join(folder, '.git')}`, `--work-tree=${folder}`],
    ...['-c', `safe.directory=${folder}`, '-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null'],
    // A file is unchanged by all that its entry in the index tells.
    ...['-c', 'core.checkStat=default', '-c', 'core.trustctime=true'],
  ]
  return new Promise(resolve => {
    const child = execFile(
      'git',
      [...options, ...words],
      { cwd: folder, encoding: 'buffer', timeout: 30_000, maxBuffer: 32 * 1024 * 1024, env: gitEnvironment() },
      (error, output) => resolve(error ? undefined : output),
    )
    child.on('error', () => resolve(undefined))
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

function gitEnvironment(): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_'))
  return { ...Object.fromEntries(others), GIT_NO_LAZY_FETCH: '1', GIT_ALLOW_PROTOCOL: 'none' }
}

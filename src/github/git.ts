import { execFile } from 'node:child_process'
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

/** What `git cat-file --batch` says of one commit. */
export function parseCommit(output: string): Head | undefined {
  const sha = /^([0-9a-f]{40}|[0-9a-f]{64}) commit \d+\n/.exec(output)?.[1]
  if (sha === undefined) return undefined
  const [header] = output.slice(output.indexOf('\n') + 1).split('\n\n', 1)
  return { sha, parents: [...header!.matchAll(/^parent ([0-9a-f]+)$/gm)].map(([, parent]) => parent!) }
}

/**
 * Whether the tracked files of a checkout are those of its commit, and these paths among them. A filter that has to rewrite files, but
 * Git LFS, makes it false.
 */
export async function isUnchanged(folder: string, paths: readonly string[]): Promise<boolean> {
  if ((await status(folder)) !== '' || !(await isLookedAt(folder))) return false
  for (const path of paths) if (!(await isTracked(folder, path))) return false
  return true
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
function git(folder: string, words: readonly string[], input = ''): Promise<string | undefined> {
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
      { cwd: folder, encoding: 'utf8', timeout: 30_000, maxBuffer: 32 * 1024 * 1024, env: gitEnvironment() },
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

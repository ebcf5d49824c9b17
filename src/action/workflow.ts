import { posix } from 'node:path'
import * as core from '@actions/core'
import { type Api, connect, startDeadline } from '../github/api.ts'
import { baseBranch, baseRef, judgedCommit, mergeBase } from '../github/base-commit.ts'
import type { Context } from '../github/context.ts'
import { blobId, filesAt, type Listing, readAt, statAt } from '../github/repository.ts'
import { limits } from '../limits.ts'
import { pathEnds } from './checkout.ts'

/** Milliseconds that GitHub may take to tell of the files. */
const MOST = 20_000

/** The workflow that runs this, as the base branch has it. */
export interface BaseWorkflow {
  /**
   * Whether the judged commit has it, and the actions and workflows of the repository that it uses, as the base branch has. `none` where
   * that has none of its name, which then has judged nothing there; `other` where it is not known, too.
   */
  readonly state: 'same' | 'other' | 'none'
  /** What it says there, with what it uses; undefined where that is not known. */
  readonly text: string | undefined
}

const known = new WeakMap<Context, Promise<BaseWorkflow>>()

/** GitHub is asked once in a run. Failures do not throw. */
export function workflowOnBase(context: Context): Promise<BaseWorkflow> {
  const asked = known.get(context) ?? ask(context)
  known.set(context, asked)
  return asked
}

async function ask(context: Context): Promise<BaseWorkflow> {
  const { workflowPath: path, workflowRepository, repository, sha, pullRequest } = context
  const token = core.getInput('github-token')
  const unknown: BaseWorkflow = { state: 'other', text: undefined }
  if (!path || !token) return unknown
  // A ruleset may require one of another repository, which the change can't edit.
  if (workflowRepository.toLowerCase() !== `${repository.owner}/${repository.name}`.toLowerCase())
    return { state: 'same', text: undefined }
  const deadline = startDeadline(MOST)
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    const bytes = await readAt(api, context, { path, ref: baseRef(context), most: limits.config.bytes })
    if (!bytes) return { state: 'none', text: '' }
    const own = bytes.toString('utf8')
    const base = own.search(USES) >= 0 ? await filesAt(api, context, baseRef(context)) : undefined
    const { used, texts } = base ? await usedBy(api, context, own, base) : { used: [], texts: [own] }
    const text = texts.join('\n')
    // What is checked out by default is the merge commit, where the branch's own edits count too.
    for (const ref of new Set([sha, pullRequest?.headSha ?? sha])) {
      const isOwn = (await statAt(api, context, path, ref))?.sha === blobId(bytes)
      if (isOwn && (!base || used.length === 0 || areSame(used, base, await filesAt(api, context, ref))))
        return { state: 'same', text }
    }
    // What runs again is as the base branch was then, which may have moved on with it since.
    const head = judgedCommit(context)
    const { commit } = await mergeBase(api, context, baseBranch(context), head)
    if (commit !== null && (await isUnedited(api, context, [path, ...used], [commit, head])))
      return { state: 'same', text }
    return { state: 'other', text }
  } catch {
    return unknown
  } finally {
    deadline.done()
  }
}

async function isUnedited(api: Api, context: Context, paths: readonly string[], commits: readonly string[]) {
  const [before, now] = await Promise.all(commits.map(commit => filesAt(api, context, commit)))
  return before.files.has(paths[0]) && areSame(paths, before, now)
}

/** An action or a workflow of the repository itself. */
const USES = /uses:[ \t]{0,16}["']?\.\/([^\s"'#@]*)/g

/** Paths in the repository, and what is said at these. */
interface Used {
  readonly used: readonly string[]
  readonly texts: readonly string[]
}

/** The actions and workflows of the repository that a workflow uses, and that these use. */
async function usedBy(api: Api, context: Context, workflow: string, { files }: Listing): Promise<Used> {
  const used = new Set<string>()
  const texts = [workflow]
  for (const text of texts) {
    for (const [, named] of text.matchAll(USES)) {
      const path = posix.normalize(named).replace(/\/$/, '')
      // The workspace may have the checkout in a folder.
      const described = (end: string) =>
        /\.ya?ml$/.test(end) ? [end] : ['action.yml', 'action.yaml'].map(name => posix.join(end, name))
      const end = pathEnds(path).find(end => described(end).some(file => files.has(file)))
      if (end === undefined || used.has(end)) continue
      used.add(end)
      for (const file of described(end).filter(file => files.has(file)))
        texts.push(String(await readAt(api, context, { path: file, ref: baseRef(context), most: limits.config.bytes })))
    }
  }
  return { used: [...used], texts }
}

/** Whether two commits have the same at some paths, and below them. */
function areSame(paths: readonly string[], one: Listing, other: Listing): boolean {
  return one.all && other.all && paths.every(path => idsAt(one, path) === idsAt(other, path))
}

function idsAt({ files, links }: Listing, path: string): string {
  // Of an action that is the repository itself, its description alone.
  const isOf = (name: string) =>
    path === '.' ? /^action\.ya?ml$/.test(name) : name === path || name.startsWith(`${path}/`)
  const ids = [...[...files].map(([name, { sha }]) => [name, sha] as const), ...links]
  return JSON.stringify(ids.filter(([name]) => isOf(name)).sort())
}

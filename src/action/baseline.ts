import { mkdtemp, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, relative, resolve } from 'node:path'
import * as core from '@actions/core'
import { exists } from '../bytes/file.ts'
import { openCheckpoint } from '../checkpoint/index.ts'
import type { Settings } from '../config/settings.ts'
import { UserError } from '../errors.ts'
import { connect, startDeadline } from '../github/api.ts'
import { branchOf } from '../github/base-commit.ts'
import { searchBaseline } from '../github/baseline/index.ts'
import { parseBaselineSource } from '../github/baseline/options.ts'
import { missingBaseline } from '../github/baseline/search.ts'
import type { Baseline } from '../github/baseline/types.ts'
import type { Context } from '../github/context.ts'
import { explainFailure } from '../github/failures.ts'
import { MOST_AT, readAt, UnreadableError } from '../github/repository.ts'
import type { FoundReport } from '../pipeline/gate.ts'
import { refuseRelative } from '../policy/rule.ts'
import { printableLines } from '../render/escape.ts'
import { parseReport } from '../report/io.ts'
import type { BaselineRecord } from '../report/schema.ts'
import { checkoutOf, isSubmodule, mainCheckout } from './checkout.ts'
import { type Origin, Origins } from './origin.ts'
import { type Publishing, readCheckpoints, wantsHistory } from './publishing.ts'
import { baseRef, isJudged, repositoryPath, workspaceOf } from './rules.ts'
import { setOutput } from './safely.ts'

export interface ResolvedBaseline {
  /** With the path of a baseline among the files, and without one where there is to be none. */
  readonly settings: Settings
  readonly baseline: FoundReport | undefined
  /** What a search came to; undefined where there was none. */
  readonly search: BaselineRecord | undefined
  /** What the search found, whatever the settings say; undefined where nothing was looked for. */
  readonly found: Baseline | undefined
}

/** Milliseconds that GitHub may take to give a file of the base branch. */
const MOST = 60_000
/** What a search with a report may be in, if the report is to be believed. */
const TRUSTED: readonly string[] = ['exact', 'ancestor', 'degraded']

/** Where the setting asks for a search, the report that it found; where it names a file of the repository, the base branch's. */
export async function resolveBaseline(
  context: Context,
  settings: Settings,
  publishing: Publishing,
): Promise<ResolvedBaseline> {
  const source = parseBaselineSource(settings.baseline ?? '')
  const none = { settings: { ...settings, baseline: undefined }, baseline: undefined, search: undefined }
  if (source.kind === 'none') {
    refuseRelative(settings.policy.rules, 'Leave `baseline` at auto, or take the rule out.')
    return { ...none, found: undefined }
  }
  if (source.kind === 'path') return { ...none, found: undefined, ...(await ofPath(context, settings, source.path)) }
  const found = await search(context, publishing, source)
  return { ...none, found, baseline: foundReport(context, found), search: baselineRecord(found) }
}

/** What this workflow published for the base, though the settings do not ask for it. */
export function search(
  context: Context,
  publishing: Publishing,
  source: Parameters<typeof searchBaseline>[0]['source'] = { kind: 'auto' },
): Promise<Baseline> {
  return mainCheckout(readCheckpoints(), process.env.GITHUB_WORKSPACE ?? '').then(workspace =>
    searchBaseline({
      ...{ context, source, token: publishing.token, workspace },
      ...{ artifactName: publishing.baselineArtifact, branch: publishing.baselineBranch },
      ...{
        workflow: publishing.baselineWorkflow,
        maxAge: publishing.baselineMaxAge,
        history: wantsHistory() ? 100 : 10,
      },
    }),
  )
}

/**
 * Whether its numbers may be taken over: they are of a run that is to be believed, on the branch that this one goes into or on the
 * default branch.
 */
export function isTrusted(context: Context, { state, branch }: Baseline): boolean {
  const own = isJudged(context) ? baseRef(context).slice('refs/heads/'.length) : branchOf(context.ref)
  return TRUSTED.includes(state) && branch !== '' && [own, context.defaultBranch].includes(branch)
}

export function foundReport(context: Context, found: Baseline): FoundReport | undefined {
  const { report, run } = found
  return report && { report, where: `run ${run!.id}`, trusted: isTrusted(context, found) }
}

/**
 * Says what became of the search: in the outputs and in the log.
 * @throws UserError where `baseline-required` is set and there is none
 */
export function announce({ found, search }: ResolvedBaseline, { baselineRequired }: Publishing): void {
  if (!search) return
  core.info(printableLines(search.reason))
  void setOutput('baseline-state', search.state)
  void setOutput('baseline-commit', search.commit ?? '')
  void setOutput('baseline-run', search.run_id ?? '')
  if (!['exact', 'ancestor', 'given', 'first-run'].includes(search.state)) core.warning(printableLines(search.reason))
  const missing = missingBaseline(
    { ...(found?.report && { report: found.report }), reason: search.reason },
    baselineRequired,
  )
  if (missing) throw new UserError(missing)
}

export function baselineRecord(found: Baseline): BaselineRecord {
  const { state, reason, branch, wanted, commit, run, time, distance, history } = found
  return {
    ...{ state, reason, branch, wanted, history },
    ...(commit !== undefined && { commit }),
    ...(run && { run_id: run.id, run_url: run.url }),
    ...(time !== undefined && { time }),
    ...(distance !== undefined && { distance }),
  }
}

/**
 * A baseline among the files. Where a change is judged and the file is one of the repository, it is the base branch's: the change
 * may have touched its own. What a step made is taken as it is.
 */
async function ofPath(
  context: Context,
  settings: Settings,
  path: string,
): Promise<Pick<ResolvedBaseline, 'settings' | 'baseline' | 'search'>> {
  const asItIs = { settings, baseline: undefined, search: undefined }
  if (!isJudged(context)) return asItIs
  const inRepository = await repositoryPath(path, context)
  const branch = baseRef(context).slice('refs/heads/'.length)
  const missing = (state: BaselineRecord['state'], reason: string) => ({
    settings: { ...settings, baseline: undefined },
    baseline: undefined,
    search: { state, reason, branch, wanted: null, history: [] },
  })
  if (await isSubmodule(await checkoutOf(path, workspaceOf()))) {
    return missing('disabled', `The baseline ${path} lies in a submodule: the change may have moved it.`)
  }
  if (inRepository === undefined) return asItIs
  const what = `The baseline ${inRepository} of the branch ${branch} can't be read`
  const token = core.getInput('github-token')
  if (!token) return missing('forbidden', `${what}: the input github-token is empty.`)
  const deadline = startDeadline(MOST)
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    const edited = (file: string) => missing('disabled', `${what}: this change edits ${file}, which is read with it.`)
    const origins = new Origins(api, context)
    if (await isFolder(path)) {
      const other = await editedIn(context, origins, { inRepository, path })
      return other === undefined ? asItIs : edited(other)
    }
    const origin = await origins.of(path, inRepository)
    switch (origin.whose) {
      case 'base':
      case 'step': {
        const other = await otherThanBase(context, origins, path)
        return other === undefined ? asItIs : edited(other)
      }
      case 'head': {
        const reason = `The branch ${branch} has no ${inRepository} yet: this change brings it, and is not compared with it.`
        return missing('first-run', reason)
      }
      case 'unknown':
        return missing('disabled', `${what}: ${origin.reason}.`)
      case 'edited': {
        const bytes = await readAt(api, context, { path: inRepository, ref: baseRef(context), most: MOST_AT })
        return await ofBytes(settings, bytes!, inRepository)
      }
    }
  } catch (error) {
    if (error instanceof UserError) throw error
    if (error instanceof UnreadableError) return missing('unreachable', `${what}: ${error.message}.`)
    const forbidden = [401, 403].includes((error as { status?: number }).status ?? 0)
    const reason = explainFailure(error, what, 'contents: read', context)
    return missing(forbidden ? 'forbidden' : 'unreachable', reason)
  } finally {
    deadline.done()
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false
}

/**
 * Why the base model may be the judged change's, where it lies in the repository; undefined where it is the base branch's, where that has
 * none, or a step made it. GitHub's errors pass through.
 */
export async function whyBaseModel(context: Context, path: string | null | undefined): Promise<string | undefined> {
  if (!path || !isJudged(context)) return undefined
  const inRepository = await repositoryPath(path, context)
  const token = core.getInput('github-token')
  if (inRepository === undefined || !token) return undefined
  const deadline = startDeadline(MOST)
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    const origins = new Origins(api, context)
    const said = (edited: string | undefined) => edited && `this change edits ${edited}, of its base-model`
    if (await isFolder(path)) return said(await editedIn(context, origins, { inRepository, path }))
    const origin = await origins.of(path, inRepository)
    if (origin.whose === 'head') return undefined
    if (origin.whose === 'unknown') return `its base-model ${inRepository} is not known: ${origin.reason}`
    return said(origin.whose === 'edited' ? inRepository : await otherThanBase(context, origins, path))
  } finally {
    deadline.done()
  }
}

/** The first file of a folder that the change takes away, or alters and that is read. */
async function editedIn(
  context: Context,
  origins: Origins,
  { inRepository, path }: { inRepository: string; path: string },
): Promise<string | undefined> {
  for (const name of await origins.below(inRepository))
    if (!(await exists(join(path, relative(inRepository, name))))) return name
  return otherThanBase(context, origins, path)
}

/** The first file that is read of a checkpoint, or beside it, and is another than the base branch's or a step's. */
async function otherThanBase(context: Context, origins: Origins, path: string): Promise<string | undefined> {
  const checkpoint = await openCheckpoint(path).catch(() => undefined)
  const read = (checkpoint?.stamps ?? []).map(stamp => stamp.path).filter(file => resolve(file) !== resolve(path))
  for (const file of new Set(read)) {
    const inRepository = await repositoryPath(file, context)
    if (inRepository === undefined) {
      // A change can put a submodule in the place of a folder.
      if (await isSubmodule(await checkoutOf(file, workspaceOf()))) return file
    } else if (isOthers((await origins.of(file, inRepository)).whose)) return inRepository
  }
  return undefined
}

function isOthers(whose: Origin['whose']): boolean {
  return whose !== 'base' && whose !== 'step'
}

async function ofBytes(settings: Settings, bytes: Buffer, path: string) {
  const none = { ...settings, baseline: undefined }
  if (/^\s*\{/.test(bytes.toString('utf8', 0, 64))) {
    const report = parseReport(bytes, path)
    return { settings: none, baseline: { report, where: path, trusted: false }, search: undefined }
  }
  const folder = await mkdtemp(join(process.env.RUNNER_TEMP || tmpdir(), 'spectral-gate-base-'))
  const copy = join(folder, basename(path))
  await writeFile(copy, bytes)
  return { settings: { ...settings, baseline: copy }, baseline: undefined, search: undefined }
}

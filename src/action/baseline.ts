import { mkdtemp, readdir, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, posix } from 'node:path'
import * as core from '@actions/core'
import { openCheckpoint } from '../checkpoint/index.ts'
import { SIDECARS } from '../checkpoint/quantised/family.ts'
import type { Settings } from '../config/settings.ts'
import { explain, UserError } from '../errors.ts'
import { type Api, connect, startDeadline } from '../github/api.ts'
import { baseBranch, baseRef, branchOf, isJudged } from '../github/base-commit.ts'
import { searchBaseline } from '../github/baseline/index.ts'
import { parseBaselineSource } from '../github/baseline/options.ts'
import { missingBaseline } from '../github/baseline/search.ts'
import type { Baseline } from '../github/baseline/types.ts'
import type { Context } from '../github/context.ts'
import { explainFailure } from '../github/failures.ts'
import { MOST_AT, readAt, UnreadableError } from '../github/repository.ts'
import { limits } from '../limits.ts'
import type { FoundReport } from '../pipeline/gate.ts'
import { refuseRelative } from '../policy/rule.ts'
import { printableLines } from '../render/escape.ts'
import { parseReport } from '../report/io.ts'
import type { BaselineRecord } from '../report/schema.ts'
import { mainCheckout, refuseBack, repositoryPath } from './checkout.ts'
import { Origins, type Reading } from './origin.ts'
import { type Publishing, readCheckpoints, wantsHistory } from './publishing.ts'
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

/** Milliseconds that GitHub may take to give a file of the base branch, and bytes of its own that are hashed in one meanwhile. */
const MOST = 60_000
const HASHED = 100_000
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
  const own = isJudged(context) ? baseBranch(context) : branchOf(context.ref)
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
  const branch = baseBranch(context)
  const missing = (state: BaselineRecord['state'], reason: string) => ({
    settings: { ...settings, baseline: undefined },
    baseline: undefined,
    search: { state, reason, branch, wanted: null, history: [] },
  })
  refuseBack(path)
  // Outside of what a change can alter.
  if ((await repositoryPath(path, context, { within: true })) === undefined) return asItIs
  const what = `The baseline ${path} of the branch ${branch} can't be read`
  const token = core.getInput('github-token')
  if (!token) return missing('forbidden', `${what}: the input github-token is empty.`)
  const deadline = startDeadline(await timeFor(path))
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    const origin = await new Origins(api, context).ofCheckpoint(path, readingOf(settings))
    switch (origin.whose) {
      case 'base':
      case 'step':
        return asItIs
      case 'head':
        return missing(
          'first-run',
          `The branch ${branch} has no ${path} yet: this change brings it, and is not compared with it.`,
        )
      case 'unknown':
        return missing('unreachable', `${what}: ${origin.reason}.`)
      case 'edited':
        return await ofBase(api, context, settings, origin.inRepository)
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

/**
 * Why the base model may be the judged change's, where it lies in the repository; undefined where it is the base branch's, or a step
 * made it.
 * @param isRead whether it is read here, not where parts were made
 * @param isFirst whether nothing was judged with one of this path before, so that the change may bring it
 */
export async function whyBaseModel(
  context: Context,
  { base_model: path, split_packed }: Settings['options'],
  { isRead, isFirst }: { isRead: boolean; isFirst: (path: string) => Promise<boolean> },
): Promise<string | undefined> {
  const token = core.getInput('github-token')
  if (!token || !path) return undefined
  refuseBack(path)
  if ((await repositoryPath(path, context, { within: true })) === undefined) return undefined
  const branch = baseBranch(context)
  const unknown = `whether its base-model ${path} is that of the branch ${branch} is not known`
  const deadline = startDeadline(await timeFor(path))
  try {
    const origins = new Origins(await connect({ token, apiUrl: context.apiUrl, deadline }), context)
    const origin = await (isRead
      ? origins.ofCheckpoint(path, { splitPacked: split_packed === true })
      : origins.ofBothSides(path))
    switch (origin.whose) {
      case 'base':
      case 'step':
        return undefined
      case 'head':
        return (await isFirst(path)) ? undefined : `this change brings its base-model ${path}`
      case 'edited':
        return `its base-model ${path} is not that of the branch ${branch}`
      case 'unknown':
        return `${unknown}: ${origin.reason}`
    }
  } catch (error) {
    if (error instanceof UserError || error instanceof UnreadableError) return `${unknown}: ${error.message}`
    return explainFailure(error, unknown, 'contents: read', context)
  } finally {
    deadline.done()
  }
}

/** Milliseconds for a file, or for the files in a folder. */
export async function timeFor(path: string): Promise<number> {
  const names = await readdir(path).catch(() => [''])
  const found = await Promise.all(names.map(name => stat(join(path, name)).catch(() => undefined)))
  const bytes = found.reduce((sum, one) => sum + (one?.isFile() ? one.size : 0), 0)
  return Math.min(MOST + bytes / HASHED, 10 * MOST)
}

/** Options that the pipeline reads the baseline with. */
function readingOf({ stateDict, options }: Settings): Reading {
  return {
    stateDict: readCheckpoints().length === 1 ? stateDict : undefined,
    splitPacked: options.split_packed === true,
  }
}

/** The base branch's file, with those beside it that say how it is meant. */
async function ofBase(api: Api, context: Context, settings: Settings, path: string) {
  const ref = baseRef(context)
  const bytes = (await readAt(api, context, { path, ref, most: MOST_AT }))!
  const none = { ...settings, baseline: undefined }
  if (/^\s*\{/.test(bytes.toString('utf8', 0, 64))) {
    const report = parseReport(bytes, path)
    return { settings: none, baseline: { report, where: path, trusted: false }, search: undefined }
  }
  const folder = await mkdtemp(join(process.env.RUNNER_TEMP || tmpdir(), 'spectral-gate-base-'))
  const copy = join(folder, basename(path))
  await writeFile(copy, bytes)
  for (const name of SIDECARS) {
    const beside = posix.join(posix.dirname(path), name)
    const said = await readAt(api, context, { path: beside, ref, most: limits.checkpoint.configBytes })
    if (said) await writeFile(join(folder, name), said)
  }
  // What else it needs is not here: tensors of a graph that lie in files beside it.
  await openCheckpoint(copy, readingOf(settings)).catch(error => {
    throw new UnreadableError(`this change edits it, and that branch's can't be read alone (${explain(error)})`)
  })
  return { settings: { ...settings, baseline: copy }, baseline: undefined, search: undefined }
}

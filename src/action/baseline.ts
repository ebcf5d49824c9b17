import * as core from '@actions/core'
import type { Settings } from '../config/settings.ts'
import { UserError } from '../errors.ts'
import { searchBaseline } from '../github/baseline/index.ts'
import { parseBaselineSource } from '../github/baseline/options.ts'
import { missingBaseline } from '../github/baseline/search.ts'
import type { Baseline } from '../github/baseline/types.ts'
import type { Context } from '../github/context.ts'
import { printable } from '../render/escape.ts'
import type { BaselineRecord } from '../report/schema.ts'
import type { FoundReport } from '../walks/gate.ts'
import type { Publishing } from './publishing.ts'

export interface ResolvedBaseline {
  /** Without a baseline of its own where this step is to have none. */
  readonly settings: Settings
  readonly baseline: FoundReport | undefined
  /** What a search came to; undefined where there was none. */
  readonly search: BaselineRecord | undefined
}

/**
 * Where the setting asks for a search, the report that it found; its state goes to the outputs and to the log.
 * @throws UserError where `baseline-required` is set and there is none
 */
export async function resolveBaseline(
  context: Context,
  settings: Settings,
  publishing: Publishing,
): Promise<ResolvedBaseline> {
  const source = parseBaselineSource(settings.baseline ?? '')
  if (source.kind === 'path') return { settings, baseline: undefined, search: undefined }
  if (source.kind === 'none') {
    return { settings: { ...settings, baseline: undefined }, baseline: undefined, search: undefined }
  }
  const found = await searchBaseline({
    ...{ context, source, token: publishing.token, workspace: process.env.GITHUB_WORKSPACE ?? '' },
    ...{ artifactName: publishing.baselineArtifact, branch: publishing.baselineBranch },
    ...{ workflow: publishing.baselineWorkflow, maxAge: publishing.baselineMaxAge, history: 10 },
  })
  core.info(printable(found.reason))
  core.setOutput('baseline-state', found.state)
  core.setOutput('baseline-commit', found.commit ?? '')
  core.setOutput('baseline-run', found.run?.id ?? '')
  if (!['exact', 'ancestor', 'given', 'first-run'].includes(found.state)) core.warning(printable(found.reason))
  const missing = missingBaseline(found, publishing.baselineRequired)
  if (missing) throw new UserError(missing)
  return {
    settings,
    baseline: found.report && { report: found.report, where: `run ${found.run!.id}` },
    search: baselineRecord(found),
  }
}

function baselineRecord(found: Baseline): BaselineRecord {
  const { state, reason, branch, wanted, commit, run, time, distance, history } = found
  return {
    ...{ state, reason, branch, wanted, history },
    ...(commit !== undefined && { commit }),
    ...(run && { run_id: run.id, run_url: run.url }),
    ...(time !== undefined && { time }),
    ...(distance !== undefined && { distance }),
  }
}

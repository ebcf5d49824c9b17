import { readFile } from 'node:fs/promises'
import * as core from '@actions/core'
import { withAcceptance } from './action/acceptance.ts'
import { resolveBaseline } from './action/baseline.ts'
import { type GatingMode, parseMode } from './action/mode.ts'
import { writeOutputs } from './action/outputs.ts'
import { collectParts, readJob } from './action/parts.ts'
import { publish, publishError } from './action/publish.ts'
import { type Publishing, readInputs, readPublishing } from './action/publishing.ts'
import { relayComment } from './action/relay.ts'
import { refuseUnsafeCheckout } from './action/unsafe.ts'
import { readConfig } from './config/file.ts'
import { readSettings, resolvePartSettings, type Settings } from './config/settings.ts'
import { explain, MissingCheckpointError, UserError } from './errors.ts'
import { type Context, provenance, readContext } from './github/context.ts'
import { logProgress } from './progress.ts'
import { headline } from './render/headline.ts'
import { phrase } from './render/text.ts'
import type { Report } from './report/schema.ts'
import { gateNothing } from './walks/gate.ts'
import { run, runMerge, runPart } from './walks/run.ts'

const WALKS = { gate: analyse, part: analysePart, merge } satisfies Record<GatingMode, unknown>

await main().catch(error => {
  const ours = !(error instanceof UserError)
  core.setFailed(`${ours ? 'Spectral Gate failed by its own fault; please report this: ' : ''}${explain(error)}`)
  process.exitCode = ours ? 3 : 2
})
// The toolkit's uploads can't be stopped: past the deadline they must not hold the runner.
process.exit()

async function main(): Promise<void> {
  const context = await readContext(process.env, path => readFile(path, 'utf8'))
  let publishing = readPublishing(context, {})
  if (core.getInput('mode') === 'comment') return relayComment(context, publishing)
  let report: Report
  try {
    if (core.getInput('allow-unsafe-checkout') !== 'true')
      await refuseUnsafeCheckout(context, process.env.GITHUB_WORKSPACE ?? '')
    const config = await readConfig(core.getInput('config'))
    publishing = readPublishing(context, config.publishing)
    const layers = [config.settings, readInputs()]
    const mode = parseMode(
      core.getInput('mode'),
      layers.some(({ shard }) => shard?.length),
    )
    const settings = mode === 'part' ? resolvePartSettings(...layers) : await readSettings(...layers)
    // The comment is the merging job's.
    if (mode === 'part') publishing = { ...publishing, comment: 'never' }
    report = await withAcceptance(context, publishing, await WALKS[mode](context, settings, publishing))
  } catch (error) {
    await publishError(context, publishing, error)
    throw error
  }
  const files = await writeOutputs(report)
  if (report.verdict?.fails_job) core.setFailed(`${report.verdict.status}: ${phrase(headline(report))}`)
  await publish(context, publishing, files, report)
}

async function analyse(context: Context, settings: Settings, publishing: Publishing): Promise<Report> {
  const request = { checkpoints: readCheckpoints(), ...common(context) }
  try {
    return await run({ ...request, ...(await resolveBaseline(context, settings, publishing)) })
  } catch (error) {
    if (!(error instanceof MissingCheckpointError && publishing.missingIsInconclusive)) throw error
    const reason = explain(error).replaceAll('\n', ' ')
    return gateNothing(reason, { policy: settings.policy, provenance: request.provenance }, settings.options)
  }
}

function analysePart(context: Context, settings: Settings): Promise<Report> {
  return runPart({ checkpoints: readCheckpoints(), ...common(context), settings, job: readJob() })
}

async function merge(context: Context, settings: Settings, publishing: Publishing): Promise<Report> {
  const parts = await collectParts(context, publishing.token)
  for (const { where, report } of parts) core.info(`${where}: ${phrase(headline(report))}`)
  return runMerge({ parts, ...common(context), ...(await resolveBaseline(context, settings, publishing)) })
}

function common(context: Context) {
  return {
    provenance: provenance(context, new Date().toISOString()),
    onProgress: logProgress(line => core.info(line)),
  }
}

function readCheckpoints(): string[] {
  const checkpoints = core.getMultilineInput('checkpoint')
  if (checkpoints.length > 0) return checkpoints
  throw new UserError('The input checkpoint is empty.', 'It names the file to look at, such as out/model.safetensors.')
}

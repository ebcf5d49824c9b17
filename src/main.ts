import { readFile } from 'node:fs/promises'
import * as core from '@actions/core'
import { resolveBaseline } from './action/baseline.ts'
import { writeOutputs } from './action/outputs.ts'
import { publish, publishError } from './action/publish.ts'
import { type Publishing, readInputs, readPublishing } from './action/publishing.ts'
import { readConfig } from './config/file.ts'
import { explain, MissingCheckpointError, UserError } from './errors.ts'
import { type Context, provenance, readContext } from './github/context.ts'
import { logProgress } from './progress.ts'
import { printable } from './render/escape.ts'
import { headline } from './render/headline.ts'
import type { Report } from './report/schema.ts'
import { resolveSettings, type Settings } from './settings.ts'
import { gateNothing } from './walks/gate.ts'
import { run } from './walks/run.ts'

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
  let report: Report
  try {
    const config = await readConfig(core.getInput('config'))
    publishing = readPublishing(context, config.publishing)
    report = await analyse(context, resolveSettings(config.settings, readInputs()), publishing)
  } catch (error) {
    await publishError(context, publishing, error)
    throw error
  }
  const files = await writeOutputs(report)
  if (report.verdict!.fails_job)
    core.setFailed(printable(`${report.verdict!.status}: ${headline(report, name => name)}`))
  await publish(context, publishing, files, report)
}

async function analyse(context: Context, settings: Settings, publishing: Publishing): Promise<Report> {
  const checkpoints = core.getMultilineInput('checkpoint', { required: true })
  const origin = provenance(context, new Date().toISOString())
  try {
    return await run({
      checkpoints,
      ...(await resolveBaseline(context, settings, publishing)),
      provenance: origin,
      onProgress: logProgress(line => core.info(line)),
    })
  } catch (error) {
    if (!(error instanceof MissingCheckpointError && publishing.missingIsInconclusive)) throw error
    return gateNothing(
      explain(error).replaceAll('\n', ' '),
      { policy: settings.policy, provenance: origin },
      settings.options,
    )
  }
}

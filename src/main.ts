import { readFile } from 'node:fs/promises'
import * as core from '@actions/core'
import { withAcceptance } from './action/acceptance.ts'
import { checkedOutBeside, refuseOfAnotherCommit } from './action/judged.ts'
import { whatIsMissing } from './action/missing.ts'
import { type GatingMode, parseMode } from './action/mode.ts'
import { writeOutputs } from './action/outputs.ts'
import { collectParts, readJob, runnerName } from './action/parts.ts'
import { expandPatterns } from './action/patterns.ts'
import { publish, publishError } from './action/publish.ts'
import { type Publishing, readCheckpoints, readInputs, readPublishing, readSeries } from './action/publishing.ts'
import { withPullRequest } from './action/pull-request.ts'
import { relayComment } from './action/relay.ts'
import { type Rules, readBaseConfig, readRules } from './action/rules.ts'
import { describeSeries, refuseSeriesOf, seriesBeside, tellSeries } from './action/series.ts'
import { type Made, type Settled, settle } from './action/settle.ts'
import { refuseUnsafeCheckout } from './action/unsafe.ts'
import { NO_CONFIG } from './config/file.ts'
import { resolvePartSettings } from './config/settings.ts'
import { explain, systemError, UserError } from './errors.ts'
import { hashOf } from './github/comment.ts'
import { type Context, provenance, readContext } from './github/context.ts'
import { type RunRequest, run, runMerge, runPart } from './pipeline/run.ts'
import { logProgress } from './progress.ts'
import { printable, printableLines } from './render/escape.ts'
import { headline } from './render/headline.ts'
import { phrase } from './render/text.ts'
import type { NamedPart } from './report/io.ts'
import type { Report } from './report/schema.ts'
import type { SeriesReport } from './series/schema.ts'

const WALKS = { gate: analyse, part: analysePart, merge } satisfies Record<GatingMode, unknown>

await main().catch(thrown => {
  const error = systemError(thrown) ?? thrown
  const ours = !(error instanceof UserError)
  const said = `${ours ? 'Spectral Gate failed by its own fault; please report this: ' : ''}${explain(error)}`
  core.setFailed(printableLines(said))
  process.exitCode = ours ? 3 : 2
})
// The toolkit's uploads can't be stopped: past the deadline they must not hold the runner.
process.exit()

async function main(): Promise<void> {
  const event = await readContext(process.env, path => readFile(path, 'utf8'))
  const inputs = readInputs()
  if (core.getInput('mode') === 'comment') {
    return relayComment(event, readPublishing(event, { config: NO_CONFIG, inputs }))
  }
  const context = await withPullRequest(event)
  // Asked for by name: a gate whose checkpoint came out empty must not pass for a series.
  if (core.getInput('mode').trim() === 'series') {
    await refuseUnsafe(context)
    return describeSeries(context)
  }
  let publishing = firstPublishing(context)
  let report: Report
  let series: SeriesReport | undefined
  try {
    const base = await readBaseConfig(context, core.getInput('github-token'))
    if (base.kind === 'found') publishing = readPublishing(context, { config: base.config, inputs })
    await refuseUnsafe(context)
    const rules = await readRules(base)
    publishing = readPublishing(context, rules.inForce)
    const mode = parseMode(core.getInput('mode'), Boolean(inputs.settings.shard?.length))
    refuseSeriesOf(mode)
    const walked = await WALKS[mode](context, rules)
    // The comment is the merging job's.
    publishing = mode === 'part' ? { ...publishing, comment: 'never' } : walked.publishing
    const runner = runnerName()
    const told = { ...walked.report.provenance!, gate: hashOf(publishing.commentKey), ...(runner && { runner }) }
    report = await withAcceptance(context, publishing, { ...walked.report, provenance: told })
    series = await seriesBeside(context, report)
  } catch (error) {
    await publishError(context, isPart() ? { ...publishing, comment: 'never' } : publishing, error)
    throw error
  }
  const written = await writeOutputs(report, publishing)
  if (report.verdict?.fails_job) core.setFailed(`${report.verdict.status}: ${phrase(headline(report))}`)
  await publish(context, publishing, written, report)
  if (series) await tellSeries(series)
}

async function refuseUnsafe(context: Context): Promise<void> {
  if (core.getInput('allow-unsafe-checkout') === 'true') return
  const files = [...readCheckpoints(), ...readSeries()]
  await refuseUnsafeCheckout(context, process.env.GITHUB_WORKSPACE ?? '', files)
}

/** Whether the inputs ask for a part: whatever goes wrong, the comment is the merging job's. */
function isPart(): boolean {
  return core.getInput('mode') === 'part' || core.getInput('shard') !== ''
}

/** Until the config file was read: it may name the comment, so that none is written under a key that is guessed. */
function firstPublishing(context: Context): Publishing {
  const publishing = readPublishing(context, { config: NO_CONFIG, inputs: readInputs() })
  return core.getInput('comment-key') ? publishing : { ...publishing, comment: 'never' }
}

interface Walked {
  readonly report: Report
  readonly publishing: Publishing
}

async function analyse(context: Context, rules: Rules): Promise<Walked> {
  const settled = await settle(context, rules)
  return { publishing: settled.publishing, report: await gated(context, settled) }
}

async function gated(context: Context, { settings, publishing, baseline, search, governed }: Settled): Promise<Report> {
  const missing = whatIsMissing(context, publishing, settings)
  const checkpoints = await named(context, missing)
  const [{ provenance, ...others }, checkout] = [common(context), await checkedOutBeside(context, checkpoints)]
  const made = { ...provenance, ...(checkout !== undefined && { checkout }) }
  return run({ checkpoints, ...others, provenance: made, ...missing, baseline, search, governed })
}

async function analysePart(context: Context, { inForce }: Rules): Promise<Walked> {
  const publishing = readPublishing(context, inForce)
  const settings = resolvePartSettings(inForce.config.settings, inForce.inputs.settings)
  const { onMissing } = whatIsMissing(context, publishing, settings)
  const report = await runPart({
    checkpoints: await named(context, { onMissing }),
    ...common(context),
    settings,
    job: readJob(),
    onMissing,
  })
  return { publishing, report }
}

async function merge(context: Context, rules: Rules): Promise<Walked> {
  const { parts, failedJobs } = await collectParts(context, core.getInput('github-token'))
  for (const { where, report } of parts) core.info(printable(`${where}: ${phrase(headline(report))}`))
  const { publishing, ...settled } = await settle(context, rules, madeWith(parts))
  const missing = whatIsMissing(context, publishing, settled.settings)
  return { publishing, report: await runMerge({ parts, failedJobs, ...common(context), ...settled, ...missing }) }
}

/** What the parts were made with: an option of each is in none of the numbers. */
function madeWith(parts: readonly NamedPart[]): Made {
  const stateDicts = new Set(parts.map(({ report }) => report.part.state_dict ?? ''))
  return { options: parts[0].report.options, stateDict: [...stateDicts].sort().join('\n') }
}

function common(context: Context) {
  return {
    provenance: provenance(context, new Date().toISOString()),
    onProgress: logProgress(line => core.info(line)),
  }
}

async function named(context: Context, { onMissing }: Pick<RunRequest, 'onMissing'>): Promise<string[]> {
  const checkpoints = await expandPatterns(readCheckpoints(), { mayMiss: onMissing !== undefined })
  if (checkpoints.length === 0) {
    const fix = 'It names the file to look at, such as out/model.safetensors.'
    throw new UserError('The input checkpoint is empty.', fix)
  }
  await refuseOfAnotherCommit(context, checkpoints)
  return checkpoints
}

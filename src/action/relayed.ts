import * as core from '@actions/core'
import { type Api, connect, startDeadline } from '../github/api.ts'
import { type Candidate, InvalidError, NoReportError, readArtifact } from '../github/baseline/archive.ts'
import { allOf, newestFirst } from '../github/baseline/artifacts.ts'
import { isReportArtifact, REPORT_ARTIFACT, REPORT_PREFIX } from '../github/baseline/options.ts'
import { hashOf } from '../github/comment.ts'
import type { Context, WorkflowRun } from '../github/context.ts'
import { explainFailure } from '../github/failures.ts'
import { isOfLatest, jobsOf, type RunJob } from '../github/jobs.ts'
import { limits } from '../limits.ts'
import { printable } from '../render/escape.ts'
import { parseForeignReport } from '../report/io.ts'
import type { Report } from '../report/schema.ts'
import type { Publishing } from './publishing.ts'

/** A report, and the gate that it claims to be of. */
export interface Claimed {
  readonly artifact: Candidate
  readonly gate: string
  readonly report: Report
}

export interface Relayed {
  /** Of each gate the newest, by gate. */
  readonly reports: readonly Claimed[]
  /** What it makes of a gate without a report that some could not be read: empty where all were. */
  readonly unread: '' | 'inconclusive' | 'failed'
}

interface Source {
  readonly context: Context
  readonly run: WorkflowRun
  readonly publishing: Publishing
}

/**
 * The reports of a run that anybody may have made, each gate's newest: the names of their artifacts go by which gate was first, and a
 * gate whose job did not run again has its report in an earlier attempt. All together are read within bounds and a time of their own.
 * What can't be read is a warning.
 * @param first gates that are read first, for they have a comment
 */
export async function readRelayed(source: Source, first: ReadonlySet<string>, milliseconds: number): Promise<Relayed> {
  const deadline = startDeadline(Math.min(milliseconds, limits.relay.milliseconds))
  const { context, publishing } = source
  try {
    const api = await connect({ token: publishing.token, apiUrl: context.apiUrl, deadline })
    return await newestOfGates(api, source, first)
  } catch (error) {
    core.warning(explainFailure(error, "The reports of the run can't be read", 'actions: read', context))
    return { reports: [], unread: 'inconclusive' }
  } finally {
    deadline.done()
  }
}

async function newestOfGates(api: Api, { context, run, publishing }: Source, first: ReadonlySet<string>) {
  const named = core.getInput('artifact-name')
  const wanted = (name: string) => (named ? name === publishing.artifact : isReportArtifact(name))
  const jobs = run.attempt > 1 ? await jobsOf(api, { repository: context.repository, run }) : undefined
  const made = await allOf(api, context, run.id, { wanted })
  const artifacts = made.filter(({ created }) => isCurrent(jobs, created))
  if (artifacts.length === 0) {
    const name = named ? publishing.artifact : `${REPORT_ARTIFACT}, or beginning with ${REPORT_PREFIX}-`
    core.info(printable(`Run ${run.id} has no report: no artifact named ${name}.`))
  }
  const { claimed, unread } = await readAll(api, context, inTurn(artifacts, first))
  const newest = new Map<string, Claimed>()
  for (const one of claimed.sort((a, b) => newestFirst(b.artifact, a.artifact))) newest.set(one.gate, one)
  const reports = [...newest.values()].filter(({ artifact, report }) =>
    isCurrent(jobs, artifact.created, report.provenance?.runner),
  )
  return { unread, reports: reports.sort((a, b) => (a.gate < b.gate ? -1 : 1)) }
}

/** Whether it is of this attempt, or of a job that did not run again since. */
function isCurrent(jobs: readonly RunJob[] | undefined, time: number, runner = ''): boolean {
  return !jobs || isOfLatest(jobs, { runner, time })
}

/** Those that may be of gates with a comment, then the others, the newest first. */
function inTurn(artifacts: readonly Candidate[], first: ReadonlySet<string>): Candidate[] {
  const isLater = ({ name }: Candidate) =>
    isReportArtifact(name) && name !== REPORT_ARTIFACT && !first.has(name.slice(-16))
  return [...artifacts.filter(one => !isLater(one)), ...artifacts.filter(isLater)]
}

async function readAll(api: Api, context: Context, artifacts: readonly Candidate[]) {
  const { artifactsCount, ...bounds } = limits.relay
  const left = { ...bounds }
  const claimed: Claimed[] = []
  let unread: Relayed['unread'] = artifacts.length > artifactsCount ? 'failed' : ''
  if (unread) core.warning(`There are ${artifacts.length} reports, of which ${artifactsCount} are looked at.`)
  for (const artifact of artifacts.slice(0, artifactsCount)) {
    try {
      claimed.push(await readOne(api, context, artifact, left))
    } catch (error) {
      const said = explainFailure(
        error,
        printable(`The report ${artifact.name} can't be read`),
        'actions: read',
        context,
      )
      if (error instanceof NoReportError) {
        core.info(said)
        continue
      }
      core.warning(said)
      unread = error instanceof InvalidError ? 'failed' : unread || 'inconclusive'
      if (api.deadline.signal.aborted) break
    }
  }
  return { claimed, unread }
}

interface Left {
  archiveBytes: number
  bytes: number
  marksCount: number
}

/** Takes what it has from what may be read yet. */
async function readOne(api: Api, context: Context, artifact: Candidate, left: Left): Promise<Claimed> {
  const parse = (bytes: Buffer, where: string) => {
    left.bytes -= bytes.length
    return parseForeignReport(bytes, where, left)
  }
  const most = { ...left }
  if (artifact.size <= left.archiveBytes) left.archiveBytes -= artifact.size
  const report = await readArtifact(api, context, artifact, { parse, alone: false, most })
  const { gate = '' } = report.provenance ?? {}
  return { artifact, report, gate: /^[0-9a-f]{16}$/.test(gate) ? gate : hashOf(artifact.name) }
}

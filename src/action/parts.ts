import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as core from '@actions/core'
import * as z from 'zod'
import { located, workspaceOf } from '../bytes/workspace.ts'
import { UserError } from '../errors.ts'
import { connect, startDeadline } from '../github/api.ts'
import { isJudged } from '../github/base-commit.ts'
import { PART_PREFIX } from '../github/baseline/options.ts'
import type { Context } from '../github/context.ts'
import { explainFailure } from '../github/failures.ts'
import { isTracked } from '../github/git.ts'
import { parseNeeds } from '../github/needed.ts'
import { type Collected, downloadParts } from '../github/parts.ts'
import { limits } from '../limits.ts'
import { printable } from '../render/escape.ts'
import type { NamedPart } from '../report/io.ts'
import { readPart } from '../report/io.ts'
import type { Part } from '../report/schema.ts'
import { checkoutOf } from './checkout.ts'
import { Origins } from './origin.ts'

const strategy = z.object({ 'job-index': z.int().min(0), 'job-total': z.int().min(1) })

/** Which leg of its matrix this job is, as the runner tells it in the input `strategy`; undefined where it tells nothing. */
export function readJob(): Part['job'] {
  const { data } = strategy.safeParse(parseJson(core.getInput('strategy')))
  const id = process.env.GITHUB_JOB
  const runner = runnerName()
  return data && id ? { id, index: data['job-index'], of: data['job-total'], ...(runner && { runner }) } : undefined
}

/** Empty where the runner does not say. */
export function runnerName(): string {
  return process.env.RUNNER_NAME?.slice(0, 256) ?? ''
}

/**
 * The parts to merge: those that the input `reports` names, or else those that the other jobs of this run have uploaded.
 * @throws UserError where there is none, or one of them can't be read
 */
export async function collectParts(context: Context, token: string): Promise<Collected> {
  const paths = core.getMultilineInput('reports')
  if (paths.length > 0) return { parts: await readParts(context, token, paths), failedJobs: [] }
  if (!token) throw new UserError('The parts cannot be fetched: the input github-token is empty.')
  const deadline = startDeadline()
  try {
    const found = await downloadParts(context, token, parseNeeds(core.getInput('needs')), runnerName(), deadline)
    if (found.parts.length > 0) return found
  } finally {
    deadline.done()
  }
  throw new UserError(
    `There is no part to merge: this run has no artifact named ${PART_PREFIX}-… of a job whose parts are meant.`,
    'Let this job need those whose step has mode: part, or a shard.',
  )
}

async function readParts(context: Context, token: string, paths: readonly string[]): Promise<NamedPart[]> {
  const files: string[] = []
  for (const path of paths) files.push(...(await reportsOf(path)))
  if (isJudged(context) && token) await refuseCommitted(context, token, files)
  const parts: NamedPart[] = []
  for (const file of files) parts.push({ where: file, report: await readPart(file) })
  return parts
}

/** A change may bring files in the place of what jobs make. */
async function refuseCommitted(context: Context, token: string, files: readonly string[]): Promise<void> {
  const committed = (file: string) =>
    new UserError(
      `${file}: is a file of the repository, not a part that a job made`,
      'Let the parts be downloaded to a folder that the repository does not have.',
    )
  for (const file of files)
    if (await isTracked(await checkoutOf(file, workspaceOf()), located(file))) throw committed(file)
  // A checkout without git tells nothing.
  const deadline = startDeadline()
  try {
    const origins = new Origins(await connect({ token, apiUrl: context.apiUrl, deadline }), context)
    for (const file of files) if (await origins.isOfRepository(file)) throw committed(file)
  } catch (error) {
    if (error instanceof UserError) throw error
    core.info(printable(explainFailure(error, 'Files of the repository are not known', 'contents: read', context)))
  } finally {
    deadline.done()
  }
}

/** The file itself, or each report.json of a folder, as actions/download-artifact leaves them. */
async function reportsOf(path: string): Promise<string[]> {
  const found = await stat(path).catch(cause => {
    throw new UserError(`${path}: can't be read (${cause.code})`, 'reports takes files and folders, one a line.', {
      cause,
    })
  })
  if (!found.isDirectory()) return [path]
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  if (entries.length > limits.folder.entriesCount)
    throw new UserError(`${path}: has more than ${limits.folder.entriesCount} files`)
  const reports = entries.filter(entry => entry.isFile() && entry.name === 'report.json')
  if (reports.length === 0) throw new UserError(`${path}: has no report.json`)
  return reports.map(entry => join(entry.parentPath, entry.name)).sort()
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

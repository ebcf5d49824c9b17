import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as core from '@actions/core'
import * as z from 'zod'
import { UserError } from '../errors.ts'
import { startDeadline } from '../github/api.ts'
import { PART_PREFIX } from '../github/baseline/options.ts'
import type { Context } from '../github/context.ts'
import { type Collected, downloadParts } from '../github/parts.ts'
import { limits } from '../limits.ts'
import type { NamedPart } from '../report/io.ts'
import { readPart } from '../report/io.ts'
import type { Part } from '../report/schema.ts'

const strategy = z.object({ 'job-index': z.int().min(0), 'job-total': z.int().min(1) })

/** Which leg of its matrix this job is, as the runner tells it in the input `strategy`; undefined where it tells nothing. */
export function readJob(): Part['job'] {
  const { data } = strategy.safeParse(parseJson(core.getInput('strategy')))
  const id = process.env.GITHUB_JOB
  const runner = process.env.RUNNER_NAME?.slice(0, 256)
  return data && id ? { id, index: data['job-index'], of: data['job-total'], ...(runner && { runner }) } : undefined
}

/**
 * The parts to merge: those that the input `reports` names, or else those that the other jobs of this run have uploaded.
 * @throws UserError where there is none, or one of them can't be read
 */
export async function collectParts(context: Context, token: string): Promise<Collected> {
  const paths = core.getMultilineInput('reports')
  if (paths.length > 0) return { parts: await readParts(paths), failedJobs: [] }
  if (!token) throw new UserError('The parts cannot be fetched: the input github-token is empty.')
  const deadline = startDeadline()
  try {
    const found = await downloadParts(context, token, deadline)
    if (found.parts.length > 0) return found
  } finally {
    deadline.done()
  }
  throw new UserError(
    `There is no part to merge: this run has no artifact named ${PART_PREFIX}-….`,
    'Let this job need those whose step has mode: part, or a shard.',
  )
}

async function readParts(paths: readonly string[]): Promise<NamedPart[]> {
  const files: string[] = []
  for (const path of paths) files.push(...(await reportsOf(path)))
  const parts: NamedPart[] = []
  for (const file of files) parts.push({ where: file, report: await readPart(file) })
  return parts
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

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Report, strictReport } from '../../src/report/schema.ts'
import { root } from '../support/cli.ts'
import { goldenTensor } from '../support/golden.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'
import { GitHubDouble, sha } from './github/double.ts'
import type { Ended, Job, JobOptions } from './github/job.ts'

export const ACTION = join(root, 'dist/main.js')

/** Mean alpha 1.99 and 3.15. */
export const nets = {
  good: { 'a.weight': goldenTensor('G1'), 'b.weight': goldenTensor('G4') },
  worse: { 'a.weight': goldenTensor('G2'), 'b.weight': goldenTensor('G4') },
} satisfies Record<string, Record<string, Written>>

export interface Gated extends Ended {
  readonly job: Job
  readonly outputs: Record<string, string>
}

export interface Workspace {
  /** Beside the checkpoint. */
  readonly files?: Record<string, string | Buffer>
  /** What else happens before the step. */
  readonly prepare?: (job: Job) => void
}

/** Runs the Action on `net.safetensors`, as a runner would. A variable that is undefined is not set. */
export async function runGate(
  github: GitHubDouble,
  network: keyof typeof nets,
  inputs: Record<string, string>,
  options: JobOptions,
  env: Record<string, string | undefined> = {},
  { files = {}, prepare }: Workspace = {},
): Promise<Gated> {
  const job = github.job(options)
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) delete job.env[name]
    else job.env[name] = value
  }
  copyFileSync(writeSafetensors(nets[network]), join(job.workspace, 'net.safetensors'))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(job.workspace, name)), { recursive: true })
    writeFileSync(join(job.workspace, name), content)
  }
  prepare?.(job)
  const ended = await job.run(ACTION, {
    ...{ checkpoint: 'net.safetensors', 'github-token': github.token, matrix: 'null' },
    ...inputs,
  })
  return { ...ended, job, outputs: 'GITHUB_OUTPUT' in env ? {} : job.outputs() }
}

export interface Repository {
  github: GitHubDouble
  commits: readonly [string, string, string, string]
}

/** A repository for each test of a file, which asks GitHub for nothing that it would not understand. */
export function eachInRepository(take: (started: Repository) => void): void {
  let github: GitHubDouble
  beforeEach(async () => {
    const started = await startRepository()
    github = started.github
    take(started)
  })
  afterEach(async () => {
    expect(github.problems).toEqual([])
    await github.stop()
  })
}

/** A repository whose branch main has four commits; pull request 7 left it at the third. */
export async function startRepository(): Promise<Repository> {
  const github = await GitHubDouble.start()
  const commits = [0, 1, 2, 3].map(i => sha(`main-${i}`)) as [string, string, string, string]
  commits.forEach((commit, i) => {
    github.commits.set(commit, i === 0 ? [] : [commits[i - 1]!])
  })
  github.commits.set(sha('head of 7'), [commits[2]])
  github.branches.set('main', commits[3])
  return { github, commits }
}

/** The lines of a log that GitHub shows as annotations, with their line breaks. */
export function annotations({ stdout }: Ended): string {
  return stdout
    .split('\n')
    .filter(line => /^::(error|warning)/.test(line))
    .join('\n')
    .replaceAll('%0A', '\n')
}

export function readReport({ outputs }: Gated): Report {
  return strictReport.parse(JSON.parse(readFileSync(outputs['report-json']!, 'utf8')))
}

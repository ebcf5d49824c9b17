import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../support/cli.ts'
import { goldenTensor } from '../support/golden.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'
import type { GitHubDouble } from './github/double.ts'
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

/** Runs the Action on `net.safetensors`, as a runner would. */
export async function runGate(
  github: GitHubDouble,
  network: keyof typeof nets,
  inputs: Record<string, string>,
  options: JobOptions,
  env: Record<string, string> = {},
): Promise<Gated> {
  const job = github.job(options)
  Object.assign(job.env, env)
  copyFileSync(writeSafetensors(nets[network]), join(job.workspace, 'net.safetensors'))
  const ended = await job.run(ACTION, {
    ...{ checkpoint: 'net.safetensors', 'github-token': github.token, matrix: 'null' },
    ...inputs,
  })
  return { ...ended, job, outputs: job.outputs() }
}

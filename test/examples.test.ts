import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'

interface Workflow {
  readonly permissions?: Record<string, string>
  readonly jobs: Record<string, Job>
}
interface Job {
  readonly permissions?: Record<string, string>
  readonly env?: Record<string, string>
  readonly steps: readonly { readonly uses?: string; readonly with?: Record<string, string> }[]
}

const FOLDER = 'examples/workflows'
const steps = readdirSync(FOLDER).flatMap(file => {
  const { permissions, jobs } = parse(readFileSync(join(FOLDER, file), 'utf8')) as Workflow
  return Object.entries(jobs).flatMap(([id, job]) =>
    job.steps
      .filter(({ uses }) => uses?.startsWith('spectral-gate/'))
      .map(step => ({ where: `${file}: ${id}`, job, permissions: job.permissions ?? permissions, ...step })),
  )
})
const gates = steps.filter(({ with: inputs }) => inputs?.mode !== 'part' && !inputs?.shard)

test('each example that gates may read what judged the base branch', () => {
  expect(gates.length).toBeGreaterThan(8)
  for (const { where, permissions } of gates) expect(permissions?.actions, where).toBe('read')
})

test('each example that tells forks tells Dependabot, which has no secrets either', () => {
  const telling = steps.flatMap(({ where, job }) => (job.env?.FORK ? [{ where, fork: job.env.FORK }] : []))
  expect(telling).toHaveLength(2)
  for (const { where, fork } of telling) expect(fork, where).toContain("|| github.actor == 'dependabot[bot]'")
})

test('each example that merges says whose parts', () => {
  const merging = gates.filter(({ with: inputs }) => inputs?.mode === 'merge')
  expect(merging).toHaveLength(2)
  for (const { where, with: inputs } of merging) expect(inputs?.needs, where).toBe('$' + '{{ toJSON(needs) }}')
})

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { strictReport } from '../../src/report/schema.ts'
import { type Finished, root } from '../support/cli.ts'
import { goldenTensor } from '../support/golden.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'
import { GitHubDouble } from './github/double.ts'
import type { Job, JobOptions } from './github/job.ts'

const ACTION = join(root, 'dist/main.js')

let github: GitHubDouble
beforeEach(async () => {
  github = await GitHubDouble.start()
})
afterEach(() => github.stop())

const nets = {
  good: { 'a.weight': goldenTensor('G1'), 'b.weight': goldenTensor('G4') },
  better: { 'a.weight': goldenTensor('G1'), 'b.weight': goldenTensor('G6') },
  worse: { 'a.weight': goldenTensor('G2'), 'b.weight': goldenTensor('G4') },
  broken: {
    'a.weight': {
      shape: [20, 20],
      values: Float32Array.from({ length: 400 }, (_, i) => (i === 9 ? Number.POSITIVE_INFINITY : i)),
    },
  },
} satisfies Record<string, Record<string, Written>>

interface Ran extends Finished {
  readonly job: Job
  readonly outputs: Record<string, string>
}

/** Runs the Action on a network, as a runner would, and checks that GitHub has nothing to complain about. */
async function gate(
  network: keyof typeof nets,
  inputs: Record<string, string> = {},
  options: JobOptions = { event: 'pull_request', pull: 7 },
): Promise<Ran> {
  const job = github.job(options)
  copyFileSync(writeSafetensors(nets[network]), join(job.workspace, 'net.safetensors'))
  copyFileSync(writeSafetensors(nets.good), join(job.workspace, 'main.safetensors'))
  const finished = await job.run(ACTION, { checkpoint: 'net.safetensors', 'github-token': github.token, ...inputs })
  expect(github.problems).toEqual([])
  return { ...finished, job, outputs: job.outputs() }
}

const comments = () => github.comments(7)
const REGRESSION = { baseline: 'main.safetensors', 'fail-if': 'delta(alpha) > 0.2' }

test('the first run comments, the second updates, a regression turns it red and fails the job, a fix turns it green', async () => {
  const first = await gate('good', { 'fail-if': 'delta(alpha) > 0.2' })
  expect(first).toMatchObject({ status: 0, outputs: { verdict: 'inconclusive' } })
  expect(comments()).toHaveLength(1)
  const [{ id, body }] = comments()
  expect(body).toMatch(/^### 🟡 Inconclusive: first run, nothing to compare with yet; alpha 1\.988 over 2 layers\n/)
  expect(body).toContain('The job goes on')

  expect(await gate('good', REGRESSION)).toMatchObject({ status: 0, outputs: { verdict: 'passed' } })
  expect(comments()).toMatchObject([{ id, body: expect.stringMatching(/^### ✅ Passed: nothing changed/) }])

  const red = await gate('worse', REGRESSION)
  expect(red).toMatchObject({ status: 1, outputs: { verdict: 'failed', 'comment-url': first.outputs['comment-url'] } })
  expect(comments()).toMatchObject([
    {
      id,
      body: expect.stringMatching(
        /^### ❌ Failed: `delta\(alpha\) > 0\.2` is true: \+1\.162; alpha_weighted 2\.296 → 5\.385 \(\+3\.089, worse\), at another depth or width\n/,
      ),
    },
  ])
  expect(red.stdout).toMatch(/^::error::failed: delta\(alpha\) > 0\.2 is true: \+1\.162; alpha_weighted 2\.296 → /m)

  expect(await gate('good', REGRESSION)).toMatchObject({ status: 0, outputs: { verdict: 'passed' } })
  expect(comments()).toMatchObject([{ id, body: expect.stringMatching(/^### ✅ Passed: nothing changed/) }])
})

test('outputs, step summary, report and artifact', async () => {
  const { outputs, job } = await gate('good', { 'warn-if': 'alpha > 1' })
  expect(outputs).toMatchObject({
    verdict: 'warned',
    alpha: expect.stringMatching(/^1\.98799/),
    'alpha-weighted': expect.stringMatching(/^2\.29/),
  })
  expect(Number(outputs['log-spectral-norm'])).toBeCloseTo((1.4031889738191305 + 0.9317291658028156) / 2, 9)
  expect(JSON.parse(outputs.metrics)).toMatchObject({ net: { layers: 2, failed: 0, alpha: Number(outputs.alpha) } })
  const report = strictReport.parse(JSON.parse(readFileSync(outputs['report-json'], 'utf8')))
  expect(report.provenance).toMatchObject({
    repository: 'octo/net',
    commit: github.pulls.get(7)!.head.sha,
    event: 'pull_request',
    run_id: job.workflowRun.id,
  })
  expect(job.summary()).toContain('### ⚠️ Warned: `alpha > 1` is true')
  expect(readFileSync(outputs['report-markdown'], 'utf8')).toContain('### ⚠️ Warned')
  expect(github.artifacts).toMatchObject([{ name: 'spectral-gate', runId: job.workflowRun.id }])
  expect(github.artifacts[0].zip.includes('report.html')).toBe(true)
  expect(readFileSync(outputs['report-html'], 'utf8')).toMatch(/^<!doctype html>/)
  expect(comments()[0].body).toContain('`report.html` in the artifact `spectral-gate`')

  const without = await gate('good', { html: 'false', 'artifact-name': 'plain' })
  expect(without.outputs['report-html']).toBe('')
  expect(github.artifacts.find(({ name }) => name === 'plain')!.zip.includes('report.html')).toBe(false)
  expect(comments()[0].body).not.toContain('report.html')
})

test('where nothing is judged by others’ rules, all but what is published is written before any network call', async () => {
  github.fault({ hang: true, times: 1000 })
  const job = github.job({ event: 'push' })
  copyFileSync(writeSafetensors(nets.worse), join(job.workspace, 'net.safetensors'))
  const finished = job.run(ACTION, {
    checkpoint: 'net.safetensors',
    baseline: 'none',
    'fail-if': 'alpha > 2',
    'github-token': github.token,
  })
  await expect.poll(() => github.requests.length, { timeout: 20_000 }).toBeGreaterThan(0)
  expect(Object.keys(job.outputs()).sort()).toEqual([
    'alpha',
    'alpha-weighted',
    'log-spectral-norm',
    'metrics',
    'report-html',
    'report-json',
    'report-markdown',
    'verdict',
  ])
  expect(job.summary()).toContain('### ❌ Failed')
  await github.stop()
  expect(await finished).toMatchObject({ status: 1 })
  github = await GitHubDouble.start()
})

test('a publishing failure warns and leaves the verdict alone: that nothing was compared is another warning', async () => {
  const { status, stdout, outputs } = await (async () => {
    github.permissions = { contents: 'read' }
    return gate('good')
  })()
  expect({ status, verdict: outputs.verdict }).toEqual({ status: 0, verdict: 'warned' })
  expect(stdout).toMatch(/^::warning::The comment was not written: .*`pull-requests: write`/m)
  expect(comments()).toEqual([])
})

test('a pull request from a fork is judged without a comment', async () => {
  github.permissions = { contents: 'read', actions: 'read', 'pull-requests': 'read' }
  github.addPull({ number: 7, head: { sha: 'a'.repeat(40), ref: 'topic', repository: 'stranger/net' } })
  const { status, stdout, job } = await gate('worse', REGRESSION)
  expect(status).toBe(1)
  expect(stdout).toMatch(/^::warning::.*from a fork a read-only token/m)
  expect(job.summary()).toContain('### ❌ Failed')
})

test('a push has a summary, a report and a baseline, and no comment', async () => {
  const { status, outputs } = await gate('good', {}, { event: 'push' })
  expect({ status, verdict: outputs.verdict, url: outputs['comment-url'] }).toEqual({
    status: 0,
    verdict: 'passed',
    url: undefined,
  })
  expect(github.artifacts.map(({ name }) => name)).toEqual([
    expect.stringMatching(/^spectral-gate-baseline-gate-[0-9a-f]{16}$/),
    'spectral-gate',
  ])
  expect(comments()).toEqual([])
})

test('several checkpoints in one run', async () => {
  const { outputs, status } = await gate('good', {
    checkpoint: 'head=net.safetensors\nbase=main.safetensors',
    'fail-if': 'alpha > 1',
  })
  expect(status).toBe(1)
  expect(outputs.alpha).toBeUndefined()
  expect(Object.keys(JSON.parse(outputs.metrics))).toEqual(['head', 'base'])
  expect(comments()[0].body).toContain('| `head` |')
})

test('enforce: false shows the verdict and does not fail the job', async () => {
  expect(await gate('worse', { ...REGRESSION, enforce: 'false' })).toMatchObject({
    status: 0,
    outputs: { verdict: 'failed' },
  })
  expect(comments()[0].body).toContain('Not enforced')
})

test('Inf in a weight fails the gate', async () => {
  expect(await gate('broken')).toMatchObject({ status: 1, outputs: { verdict: 'failed', alpha: '' } })
  expect(comments()[0].body).toMatch(/^### ❌ Failed: 1 layer could not be read, `a`: Infinity at index `\[0, 9\]`/)
})

test.each<[string, Record<string, string>, RegExp]>([
  ['a missing checkpoint', { checkpoint: 'nothing.pt' }, /^::error::nothing\.pt: no such file/m],
  ['a rule with a typo', { 'fail-if': 'alhpa > 6' }, /^::error::fail-if, column 1: unknown metric "alhpa"/m],
  ['a baseline that can’t be read', { baseline: 'nothing.json' }, /^::error::The baseline can't be used/m],
])('%s fails the job, and a green comment of before turns red', async (_, inputs, message) => {
  await gate('good')
  const { status, stdout, outputs, job } = await gate('good', inputs)
  expect(status).toBe(2)
  expect(stdout).toMatch(message)
  expect(outputs.verdict).toBeUndefined()
  expect(job.summary()).toContain('### ❌ Failed: no verdict')
  expect(comments()).toHaveLength(1)
  expect(comments()[0].body).toContain('### ❌ Failed: no verdict')
})

test.each([
  [{ comment: 'sometimes' }, /comment is "sometimes", but takes always, on-change, on-failure, never/],
  [{ enforce: 'yes' }, /enforce is "yes", but takes true or false/],
])('refuses %j', async (inputs, message) => {
  const { status, stdout } = await gate('good', inputs)
  expect(status).toBe(2)
  expect(stdout).toMatch(message)
})

test('a hostile name starts no workflow command', async () => {
  const job = github.job({ event: 'push' })
  const path = writeSafetensors({
    '\n::set-output name=verdict::passed\n##[add-mask]x': { shape: [20, 20] },
    'b.weight': goldenTensor('G1'),
  })
  writeFileSync(join(job.workspace, 'net.safetensors'), readFileSync(path))
  const { stdout } = await job.run(ACTION, { checkpoint: 'net.safetensors' })
  expect(stdout).not.toMatch(/^\s*::set-output/m)
  expect(stdout).not.toContain('##[')
})

test('a checkpoint that could not be fetched leaves the gate undecided, where that is asked for', async () => {
  const job = github.job({ event: 'push' })
  writeFileSync(
    join(job.workspace, 'net.safetensors'),
    'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n',
  )
  const inputs = { checkpoint: 'net.safetensors', 'missing-checkpoint': 'inconclusive', 'github-token': github.token }
  const { status, stdout } = await job.run(ACTION, inputs)
  expect(stdout).toMatch(/^::error::inconclusive: there is no checkpoint: net\.safetensors: is a Git LFS pointer/m)
  expect({ status, ...job.outputs() }).toMatchObject({ status: 1, verdict: 'inconclusive', metrics: '{}' })
  expect(job.summary()).toMatch(/^### 🟡 Inconclusive: there is no checkpoint: .*`lfs: true`/)
  expect(github.artifacts.map(({ name }) => name)).toEqual(['spectral-gate'])
  const lenient = await job.run(ACTION, { ...inputs, 'fail-on-inconclusive': 'false', 'artifact-name': 'none' })
  expect(lenient.status).toBe(0)
})

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { strictReport } from '../../src/report/schema.ts'
import { root } from '../support/cli.ts'
import { goldenTensor } from '../support/golden.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'
import { GitHubDouble, sha } from './github/double.ts'
import type { JobOptions } from './github/job.ts'

const ACTION = join(root, 'dist/main.js')
const REGRESSION = { 'fail-if': 'delta(alpha) > 0.2' }
const nets = {
  good: { 'a.weight': goldenTensor('G1'), 'b.weight': goldenTensor('G4') },
  worse: { 'a.weight': goldenTensor('G2'), 'b.weight': goldenTensor('G4') },
} satisfies Record<string, Record<string, Written>>

let github: GitHubDouble
const commits = [0, 1, 2, 3].map(i => sha(`main-${i}`)) as [string, string, string, string]
const head = sha('head of 7')
beforeEach(async () => {
  github = await GitHubDouble.start()
  commits.forEach((commit, i) => {
    github.commits.set(commit, i === 0 ? [] : [commits[i - 1]!])
  })
  github.commits.set(head, [commits[2]])
  github.branches.set('main', commits[3])
})
afterEach(async () => {
  expect(github.problems).toEqual([])
  await github.stop()
})

async function gate(network: keyof typeof nets, inputs: Record<string, string>, options: JobOptions) {
  const job = github.job(options)
  copyFileSync(writeSafetensors(nets[network]), join(job.workspace, 'net.safetensors'))
  const finished = await job.run(ACTION, {
    ...{ checkpoint: 'net.safetensors', 'github-token': github.token, matrix: 'null' },
    ...inputs,
  })
  return { ...finished, job, outputs: job.outputs() }
}

const push = (network: keyof typeof nets, commit: string, inputs = {}) =>
  gate(network, inputs, { event: 'push', sha: commit })
const pull = (network: keyof typeof nets, inputs = {}) =>
  gate(network, { ...REGRESSION, ...inputs }, { event: 'pull_request', pull: 7 })
const report = (outputs: Record<string, string>) =>
  strictReport.parse(JSON.parse(readFileSync(outputs['report-json']!, 'utf8')))

test('main publishes, though its own gate fails; a pull request is compared with its merge base', async () => {
  const published = await push('good', commits[2], { 'fail-if': 'alpha > 0' })
  expect(published.status).toBe(1)
  expect(github.artifacts.map(({ name }) => name)).toEqual([
    expect.stringMatching(/^spectral-gate-baseline-gate-[0-9a-f]{16}$/),
    'spectral-gate',
  ])
  await push('worse', commits[3])
  const { status, outputs } = await pull('worse')
  expect(status).toBe(1)
  expect(outputs).toMatchObject({
    verdict: 'failed',
    'baseline-state': 'exact',
    'baseline-commit': commits[2],
    'baseline-run': `${published.job.workflowRun.id}`,
  })
  expect(report(outputs).baseline).toMatchObject({
    state: 'exact',
    wanted: commits[2],
    history: [{ commit: commits[2] }],
  })
  expect(github.comments(7)[0]!.body).toMatch(/^### ❌ Failed: `delta\(alpha\) > 0\.2` is true: \+1\.162, and 1 more; /)
  expect(github.artifacts.at(-1)!.name).toBe('spectral-gate')
})

test('an ancestor, and the trend of main', async () => {
  await push('worse', commits[0])
  await push('good', commits[1])
  const { outputs, status } = await pull('good')
  expect({ status, verdict: outputs.verdict }).toEqual({ status: 0, verdict: 'passed' })
  const { baseline } = report(outputs)
  expect(baseline).toMatchObject({ state: 'ancestor', distance: 1, commit: commits[1] })
  expect(baseline!.history.map(({ commit }) => commit)).toEqual([commits[0], commits[1]])
  expect(github.comments(7)[0]!.body).toContain('1 commit before')
})

test('the merge commit that checkout makes is asked for its parent', async () => {
  const job = github.job({ event: 'push' })
  const git = (...words: string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.c', '-C', job.workspace, ...words], {
      encoding: 'utf8',
    }).trim()
  git('init', '-q', '-b', 'main')
  git('commit', '-q', '--allow-empty', '-m', 'base')
  const base = git('rev-parse', 'HEAD')
  git('checkout', '-q', '-b', 'topic')
  git('commit', '-q', '--allow-empty', '-m', 'topic')
  const topic = git('rev-parse', 'HEAD')
  git('checkout', '-q', 'main')
  git('merge', '-q', '--no-ff', '-m', 'merge', 'topic')
  await push('good', base)
  github.addPull({ number: 7, head: { sha: topic, ref: 'topic', repository: 'octo/net' } })
  const options: JobOptions = { event: 'pull_request', pull: 7, sha: git('rev-parse', 'HEAD') }
  const pr = github.job(options)
  copyFileSync(writeSafetensors(nets.good), join(job.workspace, 'net.safetensors'))
  const inputs = { checkpoint: 'net.safetensors', 'github-token': github.token, matrix: 'null' }
  mkdirSync(pr.workspace, { recursive: true })
  execFileSync('cp', ['-r', `${job.workspace}/.`, pr.workspace])
  expect((await pr.run(ACTION, inputs)).status).toBe(0)
  expect(pr.outputs()).toMatchObject({ 'baseline-state': 'exact', 'baseline-commit': base })
  expect(github.requests.some(({ path }) => path.includes('/compare/'))).toBe(false)
})

test('legs of a matrix keep apart', async () => {
  await push('good', commits[2], { matrix: '{"model":"a"}', 'artifact-name': 'a' })
  expect((await pull('worse', { matrix: '{"model":"b"}' })).outputs['baseline-state']).toBe('first-run')
  expect((await pull('worse', { matrix: '{"model":"a"}' })).outputs['baseline-state']).toBe('exact')
})

test('what is not a first run does not pass for one', async () => {
  await push('good', commits[2])
  github.permissions = { contents: 'read', 'pull-requests': 'write' }
  const { status, outputs, stdout } = await pull('good')
  expect({ status, verdict: outputs.verdict, state: outputs['baseline-state'] }).toEqual({
    ...{ status: 1, verdict: 'inconclusive', state: 'forbidden' },
  })
  expect(stdout).toMatch(/^::warning::.*`actions: read`/m)
  expect(github.comments(7)[0]!.body).not.toContain('First run')
})

test('baseline-required, none, and a config file', async () => {
  const required = await pull('good', { 'baseline-required': 'true' })
  expect(required.status).toBe(2)
  expect(required.stdout).toMatch(/^::error::`baseline-required` is set/m)
  const requests = github.requests.length
  const job = github.job({ event: 'push' })
  copyFileSync(writeSafetensors(nets.good), join(job.workspace, 'net.safetensors'))
  mkdirSync(join(job.workspace, '.github'))
  writeFileSync(
    join(job.workspace, '.github/spectral-gate.yml'),
    'baseline: none\nwarn-if: alpha > 1\nartifact-name: none\n',
  )
  await job.run(ACTION, { checkpoint: 'net.safetensors', 'github-token': github.token })
  expect(job.outputs()).toMatchObject({ verdict: 'warned' })
  expect(job.outputs()['baseline-state']).toBeUndefined()
  expect(github.requests.slice(requests).filter(({ path }) => path.startsWith('/api'))).toEqual([])
})

test('comments only on change, and turns green all the same', async () => {
  await push('good', commits[2])
  await pull('good', { comment: 'on-change' })
  expect(github.comments(7)).toEqual([])
  await pull('worse', { comment: 'on-change' })
  await pull('good', { comment: 'on-change' })
  expect(github.comments(7)).toMatchObject([{ body: expect.stringMatching(/^### ✅ Passed/) }])
})

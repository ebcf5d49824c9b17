import { mkdirSync, readFileSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { strictReport } from '../../src/report/schema.ts'
import { makeZip } from '../checkpoint/torch/build.ts'
import { type Gated, type nets, runGate } from './gate.ts'
import { GitHubDouble, sha } from './github/double.ts'

const RULES = { 'fail-if': 'delta(alpha) > 0.2\nfailed > 0' }
const RUN = 4711
let github: GitHubDouble
beforeEach(async () => {
  github = await GitHubDouble.start()
  github.commits.set(sha('main'), [])
  github.branches.set('main', sha('main'))
  github.commits.set(sha('head of 7'), [sha('main')])
})
afterEach(async () => {
  expect(github.problems).toEqual([])
  await github.stop()
})

/** One leg of the matrix of the job `analyse`. */
function leg(net: keyof typeof nets, index: number, of: number, inputs: Record<string, string> = {}, runAttempt = 1) {
  const matrix = JSON.stringify({ leg: index })
  const strategy = JSON.stringify({ 'job-index': index, 'job-total': of })
  const options = { event: 'pull_request', pull: 7, runId: RUN, runAttempt }
  return runGate(github, net, { matrix, strategy, mode: 'part', ...inputs }, options, { GITHUB_JOB: 'analyse' })
}

/** The job that needs them all. */
const merge = (inputs: Record<string, string> = {}, event: object = { event: 'pull_request', pull: 7 }) =>
  runGate(
    github,
    'good',
    { ...RULES, checkpoint: '', mode: 'merge', ...inputs },
    { ...event, runId: RUN } as Parameters<typeof runGate>[3],
    { GITHUB_JOB: 'merge' },
  )

const file = (name: string, text = '{}') => ({ name, data: Buffer.from(text) })
const report = ({ outputs }: Gated) => strictReport.parse(JSON.parse(readFileSync(outputs['report-json']!, 'utf8')))
const comments = () => github.comments(7).map(({ body }) => body.split('\n')[0])

test('two shards become one report, one verdict and one comment: those of the whole run', async () => {
  for (const index of [0, 1]) {
    const part = await leg('worse', index, 2, { mode: '', shard: `${index + 1}/2` })
    expect(part).toMatchObject({ status: 0, outputs: { verdict: '', metrics: '{}' } })
    expect(part.stdout).toContain(`part ${index + 1} of 2: 1 of 2 layers, to be merged`)
    expect(part.job.summary()).toContain(`Part ${index + 1} of 2`)
  }
  expect(comments()).toEqual([])
  expect(github.artifacts.map(({ name }) => name)).toEqual([
    expect.stringMatching(/^spectral-gate-part-analyse-0-[0-9a-f]{16}$/),
    expect.stringMatching(/^spectral-gate-part-analyse-1-[0-9a-f]{16}$/),
  ])
  const merged = await merge({ 'baseline-key': 'net' })
  expect(merged.status, merged.stdout).toBe(0)
  expect(comments()).toEqual([expect.stringMatching(/^### 🟡 Inconclusive: first run/)])
  const whole = await runGate(
    github,
    'worse',
    { ...RULES, 'baseline-key': 'net' },
    { event: 'pull_request', pull: 7, runId: RUN + 1 },
  )
  const { provenance, ...rest } = report(merged)
  const { provenance: other, ...expected } = report(whole)
  expect(rest).toEqual(expected)
})

test('the merged report is the next baseline, and is compared with it', async () => {
  const push = { event: 'push', sha: sha('main') }
  const part = (net: keyof typeof nets, event: object, runId: number) =>
    runGate(github, net, { shard: '1/1', matrix: 'null' }, { ...event, runId } as Parameters<typeof runGate>[3], {
      GITHUB_JOB: 'analyse',
    })
  await part('good', push, RUN)
  await merge({}, push)
  expect(github.artifacts.filter(({ name }) => name.startsWith('spectral-gate-baseline-merge'))).toHaveLength(1)
  await part('worse', { event: 'pull_request', pull: 7 }, RUN + 1)
  const judged = await runGate(
    github,
    'good',
    { ...RULES, checkpoint: '', mode: 'merge' },
    { event: 'pull_request', pull: 7, runId: RUN + 1 },
    { GITHUB_JOB: 'merge' },
  )
  expect(judged).toMatchObject({ status: 1, outputs: { verdict: 'failed', 'baseline-state': 'exact' } })
  expect(comments()).toEqual([expect.stringMatching(/^### ❌ Failed: `delta\(alpha\) > 0\.2` is true/)])
})

test('the legs of a matrix are models of one report, in its order; a leg that ran again replaces its part', async () => {
  await leg('worse', 1, 2, { checkpoint: 'second=net.safetensors' })
  await leg('worse', 0, 2, { checkpoint: 'first=net.safetensors' })
  await leg('good', 0, 2, { checkpoint: 'first=net.safetensors' }, 2)
  const merged = await merge()
  expect(report(merged).models.map(({ name, summary }) => [name, Number(summary.alpha?.toFixed(2))])).toEqual([
    ['first', 1.99],
    ['second', 3.15],
  ])
  expect(comments()).toHaveLength(1)
})

test('a leg that is missing is an error that names it, and stands in the comment', async () => {
  await leg('good', 0, 3, { checkpoint: 'a=net.safetensors' })
  await leg('good', 2, 3, { checkpoint: 'c=net.safetensors' })
  const merged = await merge()
  expect(merged.status).toBe(2)
  expect(merged.stdout).toContain('The job "analyse" has 3 legs, and there is no part of number 2.')
  expect(comments()).toEqual(['### ❌ Failed: no verdict'])
})

test('a shard that is missing or doubled is an error', async () => {
  await leg('good', 0, 2, { shard: '1/2' })
  await leg('good', 1, 2, { shard: '1/2' })
  expect((await merge()).stdout).toMatch(/Shard 1\/2 of the model .*net.* is there twice/)
})

test('nothing to merge, and no permission to look', async () => {
  expect((await merge()).stdout).toContain('There is no part to merge: this run has no artifact named')
  github.permissions = { contents: 'read' }
  const refused = await merge()
  expect(refused.status).toBe(2)
  expect(refused.stdout).toContain('seems to lack the permission `actions: read`')
})

test('parts from files and folders, as a download leaves them', async () => {
  const [one, two] = [await leg('good', 0, 2, { shard: '1/2' }), await leg('good', 1, 2, { shard: '2/2' })]
  github.permissions = { contents: 'read', 'pull-requests': 'write' }
  const folder = one.job.workspace
  for (const [name, { outputs }] of Object.entries({ one, two })) {
    mkdirSync(join(folder, 'parts', name), { recursive: true })
    await copyFile(outputs['report-json']!, join(folder, 'parts', name, 'report.json'))
  }
  const merged = await merge({ reports: join(folder, 'parts'), baseline: 'none', 'fail-if': 'failed > 0' })
  expect(merged.stdout).toContain('alpha 1.988 over 2 layers')
  expect((await merge({ reports: join(folder, 'none'), baseline: 'none' })).stdout).toMatch(/can't be read \(ENOENT\)/)
})

test('a part that the repository has is none that a job made', async () => {
  const made = await leg('good', 0, 1)
  const part = readFileSync(made.outputs['report-json']!)
  const inputs = { ...RULES, baseline: 'none', 'fail-if': '', checkpoint: '', mode: 'merge', reports: 'parts' }
  const run = () =>
    runGate(
      ...([github, 'good', inputs, { event: 'pull_request', pull: 7, runId: RUN }, { GITHUB_JOB: 'merge' }] as const),
      { files: { 'parts/0/report.json': part } },
    )
  expect((await run()).status).toBe(0)
  github.commitFiles(sha('head of 7'), { 'parts/0/report.json': part })
  const refused = await run()
  expect(refused.status).toBe(2)
  expect(refused.stdout).toContain('is a file of the repository, not a part that a job made')
})

test.each([
  ['is no zip', Buffer.from('x'), /can't be read/],
  ['is not a part', makeZip([file('report.json', '{"schemaVersion":1}')]), /not a report of Spectral Gate/],
  ['brings another file', makeZip([file('report.json'), file('../x')]), /can't be read/],
])('a hostile artifact that %s', async (_, bytes, message) => {
  await leg('good', 0, 1)
  github.addArtifact('spectral-gate-part-evil', RUN, bytes)
  const merged = await merge()
  expect(merged.status).toBe(2)
  expect(merged.stdout).toMatch(message)
  expect(merged.stdout).toContain('The artifact spectral-gate-part-evil')
})

test('modes that do not exist or contradict a shard, and a gate without a checkpoint', async () => {
  expect((await merge({ mode: 'merg' })).stdout).toMatch(
    /mode is "merg", but takes gate, part, merge.*Did you mean merge/,
  )
  expect((await merge({ shard: '1/2' })).stdout).toMatch(/mode: merge does not go with a shard/)
  expect((await merge({ mode: 'gate' })).stdout).toMatch(/The input checkpoint is empty/)
})

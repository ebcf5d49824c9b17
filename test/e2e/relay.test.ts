import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeZip } from '../checkpoint/torch/build.ts'
import { runGate } from './gate.ts'
import { GitHubDouble, sha } from './github/double.ts'

const HEAD = sha('head of the fork')
let github: GitHubDouble
beforeEach(async () => {
  github = await GitHubDouble.start()
  github.commits.set(sha('main'), [])
  github.branches.set('main', sha('main'))
  github.commits.set(HEAD, [sha('main')])
  github.addPull({ number: 7, head: { sha: HEAD, ref: 'topic', repository: 'fork/net' } })
  github.addPull({ number: 8 })
})
afterEach(async () => {
  expect(github.problems).toEqual([])
  await github.stop()
})

/** The fork's own run, whose token may only read. */
async function forkRun(inputs: Record<string, string> = {}) {
  const { permissions } = github
  const before = github.comments(7).length
  github.permissions = { actions: 'read', contents: 'read', 'pull-requests': 'read' }
  const ended = await runGate(
    github,
    'worse',
    { 'fail-if': 'alpha > 3', ...inputs },
    { event: 'pull_request', pull: 7 },
  )
  github.permissions = permissions
  expect(github.comments(7)).toHaveLength(before)
  return ended.job.workflowRun
}

interface RunOfFork {
  id: number
  attempt: number
}

/** The companion, started by the end of that run. */
function relay({ id, attempt }: RunOfFork, claims: object = {}, inputs: Record<string, string> = {}) {
  const workflow_run = {
    ...{ id, run_attempt: attempt, event: 'pull_request', head_sha: HEAD, head_branch: 'topic', path: 'gate.yml' },
    head_repository: { full_name: 'fork/net' },
    pull_requests: [],
    ...claims,
  }
  const payload = { action: 'completed', workflow_run, repository: { default_branch: 'main' } }
  return runGate(github, 'good', { mode: 'comment', ...inputs }, { event: 'workflow_run', payload })
}

/** A run of the fork that uploads this. */
function forged(report: Buffer | string | object): RunOfFork {
  const { workflowRun } = github.job({ event: 'pull_request', pull: 7 })
  const text = typeof report === 'object' && !Buffer.isBuffer(report) ? JSON.stringify(report) : report
  const zip = Buffer.isBuffer(text) ? text : makeZip([{ name: 'report.json', data: Buffer.from(text) }])
  github.addArtifact('spectral-gate', workflowRun.id, zip)
  return workflowRun
}

test('the fork’s report becomes a comment, rendered here, with our links; red turns green', async () => {
  const ended = await relay(await forkRun())
  expect(ended.status, ended.stdout).toBe(0)
  const [comment, ...others] = github.comments(7)
  expect(others).toEqual([])
  expect(comment!.body).toMatch(/^### ❌ Failed: `alpha > 3` is true/)
  expect(comment!.body).toContain('> From the run of a fork: what its report says was not checked.')
  expect(ended.outputs['comment-url']).toContain('/pull/7#issuecomment-')
  await relay(await forkRun({ 'fail-if': 'alpha > 99' }))
  expect(github.comments(7)).toMatchObject([{ id: comment!.id, body: expect.stringMatching(/^### ✅ Passed/) }])
  expect(github.comments(8)).toEqual([])
})

test.each<[string, object, RegExp]>([
  ['the pull request has moved on', { head_sha: sha('older') }, /the pull request has moved on/],
  ['no pull request comes from there', { head_branch: 'other' }, /no open pull request comes from fork\/net:other/],
  ['a forged number', { head_branch: 'other', pull_requests: [{ number: 8 }], number: 8 }, /no open pull request/],
  ['a branch of this repository', { head_repository: { full_name: 'octo/net' } }, /comments for itself/],
  ['the fork was deleted', { head_repository: null }, /the fork has been deleted/],
  ['a push', { event: 'push' }, /was started by push/],
])('%s: no comment, and the log says why', async (_, claims, reason) => {
  const ended = await relay(await forkRun(), claims)
  expect(ended).toMatchObject({ status: 0, stdout: expect.stringMatching(reason) })
  expect([...github.comments(7), ...github.comments(8)]).toEqual([])
})

test('two pull requests of one head, and a run without a report', async () => {
  const run = await forkRun()
  github.addPull({ number: 9, head: { sha: HEAD, ref: 'topic', repository: 'fork/net' } })
  expect((await relay(run)).stdout).toMatch(/2 pull requests have the head/)
  github.pulls.delete(9)
  expect((await relay(run, { id: github.job({ event: 'pull_request', pull: 7 }).workflowRun.id })).stdout).toMatch(
    /has no report: no artifact named spectral-gate/,
  )
  expect(github.comments(7)).toEqual([])
})

test.each([
  ['skipped', /^### 🟡 Inconclusive: no verdict\n\nThe run was skipped/],
  ['action_required', /^### 🟡 Inconclusive: no verdict\n\nThe run waits for approval/],
  ['failure', /^### ❌ Failed: no verdict/],
])('a run without a report that ended as %s says so in the comment of before', async (conclusion, body) => {
  await relay(await forkRun({ 'fail-if': 'alpha > 99' }))
  expect(github.comments(7)[0]!.body).toMatch(/^### ✅/)
  await relay(github.job({ event: 'pull_request', pull: 7 }).workflowRun, { conclusion })
  expect(github.comments(7)).toMatchObject([{ body: expect.stringMatching(body) }])
})

const options = { min_evals: 10, max_evals: 15000, max_N: 50000, include: [], exclude: [], conv2d: 'pooled' }
const empty = { schemaVersion: 1, tool: { name: 'spectral-gate', version: '0' }, options, models: [] }
test.each<[string, Buffer | string | object, RegExp]>([
  ['a zip bomb', makeZip([{ name: 'report.json', data: Buffer.alloc(64 << 20), method: 8 }]), /claims to inflate/],
  ['a newer schema', { ...empty, schemaVersion: 2 }, /was written by a newer version/],
  ['no report', '{}', /not a report/],
  ['no zip', Buffer.from('PK'), /./],
])('%s: no comment, a warning', async (_, report, reason) => {
  const ended = await relay(forged(report))
  expect(ended.status).toBe(0)
  expect(ended.stdout).toMatch(/::warning::The comment was not written/)
  expect(ended.stdout).toMatch(reason)
  expect(github.comments(7)).toEqual([])
})

test('nothing that a hostile report says becomes a link, a mention or HTML', async () => {
  const evil = '[x](https://evil.example) @octocat <img src=x> #1'
  const run = { repository: evil, commit: evil.slice(0, 60), ref: evil, event: 'x', workflow: evil }
  const provenance = { ...run, run_id: 1, run_attempt: 1, run_url: 'https://evil.example/a', time: evil }
  const found = { state: 'degraded', reason: evil, branch: evil, wanted: null, history: [] }
  const baseline = { ...found, commit: evil.slice(0, 60), run_id: 5, run_url: 'https://evil.example/b', time: evil }
  const comparison = {
    ...{ status: 'compared', reason: '', baseline: { path: evil, kind: 'report' }, models: [], removed: [evil] },
  }
  const accepted = { label: evil, by: evil, at: evil.slice(0, 60), was: 'failed' }
  const verdict = { status: 'accepted', first_run: false, enforced: true, fails_job: false, rules: [], accepted }
  await relay(forged({ ...empty, provenance, baseline, comparison, verdict }))
  const [comment] = github.comments(7)
  const outside = comment!.body.replace(/(`+)[^`].*?\1/g, '')
  expect(outside).not.toMatch(/evil|@|<img|#1/)
  expect(comment!.body).toContain('(http://gate.localhost/octo/net/actions/runs/')
})

test('on another event it says what it is for', async () => {
  const ended = await runGate(github, 'good', { mode: 'comment' }, { event: 'push', sha: sha('main') })
  expect(ended.status).toBe(2)
  expect(ended.stdout).toMatch(/mode: comment is for the event workflow_run, but this is push/)
})

import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeZip } from '../checkpoint/torch/build.ts'
import { annotations, runGate } from './gate.ts'
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

/** A comment of before on a gate, by the run of a commit. */
function commented(gate: string, commit: string): number {
  const { workflowRun } = github.job({ event: 'pull_request', pull: 7 })
  workflowRun.sha = commit
  const marker = `<!-- spectral-gate key=${gate} run=${workflowRun.id} attempt=1 verdict=passed -->`
  return github.addComment(7, `### ✅ Passed\n\n${marker}`, github.login).id
}

const titleOf = (id: number) => github.comment(id)?.body.split('\n')[0]

const gates = Array.from({ length: 12 }, (_, i) => i.toString(16).repeat(16))
const NO_VERDICT = { '🟡': '### 🟡 Inconclusive: no verdict', '❌': '### ❌ Failed: no verdict' }
const PASSED = '### ✅ Passed'
test.each<[string, keyof typeof NO_VERDICT, string, RegExp]>([
  ['skipped', '🟡', PASSED, /The run was skipped/],
  ['action_required', '🟡', PASSED, /The run waits for approval/],
  ['success', '🟡', PASSED, /The run ended without a failure, and without a report of this gate/],
  ['failure', '❌', NO_VERDICT['❌'], /The run ended without a report of this gate/],
])(
  'a run without a report that ended as %s says so in the comment of before',
  async (conclusion, icon, same, reason) => {
    const older = commented(gates[1]!, sha('older'))
    const ofThisCommit = commented(gates[2]!, HEAD)
    await relay(github.job({ event: 'pull_request', pull: 7 }).workflowRun, { conclusion })
    expect([titleOf(older), titleOf(ofThisCommit)]).toEqual([NO_VERDICT[icon], same])
    expect(github.comment(older)!.body).toMatch(reason)
  },
)

const options = { min_evals: 10, max_evals: 15000, max_N: 50000, include: [], exclude: [], conv2d: 'pooled' }
const empty = { schemaVersion: 1, tool: { name: 'spectral-gate', version: '0' }, options, models: [] }
const rule = { rule: 'alpha > 1', level: 'fail', builtin: false, model: '', outcome: 'violated', value: 2, unit: '' }
const rules = Array(20_001).fill({ ...rule, threshold: 1, layers: 1, of: 1, reason: '', cause: '' })
const failed = { status: 'failed', first_run: false, enforced: true, fails_job: true }
const passed = { status: 'passed', first_run: false, enforced: true, fails_job: false, rules: [] }
/** Small as an archive, and large in memory. */
const marked = (count: number) => zipped({ ...empty, x: Array(count).fill({}) })

function zipped(report: object): Buffer {
  return makeZip([{ name: 'report.json', data: Buffer.from(JSON.stringify(report)) }])
}

test.each<[string, Buffer | string | object, RegExp]>([
  ['a zip bomb', makeZip([{ name: 'report.json', data: Buffer.alloc(64 << 20), method: 8 }]), /claims to inflate/],
  ['a newer schema', { ...empty, schemaVersion: 2 }, /was written by a newer version/],
  ['no report', '{}', /not a report/],
  ['no zip', Buffer.from('PK'), /./],
  ['millions of objects', marked(4_000_001), /holds more than 8000000 commas, colons and brackets/],
  ['more rules than are shown', { ...empty, verdict: { ...failed, rules } }, /verdict\.rules: Too big/],
])('%s: a warning, and the comment of before says so', async (_, report, reason) => {
  const before = commented(gates[1]!, HEAD)
  const ended = await relay(forged(report), { conclusion: 'success' })
  expect(ended.status).toBe(0)
  expect(ended.stdout).toMatch(/::warning::The report spectral-gate can't be read/)
  expect(ended.stdout).toMatch(reason)
  expect(github.comments(7)).toHaveLength(1)
  expect(github.comment(before)!.body).toMatch(
    /^### ❌ Failed: no verdict\n\nNo report of this gate can be read: \[the log\]/,
  )
})

test('all reports of a run are read within one bound', async () => {
  const { workflowRun } = github.job({ event: 'pull_request', pull: 7 })
  for (const gate of gates.slice(0, 3))
    github.addArtifact(`spectral-gate-report-${gate}`, workflowRun.id, marked(1_500_000))
  const ended = await relay(workflowRun)
  expect(github.comments(7)).toHaveLength(2)
  expect(ended.stdout.match(/::warning::.*holds more than \d+ commas/g)).toHaveLength(1)
})

test('artifacts of the user’s own that are called like reports are passed over', async () => {
  const page = makeZip([{ name: 'report.html', data: Buffer.from('x') }])
  const run = forged(page)
  github.addArtifact('spectral-gate-report-html', run.id, page)
  github.addArtifact(`spectral-gate-report-${gates[1]}`, run.id, zipped({ ...empty, verdict: passed }))
  const ended = await relay(run)
  expect(annotations(ended)).toBe('')
  expect(github.comments(7)).toHaveLength(1)
})

test('gates that have a comment come first, and those for which there is no room are not missing', async () => {
  const ids = gates.slice(2).map(gate => commented(gate, sha('older')))
  const { workflowRun } = github.job({ event: 'pull_request', pull: 7 })
  for (const gate of gates) {
    const report = zipped({ ...empty, provenance: { ...claimed(workflowRun), gate }, verdict: passed })
    github.addArtifact(`spectral-gate-report-${gate}`, workflowRun.id, report)
  }
  const ended = await relay(workflowRun)
  expect(github.comments(7).map(({ id }) => id)).toEqual(ids)
  for (const id of ids) expect(github.comment(id)!.body).toMatch(/^### ✅ Passed[\s\S]*From the run of a fork/)
  expect(annotations(ended)).toMatch(
    /^::warning::Not commented on, .*: spectral-gate-report-0{16}, spectral-gate-report-1{16}\.$/,
  )
})

/** What a report says of the run that made it. */
function claimed({ id, attempt }: RunOfFork) {
  const commit = { repository: 'octo/net', commit: HEAD, ref: 'topic', event: 'pull_request', workflow: 'Gate' }
  return { ...commit, run_id: id, run_attempt: attempt, run_url: 'https://gate.example', time: '' }
}

test('after a second attempt each gate has its own newest report, unless its job ran again and left none', async () => {
  const [a, b, c] = gates as [string, string, string]
  const ids = [a, b, c].map(gate => commented(gate, HEAD))
  const { workflowRun: first } = github.job({ event: 'pull_request', pull: 7 })
  const run = { ...first, attempt: 2 }
  const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString()
  const job = (key: string, attempt: number, started: number, ended: number) =>
    github.jobs.push({
      ...{ id: github.nextId(), runId: run.id, attempt, key, runner: `runner ${key}` },
      ...{ started: at(started), completed: at(ended), failed: false },
    })
  const report = (name: string, gate: string, runner: string, minute: number, verdict: object) => {
    const provenance = { ...claimed(run), gate, runner: `runner ${runner}` }
    github.addArtifact(name, run.id, zipped({ ...empty, provenance, verdict })).created = at(minute)
  }
  for (const key of ['a', 'b', 'c']) job(key, 1, 0, 10)
  report('spectral-gate', a, 'a', 5, passed)
  report(`spectral-gate-report-${b}`, b, 'b', 6, { ...failed, rules: [] })
  report(`spectral-gate-report-${c}`, c, 'c', 7, passed)
  for (const key of ['b', 'c']) job(key, 2, 20, 30)
  report('spectral-gate', b, 'b', 25, passed)
  github.runs.set(run.id, run)
  await relay(run, { conclusion: 'failure' })
  expect(ids.map(id => github.comment(id)!.body)).toEqual([
    expect.stringMatching(/^### ✅ Passed[\s\S]*From the run of a fork/),
    expect.stringMatching(/^### ✅ Passed[\s\S]*From the run of a fork/),
    expect.stringMatching(/^### ❌ Failed: no verdict/),
  ])
  expect(github.comments(7)).toHaveLength(3)
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

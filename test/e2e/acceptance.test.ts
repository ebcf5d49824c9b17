import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { strictReport } from '../../src/report/schema.ts'
import { type nets, runGate } from './gate.ts'
import { GitHubDouble, sha } from './github/double.ts'
import type { JobOptions } from './github/job.ts'

const LABEL = 'accept: regression'
const MINUTE = 60_000
let github: GitHubDouble
beforeEach(async () => {
  github = await GitHubDouble.start()
  github.commits.set(sha('main'), [])
  github.branches.set('main', sha('main'))
  github.commits.set(sha('head of 7'), [sha('main')])
  github.collaborators.set('maintainer', 'write')
  github.collaborators.set('stranger', 'read')
})
afterEach(async () => {
  expect(github.problems).toEqual([])
  await github.stop()
})

const ago = (minutes: number) => new Date(Date.now() - minutes * MINUTE).toISOString()

/** Something happened to the pull request. */
function happened(event: string, minutes: number, login = 'maintainer', name = LABEL) {
  const label = event.endsWith('labeled') ? { label: { name, color: 'f00' } } : {}
  const actor = { login, type: login.endsWith('[bot]') ? 'Bot' : 'User' }
  github.events.push({ issue: 7, event: { event, actor, created_at: ago(minutes), ...label } })
}

const happenedAll = (...events: [string, number][]) => {
  for (const [event, minutes] of events) happened(event, minutes)
}

/** GitHub saw the head of the pull request so many minutes ago. */
function pushed(minutes: number) {
  const { workflowRun } = github.job({ event: 'pull_request', pull: 7 })
  workflowRun.created = ago(minutes)
}

async function gate(
  inputs: Record<string, string> = {},
  more: Partial<JobOptions> = {},
  net: keyof typeof nets = 'good',
) {
  const rules = { 'fail-if': 'alpha > 1.5', 'accept-label': LABEL }
  return runGate(github, net, { ...rules, ...inputs }, { event: 'pull_request', pull: 7, ...more })
}

const comment = () => github.comments(7)[0]!.body
const verdict = ({ outputs }: Awaited<ReturnType<typeof gate>>) =>
  strictReport.parse(JSON.parse(readFileSync(outputs['report-json']!, 'utf8'))).verdict!

test('a label by somebody who may write, set after the push: accepted, by whom and when', async () => {
  pushed(10)
  happened('labeled', 5)
  const ended = await gate()
  expect(ended).toMatchObject({ status: 0, outputs: { verdict: 'accepted' } })
  expect(verdict(ended)).toMatchObject({
    fails_job: false,
    accepted: { label: LABEL, by: 'maintainer', was: 'failed' },
    rules: [{ outcome: 'violated' }],
  })
  expect(comment()).toMatch(/^### ☑️ Accepted: `alpha > 1\.5` is true/)
  expect(comment()).toMatch(
    /^> Accepted by `maintainer` with the label `accept: regression` at `2\d{3}-.*`: it was failed/m,
  )
})

test('a label for another commit, which the branch was at meanwhile, is none for one that was seen before', async () => {
  pushed(60)
  Object.assign(github.job({ event: 'pull_request', pull: 7 }).workflowRun, { created: ago(50), sha: sha('other') })
  happened('labeled', 40)
  const ended = await gate()
  expect(ended).toMatchObject({ status: 1, outputs: { verdict: 'failed' } })
  expect(comment()).toMatch(/maintainer set it before the last push/)
})

test('the same where no run tells of the other commit, but that it was forced', async () => {
  pushed(60)
  happenedAll(['head_ref_force_pushed', 50], ['labeled', 40])
  expect(await gate()).toMatchObject({ status: 1, outputs: { verdict: 'failed' } })
})

test('the event of the label itself is enough, where no earlier run is known', async () => {
  happened('labeled', 1)
  const ended = await gate({}, { labelled: { name: LABEL, by: 'maintainer' } })
  expect(ended).toMatchObject({ status: 0, outputs: { verdict: 'accepted' } })
})

test.each<[string, () => void, RegExp | undefined]>([
  ['nobody set it', () => {}, undefined],
  ['another label', () => happened('labeled', 5, 'maintainer', 'bug'), undefined],
  ['it was taken off again', () => happenedAll(['labeled', 5], ['unlabeled', 4]), undefined],
  [
    'somebody who may only read',
    () => happened('labeled', 5, 'stranger'),
    /stranger.* set it, who has no write access/,
  ],
  ['a bot', () => happened('labeled', 5, 'github-actions[bot]'), /set it, who is no person/],
  ['before the last push', () => happened('labeled', 15), /maintainer set it before the last push/],
  ['before a forced push', () => happenedAll(['labeled', 5], ['head_ref_force_pushed', 2]), /before the last push/],
])('%s: not accepted', async (_, happen, reason) => {
  pushed(10)
  happen()
  const ended = await gate()
  expect(ended).toMatchObject({ status: 1, outputs: { verdict: 'failed' } })
  if (reason) {
    expect(ended.stdout).toMatch(reason)
    expect(comment().replaceAll('`', '')).toMatch(reason)
    expect(comment()).toContain('> The label `accept: regression` does not count: ')
  } else expect(comment()).not.toContain('The label')
})

test('a run of the same commit on another branch is no sign that the pull request had it', async () => {
  const elsewhere = github.job({ event: 'push', sha: sha('head of 7'), ref: 'refs/heads/other' })
  elsewhere.workflowRun.created = ago(20)
  happened('labeled', 15)
  expect(await gate()).toMatchObject({ status: 1, outputs: { verdict: 'failed' } })
})

test('an inconclusive gate can be accepted, a first run need not be', async () => {
  pushed(10)
  happened('labeled', 5)
  const ended = await gate({ 'fail-if': 'alpha[none] > 1' })
  expect(verdict(ended)).toMatchObject({ status: 'accepted', accepted: { was: 'inconclusive' } })
})

test('a passing gate asks nobody', async () => {
  happened('labeled', 5)
  await gate({ 'fail-if': 'alpha > 99' })
  expect(github.requests.filter(({ path }) => /events|permission/.test(path))).toEqual([])
})

test('where GitHub does not say, it is not accepted, and the log names the permission', async () => {
  pushed(10)
  happened('labeled', 5)
  github.fault({ path: /\/events/, status: 403, times: 9 })
  const ended = await gate()
  expect(ended.status).toBe(1)
  expect(ended.stdout).toMatch(/Whether the label .* accepts this is not known: .*pull-requests: read/)
})

test('a worse verdict gets a new comment, where that is asked for', async () => {
  const inputs = { 'recreate-on-worse': 'true', 'accept-label': '' }
  await gate({ ...inputs, 'fail-if': 'alpha > 99' })
  const [first] = github.comments(7)
  await gate({ ...inputs, 'fail-if': 'alpha > 1' })
  const [second, ...others] = github.comments(7)
  expect(others).toEqual([])
  expect(second!.id).toBeGreaterThan(first!.id)
  expect(second!.body).toMatch(/^### ❌ Failed/)
  await gate({ ...inputs, 'fail-if': 'alpha > 99' })
  expect(github.comments(7)).toMatchObject([{ id: second!.id, body: expect.stringMatching(/^### ✅ Passed/) }])
  await gate({ 'accept-label': '', 'fail-if': 'alpha > 1' })
  expect(github.comments(7)).toMatchObject([{ id: second!.id, body: expect.stringMatching(/^### ❌ Failed/) }])
})

test('where the old comment can’t be deleted, it is updated', async () => {
  const inputs = { 'recreate-on-worse': 'true', 'accept-label': '' }
  await gate({ ...inputs, 'fail-if': 'alpha > 99' })
  github.fault({ method: 'DELETE', path: /comments/, status: 403 })
  await gate({ ...inputs, 'fail-if': 'alpha > 1' })
  expect(github.comments(7)).toMatchObject([{ body: expect.stringMatching(/^### ❌ Failed/) }])
})

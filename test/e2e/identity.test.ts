import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { annotations, eachInRepository, type Gated, type nets, runGate } from './gate.ts'
import { type GitHubDouble, sha } from './github/double.ts'
import type { JobOptions } from './github/job.ts'

let github: GitHubDouble
let commits: readonly [string, string, string, string]
eachInRepository(started => {
  ;({ github, commits } = started)
})

type Net = keyof typeof nets
const RULE = { 'fail-if': 'delta(alpha) > 0.2' }
const push = (net: Net, inputs = {}, env = {}) =>
  runGate(github, net, { ...RULE, ...inputs }, { event: 'push', sha: commits[2], runId: 5001 }, env)
const pull = (net: Net, inputs = {}, env = {}, options: Partial<JobOptions> = {}) =>
  runGate(github, net, { ...RULE, ...inputs }, { event: 'pull_request', pull: 7, runId: 6001, ...options }, env)
const titles = (issue = 7) => github.comments(issue).map(({ body }) => body.split(':')[0])
const decided = ({ status, outputs }: Gated) => ({ status, verdict: outputs.verdict })
const workflow = (file: string) => ({ GITHUB_WORKFLOW_REF: `octo/net/.github/workflows/${file}@x` })

describe('two gates of one run keep their comments and baselines apart', () => {
  test.each<[string, [object, object], [object, object]]>([
    ['legs of a matrix', [{ matrix: '{"model":"a"}' }, {}], [{ matrix: '{"model":"b"}' }, {}]],
    ['steps of a job', [{}, { GITHUB_ACTION: '__gate' }], [{}, { GITHUB_ACTION: '__gate_2' }]],
    ['jobs', [{}, { GITHUB_JOB: 'a' }], [{}, { GITHUB_JOB: 'b' }]],
    [
      'calls of a reusable workflow whose models have names',
      [{ checkpoint: 'a=net.safetensors' }, {}],
      [{ checkpoint: 'b=net.safetensors' }, {}],
    ],
    [
      'calls with keys',
      [{ 'baseline-key': 'a', 'comment-key': 'a' }, {}],
      [{ 'baseline-key': 'b', 'comment-key': 'b' }, {}],
    ],
  ])('%s', async (_, [a, envA], [b, envB]) => {
    await push('good', a, envA)
    await push('worse', b, envB)
    expect(decided(await pull('worse', a, envA))).toEqual({ status: 1, verdict: 'failed' })
    expect(decided(await pull('worse', b, envB))).toEqual({ status: 0, verdict: 'passed' })
    expect(titles()).toEqual(['### ❌ Failed', '### ✅ Passed'])
  })

  test('workflows of one name', async () => {
    const inputs = { baseline: 'none', 'fail-if': 'alpha > 2.5' }
    await pull('worse', inputs, workflow('a.yml'))
    await pull('good', inputs, workflow('b.yml'), { runId: 6002 })
    expect(titles()).toEqual(['### ❌ Failed', '### ✅ Passed'])
  })
})

describe('two gates that can’t be told apart', () => {
  test.each<[Net, Net]>([
    ['good', 'worse'],
    ['worse', 'good'],
  ])('%s, then %s: the second is told, and neither is compared with the other’s', async (first, second) => {
    expect((await push(first)).status).toBe(0)
    const collided = await push(second)
    expect(collided.status).toBe(1)
    expect(annotations(collided)).toMatch(/^::error::The baseline was not published\..*`baseline-key`.*NAME=PATH/m)
    for (const net of [first, second]) {
      const ended = await pull(net)
      expect(decided(ended)).toEqual({ status: 1, verdict: 'inconclusive' })
      expect(ended.outputs['baseline-state']).toBe('invalid')
    }
  })

  test('the comment of the other is not overwritten', async () => {
    await pull('worse', { baseline: 'none', 'fail-if': 'alpha > 2.5' })
    const second = await pull('good', { baseline: 'none', 'fail-if': 'alpha > 2.5' })
    expect(second.status).toBe(1)
    expect(annotations(second)).toMatch(/^::error::The comment was not written: another gate.*`comment-key`/m)
    expect(titles()).toEqual(['### ❌ Failed'])
    const again = await pull('good', { baseline: 'none', 'fail-if': 'alpha > 2.5' }, {}, { runAttempt: 2 })
    expect(again.status).toBe(0)
    expect(titles()).toEqual(['### ✅ Passed'])
  })

  test('an upload that GitHub carried out and did not answer is no other gate', async () => {
    github.fault({ path: 'CreateArtifact', status: 503, after: true, body: { code: 'unavailable', msg: 'x' } })
    const ended = await push('good')
    expect(ended.status).toBe(0)
    expect(annotations(ended)).toMatch(/^::warning::The baseline was not published/m)
    expect(github.artifacts.some(({ name }) => name.endsWith('-twice'))).toBe(false)
  }, 90_000)
})

test('models that are called differently are not compared without saying so', async () => {
  await push('good', { checkpoint: 'net.safetensors' })
  const ended = await runGate(
    github,
    'good',
    { ...RULE, checkpoint: 'other.safetensors' },
    { event: 'pull_request', pull: 7 },
    {},
    {
      prepare: ({ workspace }) => renameSync(join(workspace, 'net.safetensors'), join(workspace, 'other.safetensors')),
    },
  )
  expect(ended.status).toBe(0)
  expect(github.comments(7)[0]!.body).toContain('> `other` is compared with `net`: they are called differently.')
})

describe('whose a comment is', () => {
  const N = { baseline: 'none', 'fail-if': 'alpha > 2.5' }
  const run = (net: Net, runId: number) => pull(net, N, {}, { runId })

  test.each<[string, string, () => void]>([
    [
      'a forge without GraphQL',
      'gitea-actions',
      () => {
        github.fault({ path: '/graphql', status: 404 })
        github.fault({ path: /\/user$/, status: 403 })
      },
    ],
    [
      'an app whose GraphQL is refused',
      'my-gate[bot]',
      () => {
        github.fault({ path: '/graphql', status: 403, body: { message: 'Resource not accessible by integration' } })
      },
    ],
    [
      'an app whose GraphQL is limited',
      'my-gate[bot]',
      () => {
        github.fault({
          path: '/graphql',
          status: 200,
          body: { data: null, errors: [{ type: 'RATE_LIMITED', message: 'x' }] },
        })
      },
    ],
  ])('%s: it is learnt from the comment just created, and duplicates are joined', async (_, login, faults) => {
    github.login = login
    for (const [i, net] of (['good', 'worse', 'good'] as const).entries()) {
      faults()
      await run(net, 8001 + i)
      expect(github.comments(7)).toHaveLength(1)
    }
    expect(titles()).toEqual(['### ✅ Passed'])
  })

  test('one that was deleted before the update is created anew', async () => {
    await run('good', 8001)
    const [old] = github.comments(7)
    github.fault({ method: 'PATCH', path: '/comments/', status: 404, times: 9 })
    const ended = await run('worse', 8002)
    expect(annotations(ended)).not.toContain('comment was not written')
    expect(titles()).toEqual(['### ✅ Passed', '### ❌ Failed'])
    expect(ended.outputs['comment-url']).not.toContain(`${old!.id}`)
  })

  test('two of ours become one', async () => {
    await run('good', 8001)
    github.addComment(7, github.comments(7)[0]!.body, 'github-actions[bot]')
    await run('worse', 8002)
    expect(titles()).toEqual(['### ❌ Failed'])
  })

  test.each<[string, string]>([
    ['a run that GitHub does not know', '999999999999999'],
    ['a run of another workflow', 'other'],
    ['a run of another pull request', 'pull'],
  ])('a marker that a bot echoes does not freeze it: %s', async (_, id) => {
    github.addPull({ number: 8, head: { sha: sha('head of 8'), ref: 'elsewhere', repository: 'octo/net' } })
    const other = github.job({ event: 'push', runId: 9_000_001 }).workflowRun
    other.path = '.github/workflows/other.yml'
    github.job({ event: 'pull_request', pull: 8, runId: 9_000_002 })
    await run('good', 8001)
    const forged = { other: '9000001', pull: '9000002' }[id] ?? id
    const [comment] = github.comments(7)
    comment!.body = comment!.body.replace(/run=\d+/, `run=${forged}`)
    await run('worse', 8002)
    expect(titles()).toEqual(['### ❌ Failed'])
  })

  test('a newer run of ours is believed', async () => {
    await run('good', 8002)
    await run('worse', 8001)
    expect(titles()).toEqual(['### ✅ Passed'])
  })
})

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../../src/limits.ts'
import { makeZip } from '../checkpoint/torch/build.ts'
import { type Gated, type nets, runGate } from './gate.ts'
import { GitHubDouble, sha } from './github/double.ts'
import type { JobOptions } from './github/job.ts'

let github: GitHubDouble
const commits = [0, 1, 2, 3].map(i => sha(`main-${i}`)) as [string, string, string, string]
beforeEach(async () => {
  github = await GitHubDouble.start()
  commits.forEach((commit, i) => {
    github.commits.set(commit, i === 0 ? [] : [commits[i - 1]!])
  })
  github.commits.set(sha('head of 7'), [commits[2]])
  github.branches.set('main', commits[3])
})
afterEach(async () => {
  expect(github.problems).toEqual([])
  await github.stop()
})

type Net = keyof typeof nets
const push = (net: Net, commit: string = commits[2], options: Partial<JobOptions> = {}, inputs = {}) =>
  runGate(github, net, inputs, { event: 'push', sha: commit, ...options })
const pull = (net: Net, options: Partial<JobOptions> = {}, inputs: Record<string, string> = {}) =>
  runGate(github, net, { 'fail-if': 'delta(alpha) > 0.2', ...inputs }, { event: 'pull_request', pull: 7, ...options })

const first = (body: string) => body.split('\n')[0]!
const comments = () => github.comments(7).map(({ body }) => first(body))
const RED = expect.stringMatching(/^### ❌ Failed: `delta\(alpha\) > 0\.2` is true/)
const GREEN = expect.stringMatching(/^### ✅ Passed/)

/** The verdict, its exit status, and the state of the baseline. */
function seen({ status, outputs }: Gated) {
  return { status, verdict: outputs.verdict, state: outputs['baseline-state'] }
}

const baselines = () => github.artifacts.filter(({ name }) => name.startsWith('spectral-gate-baseline-'))

describe('the baseline', () => {
  test('first run: inconclusive, and the job goes on', async () => {
    const ended = await pull('good')
    expect(seen(ended)).toEqual({ status: 0, verdict: 'inconclusive', state: 'first-run' })
    expect(github.comments(7)[0]!.body).toContain('publishes one')
  })

  test.each([
    ['exact', commits[2]],
    ['ancestor', commits[0]],
  ])('%s', async (state, commit) => {
    await push('good', commit)
    expect(seen(await pull('worse'))).toEqual({ status: 1, verdict: 'failed', state })
    expect(comments()).toEqual([RED])
  })

  test('the commits may not be read: what is of the branch is not known, and that is no first run', async () => {
    await push('good', commits[0])
    github.permissions = { actions: 'read', 'pull-requests': 'write' }
    const ended = await pull('worse')
    expect(seen(ended)).toEqual({ status: 1, verdict: 'inconclusive', state: 'forbidden' })
    expect(ended.stdout).toMatch(/^::warning::.*`contents: read`/m)
  })

  test('expired', async () => {
    await push('good')
    baselines()[0]!.expired = true
    const ended = await pull('good')
    expect(seen(ended)).toEqual({ status: 1, verdict: 'inconclusive', state: 'expired' })
    expect(github.comments(7)[0]!.body).toContain('has expired')
  })

  test('404: artifacts are switched off', async () => {
    github.fault({ path: '/actions/artifacts', status: 404, times: 9 })
    expect(seen(await pull('good'))).toEqual({ status: 1, verdict: 'inconclusive', state: 'disabled' })
  })

  test.each<[string, (good: Buffer) => Buffer, RegExp]>([
    [
      'a zip bomb',
      () => makeZip([{ name: 'report.json', data: Buffer.alloc(64 << 20), method: 8 }]),
      /claims to inflate/,
    ],
    [
      'a newer schema',
      () => makeZip([{ name: 'report.json', data: Buffer.from('{"schemaVersion":9}') }]),
      /newer version \(schema 9\)/,
    ],
    ['a file cut short', good => good.subarray(0, good.length >> 1), /is not a readable zip/],
  ])('%s is told, and is no first run', async (_, replace, reason) => {
    await push('good')
    const [published] = baselines()
    const run = github.runs.get(published!.runId)!
    github.artifacts.length = 0
    github.addArtifact(published!.name, run.id, replace(published!.zip))
    const ended = await pull('good')
    expect(seen(ended)).toEqual({ status: 1, verdict: 'inconclusive', state: 'invalid' })
    expect(ended.stdout).toMatch(reason)
    expect(github.comments(7)).toHaveLength(1)
  })

  test('of a run that GitHub does not know any more, while it lists the artifact: no first run', async () => {
    await push('good')
    github.fault({ path: new RegExp(`/actions/runs/${baselines()[0]!.runId}(?:\\?|$)`), status: 404, times: 9 })
    const ended = await pull('good')
    expect(seen(ended)).toEqual({ status: 1, verdict: 'inconclusive', state: 'expired' })
    expect(ended.stdout).toContain('is of a run that GitHub does not know any more')
  })

  test('a hash mismatch', async () => {
    await push('good')
    baselines()[0]!.digest = `sha256:${'0'.repeat(64)}`
    const ended = await pull('good')
    expect(seen(ended)).toEqual({ status: 1, verdict: 'inconclusive', state: 'invalid' })
    expect(ended.stdout).toContain('do not have the hash')
  })

  test('a poisoned artifact of a fork, newer and for the same commit, changes nothing', async () => {
    await push('good')
    const poison = await push('worse', commits[2])
    poison.job.workflowRun.headRepositoryId = 90_001
    const ended = await pull('worse')
    expect(seen(ended)).toEqual({ status: 1, verdict: 'failed', state: 'exact' })
    expect(ended.outputs['baseline-run']).not.toBe(`${poison.job.workflowRun.id}`)
  })

  test('made with other options: those of the base branch hold, and what would change is said', async () => {
    await push('good', commits[2], {}, { 'min-evals': '5' })
    const ended = await pull('good')
    expect(seen(ended)).toEqual({ status: 0, verdict: 'passed', state: 'exact' })
    expect(github.comments(7)[0]!.body).toMatch(/\| `min-evals` \| `5` \| `10` \|/)
  })

  test.each([
    ['502', { status: 502 }],
    ['429 with Retry-After', { status: 429, headers: { 'retry-after': '1' } }],
    [
      'the secondary rate limit',
      { status: 403, headers: { 'retry-after': '1' }, body: { message: 'You have exceeded a secondary rate limit.' } },
    ],
    ['a connection cut in the middle', { cut: 'middle' as const }],
  ])('%s is waited out', async (_, fault) => {
    await push('good')
    github.fault({ path: '/actions/artifacts', ...fault })
    github.fault({ path: '/actions/runs/', ...fault })
    expect(seen(await pull('worse'))).toEqual({ status: 1, verdict: 'failed', state: 'exact' })
    expect(comments()).toEqual([RED])
  })

  test('more is asked to wait than there is time: unreachable, and no first run', async () => {
    await push('good')
    github.fault({ path: '/actions/artifacts', status: 429, headers: { 'retry-after': '3600' }, times: 9 })
    expect(seen(await pull('good'))).toEqual({ status: 1, verdict: 'inconclusive', state: 'unreachable' })
  })
})

describe('the comment', () => {
  beforeEach(() => push('good').then(() => {}))

  test('502 although it was created: not a second time', async () => {
    github.fault({ method: 'POST', path: '/comments', status: 502, after: true })
    expect(seen(await pull('worse'))).toMatchObject({ status: 1, verdict: 'failed' })
    expect(comments()).toEqual([RED])
  })

  test.each([
    ['502, and nothing was created', { status: 502 }],
    ['429 with Retry-After', { status: 429, headers: { 'retry-after': '1' } }],
    [
      'the secondary rate limit',
      { status: 403, headers: { 'retry-after': '1' }, body: { message: 'You have exceeded a secondary rate limit.' } },
    ],
    ['the connection cut before', { cut: 'before' as const }],
    ['the connection cut in the middle', { cut: 'middle' as const }],
  ])('%s', async (_, fault) => {
    github.fault({ method: 'POST', path: '/comments', ...fault })
    expect((await pull('worse')).status).toBe(1)
    expect(comments()).toEqual([RED])
  })

  test.each([
    ['403', { status: 403, body: { message: 'Resource not accessible by integration' } }, /`pull-requests: write`/],
    ['404', { status: 404 }, /GitHub finds it not \(404: a fault\)/],
    [
      '422',
      { status: 422, body: { message: 'Validation Failed: body is too long' } },
      /GitHub does not accept it \(422/,
    ],
    [
      'a wait that is too long',
      { status: 429, headers: { 'retry-after': '600' } },
      /asks to wait 600 s.*verdict stands/,
    ],
  ])('%s: a warning that says what to do, and the verdict stands', async (_, fault, message) => {
    github.fault({ method: 'POST', path: '/comments', times: 9, ...fault })
    const ended = await pull('worse')
    expect(seen(ended)).toMatchObject({ status: 1, verdict: 'failed' })
    expect(ended.stdout.split('\n').find(line => line.startsWith('::warning::The comment'))).toMatch(message)
    expect(ended.job.summary()).toContain('### ❌ Failed')
    expect(comments()).toEqual([])
  })

  test('is found behind 40 pages of others', async () => {
    for (let i = 0; i < 2000; i++) github.addComment(7, `comment ${i}`)
    await pull('worse')
    for (let i = 0; i < 2000; i++) github.addComment(7, `comment ${i}`)
    await pull('good')
    expect(comments().filter(line => line.startsWith('###'))).toEqual([GREEN])
  })

  test("somebody's copy of our marker is left alone", async () => {
    await pull('worse')
    const [ours] = github.comments(7)
    github.removeComment(ours!.id)
    const foreign = github.addComment(7, ours!.body, 'mallory')
    await pull('good')
    expect(github.comments(7)).toMatchObject([
      { id: foreign.id, body: ours!.body },
      { login: 'github-actions[bot]', body: expect.stringMatching(/^### ✅ Passed/) },
    ])
  })

  test('the second attempt of a run updates it; an older run that ends last leaves it alone', async () => {
    const older = { runId: 500_001 }
    await pull('worse', { runId: 500_002 })
    await pull('good', { runId: 500_002, runAttempt: 2 })
    expect(comments()).toEqual([GREEN])
    const late = await pull('worse', older)
    expect(seen(late)).toMatchObject({ status: 1, verdict: 'failed' })
    expect(late.stdout).toContain('Comment skipped-older')
    expect(comments()).toEqual([GREEN])
  })

  test('two legs that write at once have one comment if they share its key, and two if not', async () => {
    const both = (key: (leg: string) => string) =>
      Promise.all(
        ['a', 'b'].map(leg =>
          pull(
            'worse',
            {},
            {
              'comment-key': key(leg),
              'artifact-name': `${key(leg)}-${leg}`,
              baseline: 'none',
              'fail-if': 'alpha > 3',
            },
          ),
        ),
      )
    await both(() => 'one')
    expect(github.comments(7)).toHaveLength(1)
    await both(leg => leg)
    expect(github.comments(7)).toHaveLength(3)
  })

  test('a report that is too long for a comment is shortened by whole rows, and says so', async () => {
    const rules = Array.from({ length: 2500 }, (_, i) => `alpha > ${1000 + i}`).join('\n')
    const ended = await pull('good', {}, { 'fail-if': rules })
    expect(seen(ended)).toMatchObject({ status: 0, verdict: 'passed' })
    const { body } = github.comments(7)[0]!
    expect(body.length).toBeLessThan(limits.report.commentCharacters + 200)
    expect(body).toMatch(/… and \d+ more rules: the report has them all/)
  })
})

describe('events', () => {
  test('merge_group: compared with the base of the queue, published under its branch, no comment', async () => {
    await push('good')
    github.commits.set(sha('queued'), [commits[2]])
    const merge_group = {
      head_sha: sha('queued'),
      head_ref: 'refs/heads/gh-readonly-queue/main/pr-7',
      base_sha: commits[2],
      base_ref: 'refs/heads/main',
    }
    const ended = await runGate(
      github,
      'worse',
      { 'fail-if': 'delta(alpha) > 0.2' },
      {
        event: 'merge_group',
        sha: sha('queued'),
        ref: merge_group.head_ref,
        payload: { action: 'checks_requested', merge_group, repository: { default_branch: 'main' } },
      },
    )
    expect(seen(ended)).toEqual({ status: 1, verdict: 'failed', state: 'exact' })
    expect(ended.outputs['comment-url']).toBeUndefined()
    expect(baselines()).toHaveLength(2)
  })

  test('push: compared with the commit before', async () => {
    await push('good', commits[1])
    const ended = await push('worse', commits[2], {}, { 'fail-if': 'delta(alpha) > 0.2' })
    expect(seen(ended)).toEqual({ status: 1, verdict: 'failed', state: 'exact' })
    expect(baselines()).toHaveLength(2)
  })

  test('schedule: published, and compared with what was published before for the commit', async () => {
    await push('good', commits[3])
    const ended = await runGate(
      github,
      'good',
      { 'fail-if': 'delta(alpha) > 0.2' },
      {
        event: 'schedule',
        sha: commits[3],
        payload: { schedule: '0 4 * * *', repository: { default_branch: 'main' } },
      },
    )
    expect(seen(ended)).toMatchObject({ status: 0, verdict: 'passed' })
    expect(baselines()).toHaveLength(2)
  })

  test('a second attempt of a push publishes again, and the newer one counts', async () => {
    await push('worse', commits[2], { runId: 600_001 })
    await push('good', commits[2], { runId: 600_001, runAttempt: 2 })
    expect(seen(await pull('worse'))).toEqual({ status: 1, verdict: 'failed', state: 'exact' })
  })

  test('a fork: judged, compared and told of, without a word to the pull request', async () => {
    await push('good')
    github.addPull({ number: 7, head: { sha: sha('head of 7'), ref: 'topic', repository: 'stranger/net' } })
    github.permissions = { actions: 'read', contents: 'read', 'pull-requests': 'read' }
    const ended = await pull('worse')
    expect(seen(ended)).toEqual({ status: 1, verdict: 'failed', state: 'exact' })
    expect(ended.stdout).toMatch(/^::warning::.*from a fork a read-only token/m)
    expect(github.artifacts.at(-1)!.name).toBe('spectral-gate')
    expect(comments()).toEqual([])
  })

  test('GitHub Enterprise Server: reading and commenting work, and the log says how to keep the report', async () => {
    await push('good')
    const ended = await pull('worse', { serverUrl: 'https://ghe.example.org' })
    expect(seen(ended)).toEqual({ status: 1, verdict: 'failed', state: 'exact' })
    expect(ended.stdout).toMatch(/^::warning::.*does not upload to ghe\.example\.org.*actions\/upload-artifact@v3/m)
    expect(comments()).toEqual([RED])
  })
})

import { beforeEach, describe, expect, test } from 'vitest'
import { makeZip } from '../checkpoint/torch/build.ts'
import { annotations, eachInRepository, type Gated, type nets, readReport, runGate } from './gate.ts'
import { type GitHubDouble, sha } from './github/double.ts'
import type { JobOptions } from './github/job.ts'

let github: GitHubDouble
let commits: readonly [string, string, string, string]
eachInRepository(started => {
  ;({ github, commits } = started)
})

type Net = keyof typeof nets
const ONE = JSON.stringify({ 'job-index': 0, 'job-total': 1 })
const RUN = 7001
const PULL: JobOptions = { event: 'pull_request', pull: 7, runId: RUN }
const title = () => github.comments(7).at(-1)?.body.split(':')[0]

interface Leg {
  readonly job?: string
  readonly attempt?: number
  readonly step?: string
  readonly inputs?: Record<string, string>
}
const part = (net: Net, model: string, { job = 'train', attempt = 1, step = '__gate', inputs = {} }: Leg = {}) =>
  runGate(
    github,
    net,
    { mode: 'part', strategy: ONE, checkpoint: `${model}=net.safetensors`, ...inputs },
    { ...PULL, runAttempt: attempt },
    { GITHUB_JOB: job, GITHUB_ACTION: step },
  )
const merge = (attempt = 1, inputs = {}) =>
  runGate(
    github,
    'good',
    { mode: 'merge', checkpoint: '', 'fail-if': 'alpha > 2.5', baseline: 'none', ...inputs },
    { ...PULL, runAttempt: attempt },
    { GITHUB_JOB: 'gate' },
  )
const BROKEN = { inputs: { checkpoint: 'large=missing.safetensors' } }

/** The artifact of a second attempt may have a lower id than that of the first. */
function swapIds(name: string) {
  const [first, second] = github.artifacts.filter(one => one.name.startsWith(name))
  ;[first!.id, second!.id] = [second!.id, first!.id]
  first!.created = new Date(Date.now() - 600_000).toISOString()
}

describe('a merge', () => {
  const needs = (id: string) => ({ needs: JSON.stringify({ [id]: { result: 'success', outputs: {} } }) })

  test('takes the parts of the jobs that it needs, and no failed gate of another for a lost part', async () => {
    await part('good', 'text', { job: 'train-text' })
    await part('worse', 'vision', { job: 'train-vision' })
    await runGate(github, 'worse', { 'fail-if': 'alpha > 2.5', baseline: 'none' }, PULL, { GITHUB_JOB: 'tokenizer' })
    const merged = await merge(1, needs('train-text'))
    expect({ status: merged.status, verdict: merged.outputs.verdict }).toEqual({ status: 0, verdict: 'passed' })
    expect(readReport(merged).models.map(({ name }) => name)).toEqual(['text'])
  })

  test('of a workflow that is called twice takes the parts of its own call', async () => {
    for (const [net, model] of [
      ['good', 'text'],
      ['worse', 'vision'],
    ] as const) {
      await part(net, model, { inputs: { matrix: JSON.stringify({ model }) } })
      Object.assign(github.jobs.at(-1)!, { key: `${model} / train` })
    }
    for (const [model, verdict] of [
      ['text', 'passed'],
      ['vision', 'failed'],
    ]) {
      const merging = merge(1, {
        ...needs('train'),
        'comment-key': model,
        'baseline-key': model,
        'artifact-name': model,
      })
      Object.assign(github.jobs.at(-1)!, { key: `${model} / gate` })
      const merged = await merging
      expect(readReport(merged).models.map(({ name }) => name)).toEqual([model])
      expect(merged.outputs.verdict).toBe(verdict)
    }
  })

  test('misses a leg of a job that it needs', async () => {
    await part('good', 'small', { inputs: { strategy: JSON.stringify({ 'job-index': 0, 'job-total': 2 }) } })
    const merged = await merge(1, needs('train'))
    expect(merged.status).toBe(2)
    expect(annotations(merged)).toContain('has 2 legs, and there is no part of number 2')
  })
})

describe('a part', () => {
  test('whose upload fails fails its job, and the merge', async () => {
    await part('good', 'small', { job: 'small' })
    github.fault({ path: 'CreateArtifact', status: 403, body: { code: 'x', msg: 'quota' } })
    const lost = await part('worse', 'large', { job: 'large' })
    expect(lost.status).toBe(1)
    expect(annotations(lost)).toMatch(/^::error::The part was not kept/m)
    const merged = await merge()
    expect(merged.status).toBe(2)
    expect(annotations(merged)).toMatch(/The job "large.* failed, and there is no part of it/)
  })

  test('whose job failed under a step of another name leaves the merge undecided', async () => {
    const push = { event: 'push', sha: commits[2], runId: 9001 }
    for (const model of ['small', 'large']) {
      await runGate(github, 'good', { mode: 'part', strategy: ONE, checkpoint: `${model}=net.safetensors` }, push, {
        GITHUB_JOB: model,
      })
    }
    await runGate(github, 'good', { mode: 'merge', checkpoint: '' }, push, { GITHUB_JOB: 'gate' })
    await part('good', 'small', { job: 'small' })
    await part('good', 'large', { job: 'large', ...BROKEN })
    for (const job of github.jobs) job.stepName = 'Check the spectra'
    const merged = await merge(1, { baseline: 'auto', 'fail-if': '' })
    expect({ status: merged.status, verdict: merged.outputs.verdict }).toEqual({ status: 1, verdict: 'inconclusive' })
    expect(annotations(merged)).toMatch(/only the baseline has large, and the job/)
  })

  test('of each call of a reusable workflow is there, where the models have names', async () => {
    await part('good', 'small')
    await part('worse', 'large')
    expect((await merge()).outputs.verdict).toBe('failed')
    expect(title()).toBe('### ❌ Failed')
  })

  test('of a leg whose second step failed is not merged alone', async () => {
    await part('good', 'small')
    expect((await part('worse', 'large', { step: '__gate_2', ...BROKEN })).status).toBe(2)
    expect((await merge()).status).toBe(2)
  })

  test('of a first attempt is not taken where the leg ran again and broke', async () => {
    await part('good', 'large')
    expect((await part('worse', 'large', { attempt: 2, ...BROKEN })).status).toBe(2)
    const merged = await merge(2)
    expect(merged.status).toBe(2)
    expect(annotations(merged)).toContain('was made in attempt 1 of this run, and its job has run again since')
    expect(title()).toBe('### ❌ Failed')
  })

  test('of a first attempt is taken where the leg did not run again', async () => {
    await part('good', 'small', { job: 'small' })
    await part('worse', 'large', { job: 'large', ...BROKEN })
    await part('good', 'large', { job: 'large', attempt: 2 })
    expect((await merge(2)).outputs.verdict).toBe('passed')
  })

  test.each(['copied', 'left out'])(
    'of a first attempt is taken where GitHub has the leg %s in the second',
    async how => {
      await part('good', 'small', { job: 'small' })
      await part('worse', 'large', { job: 'large', ...BROKEN })
      await part('good', 'large', { job: 'large', attempt: 2 })
      if (how === 'copied')
        for (const job of github.jobs.filter(({ key }) => key.startsWith('small'))) Object.assign(job, { attempt: 2 })
      github.listsLastAttemptAlone = how === 'left out'
      expect((await merge(2)).outputs.verdict).toBe('passed')
    },
  )

  test('is the newest by the time of its creation', async () => {
    await part('worse', 'm')
    await part('good', 'm', { attempt: 2 })
    swapIds('spectral-gate-part-')
    expect((await merge(2)).outputs.verdict).toBe('passed')
  })

  test.each([
    ['exclude', 'a*', ''],
    ['structure', 'false', 'true'],
  ])('made with other options than the base branch’s leaves the gate undecided: %s', async (option, now, old) => {
    await runGate(
      github,
      'good',
      { 'fail-if': 'alpha > 2.5' },
      { event: 'push', sha: commits[2] },
      { GITHUB_JOB: 'gate' },
    )
    await part('good', 'net', { inputs: { [option]: now, checkpoint: 'net.safetensors' } })
    const merged = await merge(1, { baseline: 'auto' })
    expect({ status: merged.status, verdict: merged.outputs.verdict }).toEqual({ status: 1, verdict: 'inconclusive' })
    expect(readReport(merged).gate_change?.changes).toContainEqual({ option, old, new: now })
  })

  test.each<[string, Record<string, string>]>([
    ['a setting with a typo', { 'min-evals': 'ten' }],
    ['a missing file', { checkpoint: 'missing.pt' }],
  ])('never comments: %s', async (_, inputs) => {
    expect((await part('good', 'm', { inputs })).status).toBe(2)
    expect(github.comments(7)).toEqual([])
  })
})

test('a baseline is the newest by the time of its creation', async () => {
  const push = (net: Net, runAttempt: number) =>
    runGate(github, net, {}, { event: 'push', sha: commits[2], runId: 5001, runAttempt })
  await push('worse', 1)
  await push('good', 2)
  swapIds('spectral-gate-baseline-')
  const ended = await runGate(github, 'worse', { 'fail-if': 'delta(alpha) > 0.2' }, PULL)
  expect(ended.outputs.verdict).toBe('failed')
})

test('an error before the config file could be read guesses no key', async () => {
  const config = (text: string) => ({ files: { '.github/spectral-gate.yml': text } })
  const gate = (text: string) =>
    runGate(github, 'good', { baseline: 'none' }, { event: 'pull_request', pull: 7 }, {}, config(text))
  await gate('comment-key: mine\n')
  expect((await gate('comment-key: mine\nfial-if: x\n')).status).toBe(2)
  await gate('comment-key: mine\n')
  expect(github.comments(7)).toHaveLength(1)
})

describe('the relay', () => {
  const HEAD = sha('head of the fork')
  const N = { baseline: 'none', 'fail-if': 'alpha > 2.5' }
  beforeEach(() => {
    github.commits.set(HEAD, [commits[2]])
    github.addPull({ number: 7, head: { sha: HEAD, ref: 'topic', repository: 'fork/net' } })
  })

  async function fork(net: Net, inputs = {}, options: Partial<JobOptions> = {}, env = {}) {
    const { permissions } = github
    github.permissions = { actions: 'read', contents: 'read', 'pull-requests': 'read' }
    const ended = await runGate(github, net, { ...N, ...inputs }, { event: 'pull_request', pull: 7, ...options }, env)
    github.permissions = permissions
    return ended
  }
  function relay({ job }: Gated, claims = {}, inputs = {}) {
    const { id, attempt } = job.workflowRun
    const workflow_run = {
      ...{ id, run_attempt: attempt, event: 'pull_request', head_sha: HEAD, head_branch: 'topic' },
      ...{ path: '.github/workflows/gate.yml', head_repository: { full_name: 'fork/net' }, ...claims },
    }
    const payload = { action: 'completed', workflow_run, repository: { default_branch: 'main' } }
    return runGate(github, 'good', { mode: 'comment', ...inputs }, { event: 'workflow_run', payload })
  }
  const titles = () => github.comments(7).map(({ body }) => body.split(':')[0])

  test('of a run without a report makes the comment of before say so', async () => {
    await relay(await fork('good'))
    expect(titles()).toEqual(['### ✅ Passed'])
    await relay(await fork('worse', { checkpoint: 'missing.pt' }))
    expect(titles()).toEqual(['### ❌ Failed'])
    expect(github.comments(7)[0]!.body).toContain('The run ended without a report of this gate')
  })

  test('of a run with two gates shows both, and which is missing the next time', async () => {
    const steps = ['__gate', '__gate_2'].map(step => ({ GITHUB_ACTION: step }))
    await fork('good', {}, { runId: 9001 }, steps[0])
    await relay(await fork('worse', {}, { runId: 9001 }, steps[1]))
    expect(titles().sort()).toEqual(['### ✅ Passed', '### ❌ Failed'])
    await relay(await fork('good', {}, { runId: 9002 }, steps[1]))
    const bodies = github.comments(7).map(({ body }) => body)
    expect(bodies.filter(body => body.includes('without a report of this gate'))).toHaveLength(1)
    expect(bodies.filter(body => body.startsWith('### ✅ Passed'))).toHaveLength(1)
  })

  test('leaves the comment of another workflow alone, whatever a report claims', async () => {
    const other = await runGate(
      github,
      'worse',
      N,
      { event: 'pull_request_target', pull: 7 },
      {
        GITHUB_WORKFLOW_REF: 'octo/net/.github/workflows/other.yml@x',
      },
    )
    expect(other.status).toBe(2)
    const own = await runGate(
      github,
      'worse',
      { ...N, 'allow-unsafe-checkout': 'true' },
      { event: 'pull_request_target', pull: 7 },
    )
    own.job.workflowRun.path = '.github/workflows/other.yml'
    const before = github.comments(7).map(({ id, body }) => ({ id, body }))
    expect(before).toHaveLength(1)
    await relay(await fork('good'))
    await relay(await fork('worse', { checkpoint: 'missing.pt' }))
    expect(github.comments(7)[0]).toMatchObject(before[0]!)
    expect(github.comments(7)).toHaveLength(2)
  })

  test('of a run whose token may write keeps to its comment', async () => {
    const ended = await runGate(github, 'worse', N, { event: 'pull_request', pull: 7 })
    await relay(ended)
    expect(titles()).toEqual(['### ❌ Failed'])
  })

  test('of a second attempt takes its report, and the first does not come back', async () => {
    const first = await fork('worse', {}, { runId: 9001 })
    const second = await fork('good', {}, { runId: 9001, runAttempt: 2 })
    swapIds('spectral-gate')
    await relay(second)
    expect(titles()).toEqual(['### ✅ Passed'])
    await relay(first)
    expect(titles()).toEqual(['### ✅ Passed'])
  })

  test('believes no acceptance that GitHub does not tell', async () => {
    const run = await fork('worse')
    const report = readReport(run)
    report.verdict = {
      ...report.verdict!,
      ...{ status: 'accepted', fails_job: false },
      accepted: { label: 'ok', by: 'maintainer', at: '2026-01-01T00:00:00Z', was: 'failed' },
    }
    const { job } = run
    github.artifacts.splice(0)
    github.addArtifact('spectral-gate', job.workflowRun.id, zipOf(report))
    await relay(run, {}, { 'accept-label': 'ok' })
    expect(titles()).toEqual(['### ❌ Failed'])
    expect(github.comments(7)[0]!.body).not.toContain('maintainer')
  })

  test('comments for Dependabot, whose token may only read, too', async () => {
    github.addPull({ number: 7, head: { sha: HEAD, ref: 'topic', repository: 'octo/net' } })
    const run = await fork('worse', {}, { actor: 'dependabot[bot]' })
    const own = { head_repository: { full_name: 'octo/net' } }
    await relay(run, { ...own, actor: { login: 'ada' } })
    expect(titles()).toEqual([])
    await relay(run, { ...own, actor: { login: 'dependabot[bot]' } })
    expect(titles()).toEqual(['### ❌ Failed'])
    expect(github.comments(7)[0]!.body).toContain('From a run that Dependabot started.')
  })
})

function zipOf(report: object): Buffer {
  return makeZip([{ name: 'report.json', data: Buffer.from(JSON.stringify(report)) }])
}

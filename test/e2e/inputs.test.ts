import { describe, expect, test } from 'vitest'
import { eachInRepository, type Gated, type nets, readReport, runGate, type Workspace } from './gate.ts'
import { type GitHubDouble, sha } from './github/double.ts'
import type { JobOptions } from './github/job.ts'

const CONFIG = '.github/spectral-gate.yml'
const RULE = { 'fail-if': 'delta(alpha) > 0.2' }
const LIMIT = 'fail-if: alpha > 2.5\n'
const FAILED = { status: 1, verdict: 'failed' }

let github: GitHubDouble
let commits: readonly [string, string, string, string]
eachInRepository(started => {
  ;({ github, commits } = started)
})

type Net = keyof typeof nets
const push = (net: Net, inputs = {}, options: Partial<JobOptions> = {}, workspace: Workspace = {}) =>
  runGate(github, net, inputs, { event: 'push', sha: commits[2], ...options }, {}, workspace)
const pull = (net: Net, inputs = {}, workspace: Workspace = {}, pull = 7) =>
  runGate(github, net, inputs, { event: 'pull_request', pull }, {}, workspace)
const decided = ({ status, outputs }: Gated) => ({ status, verdict: outputs.verdict })

describe('another file of the base branch as the config file', () => {
  test.each([
    ['src/__init__.py', ''],
    ['other.yml', 'enforce: false\n'],
  ])('%s: what the base branch was judged by still holds', async (config, content) => {
    const files = { [CONFIG]: LIMIT, [config]: content }
    await push('good', {}, {}, { files })
    expect(decided(await pull('worse', { config }, { files }))).toEqual(FAILED)
  })

  test('the same file, which says it no longer, counts', async () => {
    await push('good', {}, {}, { files: { [CONFIG]: LIMIT } })
    const files = { [CONFIG]: 'fail-if: alpha > 99\n' }
    github.commitFiles(commits[3], files)
    expect((await pull('worse', {}, { files })).status).toBe(0)
  })
})

describe('a key among the inputs that stays, while the search for a baseline is turned off or elsewhere', () => {
  const KEY = { 'baseline-key': 'k' }

  test.each<[string, Record<string, string>]>([
    ['none', { baseline: 'none' }],
    ['a run', { baseline: 'run:RUN' }],
    ['an age', { 'baseline-max-age': '0.001h' }],
    ['a branch', { 'baseline-branch': 'topic' }],
    ['a workflow', { 'baseline-workflow': 'x.yml' }],
    ['a file', { baseline: 'base.json' }],
  ])('%s: the rules that were published under the key hold', async (_, options) => {
    const pushed = await push('good', { ...KEY, 'fail-if': 'alpha > 2.5' })
    for (const one of github.artifacts) one.created = new Date(Date.now() - 3_600_000).toISOString()
    github.branches.set('topic', commits[2])
    const own = await push('worse', { baseline: 'none' }, { event: 'schedule' })
    const baseline = options.baseline?.replace('RUN', String(pushed.job.workflowRun.id))
    const inputs = { ...KEY, ...options, ...(baseline && { baseline }) }
    const files = { 'base.json': JSON.stringify(readReport(own)) }
    expect(decided(await pull('worse', inputs, { files }))).toEqual(FAILED)
  })
})

describe('a flag with a comment', () => {
  test.each(['# roll-out\nfalse', 'false\n# x'])('%j does not switch the gate off', async enforce => {
    await push('good', RULE)
    expect(decided(await pull('worse', { ...RULE, enforce }))).toEqual(FAILED)
  })
})

test('a metric called as a function of the rules is refused', async () => {
  await push('good', { 'fail-if': 'std(alpha) > 0.0001' })
  const ended = await pull('worse', { 'metrics-file': 'm.json' }, { files: { 'm.json': '{"std": 0}' } })
  expect(ended.status).toBe(2)
  expect(ended.stdout).toContain('is a word of the rules already')
})

describe('neither the base branch’s config file nor its report can be read', () => {
  const files = { [CONFIG]: LIMIT }

  test.each(['', 'junk'])('the token is %j: undecided', async token => {
    await push('good', {}, {}, { files })
    const ended = await pull('worse', { 'github-token': token }, { files: { [CONFIG]: '# nothing\n' } })
    // The double tells of a token that it does not know.
    if (token) github.problems.length = 0
    expect(decided(ended)).toEqual({ status: 1, verdict: 'inconclusive' })
  })

  test('the job has no permissions: undecided', async () => {
    await push('good', {}, {}, { files })
    github.permissions = {}
    const ended = await pull('worse', {}, { files: { [CONFIG]: '# nothing\n' } })
    expect(decided(ended)).toEqual({ status: 1, verdict: 'inconclusive' })
  })
})

describe('an input over an option of the base branch’s config file', () => {
  test.each([{ 'fail-if': 'alpha > 99' }, { 'fail-if': '# none' }])('%j, nothing published yet', async inputs => {
    const files = { [CONFIG]: LIMIT }
    github.commitFiles(commits[3], files)
    expect(decided(await pull('worse', inputs, { files }))).toEqual(FAILED)
  })

  test('what was published is older than the file', async () => {
    await push('good')
    const files = { [CONFIG]: LIMIT }
    github.commitFiles(commits[3], files)
    expect(decided(await pull('worse', { 'fail-if': '# none' }, { files }))).toEqual(FAILED)
  })

  test('enforce', async () => {
    await push('good')
    const files = { [CONFIG]: `${LIMIT}enforce: true\n` }
    github.commitFiles(commits[3], files)
    expect(decided(await pull('worse', { enforce: 'false' }, { files }))).toEqual(FAILED)
  })

  test('that stood over it when the base branch was judged counts', async () => {
    const files = { [CONFIG]: LIMIT }
    await push('good', { 'fail-if': 'alpha > 99' }, {}, { files })
    expect((await pull('worse', { 'fail-if': 'alpha > 99' }, { files })).status).toBe(0)
    await push('good', { 'fail-if': '# none' }, { sha: commits[3] }, { files })
    expect((await pull('worse', { 'fail-if': '# none' }, { files })).status).toBe(0)
  })
})

describe('a branch without baselines of its own, where that of the default branch can’t be had', () => {
  const into = async (left: string[] = [commits[2]]) => {
    const release = sha('release')
    github.commits.set(release, left).set(sha('head of 8'), [release])
    github.branches.set('release', release)
    github.addPull({ number: 8, base: { sha: release, ref: 'release' } })
    await push('good', RULE)
  }
  const state = async () => {
    const { status, outputs } = await pull('worse', RULE, {}, 8)
    return { status, state: outputs['baseline-state'] }
  }

  test('it is there', async () => {
    await into()
    expect(await state()).toEqual({ status: 1, state: 'ancestor' })
  })

  test('it has expired: no first run', async () => {
    await into()
    for (const one of github.artifacts) one.expired = true
    expect(await state()).toEqual({ status: 1, state: 'expired' })
  })

  test('the download is refused: no first run', async () => {
    await into()
    github.fault({ path: /\/zip$/, times: 99, status: 403 })
    expect(await state()).toEqual({ status: 1, state: 'forbidden' })
  })

  test('where it left is not known: no first run', async () => {
    await into()
    github.fault({ path: /compare\/[0-9a-f]*\.\.\./, times: 99, status: 422 })
    expect(await state()).toEqual({ status: 1, state: 'unreachable' })
  })

  test('the branch has nothing in common with it: a first run', async () => {
    await into([])
    expect(await state()).toEqual({ status: 0, state: 'first-run' })
  })

  test('the change alone has nothing in common with it: no first run', async () => {
    await into()
    github.commits.set(sha('head of 8'), [])
    expect(await state()).toEqual({ status: 1, state: 'unreachable' })
  })
})

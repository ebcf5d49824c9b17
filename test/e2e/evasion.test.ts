import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { writeSafetensors } from '../support/safetensors.ts'
import { eachInRepository, type Gated, nets, readReport, runGate, type Workspace } from './gate.ts'
import { type GitHubDouble, sha } from './github/double.ts'
import type { Job, JobOptions } from './github/job.ts'

const CONFIG = '.github/spectral-gate.yml'
const RULE = { 'fail-if': 'delta(alpha) > 0.2' }
const PULL: JobOptions = { event: 'pull_request', pull: 7 }
const FORK = { number: 7, head: { sha: sha('head of 7'), ref: 'topic', repository: 'fork/net' } }

let github: GitHubDouble
let commits: readonly [string, string, string, string]
eachInRepository(started => {
  ;({ github, commits } = started)
})

type Net = keyof typeof nets
const push = (net: Net, inputs = {}, options: Partial<JobOptions> = {}, workspace: Workspace = {}) =>
  runGate(github, net, inputs, { event: 'push', sha: commits[2], ...options }, {}, workspace)
const pull = (net: Net, inputs = {}, workspace: Workspace = {}, options: Partial<JobOptions> = {}) =>
  runGate(github, net, inputs, { ...PULL, ...options }, {}, workspace)
const comment = (issue = 7) => github.comments(issue).at(-1)?.body ?? ''
const decided = ({ status, outputs }: Gated) => ({ status, verdict: outputs.verdict })
const FAILED = { status: 1, verdict: 'failed' }
const PASSED = { status: 0, verdict: 'passed' }

describe('files of a fork beside a token that may write, by another event', () => {
  const workflow_run = {
    ...{ id: 900, run_attempt: 1, event: 'pull_request', head_sha: FORK.head.sha, head_branch: 'topic' },
    ...{ path: '.github/workflows/build.yml', head_repository: { full_name: 'fork/net' }, pull_requests: [] },
  }
  const repository = { default_branch: 'main' }

  test.each<[string, string, object, Record<string, string>]>([
    [
      'workflow_run, which names the pull request by the input',
      'workflow_run',
      { workflow_run },
      { 'pull-request': '7' },
    ],
    ['workflow_run of a fork’s run', 'workflow_run', { workflow_run }, {}],
    ['a schedule with the input', 'schedule', {}, { 'pull-request': '7' }],
    ['a comment in a discussion with the input', 'discussion_comment', {}, { 'pull-request': '7' }],
  ])('%s: refused', async (_, event, payload, inputs) => {
    github.addPull(FORK)
    const all = { ...inputs, baseline: 'none', 'fail-if': 'alpha > 9' }
    const options = { event, payload: { ...payload, repository } }
    const refused = await runGate(github, 'good', all, options)
    expect(refused.status).toBe(2)
    expect(refused.stdout).toContain('files of strangers beside a token that may write')
    const allowed = await runGate(github, 'good', { ...all, 'allow-unsafe-checkout': 'true' }, options)
    expect(decided(allowed)).toEqual(PASSED)
  })

  test('an entry of the merge queue, which somebody who may write put there: not', async () => {
    github.addPull(FORK)
    const merge_group = {
      ...{ head_sha: sha('queued'), head_ref: 'refs/heads/gh-readonly-queue/main/pr-7-x' },
      ...{ base_sha: commits[3], base_ref: 'refs/heads/main' },
    }
    const options = { event: 'merge_group', sha: merge_group.head_sha, ref: merge_group.head_ref }
    const all = { 'pull-request': '7', baseline: 'none', 'fail-if': 'alpha > 9' }
    const ended = await runGate(github, 'good', all, { ...options, payload: { merge_group, repository } })
    expect(decided(ended)).toEqual(PASSED)
  })

  test.each(['workflow_dispatch', 'repository_dispatch'])('%s is started by who may write: not', async event => {
    github.addPull(FORK)
    const all = { 'pull-request': '7', baseline: 'none', 'fail-if': 'alpha > 9' }
    expect(decided(await runGate(github, 'good', all, { event, payload: { repository } }))).toEqual(PASSED)
  })
})

test('a config file that lies in a submodule which the pull request brings does not count', async () => {
  const inputs = { config: 'ci/gate.yml' }
  await push('good', inputs, {}, { files: { 'ci/gate.yml': 'fail-if: delta(alpha) > 0.2\n' } })
  const prepare = ({ workspace }: Job) => {
    const git = (...words: string[]) => execFileSync('git', ['-C', workspace, ...words], { stdio: 'pipe' })
    git('init', '-q')
    mkdirSync(join(workspace, '.git/modules'))
    git('init', '-q', '--separate-git-dir', '.git/modules/ci', 'ci')
    git('--git-dir=.git/modules/ci', 'config', 'remote.origin.url', 'https://gate.localhost/evil/ci')
  }
  const ended = await pull('worse', inputs, { files: { 'ci/gate.yml': 'enforce: false\n' }, prepare })
  expect(decided(ended)).toEqual(FAILED)
  expect(comment()).toContain('**This pull request changes the gate.**')
})

describe('a checkout of the fork itself is one of the repository that it is merged into', () => {
  const prepare = ({ workspace }: Job) => {
    execFileSync('git', ['-C', workspace, 'init', '-q'])
    execFileSync('git', ['-C', workspace, 'config', 'remote.origin.url', 'https://gate.localhost/fork/net'])
  }
  beforeEach(() => {
    github.addPull(FORK)
  })

  test('its config file does not count', async () => {
    const inputs = { config: 'ci/gate.yml' }
    await push('good', inputs, {}, { files: { 'ci/gate.yml': 'fail-if: delta(alpha) > 0.2\n' } })
    github.commitFiles(commits[3], { 'ci/gate.yml': 'fail-if: alpha > 2.5\n' })
    const ended = await pull('worse', inputs, { files: { 'ci/gate.yml': 'enforce: false\n' }, prepare })
    expect(decided(ended)).toEqual(FAILED)
    expect(readReport(ended).policy?.rules).toContainEqual({ level: 'fail', rule: 'alpha > 2.5' })
  })

  test('nor the baseline that it edits', async () => {
    const report = async (net: Net) => JSON.stringify(readReport(await push(net, { baseline: 'none' })))
    github.commitFiles(commits[3], { 'base.json': await report('good') })
    const files = { 'base.json': await report('worse') }
    expect(decided(await pull('worse', { ...RULE, baseline: 'base.json' }, { files, prepare }))).toEqual(FAILED)
  })
})

describe('a branch whose published report has laxer rules is no judge of another', () => {
  test('not where its name is like the ref of the pull request', async () => {
    await push('good', RULE)
    const inputs = { 'baseline-branch': 'refs/pull/7/merge' }
    github.branches.set('refs/pull/7/merge', commits[2])
    await push('worse', inputs, { ref: 'refs/heads/refs/pull/7/merge' })
    expect(decided(await pull('worse', inputs))).toEqual(FAILED)
  })

  test('nor where it is the default branch, and the pull request goes into a stricter one', async () => {
    await push('good', {})
    const release = sha('release')
    github.commits.set(release, [commits[2]]).set(sha('head of 8'), [release])
    github.branches.set('release', release)
    github.addPull({ number: 8, base: { sha: release, ref: 'release' } })
    await push('good', RULE, { sha: release, ref: 'refs/heads/release' })
    const ended = await pull('worse', { 'baseline-branch': 'main' }, {}, { pull: 8 })
    expect(decided(ended)).toEqual(FAILED)
    expect(comment(8)).toContain('| `baseline-branch` |')
  })
})

test.each<[string, Record<string, string>]>([
  ['a key', { 'baseline-key': 'mine' }],
  ['an artifact', { 'baseline-artifact': 'mine' }],
])('%s among the inputs does not take the place of the key in the config file', async (_, more) => {
  const files = { [CONFIG]: 'baseline-key: pinned\n' }
  await push('good', RULE, {}, { files })
  expect(decided(await pull('worse', more, { files }))).toEqual(FAILED)
})

test('a key in the config file outlasts another step and other names of models', async () => {
  const files = { [CONFIG]: 'baseline-key: pinned\n' }
  await push('good', RULE, {}, { files })
  const renamed = { checkpoint: 'other=net.safetensors' }
  expect(decided(await runGate(github, 'worse', renamed, PULL, { GITHUB_ACTION: 'x' }, { files }))).toEqual(FAILED)
})

test('a rule that is added does not switch off one that always holds', async () => {
  const unread = { ...nets.good, big: { dtype: 'F8_E8M0', shape: [400, 400], data: Buffer.alloc(160_000) } }
  const prepare = ({ workspace }: Job) =>
    copyFileSync(writeSafetensors(unread as never), join(workspace, 'net.safetensors'))
  await push('good', RULE)
  const inputs = { 'fail-if': `${RULE['fail-if']}\ncoverage < 0\nfailed > 999` }
  const plain = await pull('good', RULE, { prepare })
  expect(decided(plain)).toEqual({ status: 1, verdict: 'inconclusive' })
  expect(decided(await pull('good', inputs, { prepare }))).toEqual({ status: 1, verdict: 'inconclusive' })
})

describe('a link in the place of a folder, so that files beside it have its paths', () => {
  const link =
    (name: string) =>
    ({ workspace }: Job) => {
      mkdirSync(join(workspace, '.git'), { recursive: true })
      symlinkSync('.', join(workspace, name))
    }

  test('the base branch’s config file counts', async () => {
    github.commitFiles(commits[3], { 'conf/gate.yml': 'fail-if: alpha > 2.5\n' })
    const files = { 'gate.yml': 'enforce: false\n' }
    const ended = await pull('worse', { config: 'conf/gate.yml' }, { files, prepare: link('conf') })
    expect(decided(ended)).toEqual(FAILED)
  })

  test('the base branch’s baseline counts', async () => {
    github.commitFiles(commits[3], { 'models/base.safetensors': readFileSync(writeSafetensors(nets.good)) })
    const files = { 'base.safetensors': readFileSync(writeSafetensors(nets.worse)) }
    github.commitFiles(sha('head of 7'), files)
    const inputs = { ...RULE, baseline: 'models/base.safetensors' }
    expect(decided(await pull('worse', inputs, { files, prepare: link('models') }))).toEqual(FAILED)
  })
})

test('a baseline’s folder is the base branch’s down to its folders', async () => {
  const bytes = (net: Net) => readFileSync(writeSafetensors(nets[net]))
  const modules = JSON.stringify(['', '2_Dense'].map((path, idx) => ({ idx, path, type: 'x' })))
  const top = { 'base/model.safetensors': bytes('good'), 'base/modules.json': modules }
  const whole = { ...top, 'base/2_Dense/model.safetensors': bytes('good') }
  github.commitFiles(commits[3], whole)
  const inputs = { ...RULE, baseline: 'base' }
  const ended = await pull('good', inputs, { files: top })
  expect(decided(ended)).toEqual({ status: 1, verdict: 'inconclusive' })
  expect(ended.stdout).toContain('base/2_Dense/model.safetensors is not here, which that branch has')
})

describe('a baseline that the repository keeps in Git LFS', () => {
  const pointer = (bytes: Buffer) =>
    `version https://git-lfs.github.com/spec/v1\noid sha256:${createHash('sha256').update(bytes).digest('hex')}\nsize ${bytes.length}\n`
  const bytesOf = (net: Net) => readFileSync(writeSafetensors(nets[net]))
  const inputs = { ...RULE, baseline: 'base.safetensors' }

  test('is the checked-out file, where that is what the base branch points to', async () => {
    github.commitFiles(commits[3], { 'base.safetensors': pointer(bytesOf('good')) })
    const files = { 'base.safetensors': bytesOf('good') }
    expect(decided(await pull('good', inputs, { files }))).toEqual(PASSED)
    expect(decided(await pull('worse', inputs, { files }))).toEqual(FAILED)
  })

  test('is not the file that the pull request points to', async () => {
    github.commitFiles(commits[3], { 'base.safetensors': pointer(bytesOf('good')) })
    const ended = await pull('worse', inputs, { files: { 'base.safetensors': bytesOf('worse') } })
    expect(decided(ended)).toEqual({ status: 1, verdict: 'inconclusive' })
    expect(comment()).toMatch(/base\.safetensors.*Git LFS/)
  })
})

test('a baseline that the pull request brings is not compared with, whatever git makes of its bytes', async () => {
  const worse = JSON.stringify(readReport(await runGate(github, 'worse', { baseline: 'none' }, { event: 'schedule' })))
  const prepare = ({ workspace }: Job) => {
    const git = (...words: string[]) =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.c', '-C', workspace, ...words], { stdio: 'pipe' })
    git('init', '-q')
    git('add', 'base.json', '.gitattributes')
    git('commit', '-q', '-m', 'head')
  }
  const text = worse.replaceAll(',"models"', ',\n"models"')
  github.commitFiles(sha('head of 7'), { 'base.json': text })
  const files = { 'base.json': text.replaceAll('\n', '\r\n'), '.gitattributes': '*.json text eol=crlf\n' }
  const ended = await pull('worse', { ...RULE, baseline: 'base.json' }, { files, prepare })
  expect(readReport(ended)).toMatchObject({ baseline: { state: 'first-run' }, verdict: { status: 'inconclusive' } })
})

test('a rule that is longer than a report can hold is refused: the baseline would be damaged', async () => {
  const rule = (spaces: number) => ({ 'fail-if': `delta(alpha)${' '.repeat(spaces)}> 0.2` })
  const refused = await push('good', rule(1500))
  expect(refused.status).toBe(2)
  expect(refused.stdout).toContain('fail-if: a rule has 1517 characters, more than 1024.')
  await push('good', rule(1000))
  expect(decided(await pull('worse'))).toEqual(FAILED)
})

describe('a config file of the base branch that no gate can use', () => {
  test.each(['fail-if: alpha >> 6\n', 'baseline-max-age: soon\n', 'min-evals: 20\nmax-evals: 10\n'])(
    '%j: a pull request can mend it',
    async broken => {
      github.commitFiles(commits[3], { [CONFIG]: broken })
      const ended = await pull('good', { baseline: 'none' }, { files: { [CONFIG]: 'fail-if: alpha > 99\n' } })
      expect(decided(ended)).toEqual(PASSED)
      expect(comment()).toMatch(/^> The config file of the base branch, .*can't be read: /m)
    },
  )

  test('but one that only the inputs of the pull request make unusable still counts', async () => {
    github.commitFiles(commits[3], { [CONFIG]: 'fail-if: alpha > 2.5\nmax-evals: 100\n' })
    const inputs = { baseline: 'none', 'min-evals': '999' }
    expect((await pull('worse', inputs, { files: { [CONFIG]: 'fail-if: alpha > 99\n' } })).status).toBe(2)
  })
})

describe('an acceptance', () => {
  const LABEL = 'accepted'
  const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString()
  const happened = (event: string, minutes: number) => {
    const label = event.endsWith('labeled') ? { label: { name: LABEL, color: 'f00' } } : {}
    const actor = { login: 'maintainer', type: 'User' }
    github.events.push({ issue: 7, event: { event, actor, created_at: ago(minutes), ...label } })
  }
  const inputs = { 'fail-if': 'alpha > 2.5', 'accept-label': LABEL }
  beforeEach(async () => {
    github.collaborators.set('maintainer', 'write')
    const { workflowRun } = github.job(PULL)
    workflowRun.created = ago(10)
    await push('good', inputs)
  })

  test('of before the pull request went into another branch does not count', async () => {
    happened('labeled', 5)
    happened('base_ref_changed', 4)
    const ended = await pull('worse', inputs)
    expect(decided(ended)).toEqual(FAILED)
    expect(comment()).toMatch(/set it before the base branch changed/)
  })

  const queue = (number: number, upon = commits[3]) => {
    const merge_group = {
      ...{ head_sha: sha('queued'), base_sha: upon, base_ref: 'refs/heads/main' },
      head_ref: `refs/heads/gh-readonly-queue/main/pr-${number}-${upon}`,
    }
    github.commits.set(merge_group.head_sha, [upon, sha(`head of ${number}`)])
    const payload = { merge_group, repository: { default_branch: 'main' } }
    return runGate(github, 'worse', inputs, {
      ...{ event: 'merge_group', sha: merge_group.head_sha, ref: merge_group.head_ref, payload },
    })
  }

  test('of the pull request holds for its entry in the merge queue', async () => {
    happened('labeled', 5)
    expect(decided(await queue(7))).toEqual({ status: 0, verdict: 'accepted' })
  })

  test('of another pull request does not', async () => {
    github.addPull({ number: 8 })
    happened('labeled', 5)
    expect(decided(await queue(8))).toEqual(FAILED)
  })

  test('does not hold for an entry upon others, which have none', async () => {
    const before = sha('queued before')
    github.commits.set(before, [commits[3], sha('head of 8')])
    happened('labeled', 5)
    const ended = await queue(7, before)
    expect(decided(ended)).toEqual(FAILED)
    expect(readReport(ended).verdict?.refused?.reason).toContain('put upon others')
  })
})

test('parts of another state dict than the base branch’s leave the gate undecided', async () => {
  const ONE = JSON.stringify({ 'job-index': 0, 'job-total': 1 })
  const part = (options: JobOptions, inputs = {}) =>
    runGate(github, 'good', { mode: 'part', strategy: ONE, ...inputs }, options, { GITHUB_JOB: 'train' })
  const merge = (options: JobOptions) =>
    runGate(github, 'good', { mode: 'merge', checkpoint: '', 'fail-if': 'alpha > 99' }, options, { GITHUB_JOB: 'gate' })
  const main = { event: 'push', sha: commits[2], runId: 5001 }
  await part(main)
  expect(decided(await merge(main))).toEqual(PASSED)
  const same = { ...PULL, runId: 5002 }
  await part(same)
  expect(decided(await merge(same))).toEqual(PASSED)
  const other = { ...PULL, runId: 5003 }
  await part(other, { 'state-dict': 'ema' })
  const merged = await merge(other)
  expect(decided(merged)).toEqual({ status: 1, verdict: 'inconclusive' })
  expect(readReport(merged).gate_change?.changes).toEqual([{ option: 'state-dict', old: '', new: 'ema' }])
})

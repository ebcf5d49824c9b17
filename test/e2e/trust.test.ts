import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { message, model, number, tensor } from '../checkpoint/onnx/build.ts'
import { safetensorsBytes, writeSafetensors } from '../support/safetensors.ts'
import { eachInRepository, type Gated, nets, readReport, runGate, type Workspace } from './gate.ts'
import { type GitHubDouble, sha } from './github/double.ts'
import type { JobOptions } from './github/job.ts'

const CONFIG = '.github/spectral-gate.yml'
const RULE = 'fail-if: delta(alpha) > 0.2\n'
const PULL: JobOptions = { event: 'pull_request', pull: 7 }
const MERGE_GROUP = {
  head_sha: sha('queued'),
  head_ref: 'refs/heads/gh-readonly-queue/main/pr-9-x',
  base_sha: sha('another group'),
  base_ref: 'refs/heads/main',
}

let github: GitHubDouble
let commits: readonly [string, string, string, string]
eachInRepository(started => {
  ;({ github, commits } = started)
})

type Net = keyof typeof nets
const push = (net: Net, inputs = {}, files: Workspace['files'] = {}, options: Partial<JobOptions> = {}) =>
  runGate(github, net, inputs, { event: 'push', sha: commits[2], ...options }, {}, { files })
const pull = (net: Net, inputs = {}, files: Workspace['files'] = {}, options: JobOptions = PULL) =>
  runGate(github, net, inputs, options, {}, { files })
const comment = (issue = 7) => github.comments(issue).at(-1)?.body ?? ''
const decided = ({ status, outputs }: Gated) => ({ status, verdict: outputs.verdict })
const FAILED = { status: 1, verdict: 'failed' }

describe('a pull request that changes the config file is judged by that of its base branch', () => {
  const changes: [string, string | undefined, string][] = [
    ['deletes it', undefined, 'fail-if'],
    ['does not enforce it', `${RULE}enforce: false\n`, 'enforce'],
    ['raises a threshold', 'fail-if: delta(alpha) > 9\n', 'fail-if'],
    ['compares the checkpoint with itself', `${RULE}baseline: net.safetensors\n`, 'baseline'],
    ['says nothing and has no rule', 'comment: never\n', 'fail-if'],
    ['leaves the layer out that got worse', `${RULE}exclude: a*\nfail-on-inconclusive: false\n`, 'exclude'],
    ['leaves all layers out', `${RULE}min-evals: 14000\nfail-on-inconclusive: false\n`, 'min-evals'],
    ['has no baseline', `${RULE}baseline: none\nfail-on-inconclusive: false\n`, 'baseline'],
    ['compares with another branch', `${RULE}baseline-branch: topic\n`, 'baseline-branch'],
    ['makes it a first run', `${RULE}baseline-key: mine\n`, 'baseline-key'],
    ['compares with another workflow', `${RULE}baseline-workflow: x.yml\n`, 'baseline-workflow'],
    ['compares with another artifact', `${RULE}baseline-artifact: x\n`, 'baseline-artifact'],
    ['accepts by a label that is there', `${RULE}accept-label: bug\n`, 'accept-label'],
    ['lets a missing checkpoint pass', `${RULE}missing-checkpoint: inconclusive\n`, 'missing-checkpoint'],
  ]
  test.each(changes)('%s', async (_, config, option) => {
    await push('good', {}, { [CONFIG]: RULE })
    const ended = await pull('worse', {}, config === undefined ? {} : { [CONFIG]: config })
    expect(decided(ended)).toEqual(FAILED)
    expect(comment()).toMatch(/^### ❌ Failed: `delta\(alpha\) > 0\.2` is true: \+1\.162/)
    expect(comment()).toContain('**This pull request changes the gate.**')
    expect(comment()).toContain(`| \`${option}\` |`)
    expect(readReport(ended).gate_change?.changes.map(change => change.option)).toContain(option)
  })

  test.each(changes.slice(1))('%s, where the workflow sets the rules', async (_, config) => {
    const inputs = { 'fail-if': 'delta(alpha) > 0.2' }
    await push('good', inputs)
    expect(decided(await pull('worse', inputs, { [CONFIG]: config! }))).toEqual(FAILED)
  })

  test('what the proposed gate would have said is told', async () => {
    await push('good', {}, { [CONFIG]: RULE })
    const ended = await pull('worse', {}, { [CONFIG]: 'fail-if: delta(alpha) > 9\n' })
    expect(comment()).toContain('The proposed gate would say ⚠️ warned, and the job would go on.')
    expect(readReport(ended).gate_change?.proposed).toEqual({ status: 'warned', fails_job: false })
    const tighter = await pull('good', {}, { [CONFIG]: 'fail-if: alpha > 1\n' })
    expect(decided(tighter)).toEqual({ status: 0, verdict: 'passed' })
    expect(readReport(tighter).gate_change?.proposed).toEqual({ status: 'failed', fails_job: true })
    const other = await pull('good', {}, { [CONFIG]: `${RULE}exclude: b*\nwarn-if: layers < 2\n` })
    expect(readReport(other).gate_change?.proposed).toEqual({ status: 'inconclusive', fails_job: true })
  })

  test('in a merge group, too', async () => {
    await push('good', {}, { [CONFIG]: RULE })
    github.commits.set(MERGE_GROUP.head_sha, [commits[3]])
    const payload = { merge_group: MERGE_GROUP, repository: { default_branch: 'main' } }
    const options = { event: 'merge_group', sha: MERGE_GROUP.head_sha, ref: MERGE_GROUP.head_ref, payload }
    expect(decided(await pull('worse', {}, { [CONFIG]: 'enforce: false\n' }, options))).toEqual(FAILED)
  })

  test('once merged, what a merge group published is the gate: where nothing else publishes, too', async () => {
    await push('good', {}, { [CONFIG]: RULE })
    const loose = { [CONFIG]: 'fail-if: delta(alpha) > 9\n' }
    github.commits.set(MERGE_GROUP.head_sha, [commits[3]])
    github.commitFiles(MERGE_GROUP.head_sha, loose)
    const payload = { merge_group: { ...MERGE_GROUP, base_sha: commits[3] }, repository: { default_branch: 'main' } }
    const options = { event: 'merge_group', sha: MERGE_GROUP.head_sha, ref: MERGE_GROUP.head_ref, payload }
    expect(decided(await pull('good', {}, loose, options)).status).toBe(0)
    github.branches.set('main', MERGE_GROUP.head_sha)
    github.commits.set(sha('head of 7'), [MERGE_GROUP.head_sha])
    github.addPull({ number: 7, base: { sha: MERGE_GROUP.head_sha, ref: 'main' } })
    expect(decided(await pull('worse', {}, loose))).toEqual({ status: 0, verdict: 'warned' })
    expect(comment()).not.toContain('changes the gate')
  })

  test('once merged, the file counts, though no run of the branch has published since', async () => {
    await push('good', {}, { [CONFIG]: RULE })
    const loose = { [CONFIG]: 'fail-if: delta(alpha) > 9\n' }
    github.commitFiles(commits[3], loose)
    expect(decided(await pull('worse', {}, loose))).toEqual({ status: 0, verdict: 'warned' })
    expect(comment()).not.toContain('changes the gate')
    // An input goes over the file: what the file had holds.
    expect(decided(await pull('worse', { 'fail-if': 'alpha > 99' }, loose))).toEqual(FAILED)
  })

  test('once merged, the change counts', async () => {
    await push('good', {}, { [CONFIG]: RULE })
    const merged = await push('worse', {}, { [CONFIG]: 'fail-if: delta(alpha) > 9\n' }, { sha: commits[3] })
    expect(decided(merged)).toEqual({ status: 0, verdict: 'warned' })
    github.commits.set(sha('head of 7'), [commits[3]])
    const ended = await pull('good', {}, { [CONFIG]: 'fail-if: delta(alpha) > 9\n' })
    expect(decided(ended)).toEqual({ status: 0, verdict: 'warned' })
    expect(comment()).not.toContain('changes the gate')
  })

  test('the file of another name, in a checkout with a path, is found in the repository', async () => {
    const file = { 'repo/.github/gate.yml': RULE }
    const git = (folder: string) => execFileSync('git', ['init', '-q', join(folder, 'repo')], { stdio: 'pipe' })
    github.commitFiles(commits[3], { '.github/gate.yml': RULE })
    await push('good', { config: 'repo/.github/gate.yml' }, file)
    const ended = await runGate(
      github,
      'worse',
      { config: 'repo/.github/gate.yml' },
      PULL,
      {},
      {
        files: { 'repo/.github/gate.yml': 'enforce: false\n' },
        prepare: job => git(job.workspace),
      },
    )
    expect(decided(ended)).toEqual(FAILED)
  })
})

describe('where the base branch has no config file, or can’t be read', () => {
  test('the first one counts, and the comment says that it is introduced', async () => {
    const ended = await pull('worse', { baseline: 'none' }, { [CONFIG]: 'fail-if: alpha > 2.5\n' })
    expect(decided(ended)).toEqual(FAILED)
    expect(comment()).toContain('> The base branch has no config file: this pull request introduces it.')
    expect(readReport(ended).gate_change).toMatchObject({ introduced: true, changes: [] })
  })

  test('but not what loosens rules of the workflow', async () => {
    const inputs = { 'fail-if': 'alpha > 2.5', baseline: 'none' }
    expect(decided(await pull('worse', inputs, { [CONFIG]: 'enforce: false\n' }))).toEqual(FAILED)
  })

  test.each([403, 500])('%i: that is said, and options that loosen are ignored', async status => {
    github.fault({ path: '/contents/', status, times: 9, body: { message: 'Sorry' } })
    const inputs = { 'fail-if': 'alpha > 2.5', baseline: 'none' }
    expect(decided(await pull('worse', inputs, { [CONFIG]: 'enforce: false\n' }))).toEqual(FAILED)
    expect(comment()).toMatch(/^> The config file of the base branch, .*can't be read: .*Sorry/m)
    expect(comment()).toContain('Options that can let something pass are ignored.')
  })

  test('a branch that is not there is not one without a file', async () => {
    github.branches.delete('main')
    const inputs = { 'fail-if': 'alpha > 2.5', baseline: 'none' }
    expect(decided(await pull('worse', inputs, { [CONFIG]: 'enforce: false\n' }))).toEqual(FAILED)
    expect(comment()).toContain("can't be read")
  })
})

describe('inputs of the workflow that loosen what judged the base branch', () => {
  test.each<[string, Record<string, string>]>([
    ['a rule is gone', {}],
    ['a rule is looser', { 'fail-if': 'delta(alpha) > 5' }],
    ['a rule only warns', { 'warn-if': 'delta(alpha) > 0.2' }],
    ['it is not enforced', { 'fail-if': 'delta(alpha) > 0.2', enforce: 'false' }],
    ['a layer is left out', { 'fail-if': 'delta(alpha) > 0.2', exclude: 'a*', 'fail-on-inconclusive': 'false' }],
    ['there is no baseline', { baseline: 'none', 'fail-on-inconclusive': 'false' }],
    ['the baseline has another key', { 'baseline-key': 'x' }],
    ['the baseline is another workflow’s', { 'baseline-workflow': 'x.yml' }],
    ['the baseline is of another branch', { 'baseline-branch': 'topic' }],
    ['no baseline is new enough', { 'baseline-max-age': '0.001h', 'fail-on-inconclusive': 'false' }],
  ])('%s: it is evaluated all the same, and said', async (_, inputs) => {
    await push('good', { 'fail-if': 'delta(alpha) > 0.2' })
    for (const artifact of github.artifacts) {
      if ('baseline-max-age' in inputs) artifact.created = '2020-01-01T00:00:00Z'
    }
    expect(decided(await pull('worse', inputs))).toEqual(FAILED)
    expect(comment()).toContain('**This pull request changes the gate.**')
  })

  test('another gate’s key, where the base branch’s config file has this one’s', async () => {
    const config = { [CONFIG]: 'baseline-key: k\n' }
    github.commitFiles(commits[3], config)
    await push('good', { 'fail-if': 'delta(alpha) > 0.2' }, config)
    await runGate(
      github,
      'worse',
      { 'baseline-key': 'other' },
      { event: 'push', sha: commits[2] },
      { GITHUB_JOB: 'nightly' },
      { files: config },
    )
    expect(decided(await pull('worse', { 'baseline-key': 'other' }, config))).toEqual(FAILED)
  })

  test('a stricter rule is no change', async () => {
    await push('good', { 'fail-if': 'delta(alpha) > 0.2' })
    const ended = await pull('good', { 'fail-if': 'delta(alpha) > 0.1' })
    expect(decided(ended)).toEqual({ status: 0, verdict: 'passed' })
    expect(readReport(ended).policy?.rules).toEqual([{ level: 'fail', rule: 'delta(alpha) > 0.1' }])
    expect(comment()).not.toContain('changes the gate')
  })
})

describe('numbers', () => {
  const inputs = { 'fail-if': 'alpha > 2.5\nany(alpha) > 3.5' }
  const forge = (ended: Gated) => {
    const report = readReport(ended)
    for (const layer of report.models[0]!.layers) layer.alpha = 2.01
    report.models[0]!.summary.alpha = 2.01
    const { comparison, ...rest } = report
    return JSON.stringify(rest)
  }
  const alphas = (ended: Gated) => readReport(ended).models[0]!.layers.map(({ alpha }) => alpha)

  test('of a forged report that the head’s config names are not taken over, nor published, nor handed on', async () => {
    await push('good', inputs)
    const honest = await pull('worse', inputs)
    expect(decided(honest)).toEqual(FAILED)
    const files = { [CONFIG]: 'baseline: forged.json\n', 'forged.json': forge(honest) }
    const forged = await pull('worse', inputs, files)
    expect(decided(forged)).toEqual(FAILED)
    expect(alphas(forged)).toEqual(alphas(honest))
    const merged = await push('worse', inputs, files, { sha: commits[3] })
    expect(alphas(merged)).toEqual(alphas(honest))
    github.addPull({ number: 8 })
    github.commits.set(sha('head of 8'), [commits[3]])
    const later = await pull('worse', inputs, {}, { ...PULL, pull: 8 })
    expect(alphas(later)).toEqual(alphas(honest))
  })

  test('of a committed report that the pull request edits: the base branch’s is compared with, and lends none', async () => {
    const committed = { baseline: 'baseline.json', 'fail-if': 'any(alpha) > 3.5\ndelta(alpha) > 0.2' }
    const good = await push('good', { baseline: 'none' })
    const text = JSON.stringify(readReport(good))
    github.commitFiles(commits[3], { 'baseline.json': text })
    const honest = await pull('worse', committed, { 'baseline.json': text })
    expect(decided(honest)).toEqual(FAILED)
    const edited = await pull('worse', committed, { 'baseline.json': forge(honest) })
    expect(decided(edited)).toEqual(FAILED)
    expect(alphas(edited)).toEqual(alphas(honest))
    expect(readReport(edited).comparison?.models[0]?.summary?.alpha).toMatchObject({
      base: readReport(good).models[0]!.summary.alpha,
    })
    const removed = await pull('worse', committed)
    expect(readReport(removed).comparison?.status).toBe('compared')
  })

  const weights = (net: Net) => readFileSync(writeSafetensors(nets[net]))

  test('of a folder are compared with as long as it is the base branch’s', async () => {
    const inputs = { baseline: 'base', 'fail-if': 'delta(alpha) > 0.2' }
    const base = { 'base/model.safetensors': weights('good'), 'base/config.json': '{}' }
    github.commitFiles(commits[3], base)
    expect(decided(await pull('good', inputs, base))).toEqual({ status: 0, verdict: 'passed' })
    expect(decided(await pull('worse', inputs, base))).toEqual(FAILED)
    for (const files of [
      { ...base, 'base/model.safetensors': weights('worse') },
      { 'base/model.safetensors': weights('good') },
    ]) {
      const { status, outputs, stdout } = await pull('worse', inputs, files)
      expect({ status, verdict: outputs.verdict }).not.toEqual({ status: 0, verdict: 'passed' })
      expect(stdout).toMatch(
        /base\/(?:model\.safetensors, which is read with it, is not that branch's|config\.json is not here)/,
      )
    }
  })

  test('of a base model that the change edits decide nothing', async () => {
    const inputs = { 'base-model': 'base', 'fail-if': 'any(alpha) > 99' }
    const zeros = { 'a.weight': { shape: [60, 40] }, 'b.weight': { shape: [24, 16, 3, 3] } }
    const base = { 'base/model.safetensors': readFileSync(writeSafetensors(zeros)) }
    const other = { 'base/model.safetensors': readFileSync(writeSafetensors({ ...zeros, c: { shape: [3] } })) }
    github.commitFiles(commits[3], base)
    await push('good', inputs, base)
    expect(decided(await pull('good', inputs, base))).toEqual({ status: 0, verdict: 'passed' })
    const edited = await pull('good', inputs, other)
    expect(decided(edited)).toEqual({ status: 1, verdict: 'inconclusive' })
    expect(readReport(edited).verdict?.rules).toContainEqual(
      expect.objectContaining({
        reason: expect.stringMatching(/its base-model base is .*: base\/model\.safetensors, which/),
      }),
    )
  })

  test('of a base model that a step fetched are what they are, unless DVC keeps another for the base branch', async () => {
    const zeros = { 'a.weight': { shape: [60, 40] }, 'b.weight': { shape: [24, 16, 3, 3] } }
    const bytes = readFileSync(writeSafetensors(zeros))
    const inputs = (path: string) => ({ 'base-model': path, 'fail-if': 'any(alpha) > 99' })
    for (const commit of commits.slice(2)) github.commitFiles(commit, { 'README.md': '' })
    for (const [path, files] of [
      ['base', { 'base/model.safetensors': bytes }],
      ['base.safetensors', { 'base.safetensors': bytes }],
    ] as const) {
      await push('good', inputs(path), files)
      expect(decided(await pull('good', inputs(path), files))).toEqual({ status: 0, verdict: 'passed' })
    }
    const pointer = `outs:\n- md5: ${'ab'.repeat(16)}\n  path: base.safetensors\n`
    github.commitFiles(commits[3], { 'base.safetensors.dvc': pointer })
    const files = { 'base.safetensors': bytes, 'base.safetensors.dvc': pointer }
    const other = await pull('good', inputs('base.safetensors'), files)
    expect(decided(other)).toEqual({ status: 1, verdict: 'inconclusive' })
    expect(
      readReport(other)
        .verdict?.rules.map(({ reason }) => reason)
        .join(),
    ).toMatch(/base-model .* is not known: it is kept by DVC/)
  })

  test('of a file with another beside it are compared with as long as both are the base branch’s', async () => {
    const entry = (key: string, value: string) => message(13, message(1, key), message(2, value))
    const stored = tensor('w', [60, 40], entry('location', 'base.data'), number(14, 1))
    const onnx = model(
      message(1, message(1, 'x'), message(1, 'w'), message(2, 'y'), message(4, 'MatMul')),
      message(5, stored),
    )
    const data = (scale: number) =>
      Buffer.from(Float32Array.from({ length: 2400 }, (_, i) => scale * Math.sin(i * i)).buffer)
    const inputs = { baseline: 'base.onnx', 'fail-if': 'delta(alpha) > 0.2' }
    github.commitFiles(commits[3], { 'base.onnx': onnx, 'base.data': data(1) })
    const same = await pull('good', inputs, { 'base.onnx': onnx, 'base.data': data(1) })
    expect(readReport(same).comparison?.status).toBe('compared')
    const edited = await pull('good', inputs, { 'base.onnx': onnx, 'base.data': data(2) })
    expect(readReport(edited)).toMatchObject({
      baseline: { state: 'unreachable' },
      verdict: { status: 'inconclusive' },
    })
    expect(edited.stdout).toMatch(/base\.data, which is read with it, is not that branch's/)
  })

  test('of a report that the pull request brings: it is not compared with it', async () => {
    const committed = { baseline: 'baseline.json', 'fail-if': 'delta(alpha) > 0.2' }
    const worse = JSON.stringify(
      readReport(await runGate(github, 'worse', { baseline: 'none' }, { event: 'schedule' })),
    )
    github.commitFiles(sha('head of 7'), { 'baseline.json': worse })
    const ended = await pull('worse', committed, { 'baseline.json': worse })
    expect(readReport(ended)).toMatchObject({ baseline: { state: 'first-run' }, verdict: { status: 'inconclusive' } })
    expect(comment()).toContain('this change brings it, and is not compared with it')
  })

  test('of a baseline that a step made are compared with, and lend none', async () => {
    const worse = JSON.stringify(
      readReport(await runGate(github, 'worse', { baseline: 'none' }, { event: 'schedule' })),
    )
    const ended = await pull(
      'worse',
      { baseline: 'made.json', 'fail-if': 'delta(alpha) > 0.2' },
      { 'made.json': worse },
    )
    expect(decided(ended)).toEqual({ status: 0, verdict: 'passed' })
    expect(readReport(ended).models[0]!.layers.map(({ reused }) => reused)).toEqual([undefined, undefined])
  })

  test('of what the search found are taken over', async () => {
    await push('good', inputs)
    expect(readReport(await pull('good', inputs)).models[0]!.layers.map(({ reused }) => reused)).toEqual([
      'baseline',
      'baseline',
    ])
  })
})

test('without a baseline that was looked for a relative rule is refused, and a first run is said to be one', async () => {
  const ended = await pull('good', { baseline: 'none', 'fail-if': 'delta(alpha) > 0.2' })
  expect(ended.status).toBe(2)
  expect(ended.outputs.verdict).toBeUndefined()
  expect(decided(await pull('good'))).toEqual({ status: 0, verdict: 'passed' })
  expect(comment()).toMatch(/^### ✅ Passed: first run, nothing to compare with yet; alpha 1\.988/)
})

describe('a token that may write beside files of a fork', () => {
  const N = { baseline: 'none', 'fail-if': 'alpha > 9' }
  const git = (folder: string, ...words: string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.c', '-C', folder, ...words], {
      encoding: 'utf8',
    }).trim()
  const commit = (folder: string, message: string) => {
    git(folder, 'commit', '-q', '--allow-empty', '-m', message)
    return git(folder, 'rev-parse', 'HEAD')
  }

  async function attempt(
    prepare: (workspace: string) => { head?: string; base?: string },
    inputs: Record<string, string> = {},
    event = 'pull_request_target',
  ) {
    github.addPull({ number: 7, head: { sha: sha('x'), ref: 'topic', repository: 'fork/net' } })
    github.commitFiles(sha('x'), { 'net.safetensors': safetensorsBytes(nets.good) })
    const first = github.job({ event: 'push' })
    const { head, base = commits[3] } = prepare(first.workspace)
    if (head) github.pulls.get(7)!.head.sha = head
    const options = { event, pull: 7, sha: base }
    return runGate(
      github,
      'good',
      { ...N, ...inputs },
      options,
      {},
      {
        prepare: job => execFileSync('cp', ['-r', `${first.workspace}/.`, job.workspace]),
      },
    )
  }
  const init = (folder: string) => {
    mkdirSync(folder, { recursive: true })
    git(folder, 'init', '-q', '-b', 'main')
  }

  test.each<[string, (workspace: string) => { head?: string; base?: string }]>([
    [
      'its head at the root',
      ws => {
        init(ws)
        return { head: commit(ws, 'head') }
      },
    ],
    [
      'its merge commit',
      ws => {
        init(ws)
        const base = commit(ws, 'base')
        git(ws, 'checkout', '-q', '-b', 't')
        const head = commit(ws, 'head')
        git(ws, 'checkout', '-q', 'main')
        git(ws, 'merge', '-q', '--no-ff', '-m', 'm', 't')
        return { head, base }
      },
    ],
    [
      'its head in a folder',
      ws => {
        init(join(ws, 'pr'))
        return { head: commit(join(ws, 'pr'), 'head') }
      },
    ],
    [
      'the base at the root, its head in a folder',
      ws => {
        init(ws)
        const base = commit(ws, 'base')
        init(join(ws, 'deep/er/pr'))
        return { head: commit(join(ws, 'deep/er/pr'), 'head'), base }
      },
    ],
    [
      'a head that has moved on',
      ws => {
        init(ws)
        const head = commit(ws, 'what the event saw')
        commit(ws, 'pushed later')
        return { head }
      },
    ],
    [
      'two commits on top',
      ws => {
        init(ws)
        const head = commit(ws, 'head')
        commit(ws, 'one')
        commit(ws, 'two')
        return { head }
      },
    ],
    [
      'its head rebased on the base',
      ws => {
        init(ws)
        const base = commit(ws, 'base')
        commit(ws, 'head, rebased')
        return { base }
      },
    ],
    [
      'its files over those of the base',
      ws => {
        init(ws)
        execFileSync('cp', ['package.json', join(ws, 'train.py')])
        git(ws, 'add', '.')
        const base = commit(ws, 'base')
        execFileSync('cp', ['README.md', join(ws, 'train.py')])
        return { base }
      },
    ],
    ['an archive of it, without git', () => ({ head: sha('head') })],
    [
      'a checkpoint that is none of the base commit',
      ws => {
        init(ws)
        return { base: commit(ws, 'base') }
      },
    ],
  ])('%s is refused', async (_, prepare) => {
    const refused = await attempt(prepare)
    expect(refused.status).toBe(2)
    expect(refused.stdout).toMatch(/files of strangers beside a token that may write[\s\S]*mode: comment/)
  })

  test('the base commit with its checkpoint is not, nor what is allowed', async () => {
    const withCheckpoint = (ws: string) => {
      init(ws)
      execFileSync('cp', [checkpoint, join(ws, 'net.safetensors')])
      git(ws, 'add', '.')
      return { base: commit(ws, 'base') }
    }
    const { job } = await push('good')
    const checkpoint = join(job.workspace, 'net.safetensors')
    expect((await attempt(withCheckpoint)).status).toBe(0)
    const outside = (ws: string) => {
      init(ws)
      return { base: commit(ws, 'base') }
    }
    expect((await attempt(outside, { checkpoint })).status).toBe(0)
    expect((await attempt(() => ({}), { 'allow-unsafe-checkout': 'true' })).status).toBe(0)
  })

  test('issue_comment with the input pull-request is the same', async () => {
    github.addPull({ number: 7, head: { sha: sha('x'), ref: 'topic', repository: 'fork/net' } })
    github.commitFiles(sha('x'), { 'net.safetensors': safetensorsBytes(nets.good) })
    const payload = { action: 'created', repository: { default_branch: 'main' } }
    const inputs = { ...N, 'pull-request': '7' }
    const refused = await runGate(github, 'good', inputs, { event: 'issue_comment', payload })
    expect(refused.status).toBe(2)
    expect(refused.stdout).toContain('files of strangers')
    expect(
      (
        await runGate(
          github,
          'good',
          { ...inputs, 'allow-unsafe-checkout': 'true' },
          { event: 'issue_comment', payload },
        )
      ).status,
    ).toBe(0)
    expect(comment()).toMatch(/^### ✅ Passed/)
  })
})

test('a run that pull-request names a pull request for is judged like one, comments, and publishes no baseline', async () => {
  github.addPull({ number: 7 })
  await push('good', {}, { [CONFIG]: RULE })
  github.commitFiles(commits[3], { [CONFIG]: RULE })
  const before = github.artifacts.length
  const inputs = { 'pull-request': '7' }
  const options = { event: 'workflow_dispatch', payload: { repository: { default_branch: 'main' } } }
  const ended = await runGate(github, 'worse', inputs, options, {}, { files: { [CONFIG]: 'enforce: false\n' } })
  expect(decided(ended)).toEqual(FAILED)
  expect(comment()).toMatch(/^### ❌ Failed/)
  expect(github.artifacts.slice(before).map(({ name }) => name)).toEqual(['spectral-gate'])
  expect((await runGate(github, 'good', { 'pull-request': 'x' }, options)).stdout).toContain('takes the number')
})

test('a tag that is called like the branch brings no baseline', async () => {
  const evil = sha('evil')
  github.commits.set(evil, [commits[2]])
  const { job } = await push('worse', {}, {}, { sha: evil })
  job.workflowRun.branch = 'main'
  const ended = await pull('worse', { 'fail-if': 'delta(alpha) > 0.2' })
  expect(ended.outputs['baseline-state']).toBe('first-run')
  expect(comment()).toContain('made of a commit that is not on the branch')
})

test('a folder that is made to look like a repository is none: git runs nothing of it', async () => {
  const files = {
    HEAD: 'ref: refs/heads/main\n',
    config: '[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tfsmonitor = "touch owned; false"\n',
    'objects/x': '',
    'refs/x': '',
  }
  const ended = await pull('good', { 'fail-if': 'alpha > 9', baseline: 'none' }, files)
  expect(ended.status).toBe(0)
  expect(() => execFileSync('ls', [join(ended.job.workspace, 'owned')], { stdio: 'pipe' })).toThrow()
})

test('a checkpoint that a fork has no credentials to fetch leaves its pull request undecided, and fails all others', async () => {
  const inputs = { 'missing-checkpoint': 'inconclusive-on-forks', 'fail-if': 'delta(alpha) > 0.2' }
  await push('good', inputs)
  const missing = { ...inputs, checkpoint: 'nothing.pt' }
  expect((await pull('good', missing)).status).toBe(2)
  github.addPull({ number: 7, head: { sha: sha('head of 7'), ref: 'topic', repository: 'fork/net' } })
  expect(decided(await pull('good', missing))).toEqual({ status: 0, verdict: 'inconclusive' })
  // Neither is stricter than the other: what the base branch has holds until the change is merged.
  expect(decided(await pull('good', { ...missing, 'missing-checkpoint': 'inconclusive' }))).toEqual({
    ...{ status: 0, verdict: 'inconclusive' },
  })
})

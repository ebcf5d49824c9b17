import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { safetensorsBytes } from '../support/safetensors.ts'
import { type Gated, nets, readReport, runGate, startRepository, type Workspace } from './gate.ts'
import { type GitHubDouble, Link, sha } from './github/double.ts'
import type { Job, JobOptions } from './github/job.ts'

const PULL: JobOptions = { event: 'pull_request', pull: 7 }
const PASSED = { status: 0, verdict: 'passed' }
const FAILED = { status: 1, verdict: 'failed' }
const UNDECIDED = { status: 1, verdict: 'inconclusive' }
const WORKFLOW = '.github/workflows/gate.yml'
const RULES = { 'fail-if': 'alpha > 2.5' }

let github: GitHubDouble
let commits: readonly [string, string, string, string]
beforeEach(async () => {
  ;({ github, commits } = await startRepository())
})
afterEach(async () => {
  expect(github.problems).toEqual([])
  await github.stop()
})

type Net = keyof typeof nets
type Tree = Record<string, string | Buffer | Link>
const bytesOf = (net: Net) => safetensorsBytes(nets[net])
const decided = ({ status, outputs }: Gated) => ({ status, verdict: outputs.verdict })
const comment = () => github.comments(7).at(-1)?.body ?? ''

/** Commits files on the base branch and at the head, and runs a pull request of the worse model with those of the head. */
async function gate(base: Tree, head: Tree, inputs: Record<string, string>, { files, prepare }: Workspace = {}) {
  github.commitFiles(commits[3], base)
  github.commitFiles(sha('head of 7'), head)
  const plain = Object.entries(head).filter(([, file]) => !(file instanceof Link)) as [string, string | Buffer][]
  const all = { 'fail-if': 'delta(alpha) > 0.2', ...inputs }
  const workspace: Workspace = {
    files: { ...Object.fromEntries(plain), ...files },
    prepare(job) {
      for (const [name, file] of Object.entries(head)) if (file instanceof Link) link(job, name, file.target)
      prepare?.(job)
    },
  }
  return runGate(github, 'worse', all, PULL, {}, workspace)
}

function link({ workspace }: Job, name: string, target: string) {
  mkdirSync(dirname(join(workspace, name)), { recursive: true })
  symlinkSync(target, join(workspace, name))
}

const git = (folder: string, ...words: string[]) =>
  execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.c', '-C', folder, ...words], { stdio: 'pipe' })

function submodule({ workspace }: Job, name: string, url: string) {
  git(workspace, 'init', '-q')
  mkdirSync(join(workspace, '.git/modules'), { recursive: true })
  git(workspace, 'init', '-q', '--separate-git-dir', `.git/modules/${name}`, name)
  git(workspace, `--git-dir=.git/modules/${name}`, 'config', 'remote.origin.url', url)
}

describe('a link that the repository has on the way', () => {
  const base = { latest: new Link('v1'), 'v1/base.safetensors': bytesOf('good') }
  const evil = { ...base, 'v0/base.safetensors': bytesOf('worse') }

  test.each(['latest/base.safetensors', 'latest'])('is followed to the baseline %s', async baseline => {
    const named = Object.fromEntries(
      Object.entries(base).map(([name, file]) => [name.replace('v1/base', 'v1/model'), file]),
    )
    const tree = baseline === 'latest' ? named : base
    expect(decided(await gate(tree, tree, { baseline }))).toEqual(FAILED)
    const edited = Object.fromEntries(
      Object.entries(tree).map(([name, file]) => [name, name.startsWith('v1/') ? bytesOf('worse') : file]),
    )
    expect(decided(await gate(tree, edited, { baseline }))).toEqual(baseline === 'latest' ? UNDECIDED : FAILED)
  })

  test('is not followed where the pull request turned it', async () => {
    const turned = { ...evil, latest: new Link('v0') }
    expect(decided(await gate(base, turned, { baseline: 'latest/base.safetensors' }))).toEqual(UNDECIDED)
    expect(comment()).toContain('the link latest, which is not that branch')
  })

  test('does not take the place of what the base branch has', async () => {
    const plain = { 'models/base.safetensors': bytesOf('good') }
    const moved = { models: new Link('evil'), 'evil/base.safetensors': bytesOf('worse') }
    expect(decided(await gate(plain, moved, { baseline: 'models/base.safetensors' }))).toEqual(FAILED)
    const folder = { 'models/model.safetensors': bytesOf('good') }
    const other = { models: new Link('evil'), 'evil/model.safetensors': bytesOf('worse') }
    expect(decided(await gate(folder, other, { baseline: 'models' }))).toEqual(UNDECIDED)
  })

  test('is followed to the config file', async () => {
    const before = { ml: new Link('conf'), 'conf/gate.yml': 'fail-if: alpha > 2.5\n' }
    const after = { ...before, 'conf/gate.yml': 'enforce: false\n' }
    expect(decided(await gate(before, after, { config: 'ml/gate.yml', 'fail-if': '' }))).toEqual(FAILED)
    const turned = { ...before, ml: new Link('mine'), 'mine/gate.yml': 'enforce: false\n' }
    const ended = await gate(before, turned, { config: 'ml/gate.yml', 'fail-if': '' })
    expect(decided(ended)).toEqual(UNDECIDED)
    expect(ended.stdout).toContain('the link ml, which is not that branch')
  })

  test('is a step’s where neither side has it', async () => {
    const prepare = (job: Job) => link(job, 'found.safetensors', 'cache/blob')
    const files = { 'cache/blob': bytesOf('good') }
    expect(decided(await gate({ a: '' }, { a: '' }, { baseline: 'found.safetensors' }, { files, prepare }))).toEqual(
      FAILED,
    )
  })
})

describe('another checkout', () => {
  const nested = (url: string) => (job: Job) => {
    git(job.workspace, 'init', '-q')
    git(join(job.workspace, 'models'), 'init', '-q')
    git(join(job.workspace, 'models'), 'config', 'remote.origin.url', url)
  }
  const file = { 'models/base.safetensors': bytesOf('good') }
  const folder = { 'models/model.safetensors': bytesOf('good') }
  const [worse, worseFolder] = [
    { 'models/base.safetensors': bytesOf('worse') },
    { 'models/model.safetensors': bytesOf('worse') },
  ]

  test.each(['https://gate.localhost/other/models', 'https://gate.localhost/octo/net'])(
    'of %s over what the base branch has is not compared with',
    async url => {
      const prepare = nested(url)
      expect(decided(await gate(file, {}, { baseline: 'models/base.safetensors' }, { files: worse, prepare }))).toEqual(
        UNDECIDED,
      )
      expect(decided(await gate(folder, {}, { baseline: 'models' }, { files: worseFolder, prepare }))).toEqual(
        UNDECIDED,
      )
      expect(comment()).toContain('another checkout lies in its place')
    },
  )

  test('in a place of its own is compared with', async () => {
    const prepare = nested('https://gate.localhost/other/models')
    const files = { 'models/base.safetensors': bytesOf('good'), 'models/model.safetensors': bytesOf('good') }
    expect(
      decided(await gate({ a: '' }, { a: '' }, { baseline: 'models/base.safetensors' }, { files, prepare })),
    ).toEqual(FAILED)
    expect(decided(await gate({ a: '' }, { a: '' }, { baseline: 'models' }, { files: folder, prepare }))).toEqual(
      FAILED,
    )
  })

  test('that is a submodule is not compared with', async () => {
    const prepare = (job: Job) => submodule(job, 'models', 'https://gate.localhost/octo/net')
    expect(decided(await gate(folder, {}, { baseline: 'models' }, { files: worseFolder, prepare }))).toEqual(UNDECIDED)
    expect(comment()).toContain('it lies in a submodule')
  })

  test('that is a worktree of the base branch is compared with', async () => {
    const prepare = ({ workspace }: Job) => {
      git(workspace, 'init', '-q', '-b', 'main')
      git(workspace, 'commit', '-q', '--allow-empty', '-m', 'x')
      git(workspace, 'worktree', 'add', '-q', 'base')
      writeFileSync(join(workspace, 'base/base.safetensors'), bytesOf('good'))
    }
    const tree = { 'base.safetensors': bytesOf('good') }
    expect(decided(await gate(tree, {}, { baseline: 'base/base.safetensors' }, { prepare }))).toEqual(FAILED)
  })

  test('over the config file does not count', async () => {
    const base = { 'models/gate.yml': 'fail-if: alpha > 2.5\n' }
    const prepare = nested('https://gate.localhost/other/models')
    const files = { 'models/gate.yml': 'enforce: false\n' }
    expect(decided(await gate(base, {}, { config: 'models/gate.yml', 'fail-if': '' }, { files, prepare }))).toEqual(
      FAILED,
    )
  })
})

describe('what lies beside a baseline', () => {
  const weights = { 'm/adapter.safetensors': bytesOf('good') }
  const config = { 'm/adapter_config.json': '{"r": 8, "lora_alpha": 16}\n' }
  const baseline = 'm/adapter.safetensors'

  test.each<[string, Tree]>([
    ['is not taken away', weights],
    ['is not edited', { ...weights, 'm/adapter_config.json': '{"r": 8, "lora_alpha": 800}' }],
  ])('%s', async (_, head) => {
    // A factor, for its config to be read.
    const lora = safetensorsBytes({
      'base_model.model.a.lora_A.weight': {
        shape: [8, 40],
        values: Array.from({ length: 320 }, (_, i) => Math.sin(i * i)),
      },
      'base_model.model.a.lora_B.weight': {
        shape: [60, 8],
        values: Array.from({ length: 480 }, (_, i) => Math.sin(i * i)),
      },
    })
    const base = { ...config, 'm/adapter.safetensors': lora }
    expect(decided(await gate(base, { ...head, 'm/adapter.safetensors': lora }, { baseline }))).toEqual(UNDECIDED)
  })

  test('may have other line ends', async () => {
    const tree = { 'm/model.safetensors': bytesOf('good'), 'm/config.json': '{\n"a": 1\n}\n' }
    const here = { ...tree, 'm/config.json': '{\r\n"a": 1\r\n}\r\n' }
    expect(decided(await gate(tree, tree, { baseline: 'm' }, { files: here }))).toEqual(FAILED)
  })

  test('may be what nobody reads', async () => {
    const tree = { 'm/model.safetensors': bytesOf('good'), 'm/README.md': 'x' }
    expect(decided(await gate(tree, { 'm/model.safetensors': bytesOf('good') }, { baseline: 'm' }))).toEqual(FAILED)
  })
})

describe('a baseline that the pull request brings', () => {
  const folder = { 'm/model.safetensors': bytesOf('worse'), 'm/config.json': '{}' }

  test('in a folder is not compared with', async () => {
    const ended = await gate({ a: '' }, folder, { baseline: 'm', 'fail-if': 'alpha > 99' })
    expect(decided(ended)).toEqual(PASSED)
    expect(readReport(ended).baseline?.state).toBe('first-run')
  })

  test.each<[string, Record<string, string | Buffer>]>([
    ['m', { 'm/model.safetensors': bytesOf('worse') }],
    ['m/base.safetensors', { 'm/base.safetensors': bytesOf('worse') }],
  ])('in the place of %s, which a step made, leaves the gate undecided', async (baseline, brought) => {
    const inputs = { baseline, 'fail-if': 'alpha > 99' }
    const made = Object.fromEntries(Object.keys(brought).map(name => [name, bytesOf('good')]))
    await runGate(github, 'good', inputs, { event: 'push', sha: commits[3] }, {}, { files: made })
    github.commitFiles(sha('head of 7'), brought)
    github.commitFiles(commits[3], { a: '' })
    const ended = await runGate(github, 'worse', inputs, PULL, {}, { files: brought })
    expect(decided(ended)).toEqual(UNDECIDED)
    expect(comment()).toContain(`this change brings the baseline ${baseline}`)
  })
})

describe('where the report of what judged the base branch can’t be read', () => {
  const base = { [WORKFLOW]: 'permissions: actions: read', 'base.safetensors': bytesOf('good') }
  const inputs = { baseline: 'base.safetensors', 'fail-if': 'any(alpha) > 99' }
  const forbidden = async (head: Tree, more = {}) => {
    await runGate(github, 'good', { ...inputs, ...RULES }, { event: 'push', sha: commits[2] }, {}, { files: base })
    delete github.permissions.actions
    return gate(base, head, { ...inputs, ...more })
  }

  test('a pull request that leaves the workflow as it is is judged', async () => {
    expect(decided(await forbidden(base, { 'fail-if': 'delta(alpha) > 0.2' }))).toEqual(FAILED)
    expect((await gate(base, base, inputs)).status).toBe(0)
  })

  test('one that edits it leaves the gate undecided', async () => {
    expect(decided(await forbidden({ ...base, [WORKFLOW]: 'permissions: {}' }))).toEqual(UNDECIDED)
    expect(comment()).toContain('this change edits the workflow')
  })

  test('one that brings it is judged', async () => {
    const { [WORKFLOW]: workflow, ...others } = base
    delete github.permissions.actions
    expect((await gate(others, { ...others, [WORKFLOW]: workflow }, inputs)).status).toBe(0)
  })
})

test('a config file outside of the repository is not the base branch’s', async () => {
  const prepare = (job: Job) => writeFileSync(join(dirname(job.workspace), 'rules.yml'), 'fail-if: alpha > 2.5\n')
  const push = { event: 'push', sha: commits[2] }
  await runGate(github, 'good', { config: '../rules.yml' }, push, {}, { prepare })
  const empty = { 'empty.yml': '# none\n' }
  expect(decided(await gate(empty, empty, { config: 'empty.yml', 'fail-if': '' }))).toEqual(FAILED)
})

describe('a base model', () => {
  const zeros = { 'a.weight': { shape: [60, 40] }, 'b.weight': { shape: [24, 16, 3, 3] } }
  const bytes = safetensorsBytes(zeros)
  const inputs = { 'base-model': 'base.safetensors', 'fail-if': 'any(alpha) > 99' }
  const push = () =>
    runGate(github, 'good', inputs, { event: 'push', sha: commits[2] }, {}, { files: { 'base.safetensors': bytes } })

  test('that the pull request brings decides nothing where a step’s did', async () => {
    await push()
    const ended = await gate({ a: '' }, { 'base.safetensors': bytes }, inputs)
    expect(decided(ended)).toEqual(UNDECIDED)
    expect(comment()).toContain('this change brings its base-model base.safetensors')
  })

  test('that the first pull request brings is subtracted', async () => {
    expect(decided(await gate({ a: '' }, { 'base.safetensors': bytes }, inputs)).status).toBe(0)
  })

  test('in the place of which a submodule lies decides nothing', async () => {
    const all = { ...inputs, 'base-model': 'm/base.safetensors' }
    const prepare = (job: Job) => submodule(job, 'm', 'https://gate.localhost/evil/m')
    const files = { 'm/base.safetensors': bytes }
    expect(decided(await gate({ 'm/base.safetensors': bytes }, {}, all, { files, prepare }))).toEqual(UNDECIDED)
  })

  test('that DVC keeps need not be there where parts are merged', async () => {
    const md5 = createHash('md5').update(bytes).digest('hex')
    const pointer = { 'base.safetensors.dvc': `outs:\n- md5: ${md5}\n  path: base.safetensors\n` }
    const part = { mode: 'part', strategy: JSON.stringify({ 'job-index': 0, 'job-total': 1 }), ...inputs }
    const merge = { mode: 'merge', checkpoint: '', ...inputs }
    const run = async (head: Record<string, string>, runId: number) => {
      github.commitFiles(commits[3], pointer)
      github.commitFiles(sha('head of 7'), head)
      const options = { ...PULL, runId }
      const files = { ...head, 'base.safetensors': bytes }
      await runGate(github, 'good', part, options, { GITHUB_JOB: 'train' }, { files })
      return runGate(github, 'good', merge, options, { GITHUB_JOB: 'gate' }, { files: head })
    }
    expect(decided(await run(pointer, 6001)).status).toBe(0)
    const edited = { 'base.safetensors.dvc': `outs:\n- md5: ${'ab'.repeat(16)}\n  path: base.safetensors\n` }
    expect(decided(await run(edited, 6002))).toEqual(UNDECIDED)
  })
})

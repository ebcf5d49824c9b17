import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { message, model, number, tensor } from '../checkpoint/onnx/build.ts'
import { temporaryFolder } from '../support/folder.ts'
import { safetensorsBytes } from '../support/safetensors.ts'
import { eachInRepository, type Gated, nets, readReport, runGate, type Workspace } from './gate.ts'
import { type GitHubDouble, Link, Submodule, sha } from './github/double.ts'
import type { Job, JobOptions } from './github/job.ts'

const PULL: JobOptions = { event: 'pull_request', pull: 7 }
const PASSED = { status: 0, verdict: 'passed' }
const FAILED = { status: 1, verdict: 'failed' }
const UNDECIDED = { status: 1, verdict: 'inconclusive' }
const WORKFLOW = '.github/workflows/gate.yml'
const RULES = { 'fail-if': 'alpha > 2.5' }

let github: GitHubDouble
let commits: readonly [string, string, string, string]
eachInRepository(started => {
  ;({ github, commits } = started)
})

type Net = keyof typeof nets
type Files = Record<string, string | Buffer>
type Tree = Record<string, string | Buffer | Link | Submodule>
const bytesOf = (net: Net) => safetensorsBytes(nets[net])
const decided = ({ status, outputs }: Gated) => ({ status, verdict: outputs.verdict })
const comment = () => github.comments(7).at(-1)?.body ?? ''

/** Commits files on the base branch and at the head, and runs a pull request of the worse model with those of the head. */
async function gate(base: Tree, head: Tree, inputs: Record<string, string>, { files, prepare }: Workspace = {}) {
  github.commitFiles(commits[3], base)
  github.commitFiles(sha('head of 7'), head)
  const plain = Object.entries(head).filter(([, file]) => typeof file === 'string' || Buffer.isBuffer(file))
  const all = { 'fail-if': 'delta(alpha) > 0.2', ...inputs }
  const workspace: Workspace = {
    files: { ...(Object.fromEntries(plain) as Record<string, string | Buffer>), ...files },
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

/** A checkout with these files in a folder of the workspace; its commit. */
function checkout({ workspace }: Job, name: string, url: string, files: Record<string, string | Buffer>): string {
  const folder = join(workspace, name)
  mkdirSync(folder, { recursive: true })
  git(folder, 'init', '-q')
  git(folder, 'config', 'remote.origin.url', url)
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), content)
  }
  git(folder, 'add', '-f', '.')
  git(folder, 'commit', '-q', '--allow-empty', '-m', 'x')
  return git(folder, 'rev-parse', 'HEAD').toString().trim()
}
const OWN = 'https://gate.localhost/octo/net'
const EVIL = 'https://gate.localhost/evil/net'

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
    expect(comment()).toContain('the link latest, which is not known to be that branch')
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
    expect(ended.stdout).toContain('the link ml, which is not known to be that branch')
  })

  test('is a step’s where neither side has it', async () => {
    const prepare = (job: Job) => link(job, 'found.safetensors', 'cache/blob')
    const files = { 'cache/blob': bytesOf('good') }
    expect(decided(await gate({ a: '' }, { a: '' }, { baseline: 'found.safetensors' }, { files, prepare }))).toEqual(
      FAILED,
    )
  })
})

describe('a link that the pull request puts in the place of what DVC keeps', () => {
  const kept = { 'models.dvc': `outs:\n- md5: ${'ab'.repeat(16)}.dir\n  path: models\n` }

  test.each<[string, string, Tree]>([
    ['a folder', 'models/base.safetensors', { models: new Link('evil'), 'evil/base.safetensors': bytesOf('worse') }],
    ['the baseline', 'models', { models: new Link('evil'), 'evil/model.safetensors': bytesOf('worse') }],
    [
      'a file of it',
      'models/base.safetensors',
      { 'models/base.safetensors': new Link('../evil.safetensors'), 'evil.safetensors': bytesOf('worse') },
    ],
  ])('is not followed: %s', async (_, baseline, links) => {
    for (const prepare of [() => {}, ({ workspace }: Job) => void git(workspace, 'init', '-q')])
      expect(decided(await gate(kept, { ...kept, ...links }, { baseline }, { prepare }))).toEqual(UNDECIDED)
    expect(comment()).toContain('it is reached through the link models')
  })
})

describe('a link that a checkout of another commit has', () => {
  const commit = (job: Job, folder: string, name: string, target: string, files: Record<string, string | Buffer>) => {
    link(job, join(folder, name), target)
    return checkout(job, folder, OWN, files)
  }

  test('is not followed to what DVC keeps a folder of', async () => {
    const kept = { 'models.dvc': `outs:\n- md5: ${'ab'.repeat(16)}.dir\n  path: models\n`, [WORKFLOW]: 'x' }
    const prepare = (job: Job) =>
      void commit(job, 'base', 'models', 'evil', { ...kept, 'evil/base.safetensors': bytesOf('worse') })
    const head = { ...kept, [WORKFLOW]: 'y' }
    expect(decided(await gate(kept, head, { baseline: 'base/models/base.safetensors' }, { prepare }))).toEqual(
      UNDECIDED,
    )
  })

  test('is not followed to another checkout', async () => {
    const tree = { 'models/base.safetensors': bytesOf('good'), [WORKFLOW]: 'x' }
    const prepare = (job: Job) => {
      commit(job, '', 'x/models', '../y', {})
      checkout(job, 'y', EVIL, { 'base.safetensors': bytesOf('worse') })
    }
    const head = { ...tree, [WORKFLOW]: 'y' }
    expect(decided(await gate(tree, head, { baseline: 'x/models/base.safetensors' }, { prepare }))).toEqual(UNDECIDED)
  })
})

describe('where no git tells where a checkout begins', () => {
  const inputs = { baseline: 'x/models/base.safetensors' }
  const file = { 'models/base.safetensors': bytesOf('good') }
  const here = (net: Net) => ({ files: { 'x/models/base.safetensors': bytesOf(net) } })

  test('a baseline of the base branch’s is compared with', async () => {
    expect(decided(await gate(file, file, inputs, here('good')))).toEqual(FAILED)
  })

  test('one that the pull request edits is the base branch’s', async () => {
    const head = { 'models/base.safetensors': bytesOf('worse') }
    expect(decided(await gate(file, head, inputs, here('worse')))).toEqual(FAILED)
    expect(comment()).not.toContain('inconclusive')
  })

  test('what the pull request edits may be there in other bytes, as archives have them', async () => {
    const head = { 'models/base.safetensors': '$Format:%H$' }
    expect(decided(await gate(file, head, inputs, here('worse')))).toEqual(UNDECIDED)
    expect(decided(await gate({ a: '' }, head, inputs, here('worse')))).toEqual(UNDECIDED)
  })

  test('a folder that the pull request calls as that is called here does not hide it', async () => {
    github.commitFiles(commits[3], file)
    github.commitFiles(sha('head of 7'), {
      'models/base.safetensors': bytesOf('worse'),
      'x/models/base.safetensors/a.txt': '',
    })
    const files = { ...here('worse').files, 'x/x/models/base.safetensors/a.txt': '' }
    const all = { 'fail-if': 'delta(alpha) > 0.2', ...inputs }
    expect(decided(await runGate(github, 'worse', all, PULL, {}, { files }))).toEqual(FAILED)
    expect(comment()).not.toContain('inconclusive')
  })

  test('a folder that a step made is its own, though the repository has one of its name', async () => {
    const tree = { 'model/net.py': 'x', 'README.md': 'x', 'setup.py': 'x', 'docs/a.md': 'x' }
    const files = { 'hub/model/model.safetensors': bytesOf('good') }
    expect(decided(await gate(tree, tree, { baseline: 'hub/model' }, { files }))).toEqual(FAILED)
  })

  test('one that DVC keeps is the base branch’s', async () => {
    const md5 = (net: Net) => createHash('md5').update(bytesOf(net)).digest('hex')
    const kept = (net: Net) => ({
      'models/base.safetensors.dvc': `outs:\n- md5: ${md5(net)}\n  path: base.safetensors\n`,
    })
    const pulled = (net: Net) => ({
      files: { ...here(net).files, 'x/models/base.safetensors.dvc': kept(net)['models/base.safetensors.dvc'] },
    })
    expect(decided(await gate(kept('good'), kept('good'), inputs, pulled('good')))).toEqual(FAILED)
    expect(decided(await gate(kept('good'), kept('worse'), inputs, pulled('worse')))).toEqual(UNDECIDED)
  })

  test('one that DVC keeps is not what the pull request commits', async () => {
    const md5 = createHash('md5').update(bytesOf('good')).digest('hex')
    const kept = { 'models/base.safetensors.dvc': `outs:\n- md5: ${md5}\n  path: base.safetensors\n` }
    const head = { ...kept, 'models/base.safetensors': bytesOf('worse') }
    expect(decided(await gate(kept, head, inputs, here('worse')))).toEqual(UNDECIDED)
  })

  test('nor does what the pull request leaves out of the archive, or a link to nothing', async () => {
    const top = Object.fromEntries(Array.from('abcdef', name => [name, '']))
    const edited = { 'models/base.safetensors': bytesOf('worse') }
    github.commitFiles(commits[3], { ...file, ...top })
    const all = { 'fail-if': 'delta(alpha) > 0.2', ...inputs }
    github.commitFiles(sha('head of 7'), { ...top, ...edited, '.gitattributes': '/* export-ignore\n' })
    expect(decided(await runGate(github, 'worse', all, PULL, {}, here('worse')))).toEqual(FAILED)
    const links = Object.fromEntries(Array.from('uvwxyz', name => [name, new Link('gone')]))
    github.commitFiles(sha('head of 7'), { ...links, ...edited })
    const prepare = (job: Job) => {
      for (const name of Object.keys(links)) link(job, `x/${name}`, 'gone')
    }
    expect(decided(await runGate(github, 'worse', all, PULL, {}, { ...here('worse'), prepare }))).toEqual(FAILED)
  })

  test('a folder that looks like the repository is a step’s where another looks more like it', async () => {
    const card = { '.gitattributes': '', 'README.md': '', 'config.json': '{}' }
    const tree = { ...card, 'train.py': '', 'net.safetensors': bytesOf('good') }
    const files = Object.fromEntries(Object.entries(card).map(([name, content]) => [`hub/${name}`, content]))
    const head = { ...tree, 'net.safetensors': bytesOf('worse') }
    const named = { baseline: 'hub/net.safetensors' }
    const all = { files: { ...files, 'hub/net.safetensors': bytesOf('good') } }
    expect(decided(await gate(tree, head, named, all))).toEqual(FAILED)
    expect(comment()).not.toContain('inconclusive')
  })

  test('one that a step made is compared with, though the repository has a file of its name', async () => {
    const tree = { 'base.safetensors': bytesOf('worse') }
    expect(decided(await gate(tree, tree, inputs, here('good')))).toEqual(FAILED)
  })
})

describe('a folder in the place of a link that the base branch has', () => {
  const base = {
    latest: new Link('v1'),
    'v1/base.safetensors': bytesOf('good'),
    'v1/model.safetensors': bytesOf('good'),
  }
  const head = { 'latest/base.safetensors': bytesOf('worse'), 'latest/model.safetensors': bytesOf('worse') }

  test.each(['latest/base.safetensors', 'latest'])('brings no baseline: %s', async baseline => {
    expect(decided(await gate(base, head, { baseline, 'fail-if': 'alpha > 99' }))).toEqual(UNDECIDED)
    expect(comment()).toContain('that branch has a link or a submodule at latest')
  })

  test('brings no config file', async () => {
    const before = { ml: new Link('conf'), 'conf/gate.yml': 'fail-if: alpha > 2.5\n' }
    const after = { 'ml/gate.yml': 'enforce: false\n', 'conf/gate.yml': 'fail-if: alpha > 2.5\n' }
    expect(decided(await gate(before, after, { config: 'ml/gate.yml', 'fail-if': '' }))).toEqual(UNDECIDED)
  })
})

describe('a path', () => {
  test('that leads back after a folder is refused, for that may be a link', async () => {
    const base = { 'models/x': '', 'v1/base.safetensors': bytesOf('good') }
    const evil = { ...base, 'evil/v1/base.safetensors': bytesOf('worse'), 'evil/deep/x': '' }
    const { status, stdout } = await gate(base, evil, { baseline: 'models/../v1/base.safetensors' })
    expect(status).toBe(2)
    expect(stdout).toContain('leads back (..) after a folder')
    expect(decided(await gate(base, evil, { baseline: './v1/base.safetensors' }))).toEqual(FAILED)
  })

  test('that begins with dots is one of the repository', async () => {
    const base = { '..models/base.safetensors': bytesOf('good') }
    const head = { '..models/base.safetensors': bytesOf('worse') }
    expect(decided(await gate(base, head, { baseline: '..models/base.safetensors' }))).toEqual(FAILED)
  })

  test.each(['', '/'])('below a workspace that the runner names by a link is one of the repository', async absolute => {
    const base = { 'base.safetensors': bytesOf('good'), 'ci/gate.yml': 'fail-if: delta(alpha) > 0.2\n' }
    const head = { 'base.safetensors': bytesOf('worse'), 'ci/gate.yml': 'enforce: false\n' }
    const inputs: Record<string, string> = { 'fail-if': '' }
    const prepare = (job: Job) => {
      const named = join(dirname(job.workspace), 'named')
      symlinkSync(job.workspace, named)
      job.env.GITHUB_WORKSPACE = named
      inputs.baseline = absolute ? join(named, 'base.safetensors') : 'base.safetensors'
      inputs.config = absolute ? join(named, 'ci/gate.yml') : 'ci/gate.yml'
    }
    github.commitFiles(commits[3], base)
    github.commitFiles(sha('head of 7'), head)
    expect(decided(await runGate(github, 'worse', inputs, PULL, {}, { files: head, prepare }))).toEqual(FAILED)
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

  test.each([
    ['as it was there', 'x', FAILED],
    ['another', 'y', UNDECIDED],
  ])('in the place of this repository’s, by a workflow that is %s', async (_, workflow, expected) => {
    const prepare = nested('https://gate.localhost/other/models')
    const base = { 'base.safetensors': bytesOf('good'), [WORKFLOW]: 'x' }
    const head = { 'base.safetensors': bytesOf('good'), [WORKFLOW]: workflow }
    const inputs = { baseline: 'models/base.safetensors' }
    expect(decided(await gate(base, head, inputs, { files: file, prepare }))).toEqual(expected)
  })

  test.each<[string, string, object, object]>([
    ['as it was there', 'x', FAILED, FAILED],
    ['another', 'y', UNDECIDED, FAILED],
  ])('without git, by a workflow that is %s', async (_, workflow, expected, byConfig) => {
    const [base, head] = ['x', workflow].map(text => ({
      ...file,
      'ci/gate.yml': 'fail-if: alpha > 2.5\n',
      [WORKFLOW]: text,
    }))
    const files = { 'x/models/base.safetensors': bytesOf('good'), 'x/ci/gate.yml': 'enforce: false\n' }
    expect(decided(await gate(base, head, { baseline: 'x/models/base.safetensors' }, { files }))).toEqual(expected)
    expect(decided(await gate(base, head, { config: 'x/ci/gate.yml', 'fail-if': '' }, { files }))).toEqual(byConfig)
  })

  test.each(['octo/net', 'evil/net'])('of %s over what DVC keeps is not compared with', async name => {
    const prepare = nested(`https://gate.localhost/${name}`)
    const md5 = createHash('md5').update(bytesOf('good')).digest('hex')
    const kept = { 'models/base.safetensors.dvc': `outs:\n- md5: ${md5}\n  path: base.safetensors\n` }
    expect(decided(await gate(kept, kept, { baseline: 'models/base.safetensors' }, { files: worse, prepare }))).toEqual(
      UNDECIDED,
    )
  })

  describe('further in or further out than this repository’s was, by another workflow', () => {
    const [base, head] = ['x', 'y'].map(text => ({
      ...file,
      'ci/gate.yml': 'fail-if: alpha > 2.5\n',
      [WORKFLOW]: text,
    }))

    test.each<[string, string, string]>([
      ['x/models', EVIL, 'base.safetensors'],
      ['', EVIL, 'x/models/base.safetensors'],
      ['x', EVIL, 'models/base.safetensors'],
      ['x/models', OWN, 'base.safetensors'],
    ])('%j of %s is not compared with', async (folder, url, name) => {
      const prepare = (job: Job) => void checkout(job, folder, url, { [name]: bytesOf('worse') })
      expect(decided(await gate(base, head, { baseline: 'x/models/base.safetensors' }, { prepare }))).toEqual(UNDECIDED)
    })

    test.each([
      ['x/ci', EVIL, 'gate.yml'],
      ['', EVIL, 'x/ci/gate.yml'],
      ['x/ci', OWN, 'gate.yml'],
    ])('%j of %s has no config file that counts', async (folder, url, name) => {
      const prepare = (job: Job) => void checkout(job, folder, url, { [name]: 'fail-if: alpha > 99\n' })
      expect(decided(await gate(base, head, { config: 'x/ci/gate.yml', 'fail-if': '' }, { prepare }))).toEqual(FAILED)
    })

    test('of what DVC keeps is not compared with', async () => {
      const kept = { 'models/base.safetensors.dvc': `outs:\n- md5: ${'ab'.repeat(16)}\n  path: base.safetensors\n` }
      const prepare = (job: Job) => void checkout(job, 'x', EVIL, { 'models/base.safetensors': bytesOf('worse') })
      const [base, head] = ['x', 'y'].map(text => ({ ...kept, [WORKFLOW]: text }))
      expect(decided(await gate(base, head, { baseline: 'x/models/base.safetensors' }, { prepare }))).toEqual(UNDECIDED)
    })
  })

  test('of this repository over the config file does not count', async () => {
    const base = { 'models/gate.yml': 'fail-if: alpha > 2.5\n' }
    const files = { 'models/gate.yml': 'fail-if: alpha > 99\n' }
    const prepare = nested('https://gate.localhost/octo/net')
    const inputs = { config: 'models/gate.yml', 'fail-if': '' }
    expect(decided(await gate(base, base, inputs, { files, prepare }))).toEqual(FAILED)
  })

  test('that is a submodule is not compared with', async () => {
    const prepare = (job: Job) => submodule(job, 'models', 'https://gate.localhost/octo/net')
    expect(decided(await gate(folder, {}, { baseline: 'models' }, { files: worseFolder, prepare }))).toEqual(UNDECIDED)
    expect(comment()).toContain('it lies in a submodule')
  })

  test('that is a submodule is compared with where nobody moves it', async () => {
    let commit = ''
    const prepare = (job: Job) => {
      submodule(job, 'models', 'https://huggingface.co/octo/models')
      git(join(job.workspace, 'models'), 'commit', '-q', '--allow-empty', '-m', 'x')
      commit = git(join(job.workspace, 'models'), 'rev-parse', 'HEAD').toString().trim()
    }
    const run = async (base: string | undefined, head: string | undefined) => {
      const files = { 'models/base.safetensors': bytesOf('good') }
      const later = (job: Job) => {
        prepare(job)
        github.commitFiles(commits[3], { models: new Submodule(base ?? commit) })
        for (const one of [sha('head of 7'), job.env.GITHUB_SHA!])
          github.commitFiles(one, { models: new Submodule(head ?? commit) })
      }
      return decided(await gate({}, {}, { baseline: 'models/base.safetensors' }, { files, prepare: later }))
    }
    const other = 'ab'.repeat(20)
    expect(await run(undefined, undefined)).toEqual(FAILED)
    expect(await run(other, undefined)).toEqual(UNDECIDED)
    expect(await run(undefined, other)).toEqual(UNDECIDED)
  })

  test('in the place of the whole workspace is not compared with', async () => {
    const prepare = ({ workspace }: Job) => {
      git(workspace, 'init', '-q')
      git(workspace, 'config', 'remote.origin.url', 'https://gate.localhost/evil/net')
    }
    expect(decided(await gate(file, {}, { baseline: 'models/base.safetensors' }, { files: worse, prepare }))).toEqual(
      UNDECIDED,
    )
    const config = { 'ci/gate.yml': 'fail-if: alpha > 2.5\n' }
    const files = { 'ci/gate.yml': 'enforce: false\n' }
    expect(decided(await gate(config, {}, { config: 'ci/gate.yml', 'fail-if': '' }, { files, prepare }))).toEqual(
      FAILED,
    )
  })

  test.each<[string, object, boolean, string]>([
    ['the base branch', FAILED, true, 'x'],
    ['the base branch, by another workflow than there', UNDECIDED, true, 'y'],
    ['another branch', UNDECIDED, false, 'x'],
  ])('of an earlier commit of %s', async (_, expected, isOfBase, workflow) => {
    const prepare = (job: Job) => {
      const commit = checkout(job, 'release', OWN, { 'base.safetensors': bytesOf('good') })
      if (isOfBase) github.commits.set(commits[1], [commit])
      github.commits.set(commit, [])
    }
    const now = { 'base.safetensors': bytesOf('worse'), [WORKFLOW]: 'x' }
    const head = { ...now, [WORKFLOW]: workflow }
    expect(decided(await gate(now, head, { baseline: 'release/base.safetensors' }, { prepare }))).toEqual(expected)
    const gone = { [WORKFLOW]: 'x' }
    const brought = { [WORKFLOW]: workflow }
    expect(decided(await gate(gone, brought, { baseline: 'release/base.safetensors' }, { prepare }))).toEqual(expected)
  })

  test('of an earlier commit of the base branch has what DVC kept there', async () => {
    const md5 = (net: Net) => createHash('md5').update(bytesOf(net)).digest('hex')
    const kept = (net: Net) => ({ 'base.safetensors.dvc': `outs:\n- md5: ${md5(net)}\n  path: base.safetensors\n` })
    const run = async (net: Net) => {
      const prepare = (job: Job) => {
        const commit = checkout(job, 'release', OWN, kept('good'))
        github.commits.set(commits[1], [commit])
        github.commits.set(commit, [])
        github.commitFiles(commit, kept('good'))
        writeFileSync(join(job.workspace, 'release/base.safetensors'), bytesOf(net))
      }
      const tree = { ...kept('worse'), [WORKFLOW]: 'x' }
      return decided(await gate(tree, tree, { baseline: 'release/base.safetensors' }, { prepare }))
    }
    expect(await run('good')).toEqual(FAILED)
    expect(await run('worse')).toEqual(UNDECIDED)
  })

  test('of a commit of the default branch, where the pull request goes into another', async () => {
    github.branches.set('feature', commits[1])
    Object.assign((github.pulls.get(7) ?? github.addPull({ number: 7 })).base, { ref: 'feature', sha: commits[1] })
    const tree = { 'base.safetensors': bytesOf('worse'), [WORKFLOW]: 'x' }
    github.commitFiles(commits[1], tree)
    const prepare = (job: Job) => {
      const commit = checkout(job, 'release', OWN, { 'base.safetensors': bytesOf('good') })
      github.commits.set(commit, [commits[3]])
      github.branches.set('main', commit)
    }
    expect(decided(await gate(tree, tree, { baseline: 'release/base.safetensors' }, { prepare }))).toEqual(FAILED)
  })

  test('of another host, called as this repository is', async () => {
    const url = 'https://huggingface.co/octo/net'
    const prepare = (job: Job) => void checkout(job, 'hub', url, { 'model.safetensors': bytesOf('good') })
    expect(decided(await gate({ a: '' }, { a: '' }, { baseline: 'hub' }, { prepare }))).toEqual(FAILED)
  })

  test('that is a copy on the runner’s disk is this repository’s', async () => {
    const prepare = (job: Job) => void checkout(job, '', '/mnt/mirror/other.git', file)
    expect(decided(await gate(file, file, { baseline: 'models/base.safetensors' }, { prepare }))).toEqual(FAILED)
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

describe('a workflow or an action that the workflow uses', () => {
  const used = '.github/workflows/inner.yml'
  const workflow = { [WORKFLOW]: `uses: ./${used}`, [used]: 'uses: "./ci/action/"', 'ci/action/action.yml': 'x' }
  const kept = { ...workflow, 'models/base.safetensors': bytesOf('good'), 'ci/action/run.sh': 'x' }

  test.each<[string, object]>([
    ['README.md', FAILED],
    [used, UNDECIDED],
    ['ci/action/run.sh', UNDECIDED],
  ])('may put another checkout in the place of this repository’s: %s is edited', async (name, expected) => {
    const files = { 'models/base.safetensors': bytesOf('good') }
    const prepare = (job: Job) => void checkout(job, 'x', EVIL, files)
    const inputs = { baseline: 'x/models/base.safetensors' }
    expect(decided(await gate(kept, { ...kept, [name]: 'y' }, inputs, { prepare }))).toEqual(expected)
  })

  test('may name a baseline that a step makes', async () => {
    const base = { ...workflow, 'ci/action/action.yml': 'baseline: m/base.safetensors' }
    const head = { ...base, 'm/base.safetensors': bytesOf('worse') }
    const inputs = { baseline: 'm/base.safetensors', 'fail-if': 'alpha > 99' }
    expect(decided(await gate(base, head, inputs))).toEqual(UNDECIDED)
    expect(decided(await gate(workflow, { ...workflow, 'm/base.safetensors': bytesOf('worse') }, inputs))).toEqual(
      PASSED,
    )
  })
})

test('a workflow that a ruleset requires of another repository is not looked for in this one', async () => {
  const inputs = { baseline: 'm/base.safetensors', 'fail-if': 'alpha > 99' }
  const env = { GITHUB_WORKFLOW_REF: 'org/ci/.github/workflows/required.yml@refs/heads/main' }
  const files = { 'm/base.safetensors': bytesOf('worse') }
  github.commitFiles(commits[3], { a: '' })
  github.commitFiles(sha('head of 7'), files)
  expect(decided(await runGate(github, 'worse', inputs, PULL, env, { files }))).toEqual(UNDECIDED)
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

  test.each(['README.md', 'runs/events.out.tfevents.1', 'latest', 'tokenizer.json'])(
    'may be gone where nobody reads it: %s',
    async name => {
      const tree = { 'm/model.safetensors': bytesOf('good'), [`m/${name}`]: 'x' }
      expect(decided(await gate(tree, { 'm/model.safetensors': bytesOf('good') }, { baseline: 'm' }))).toEqual(FAILED)
    },
  )
})

test('what tells the moment of a training may lie beside a baseline', async () => {
  const base = { 'm/base.safetensors': bytesOf('good'), 'm/trainer_state.json': '{"global_step": 1}' }
  const head = { ...base, 'm/trainer_state.json': '{"global_step": 7}' }
  expect(decided(await gate(base, head, { baseline: 'm/base.safetensors' }))).toEqual(FAILED)
})

test('the index of shards can be a baseline, as long as nobody edits it', async () => {
  const [a, b] = Object.entries(nets.good).map(entry => safetensorsBytes(Object.fromEntries([entry])))
  const index = { weight_map: { 'a.weight': 'm-1.safetensors', 'b.weight': 'm-2.safetensors' } }
  const base = { 'm/m-1.safetensors': a, 'm/m-2.safetensors': b, 'm/m.safetensors.index.json': JSON.stringify(index) }
  const inputs = { baseline: 'm/m.safetensors.index.json' }
  expect(decided(await gate(base, base, inputs))).toEqual(FAILED)
  const head = { ...base, 'm/m.safetensors.index.json': `${base['m/m.safetensors.index.json']} ` }
  expect(decided(await gate(base, head, inputs))).toEqual(UNDECIDED)
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

test('where nothing was published the base branch’s config file says what is analysed, unless its workflow does', async () => {
  const config = { '.github/spectral-gate.yml': 'fail-if: alpha > 2.5\nexclude: z*\n' }
  const inputs = { 'fail-if': '', exclude: 'a*' }
  const [before, after] = ['x', 'y'].map(text => ({ ...config, [WORKFLOW]: text }))
  expect(decided(await gate(before, after, inputs))).toEqual(FAILED)
  expect((await gate(before, before, inputs)).status).toBe(0)
})

describe('a baseline that nothing was published with', () => {
  const worse = { 'm/base.safetensors': bytesOf('worse') }
  const inputs = { baseline: 'm/base.safetensors', 'fail-if': 'alpha > 99' }

  test.each<[string, Tree, object]>([
    ['a workflow that names it is there: it was a step’s', { [WORKFLOW]: 'baseline: m/base.safetensors' }, UNDECIDED],
    ['however that spells it', { [WORKFLOW]: 'baseline: "./m//base.safetensors"' }, UNDECIDED],
    [
      'so may it be where that has an expression, on the next line',
      { [WORKFLOW]: 'baseline: >-\n  $\u007b{ x }}' },
      UNDECIDED,
    ],
    ['so may it be where that has an expression', { [WORKFLOW]: 'baseline: $\u007b{ vars.BASE }}' }, UNDECIDED],
    ['the workflow did not name it', { [WORKFLOW]: 'baseline: none # m/base.safetensors.old' }, PASSED],
  ])('and that the pull request brings: %s', async (_, workflow, expected) => {
    expect(decided(await gate(workflow, { ...workflow, ...worse }, inputs))).toEqual(expected)
  })

  test('and that the base branch has removed since is a step’s', async () => {
    github.commitFiles(commits[2], worse)
    const ended = await gate({ a: '' }, worse, inputs)
    expect(readReport(ended).comparison?.status).toBe('compared')
  })
})

test('what can’t be compared with is undecided, whatever the rules', async () => {
  const base = { 'm/model.safetensors': bytesOf('good') }
  const head = { 'm/model.safetensors': bytesOf('worse') }
  expect(decided(await gate(base, head, { baseline: 'm', 'fail-if': '' }))).toEqual(UNDECIDED)
})

test('DVC’s links to its cache are what it keeps', async () => {
  const md5 = (net: Net) => createHash('md5').update(bytesOf(net)).digest('hex')
  const pointer = (net: Net) => ({ 'm.safetensors.dvc': `outs:\n- md5: ${md5(net)}\n  path: m.safetensors\n` })
  const pulled = (net: Net): Workspace => ({
    files: { [`.dvc/cache/files/md5/${md5(net)}`]: bytesOf(net) },
    prepare: job => link(job, 'm.safetensors', `.dvc/cache/files/md5/${md5(net)}`),
  })
  const inputs = { baseline: 'm.safetensors' }
  expect(decided(await gate(pointer('good'), pointer('good'), inputs, pulled('good')))).toEqual(FAILED)
  expect(decided(await gate(pointer('good'), pointer('worse'), inputs, pulled('worse')))).toEqual(UNDECIDED)
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

  test('so does one where it has expired', async () => {
    const rules = { ...inputs, ...RULES }
    await runGate(github, 'good', rules, { event: 'push', sha: commits[2] }, {}, { files: base })
    for (const artifact of github.artifacts) artifact.expired = true
    expect(decided(await gate(base, { ...base, [WORKFLOW]: 'x' }, inputs))).toEqual(UNDECIDED)
    expect((await gate(base, base, inputs)).status).toBe(0)
  })

  test('nor the config file, where nothing was published', async () => {
    github.permissions = { actions: 'read', 'pull-requests': 'write' }
    const config = { '.github/spectral-gate.yml': 'fail-if: alpha > 2.5\n' }
    const laxer = { '.github/spectral-gate.yml': 'fail-if: alpha > 99\n' }
    expect(decided(await gate(config, laxer, { 'fail-if': '' }))).toEqual(UNDECIDED)
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

/** Where the values of a tensor of ONNX lie. */
function at(location: string): Buffer[] {
  const entries = Object.entries({ location, offset: '0', length: '9600' })
  return entries.map(([key, value]) => message(13, message(1, key), message(2, value)))
}

describe('a base model', () => {
  const zeros = { 'a.weight': { shape: [60, 40] }, 'b.weight': { shape: [24, 16, 3, 3] } }
  const bytes = safetensorsBytes(zeros)
  const inputs = { 'base-model': 'base.safetensors', 'fail-if': 'any(alpha) > 99' }
  const push = () =>
    runGate(github, 'good', inputs, { event: 'push', sha: commits[3] }, {}, { files: { 'base.safetensors': bytes } })

  let runId = 6000
  /** A pull request whose part one job makes with the files `made`, and which another merges, with those that are `there`. */
  async function merged(
    all: Record<string, string>,
    [base, head]: readonly [Tree, Tree],
    { made, there = {}, ofMerge = all }: { made: Files; there?: Files; ofMerge?: Record<string, string> },
  ) {
    github.commitFiles(commits[3], base)
    github.commitFiles(sha('head of 7'), head)
    const options = { ...PULL, runId: ++runId }
    const part = { mode: 'part', strategy: JSON.stringify({ 'job-index': 0, 'job-total': 1 }), ...all }
    await runGate(github, 'good', part, options, { GITHUB_JOB: 'train' }, { files: made })
    const merge = { mode: 'merge', checkpoint: '', ...ofMerge }
    return decided(await runGate(github, 'good', merge, options, { GITHUB_JOB: 'gate' }, { files: there }))
  }

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

  test('in a folder that Git LFS keeps need not be there where parts are merged', async () => {
    const pointer = (size: number) =>
      `version https://git-lfs.github.com/spec/v1\noid sha256:${'ab'.repeat(32)}\nsize ${size}\n`
    const tree = { 'base/model.safetensors': pointer(bytes.length) }
    const made = { 'base/model.safetensors': bytes }
    const run = (head: Files) => merged({ ...inputs, 'base-model': 'base' }, [tree, head], { made, there: head })
    expect((await run(tree)).status).toBe(0)
    expect(await run({ 'base/model.safetensors': pointer(7) })).toEqual(UNDECIDED)
    expect((await run({ ...tree, 'base/README.md': 'x' })).status).toBe(0)
  })

  test('whose folder no checkout of the job that merges has is not the pull request’s', async () => {
    const tree = { 'models/base.safetensors': bytes }
    const made = { 'x/models/base.safetensors': bytes }
    const run = (head: Files) =>
      merged({ ...inputs, 'base-model': 'x/models/base.safetensors' }, [tree, head], { made })
    expect((await run(tree)).status).toBe(0)
    const edited = { 'models/base.safetensors': bytesOf('good') }
    expect(await run(edited)).toEqual(UNDECIDED)
    expect(await run({ ...edited, 'x/models/base.safetensors/a.txt': '' })).toEqual(UNDECIDED)
    expect((await run({ ...tree, 'config.json': '{}' })).status).toBe(0)
  })

  test.each(['data/w.bin', 'w.csv'])('that is a graph has the values that lie in %s', async location => {
    const graph = model(message(5, tensor('a.weight', [60, 40], ...at(location), number(14, 1))))
    const tree = (value: number) => ({ 'b/base.onnx': graph, [`b/${location}`]: Buffer.alloc(9600, value) })
    const run = (head: Files) => merged({ ...inputs, 'base-model': 'b/base.onnx' }, [tree(0), head], { made: head })
    expect((await run(tree(0))).status).toBe(0)
    expect(await run(tree(1))).toEqual(UNDECIDED)
    expect(comment()).toContain(`this change edits b/${location}`)
  })

  test('that lies outside of the workspace is no file of the repository, wherever it lies in the next run', async () => {
    const [one, other] = ['one', 'other'].map(name => join(temporaryFolder(), name))
    for (const folder of [one, other]) {
      mkdirSync(folder!)
      writeFileSync(join(folder!, 'net.safetensors'), bytes)
      writeFileSync(`${folder}.safetensors`, bytesOf('good'))
    }
    const paths = (folder: string) => ({ ...inputs, 'base-model': folder, baseline: `${folder}.safetensors` })
    const tree = { [WORKFLOW]: 'x', 'other/config.json': 'x' }
    const event = { event: 'push', sha: commits[3] }
    expect((await runGate(github, 'good', paths(one!), event, {}, {})).status).toBe(0)
    const head = { ...tree, 'other/config.json': 'y' }
    rmSync(one!, { recursive: true })
    rmSync(`${one}.safetensors`)
    const ended = await gate(tree, head, paths(other!))
    expect(readReport(ended).comparison?.status).toBe('compared')
    expect(ended.outputs.verdict).not.toBe('inconclusive')
    expect((await gate(tree, { ...head, [WORKFLOW]: 'y' }, paths(other!))).status).toBe(2)
  })

  test('that only the parts name is not the pull request’s', async () => {
    const tree = { 'base.safetensors': bytes }
    const ofMerge = { 'fail-if': inputs['fail-if'] }
    const run = (head: Files) => merged(inputs, [tree, head], { made: tree, ofMerge })
    expect((await run(tree)).status).toBe(0)
    expect(await run({ 'base.safetensors': bytesOf('good') })).toEqual(UNDECIDED)
  })

  test('that DVC keeps need not be there where parts are merged', async () => {
    const md5 = createHash('md5').update(bytes).digest('hex')
    const pointer = { 'base.safetensors.dvc': `outs:\n- md5: ${md5}\n  path: base.safetensors\n` }
    const run = (head: Files) =>
      merged(inputs, [pointer, head], { made: { ...head, 'base.safetensors': bytes }, there: head })
    expect((await run(pointer)).status).toBe(0)
    expect(await run({})).toEqual(UNDECIDED)
    const edited = { 'base.safetensors.dvc': `outs:\n- md5: ${'ab'.repeat(16)}\n  path: base.safetensors\n` }
    expect(await run(edited)).toEqual(UNDECIDED)
  })
})

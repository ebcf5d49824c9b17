import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { safetensorsBytes } from '../support/safetensors.ts'
import { eachInRepository, type Gated, nets, readReport, runGate, type Workspace } from './gate.ts'
import { type GitHubDouble, sha } from './github/double.ts'
import type { Job } from './github/job.ts'

const BASELINE = 'models/base.safetensors'
const FAILED = { status: 1, verdict: 'failed' }
const UNDECIDED = { status: 1, verdict: 'inconclusive' }

let github: GitHubDouble
let base: string
eachInRepository(started => {
  github = started.github
  base = started.commits[3]
})

type Net = keyof typeof nets
type Files = NonNullable<Workspace['files']>
const bytesOf = (net: Net) => safetensorsBytes(nets[net])
const md5 = (net: Net) => createHash('md5').update(bytesOf(net)).digest('hex')
const pointer = (net: Net, path = 'base.safetensors', wdir = '') =>
  `${wdir}outs:\n- md5: ${md5(net)}\n  hash: md5\n  path: ${path}\n`
const stage = (name: string, path: string, hash: string) =>
  `  ${name}:\n    cmd: x\n    outs:\n    - path: ${path}\n      md5: ${hash}\n`
const lock = (...stages: string[]) => `schema: '2.0'\nstages:\n${stages.join('')}`

/** A pull request of a worse model: with the base branch's files of DVC, with its own, and with what then lies at the baseline's path. */
async function gate(committed: Files, edits: Files, pulled: Net, path = BASELINE): Promise<Gated> {
  const ofHead = Object.fromEntries(Object.entries({ ...committed, ...edits }).filter(([, text]) => text !== ''))
  github.commitFiles(base, committed)
  github.commitFiles(sha('head of 7'), ofHead)
  const files = { ...ofHead, [path]: bytesOf(pulled) }
  const inputs = { 'fail-if': 'delta(alpha) > 0.2', baseline: path }
  return runGate(github, 'worse', inputs, { event: 'pull_request', pull: 7 }, {}, { files })
}
const decided = ({ status, outputs }: Gated) => ({ status, verdict: outputs.verdict })
const comment = () => github.comments(7).at(-1)?.body ?? ''

const KEPT: [string, Files][] = [
  ['beside it', { [`${BASELINE}.dvc`]: pointer('good') }],
  ['in another folder', { 'data/it.dvc': pointer('good', 'base.safetensors', 'wdir: ../models\n') }],
  [
    'as an output',
    {
      'dvc.yaml': 'stages:\n  base:\n    cmd: x\n',
      'dvc.lock': lock(stage('o', 'o', '77'), stage('base', BASELINE, md5('good'))),
    },
  ],
  [
    'as an output of a stage in a folder',
    {
      'dvc.yaml': 'stages:\n  base:\n    wdir: models\n    cmd: x\n',
      'dvc.lock': lock(stage('base', 'base.safetensors', md5('good'))),
    },
  ],
]

describe.each(KEPT)('a baseline that DVC keeps %s', (_, committed) => {
  test('is what the base branch names, whatever else the pull request edits', async () => {
    expect(decided(await gate(committed, { 'model.safetensors.dvc': pointer('worse') }, 'good'))).toEqual(FAILED)
  })

  test.each<[string, (all: Files) => Files]>([
    ['edits what names it', all => replaced(all, md5('good'), md5('worse'))],
    ['adds a file beside it', () => ({ [`${BASELINE}.dvc`]: pointer('worse') })],
    ['adds a pipeline', () => ({ 'models/dvc.lock': lock(stage('new', 'base.safetensors', md5('worse'))) })],
    ['leaves it, and what lies there is another', () => ({})],
  ])('is not another, where the pull request %s', async (_, edit) => {
    expect(decided(await gate(committed, edit(committed), 'worse'))).toEqual(UNDECIDED)
    expect(comment()).toContain('it is kept by DVC, and what lies there is not what')
  })
})

describe('a baseline in a folder that DVC keeps as a whole', () => {
  const committed = { 'models.dvc': `outs:\n- md5: ${'01'.repeat(16)}.dir\n  path: models\n` }

  test('is compared with as long as nobody edits what names it', async () => {
    const edits = { 'data.dvc': pointer('worse', 'data') }
    expect(decided(await gate(committed, edits, 'good'))).toEqual(FAILED)
  })

  test.each<[string, Files]>([
    ['models.dvc', replaced(committed, '0101', '4567')],
    ['models.dvc', { 'models.dvc': '' }],
    ['models.dvc', { 'models.dvc': 'outs: [\n' }],
    [`${BASELINE}.dvc`, { [`${BASELINE}.dvc`]: pointer('worse') }],
    ['merged.dvc', { 'merged.dvc': `<<: {outs: [{md5: ${md5('worse')}, path: models/base.safetensors}]}\n` }],
    ['root.dvc', { 'root.dvc': pointer('worse', '/proc/self/cwd/models/base.safetensors') }],
    ['p/dvc.lock', { 'p/dvc.lock': lock(stage('new', '../models/base.safetensors', md5('worse'))) }],
    ['p/dvc.lock', { 'p/dvc.lock': '#'.repeat(5_000_000) }],
  ])('is not compared with where the pull request edits %s', async (name, edits) => {
    expect(decided(await gate(committed, edits, 'worse'))).toEqual(UNDECIDED)
    expect(comment()).toContain(`this change edits ${name}, which names its content`)
  })
})

describe('a baseline that may be an output of a stage from a template', () => {
  const committed: Files = {
    'p/dvc.yaml':
      'stages:\n  base:\n    foreach: {a: {in: models}}\n    do:\n      wdir: ../$\u007bitem.in}\n      cmd: x\n',
    'p/dvc.lock': lock(stage('base@a', './base.safetensors', md5('good'))),
  }

  test.each<[string, Files, Net, object]>([
    ['is what that names', {}, 'good', FAILED],
    ['is not what the pull request has it name', replaced(committed, md5('good'), md5('worse')), 'worse', UNDECIDED],
    ['is not what the pull request has elsewhere', { [`${BASELINE}.dvc`]: pointer('worse') }, 'worse', UNDECIDED],
  ])('%s', async (_, edits, pulled, expected) => {
    expect(decided(await gate(committed, edits, pulled))).toEqual(expected)
  })

  test('is not that of another stage', async () => {
    const two = {
      ...committed,
      'p/dvc.lock': lock(
        stage('base@a', './base.safetensors', md5('good')),
        stage('base@b', 'base.safetensors', md5('worse')),
      ),
    }
    expect(decided(await gate(two, {}, 'worse'))).toEqual(UNDECIDED)
    expect(comment()).toContain('which output of p/dvc.lock it is is not known')
    const named = {
      'p/dvc.yaml': 'stages:\n  base:\n    foreach: [models, b]\n    do:\n      wdir: ../$\u007bitem}\n      cmd: x\n',
      'p/dvc.lock': String(two['p/dvc.lock']).replace('@a', '@models'),
    }
    expect(decided(await gate(named, {}, 'good'))).toEqual(FAILED)
    expect(decided(await gate(named, {}, 'worse'))).toEqual(UNDECIDED)
  })

  test('may be what a step made', async () => {
    expect(decided(await gate(replaced(committed, md5('good'), md5('worse')), {}, 'good'))).toEqual(FAILED)
  })
})

describe('in a repository that is too large to be listed', () => {
  test.each(KEPT.filter(([, files]) => Object.keys(files).every(name => /^(?:models|dvc)\b/.test(name))))(
    'a baseline that DVC keeps %s is what the base branch names',
    async (_, committed) => {
      github.listedFiles = 0
      expect(decided(await gate(committed, {}, 'good'))).toEqual(FAILED)
      expect(decided(await gate(committed, replaced(committed, md5('good'), md5('worse')), 'worse'))).toEqual(UNDECIDED)
    },
  )
})

test('what is listed of the head alone is asked for on the base branch, where that is too large to be listed', async () => {
  const committed = { 'a.txt': 'a', 'b.txt': 'b', [`${BASELINE}.dvc`]: pointer('good') }
  github.listedFiles = 2
  const edits = { 'a.txt': '', 'b.txt': '', [`${BASELINE}.dvc`]: pointer('worse') }
  expect(decided(await gate(committed, edits, 'worse'))).toEqual(UNDECIDED)
})

test('where DVC has more in the repository than is read, nothing is decided', async () => {
  const many = Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map(name => [`${name}.dvc`, `#${'x'.repeat(3_900_000)}`]))
  expect(decided(await gate({ [`${BASELINE}.dvc`]: pointer('good') }, many, 'worse'))).toEqual(UNDECIDED)
  expect(comment()).toContain('DVC has more files in the repository than are read')
})

test('what DVC says of other files is not asked for one by one, wherever the checkout lies', async () => {
  const others = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`data/${i}.dvc`, pointer('good', `${i}`)]))
  const committed = { ...others, [`${BASELINE}.dvc`]: pointer('good') }
  github.commitFiles(base, committed)
  github.commitFiles(sha('head of 7'), committed)
  const files = Object.fromEntries(Object.entries(committed).map(([name, text]) => [`net/${name}`, text]))
  const inputs = { 'fail-if': 'delta(alpha) > 0.2', baseline: `net/${BASELINE}` }
  const prepare = ({ workspace }: Job) => void mkdirSync(join(workspace, 'net/.git'))
  const asked = { files: { ...files, [`net/${BASELINE}`]: bytesOf('good') }, prepare }
  expect(decided(await runGate(github, 'worse', inputs, { event: 'pull_request', pull: 7 }, {}, asked))).toEqual(FAILED)
  expect(github.requests.filter(({ path }) => path.includes('data'))).toEqual([])
})

describe('a baseline in a folder that DVC keeps as a whole, by another way', () => {
  const committed = {
    'models.dvc': `outs:\n- md5: ${'01'.repeat(16)}.dir\n  path: models\n`,
    '.dvc/config': '[core]\n',
  }

  test('is not the file that the pull request brings', async () => {
    const ended = await gate(committed, { [BASELINE]: bytesOf('worse') }, 'worse')
    expect(decided(ended)).toEqual(UNDECIDED)
    expect(comment()).toContain('this change brings a file that models.dvc of that branch has in a folder')
  })

  test('is not what another remote has', async () => {
    expect(decided(await gate(committed, { '.dvc/config': '[\'remote "other"\']\n' }, 'worse'))).toEqual(UNDECIDED)
    expect(comment()).toContain('this change edits .dvc/config, which says where its content comes from')
  })

  test('is not what DVC ignores', async () => {
    expect(decided(await gate(committed, { '.dvcignore': 'models\n' }, 'worse'))).toEqual(UNDECIDED)
    expect(comment()).toContain('this change edits .dvcignore')
  })

  test('is compared with where its content is known, whatever the remote', async () => {
    const known = { ...KEPT[0][1], '.dvc/config': '[core]\n' }
    expect(decided(await gate(known, { '.dvc/config': '' }, 'good'))).toEqual(FAILED)
  })
})

describe('a baseline in a folder that DVC keeps as a whole, whose content comes from elsewhere', () => {
  const out = `outs:\n- md5: ${'ab'.repeat(16)}.dir\n  path: models\n`
  const lockOf = (hash: string) => lock(stage('models', 'models', hash))
  const pipeline = (outs: string) => `stages:\n  models:\n    cmd: x\n    outs:\n    - ${outs}\n`

  test.each<[string, Files, Files]>([
    [
      'by an import',
      { 'models.dvc': out },
      {
        'models.dvc': `frozen: true\ndeps:\n- path: models\n  repo:\n    url: https://gate.localhost/evil/net\n${out}`,
      },
    ],
    [
      'by another remote',
      { 'dvc.yaml': pipeline('models'), 'dvc.lock': lockOf(`${'ab'.repeat(16)}.dir`) },
      { 'dvc.yaml': pipeline('models: { remote: scratch }') },
    ],
  ])('is not compared with: %s', async (_, committed, edits) => {
    expect(decided(await gate(committed, {}, 'good'))).toEqual(FAILED)
    expect(decided(await gate(committed, edits, 'worse'))).toEqual(UNDECIDED)
    expect(comment()).toContain('which names its content')
  })
})

test('a baseline that DVC keeps and the pull request brings is not compared with', async () => {
  const ended = await gate({}, { [`${BASELINE}.dvc`]: pointer('worse') }, 'worse')
  expect(readReport(ended)).toMatchObject({ baseline: { state: 'first-run' }, verdict: { status: 'inconclusive' } })
})

test('a baseline that a step made is compared with, though DVC keeps others of its name', async () => {
  const committed = { 'other/base.safetensors.dvc': pointer('worse') }
  expect(decided(await gate(committed, {}, 'good'))).toEqual(FAILED)
})

describe('a folder as the baseline', () => {
  const files = (net: Net) => ({ 'base/config.json': '{}', 'base/model.safetensors': bytesOf(net) })
  const committed = { 'base/config.json': '{}', 'base/model.safetensors.dvc': pointer('good', 'model.safetensors') }
  const gateFolder = (ofBase: Files, ofHead: Files, pulled: Files) => {
    github.commitFiles(base, ofBase)
    github.commitFiles(sha('head of 7'), ofHead)
    const inputs = { 'fail-if': 'delta(alpha) > 0.2', baseline: 'base' }
    const workspace = { files: { ...ofHead, ...pulled } }
    return runGate(github, 'worse', inputs, { event: 'pull_request', pull: 7 }, {}, workspace)
  }

  test('whose weights DVC keeps is what the base branch names', async () => {
    expect(decided(await gateFolder(committed, committed, files('good')))).toEqual(FAILED)
    const edited = replaced(committed, md5('good'), md5('worse'))
    expect(decided(await gateFolder(committed, edited, files('worse')))).toEqual(UNDECIDED)
  })

  test('that a step made is compared with, but not with what the pull request puts into it', async () => {
    expect(decided(await gateFolder({}, {}, files('good')))).toEqual(FAILED)
    const brought = { 'base/model.safetensors': bytesOf('worse') }
    expect(decided(await gateFolder({}, brought, files('worse')))).toEqual(UNDECIDED)
  })
})

function replaced(files: Files, from: string, to: string): Files {
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [name, String(text).replace(from, to)]))
}

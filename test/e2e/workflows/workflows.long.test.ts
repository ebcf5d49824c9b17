import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { root } from '../../support/cli.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { goldenTensor } from '../../support/golden.ts'
import { safetensorsBytes, writeSafetensors } from '../../support/safetensors.ts'
import { GitHubDouble, sha } from '../github/double.ts'
import type { JobOptions } from '../github/job.ts'
import { findTool, runWorkflow, type WorkflowRun } from './act.ts'

const FOLDER = join(root, 'examples/workflows')
const OWN = join(root, '.github/workflows')
const all = [FOLDER, OWN].flatMap(folder => readdirSync(folder).map(name => join(folder, name)))
const nets = {
  good: { 'a.weight': goldenTensor('G1'), 'b.weight': goldenTensor('G4') },
  worse: { 'a.weight': { ...goldenTensor('G1'), values: new Float32Array(2400) }, 'b.weight': goldenTensor('G4') },
}

const actionlint = findTool('actionlint')
test.skipIf(!actionlint)('actionlint (not installed: tools.sh does) finds nothing', () => {
  execFileSync(actionlint!, all, { encoding: 'utf8' })
})

const zizmor = findTool('zizmor')
test.skipIf(!zizmor)('zizmor (not installed: tools.sh does) finds nothing', () => {
  const config = join(root, 'test/e2e/workflows/zizmor.yml')
  execFileSync(zizmor!, ['--offline', '--config', config, ...all, join(root, '.github/dependabot.yml')], {
    encoding: 'utf8',
    stdio: 'pipe',
  })
})

const act = findTool('act')
describe.skipIf(!act)('act (not installed: tools.sh does) runs', () => {
  let github: GitHubDouble
  const base = sha('main')
  beforeEach(async () => {
    github = await GitHubDouble.start()
    github.commits.set(base, [])
    github.branches.set('main', base)
    github.commits.set(sha('head of 7'), [base])
    github.commits.set(sha('head of 8'), [base])
  })
  afterEach(async () => {
    expect(github.problems).toEqual([])
    await github.stop()
  })

  const PUSH: JobOptions = { event: 'push', sha: base }
  const PULL: JobOptions = { event: 'pull_request', pull: 7 }

  async function run(
    workflow: string,
    event: JobOptions,
    head: keyof typeof nets = 'good',
    more: Partial<WorkflowRun> = {},
  ) {
    const standIns = temporaryFolder()
    writeSafetensors(nets[head], 'head.safetensors', standIns)
    writeSafetensors(nets.good, 'base.safetensors', standIns)
    const ended = await runWorkflow({ github, act: act!, workflow, event, standIns, ...more })
    return { ...ended, log: ended.stdout + ended.stderr }
  }

  const comment = () => github.comments(7).map(({ body }) => body.split('\n')[0])
  const baselines = () => github.artifacts.filter(({ name }) => name.startsWith('spectral-gate-baseline-')).length

  test.each(['train.yml', 'relative.yml'])('%s: main publishes, a pull request that is worse fails', async workflow => {
    const published = await run(workflow, PUSH, 'good')
    expect(published.log).toMatch(/Passed|passed|inconclusive/i)
    expect(published.status, published.log).toBe(0)
    expect(baselines()).toBe(1)
    const worse = await run(workflow, PULL, 'worse')
    expect(worse.status, worse.log).toBe(1)
    expect(comment()).toEqual([
      expect.stringMatching(/^### ❌ Failed: (`delta\(alpha\) > 5%` is true|1 layer died, `a`)/),
    ])
    const better = await run(workflow, PULL, 'good')
    expect(better.status, better.log).toBe(0)
    expect(comment()).toEqual([expect.stringMatching(/^### ✅ Passed: nothing changed/)])
  })

  test('gate.yml: the checkpoint is in the repository', async () => {
    const files = (net: keyof typeof nets) => ({ 'model.safetensors': safetensorsBytes(nets[net]) })
    const first = await run('gate.yml', PULL, 'good', { files: files('good') })
    expect(first.status, first.log).toBe(0)
    expect(comment()).toEqual([expect.stringMatching(/^### ✅ Passed: first run/)])
    expect((await run('gate.yml', PUSH, 'good', { files: files('good') })).status).toBe(0)
    expect((await run('gate.yml', PULL, 'good', { files: files('worse') })).status).toBe(1)
    expect(comment()).toEqual([expect.stringMatching(/^### ❌ Failed: 1 layer died, `a`/)])
  })

  test('the gate on itself: an example network, first on main and then against it', async () => {
    const network = 'examples/digits/depth3-batch8.safetensors'
    const own = ['action.yml', ...readdirSync(join(root, 'dist')).map(name => `dist/${name}`)]
    const put = (path: string) => ({
      folder: '.github/workflows',
      files: Object.fromEntries([
        ...own.map(name => [name, readFileSync(join(root, name))]),
        [network, readFileSync(join(root, path))],
      ]),
    })
    const first = await run('gate.yml', PUSH, 'good', put(network))
    expect(first.status, first.log).toBe(0)
    expect(baselines()).toBe(1)
    expect((await run('gate.yml', PULL, 'good', put(network))).status).toBe(0)
    expect(comment()).toEqual([expect.stringMatching(/^### ✅ Passed: nothing changed/)])
    const other = put('examples/digits/depth3-batch16.safetensors')
    expect((await run('gate.yml', PULL, 'good', other)).status).toBe(1)
  })

  test('finetune.yml: compared with the model that it started from', async () => {
    const same = await run('finetune.yml', PULL, 'good')
    expect(same.status, same.log).toBe(0)
    expect((await run('finetune.yml', PULL, 'worse')).status).toBe(1)
    expect(comment()).toEqual([expect.stringMatching(/^### ❌ Failed: 1 layer died, `a`/)])
  })

  test('fork-gate.yml and fork-comment.yml: the comment on a fork’s pull request', async () => {
    github.addPull({ number: 8, head: { sha: sha('head of 8'), ref: 'topic', repository: 'fork/net' } })
    const { permissions } = github
    github.permissions = { actions: 'read', contents: 'read', 'pull-requests': 'read' }
    const files = { 'model.safetensors': safetensorsBytes(nets.good) }
    const gate = await run('fork-gate.yml', { event: 'pull_request', pull: 8 }, 'good', { files })
    expect(gate.status, gate.log).toBe(0)
    expect(github.comments(8)).toEqual([])
    github.permissions = permissions
    const workflow_run = {
      ...{ id: gate.runId, run_attempt: 1, event: 'pull_request', head_branch: 'topic', head_sha: sha('head of 8') },
      ...{ head_repository: { full_name: 'fork/net' }, path: '.github/workflows/fork-gate.yml' },
    }
    const payload = { action: 'completed', workflow_run, repository: { default_branch: 'main' } }
    const ended = await run('fork-comment.yml', { event: 'workflow_run', payload })
    expect(ended.status, ended.log).toBe(0)
    expect(github.comments(8).map(({ body }) => body.split('\n')[0])).toEqual([
      expect.stringMatching(/^### ✅ Passed: first run/),
    ])
  })

  test('matrix.yml: one comment on all models', async () => {
    const published = await run('matrix.yml', PUSH, 'good')
    expect(published.status, published.log).toBe(0)
    expect(baselines()).toBe(1)
    const worse = await run('matrix.yml', PULL, 'worse')
    expect(worse.status, worse.log).toBe(1)
    expect(github.artifacts.filter(({ name }) => name.startsWith('spectral-gate-part-model-'))).toHaveLength(4)
    expect(comment()).toEqual([expect.stringMatching(/^### ❌ Failed: 1 layer died in `(small|large)`, `a`/)])
    expect(github.comments(7)[0]!.body).toMatch(/`large`.*\n.*`small`|`small`.*\n.*`large`/)
  })

  test('shards.yml: one comment on the whole model', async () => {
    const more = { files: { 'model.txt': 'org/net 0123abc\n' }, secrets: { HF_TOKEN: 'hf_x' } }
    expect((await run('shards.yml', PUSH, 'good', more)).status).toBe(0)
    const worse = await run('shards.yml', PULL, 'worse', more)
    expect(worse.status, worse.log).toBe(1)
    expect(comment()).toEqual([expect.stringMatching(/^### ❌ Failed: 1 layer died, `a`/)])
  })

  test.each([
    ['dvc.yml', { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key' }, /is a DVC pointer|no such file or folder/],
    ['hub.yml', { HF_TOKEN: 'hf_x' }, /no such file or folder/],
  ])('%s: with credentials a gate, on a fork without them inconclusive', async (workflow, secrets, reason) => {
    const files = {
      'model.txt': 'org/net 0123abc\n',
      'model.safetensors.dvc': 'outs:\n- md5: 0\n  path: model.safetensors\n',
    }
    const published = await run(workflow, PUSH, 'good', { files, secrets })
    expect(published.status, published.log).toBe(0)
    expect((await run(workflow, PULL, 'worse', { files, secrets })).status).toBe(1)

    github.addPull({ number: 8, head: { sha: sha('head of 8'), ref: 'topic', repository: 'fork/net' } })
    github.permissions = { actions: 'read', contents: 'read', 'pull-requests': 'read' }
    const fork = await run(workflow, { event: 'pull_request', pull: 8 }, 'worse', { files })
    expect(fork.status, fork.log).toBe(0)
    expect(fork.log).toMatch(/inconclusive: there is no checkpoint: /)
    expect(fork.log).toMatch(reason)
    expect(github.comments(8)).toEqual([])
    const broken = await run(workflow, PULL, 'good', { files })
    expect(broken.status, 'our own branch without credentials').not.toBe(0)
  })
})

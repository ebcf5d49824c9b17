import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { eachInRepository, type Gated, type nets, readReport, runGate } from './gate.ts'
import { type GitHubDouble, sha } from './github/double.ts'
import type { JobOptions } from './github/job.ts'

let github: GitHubDouble
let commits: readonly [string, string, string, string]
eachInRepository(started => {
  ;({ github, commits } = started)
})

type Net = keyof typeof nets
const RULE = { 'fail-if': 'delta(alpha) > 0.2' }
const push = (net: Net, commit: string = commits[2], options: Partial<JobOptions> = {}) =>
  runGate(github, net, RULE, { event: 'push', sha: commit, ...options })
const pull = (net: Net, options: Partial<JobOptions> = {}) =>
  runGate(github, net, RULE, { event: 'pull_request', pull: 7, ...options })
const seen = ({ status, outputs }: Gated) => ({
  ...{ status, verdict: outputs.verdict, state: outputs['baseline-state'], commit: outputs['baseline-commit'] },
})

test('a pull request into a branch without baselines is compared with where it left the default branch, and says so', async () => {
  await push('good')
  const feature = sha('feature')
  github.commits.set(feature, [commits[2]])
  github.branches.set('feature', feature)
  github.addPull({ number: 8, base: { sha: feature, ref: 'feature' } })
  github.commits.set(sha('head of 8'), [feature])
  const ended = await pull('worse', { pull: 8 })
  expect(seen(ended)).toEqual({ status: 1, verdict: 'failed', state: 'ancestor', commit: commits[2] })
  expect(github.comments(8)[0]!.body).toMatch(/^> The branch feature has no baseline; that of main counts\. Compared/m)
})

describe('a push to a topic branch is compared with where it left the default branch', () => {
  const topic = (before: string, after: string): Partial<JobOptions> => ({
    ref: 'refs/heads/topic',
    payload: { ref: 'refs/heads/topic', before, after, repository: { default_branch: 'main' } },
  })

  test('so that a second push does not hide the first', async () => {
    await push('good')
    const [one, two] = [sha('t1'), sha('t2')]
    github.commits.set(one, [commits[2]]).set(two, [one])
    github.branches.set('topic', two)
    const failed = { status: 1, verdict: 'failed', state: 'exact', commit: commits[2] }
    expect(seen(await push('worse', one, topic('0'.repeat(40), one)))).toEqual(failed)
    expect(seen(await push('worse', two, topic(one, two)))).toEqual(failed)
  })
})

test('a long-lived branch is compared with its own baseline where the default branch has none of where they parted', async () => {
  const [one, two] = [sha('r1'), sha('r2')]
  github.commits.set(one, [commits[0]]).set(two, [one])
  github.branches.set('release', two)
  const release = (before: string, after: string): Partial<JobOptions> => ({
    ref: 'refs/heads/release',
    payload: { ref: 'refs/heads/release', before, after, repository: { default_branch: 'main' } },
  })
  expect(seen(await push('worse', one, release('0'.repeat(40), one)))).toMatchObject({ state: 'first-run' })
  await push('good', commits[2])
  const ended = await push('worse', two, release(one, two))
  expect(seen(ended)).toEqual({ status: 0, verdict: 'passed', state: 'exact', commit: one })
  expect(readReport(ended).baseline!.reason).toMatch(/^main has no baseline of where release left it; its own counts/)
})

test('a run by hand on a branch without baselines has that of where it left the default branch', async () => {
  await push('good', commits[2])
  const topic = sha('by hand')
  github.commits.set(topic, [commits[2]])
  github.branches.set('topic', topic)
  const ref = 'refs/heads/topic'
  const payload = { ref, repository: { default_branch: 'main' } }
  const ended = await runGate(github, 'worse', RULE, { event: 'workflow_dispatch', sha: topic, ref, payload })
  expect(seen(ended)).toEqual({ status: 1, verdict: 'failed', state: 'ancestor', commit: commits[2] })
})

test('an entry of the merge queue that is put upon a failed one is compared with the branch', async () => {
  await push('good')
  const [failing, next] = [sha('queued'), sha('queued 2')]
  github.commits.set(failing, [commits[2]]).set(next, [failing])
  const entry = (head_sha: string, base_sha: string, name: string) => {
    const merge_group = {
      ...{ head_sha, base_sha, base_ref: 'refs/heads/main' },
      head_ref: `refs/heads/gh-readonly-queue/main/${name}`,
    }
    const payload = { merge_group, repository: { default_branch: 'main' } }
    return runGate(github, 'worse', RULE, { event: 'merge_group', sha: head_sha, ref: merge_group.head_ref, payload })
  }
  const failed = { status: 1, verdict: 'failed', state: 'exact', commit: commits[2] }
  expect(seen(await entry(failing, commits[2], 'pr-9'))).toEqual(failed)
  expect(seen(await entry(next, failing, 'pr-10'))).toEqual(failed)
})

describe('a checkout with a path', () => {
  test.each<[string, boolean]>([
    ['.', false],
    ['repo', false],
    ['.', true],
    ['repo', true],
  ])('at %s, with a config file: %s: the first parent of the merge commit counts', async (where, config) => {
    const scratch = github.job({ event: 'push' }).workspace
    const repository = join(scratch, where)
    mkdirSync(repository, { recursive: true })
    const git = (...words: string[]) =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.c', '-C', repository, ...words], {
        encoding: 'utf8',
      }).trim()
    const commit = (message: string) => {
      git('commit', '-q', '--allow-empty', '-m', message)
      return git('rev-parse', 'HEAD')
    }
    git('init', '-q', '-b', 'main')
    const text = config ? 'fail-if: delta(alpha) > 0.2\n' : ''
    mkdirSync(join(repository, '.github'))
    writeFileSync(join(repository, '.github/spectral-gate.yml'), text)
    git('add', '.')
    const left = commit('base')
    git('checkout', '-q', '-b', 'topic')
    const head = commit('topic')
    git('checkout', '-q', 'main')
    const tip = commit('main moved on, and got worse')
    git('merge', '-q', '--no-ff', '-m', 'merge', 'topic')
    const merge = git('rev-parse', 'HEAD')
    github.commits.set(left, []).set(tip, [left]).set(head, [left])
    github.commitFiles(left, { '.github/spectral-gate.yml': text })
    github.branches.set('main', tip)
    await push('good', left)
    await push('worse', tip)
    const pr = { head: { sha: head, ref: 'topic', repository: 'octo/net' }, base: { sha: tip, ref: 'main' } }
    github.addPull({ number: 7, ...pr })
    const ended = await runGate(
      github,
      'worse',
      { ...(config ? {} : RULE), checkpoint: join(where, 'net.safetensors') },
      { event: 'pull_request', pull: 7, sha: merge },
      {},
      {
        prepare({ workspace }) {
          execFileSync('cp', ['-r', `${scratch}/.`, workspace])
          if (where !== '.') copyFileSync(join(workspace, 'net.safetensors'), join(workspace, where, 'net.safetensors'))
        },
      },
    )
    expect(seen(ended)).toEqual({ status: 0, verdict: 'passed', state: 'exact', commit: tip })
  })

  test('the config file is found where the repository is, and that there is none is said', async () => {
    const prepare = ({ workspace }: { workspace: string }) => {
      execFileSync('git', ['init', '-q', join(workspace, 'repo')])
      copyFileSync(join(workspace, 'net.safetensors'), join(workspace, 'repo/net.safetensors'))
    }
    const inputs = { checkpoint: 'repo/net.safetensors', baseline: 'none' }
    const gate = (files: Record<string, string>) =>
      runGate(github, 'good', inputs, { event: 'push' }, {}, { files, prepare })
    const found = await gate({ 'repo/.github/spectral-gate.yml': 'fail-if: alpha > 1\n' })
    expect(found.outputs.verdict).toBe('failed')
    const none = await gate({})
    expect(none.stdout).toContain(
      'No config file: there is no .github/spectral-gate.yml, nor repo/.github/spectral-gate.yml.',
    )
  })

  test('what was asked of the API, where nothing was checked out', async () => {
    const merge = sha('merge of 7')
    github.commits.set(merge, [commits[3], sha('head of 7')])
    await push('good', commits[2])
    await push('worse', commits[3])
    expect(seen(await pull('worse', { sha: merge }))).toMatchObject({ verdict: 'passed', commit: commits[3] })
  })
})

import { execFileSync } from 'node:child_process'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../support/folder.ts'
import { safetensorsBytes } from '../support/safetensors.ts'
import { annotations, eachInRepository, nets, runGate } from './gate.ts'
import { type GitHubDouble, sha } from './github/double.ts'
import type { Job, JobOptions } from './github/job.ts'

let github: GitHubDouble
let commits: readonly [string, string, string, string]
eachInRepository(started => {
  ;({ github, commits } = started)
})

const RULES = { 'fail-if': 'delta(alpha) > 0.2' }
const [good, worse] = [safetensorsBytes(nets.good), safetensorsBytes(nets.worse)]

/** Commits what is in a folder as a checkout of this repository; the commit, the same for the same files. */
function checkout(folder: string): string {
  const git = (...words: string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.c', '-C', folder, ...words], {
      env: { ...process.env, GIT_AUTHOR_DATE: '2026-01-01T00:00:00Z', GIT_COMMITTER_DATE: '2026-01-01T00:00:00Z' },
      stdio: 'pipe',
    }).toString()
  git('init', '-q')
  git('remote', 'add', 'origin', 'https://gate.localhost/octo/net')
  git('add', 'net.safetensors')
  git('commit', '-q', '-m', 'x')
  return git('rev-parse', 'HEAD').trim()
}

const inWorkspace = { prepare: (job: Job) => void checkout(job.workspace) }

/** The branch main at a commit that git knows, too, and a pull request into it. */
function main(head: Record<string, Buffer>): string {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'net.safetensors'), good)
  const commit = checkout(folder)
  github.commits.set(commit, []).set(sha('topic'), [commit])
  github.branches.set('main', commit)
  github.commitFiles(commit, { 'net.safetensors': good })
  github.commitFiles(sha('topic'), head)
  github.addPull({
    number: 8,
    head: { sha: sha('topic'), ref: 'topic', repository: 'octo/net' },
    base: { sha: commit, ref: 'main' },
  })
  return commit
}

const EVENTS: [string, Record<string, string>][] = [
  ['pull_request_target', {}],
  ['workflow_dispatch', { 'pull-request': '8' }],
]

test.each(EVENTS)(
  'a pull request that edits the model is not judged by that of the default branch: %s',
  async (event, inputs) => {
    const commit = main({ 'net.safetensors': worse })
    const options: JobOptions = {
      event,
      sha: commit,
      ref: 'refs/heads/main',
      ...(event.startsWith('pull') && { pull: 8 }),
    }
    const ended = await runGate(github, 'good', { ...RULES, ...inputs }, options, {}, inWorkspace)
    expect(ended.status).toBe(2)
    expect(annotations(ended)).toContain('net.safetensors is not that of this change')
    expect(github.comments(8).at(-1)!.body).toContain('refs/pull/8/merge')
  },
)

test('one that leaves the model as it was is judged by it, and so is one whose head was checked out', async () => {
  const commit = main({ 'net.safetensors': good, 'train.py': Buffer.from('x') })
  const options: JobOptions = { event: 'pull_request_target', pull: 8, sha: commit, ref: 'refs/heads/main' }
  expect((await runGate(github, 'good', RULES, options, {}, inWorkspace)).status).toBe(0)
  const said = `Not this change was checked out, but the commit ${commit.slice(0, 12)}`
  expect(github.comments(8).at(-1)!.body.replaceAll('`', '')).toContain(said)
  github.commitFiles(sha('topic'), { 'net.safetensors': worse })
  expect((await runGate(github, 'worse', RULES, options, {}, inWorkspace)).status).toBe(0)
})

test('a checkout of the base branch beside that of the change is no matter', async () => {
  const commit = main({ 'net.safetensors': worse })
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'net.safetensors'), worse)
  const head = checkout(folder)
  github.commits.set(head, [commit])
  github.commitFiles(head, { 'net.safetensors': worse })
  github.addPull({
    number: 9,
    head: { sha: head, ref: 'topic', repository: 'octo/net' },
    base: { sha: commit, ref: 'main' },
  })
  const options: JobOptions = { event: 'pull_request_target', pull: 9, sha: commit, ref: 'refs/heads/main' }
  const prepare = ({ workspace }: Job) => {
    checkout(workspace)
    cpSync(folder, join(workspace, 'pr'), { recursive: true })
  }
  const inputs = { ...RULES, checkpoint: 'pr/net.safetensors' }
  const ended = await runGate(github, 'good', inputs, options, {}, { prepare })
  expect(ended.status, annotations(ended)).toBe(0)
  expect(github.comments(9).at(-1)!.body).not.toContain('Not this change was checked out')
})

test('nor beside what it edits, or brings to what is read', async () => {
  const commit = main({ 'net.safetensors': good })
  const options: JobOptions = { event: 'pull_request_target', pull: 8, sha: commit, ref: 'refs/heads/main' }
  const config = Buffer.from('{"model_type":"llama"}')
  github.commitFiles(sha('topic'), { 'net.safetensors': good, 'config.json': config })
  const beside = await runGate(github, 'good', RULES, options, {}, inWorkspace)
  expect(annotations(beside)).toContain('net.safetensors is not that of this change: config.json')
  github.commitFiles(sha('topic'), { 'net.safetensors': good, 'm/model.safetensors': worse })
  const files = { 'm/foo.safetensors': good }
  const folder = await runGate(github, 'good', { ...RULES, checkpoint: 'm' }, options, {}, { ...inWorkspace, files })
  expect(annotations(folder)).toContain('m is not that of this change: m/model.safetensors')
})

test('commits that steps made upon the change, or upon a branch, are of it', async () => {
  const commit = main({ 'net.safetensors': worse })
  const twice = (job: Job) => {
    const git = (...words: string[]) =>
      execFileSync('git', ['-C', job.workspace, '-c', 'user.name=a', '-c', 'user.email=a@b.c', ...words])
    checkout(job.workspace)
    for (const message of ['a', 'b']) git('commit', '-q', '--allow-empty', '-m', message)
  }
  const ended = await runGate(github, 'good', RULES, { event: 'schedule', sha: commit }, {}, { prepare: twice })
  expect(annotations(ended)).not.toContain('not published')
})

test('a run on a branch that has checked out another one publishes no baseline of it', async () => {
  const nightly = { event: 'schedule', sha: commits[2] }
  const prepare = (job: Job) => void github.commits.set(checkout(job.workspace), [commits[1]])
  const ended = await runGate(github, 'worse', RULES, nightly, {}, { prepare })
  expect(annotations(ended)).toMatch(
    /The baseline was not published: the checkout is of [0-9a-f]{7}, not of [0-9a-f]{7} of refs\/heads\/main/,
  )
  const other = await runGate(github, 'good', RULES, { event: 'pull_request', pull: 7 })
  expect(other.outputs['baseline-state']).toBe('first-run')
})

test('a workflow that the base branch has edited since is not edited by the change', async () => {
  const workflow = '.github/workflows/gate.yml'
  github.permissions = { contents: 'read', 'pull-requests': 'write' }
  github.commitFiles(commits[3], { [workflow]: 'new' })
  github.commitFiles(sha('head of 7'), { [workflow]: 'old' })
  const judged = () => runGate(github, 'good', { 'fail-if': 'alpha > 99' }, { event: 'pull_request', pull: 7 })
  expect((await judged()).outputs.verdict).toBe('inconclusive')
  expect(github.comments(7).at(-1)!.body).toContain('this change edits the workflow')
  github.commitFiles(commits[2], { [workflow]: 'old' })
  expect((await judged()).outputs.verdict).toBe('warned')
})

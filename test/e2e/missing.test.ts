import { mkdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { writeSafetensors } from '../support/safetensors.ts'
import { annotations, eachInRepository, nets, readReport, runGate } from './gate.ts'
import { type GitHubDouble, sha } from './github/double.ts'
import type { JobOptions } from './github/job.ts'

let github: GitHubDouble
let commits: readonly [string, string, string, string]
eachInRepository(started => {
  ;({ github, commits } = started)
})

const HEAD = sha('head of the fork')
const PULL: JobOptions = { event: 'pull_request', pull: 7, runId: 7001 }
const ON_FORKS = { 'missing-checkpoint': 'inconclusive-on-forks', baseline: 'none' }
const weights = (net: keyof typeof nets) => readFileSync(writeSafetensors(nets[net]))
const TWO = 'a=net.safetensors\nb=b.safetensors'

describe('a checkpoint that is missing on a fork', () => {
  beforeEach(() => {
    github.commits.set(HEAD, [commits[3]])
    github.addPull({ number: 7, head: { sha: HEAD, ref: 'topic', repository: 'fork/net' } })
  })

  test('does not keep the others from being judged', async () => {
    const failed = await runGate(github, 'worse', { ...ON_FORKS, checkpoint: TWO, 'fail-if': 'alpha > 2.5' }, PULL)
    expect({ status: failed.status, verdict: failed.outputs.verdict }).toEqual({ status: 1, verdict: 'failed' })
    const rules = readReport(failed).verdict!.rules.map(({ rule, outcome }) => [rule, outcome])
    expect(rules).toContainEqual(['no checkpoint', 'inconclusive'])
    const open = await runGate(
      github,
      'good',
      { ...ON_FORKS, checkpoint: TWO, 'fail-if': 'alpha > 2.5' },
      { ...PULL, runId: 7002 },
    )
    expect({ status: open.status, verdict: open.outputs.verdict }).toEqual({ status: 0, verdict: 'inconclusive' })
    expect(readReport(open).models.map(({ name }) => name)).toEqual(['a'])
  })

  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'5'.repeat(64)}\nsize 4000\n`
  const shard = 'b/model-00001-of-00001.safetensors'
  const index = JSON.stringify({ weight_map: { 'fc.weight': posix.basename(shard) } })
  const modules = (...paths: string[]) =>
    JSON.stringify(
      paths.map((path, idx) => ({
        ...{ idx, name: `${idx}`, path },
        type: `sentence_transformers.models.${idx === 0 ? 'Transformer' : 'Dense'}`,
      })),
    )
  const good = 'the weights of a good network'
  const real = (files: Record<string, string>) =>
    Object.fromEntries(Object.entries(files).map(([path, text]) => [path, text === good ? weights('good') : text]))
  test.each<[string, string, Record<string, string>, Record<string, string>]>([
    ['a file', 'b.safetensors', { 'b.safetensors': good }, {}],
    ['a folder', 'b', { 'b/model.safetensors': good }, {}],
    [
      'shards',
      'b',
      { 'b/model.safetensors.index.json': index, [shard]: good },
      { 'b/model.safetensors.index.json': index },
    ],
    [
      'an index of other shards',
      'b',
      { 'b/model.safetensors.index.json': index, [shard]: good },
      { 'b/model.safetensors.index.json': index.replace('model-', 'other-'), [shard]: good },
    ],
    ['a folder within', 'b', { 'b/0_Transformer/model.safetensors': good }, { 'b/training_args.bin': 'x' }],
    [
      'a module more',
      'b',
      { 'b/model.safetensors': good, 'b/modules.json': modules('') },
      { 'b/model.safetensors': good, 'b/modules.json': modules('', '1_Dense'), 'b/1_Dense/config.json': '{}' },
    ],
    ['a file of a pattern', 'b/*.safetensors', { 'b/b.safetensors': good }, { 'b/c.safetensors': pointer }],
  ])('is an error where the base branch has it in git: %s', async (_, path, before, now) => {
    github.commitFiles(commits[0], { 'README.md': 'r', ...real(before) })
    github.commitFiles(HEAD, { 'README.md': 'r', ...real(now) })
    const inputs = { ...ON_FORKS, checkpoint: `net.safetensors\n${path}` }
    const removed = await runGate(github, 'good', inputs, PULL, {}, { files: real(now) })
    expect(removed.status).toBe(2)
    expect(annotations(removed)).toMatch(
      /the base branch has (?:\S+ in git, and this change does not|these weights in git, and this change brings \S+|these weights in git, and does not need \S+)\n/,
    )
  })

  test('is not what the base branch has brought since', async () => {
    github.commits.set(HEAD, [commits[1]])
    github.commitFiles(commits[1], { 'b/a.safetensors': pointer })
    github.commitFiles(commits[3], { 'b/a.safetensors': pointer, 'b/b.safetensors': weights('good') })
    github.commitFiles(HEAD, { 'b/a.safetensors': pointer })
    const inputs = { ...ON_FORKS, checkpoint: 'b/*.safetensors' }
    const old = await runGate(github, 'good', inputs, PULL, {}, { files: { 'b/a.safetensors': pointer } })
    expect({ status: old.status, verdict: old.outputs.verdict }).toEqual({ status: 0, verdict: 'inconclusive' })
  })

  test('is no padded pointer', async () => {
    const files = { 'b.safetensors': pointer.padEnd(2000, '\n') }
    github.commitFiles(commits[0], { 'b.safetensors': weights('good') })
    github.commitFiles(HEAD, files)
    const padded = await runGate(github, 'good', { ...ON_FORKS, checkpoint: 'b.safetensors' }, PULL, {}, { files })
    expect(padded.status).toBe(2)
    expect(annotations(padded)).toContain('is a text file, not a checkpoint')
  })

  test('is a folder that a failed download left, of which only DVC has more', async () => {
    github.commitFiles(commits[0], {
      'model.dvc': 'outs:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f.dir\n  path: model\n',
    })
    github.commitFiles(HEAD, { 'model.dvc': 'outs:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f.dir\n  path: model\n' })
    const left = await runGate(...([github, 'good', { ...ON_FORKS, checkpoint: 'model' }, PULL, {}] as const), {
      files: { 'model/config.json': '{}' },
      prepare: job => mkdirSync(join(job.workspace, 'model/.cache')),
    })
    expect({ status: left.status, verdict: left.outputs.verdict }).toEqual({ status: 0, verdict: 'inconclusive' })
  })

  test('is told by a part, and judged by the merge', async () => {
    const leg = (index: number, checkpoint: string) =>
      runGate(
        ...([github, 'good'] as const),
        { ...ON_FORKS, mode: 'part', strategy: JSON.stringify({ 'job-index': index, 'job-total': 2 }), checkpoint },
        ...([PULL, { GITHUB_JOB: 'train' }] as const),
      )
    const merge = (inputs: object) =>
      runGate(github, 'good', { mode: 'merge', checkpoint: '', baseline: 'none', ...inputs }, PULL, {
        GITHUB_JOB: 'gate',
      })
    expect((await leg(0, 'a=net.safetensors')).status).toBe(0)
    const part = await leg(1, 'b=b.safetensors')
    expect(part.status, part.stdout).toBe(0)
    expect(part.stdout).toContain('to be merged, 1 checkpoint not there')
    const merged = await merge(ON_FORKS)
    expect({ status: merged.status, verdict: merged.outputs.verdict }).toEqual({ status: 0, verdict: 'inconclusive' })
    expect(readReport(merged).models.map(({ name }) => name)).toEqual(['a'])
    const strict = await merge({})
    expect(strict.status).toBe(2)
    expect(annotations(strict)).toContain('A part lacks its model')
  })
})

test('a baseline that lacks a model is not published', async () => {
  const push: JobOptions = { event: 'push', sha: commits[2], runId: 9001 }
  const inputs = { checkpoint: TWO, 'missing-checkpoint': 'inconclusive', 'fail-on-inconclusive': 'false' }
  expect((await runGate(github, 'good', inputs, push)).status).toBe(0)
  expect(github.artifacts.map(({ name }) => name)).toEqual(['spectral-gate'])
})

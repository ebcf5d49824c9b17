import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { hasNoSecrets, provenance, readContext } from '../../src/github/context.ts'
import { strictReport } from '../../src/report/schema.ts'
import { GitHubDouble, sha } from '../e2e/github/double.ts'
import type { JobOptions } from '../e2e/github/job.ts'

let github: GitHubDouble
beforeAll(async () => {
  github = await GitHubDouble.start()
})
afterAll(() => github.stop())

const read = (path: string) => readFile(path, 'utf8')
const contextOf = (options: JobOptions) => readContext(github.job(options).env, read)

test.each([
  ['pull_request', 'dependabot[bot]', 'octo/net', true],
  ['pull_request', 'ada', 'octo/net', false],
  ['pull_request', 'ada', 'fork/net', true],
])('secrets in %s by %s from %s', async (event, actor, repository, expected) => {
  github.addPull({ number: 4, head: { sha: sha('head of 4'), ref: 'topic', repository } })
  expect(hasNoSecrets(await contextOf({ event, pull: 4, actor }))).toBe(expected)
})

test.each([
  ['push', 'dependabot[bot]', true],
  ['push', 'ada', false],
  ['schedule', 'dependabot[bot]', false],
])('secrets in a %s by %s', async (event, actor, expected) => {
  expect(hasNoSecrets(await contextOf({ event, actor }))).toBe(expected)
})

describe('events', () => {
  test('pull_request', async () => {
    github.addPull({ number: 3, labels: ['accept'] })
    const job = github.job({ event: 'pull_request', pull: 3, runId: 99, runAttempt: 2, actor: 'ada' })
    expect(await readContext(job.env, read)).toEqual({
      serverUrl: 'http://gate.localhost',
      apiUrl: github.apiUrl,
      repository: { owner: 'octo', name: 'net' },
      event: 'pull_request',
      sha: job.env.GITHUB_SHA,
      ref: 'refs/pull/3/merge',
      actor: 'ada',
      workflow: 'Gate',
      workflowPath: '.github/workflows/gate.yml',
      workflowRepository: 'octo/net',
      run: { id: 99, attempt: 2, url: 'http://gate.localhost/octo/net/actions/runs/99/attempts/2' },
      defaultBranch: 'main',
      pullRequest: {
        number: 3,
        headSha: sha('head of 3'),
        headRef: 'topic',
        headRepository: 'octo/net',
        fork: false,
        baseSha: sha('main'),
        baseRef: 'main',
        labels: ['accept'],
        labelled: null,
      },
      push: null,
      mergeGroup: null,
      workflowRun: null,
    })
  })

  test.each([
    ['another repository', 'eve/net', true],
    ['a deleted repository', null, true],
    ['the same repository', 'octo/net', false],
  ])('a pull request from %s', async (_, repository, fork) => {
    github.addPull({ number: 4, head: { sha: sha('x'), ref: 'topic', repository } })
    const { pullRequest } = await contextOf({ event: 'pull_request_target', pull: 4 })
    expect(pullRequest).toMatchObject({ headRepository: repository, fork })
  })

  test('push, with and without a commit before', async () => {
    github.commits.set(sha('b'), [sha('a')])
    expect((await contextOf({ event: 'push', sha: sha('b') })).push).toEqual({ before: sha('a'), forced: false })
    expect((await contextOf({ event: 'push', sha: sha('new') })).push?.before).toBe(null)
  })

  test('merge_group', async () => {
    const merge_group = {
      head_sha: sha('h'),
      head_ref: 'refs/heads/q',
      base_sha: sha('b'),
      base_ref: 'refs/heads/main',
    }
    expect((await contextOf({ event: 'merge_group', payload: { merge_group } })).mergeGroup).toEqual({
      headSha: sha('h'),
      headRef: 'refs/heads/q',
      baseSha: sha('b'),
      baseRef: 'refs/heads/main',
    })
  })

  test('workflow_run', async () => {
    const workflow_run = {
      id: 5,
      run_attempt: 2,
      event: 'pull_request',
      head_sha: sha('h'),
      head_branch: 'topic',
      head_repository: { full_name: 'eve/net', id: 2 },
      path: '.github/workflows/gate.yml@refs/heads/topic',
      actor: { login: 'eve' },
      conclusion: 'skipped',
    }
    expect((await contextOf({ event: 'workflow_run', payload: { workflow_run } })).workflowRun).toEqual({
      id: 5,
      attempt: 2,
      event: 'pull_request',
      headSha: sha('h'),
      headBranch: 'topic',
      headRepository: 'eve/net',
      workflowPath: '.github/workflows/gate.yml',
      actor: 'eve',
      conclusion: 'skipped',
    })
  })

  test.each(['schedule', 'workflow_dispatch', 'release'])('%s', async event => {
    const context = await contextOf({ event })
    expect(context).toMatchObject({ event, pullRequest: null, push: null, mergeGroup: null, workflowRun: null })
  })
})

describe('provenance', () => {
  test('fits the report, with the head of a pull request as its commit', async () => {
    const context = await contextOf({ event: 'pull_request', pull: 3 })
    const made = provenance(context, '2026-01-01T00:00:00Z')
    expect(strictReport.shape.provenance.parse(made)).toEqual(made)
    expect(made).toMatchObject({ repository: 'octo/net', commit: sha('head of 3'), event: 'pull_request' })
    const push = await contextOf({ event: 'push', sha: sha('b') })
    expect(provenance(push, '').commit).toBe(sha('b'))
  })
})

describe('what is not usable is a UserError that says what', () => {
  test.each<[string, string | undefined, RegExp]>([
    ['GITHUB_REPOSITORY', undefined, /GITHUB_REPOSITORY is not set/],
    ['GITHUB_REPOSITORY', 'octo/net/../x', /GITHUB_REPOSITORY is "octo\/net\/..\/x"/],
    ['GITHUB_RUN_ID', '-1', /GITHUB_RUN_ID/],
    ['GITHUB_RUN_ATTEMPT', '1.5', /GITHUB_RUN_ATTEMPT/],
    ['GITHUB_SHA', 'HEAD', /GITHUB_SHA/],
    ['GITHUB_API_URL', 'file:///etc/passwd', /GITHUB_API_URL/],
    ['GITHUB_EVENT_NAME', '', /GITHUB_EVENT_NAME is not set/],
    ['GITHUB_EVENT_PATH', '/does/not/exist', /"\/does\/not\/exist"\) cannot be read/],
  ])('%s = %s', async (name, value, message) => {
    const { env } = github.job({ event: 'pull_request', pull: 3 })
    const wrong = readContext({ ...env, [name]: value }, read)
    await expect(wrong).rejects.toThrow(message)
    await expect(wrong).rejects.toBeInstanceOf(UserError)
  })

  test.each<[string, unknown, RegExp]>([
    ['an array', [], /not a JSON object/],
    ['null', null, /not a JSON object/],
    ['no pull request', {}, /no usable pull_request/],
    ['a forged number', { pull_request: { number: '7; rm' } }, /pull_request.number/],
    ['a ref for a sha', { pull_request: { number: 7, head: { sha: 'main', ref: 'x' } } }, /pull_request.head.sha/],
  ])('a payload that is %s', async (_, payload, message) => {
    const { env } = github.job({ event: 'pull_request' })
    const wrong = readContext(env, async () => JSON.stringify(payload))
    await expect(wrong).rejects.toThrow(message)
    await expect(wrong).rejects.toBeInstanceOf(UserError)
  })

  test('any payload gives a context or a UserError', async () => {
    const events = fc.constantFrom('pull_request', 'push', 'merge_group', 'workflow_run', 'schedule')
    const part = fc.constantFrom('pull_request', 'merge_group', 'workflow_run', 'before', 'repository', '__proto__')
    const payload = fc.oneof(
      fc.json(),
      fc.dictionary(part, fc.jsonValue()).map(value => JSON.stringify(value)),
      fc.string(),
    )
    const { env } = github.job({ event: 'push' })
    await fc.assert(
      fc.asyncProperty(events, payload, async (event, text) => {
        const read = readContext({ ...env, GITHUB_EVENT_NAME: event }, async () => text)
        await read.catch(error => expect(error).toBeInstanceOf(UserError))
      }),
    )
  })
})

import { readFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connect, startDeadline } from '../../src/github/api.ts'
import { type BaseCommit, resolveBase } from '../../src/github/base-commit.ts'
import { readContext } from '../../src/github/context.ts'
import type { Head } from '../../src/github/git.ts'
import { GitHubDouble, sha } from '../e2e/github/double.ts'
import type { JobOptions } from '../e2e/github/job.ts'

let github: GitHubDouble
const [root, main, head, merge] = [sha('root'), sha('main'), sha('head of 7'), sha('merge of 7')]
beforeEach(async () => {
  github = await GitHubDouble.start()
  github.commits.set(main, [root]).set(head, [root]).set(merge, [main, head])
  github.branches.set('main', main)
})
afterEach(async () => {
  expect(github.problems).toEqual([])
  await github.stop()
})

async function resolve(
  job: JobOptions,
  checkedOut?: Head,
  branch?: string,
  milliseconds = 30_000,
): Promise<BaseCommit> {
  const { env } = github.job(job)
  const context = await readContext(env, path => readFile(path, 'utf8'))
  const deadline = startDeadline(milliseconds)
  try {
    const api = await connect({ token: github.token, apiUrl: github.apiUrl, deadline })
    return await resolveBase({ api, context, head: checkedOut, branch })
  } finally {
    deadline.done()
  }
}

describe('a pull request', () => {
  const job: JobOptions = { event: 'pull_request', pull: 7, sha: merge }

  test.each<[string, Head | undefined]>([
    ['with its merge commit checked out', { sha: merge, parents: [main, head] }],
    ['with nothing checked out that we see', undefined],
    ['whatever a checkout claims of its parents', { sha: merge, parents: [root, head] }],
  ])('%s: the first parent of its merge commit, as GitHub knows it', async (_, checkedOut) => {
    const found = await resolve(job, checkedOut)
    expect(found).toEqual({ branch: 'main', commit: main, from: 'merge-commit', problem: '' })
  })

  test('whose merge commit GitHub does not tell: as it was checked out', async () => {
    github.commits.delete(merge)
    const found = await resolve(job, { sha: merge, parents: [main, head] })
    expect(found).toMatchObject({ commit: main, from: 'merge-commit' })
  })

  test.each<[string, Head | undefined]>([
    ['its head checked out', { sha: head, parents: [root] }],
    ['its head checked out, a merge itself', { sha: head, parents: [main, sha('x')] }],
    ['another merge commit checked out', { sha: sha('other'), parents: [main, head] }],
  ])('with %s: the merge base', async (_, checkedOut) => {
    const found = await resolve(job, checkedOut)
    expect(found).toEqual({ branch: 'main', commit: root, from: 'merge-base', problem: '' })
  })

  test('that was merged meanwhile: where it left the base of that time', async () => {
    github.commits.set(sha('merged'), [main, head])
    github.branches.set('main', sha('merged'))
    expect(await resolve(job, { sha: head, parents: [root] })).toMatchObject({ branch: 'main', commit: root })
  })

  test('into a branch with a slash', async () => {
    github.branches.set('release/1.x', main)
    github.addPull({
      number: 8,
      head: { sha: head, ref: 'topic', repository: null },
      base: { sha: main, ref: 'release/1.x' },
    })
    expect(await resolve({ event: 'pull_request_target', pull: 8 })).toMatchObject({
      branch: 'release/1.x',
      commit: root,
    })
  })

  test('compared with another branch', async () => {
    github.branches.set('weights', sha('w')).set('island', sha('i'))
    github.commits.set(sha('w'), [main])
    expect(await resolve(job, { sha: merge, parents: [main, head] }, 'weights')).toEqual({
      branch: 'weights',
      commit: root,
      from: 'merge-base',
      problem: '',
    })
    const tip = { branch: 'island', commit: sha('i'), from: 'tip', problem: '' }
    expect(await resolve(job, undefined, 'island')).toEqual(tip)
  })

  test.each<[string, number, Record<string, string>, RegExp]>([
    [
      '403',
      403,
      {},
      /^The merge base is not known: GitHub refuses it \(403: a fault\)\. The token seems to lack the permission `contents: read`/,
    ],
    ['404', 404, {}, /^The merge base is not known: GitHub finds it not/],
    ['a long wait', 429, { 'retry-after': '999' }, /asks to wait 999 s/],
  ])('%s: the branch alone, and why', async (_, status, headers, problem) => {
    github.fault({ path: '/compare/', status, headers, times: 9 })
    const found = await resolve(job, { sha: head, parents: [root] })
    expect(found).toEqual({
      branch: 'main',
      commit: null,
      from: 'merge-base',
      problem: expect.stringMatching(problem),
    })
  })

  test('an API that never answers', async () => {
    github.fault({ path: '/compare/', hang: true, times: 9 })
    expect(await resolve(job, { sha: head, parents: [root] }, undefined, 500)).toMatchObject({
      branch: 'main',
      commit: null,
    })
  })
})

describe('other events', () => {
  test('push: what the branch was before', async () => {
    expect(await resolve({ event: 'push', sha: main })).toEqual({
      branch: 'main',
      commit: root,
      from: 'before',
      problem: '',
    })
  })

  test('push of a new branch: where it left the default branch', async () => {
    const payload = { before: '0'.repeat(40), repository: { default_branch: 'main' } }
    expect(await resolve({ event: 'push', sha: head, ref: 'refs/heads/topic', payload })).toMatchObject({
      branch: 'main',
      commit: root,
      from: 'merge-base',
    })
  })

  test('the first push ever: nothing', async () => {
    const payload = { before: '0'.repeat(40), repository: { default_branch: 'main' } }
    expect(await resolve({ event: 'push', sha: root, payload })).toEqual({
      branch: 'main',
      commit: null,
      from: 'nothing',
      problem: '',
    })
  })

  test('push to another branch: where it left the default branch, whatever was pushed before', async () => {
    const payload = { before: root, repository: { default_branch: 'main' } }
    const job = { event: 'push', sha: head, ref: 'refs/heads/topic', payload }
    expect(await resolve(job)).toMatchObject({ branch: 'main', commit: root, from: 'merge-base' })
    github.branches.set('topic', head)
    expect(await resolve(job, undefined, 'topic')).toMatchObject({ branch: 'topic', commit: root, from: 'before' })
  })

  test('merge group: where it left the branch that it goes into, not the group before it', async () => {
    const merge_group = {
      head_sha: head,
      head_ref: 'refs/heads/gh-readonly-queue/main/pr-7-x',
      base_sha: sha('a group that fails'),
      base_ref: 'refs/heads/main',
    }
    const ref = merge_group.head_ref
    expect(await resolve({ event: 'merge_group', sha: head, ref, payload: { merge_group } })).toEqual({
      branch: 'main',
      commit: root,
      from: 'merge-group',
      problem: '',
    })
  })

  test.each(['schedule', 'workflow_dispatch'])('%s: what its branch has so far', async event => {
    expect(await resolve({ event, sha: main })).toEqual({
      branch: 'main',
      commit: main,
      from: 'this-commit',
      problem: '',
    })
  })

  test('a tag: on the default branch, or nowhere', async () => {
    const tag = { event: 'push', sha: main, ref: 'refs/tags/v1' }
    expect(await resolve(tag)).toMatchObject({ branch: 'main', commit: main })
    expect(await resolve({ ...tag, payload: {} })).toMatchObject({
      branch: '',
      problem: expect.stringContaining('`baseline-branch`'),
    })
  })
})

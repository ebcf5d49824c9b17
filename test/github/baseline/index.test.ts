import { readFile } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type SearchRequest, searchBaseline } from '../../../src/github/baseline/index.ts'
import { readContext } from '../../../src/github/context.ts'
import { GitHubDouble, sha } from '../../e2e/github/double.ts'

let github: GitHubDouble
beforeEach(async () => {
  github = await GitHubDouble.start()
  github.commits.set(sha('main'), [sha('root')])
  github.commits.set(sha('head of 7'), [sha('root')])
  github.branches.set('main', sha('main'))
})
afterEach(async () => {
  expect(github.problems).toEqual([])
  await github.stop()
})

async function search(more: Partial<SearchRequest> = {}) {
  const { env, workspace } = github.job({ event: 'pull_request', pull: 7, runId: 900_000 })
  return searchBaseline({
    context: await readContext(env, path => readFile(path, 'utf8')),
    source: { kind: 'auto' },
    token: github.token,
    workspace,
    artifactName: 'baseline',
    branch: '',
    workflow: '',
    maxAge: undefined,
    ...more,
  })
}

test('asks for the merge base where nothing was checked out', async () => {
  expect(await search()).toMatchObject({ state: 'first-run', branch: 'main', wanted: sha('root') })
})

test('a run of the user’s choice, another branch, no token, no answer', async () => {
  expect(await search({ source: { kind: 'run', id: 5 } })).toMatchObject({
    state: 'expired',
    reason: expect.stringContaining('knows no run 5'),
  })
  github.branches.set('weights', sha('w'))
  expect(await search({ branch: 'weights' })).toMatchObject({ branch: 'weights', wanted: sha('w') })
  expect(await search({ token: '' })).toMatchObject({
    state: 'forbidden',
    reason: expect.stringContaining('github-token is empty'),
  })
  github.fault({ hang: true, times: 99 })
  expect(await search({ milliseconds: 300 })).toMatchObject({ state: 'unreachable' })
})

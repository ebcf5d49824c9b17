import { readFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connect, startDeadline } from '../../src/github/api.ts'
import { COMMENT_ROOM, type CommentRequest, publishComment } from '../../src/github/comment.ts'
import { readContext } from '../../src/github/context.ts'
import { GitHubDouble, sha } from '../e2e/github/double.ts'

const BOT = 'github-actions[bot]'
let github: GitHubDouble
beforeEach(async () => {
  github = await GitHubDouble.start()
  github.addPull({ number: 7 })
})
afterEach(async () => {
  expect(github.problems).toEqual([])
  await github.stop()
})

interface Options extends Partial<CommentRequest> {
  milliseconds?: number
  attempt?: number
  actor?: string
}

async function publish(body: string, runId = 100, { milliseconds, attempt = 1, actor = 'ada', ...more }: Options = {}) {
  const { env } = github.job({ event: 'pull_request', pull: 7, runId, runAttempt: attempt, actor })
  const context = await readContext(env, path => readFile(path, 'utf8'))
  const deadline = startDeadline(milliseconds)
  try {
    const api = await connect({ token: github.token, apiUrl: github.apiUrl, deadline })
    return await publishComment({ api, context, issue: 7, key: 'gate', body, ...more })
  } finally {
    deadline.done()
  }
}

const bodies = () => github.comments(7).map(({ body }) => body.split('\n\n<!--')[0])
const writes = () => github.requests.filter(({ method, path }) => method !== 'GET' && path.includes('/issues/'))

describe('one comment', () => {
  test('is created, then updated in place, and names its run in the last line', async () => {
    const first = await publish('red', 100)
    expect(first).toEqual({
      action: 'created',
      url: `http://gate.localhost/octo/net/pull/7#issuecomment-${github.comments(7)[0]!.id}`,
      warning: '',
    })
    expect(github.comments(7)[0]!.body).toMatch(/^red\n\n<!-- spectral-gate key=[0-9a-f]{16} run=100 attempt=1 -->$/)
    expect(await publish('green', 101)).toEqual({ ...first, action: 'updated' })
    expect(github.comments(7)[0]!.body).toMatch(/^green\n\n<!-- .* run=101 attempt=1 -->$/)
    expect(github.comments(7)).toHaveLength(1)
  })

  test('is not rewritten when nothing but its run has changed, nor for line ends that the web editor made', async () => {
    await publish('same\ntext', 100)
    github.comments(7)[0]!.body = github.comments(7)[0]!.body.replaceAll('\n', '\r\n')
    expect((await publish('same\ntext\n', 101)).action).toBe('unchanged')
    expect(writes()).toHaveLength(1)
  })

  test('of a newer run is left alone', async () => {
    await publish('newer', 101, { attempt: 2 })
    expect((await publish('older', 100, { attempt: 3 })).action).toBe('skipped-older')
    expect((await publish('older', 101)).action).toBe('skipped-older')
    expect(bodies()).toEqual(['newer'])
    expect((await publish('newest', 101, { attempt: 3 })).action).toBe('updated')
  })

  test('of each key', async () => {
    await publish('a', 100)
    await publish('b', 100, { key: 'other --> key' })
    await publish('c', 101)
    expect(bodies()).toEqual(['c', 'b'])
  })

  test('can tell of another run than this one', async () => {
    await publish('x', 100, { run: { id: 55, attempt: 3 } })
    expect(github.comments(7)[0]!.body).toMatch(/run=55 attempt=3 -->$/)
  })

  test('is found behind 40 pages of others, and the lowest id wins', async () => {
    for (let i = 0; i < 2000; i++) github.addComment(7, `chat ${i}`)
    await publish('first', 100)
    for (let i = 0; i < 2000; i++) github.addComment(7, `chat ${i}`)
    const ours = github.comments(7)[2000]!
    github.addComment(7, ours.body, BOT)
    expect(await publish('second', 101)).toMatchObject({
      action: 'updated',
      url: expect.stringContaining(`-${ours.id}`),
    })
    expect(github.requests.filter(({ method, path }) => method === 'GET' && path.endsWith('/comments')).length).toBe(
      20 + 21 + 41,
    )
  })
})

describe('only ours', () => {
  test("another author's copy of our marker is not ours", async () => {
    await publish('ours', 100)
    const { body } = github.comments(7)[0]!
    github.removeComment(github.comments(7)[0]!.id)
    const forged = github.addComment(7, body.replace('ours', 'forged'), 'eve')
    const other = github.addComment(7, body.replace('run=100', 'run=999999'), 'other[bot]')
    expect((await publish('ours', 101)).action).toBe('created')
    expect(github.comment(forged.id)!.body).toContain('forged')
    expect(github.comment(other.id)!.body).toContain('999999')
  })

  test('a marker that is not the last line is not one', async () => {
    await publish('ours', 100)
    const quoted = `${github.comments(7)[0]!.body}\n\nI agree`
    github.removeComment(github.comments(7)[0]!.id)
    github.addComment(7, quoted, BOT)
    expect((await publish('ours', 101)).action).toBe('created')
  })

  test.each(['gate-app[bot]', 'a-person'])('with the token of %s', async login => {
    github.login = login
    await publish('a', 100)
    await publish('b', 101)
    expect(github.comments(7)).toMatchObject([{ login, body: expect.stringContaining('b') }])
  })

  test.each([
    ['a person', 'a-person'],
    ['a bot', BOT],
  ])('on a forge without GraphQL, with the token of %s', async (_, login) => {
    github.login = login
    await publish('a', 100)
    github.fault({ path: '/graphql', status: 404 })
    expect((await publish('b', 101)).action).toBe('updated')
  })

  test('a caller who knows the author spares the question', async () => {
    await publish('a', 100)
    await publish('b', 101, { author: BOT })
    expect(github.requests.filter(({ path }) => /graphql|user/.test(path))).toEqual([])
  })
})

describe('no duplicates', () => {
  test('a 502 although the comment was created', async () => {
    github.fault({ method: 'POST', path: '/comments', status: 502, after: true })
    expect(await publish('a')).toMatchObject({ action: 'created', url: expect.stringContaining('#issuecomment-') })
    expect(bodies()).toEqual(['a'])
  })

  test('a 502, and nothing was created', async () => {
    github.fault({ method: 'POST', path: '/comments', status: 502 })
    expect((await publish('a')).action).toBe('created')
    expect(bodies()).toEqual(['a'])
  })

  test.each(['before', 'middle'] as const)('a connection cut while creating, %s the answer', async cut => {
    github.fault({ method: 'POST', path: '/comments', cut, after: true })
    expect((await publish('a')).action).toBe('created')
    expect(bodies()).toEqual(['a'])
  })

  test('a list that was cut off is not an empty list', async () => {
    await publish('a', 100)
    github.fault({ method: 'GET', path: '/comments', cut: 'middle' })
    expect((await publish('b', 101)).action).toBe('updated')
    expect(writes()).toHaveLength(2)
    expect(bodies()).toEqual(['b'])
  })

  test('two jobs at once keep the first', async () => {
    const results = await Promise.all([publish('a', 100), publish('a', 100), publish('a', 100)])
    expect(bodies()).toEqual(['a'])
    expect(results.every(({ warning }) => warning === '')).toBe(true)
  })

  test('a double that another job has removed first is gone all the same', async () => {
    await publish('a', 100)
    github.fault({ method: 'GET', path: /issues\/7\/comments$/, status: 200, body: [] })
    github.fault({ method: 'DELETE', path: '/comments', status: 404, after: true })
    expect(await publish('b', 101)).toMatchObject({ action: 'updated', warning: '' })
    expect(github.requests.filter(({ method }) => method === 'DELETE')).toHaveLength(1)
    expect(bodies()).toEqual(['b'])
  })

  test('a list that fails is asked again', async () => {
    github.fault({ method: 'GET', path: '/comments', status: 503, times: 2 })
    expect((await publish('a')).action).toBe('created')
  })
})

describe('failures are warnings', () => {
  const failed = async (body = 'a', more: Options = {}) => {
    const result = await publish(body, 100, more)
    expect(result).toMatchObject({ action: 'failed', url: '' })
    expect(result.warning).toMatch(/^The comment was not written: /)
    expect(result.warning).not.toContain(github.token)
    expect(github.comments(7)).toEqual([])
    return result.warning
  }

  test('403: the missing permission, and the lines to add', async () => {
    github.permissions = { contents: 'read' }
    expect(await failed()).toBe(
      'The comment was not written: GitHub refuses it (403: Resource not accessible by integration - https://docs.github.com/rest). ' +
        'The token seems to lack the permission `pull-requests: write`. Add to the job:\n' +
        'permissions:\n  contents: read\n  actions: read\n  pull-requests: write',
    )
  })

  test('403 on a fork', async () => {
    github.permissions = { contents: 'read' }
    github.addPull({ number: 7, head: { sha: sha('h'), ref: 'topic', repository: 'eve/net' } })
    expect(await failed()).toMatch(/from a fork a read-only token\. The verdict is in the job summary/)
  })

  test('403 for Dependabot', async () => {
    github.permissions = { contents: 'read' }
    expect(await failed('a', { actor: 'dependabot[bot]' })).toMatch(/Dependabot started a read-only token/)
  })

  test('403 on a locked conversation', async () => {
    const body = { message: 'Unable to create comment because issue is locked.', status: '403' }
    github.fault({ method: 'POST', status: 403, body })
    expect(await failed()).toMatch(
      /\(403: Unable to create comment because issue is locked\)\. The conversation is locked/,
    )
  })

  test('404', async () => {
    github.pulls.delete(7)
    github.fault({ path: '/comments', status: 404 })
    expect(await failed()).toMatch(/finds it not \(404: a fault\).*\npermissions:/)
  })

  test('401', async () => {
    github.fault({ path: '/comments', status: 401, body: { message: 'Bad credentials' } })
    expect(await failed()).toMatch(/does not accept the token/)
  })

  test('422: what GitHub says, on one line', async () => {
    github.fault({ method: 'POST', status: 422, body: { message: 'Validation\nFailed\u202e::error::x' } })
    expect(await failed()).toBe(
      'The comment was not written: GitHub does not accept it (422: Validation Failed ::error::x).',
    )
  })

  test('too long: not sent at all', async () => {
    expect(await failed('x'.repeat(COMMENT_ROOM + 1000))).toMatch(/has 66386 characters, more than 65386/)
    expect(github.requests).toEqual([])
    expect((await publish('x'.repeat(COMMENT_ROOM), 10 ** 14, { attempt: 10 ** 8 })).action).toBe('created')
    github.removeComment(github.comments(7)[0]!.id)
  })

  test('503 again and again', async () => {
    github.fault({ path: '/comments', status: 503, times: 99 })
    expect(await failed()).toMatch(/GitHub failed \(503: .*githubstatus/)
  }, 10_000)

  test('429 with a short wait is waited for, a POST too', async () => {
    github.fault({ method: 'POST', status: 429, headers: { 'retry-after': '1' } })
    expect((await publish('a')).action).toBe('created')
  })

  test.each([
    [
      '429',
      { status: 429, headers: { 'retry-after': '3600' } },
      /asks to wait 3600 s, longer than publishing may take/,
    ],
    ['429 that does not say for how long', { status: 429 }, /asks to wait 60 s/],
    [
      'a secondary rate limit',
      { status: 403, body: { message: 'You have exceeded a secondary rate limit' } },
      /to wait 60 s/,
    ],
    [
      'a used-up rate limit',
      { status: 403, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '99999999999' } },
      /asks to wait/,
    ],
  ])('%s', async (_, fault, message) => {
    github.fault({ path: '/comments', ...fault })
    expect(await failed('a', { milliseconds: 20_000 })).toMatch(message)
    expect(github.requests).toHaveLength(1)
  })

  test('an API that never answers: the deadline holds', async () => {
    github.fault({ path: '/comments', hang: true })
    const start = Date.now()
    expect(await failed('a', { milliseconds: 300 })).toBe(
      'The comment was not written: publishing took longer than 0.3 s. The verdict stands.',
    )
    expect(Date.now() - start).toBeLessThan(1500)
  })

  test('the deadline holds while it waits, too', async () => {
    github.fault({ path: '/comments', status: 503, times: 99 })
    expect(await failed('a', { milliseconds: 600 })).toMatch(/took longer than 0.6 s/)
  })

  test('nobody there', async () => {
    const other = await GitHubDouble.start()
    const { apiUrl } = other
    await other.stop()
    const deadline = startDeadline()
    const { env } = github.job({ event: 'pull_request', pull: 7 })
    const context = await readContext({ ...env, GITHUB_API_URL: apiUrl }, path => readFile(path, 'utf8'))
    const api = await connect({ token: github.token, apiUrl, deadline })
    const { warning } = await publishComment({ api, context, issue: 7, key: 'k', body: 'b' })
    deadline.done()
    expect(warning).toMatch(/the connection to 127\.0\.0\.1:\d+ failed \(connect ECONNREFUSED/)
  }, 10_000)
})

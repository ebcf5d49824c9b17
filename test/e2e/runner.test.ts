import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, request, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { annotations, eachInRepository, type nets, runGate } from './gate.ts'
import type { GitHubDouble } from './github/double.ts'
import type { JobOptions } from './github/job.ts'

let github: GitHubDouble
let commits: readonly [string, string, string, string]
eachInRepository(started => {
  ;({ github, commits } = started)
})

type Net = keyof typeof nets
type Variables = Record<string, string | undefined>
const PULL: JobOptions = { event: 'pull_request', pull: 7 }
const N = { baseline: 'none', 'fail-if': 'alpha > 2.5' }
const gate = (net: Net, inputs = {}, env: Variables = {}) => runGate(github, net, { ...N, ...inputs }, PULL, env)
const title = () => github.comments(7)[0]?.body.split(':')[0]

describe('behind a proxy', () => {
  let proxy: Server
  let seen: string[]
  const sockets = new Set<Socket>()
  beforeEach(async () => {
    seen = []
    const { port } = new URL(github.url)
    proxy = createServer((incoming, answer) => {
      const { pathname, search } = new URL(incoming.url!)
      const { method, headers } = incoming
      const out = request({ host: '127.0.0.1', port, method, path: pathname + search, headers }, response => {
        answer.writeHead(response.statusCode!, response.headers)
        response.pipe(answer)
      })
      out.on('error', () => answer.destroy())
      incoming.pipe(out)
    })
    // It alone knows where gate.test is.
    proxy.on('connect', ({ url }, socket: Socket) => {
      seen.push(url!)
      const out = connect(Number(port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        out.pipe(socket)
        socket.pipe(out)
      })
      for (const one of [socket, out]) {
        sockets.add(one)
        one.on('error', () => one.destroy())
      }
    })
    await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  })
  afterEach(() => {
    proxy.close()
    proxy.closeAllConnections()
    for (const socket of sockets) socket.destroy()
  })

  test('the API and the archive of the baseline are fetched by it', async () => {
    const rule = { 'fail-if': 'delta(alpha) > 0.2' }
    await runGate(github, 'good', rule, { event: 'push', sha: commits[2] })
    const signed = github.signedDownload.bind(github)
    github.signedDownload = artifact => signed(artifact).replace(new URL(github.url).host, 'gate.test')
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const ended = await runGate(github, 'worse', { ...rule, 'artifact-name': 'none' }, PULL, {
      ...{ GITHUB_API_URL: 'http://gate.test/api', GITHUB_GRAPHQL_URL: 'http://gate.test/api/graphql' },
      ...{ HTTP_PROXY: url, http_proxy: url, HTTPS_PROXY: url, https_proxy: url },
    })
    expect(ended.outputs).toMatchObject({ verdict: 'failed', 'baseline-state': 'exact' })
    expect(title()).toBe('### ❌ Failed')
    expect(new Set(seen)).toEqual(new Set(['gate.test:80']))
  })

  test('what NO_PROXY names is not', async () => {
    const rule = { 'fail-if': 'delta(alpha) > 0.2' }
    await runGate(github, 'good', rule, { event: 'push', sha: commits[2] })
    const none = 'http://127.0.0.1:9'
    const ended = await runGate(github, 'worse', rule, PULL, {
      ...{ HTTP_PROXY: none, http_proxy: none, NO_PROXY: '127.0.0.1,localhost', no_proxy: '127.0.0.1,localhost' },
    })
    expect(ended.outputs).toMatchObject({ verdict: 'failed', 'baseline-state': 'exact' })
  })
})

test('an artifact service that hangs leaves no green comment beside a red job', async () => {
  await gate('good')
  expect(title()).toBe('### ✅ Passed')
  github.fault({ path: 'CreateArtifact', hang: true, times: 99 })
  const ended = await gate('worse')
  expect(ended.status).toBe(1)
  expect(title()).toBe('### ❌ Failed')
  expect(annotations(ended)).toMatch(/The report was not published\..* publishing took longer than 60 s/)
}, 100_000)

describe('what the runner does not let us write never hides the verdict', () => {
  test.each<[string, Variables, RegExp | undefined]>([
    ['no GITHUB_STEP_SUMMARY', { GITHUB_STEP_SUMMARY: undefined }, /summary of the job .* can't be written/],
    [
      'a summary that is not there',
      { GITHUB_STEP_SUMMARY: '/nowhere/summary' },
      /summary of the job .* can't be written/,
    ],
    ['a summary that can’t be written', { GITHUB_STEP_SUMMARY: '/' }, /summary of the job .* can't be written/],
    ['no GITHUB_OUTPUT', { GITHUB_OUTPUT: undefined }, undefined],
    ['outputs that are not there', { GITHUB_OUTPUT: '/nowhere/output' }, /GITHUB_OUTPUT can't be written/],
    ['outputs that can’t be written', { GITHUB_OUTPUT: '/' }, /GITHUB_OUTPUT can't be written/],
    ['no RUNNER_TEMP', { RUNNER_TEMP: undefined }, undefined],
    ['a RUNNER_TEMP that can’t be made', { RUNNER_TEMP: '/proc/x' }, /The report in \/proc\/x can't be written/],
    [
      'a RUNNER_TEMP that is no folder',
      { RUNNER_TEMP: '/dev/null/x' },
      /The report in \/dev\/null\/x can't be written/,
    ],
    ['no folder at all', { RUNNER_TEMP: '/sys/x', TMPDIR: '/sys/x' }, /no folder can be written/],
    ['no HOME', { HOME: undefined }, undefined],
    ['no GITHUB_WORKSPACE', { GITHUB_WORKSPACE: undefined }, undefined],
    ['a GITHUB_WORKSPACE of the host', { GITHUB_WORKSPACE: '/home/runner/work/net/net' }, undefined],
    ['no GITHUB_ACTION, no GITHUB_JOB', { GITHUB_ACTION: undefined, GITHUB_JOB: undefined }, undefined],
    ['no GITHUB_WORKFLOW_REF', { GITHUB_WORKFLOW_REF: undefined }, undefined],
    ['no ACTIONS_RUNTIME_TOKEN', { ACTIONS_RUNTIME_TOKEN: undefined }, /has not set ACTIONS_RUNTIME_TOKEN/],
    ['no git', { PATH: '/nonexistent' }, undefined],
  ])('%s', async (_, env, warning) => {
    const ended = await gate('worse', {}, env)
    expect(ended.status).toBe(1)
    expect(annotations(ended)).toContain('::error::failed: alpha > 2.5 is true')
    if (warning) expect(annotations(ended)).toMatch(warning)
    expect(title()).toBe('### ❌ Failed')
  })

  test('nor an error', async () => {
    const ended = await gate(
      'worse',
      { checkpoint: 'nothing.pt', 'comment-key': 'x' },
      { GITHUB_STEP_SUMMARY: undefined },
    )
    expect(ended.status).toBe(2)
    expect(annotations(ended)).toContain('::error::nothing.pt: no such file')
    expect(title()).toBe('### ❌ Failed')
  })
})

describe('a refusal is told in GitHub’s own words, and then with what helps', () => {
  test.each<[string, RegExp]>([
    ['The `octo` organization has an IP allow list enabled, and your IP address is not permitted.', /on that list/],
    ['Resource protected by organization SAML enforcement.', /Authorise the token/],
    ['Repository was archived so is read-only.', /archived repository takes nothing new/],
    ['`octo` forbids access via a personal access token (classic).', /Use another token/],
    ['Unable to create comment because issue is locked.', /unlock it/],
    ['You have been blocked from commenting on this issue.', /Unblock who owns the token/],
    ['Resource not accessible by personal access token', /permission `pull-requests: write`/],
    ['Sorry. Your account was suspended.', /Use another token/],
  ])('%s', async (message, advice) => {
    github.fault({ method: 'POST', path: '/comments', status: 403, body: { message }, times: 9 })
    const ended = await gate('good')
    expect(ended.status).toBe(0)
    const told = annotations(ended)
    expect(told).toContain(`(403: ${message.replace(/\.$/, '')})`)
    expect(told.slice(told.indexOf('(403'))).toMatch(advice)
  })

  test('the permissions that are missing are told whole, with line breaks, in the log and in the comment', async () => {
    github.permissions = { contents: 'read', 'pull-requests': 'write' }
    const ended = await runGate(github, 'good', { 'fail-if': 'delta(alpha) > 0.2' }, PULL)
    const lines = ['permissions:', '  contents: read', '  actions: read', '  pull-requests: write']
    expect(annotations(ended)).toContain(lines.join('\n'))
    expect(annotations(ended)).not.toContain('\\u000a')
    expect(github.comments(7)[0]!.body).toContain(['```yaml', ...lines, '```'].map(line => `> ${line}`).join('\n'))
  })
})

test.each<[string, string, RegExp]>([
  ['back-slashes', 'out\\net.safetensors', /Write it with forward slashes: out\/net\.safetensors/],
  ['the home folder', '~/net.safetensors', /No shell reads it/],
  ['quotes', '"net.safetensors"', /Write it without quotes: net\.safetensors/],
  ['a URL', 'https://huggingface.co/a/b/resolve/main/model.safetensors', /It is a URL/],
  ['a variable', '$GITHUB_WORKSPACE/net.safetensors', /write the path, or an expression/],
  [
    'the working directory of other steps',
    'deep.safetensors',
    /working-directory does not hold for an action: write out\/deep/,
  ],
])('a path with %s gets the sentence that helps', async (_, checkpoint, hint) => {
  const prepare = ({ workspace }: { workspace: string }) => {
    mkdirSync(join(workspace, 'out'))
    for (const name of ['net', 'deep']) writeFileSync(join(workspace, 'out', `${name}.safetensors`), '')
  }
  const ended = await runGate(github, 'good', { ...N, checkpoint }, PULL, {}, { prepare })
  expect(ended.status).toBe(2)
  expect(annotations(ended)).toMatch(/no such file or folder/)
  expect(annotations(ended)).toMatch(hint)
})

import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { GitHubDouble, sha } from './double.ts'

let github: GitHubDouble
beforeEach(async () => {
  github = await GitHubDouble.start()
  vi.spyOn(process.stdout, 'write').mockReturnValue(true)
})
afterEach(async () => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  await github.stop()
})

async function toolkit() {
  vi.resetModules()
  const job = github.job({ event: 'pull_request', pull: 7 })
  for (const [name, value] of Object.entries(job.env)) vi.stubEnv(name, value)
  const { DefaultArtifactClient } = await import('@actions/artifact')
  const { getOctokit } = await import('@actions/github')
  return { job, artifacts: new DefaultArtifactClient(), octokit: getOctokit(github.token, { baseUrl: github.apiUrl }) }
}

const repo = { owner: 'octo', repo: 'net' }

describe('artifacts, with the real toolkit', () => {
  test('uploads, finds by name in the run, lists, downloads with the right hash, refuses the name again, deletes', async () => {
    const { job, artifacts, octokit } = await toolkit()
    const folder = await mkdtemp(join(job.workspace, 'up-'))
    const file = join(folder, 'report.json')
    await writeFile(file, '{"schemaVersion":1}')

    const { id, digest } = await artifacts.uploadArtifact('gate', [file], folder)
    expect(github.artifacts).toMatchObject([
      { id, name: 'gate', runId: job.workflowRun.id, digest: `sha256:${digest}` },
    ])
    await expect(artifacts.uploadArtifact('gate', [file], folder)).rejects.toThrow(/\(409\)/)

    const findBy = {
      token: github.token,
      workflowRunId: job.workflowRun.id,
      repositoryOwner: 'octo',
      repositoryName: 'net',
    }
    expect((await artifacts.getArtifact('gate', { findBy })).artifact).toMatchObject({ id, digest: `sha256:${digest}` })
    expect((await artifacts.listArtifacts()).artifacts).toHaveLength(1)
    for (const options of [{ findBy }, {}]) {
      const path = await mkdtemp(join(job.workspace, 'down-'))
      const wanted = { ...options, path, expectedHash: `sha256:${digest}` }
      expect((await artifacts.downloadArtifact(id!, wanted)).digestMismatch).toBe(false)
      expect(await readFile(join(path, 'report.json'), 'utf8')).toBe('{"schemaVersion":1}')
    }
    const { data } = await octokit.rest.actions.listArtifactsForRepo({ ...repo, name: 'gate' })
    expect(data.artifacts[0]!.workflow_run).toMatchObject({ head_sha: job.workflowRun.sha, head_branch: 'topic' })
    await artifacts.deleteArtifact('gate')
    expect(github.artifacts).toEqual([])
    await rm(folder, { recursive: true })
    expect(github.problems).toEqual([])
  })

  test('a file larger than one block arrives whole', async () => {
    const { job, artifacts } = await toolkit()
    const file = join(job.workspace, 'weights.bin')
    const bytes = Buffer.alloc(20_000_000, 1).map((_, i) => (i * 2654435761) >>> 24)
    await writeFile(file, bytes)
    const { digest } = await artifacts.uploadArtifact('x', [file], job.workspace, { skipArchive: true })
    expect(digest).toBe(createHash('sha256').update(bytes).digest('hex'))
    expect(github.artifacts[0]!.zip.equals(bytes)).toBe(true)
    expect(github.requests.filter(({ query }) => query.comp === 'block').length).toBeGreaterThan(1)
    expect(github.problems).toEqual([])
  })

  test('an expired artifact is gone', async () => {
    const { job, octokit } = await toolkit()
    const { id } = github.addArtifact('gate', job.workflowRun.id, Buffer.from('zip'))
    github.artifacts[0]!.expired = true
    const wanted = { ...repo, artifact_id: id, archive_format: 'zip' }
    await expect(octokit.rest.actions.downloadArtifact(wanted)).rejects.toMatchObject({ status: 410 })
    expect(github.problems).toEqual([])
  })
})

describe('a job', () => {
  test('runs a script with its inputs, and keeps what it wrote', async () => {
    const job = github.job({ event: 'push' })
    const script = join(job.workspace, 'main.mjs')
    await writeFile(
      script,
      `import { appendFileSync } from 'node:fs'
       appendFileSync(process.env.GITHUB_OUTPUT, 'a=1\\nb<<EOF\\nx\\n\\ny=2\\nEOF\\nc<<E\\nE\\n')
       appendFileSync(process.env.GITHUB_STEP_SUMMARY, '# done')
       console.log(process.env['INPUT_FAIL-IF'], process.cwd() === process.env.GITHUB_WORKSPACE)
       process.exitCode = 3`,
    )
    expect(await job.run(script, { 'fail-if': 'alpha > 6' })).toEqual({
      status: 3,
      stdout: 'alpha > 6 true\n',
      stderr: '',
    })
    expect(job.outputs()).toEqual({ a: '1', b: 'x\n\ny=2', c: '' })
    expect(job.summary()).toBe('# done')
  })
})

describe('the REST API, with the real client', () => {
  test('comments: create, list over pages, update, delete', async () => {
    const { octokit } = await toolkit()
    for (let i = 0; i < 205; i++) github.addComment(7, `comment ${i}`)
    const { data } = await octokit.rest.issues.createComment({ ...repo, issue_number: 7, body: 'ours' })
    expect(data.user).toMatchObject({ login: 'github-actions[bot]', type: 'Bot' })
    await octokit.rest.issues.updateComment({ ...repo, comment_id: data.id, body: 'changed' })
    const all = await octokit.paginate(octokit.rest.issues.listComments, { ...repo, issue_number: 7, per_page: 100 })
    expect(all).toHaveLength(206)
    expect(all.at(-1)!.body).toBe('changed')
    await octokit.rest.issues.deleteComment({ ...repo, comment_id: data.id })
    expect(github.comments(7)).toHaveLength(205)
    expect(github.problems).toEqual([])
  })

  test('refuses a comment that is too long and a write without permission, as GitHub does', async () => {
    const { octokit } = await toolkit()
    const write = (body: string) => octokit.rest.issues.createComment({ ...repo, issue_number: 7, body })
    await expect(write('x'.repeat(65_537))).rejects.toMatchObject({
      status: 422,
      message: expect.stringContaining('too long'),
    })
    github.permissions = { contents: 'read' }
    await expect(write('x')).rejects.toMatchObject({ status: 403 })
    await expect(octokit.rest.actions.listArtifactsForRepo(repo)).rejects.toMatchObject({ status: 403 })
    expect(github.comments(7)).toEqual([])
    expect(github.problems).toEqual([])
  })

  test('pulls, runs, commits, comparisons, labels and who may write', async () => {
    const { job, octokit } = await toolkit()
    const [root, main, head] = [sha('root'), sha('main'), sha('head')]
    github.commits.set(main, [root]).set(head, [root])
    github.branches.set('main', main)
    const pull = github.pulls.get(7)!
    pull.labels.push('accept')
    expect((await octokit.rest.pulls.get({ ...repo, pull_number: 7 })).data.head.sha).toBe(pull.head.sha)
    expect((await octokit.rest.pulls.list({ ...repo, head: 'octo:topic' })).data).toHaveLength(1)
    expect((await octokit.rest.actions.getWorkflowRun({ ...repo, run_id: job.workflowRun.id })).data.event).toBe(
      'pull_request',
    )
    expect((await octokit.rest.repos.listCommits({ ...repo, sha: 'main' })).data.map(c => c.sha)).toEqual([main, root])
    const basehead = `main...${head}`
    const { data } = await octokit.rest.repos.compareCommitsWithBasehead({ ...repo, basehead })
    expect(data).toMatchObject({ status: 'diverged', ahead_by: 1, merge_base_commit: { sha: root } })
    expect((await octokit.rest.issues.listLabelsOnIssue({ ...repo, issue_number: 7 })).data).toMatchObject([
      { name: 'accept' },
    ])
    github.collaborators.set('ada', 'write')
    const permission = await octokit.rest.repos.getCollaboratorPermissionLevel({ ...repo, username: 'ada' })
    expect(permission.data.permission).toBe('write')
    github.events.push({ issue: 7, event: { event: 'labeled', label: { name: 'accept' }, actor: { login: 'ada' } } })
    expect((await octokit.rest.issues.listEvents({ ...repo, issue_number: 7 })).data).toMatchObject([
      { actor: { login: 'ada' } },
    ])
    await expect(octokit.rest.users.getAuthenticated()).rejects.toMatchObject({ status: 403 })
    expect(await octokit.graphql('query { viewer { login } }')).toEqual({ viewer: { login: 'github-actions[bot]' } })
    expect(github.problems).toEqual([])
  })

  test.each<[string, string, RequestInit, RegExp]>([
    ['an unknown route', '/api/repos/octo/net/hooks', {}, /hooks: an unknown route/],
    ['an unknown service', '/twirp/x.Y/Z', { method: 'POST', body: '{}' }, /an unknown route/],
    ['a wrong token', '/api/user', { headers: { authorization: 'token other' } }, /a wrong token/],
    ['no token', '/api/user', { headers: {} }, /a wrong token/],
    [
      'a wrong runtime token',
      '/twirp/github.actions.results.api.v1.ArtifactService/ListArtifacts',
      { method: 'POST', body: '{}' },
      /wrong runtime/,
    ],
    ['a body that is no JSON', '/api/repos/octo/net/issues/7/comments', { method: 'POST', body: '{' }, /not JSON/],
    [
      'a malformed body',
      '/api/repos/octo/net/issues/7/comments',
      { method: 'POST', body: '{"body":1}' },
      /must be string/,
    ],
    [
      'an unknown field',
      '/api/repos/octo/net/issues/7/comments',
      { method: 'POST', body: '{"body":"","x":1}' },
      /unknown field x/,
    ],
    ['no body', '/api/repos/octo/net/issues/7/comments', { method: 'POST' }, /body/],
    ['an unknown parameter', '/api/repos/octo/net/issues/7/comments?size=3', {}, /unknown parameter size/],
    ['a parameter of the wrong type', '/api/repos/octo/net/issues/7/comments?page=x', {}, /must be integer/],
    ['an unsigned blob', '/blob/1.zip', { method: 'PUT', body: 'x' }, /wrong signature/],
  ])('records %s as a problem', async (_, path, init, problem) => {
    await fetch(github.url + path, { headers: { authorization: `token ${github.token}` }, ...init })
    expect(github.problems).toEqual([expect.stringMatching(problem)])
  })
})

describe('faults', () => {
  const post = () =>
    fetch(`${github.apiUrl}/repos/octo/net/issues/7/comments`, {
      method: 'POST',
      headers: { authorization: `token ${github.token}` },
      body: '{"body":"x"}',
      signal: AbortSignal.timeout(200),
    })

  test('strike as often as asked, before or after the deed', async () => {
    github.addPull({ number: 7 })
    github.fault({ method: 'POST', path: '/comments', status: 502, times: 2 })
    github.fault({ path: /comments$/, status: 429, headers: { 'retry-after': '3' }, after: true })
    expect([(await post()).status, (await post()).status]).toEqual([502, 502])
    expect(github.comments(7)).toHaveLength(0)
    const late = await post()
    expect([late.status, late.headers.get('retry-after')]).toEqual([429, '3'])
    expect(github.comments(7)).toHaveLength(1)
    expect((await post()).status).toBe(201)
    expect(github.requests.map(({ status }) => status)).toEqual([502, 502, 429, 201])
  })

  test('cut the connection, or never answer', async () => {
    github.addPull({ number: 7 })
    github.fault({ cut: 'before' })
    await expect(post()).rejects.toThrow('fetch failed')
    expect(github.comments(7)).toHaveLength(0)
    github.fault({ cut: 'middle' })
    await expect(post().then(answer => answer.text())).rejects.toThrow('terminated')
    github.fault({ hang: true, after: true })
    await expect(post()).rejects.toThrow('timeout')
    expect(github.comments(7)).toHaveLength(2)
  })
})

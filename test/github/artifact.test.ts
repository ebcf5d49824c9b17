import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startDeadline } from '../../src/github/api.ts'
import { type ArtifactRequest, uploadArtifact } from '../../src/github/artifact.ts'
import { readContext } from '../../src/github/context.ts'
import { GitHubDouble } from '../e2e/github/double.ts'
import type { JobOptions } from '../e2e/github/job.ts'

let github: GitHubDouble
beforeEach(async () => {
  github = await GitHubDouble.start()
  vi.spyOn(process.stdout, 'write').mockReturnValue(true)
})
afterEach(async () => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  expect(github.problems).toEqual([])
  await github.stop()
})

async function upload(more: Partial<ArtifactRequest> = {}, job: Partial<JobOptions> = {}, milliseconds = 60_000) {
  const { env, workspace } = github.job({ event: 'push', runId: 50, ...job })
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  const file = join(workspace, 'report.json')
  await writeFile(file, '{}')
  const context = await readContext(env, path => readFile(path, 'utf8'))
  const deadline = startDeadline(milliseconds)
  const result = await uploadArtifact({ name: 'gate', files: [file], root: workspace, context, deadline, env, ...more })
  deadline.done()
  return result
}

test('uploads the files', async () => {
  const result = await upload()
  const [artifact] = github.artifacts
  expect(result).toEqual({
    id: artifact!.id,
    url: `http://gate.localhost/octo/net/actions/runs/50/artifacts/${artifact!.id}`,
    digest: artifact!.digest.replace('sha256:', ''),
    warning: '',
    taken: false,
  })
  expect(artifact).toMatchObject({ name: 'gate', runId: 50 })
})

test('a name that this run has already: each job of a matrix needs its own; a second attempt does not', async () => {
  await upload()
  expect(await upload()).toMatchObject({
    id: null,
    taken: true,
    warning: expect.stringMatching(/this run has one named "gate" already/),
  })
  expect((await upload({}, { runAttempt: 2 })).warning).toBe('')
})

test.each(['', 'a/b', 'a:b', 'a\nb', 'x'.repeat(300)])('a name that is not possible: %j', async name => {
  expect((await upload({ name })).warning).toMatch(/^The artifact was not uploaded: the name ".*" is not possible/)
  expect(github.requests).toEqual([])
})

test.each(['https://git.example.com', 'https://codeberg.org', 'https://github.com.evil.example'])(
  '%s',
  async serverUrl => {
    const { warning } = await upload({}, { serverUrl })
    expect(warning).toContain(`does not upload to ${new URL(serverUrl).hostname}`)
    expect(warning).toContain('- uses: actions/upload-artifact@v3')
    expect(warning).toContain("outputs.report-json }}' }")
    expect(github.requests).toEqual([])
  },
)

test('outside of an action', async () => {
  expect((await upload({ env: {} })).warning).toMatch(/the runner has not set ACTIONS_RESULTS_URL/)
})

test('a quota that is used up', async () => {
  github.fault({ path: 'CreateArtifact', status: 403, body: { code: 'x', msg: 'insufficient usage' } })
  expect((await upload()).warning).toMatch(/storage quota has been hit/)
})

test('a file that is not there', async () => {
  expect((await upload({ files: ['/does/not/exist'] })).warning).toMatch(
    /not uploaded: File .*does\/not\/exist does not exist/,
  )
})

test('a service that never answers: the deadline holds', async () => {
  github.fault({ path: 'CreateArtifact', hang: true })
  expect((await upload({}, {}, 500)).warning).toBe(
    'The artifact was not uploaded: publishing took longer than 0.5 s. The verdict stands.',
  )
})

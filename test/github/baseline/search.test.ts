import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { resolveSettings } from '../../../src/config/settings.ts'
import { connect, startDeadline } from '../../../src/github/api.ts'
import { uploadArtifact } from '../../../src/github/artifact.ts'
import type { BaseCommit } from '../../../src/github/base-commit.ts'
import { baselineOfRun, findBaseline } from '../../../src/github/baseline/search.ts'
import type { Baseline, BaselineRequest } from '../../../src/github/baseline/types.ts'
import { readContext } from '../../../src/github/context.ts'
import { limits } from '../../../src/limits.ts'
import { SUMMARY_METRICS } from '../../../src/report/columns.ts'
import { serialiseReport } from '../../../src/report/io.ts'
import type { Report } from '../../../src/report/schema.ts'
import { type Entry, makeZip } from '../../checkpoint/torch/build.ts'
import { type Artifact, GitHubDouble, type Run, sha } from '../../e2e/github/double.ts'
import { layer, model } from '../../support/models.ts'

const NAME = 'spectral-gate-baseline-gate-0123456789abcdef'
const DAY = 86_400_000
/** The base and the commits before it: `history[3]` is three before the base. */
const history = Array.from({ length: 150 }, (_, i) => sha(`main-${i}`))
const base: BaseCommit = { branch: 'main', commit: history[0]!, from: 'merge-commit', problem: '' }

let github: GitHubDouble
beforeEach(async () => {
  github = await GitHubDouble.start()
  history.forEach((commit, i) => {
    github.commits.set(commit, [history[i + 1] ?? sha('root'), sha(`merged-${i}`)])
  })
  github.branches.set('main', history[0]!)
})
afterEach(async () => {
  expect(github.problems).toEqual([])
  await github.stop()
})

function report(alpha = 2): Report {
  return {
    schemaVersion: 1,
    tool: { name: 'spectral-gate', version: '0.1.0' },
    options: resolveSettings({}).options,
    models: [model('net', [layer('a', alpha)])],
  }
}

function zipped(content: string | Buffer = serialiseReport(report()), more: Partial<Entry> = {}): Buffer {
  return makeZip([{ name: 'report.json', data: Buffer.from(content), method: 8, ...more }])
}

interface Published {
  run?: Partial<Run>
  zip?: Buffer
  name?: string
  created?: string
}

/** A run that published a baseline for a commit. */
function publish(commit: string, { run, zip = zipped(), name = NAME, created }: Published = {}): Artifact {
  const id = run?.id ?? github.nextId()
  github.runs.set(id, {
    id,
    attempt: 1,
    event: 'push',
    branch: 'main',
    sha: commit,
    path: '.github/workflows/gate.yml',
    headRepositoryId: github.repositoryId,
    ...run,
  })
  const artifact = github.addArtifact(name, id, zip)
  if (created) artifact.created = created
  return artifact
}

async function context() {
  const { env } = github.job({ event: 'pull_request', pull: 7, runId: 900_000 })
  return readContext(env, path => readFile(path, 'utf8'))
}

type Options = Partial<Omit<BaselineRequest, 'api' | 'context'>> & { milliseconds?: number }

async function find({ milliseconds = 30_000, ...more }: Options = {}): Promise<Baseline> {
  const deadline = startDeadline(milliseconds)
  try {
    const api = await connect({ token: github.token, apiUrl: github.apiUrl, deadline })
    return await findBaseline({ api, context: await context(), base, artifactName: NAME, ...more })
  } finally {
    deadline.done()
  }
}

const paths = (part: string) => github.requests.filter(({ path }) => path.includes(part))

describe('a baseline is found', () => {
  test('exact: of the base itself, with no look at other commits', async () => {
    publish(history[1]!)
    const { id, runId } = publish(history[0]!, { created: new Date(Date.now() - 3.5 * DAY).toISOString() })
    const found = await find()
    expect(found).toMatchObject({
      state: 'exact',
      branch: 'main',
      wanted: history[0],
      commit: history[0],
      distance: 0,
      run: { id: runId, url: `http://gate.localhost/octo/net/actions/runs/${runId}` },
      artifact: { id, name: NAME },
      ageSeconds: expect.closeTo(302_400, -2),
      report: report(),
      reason: `Compared with the baseline of commit ${history[0]!.slice(0, 7)} (run ${runId}), 3 days old.`,
      history: [],
    })
    expect(paths('/commits')).toHaveLength(0)
  })

  test.each([1, 3, 100])('ancestor: %i commits before it, along first parents only', async distance => {
    publish(sha('merged-0'))
    publish(history[distance]!)
    expect(await find()).toMatchObject({
      state: 'ancestor',
      commit: history[distance],
      distance,
      reason: expect.stringContaining(
        `${distance} commit${distance === 1 ? '' : 's'} before ${history[0]!.slice(0, 7)}`,
      ),
    })
  })

  test('the nearest ancestor wins, not the newest artifact', async () => {
    publish(history[2]!)
    publish(history[7]!)
    expect(await find()).toMatchObject({ state: 'ancestor', distance: 2 })
  })

  test('further back than commits are looked through one by one', async () => {
    publish(history[121]!)
    publish(history[120]!)
    expect(await find()).toMatchObject({ state: 'ancestor', commit: history[120], distance: 240 })
  })

  test('degraded: the newest of the branch that is older than this run, and it says so', async () => {
    const tip = sha('tip')
    github.commits.set(tip, [history[0]!])
    github.branches.set('main', tip)
    const { runId } = publish(tip)
    publish(sha('elsewhere'))
    publish(sha('later'), { run: { id: 900_001 } })
    expect(await find()).toMatchObject({
      state: 'degraded',
      commit: tip,
      run: { id: runId },
      reason: expect.stringMatching(
        /newest baseline of the branch main instead of the right one.*may differ by more.*1, made of a commit that is not on the branch/,
      ),
    })
    expect((await find()).distance).toBeUndefined()
  })

  test('degraded: the base is not known', async () => {
    publish(history[0]!)
    const unknown = { ...base, commit: null, problem: 'The merge base is not known: 403.' }
    expect(await find({ base: unknown })).toMatchObject({
      state: 'degraded',
      reason: expect.stringContaining('The merge base is not known: 403.'),
    })
  })

  test('of two artifacts for one commit the newest, though it is of an older run’s second attempt', async () => {
    const first = publish(history[0]!, { run: { id: 50 }, zip: zipped(serialiseReport(report(2))) })
    publish(history[0]!, { run: { id: 60 }, zip: zipped(serialiseReport(report(3))) })
    const again = publish(history[0]!, { run: { id: 50, attempt: 2 }, zip: zipped(serialiseReport(report(4))) })
    expect(again.id).toBeGreaterThan(first.id)
    const found = await find()
    expect(found).toMatchObject({ state: 'exact', artifact: { id: again.id } })
    expect(found.report!.models[0]!.summary.alpha).toBe(4)
  })

  test('on the second page, behind a hundred of other commits', async () => {
    const wanted = publish(history[0]!)
    for (let i = 0; i < 150; i++) publish(sha(`other-${i}`))
    expect(await find()).toMatchObject({ state: 'exact', artifact: { id: wanted.id } })
    expect(paths('/actions/artifacts').filter(({ query }) => query.page)).toHaveLength(2)
  })

  test('a merge queue’s run counts for the commit that it became', async () => {
    const run = { event: 'merge_group', branch: 'gh-readonly-queue/main/pr-7-abc' }
    publish(sha('dropped'), { run })
    expect(await find()).toMatchObject({ state: 'first-run' })
    publish(history[0]!, { run })
    expect(await find()).toMatchObject({ state: 'exact' })
  })

  test('what an earlier attempt of this very run published does not count', async () => {
    publish(history[0]!, { run: { id: 900_000 } })
    expect(await find()).toMatchObject({ state: 'first-run' })
  })

  test('of another workflow, if asked for', async () => {
    publish(history[0]!, { run: { path: '.github/workflows/train.yml@refs/heads/main' } })
    const without = await find()
    expect(without).toMatchObject({ state: 'first-run' })
    expect(without.reason).toMatch(
      /Not trusted: 1, made by another workflow, \.github\/workflows\/train\.yml \(`baseline-/,
    )
    expect(await find({ workflowPath: '.github/workflows/train.yml' })).toMatchObject({ state: 'exact' })
  })
})

test('what the official toolkit uploads in a push can be read in a pull request', async () => {
  const text = serialiseReport(report(3))
  const { env, workspace, workflowRun } = github.job({ event: 'push', sha: history[0]! })
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  vi.spyOn(process.stdout, 'write').mockReturnValue(true)
  const file = join(workspace, 'report.json')
  await writeFile(file, text)
  const deadline = startDeadline()
  const context = await readContext(env, path => readFile(path, 'utf8'))
  const uploaded = await uploadArtifact({ name: NAME, files: [file], root: workspace, context, deadline, env })
  deadline.done()
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  expect(uploaded.warning).toBe('')
  expect(await find()).toMatchObject({ state: 'exact', run: { id: workflowRun.id }, report: report(3) })
})

describe('there is none', () => {
  test('first-run', async () => {
    publish(history[0]!, { name: 'spectral-gate-baseline-other-0123456789abcdef' })
    expect(await find()).toEqual({
      state: 'first-run',
      branch: 'main',
      wanted: history[0],
      history: [],
      reason: expect.stringMatching(/^There is no baseline on the branch main yet .* publishes one\.$/),
    })
  })

  test.each<[string, Partial<Run>, RegExp]>([
    ['a fork', { headRepositoryId: 90_008 }, /Not trusted: 1, made by a fork/],
    ['another branch', { branch: 'topic' }, /made on another branch/],
    ['a branch that looks like a queue’s', { branch: 'gh-readonly-queue/main/x' }, /made on another branch/],
    ['a pull request', { event: 'pull_request' }, /made by the event pull_request/],
    ['an event that anybody can cause', { event: 'issue_comment' }, /made by the event issue_comment/],
    ['another workflow', { path: '.github/workflows/evil.yml' }, /made by another workflow/],
  ])('what %s published is not believed', async (_, run, reason) => {
    publish(history[0]!, { run })
    expect(await find()).toMatchObject({ state: 'first-run', reason: expect.stringMatching(reason) })
    expect(paths('/zip')).toHaveLength(0)
  })

  test('a poisoned artifact of a fork, newer and for the same commit, changes nothing', async () => {
    const { id } = publish(history[0]!)
    for (let i = 0; i < 120; i++) {
      publish(history[0]!, { run: { headRepositoryId: 90_008 }, zip: zipped(serialiseReport(report(99))) })
    }
    expect(await find()).toMatchObject({ state: 'exact', artifact: { id } })
    expect(paths('/actions/runs/').filter(({ path }) => !path.endsWith('/artifacts'))).toHaveLength(1)
  })

  test('a tag that is called like the branch is none: its commit is not on the branch', async () => {
    github.commits.set(sha('evil'), [history[0]!])
    publish(sha('evil'))
    expect(await find()).toMatchObject({ state: 'first-run', reason: expect.stringContaining('not on the branch') })
  })

  test('two gates of one run that published under one name: whose it is can’t be told', async () => {
    const { runId } = publish(history[0]!)
    github.addArtifact(`${NAME}-twice`, runId, zipped())
    expect(await find()).toMatchObject({ state: 'invalid', reason: expect.stringContaining('`baseline-key`') })
  })

  test('a fork’s run that the list takes for ours is found out', async () => {
    const { runId } = publish(history[0]!)
    const poisoned = github.runs.get(runId)!
    // The list says one thing, the run another.
    github.fault({
      path: `/actions/runs/${runId}`,
      status: 200,
      body: { ...runBody(poisoned), head_repository: { id: 5 } },
    })
    expect(await find()).toMatchObject({ state: 'first-run', reason: expect.stringContaining('made by a fork') })
  })

  test('a forge whose list tells neither branch nor repository: the run decides', async () => {
    const ours = publish(history[0]!)
    const fork = publish(history[0]!, { run: { headRepositoryId: 90_008 } })
    const artifacts = [ours, fork].map(({ id, runId }) => ({
      ...{ id, name: NAME, size_in_bytes: 9, expired: false, created_at: null },
      workflow_run: { id: runId, head_sha: history[0] },
    }))
    github.fault({ path: '/actions/artifacts', status: 200, body: { total_count: 2, artifacts } })
    const found = await find()
    expect(found).toMatchObject({ state: 'exact', artifact: { id: ours.id } })
    expect(found.ageSeconds).toBeUndefined()
  })

  test('expired, by the list', async () => {
    publish(history[0]!).expired = true
    expect(await find()).toMatchObject({
      state: 'expired',
      commit: history[0],
      reason: expect.stringMatching(
        /has expired, and there is no other\. A run of this workflow on main .* publishes one/,
      ),
    })
  })

  test('expired, by the answer 410', async () => {
    publish(history[0]!)
    github.fault({ path: '/zip', status: 410, body: { message: 'Artifact has expired' } })
    const found = await find()
    expect(found).toMatchObject({ state: 'expired' })
    expect(found.report).toBeUndefined()
  })

  test('an expired one is stepped over to an older one, and is told of', async () => {
    publish(history[3]!)
    publish(history[0]!).expired = true
    expect(await find()).toMatchObject({
      state: 'ancestor',
      distance: 3,
      reason: expect.stringContaining(`The one of commit ${history[0]!.slice(0, 7)}`),
    })
  })

  test('older than it may be', async () => {
    publish(history[0]!, { created: new Date(Date.now() - 31 * DAY).toISOString() })
    expect(await find({ maxAge: (30 * DAY) / 1000 })).toMatchObject({
      state: 'expired',
      reason: expect.stringContaining('is older than `baseline-max-age` allows'),
    })
    expect(await find({ maxAge: (32 * DAY) / 1000 })).toMatchObject({ state: 'exact' })
  })

  test('forbidden: the token lacks actions: read', async () => {
    publish(history[0]!)
    github.permissions = { contents: 'read' }
    expect(await find()).toMatchObject({
      state: 'forbidden',
      reason: expect.stringMatching(
        /lack the permission `actions: read`\. Add to the job:\npermissions:\n {2}contents: read\n {2}actions: read\n/,
      ),
    })
  })

  test.each(['/actions/runs/', '/zip'])('forbidden: 403 on %s', async path => {
    publish(history[0]!)
    github.fault({ path, status: 403, body: { message: 'Resource not accessible by integration' } })
    expect(await find()).toMatchObject({ state: 'forbidden', reason: expect.stringContaining('actions: read') })
  })

  test('the commits may not be read: whether the newest is of the branch is not known', async () => {
    publish(history[1]!)
    github.permissions = { actions: 'read' }
    expect(await find()).toMatchObject({ state: 'forbidden', reason: expect.stringContaining('`contents: read`') })
  })

  test('GitHub does not know the base any more', async () => {
    publish(history[120]!)
    github.fault({ path: '/commits', status: 404, body: { message: 'No commit found for SHA' } })
    github.fault({ path: `...${history[0]}`, status: 404, body: { message: 'Not Found' } })
    expect(await find()).toMatchObject({
      state: 'degraded',
      reason: expect.stringContaining('finds it not (404: No commit found for SHA)'),
    })
  })

  test('a list that strangers have filled hides no baseline of a commit near by, and is no first run', async () => {
    publish(history[3]!)
    const fork = publish(sha('x'), { run: { headRepositoryId: 90_008 } })
    for (let i = 1; i < 1000; i++) github.addArtifact(NAME, fork.runId, fork.zip)
    publish(history[1]!, { run: { headRepositoryId: 90_008 } })
    expect(await find()).toMatchObject({ state: 'ancestor', commit: history[3], distance: 3 })
    expect(paths('/actions/runs/')).toHaveLength(3)
    github.artifacts.splice(
      github.artifacts.findIndex(({ runId }) => github.runs.get(runId)!.sha === history[3]!),
      1,
    )
    expect(await find()).toMatchObject({
      state: 'unreachable',
      reason: expect.stringMatching(
        /Not trusted: 1000, made by a fork\. More artifacts have this name than are looked at\.$/,
      ),
    })
  })

  test('a workflow that was renamed: the newest of the branch is found behind those of its old name', async () => {
    const run = { path: '.github/workflows/old.yml' }
    for (const commit of history.slice(0, 60).reverse()) publish(commit, { run })
    expect(await find()).toMatchObject({
      state: 'unreachable',
      reason: expect.stringContaining('another workflow, .github/workflows/old.yml'),
    })
    publish(history[130]!)
    expect(await find()).toMatchObject({ state: 'ancestor', commit: history[130] })
    expect(paths('/actions/runs/').length).toBeLessThan(100)
  })

  test('disabled: 404', async () => {
    github.fault({ path: '/actions/artifacts', status: 404, body: { message: 'Not Found' } })
    expect(await find()).toMatchObject({
      state: 'disabled',
      reason: expect.stringMatching(/there are no artifacts here.*\(404\).*committed report/),
    })
  })

  test('the branch is not known', async () => {
    expect(await find({ base: { ...base, branch: '', problem: 'Set it.' } })).toMatchObject({
      state: 'disabled',
      reason: 'Set it.',
    })
  })
})

function runBody(run: Run): object {
  return {
    id: run.id,
    event: run.event,
    path: run.path,
    head_branch: run.branch,
    head_sha: run.sha,
    repository: { id: github.repositoryId },
    head_repository: { id: run.headRepositoryId },
  }
}

describe('invalid', () => {
  const members = (...names: string[]) => makeZip(names.map(name => ({ name, data: Buffer.from('{}') })))

  test.each<[string, () => Buffer, RegExp]>([
    ['no zip', () => Buffer.from('<html>'), /is not a readable zip/],
    ['an empty archive', () => Buffer.alloc(0), /is not a readable zip/],
    ['a zip bomb', () => zipped(Buffer.alloc(64 << 20)), /claims to inflate from \d+ to 67108864 bytes/],
    [
      'a zip bomb that lies',
      () => zipped(Buffer.alloc(64 << 20), { size: 1000 }),
      /inflates to more than its 1000 bytes/,
    ],
    ['a member too large', () => zipped('{}', { size: limits.report.bytes + 1 }), /more than|overlaps/],
    ['a wrong checksum', () => zipped('{}', { crc: 1 }), /CRC-32/],
    ['two files', () => members('report.json', 'x'), /has to hold report\.json alone, but has "report\.json", "x"/],
    ['another file', () => members('../../report.json'), /invalid relative path/],
    ['no file', () => members(), /but has nothing/],
    ['no JSON', () => zipped('{'), /report\.json: is not valid JSON/],
    ['another JSON', () => zipped('{"a":1}'), /not a report of Spectral Gate/],
    ['a newer schema', () => zipped('{"schemaVersion":2}'), /newer version \(schema 2\)\. Use the same version/],
  ])('%s', async (_, zip, reason) => {
    publish(history[1]!)
    publish(history[0]!, { zip: zip() })
    const found = await find()
    expect(found).toMatchObject({ state: 'invalid', commit: history[0], reason: expect.stringMatching(reason) })
    expect(found.reason).toMatch(/^The baseline of commit [0-9a-f]{7} \(run \d+\) cannot be used: [^\n]+$/)
    expect(found.report).toBeUndefined()
  })

  test('another hash than GitHub has on record', async () => {
    publish(history[0]!).digest = `sha256:${'0'.repeat(64)}`
    expect(await find()).toMatchObject({ state: 'invalid', reason: expect.stringContaining('do not have the hash') })
  })

  test('a hash of a kind that is not known', async () => {
    publish(history[0]!).digest = 'md5:0123'
    expect(await find()).toMatchObject({ state: 'invalid' })
  })

  test('an archive larger than allowed is not fetched', async () => {
    const artifact = publish(history[0]!)
    Object.defineProperty(artifact.zip, 'length', { value: limits.github.archiveBytes + 1 })
    expect(await find()).toMatchObject({ state: 'invalid', reason: expect.stringContaining('bytes or more') })
    expect(paths('/zip')).toHaveLength(0)
  })

  test('an archive that turns out larger than the list says is not read to its end', async () => {
    publish(history[0]!)
    github.fault({ path: '/blob/', status: 200, body: Buffer.alloc(limits.github.archiveBytes + 1) })
    expect(await find()).toMatchObject({ state: 'invalid', reason: expect.stringContaining('bytes or more') })
  })
})

describe('GitHub fails', () => {
  test('and recovers: 502, 429, cut connections, an expired signature', async () => {
    publish(history[0]!)
    github.fault({ path: '/actions/artifacts', status: 502 })
    github.fault({ path: '/actions/artifacts', status: 429, headers: { 'retry-after': '0' } })
    github.fault({ path: '/actions/runs/', cut: 'before' })
    github.fault({ path: '/zip', cut: 'before' })
    github.fault({ path: '/blob/', cut: 'middle' })
    github.fault({ path: '/blob/', status: 403 })
    expect(await find()).toMatchObject({ state: 'exact' })
    expect(paths('/blob/')).toHaveLength(3)
  })

  test('in the middle of the archive, each time', async () => {
    publish(history[0]!)
    github.fault({ path: '/blob/', cut: 'middle', times: 9 })
    expect(await find()).toMatchObject({
      state: 'unreachable',
      reason: expect.stringMatching(/connection to the store of artifacts failed .*Run the job again/),
    })
    expect(paths('/blob/')).toHaveLength(3)
  })

  test('and asks to wait for too long', async () => {
    github.fault({ path: '/actions/artifacts', status: 429, headers: { 'retry-after': '3600' }, times: 9 })
    expect(await find()).toMatchObject({ state: 'unreachable', reason: expect.stringContaining('asks to wait 3600 s') })
    expect(paths('/actions/artifacts')).toHaveLength(1)
  })

  test.each(['/actions/artifacts', '/actions/runs/', '/zip', '/blob/'])('and never answers %s', async path => {
    publish(history[0]!)
    github.fault({ path, hang: true, times: 99 })
    const start = Date.now()
    expect(await find({ milliseconds: 700 })).toMatchObject({
      state: 'unreachable',
      reason: expect.stringContaining('did not answer in time'),
    })
    expect(Date.now() - start).toBeLessThan(3000)
  })

  test('and never answers for the commits', async () => {
    publish(history[1]!)
    github.fault({ path: '/commits', hang: true, times: 99 })
    expect(await find({ milliseconds: 700 })).toMatchObject({ state: 'unreachable' })
  })

  test('and sends something else', async () => {
    github.fault({ path: '/actions/artifacts', status: 200, body: { hello: 1 } })
    expect(await find()).toMatchObject({ state: 'unreachable', reason: expect.stringContaining('is not one') })
  })
})

describe('the run of the user’s choice', () => {
  async function ofRun(run: number, more: Partial<BaselineRequest> = {}): Promise<Baseline> {
    const deadline = startDeadline()
    try {
      const api = await connect({ token: github.token, apiUrl: github.apiUrl, deadline })
      return await baselineOfRun({ api, context: await context(), artifactName: NAME, run, ...more })
    } finally {
      deadline.done()
    }
  }

  test('given', async () => {
    const { runId } = publish(sha('x'), { run: { branch: 'topic', event: 'pull_request' } })
    expect(await ofRun(runId)).toMatchObject({ state: 'given', commit: sha('x'), run: { id: runId }, report: report() })
  })

  test('of a fork, unknown, without the artifact, expired, too old, damaged, forbidden', async () => {
    const fork = publish(sha('x'), { run: { headRepositoryId: 90_008 } })
    expect(await ofRun(fork.runId)).toMatchObject({ state: 'invalid', reason: expect.stringContaining('of a fork') })
    expect(await ofRun(5)).toMatchObject({ state: 'expired', reason: expect.stringContaining('knows no run 5') })
    const other = publish(sha('x'), { name: 'other' })
    expect(await ofRun(other.runId)).toMatchObject({ state: 'expired', reason: expect.stringContaining(NAME) })
    const old = publish(sha('x'), { created: '2020-01-01T00:00:00Z' })
    expect(await ofRun(old.runId, { maxAge: 60 })).toMatchObject({ state: 'expired' })
    old.expired = true
    expect(await ofRun(old.runId)).toMatchObject({ state: 'expired', reason: expect.stringContaining('has expired') })
    const damaged = publish(sha('x'), { zip: zipped('{') })
    expect(await ofRun(damaged.runId)).toMatchObject({ state: 'invalid', run: { id: damaged.runId } })
    github.permissions = {}
    expect(await ofRun(damaged.runId)).toMatchObject({ state: 'forbidden' })
  })
})

describe('history', () => {
  const alphas = (found: Baseline) => found.history.map(({ models }) => models[0]!.summary.alpha)

  test('of the baseline and those before it, the oldest first', async () => {
    for (const [i, alpha] of [9, 5, 4, 3, 2].entries()) {
      publish(history[i]!, { zip: zipped(serialiseReport(report(alpha))) })
    }
    publish(history[2]!, { run: { headRepositoryId: 90_008 } })
    const found = await find({ history: 4 })
    expect(alphas(found)).toEqual([3, 4, 5, 9])
    expect(found.history.at(-1)).toMatchObject({ commit: history[0], run_id: found.run!.id, time: found.time })
  })

  const point = (commit: string, alpha: number) => {
    const [{ name, summary: all }] = report(alpha).models
    const summary = Object.fromEntries(SUMMARY_METRICS.map(metric => [metric, all[metric]]))
    return { commit, time: '2026-01-01T00:00:00Z', run_id: 1, models: [{ name, summary }] }
  }
  test('goes further back over commits that left the models as they were', async () => {
    const before = [5, 5, 5, 5, 5, 5, 5, 3, 2]
    const told = before.map((alpha, i) => point(history[i + 1]!, alpha)).reverse()
    const baseline = { state: 'exact', reason: '', branch: 'main', wanted: null, history: told } as const
    publish(history[0]!, { zip: zipped(serialiseReport({ ...report(5), baseline } as unknown as Report)) })
    expect(alphas(await find({ history: 3 }))).toEqual([2, 3, 5, 5, 5, 5, 5, 5, 5, 5])
    expect(alphas(await find({ history: 1 }))).toEqual([5, 5, 5, 5])
    expect(paths('/zip')).toHaveLength(2)
  })

  test('is what the baseline tells of itself, of commits before it', async () => {
    const told = [point(history[3]!, 3), point(sha('elsewhere'), 7), point(history[2]!, 4)]
    const baseline = { state: 'exact', reason: '', branch: 'main', wanted: null, history: told } as const
    publish(history[4]!, { zip: zipped(serialiseReport(report(2))) })
    publish(history[2]!, { zip: zipped(serialiseReport(report(8))) })
    publish(history[0]!, { zip: zipped(serialiseReport({ ...report(5), baseline } as unknown as Report)) })
    expect(alphas(await find({ history: 3 }))).toEqual([3, 4, 5])
    expect(paths('/zip')).toHaveLength(1)
    expect(alphas(await find({ history: 9 }))).toEqual([2, 3, 4, 5])
  })

  test('leaves out what cannot be read, and ends where GitHub fails', async () => {
    for (const [i, alpha] of [9, 5, 4].entries()) publish(history[i]!, { zip: zipped(serialiseReport(report(alpha))) })
    github.artifacts[1]!.digest = `sha256:${'0'.repeat(64)}`
    expect(alphas(await find({ history: 8 }))).toEqual([4, 9])
    github.fault({ path: '/commits', status: 500, times: 9 })
    const cut = await find({ history: 8 })
    expect([cut.state, alphas(cut)]).toEqual(['exact', [9]])
  }, 20_000)
})

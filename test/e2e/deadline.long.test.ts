import { expect, test } from 'vitest'
import { runGate } from './gate.ts'
import { GitHubDouble, sha } from './github/double.ts'

// Both do nothing but wait for most of a minute.
test.concurrent('an API that never answers: the deadline holds, and the verdict stands', async () => {
  const github = await GitHubDouble.start()
  try {
    github.fault({ path: /comments/, hang: true, times: 99 })
    const start = Date.now()
    const ended = await runGate(github, 'worse', { 'fail-if': 'alpha > 3' }, { event: 'pull_request', pull: 7 })
    expect(ended).toMatchObject({ status: 1, outputs: { verdict: 'failed' } })
    expect(ended.stdout).toContain('publishing took longer than 60 s. The verdict stands.')
    expect(Date.now() - start).toBeLessThan(80_000)
    expect(github.problems).toEqual([])
  } finally {
    await github.stop()
  }
}, 90_000)

test.concurrent('reports of a fork’s run that never come leave time to say so in the comment of before', async () => {
  const github = await GitHubDouble.start()
  try {
    github.addPull({ number: 7, head: { sha: sha('fork'), ref: 'topic', repository: 'fork/net' } })
    const [before, run] = [1, 2].map(() => github.job({ event: 'pull_request', pull: 7 }).workflowRun)
    const marker = `<!-- spectral-gate key=${'a'.repeat(16)} run=${before!.id} attempt=1 verdict=passed -->`
    github.addComment(7, `### ✅ Passed\n\n${marker}`, github.login)
    github.fault({ path: /artifacts/, hang: true, times: 99 })
    const workflow_run = {
      ...{ id: run!.id, event: 'pull_request', head_sha: sha('fork'), head_branch: 'topic', conclusion: 'success' },
      ...{ head_repository: { full_name: 'fork/net' }, path: run!.path },
    }
    const ended = await runGate(
      github,
      'good',
      { mode: 'comment' },
      { event: 'workflow_run', payload: { workflow_run } },
    )
    expect(ended.stdout).toMatch(/::warning::The reports of the run can't be read: publishing took longer than/)
    const said = /^### 🟡 Inconclusive: no verdict\n\nNo report of this gate can be read/
    expect(github.comments(7)).toMatchObject([{ body: expect.stringMatching(said) }])
    expect(github.problems).toEqual([])
  } finally {
    await github.stop()
  }
}, 90_000)

import { expect, test } from 'vitest'
import { runGate } from './gate.ts'
import { GitHubDouble } from './github/double.ts'

test('an API that never answers: the deadline holds, and the verdict stands', async () => {
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

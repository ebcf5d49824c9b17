import { join } from 'node:path'
import { expect, test } from 'vitest'
import { refuseOutside } from '../../src/bytes/workspace.ts'

const env = { GITHUB_WORKSPACE: '/work/repo', RUNNER_TEMP: '/runner/temp' }

test.each(['/work/repo/net.pt', '/work/repo/out/../net.pt', '/runner/temp/net.pt'])('%s is within a job', path => {
  expect(() => refuseOutside(path, env)).not.toThrow()
})

test.each(['/etc/passwd', '/work/repo/../other/net.pt', '/work/repository/net.pt', '/runner/net.pt'])(
  '%s is not',
  path => {
    expect(() => refuseOutside(path, env)).toThrow(`${path}: lies outside of the workspace`)
  },
)

test('on the command line all is the user’s', () => {
  expect(() => refuseOutside('/etc/passwd', {})).not.toThrow()
  expect(() => refuseOutside(join('..', 'x'), { RUNNER_TEMP: '/runner/temp' })).not.toThrow()
})

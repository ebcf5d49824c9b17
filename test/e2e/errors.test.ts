import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { expandPatterns } from '../../src/action/patterns.ts'
import { UserError } from '../../src/errors.ts'
import { runNode } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { goldenTensor } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'

const folder = () => {
  const folder = temporaryFolder()
  writeSafetensors({ 'conv1.weight': goldenTensor('G1') }, 'net.safetensors', folder)
  return folder
}
const cli = (cwd: string, ...args: string[]) => runNode('dist/cli.js', args, { cwd })

describe('what was meant', () => {
  test.each<[string, string[], number, RegExp]>([
    ['a path with a typo', ['nett.safetensors'], 2, /no such file or folder\nDid you mean net\.safetensors\?\n$/],
    ['a rule without quotes', ['net.safetensors', '--fail-if', 'alpha'], 2, /needs quotes.*'alpha > 6'/],
    ['a pattern for a layer', ['net.safetensors', '--fail-if', 'alpha[conv*] > 2'], 2, /a pattern is no layer/],
    ['a JSON that is no report', ['net.safetensors', '--baseline', 'x.json'], 2, /x\.json: is JSON, but not a report/],
    [
      'a relative rule without a baseline',
      ['net.safetensors', '--fail-if', 'delta(alpha) > 1'],
      2,
      /there is none\.\nName one/,
    ],
    ['an address', ['https://example.com/net.pt'], 2, /It is a URL/],
    [
      'a folder as a baseline report',
      ['net.safetensors', '--baseline', 'empty'],
      2,
      /The baseline can't be used\. empty: /,
    ],
  ])('%s', async (_, args, status, message) => {
    const cwd = folder()
    writeFileSync(join(cwd, 'x.json'), '{"models": 3}')
    mkdirSync(join(cwd, 'empty'))
    const ended = await cli(cwd, ...args)
    expect(ended.status).toBe(status)
    expect(ended.stderr).toMatch(message)
    expect(ended.stderr).not.toMatch(/\n {4}at |✖/)
  })

  test('a layer with a typo', async () => {
    const { stdout } = await cli(folder(), 'net.safetensors', '--fail-if', 'alpha[conv2] > 2', '--quiet')
    expect(stdout).toContain('there is no layer conv2; did you mean conv1?')
  })

  test('a foreign name in an error moves no cursor and starts no command', async () => {
    const { stderr } = await cli(folder(), '\x1b[31m::error::x\u202e')
    expect(stderr).toMatch(/^Error: \\u001b\[31m::error::x\\u202e: no such file/)
  })
})

describe('patterns of the Action’s checkpoint', () => {
  const where = () => {
    const root = temporaryFolder()
    for (const name of ['out/a.pt', 'out/b.pt', 'out/deep/c.pt', 'out/[d].pt', 'node_modules/x/e.pt']) {
      mkdirSync(join(root, name, '..'), { recursive: true })
      writeFileSync(join(root, name), '')
    }
    return root
  }

  test.each<[string, string[]]>([
    ['out/*.pt', ['out/[d].pt', 'out/a.pt', 'out/b.pt']],
    ['out/**/*.pt', ['out/[d].pt', 'out/a.pt', 'out/b.pt', 'out/deep/c.pt']],
    ['out/[d].pt', ['out/[d].pt']],
    ['out/a.pt', ['out/a.pt']],
    ['nothing.pt', ['nothing.pt']],
  ])('%s', async (pattern, expected) => {
    const root = where()
    expect(await expandPatterns([join(root, pattern)])).toEqual(expected.map(name => join(root, name)))
  })

  test('what is a pattern, and is there as a file, is refused', async () => {
    const root = where()
    writeFileSync(join(root, 'out/d.pt'), '')
    await expect(expandPatterns([join(root, 'out/[d].pt')])).rejects.toThrow(/a file is called so as well/)
    writeFileSync(join(root, 'out/*.pt'), '')
    await expect(expandPatterns([join(root, 'out/*.pt')])).rejects.toThrow(/a file is called so as well/)
  })

  test('what is read as a name and a path, and is there as a whole, is refused', async () => {
    const root = where()
    const cwd = process.cwd()
    writeFileSync(join(root, 'net=a.pt'), '')
    mkdirSync(join(root, 'net=out'))
    writeFileSync(join(root, 'net=out/a.pt'), '')
    try {
      process.chdir(root)
      for (const line of ['net=a.pt', 'net=*.pt', 'net=out/a.pt', 'net=out/*.pt'])
        await expect(expandPatterns([line])).rejects.toThrow(`${line} is read as NAME=PATH, but`)
      expect(await expandPatterns(['./net=*.pt', './net=a.pt', '*.pt'])).toEqual([
        './net=a.pt',
        './net=a.pt',
        './net=a.pt',
      ])
    } finally {
      process.chdir(cwd)
    }
  })

  test('a name is for one file', async () => {
    const root = where()
    expect(await expandPatterns([`head=${root}/out/a*`])).toEqual([`head=${root}/out/a.pt`])
    await expect(expandPatterns([`head=${root}/out/*`])).rejects.toThrow(UserError)
    await expect(expandPatterns([`${root}/out/*.bin`])).rejects.toThrow(/nothing matches/)
    await expect(expandPatterns([`${root}/ou*`])).rejects.toThrow(/only folders, such as .*out$/)
  })
})

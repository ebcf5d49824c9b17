import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, copyFileSync, existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { isAsCommitted, isUnchanged, parseCommit, readHead } from '../../src/github/git.ts'
import { temporaryFolder } from '../support/folder.ts'

function git(folder: string, ...words: string[]): string {
  const who = ['-c', 'user.name=Ada', '-c', 'user.email=ada@gate.localhost', '-c', 'init.defaultBranch=main']
  return execFileSync('git', [...who, '-C', folder, ...words], { encoding: 'utf8', stdio: 'pipe' }).trim()
}

/** A repository whose HEAD is a merge of `topic` into `main`. */
function repository(): { folder: string; base: string; head: string; merge: string } {
  const folder = temporaryFolder()
  git(folder, 'init', '-q')
  git(folder, 'commit', '-q', '--allow-empty', '-m', 'root')
  git(folder, 'checkout', '-q', '-b', 'topic')
  git(folder, 'commit', '-q', '--allow-empty', '-m', 'topic\n\nparent 0123456789012345678901234567890123456789')
  git(folder, 'checkout', '-q', 'main')
  git(folder, 'commit', '-q', '--allow-empty', '-m', 'main moves on')
  git(folder, 'merge', '-q', '--no-ff', '-m', 'merge', 'topic')
  const [merge, base, head] = ['HEAD', 'HEAD^1', 'HEAD^2'].map(name => git(folder, 'rev-parse', name))
  return { folder, base: base!, head: head!, merge: merge! }
}

describe('what was checked out', () => {
  test('a merge commit and its parents, in a clone of depth 1 too', async () => {
    const { folder, base, head, merge } = repository()
    const expected = { sha: merge, parents: [base, head] }
    expect(await readHead(folder)).toEqual(expected)
    const clone = join(temporaryFolder(), 'clone')
    git(folder, 'clone', '-q', '--depth', '1', `file://${folder}`, clone)
    expect(() => git(clone, 'rev-parse', '--verify', 'HEAD^1')).toThrow()
    expect(await readHead(clone)).toEqual(expected)
  })

  test('a commit whose message speaks of parents', async () => {
    const { folder, head } = repository()
    git(folder, 'checkout', '-q', head)
    const found = await readHead(folder)
    expect(found).toEqual({ sha: head, parents: [git(folder, 'rev-parse', 'HEAD^1')] })
  })

  test('nothing, where there is no folder, repository, commit or git', async () => {
    expect(await readHead(join(temporaryFolder(), 'absent'))).toBeUndefined()
    expect(await readHead(temporaryFolder())).toBeUndefined()
    const folder = temporaryFolder()
    git(folder, 'init', '-q')
    expect(await readHead(folder)).toBeUndefined()
    const { folder: whole } = repository()
    const path = process.env.PATH
    try {
      process.env.PATH = temporaryFolder()
      expect(await readHead(whole)).toBeUndefined()
    } finally {
      process.env.PATH = path
    }
  })

  test('a folder that looks like an option', async () => {
    expect(await readHead('--exec-path=/tmp')).toBeUndefined()
  })

  test('what git would say of something else', () => {
    expect(parseCommit('')).toBeUndefined()
    expect(parseCommit('HEAD missing\n')).toBeUndefined()
    expect(parseCommit(`${'a'.repeat(40)} blob 3\nabc\n`)).toBeUndefined()
    const wide = 'b'.repeat(64)
    expect(parseCommit(`${wide} commit 9\ntree x\nparent ${wide}\ngpgsig -----\n parent 00\n\nparent ff\n`)).toEqual({
      sha: wide,
      parents: [wide],
    })
  })
})

describe('whether a checkout is as its commit has it', () => {
  afterEach(() => vi.unstubAllEnvs())

  /** A checkout with one file, whose times are others than the index has, so that git has to read it. */
  function checkout(config = '', attributes = ''): { folder: string; ran: string } {
    const folder = temporaryFolder()
    const ran = join(temporaryFolder(), 'ran')
    git(folder, 'init', '-q')
    writeFileSync(join(folder, 'a.bin'), 'abc')
    writeFileSync(join(folder, '.gitattributes'), attributes)
    git(folder, 'add', '.')
    git(folder, 'commit', '-q', '-m', 'x')
    appendFileSync(join(folder, '.git/config'), config.replaceAll('RAN', ran))
    utimesSync(join(folder, 'a.bin'), 1e9, 1e9)
    return { folder, ran }
  }
  const both = async (folder: string) => [await isUnchanged(folder), await isAsCommitted(folder, join(folder, 'a.bin'))]

  test('it is, until somebody writes', async () => {
    const { folder } = checkout()
    expect(await both(folder)).toEqual([true, true])
    writeFileSync(join(folder, 'a.bin'), 'abd')
    expect(await both(folder)).toEqual([false, false])
  })

  test.each([
    ['a filter', '[filter "x"]\n\tclean = "touch RAN; cat"\n\trequired = true\n', true],
    ['a filter that keeps running', '[filter "x"]\n\tprocess = "touch RAN"\n\trequired = true\n', true],
    ['a filter whose name can’t be set', '[filter "x=y"]\n\tclean = "touch RAN; cat"\n', false],
    ['a filter called as that of Git LFS', '[filter "lfs"]\n\tclean = "touch RAN; cat"\n', true],
    ['a monitor of files', '[core]\n\tfsmonitor = "touch RAN"\n', true],
  ])('no program runs: %s', async (_, config, isTold) => {
    const name = /"(.+)"\]/.exec(config)?.[1] ?? 'x'
    const { folder, ran } = checkout(config, `a.bin filter=${name}\n`)
    expect(await both(folder)).toEqual([isTold, isTold])
    expect(existsSync(ran)).toBe(false)
  })

  test('no program runs: a filter in a file that the configuration includes', async () => {
    const { folder, ran } = checkout('[include]\n\tpath = ../more\n', 'a.bin filter=x\n')
    writeFileSync(join(folder, 'more'), `[filter "x"]\n\tclean = "touch ${ran}; cat"\n`)
    expect(await both(folder)).toEqual([true, true])
    expect(existsSync(ran)).toBe(false)
  })

  test('no program runs: what a submodule’s configuration says', async () => {
    const { folder } = checkout()
    const { folder: inner, ran } = checkout('[core]\n\tfsmonitor = "touch RAN"\n')
    git(folder, '-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', inner, 'm')
    git(folder, 'commit', '-q', '-m', 'm')
    appendFileSync(join(folder, '.git/modules/m/config'), `[core]\n\tfsmonitor = "touch ${ran}"\n`)
    expect(await isUnchanged(folder)).toBe(true)
    expect(existsSync(ran)).toBe(false)
    git(join(folder, 'm'), '-c', 'core.fsmonitor=false', 'commit', '-q', '--allow-empty', '-m', 'y')
    expect(await isUnchanged(folder)).toBe(false)
  })

  test.each([
    ['', true],
    ['[lfs]\n\tstorage = /tmp\n', false],
    ['[lfs "extension.x"]\n\tclean = x\n', false],
  ])('Git LFS says what a file of its own is, unless it is made to do more: %j', async (more, isSame) => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'git-lfs'), '#!/bin/sh\ncat > /dev/null\nprintf abc\n')
    chmodSync(join(folder, 'git-lfs'), 0o755)
    vi.stubEnv('PATH', `${folder}:${process.env.PATH}`)
    const lfs = '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\trequired = true\n'
    const { folder: clone } = checkout(`${lfs}${more}`, 'a.bin filter=lfs\n')
    writeFileSync(join(clone, 'a.bin'), 'xyz')
    expect(await both(clone)).toEqual([isSame, isSame])
  })

  test.each(['--assume-unchanged', '--skip-worktree'])('what git was told not to look at is not: %s', async flag => {
    const { folder } = checkout()
    git(folder, 'update-index', flag, 'a.bin')
    writeFileSync(join(folder, 'a.bin'), 'abd')
    expect(await both(folder)).toEqual([false, false])
  })

  test.each(['HEAD', 'HEAD:d'])('an object that is another than its id says is not believed: %s', async name => {
    const { folder } = checkout()
    const object = (id: string) => join(folder, '.git/objects', id.slice(0, 2), id.slice(2))
    mkdirSync(join(folder, 'd'))
    writeFileSync(join(folder, 'd/b.bin'), 'abc')
    git(folder, 'add', '.')
    git(folder, 'commit', '-q', '-m', 'y')
    expect(await isUnchanged(folder)).toBe(true)
    const [head, id] = ['HEAD', name].map(one => git(folder, 'rev-parse', one))
    writeFileSync(join(folder, 'd/b.bin'), 'abd')
    git(folder, 'commit', '-q', '-a', '--amend', '-m', 'z')
    chmodSync(object(id!), 0o644)
    copyFileSync(object(git(folder, 'rev-parse', name)), object(id!))
    writeFileSync(join(folder, '.git', git(folder, 'symbolic-ref', 'HEAD')), head!)
    expect(git(folder, 'status', '--porcelain')).toBe('')
    expect(await isUnchanged(folder)).toBe(false)
  })

  test('a sparse checkout is, but for what is absent', async () => {
    const { folder } = checkout()
    git(folder, 'update-index', '--refresh')
    git(folder, 'sparse-checkout', 'set', '--no-cone', '/.gitattributes')
    expect(existsSync(join(folder, 'a.bin'))).toBe(false)
    expect(await isUnchanged(folder)).toBe(true)
  })
})

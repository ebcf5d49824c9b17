import { spawn } from 'node:child_process'
import { copyFileSync, renameSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { generate } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'

/** Large enough for threads, and for half a second. */
const layers = (seed: number) =>
  Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`l${i}.weight`, generate(seed + i, [600, 600], false)]))

/** Milliseconds between the moments at which runs are disturbed. */
const STEP = 50

/** Seconds after which a run counts as one that never ends. */
const DEADLINE = 30

const disturb: Record<string, (path: string, other: string, child: ReturnType<typeof spawn>) => void> = {
  replaced: (path, other) => copyFileSync(other, path),
  'moved over': (path, other) => {
    copyFileSync(other, `${path}.new`)
    renameSync(`${path}.new`, path)
  },
  truncated: path => truncateSync(path, 100_000),
  deleted: path => rmSync(path, { force: true }),
  'its output closed': (_path, _other, child) => child.stdout!.destroy(),
  interrupted: (_path, _other, child) => void child.kill('SIGINT'),
}

test.each(Object.keys(disturb))('%s at any moment, every run ends and says why', { timeout: 600_000 }, async how => {
  const folder = temporaryFolder()
  const one = writeSafetensors(layers(1), 'one.safetensors', folder)
  const other = writeSafetensors(layers(99), 'other.safetensors', folder)
  const path = join(folder, 'net.safetensors')
  for (let moment = 0; moment <= 600; moment += STEP) {
    copyFileSync(one, path)
    const child = spawn(process.execPath, ['dist/cli.js', path, '--no-structure'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stderr = ''
    child.stdout.on('data', () => {})
    child.stderr.setEncoding('utf8').on('data', text => {
      stderr += text
    })
    const timer = setTimeout(() => disturb[how](path, other, child), moment)
    const ended = await new Promise<number | NodeJS.Signals | 'never' | null>(resolve => {
      const deadline = setTimeout(() => {
        child.kill('SIGKILL')
        resolve('never')
      }, 1000 * DEADLINE)
      child.on('exit', (status, signal) => {
        clearTimeout(deadline)
        resolve(status ?? signal)
      })
    })
    clearTimeout(timer)
    expect([0, 2, 'SIGINT'], `after ${moment} ms: ${stderr}`).toContain(ended)
    if (ended === 2)
      expect(stderr).toMatch(/changed while it was being read|ends in the middle|no such file|ends at byte|is empty/)
  }
})

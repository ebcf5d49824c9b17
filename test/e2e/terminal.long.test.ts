import { execFileSync, spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { root } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { generate } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'

const hasTmux = spawnSync('tmux', ['-V']).status === 0
const tmux = (...args: string[]) =>
  execFileSync('tmux', ['-L', `spectral-gate-${process.pid}`, ...args], { encoding: 'utf8' })

/** What a terminal of so many columns shows once a command has ended. */
async function shown(columns: number, command: string, env: string): Promise<string[]> {
  tmux('new-session', '-d', '-s', 'a', '-x', `${columns}`, '-y', '200', `env PS1= ${env} sh`)
  try {
    tmux('send-keys', '-t', 'a', `clear; ${command}; echo $((40 + 2)) ended ${'x'.repeat(columns)}`, 'Enter')
    for (let i = 0; i < 600; i++) {
      const lines = tmux('capture-pane', '-p', '-t', 'a').trimEnd().split('\n')
      if (lines.some(line => line.startsWith('42 ended'))) return lines
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    throw new Error('the command did not end')
  } finally {
    tmux('kill-server')
  }
}

test.skipIf(!hasTmux).each<[number, string]>([
  [60, ''],
  [80, ''],
  [120, ''],
  [150, ''],
  [80, 'NO_COLOR=1'],
  [80, 'TERM=dumb'],
])(
  '(needs tmux) at %d columns %s nothing of the bar is left, and lines wrap again',
  { timeout: 120_000 },
  async (columns, env) => {
    const layers = Array.from({ length: 8 }, (_, i) => [
      `model.layers.${i}.self_attention.query.weight`,
      generate(i, [700, 700], false),
    ])
    const path = writeSafetensors(Object.fromEntries(layers), 'net.safetensors', temporaryFolder())
    const lines = await shown(columns, `${process.execPath} ${root}/dist/cli.js ${path} --fail-if 'alpha > 1'`, env)
    const text = lines.join('\n')
    expect(text).not.toMatch(/[█░]|% +\d/)
    const rows = lines.filter(line => / \| /.test(line))
    expect(rows.filter(line => / success/.test(line))).toHaveLength(8)
    for (const row of rows) expect(row.length).toBeLessThanOrEqual(columns)
    const verdict = lines.findIndex(line => line.startsWith('❌ failed: alpha > 1 is true'))
    expect(verdict).toBeGreaterThan(0)
    // A line longer than the terminal wraps: the bar had switched that off.
    const end = lines.findIndex(line => line.startsWith('42 ended'))
    expect(end).toBeGreaterThan(verdict)
    expect(lines.slice(end).join('')).toContain('x'.repeat(columns))
  },
)

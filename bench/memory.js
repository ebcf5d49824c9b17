// node bench/memory.js --python PATH [--only KIND] [--folder DIR]: peak memory of the command line on 2.1 GB of weights
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { markdownTable } from 'markdown-table'

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    only: { type: 'string' },
    folder: { type: 'string', default: join(tmpdir(), 'spectral-gate-memory') },
  },
})
const KINDS = [
  ...['safetensors', 'torch-zip', 'torch-legacy', 'sb3-zip', 'npz', 'npz-deflated', 'npy'],
  ...['hdf5', 'hdf5-deflated', 'keras', 'onnx', 'gguf'],
]
const EXTENSION = { npz: '.npz', 'npz-deflated': '.npz', npy: '.npy', keras: '.keras', onnx: '.onnx' }
const here = file => fileURLToPath(new URL(file, import.meta.url))

/** Peak resident memory in MB, of all threads together, and seconds; GNU time tells them. */
function run(args) {
  const time = ['-f', '%M %e', process.execPath, here('../dist/cli.js'), ...args]
  const { stderr, status } = spawnSync('/usr/bin/time', time, { encoding: 'utf8', maxBuffer: 2 ** 30 })
  const [memory, seconds] = stderr.trim().split('\n').at(-1).split(' ').map(Number)
  if (status !== 0) throw new Error(stderr)
  return [`${(memory / 1024).toFixed(0)} MB`, `${seconds.toFixed(1)} s`]
}

const rows = [['container', '`--describe`', '', 'analysis of 8,000 layers', '']]
for (const kind of KINDS.filter(kind => !values.only || values.only === kind)) {
  const row = [kind]
  for (const size of ['large', 'small']) {
    if (kind === 'npy' && size === 'small') {
      row.push('one tensor', '')
      continue
    }
    rmSync(values.folder, { recursive: true, force: true })
    mkdirSync(values.folder, { recursive: true })
    const path = join(values.folder, `net${EXTENSION[kind] ?? ''}`)
    execFileSync(values.python, [here('memory.py'), kind, path, size], { stdio: ['ignore', 'inherit', 'inherit'] })
    const json = join(values.folder, 'report.json')
    row.push(...run(size === 'large' ? [path, '--describe'] : [path, '--no-reuse', '--json', json, '--markdown', '-']))
  }
  rows.push(row)
  console.error(row.join(' | '))
}
rmSync(values.folder, { recursive: true, force: true })
console.log(markdownTable(rows, { align: ['l', 'r', 'r', 'r', 'r'] }))

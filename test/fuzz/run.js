// npm run fuzz -- [--container NAME] [--inputs N] [--seed S] [--folder DIR]
import { fork } from 'node:child_process'
import { rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { markdownTable } from 'markdown-table'
import { bundleScript } from '../../src/build/script.js'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    container: { type: 'string' },
    folder: { type: 'string', default: join(tmpdir(), 'spectral-gate-fuzz') },
  },
})
/** An input that is not done with by then hangs. */
const HANGS = 20_000
const MOST_MEMORY = 256

const script = await bundleScript(new URL('main.ts', import.meta.url))

/** A container in a process of its own: memory is its own, and a crash or an endless loop ends nothing else. */
function child(container) {
  const { inputs, seed, folder } = values
  const args = ['--inputs', inputs, '--seed', seed, '--folder', folder, '--container', container]
  return new Promise(resolve => {
    let answer
    const input = join(folder, container === 'torch-distributed' ? '.metadata' : `${container}.input`)
    // One of an earlier run would pass for an input that hangs.
    rmSync(input, { force: true })
    const process = fork(script, args)
    const watch = setInterval(() => {
      const age = Date.now() - (statSync(input, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
      if (container && age > HANGS) process.kill('SIGKILL')
    }, 1000)
    process.on('message', message => {
      answer = message
    })
    process.on('exit', (code, signal) => {
      clearInterval(watch)
      resolve(answer ?? { container, failures: [`ended with ${signal ?? code} on ${input}`] })
    })
  })
}

const containers = values.container ? [values.container] : await child('')
const rows = [['container', 'seeds', 'inputs', 'read', 'refused', 'failures', 'slowest ms', 'peak MB']]
for (const container of containers) {
  const { seeds, inputs, accepted, refused, failures, slowest, peak } = await child(container)
  if (peak > MOST_MEMORY) failures.push(`took ${peak.toFixed(0)} MB`)
  for (const failure of failures.slice(0, 5)) console.error(`${container}: ${failure}`)
  if (failures.length > 0) process.exitCode = 1
  rows.push(
    [container, seeds, inputs, accepted, refused, failures.length, slowest?.toFixed(0), peak?.toFixed(0)].map(String),
  )
  console.error(rows.at(-1).join(' | '))
}
console.log(markdownTable(rows, { align: ['l', 'r', 'r', 'r', 'r', 'r', 'r', 'r'] }))
console.log(`\nseed ${values.seed}, Node ${process.version}`)

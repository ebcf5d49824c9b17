import { mkdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { markdownTable } from 'markdown-table'
import { collectSeeds, fuzz, type Outcome } from './fuzz.ts'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    container: { type: 'string' },
    folder: { type: 'string', default: '/tmp/spectral-gate-fuzz' },
  },
})

mkdirSync(values.folder, { recursive: true })
const seeds = await collectSeeds(['test/fixtures'])
const outcomes: Outcome[] = []
for (const [container, files] of seeds) {
  if (values.container && values.container !== container) continue
  const outcome = await fuzz(container, files, {
    inputs: Number(values.inputs),
    seed: Number(values.seed),
    folder: values.folder,
  })
  for (const failure of outcome.failures.slice(0, 5)) console.error(failure)
  outcomes.push(outcome)
}
const rows = outcomes.map(({ container, seeds, inputs, accepted, refused, slowest, failures }) =>
  [container, seeds, inputs, accepted, refused, failures.length, slowest.toFixed(0)].map(String),
)
console.log(
  markdownTable([['container', 'seeds', 'inputs', 'read', 'refused', 'failures', 'slowest ms'], ...rows], {
    align: ['l', 'r', 'r', 'r', 'r', 'r', 'r'],
  }),
)
console.log(
  `\nseed ${values.seed}, Node ${process.version}, peak ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB of resident memory, all containers in one process`,
)
process.exitCode = outcomes.some(({ failures }) => failures.length > 0) ? 1 : 0

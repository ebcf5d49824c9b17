import { mkdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { collectSeeds, fuzz } from './fuzz.ts'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string' },
    seed: { type: 'string' },
    container: { type: 'string' },
    folder: { type: 'string' },
  },
})
const { inputs, seed, container, folder } = values as Record<keyof typeof values, string>

mkdirSync(folder, { recursive: true })
const seeds = await collectSeeds(['test/fixtures'])
if (!container) process.send!([...seeds.keys()])
else {
  const outcome = await fuzz(container, seeds.get(container)!, { inputs: Number(inputs), seed: Number(seed), folder })
  process.send!({ ...outcome, peak: process.resourceUsage().maxRSS / 1024 })
}
process.disconnect!()

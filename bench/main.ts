import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { benchAnalyses } from './analyses.ts'
import { benchKernel } from './kernel.ts'
import { benchModels } from './models.ts'
import { findPython } from './python.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    python: { type: 'string' },
    'require-python': { type: 'boolean', default: false },
  },
})

const python = await findPython(values.python)
if (values['require-python'] && !(python.scipy && python.weightwatcher)) {
  console.error(`No Python with scipy and weightwatcher was found (${python.path || 'none'}): see bench/README.md.`)
  process.exit(1)
}
console.log(`${cpus()[0].model}, ${cpus().length} cores; Node ${process.version}; ${python.description}\n`)
const wanted = (name: string) => values.only === undefined || values.only === name
if (wanted('kernel')) await benchKernel(python, values.quick)
if (wanted('analyses')) await benchAnalyses(python)
if (wanted('models')) await benchModels(python, values.quick)

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { markdownTable } from 'markdown-table'
import { measure, median, type Python } from './python.ts'

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))
const WEIGHTWATCHER = fileURLToPath(new URL('../../bench/weightwatcher_analyze.py', import.meta.url))
const MODEL = fileURLToPath(new URL('../../../shared/checkpoints/resnet20.safetensors', import.meta.url))

/** Our options, and the arguments of WeightWatcher's analyze() that ask for the same. */
const ANALYSES: [string[], Record<string, unknown>?][] = [
  [['--no-structure']],
  [['--metrics', 'spectral-norm']],
  [['--mp-fit'], { mp_fit: true }],
  [['--other-laws']],
  [['--randomize'], { randomize: true }],
  [['--detx'], { detX: true }],
  [['--fix-fingers', 'clip_xmax'], { fix_fingers: 'clip_xmax' }],
  [['--conv', 'slices'], { pool: false }],
  [['--conv', 'operator', '--conv-grid', '8']],
  [['--conv', 'operator']],
]

/** What each analysis costs beside the default run, whole processes; WeightWatcher's analyze() alone, without its start-up. */
export async function benchAnalyses(python: Python, repeats = 3): Promise<void> {
  if (!existsSync(MODEL)) {
    console.log('Analyses: the checkpoints are not here\n')
    return
  }
  const run = async (args: string[]) => {
    const runs = []
    for (let i = 0; i < repeats; i++)
      runs.push(await measure(process.execPath, [CLI, MODEL, '--workers', '2', '--json', '/dev/null', ...args]))
    return { wall: median(runs.map(usage => usage.wall)), cpu: median(runs.map(usage => usage.cpu)) }
  }
  const plain = await run([])
  const rows = [['(default)', plain.wall.toFixed(2), plain.cpu.toFixed(2), '1.00×', '']]
  for (const [options, theirs] of ANALYSES) {
    const ours = await run(options)
    let beside = ''
    if (python.weightwatcher && theirs) {
      const { stdout } = await measure(python.path, [WEIGHTWATCHER, MODEL, JSON.stringify(theirs)])
      const seconds = Number(/ANALYZE (\S+)/.exec(stdout)![1])
      beside = `${seconds.toFixed(2)} (ours 1/${(seconds / ours.wall).toFixed(0)})`
    }
    const [wall, cpu] = [ours.wall.toFixed(2), ours.cpu.toFixed(2)]
    rows.push([options.join(' '), wall, cpu, `${(ours.cpu / plain.cpu).toFixed(2)}×`, beside])
  }
  console.log('Analyses on request, ResNet-20, 2 workers, seconds (median of whole runs)\n')
  const header = ['options', 'wall', 'CPU', 'CPU of the default', 'WeightWatcher analyze()']
  console.log(`${markdownTable([header, ...rows], { align: ['l', 'r', 'r', 'r', 'r'] })}\n`)
}

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { markdownTable } from 'markdown-table'
import { measure, median, type Python, type Usage } from './python.ts'

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
  [['--farms']],
  [['--bootstrap', '100']],
  [['--bootstrap', '1000']],
  [['--fix-fingers', 'clip_xmax'], { fix_fingers: 'clip_xmax' }],
  [['--conv', 'slices'], { pool: false }],
  [['--conv', 'operator', '--conv-grid', '8']],
  [['--conv', 'operator']],
]

/**
 * What each analysis costs beside the default run, whole processes, one after the other in turn; WeightWatcher's analyze() alone,
 * without its start-up, and its whole process.
 */
export async function benchAnalyses(python: Python, repeats = 5): Promise<void> {
  if (!existsSync(MODEL)) {
    console.log('Analyses: the checkpoints are not here\n')
    return
  }
  const run = (args: string[]) =>
    measure(process.execPath, [CLI, MODEL, '--workers', '2', '--json', '/dev/null', ...args])
  const rows = []
  for (const [options, theirs] of ANALYSES) {
    const [plain, ours]: [Usage[], Usage[]] = [[], []]
    for (let i = 0; i < repeats; i++) {
      plain.push(await run([]))
      ours.push(await run(options))
    }
    const [wall, cpu, plainCpu] = [
      median(ours.map(usage => usage.wall)),
      median(ours.map(usage => usage.cpu)),
      median(plain.map(usage => usage.cpu)),
    ]
    let beside = ['', '']
    if (python.weightwatcher && theirs) {
      const { stdout, wall: whole } = await measure(python.path, [WEIGHTWATCHER, MODEL, JSON.stringify(theirs)])
      const seconds = Number(/ANALYZE (\S+)/.exec(stdout)![1])
      beside = [seconds, whole].map(time => `${time.toFixed(2)} (ours ${(wall / time).toFixed(3)}×)`)
    }
    rows.push([options.join(' '), wall.toFixed(2), cpu.toFixed(2), `${(cpu / plainCpu).toFixed(2)}×`, ...beside])
  }
  console.log('Analyses on request, ResNet-20, 2 workers, seconds (median of whole runs)\n')
  const header = ['options', 'wall', 'CPU', 'CPU of the default', 'WeightWatcher analyze()', 'WeightWatcher, whole']
  console.log(`${markdownTable([header, ...rows], { align: ['l', 'r', 'r', 'r', 'r', 'r'] })}\n`)
}

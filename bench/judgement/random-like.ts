import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { readReport } from '../../src/report/io.ts'
import type { Layer } from '../../src/report/schema.ts'
import { isRandomLike } from '../../src/report/state.ts'
import { safetensorsBytes } from '../../test/support/safetensors.ts'

const CHECKPOINTS = '../shared/checkpoints'
const random = xoroshiro128plus(1)
const uniform = () => uniformFloat64(random)
const gaussian = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())

/** How frameworks fill a new layer, by its number of inputs. */
const FILLS: readonly ((inputs: number) => () => number)[] = [
  () => () => 0.02 * gaussian(),
  inputs => () => (2 * uniform() - 1) / Math.sqrt(inputs),
  inputs => () => Math.sqrt(2 / inputs) * gaussian(),
]

const folder = mkdtempSync(join(tmpdir(), 'spectral-gate-bench-'))

async function layersOf(path: string): Promise<Layer[]> {
  const json = join(folder, 'report.json')
  execFileSync('node', ['dist/cli.js', path, '--json', json, '--quiet', '--no-enforce'], { stdio: 'ignore' })
  return (await readReport(json)).models[0].layers
}

const share = (layers: readonly Layer[]) =>
  `${layers.filter(isRandomLike).length} of ${layers.length} (${((100 * layers.filter(isRandomLike).length) / layers.length).toFixed(1)} %)`

const fresh = Array.from({ length: 200 }, (_, i) => {
  const side = () => uniformInt(random, 50, 500)
  const shape = i % 4 === 3 ? [uniformInt(random, 16, 96), uniformInt(random, 16, 96), 3, 3] : [side(), side()]
  const length = shape.reduce((product, n) => product * n, 1)
  const fill = FILLS[i % FILLS.length](length / shape[0])
  return [`layer.${i}.weight`, { dtype: 'F32' as const, shape, values: Float32Array.from({ length }, fill) }] as const
})
const path = join(folder, 'fresh.safetensors')
writeFileSync(path, safetensorsBytes(Object.fromEntries(fresh)))
console.log(`fresh matrices called random-like: ${share(await layersOf(path))}`)

if (existsSync(CHECKPOINTS)) {
  const trained: Layer[] = []
  for (const name of readdirSync(CHECKPOINTS)) {
    if (/init|edge|manifest|xception|epoch0/.test(name)) continue
    const layers = (await layersOf(join(CHECKPOINTS, name))).filter(({ num_evals, S }) => num_evals >= 50 && S !== null)
    if (layers.some(isRandomLike)) console.log(`  ${name}: ${share(layers)}`)
    trained.push(...layers)
  }
  console.log(`trained layers of 50 eigenvalues or more called random-like: ${share(trained)}`)
  console.log(`resnet20-init: ${share(await layersOf(join(CHECKPOINTS, 'resnet20-init.safetensors')))}`)
}
rmSync(folder, { recursive: true })

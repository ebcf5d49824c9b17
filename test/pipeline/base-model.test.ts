import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { analyse } from '../../src/pipeline/analyse.ts'
import type { AnalysisOptions, Layer, Report } from '../../src/report/schema.ts'
import { WorkerPool } from '../../src/spectrum/pool.ts'
import { analyseTensors, defaults } from '../support/analyse.ts'
import { cli, root } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { generate, goldenTensor } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'
import { hasShared, sharedCheckpoint } from '../support/shared.ts'

const { delta, deltas, distances } = JSON.parse(
  readFileSync(new URL('../fixtures/weightwatcher-analyses.json', import.meta.url), 'utf8'),
)
const engine = new WorkerPool(new URL('../../dist/worker.js', import.meta.url))

function analyseAgainst(path: string, baseModel: string, options: Partial<AnalysisOptions> = {}) {
  const all = { ...defaults, base_model: 'base', ...options }
  return analyse({ path }, { engine, options: all, baseModel, known: new Map() })
}

function expectClose(ours: number | null | undefined, theirs: number, what = ''): void {
  expect(Math.abs(ours! - theirs), `${what}: ${ours} instead of ${theirs}`).toBeLessThanOrEqual(
    1e-6 * Math.max(Math.abs(theirs), 1e-2),
  )
}

test('the spectrum of the difference and the distances are WeightWatcher’s', async () => {
  const [head, base] = [1, 11].map(seed => generate(seed, [60, 40], true))
  const model = await analyseAgainst(writeSafetensors({ 'w.weight': head }), writeSafetensors({ 'w.weight': base }), {
    analyses: ['distances'],
  })
  const [layer] = model.layers
  for (const metric of ['alpha', 'log_norm', 'D', 'xmin'] as const) expectClose(layer[metric], delta[metric], metric)
  expectClose(layer.delta_W, distances.raw, 'raw')
  expectClose(layer.cka, distances.cka, 'cka')
  expectClose(layer.delta_W! * layer.delta_W!, layer.norm!)
})

test('layers of Keras are held against what is in their place', async () => {
  const places = (name: string) => `test/fixtures/keras/places/${name}.weights.h5`
  const model = await analyseAgainst(places('exchanged'), places('named'))
  expect(model.layers.map(({ name }) => name)).toEqual(['mid', 'stem'])
  const later = analyseAgainst(places('later'), places('session'))
  await expect(later).rejects.toThrow(/3 × identical to that of the base model/)
})

test('by hand: norms, cosine, and CKA of each slice', async () => {
  const [head, base] = [4, 5].map(seed => generate(seed, [6, 8, 1, 2], true))
  const [w, v] = [head, base].map(({ values }) => Array.from(values as Float32Array))
  const options: Partial<AnalysisOptions> = { analyses: ['distances'], min_evals: 0 }
  const model = await analyseAgainst(writeSafetensors({ w: head }), writeSafetensors({ w: base }), options)
  const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0)
  const minus = w.map((x, i) => x - v[i])
  const [layer] = model.layers
  expectClose(layer.delta_W, Math.sqrt(dot(minus, minus)))
  expectClose(layer.delta_W_relative, Math.sqrt(dot(minus, minus) / dot(v, v)))
  expectClose(layer.cosine, dot(w, v) / Math.sqrt(dot(w, w) * dot(v, v)))
  const tall = (values: number[], slice: number) =>
    Array.from({ length: 8 }, (_, i) => Array.from({ length: 6 }, (_, j) => values[(j * 8 + i) * 2 + slice]))
  const gram = (a: number[][], b: number[][]) => {
    let squares = 0
    for (let i = 0; i < 6; i++)
      for (let j = 0; j < 6; j++) {
        const value = a.reduce((sum, row, k) => sum + row[i] * b[k][j], 0)
        squares += value * value
      }
    return Math.sqrt(squares)
  }
  const cka = [0, 1].map(i => {
    const [a, b] = [tall(w, i), tall(v, i)]
    return gram(a, b) / Math.sqrt(gram(a, a) * gram(b, b))
  })
  expectClose(layer.cka, (cka[0] + cka[1]) / 2)
})

test('layers that are the same are said to be, those that the base lacks too, and neither is a row', async () => {
  const folder = temporaryFolder()
  const head = writeSafetensors(
    { 'a.weight': goldenTensor('G1'), 'b.weight': goldenTensor('G3'), 'new.weight': goldenTensor('G4') },
    'head.safetensors',
    folder,
  )
  const base = writeSafetensors(
    { 'model.a.weight': goldenTensor('G1'), 'model.b.weight': generate(9, [64, 64], true) },
    'base.safetensors',
    folder,
  )
  const json = join(folder, 'report.json')
  const { status } = await cli(head, '--base-model', base, '--json', json, '--distances')
  expect(status).toBe(0)
  const report: Report = JSON.parse(readFileSync(json, 'utf8'))
  expect(report.options).toMatchObject({ base_model: '../base.safetensors', analyses: ['distances'] })
  expect(report.models[0].layers.map(({ name }) => name)).toEqual(['b'])
  expect(report.models[0].skipped.map(({ tensor, code, reason }) => [tensor, code, reason])).toEqual([
    ['a.weight', 'identical', 'identical to that of the base model'],
    ['new.weight', 'unmatched', 'the base model has no layer of this name and shape'],
  ])
  const nothing = await cli(base, '--base-model', base)
  expect([nothing.status, nothing.stderr]).toEqual([2, expect.stringContaining('identical to that of the base model')])
  const missing = await cli(head, '--base-model', join(folder, 'none.safetensors'))
  expect([missing.status, missing.stderr]).toEqual([2, expect.stringContaining("The base model can't be used.")])
  const alone = await cli(head, '--distances')
  expect([alone.status, alone.stderr]).toEqual([2, expect.stringContaining('distances needs a base-model')])
  expect((await cli(head, '--base-model', base, '--json', base)).status).toBe(2)
  const plain = await cli(head, '--baseline', json, '--json', '-')
  expect(JSON.parse(plain.stdout).comparison.reason).toContain('base_model is the default')
})

test('an error in the base is an error of the layer; an update of low rank is the difference already', async () => {
  const broken = { shape: [60, 40], values: new Float32Array(2400).fill(Number.POSITIVE_INFINITY) }
  const path = writeSafetensors({ w: goldenTensor('G1') })
  const { layers } = await analyseAgainst(path, writeSafetensors({ w: broken }), { analyses: ['distances'] })
  expect(layers[0]).toMatchObject({ status: 'error', error: { code: 'non-finite' }, delta_W: null, cka: null })
  const adapter = {
    'layer.lora_A.weight': generate(1, [12, 40], false),
    'layer.lora_B.weight': generate(2, [60, 12], false),
    'layer.alpha': { shape: [1], values: Float32Array.of(12) },
  }
  const alone = await analyseTensors(adapter)
  const against = await analyseAgainst(
    writeSafetensors(adapter),
    writeSafetensors({ 'layer.weight': goldenTensor('G1') }),
  )
  expect(against.layers.map(({ alpha }) => alpha)).toEqual(alone.layers.map(({ alpha }) => alpha))
})

type Row = { readonly name: string } & Record<
  'alpha' | 'D' | 'xmin' | 'log_norm' | 'log_spectral_norm' | 'stable_rank',
  number
>
type Distance = readonly { readonly name: string; readonly delta_W: number }[]

/**
 * WeightWatcher's `analyze(base_model=…)` of state dicts subtracts nothing there: the fixture has what it computes of the differences,
 * subtracted beforehand in single precision.
 */
describe.runIf(hasShared)('fine-tuned networks', () => {
  const pairs: Record<string, Record<'distances_raw' | 'distances_cka', [number, number, Distance]>> = hasShared
    ? JSON.parse(readFileSync(join(root, '../shared/reference/deltas.json'), 'utf8'))
    : {}

  test.each(Object.entries(deltas as Record<string, Row[]>))('%s, as WeightWatcher', async (name, rows) => {
    const [head, base] = name.split(' minus ').map(sharedCheckpoint)
    const model = await analyseAgainst(head, base, { analyses: ['distances'] })
    const plain = (key: string) => key.replace(/^module\./, '')
    const { tensors } = await openCheckpoint(head, {})
    const order = tensors.filter(({ shape }) => shape.length === 2 || shape.length === 4).map(({ name }) => name)
    const distance = (table: 'distances_raw' | 'distances_cka', { tensor }: Layer) =>
      pairs[name][table][2].find(({ name }) => Number(name.slice(1)) === order.indexOf(tensor))!.delta_W
    expect(model.layers.map(({ tensor }) => plain(tensor)).sort()).toEqual(rows.map(({ name }) => name).sort())
    for (const layer of model.layers) {
      const row = rows.find(({ name }) => name === plain(layer.tensor))!
      for (const metric of ['log_norm', 'log_spectral_norm', 'stable_rank', 'alpha', 'D', 'xmin'] as const)
        expectClose(layer[metric], row[metric], `${layer.name} ${metric}`)
      // WeightWatcher subtracts and multiplies in single precision.
      expect(Math.abs(layer.delta_W! / distance('distances_raw', layer) - 1), layer.name).toBeLessThan(2e-6)
      expect(Math.abs(layer.cka! - distance('distances_cka', layer)), layer.name).toBeLessThan(2e-6)
    }
    const same = model.skipped.filter(({ code }) => code === 'identical')
    for (const { tensor } of same) expect(distance('distances_raw', { tensor } as Layer)).toBe(0)
    expect(model.layers.length + same.length).toBe(order.length)
  })
})

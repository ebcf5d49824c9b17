import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { mergeAdapter } from '../../src/layers/merged.ts'
import { analyse } from '../../src/pipeline/analyse.ts'
import type { AnalysisOptions } from '../../src/report/schema.ts'
import { WorkerPool } from '../../src/spectrum/pool.ts'
import { defaults } from '../support/analyse.ts'
import { cli } from '../support/cli.ts'
import { generate } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'

const folder = new URL('../fixtures/adapters/', import.meta.url).pathname
type Expected = Record<string, Record<string, { shape: number[]; lambda_max: number; norm: number }>>
const expected: Expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'))
const base = join(folder, 'base.safetensors')
const engine = new WorkerPool(new URL('../../dist/worker.js', import.meta.url))

function merged(path: string, baseModel = base, options: Partial<AnalysisOptions> = {}) {
  const all = { ...defaults, min_evals: 0, base_model: 'base', merge_adapter: true as const, ...options }
  return analyse({ path }, { engine, options: all, baseModel, known: new Map() })
}

test.each(Object.entries(expected))(
  '%s: the spectra are those of the weights that PEFT merges',
  async (name, weights) => {
    const { layers, skipped } = await merged(join(folder, name))
    expect(layers.map(({ tensor }) => tensor).sort()).toEqual(
      Object.keys(weights)
        .map(key => `model.${key}.weight`)
        .sort(),
    )
    for (const layer of layers) {
      const { shape, lambda_max, norm } = weights[layer.tensor.replace(/^model\.|\.weight$/g, '')]!
      expect(layer.shape, layer.name).toEqual(shape)
      expect(Math.abs(layer.lambda_max! / lambda_max - 1), layer.name).toBeLessThan(1e-9)
      expect(Math.abs(layer.norm! / norm - 1), layer.name).toBeLessThan(1e-9)
    }
    const identical = skipped.filter(({ code }) => code === 'identical')
    expect(identical.map(({ tensor }) => tensor)).toContain('model.block.rest.weight')
    expect(identical).toHaveLength(6 - layers.length)
  },
)

const factors = (module: string, [rows, columns]: [number, number]) => ({
  [`${module}.lora_A.weight`]: generate(1, [4, columns], false),
  [`${module}.lora_B.weight`]: generate(2, [rows, 4], false),
  [`${module}.alpha`]: { shape: [1], values: Float32Array.of(4) },
})

test('a wrong shape is an error that names both files; an update without its weight is named', async () => {
  const adapter = writeSafetensors(
    { ...factors('a', [60, 40]), ...factors('b', [60, 41]), ...factors('lost', [9, 9]) },
    'adapter.safetensors',
  )
  const weights = writeSafetensors(
    { 'a.weight': generate(3, [60, 40], false), 'b.weight': generate(4, [60, 40], false) },
    'weights.safetensors',
  )
  const model = await merged(adapter, weights)
  expect(model.layers.map(({ name, status }) => [name, status === 'error'])).toEqual([
    ['a', false],
    ['b', true],
  ])
  expect(model.layers[1].error?.message).toBe(
    'the weight in weights.safetensors is [60,40] of F32, and what adapter.safetensors adds to it [60,41]',
  )
  expect(
    model.skipped.filter(({ code }) => code === 'unmatched').map(({ tensor, reason }) => [tensor, reason]),
  ).toEqual([['lost.lora_B.weight', 'the base model has no lost.weight']])
})

test('what is no adapter, or has no base, is refused; ΔW alone stays the default', async () => {
  await expect(merged(base)).rejects.toThrow('holds no adapter that could be merged')
  const path = join(folder, 'lora')
  expect((await cli(path, '--merge-adapter')).stderr).toContain('merge-adapter needs a base-model')
  const both = await cli(path, '--merge-adapter', '--base-model', base, '--distances')
  expect(both.stderr).toContain('leave merge-adapter out')
  const { layers } = await merged(path, base, { merge_adapter: undefined })
  const deltas = layers.filter(({ shape }) => shape.length === 2)
  for (const { matrix_rank } of deltas) expect(matrix_rank).toBe(4)
})

test('names: the very key, what stands before it, kohya’s underscores; never two that only end alike', () => {
  const tensor = (name: string) => ({ name }) as never
  const find = (key: string, ...weights: string[]) => {
    const update = { key, down: 'down', up: 'up', embedding: false, scale: 1 }
    const adapter = { tensors: [tensor('down'), tensor('up')], updates: [update] }
    const { updates, unmatched } = mergeAdapter(adapter, { tensors: weights.map(tensor) })
    return updates[0]?.base ?? unmatched[0].reason
  }
  expect(find('a.q.weight', 'a.q.weight', 'b.a.q.weight')).toBe('a.q.weight')
  expect(find('a.q.weight', 'model.a.q.weight')).toBe('model.a.q.weight')
  expect(find('model.a.q.weight', 'a.q.weight')).toBe('a.q.weight')
  expect(find('lora_unet_a_0_q.weight', 'a.0.q.weight')).toBe('a.0.q.weight')
  expect(find('a.in_proj_weight', 'model.a.in_proj_weight')).toBe('model.a.in_proj_weight')
  expect(find('encoder.q.weight', 'decoder.q.weight')).toBe('the base model has no encoder.q.weight')
  expect(find('q.weight', 'a.q.weight', 'b.q.weight')).toBe('which weight of the base model q.weight is cannot be told')
})

test('two updates of one weight of the base model are neither merged', () => {
  const tensor = (name: string) => ({ name }) as never
  const updates = ['a', 'b'].map(one => ({ key: `${one}.q.weight`, down: one, up: one, embedding: false, scale: 1 }))
  const merged = mergeAdapter({ tensors: ['a', 'b'].map(tensor), updates }, { tensors: [tensor('q.weight')] })
  expect(merged.updates).toEqual([])
  expect(merged.unmatched.map(({ reason }) => reason)).toEqual([
    'which weight of the base model a.q.weight is cannot be told',
    'which weight of the base model b.q.weight is cannot be told',
  ])
})

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { contiguous, type Tensor } from '../../src/checkpoint/types.ts'
import { blocksIn } from '../../src/layers/packed.ts'
import { planLayers } from '../../src/layers/select.ts'
import { product, stored } from '../../src/recipe/values.ts'
import { analyseFile, analyseTensors, defaults } from '../support/analyse.ts'
import { cli } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { generate } from '../support/golden.ts'
import { hasShared, sharedCheckpoint } from '../support/shared.ts'

const folder = new URL('../fixtures/packed/', import.meta.url).pathname
type Block = { lambda_max: number; norm: number; num_evals: number }
const expected: Record<string, Record<string, Block>> = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'))

const split = { split_packed: true as const, min_evals: 0, structure: false as const }

test.each(Object.entries(expected))(
  '%s: each block’s spectrum is that of the map that the module applies',
  async (name, blocks) => {
    const model = await analyseFile(join(folder, name), split)
    const packed = model.layers.filter(({ part }) => part !== undefined)
    expect(packed.map(({ name, part }) => `${name} ${part}`).sort()).toEqual(Object.keys(blocks).sort())
    expect(model.whole).toBeUndefined()
    for (const layer of packed) {
      const block = blocks[`${layer.name} ${layer.part}`]
      expect(layer.num_evals).toBe(block.num_evals)
      for (const metric of ['lambda_max', 'norm'] as const)
        expect(Math.abs(layer[metric]! / block[metric] - 1), `${layer.name} ${layer.part} ${metric}`).toBeLessThan(1e-9)
    }
    const whole = await analyseFile(join(folder, name), { ...split, split_packed: undefined })
    expect(whole.layers.every(({ part }) => part === undefined || /^expert \d+$/.test(part))).toBe(true)
  },
)

test('without config.json what depends on heads is left whole, and said to be', async () => {
  const copy = temporaryFolder()
  cpSync(join(folder, 'neox'), copy, { recursive: true })
  rmSync(join(copy, 'config.json'))
  const model = await analyseFile(copy, split)
  expect(model.layers.map(({ part }) => part)).toEqual([undefined])
  expect(model.whole).toEqual([
    {
      tensor: 'gpt_neox.layers.0.attention.query_key_value.weight',
      reason: expect.stringContaining('keep its config.json'),
    },
  ])
  const { stdout } = await cli(copy, '--split-packed', '--min-evals', '0')
  expect(stdout).toContain('Left whole, 1 tensor of')
})

test('a family’s layout is not that of a model with code of its own', async () => {
  const copy = temporaryFolder()
  cpSync(join(folder, 'codegen'), copy, { recursive: true })
  const config = JSON.parse(readFileSync(join(copy, 'config.json'), 'utf8'))
  writeFileSync(join(copy, 'config.json'), JSON.stringify({ ...config, auto_map: { AutoModel: 'modeling.Model' } }))
  expect((await analyseFile(copy, split)).whole).toHaveLength(1)
})

test('a block below min-evals is left out, the others are layers; the default set is as it was', async () => {
  const model = await analyseFile(join(folder, 'phi3'), { ...split, min_evals: 4 })
  expect(model.layers.map(({ part }) => part)).toEqual(['q'])
  expect(model.skipped.map(({ shape, reason }) => [shape, reason])).toEqual([
    [[3, 12], 'k: 3 eigenvalues, fewer than min-evals 4'],
    [[3, 12], 'v: 3 eigenvalues, fewer than min-evals 4'],
  ])
  expect(model.summary.coverage).toBeCloseTo(12 / 18)
})

const tensor = (name: string, shape: number[]): Tensor => {
  return { name, dtype: 'F32', shape, source: { kind: 'file', path: 'x', offset: 0, strides: contiguous(shape) } }
}
const parts = (...tensors: Tensor[]) =>
  planLayers({ tensors, unread: [] }, { ...defaults, split_packed: true, min_evals: 0 }).layers.map(
    ({ name, part, shape }) => `${name} ${part} ${shape}`,
  )

describe('by structure', () => {
  test.each([
    [[tensor('blocks.0.attn.qkv.weight', [90, 20])], ['q 30,20', 'k 30,20', 'v 30,20']],
    [[tensor('layers.0.attn.Wqkv.weight', [60, 20])], ['q 20,20', 'k 20,20', 'v 20,20']],
    [[tensor('layers.0.attn.to_kv.weight', [40, 20])], ['k 20,20', 'v 20,20']],
    // nanoGPT's is a linear layer.
    [[tensor('h.0.attn.c_attn.weight', [60, 20])], ['q 20,20', 'k 20,20', 'v 20,20']],
    [[tensor('model.layers.0.self_attn.qkv_proj.weight', [60, 20])], ['q 20,20', 'k 20,20', 'v 20,20']],
    // CodeGen's has its rows in another order.
    [[tensor('transformer.h.0.attn.qkv_proj.weight', [60, 20])], ['undefined 60,20']],
    [[tensor('model.layers.0.self_attn.qkv_proj.weight', [30, 20])], ['undefined 30,20']],
    // A plain recurrent layer has one gate, which is none.
    [[tensor('rnn.weight_hh_l0', [20, 20])], ['undefined 20,20']],
    [[tensor('fc.weight', [60, 20])], ['undefined 60,20']],
    [[tensor('mixer.in_proj.weight', [60, 20])], ['undefined 60,20']],
    [[tensor('moe.experts.gate_up_proj', [2, 20, 60])], ['expert 0 20,60', 'expert 1 20,60']],
  ])('%o', (tensors, wanted) => {
    expect(parts(...tensors).map(text => text.slice(text.indexOf(' ') + 1))).toEqual(wanted)
  })

  test('Keras’ kernels are (in, gates·units): LSTM i, f, c, o and GRU z, r, h', () => {
    const layers = parts(
      tensor('lstm/lstm_cell/kernel:0', [7, 24]),
      tensor('lstm/lstm_cell/recurrent_kernel:0', [6, 24]),
      tensor('gru/gru_cell/kernel:0', [7, 18]),
      tensor('gru/gru_cell/recurrent_kernel:0', [6, 18]),
      tensor('dense/kernel:0', [7, 24]),
    )
    expect(layers.filter(text => text.includes('lstm_cell ')).map(text => text.slice(15))).toEqual([
      ...['i', 'f', 'c', 'o'].map(gate => `gate ${gate} 7,6`),
    ])
    expect(layers.filter(text => text.includes('gru_cell ')).map(text => text.slice(13))).toEqual([
      ...['z', 'r', 'h'].map(gate => `gate ${gate} 7,6`),
    ])
    expect(layers.at(-1)).toBe('dense undefined 7,24')
  })
})

test('a block of a low-rank update is one itself', () => {
  const update = product(stored(tensor('up', [36, 2])), stored(tensor('down', [2, 12])), 0.5)
  const blocks = blocksIn('h.0.attn.in_proj_weight', update, { sibling: () => undefined, attention: undefined })
  expect(blocks).toMatchObject(['q', 'k', 'v'].map(part => ({ part, values: { op: 'product', factor: 0.5 } })))
})

test('a part of a report is a layer of its own in a comparison', async () => {
  const tensors = { 'a.in_proj_weight': generate(3, [60, 20], true) }
  const model = await analyseTensors(tensors, { split_packed: true })
  expect(model.layers.map(({ name, part, layer_type }) => [name, part, layer_type])).toEqual(
    ['q', 'k', 'v'].map(part => ['a.in_proj_weight', part, 'dense']),
  )
})

test.runIf(hasShared)('a real LSTM', async () => {
  const model = await analyseFile(sharedCheckpoint('silero-16k'), { split_packed: true })
  const gates = model.layers.filter(({ tensor }) => tensor.startsWith('lstm_cell'))
  expect(gates.map(({ name, part, M }) => `${name} ${part} ${M}`)).toEqual(
    ['ih', 'hh'].flatMap(kind => ['i', 'f', 'g', 'o'].map(gate => `lstm_cell.weight_${kind} gate ${gate} 128`)),
  )
  const whole = await analyseFile(sharedCheckpoint('silero-16k'))
  const norm = (layers: typeof gates) => layers.reduce((sum, { norm }) => sum + norm!, 0)
  expect(norm(gates) / norm(whole.layers.filter(({ tensor }) => tensor.startsWith('lstm_cell')))).toBeCloseTo(1, 10)
})

import { expect, test } from 'vitest'
import { membershipOf } from '../../src/report/groups.ts'
import { analyseTensors } from '../support/analyse.ts'
import { generate } from '../support/golden.ts'

test.each([
  // Llama, Mistral
  ['layers.0.self_attn.q_proj', 'attention.q', 'layers.0'],
  ['model.layers.10.self_attn.k_proj', 'attention.k', 'model.layers.10'],
  ['layers.0.self_attn.o_proj', 'attention.o', 'layers.0'],
  ['layers.3.mlp.down_proj', 'mlp', 'layers.3'],
  ['layers.3.mlp.experts.gate_up_proj', 'mlp', 'layers.3'],
  ['layers.3.feed_forward.w1', 'mlp', 'layers.3'],
  ['layers.3.attention.wo', 'attention.o', 'layers.3'],
  ['embed_tokens', 'embedding', undefined],
  ['lm_head', 'head', undefined],
  // GPT-2
  ['h.0.attn.c_attn', 'attention.qkv', 'h.0'],
  ['h.0.attn.c_proj', 'attention.o', 'h.0'],
  ['h.0.mlp.c_fc', 'mlp', 'h.0'],
  ['h.0.mlp.c_proj', 'mlp', 'h.0'],
  ['wpe', 'embedding', undefined],
  // BERT
  ['bert.encoder.layer.3.attention.self.query', 'attention.q', 'bert.encoder.layer.3'],
  ['bert.encoder.layer.3.attention.output.dense', 'attention.o', 'bert.encoder.layer.3'],
  ['bert.encoder.layer.3.intermediate.dense', 'mlp', 'bert.encoder.layer.3'],
  ['bert.encoder.layer.3.output.dense', 'mlp', 'bert.encoder.layer.3'],
  ['bert.embeddings.word_embeddings', 'embedding', undefined],
  // T5
  ['encoder.block.0.layer.0.SelfAttention.v', 'attention.v', 'encoder.block.0'],
  ['encoder.block.0.layer.0.SelfAttention.o', 'attention.o', 'encoder.block.0'],
  ['encoder.block.0.layer.1.DenseReluDense.wo', 'mlp', 'encoder.block.0'],
  // timm, torch, GPT-NeoX, GGUF
  ['blocks.3.attn.qkv', 'attention.qkv', 'blocks.3'],
  ['blocks.3.attn.proj', 'attention.o', 'blocks.3'],
  ['blocks.3.mlp.fc2', 'mlp', 'blocks.3'],
  ['layers.0.self_attn.in_proj_weight', 'attention.qkv', 'layers.0'],
  ['layers.0.self_attn.out_proj', 'attention.o', 'layers.0'],
  ['layers.0.linear1', 'mlp', 'layers.0'],
  ['gpt_neox.layers.0.attention.dense', 'attention.o', 'gpt_neox.layers.0'],
  ['blk.0.attn_q', 'attention.q', 'blk.0'],
  ['blk.0.attn_output', 'attention.o', 'blk.0'],
  ['blk.0.ffn_up', 'mlp', 'blk.0'],
  ['output', 'head', undefined],
  // Convolutional networks
  ['layer1.0.conv1', undefined, 'layer1.0'],
  ['features.3.conv.0', undefined, 'features.3'],
  ['fc', 'head', undefined],
  ['mixer.out_proj', undefined, undefined],
  // What stands before a component with `attention` in it says nothing, and outside of blocks alone `fc` is a head
  ['layers.0.out.attention.x', undefined, 'layers.0'],
  ['layers.0.mlp.attention.proj', 'attention.o', 'layers.0'],
  ['layers.0.attention.mlp', 'mlp', 'layers.0'],
  ['layers.0.attention.q_proj.out', 'attention.q', 'layers.0'],
  ['layers.0.output.x', undefined, 'layers.0'],
  ['layers.0.x.dense', undefined, 'layers.0'],
  ['layers.0.fc', undefined, 'layers.0'],
  ['layers.3', undefined, 'layers.3'],
  ['layers', undefined, undefined],
  ['x.layers.3a.fc', 'head', undefined],
  ['layers.1234567.fc', 'head', undefined],
  ['x.3.fc', 'head', undefined],
])('%s', (name, group, block) => {
  expect(membershipOf({ name })).toEqual({ ...(group && { group }), ...(block && { block }) })
})

test('a part of packed attention is what it is', () => {
  expect(membershipOf({ name: 'h.0.attn.c_attn', part: 'k' }).group).toBe('attention.k')
})

test('a hostile name takes no longer than its length', { timeout: 60_000 }, () => {
  const begin = performance.now()
  for (let i = 0; i < 200; i++)
    for (const piece of ['layers.', 'attn', '0.', 'h.']) membershipOf({ name: piece.repeat(4096 / piece.length) })
  expect(performance.now() - begin).toBeLessThan(10_000)
})

test('the report has the plain means of each group and block, and none where a layer could not be read', async () => {
  const names = [
    'layers.0.attn.q_proj',
    'layers.0.attn.k_proj',
    'layers.1.attn.q_proj',
    'layers.1.mlp.up_proj',
    'lm_head',
  ]
  const tensors = Object.fromEntries(names.map((name, i) => [`${name}.weight`, generate(20 + i, [60, 40], true)]))
  const { layers, groups } = await analyseTensors(tensors)
  const alpha = (...at: number[]) => at.reduce((sum, i) => sum + layers[i].alpha!, 0) / at.length
  expect(groups?.map(({ group, kind, layers, fitted }) => [group, kind, layers, fitted])).toEqual([
    ['attention.q', 'function', 2, 2],
    ['attention.k', 'function', 1, 1],
    ['mlp', 'function', 1, 1],
    ['head', 'function', 1, 1],
    ['layers.0', 'block', 2, 2],
    ['layers.1', 'block', 2, 2],
  ])
  expect(groups?.map(group => group.alpha)).toEqual([
    alpha(0, 2),
    ...[alpha(1), alpha(3), alpha(4), alpha(0, 1), alpha(2, 3)],
  ])
  const broken = { shape: [60, 40], values: new Float32Array(2400).fill(Number.NaN) }
  const failed = await analyseTensors({ ...tensors, 'layers.0.attn.q_proj.weight': broken })
  expect(failed.groups?.map(({ alpha }) => alpha === null)).toEqual([true, false, false, false, true, false])
})

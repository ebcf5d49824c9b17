import { expect, test } from 'vitest'
import { contiguous, type DType, type Tensor } from '../../src/checkpoint/types.ts'
import { notWeights } from '../../src/layers/classify.ts'

function tensor(name: string, shape: number[] = [48, 40], dtype: DType = 'F32'): Tensor {
  return { name, dtype, shape, source: { kind: 'file', path: 'x', offset: 0, strides: contiguous(shape) } }
}
const refused = (...tensors: (string | Tensor)[]) => {
  const found = notWeights(tensors.map(one => (typeof one === 'string' ? tensor(one) : one)))
  return Object.fromEntries([...found].map(([name, { code }]) => [name, code]))
}

test.each([
  'd_optimizer/vars/2',
  'optimizer.state.0.exp_avg',
  'actor_optimizer/vars/3',
  'opt_state/0/mu/Dense_0/kernel',
  'opt_state.0.nu.Dense_0.kernel',
  'model.fc.momentum_buffer',
  'optimizer_states.0.state.1',
])('%s is of an optimizer', name => {
  expect(refused(name)).toEqual({ [name]: 'optimizer' })
})

test('what TensorFlow 1 put below a variable is of an optimizer, where the variable is there', () => {
  expect(refused('fc/W:0', 'fc/W/Adam:0', 'fc/W/Adam_1:0', 'fc/W/RMSProp:0', 'blocks/Adam')).toEqual({
    'fc/W/Adam:0': 'optimizer',
    'fc/W/Adam_1:0': 'optimizer',
    'fc/W/RMSProp:0': 'optimizer',
  })
})

test.each([
  'b.0.att.mask',
  'sa.heads.0.tril',
  'attn.causal_mask',
  'mel_basis',
  'mel_scale.fb',
  'encoder.pe',
  'attn.cache_k',
  'attn.kv_cache',
  'past_key_values.0.key',
  'stft.dft_matrix',
  'cos_cache',
  'rotary_emb.cos_cached',
  'rotary_emb.table',
  'freqs_cis',
  'module.queue',
  'text_queue',
  'fc._extra_state.cache',
  'vq.embed_avg',
  'stft.forward_basis_buffer',
  'bn.running_cov',
  'train_acc.confmat',
  'ob_cov',
  'whitening.covariance_matrix',
  'replay_buffer.obs',
  'obs_rms.table',
])('%s is a buffer', name => {
  expect(refused(name)).toEqual({ [name]: 'buffer' })
})

test('what is applied element by element is no matrix', () => {
  expect(refused('attn.query.bias', 'ln/gamma', 'mixer.A_log', 'bias.weight')).toEqual({
    'attn.query.bias': 'rank',
    'ln/gamma': 'rank',
    'mixer.A_log': 'rank',
  })
})

test.each([
  'fc.weight',
  'mask_decoder.weight',
  'position_embeddings.weight',
  'positional_embedding',
  'optimized_block.weight',
  'window_attention.qkv.weight',
  'memory.keys.weight',
  'cosine_head.weight',
  'key_proj.weight',
  'peg.weight',
  'target_proj.weight',
  'cache_encoder.weight',
  'cache.weight',
  'rope.weight',
  'key_cache.0.kernel',
  'batch_stats.proj_weight',
])('%s is a weight', name => {
  expect(refused(name)).toEqual({})
})

test.each([
  ['an average under a mangled name', ['model.a.0.weight', 'model_ema.a0weight'], ['model_ema.a0weight']],
  ['an average of a single layer', ['model.weight', 'ema.weight'], ['ema.weight']],
  ['an average by its name', ['net.weight', 'a.weight', 'b.weight', 'net_ema.weight'], ['net_ema.weight']],
  [
    'an average of parameters',
    ['a.weight', 'b.weight', 'ema.shadow_params.0', 'ema.shadow_params.1'],
    ['ema.shadow_params.0', 'ema.shadow_params.1'],
  ],
  ['TensorFlow 1', ['fc/W:0', 'a/W:0', 'fc/W/ExponentialMovingAverage:0'], ['fc/W/ExponentialMovingAverage:0']],
  ['an average beside its weight', ['a.weight', 'fc.weight', 'fc.weight_ema'], ['fc.weight_ema']],
  ['ema-pytorch', ['online_model.0.weight', 'ema_model.0.weight'], ['ema_model.0.weight']],
  ['a target network', ['critic.0.weight', 'critic_target.0.weight'], ['critic_target.0.weight']],
  ['the policy beside its target', ['policy_net.0.weight', 'target_net.0.weight'], ['target_net.0.weight']],
  ['a teacher', ['student.a.weight', 'teacher.a.weight'], ['teacher.a.weight']],
  ['MoCo', ['module.encoder_q.fc.weight', 'module.encoder_k.fc.weight'], ['module.encoder_k.fc.weight']],
  ['a momentum encoder', ['encoder.a.weight', 'momentum_encoder.a.weight'], ['momentum_encoder.a.weight']],
])('%s is a copy', (_, names, copies) => {
  expect(Object.keys(refused(...names))).toEqual(copies)
})

test.each([
  ['an average alone', [tensor('ema_model.0.weight')]],
  ['an average of nothing', [tensor('ema.0.weight'), tensor('ema.1.weight')]],
  ['a layer called ema', [tensor('a.weight'), tensor('b.weight'), tensor('ema.weight')]],
  [
    'layers called ema',
    [...'abcde'].map(a => tensor(`${a}.weight`)).concat(tensor('ema.0.weight'), tensor('ema.1.weight')),
  ],
  ['an average that begins deeper than any', [tensor('model.weight'), tensor(`${'a.'.repeat(16)}ema.weight`)]],
  ['an average of another shape', [tensor('model.a.weight', [3, 4]), tensor('ema.a.weight')]],
  ['a teacher alone', [tensor('teacher.a.weight'), tensor('decoder.b.weight')]],
  ['embeddings of source and target', [tensor('source_embedding.weight'), tensor('target_embedding.weight')]],
  ['queries and keys', [tensor('query_proj.weight'), tensor('key_proj.weight')]],
  ['a target network of another make', [tensor('critic.0.weight'), tensor('critic_target.1.weight')]],
])('%s is none', (_, tensors) => {
  expect(refused(...tensors)).toEqual({})
})

test('what the reader saw of contents and companions counts', () => {
  expect(refused({ ...tensor('a.table'), constant: 'a mask' }, { ...tensor('a.s'), companion: true })).toEqual({
    'a.table': 'buffer',
    'a.s': 'buffer',
  })
  expect(refused({ ...tensor('a.q'), companion: true, broken: 'no reader' })).toEqual({})
})

test('integers that index are buffers, others are of a type that is not read', () => {
  expect(refused(tensor('relative_position_index', [4, 4], 'I64'), tensor('codes', [4, 4], 'I32'))).toEqual({
    relative_position_index: 'buffer',
    codes: 'dtype',
  })
})

test('a copy says of what it is, at most 200 characters', () => {
  const reason = (...names: string[]) => notWeights(names.map(name => tensor(name))).get(names.at(-1)!)?.reason
  expect(reason('a.critic.0.weight', 'a.critic_target.0.weight')).toBe('of a copy of the weights, a.critic_target')
  const long = `${'x'.repeat(250)}.`
  expect(reason(`${long}critic.0.weight`, `${long}critic_target.0.weight`)).toBe(
    `of a copy of the weights, ${'x'.repeat(200)}`,
  )
})

test.each<[string, Tensor, boolean]>([
  ['GPT-2’s', tensor('h.0.attn.bias', [1, 1, 8, 8]), true],
  ['of several heads', tensor('h.0.attn.bias', [4, 1, 8, 8]), false],
  ['of a reciprocal number of heads', tensor('h.0.attn.bias', [2, 2, 8, 8]), false],
  ['no square', tensor('h.0.attn.bias', [1, 1, 8, 9]), false],
  ['of another rank', tensor('h.0.attn.bias', [1, 1, 8]), false],
  ['under another name', tensor('h.0.attn.weight', [1, 1, 8, 8]), false],
])('a causal mask: %s', (_, one, is) => expect(notWeights([one]).get(one.name)?.code).toBe(is ? 'buffer' : undefined))

test('rotary embeddings and caches hold what is below them', () => {
  expect(
    refused('a.rope.table', 'rope.table.weight', 'table.rope', 'rotary.a.b', 'a.cache.state', 'state.cache'),
  ).toEqual({
    'a.rope.table': 'buffer',
    'rotary.a.b': 'buffer',
    'a.cache.state': 'buffer',
  })
})

test.each<[string, DType, string | undefined]>([
  ['F8_E8M0', 'F8_E8M0', 'F8_E8M0 is not decoded'],
  ['F8_E4M3FNUZ', 'F8_E4M3FNUZ', 'F8_E4M3FNUZ is not decoded'],
  ['F6_E2M3', 'F6_E2M3', 'F6_E2M3 is not decoded'],
  ['F4', 'F4', 'F4 is not decoded'],
  ['F8_E4M3', 'F8_E4M3', undefined],
  ['I32', 'I32', 'I32 is not a floating-point type'],
  ['C64', 'C64', 'C64 is not a floating-point type'],
])('weights of %s', (_, dtype, reason) => {
  expect(notWeights([tensor('a', [4, 4], dtype)]).get('a')?.reason).toBe(reason)
})

test('what is applied element by element has two dimensions', () => {
  expect(refused(tensor('a.gamma', [4]), tensor('a.beta', [4, 4, 3]), tensor('gamma', [4, 4]))).toEqual({
    gamma: 'rank',
  })
})

test('an optimizer’s slot belongs to a variable, with or without TensorFlow’s number', () => {
  expect(refused('fc/W', 'fc/W/Adam', 'b.w:0', 'b.w.Momentum:0', 'c/Adam:01', 'c:0')).toEqual({
    'fc/W/Adam': 'optimizer',
    'b.w.Momentum:0': 'optimizer',
  })
})

test('followers and what they follow', () => {
  expect(refused('a.q_encoder.w', 'a.k_encoder.w', 'b.encoder.w', 'b.encoder_key.w')).toEqual({
    'a.k_encoder.w': 'buffer',
    'b.encoder_key.w': 'buffer',
  })
  // One matrix of two is elsewhere, or of another shape.
  expect(refused('critic.0.w', 'critic.1.w', 'critic_target.0.w', 'critic_target.2.w')).toEqual({})
  expect(refused(tensor('critic.w'), tensor('critic_target.w', [4, 3]))).toEqual({})
  // Without a matrix there is nothing to hide.
  expect(refused(tensor('critic.w', [4]), tensor('critic_target.w', [4]))).toEqual({})
  expect(refused('target.w', 'a.w', 'online.w')).toEqual({ 'target.w': 'buffer' })
  expect(refused('x.critic.w', 'y.critic_target.w')).toEqual({})
  expect(refused('key_encoder.w', 'query_encoder.w', 'query_proj.w', 'key_proj.w')).toEqual({
    'key_encoder.w': 'buffer',
  })
  expect(refused('target_encoder.w', 'query_encoder.w')).toEqual({})
  expect(refused('mytarget.w', 'my.w', 'target')).toEqual({})
})

test('averages of biases alone hide nothing, those of a whole model do', () => {
  expect(refused(tensor('ema.b', [4]), tensor('c.w'))).toEqual({ 'ema.b': 'buffer' })
  expect(refused('a.w', 'b.w', 'c.w', 'd.w', 'ema.a', 'ema.b')).toEqual({ 'ema.a': 'buffer', 'ema.b': 'buffer' })
  expect(refused('a.w', 'b.w', 'c.w', 'd.w', 'e.w', 'ema.a', 'ema.b')).toEqual({})
  const more = [tensor('a.w'), tensor('b.w', [3, 3]), tensor('ema.a'), tensor('ema.b')]
  expect(refused(...more)).toEqual({})
})

test('a module that PEFT trained a copy of is not applied', () => {
  expect(
    refused('l.5.original_module.weight', 'l.5.modules_to_save.default.weight', 'l.6.original_module.weight'),
  ).toEqual({
    'l.5.original_module.weight': 'buffer',
  })
  expect(refused('original_module.weight', 'modules_to_save.a.weight', 'x.original_module.w')).toEqual({
    'original_module.weight': 'buffer',
  })
})

test('a module called optimizer has weights, an optimizer’s state is about others', () => {
  expect(
    refused(
      ...['optimizer.fc.weight', 'prompt_optimizer.kernel', 'optimizer.state.fc.weight', 'd_optimizer/vars/kernel'],
      ...['opt_state.0.mu.fc.kernel', 'optimizer.m.fc.weight', 'optimizer.fc.exp', 'optimizer_states.0.weight'],
    ),
  ).toEqual({
    'optimizer.state.fc.weight': 'optimizer',
    'd_optimizer/vars/kernel': 'optimizer',
    'opt_state.0.mu.fc.kernel': 'optimizer',
    'optimizer.m.fc.weight': 'optimizer',
    'optimizer.fc.exp': 'optimizer',
    'optimizer_states.0.weight': 'optimizer',
  })
})

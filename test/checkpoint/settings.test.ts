import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { limits } from '../../src/limits.ts'
import type { Model } from '../../src/report/schema.ts'
import { changedSettings } from '../../src/report/settings.ts'
import { temporaryFolder } from '../support/folder.ts'
import { model } from '../support/models.ts'
import { writeSafetensors } from '../support/safetensors.ts'

const LLAMA = {
  ...{ model_type: 'llama', architectures: ['LlamaForCausalLM'], num_hidden_layers: 4, num_attention_heads: 4 },
  ...{ rms_norm_eps: 1e-6, hidden_act: 'silu', tie_word_embeddings: true, vocab_size: 256, attention_dropout: 0 },
}

async function settingsOf(config: object | string | undefined, name = 'config.json', file = 'model.safetensors') {
  const folder = temporaryFolder()
  writeSafetensors({ 'a.weight': { shape: [60, 60] } }, file, folder)
  if (config) writeFileSync(join(folder, name), typeof config === 'string' ? config : JSON.stringify(config), 'latin1')
  return (await openCheckpoint(folder)).settings
}

/** @param tensors of the model that is held against the other */
async function changes(
  head: object | string | undefined,
  base: object | string | undefined,
  name = 'config.json',
  tensors: string[] = [],
) {
  const [now, before] = await Promise.all([head, base].map(config => settingsOf(config, name)))
  const as = (settings: typeof now, skipped: string[] = []): Model => {
    const one = model('net', [])
    const rows = skipped.map(tensor => ({ tensor, shape: [1], dtype: 'F32', code: 'rank' as const, reason: '' }))
    return { ...one, skipped: rows, source: { ...one.source, ...(settings && { settings: [...settings] }) } }
  }
  return changedSettings(as(now, tensors), as(before))?.map(({ name }) => name.replace('config.json: ', ''))
}

test('what decides how weights are loaded is kept of a config, and nothing else', async () => {
  expect(await settingsOf({ ...LLAMA, torch_dtype: 'float32', use_cache: true, id2label: { 0: 'a' } })).toEqual([
    { file: 'config.json', key: 'model_type', value: '"llama"' },
    { file: 'config.json', key: 'architectures', value: '["LlamaForCausalLM"]' },
    { file: 'config.json', key: 'num_hidden_layers', value: '4' },
    { file: 'config.json', key: 'num_attention_heads', value: '4' },
    { file: 'config.json', key: 'rms_norm_eps', value: '0.000001' },
    { file: 'config.json', key: 'hidden_act', value: '"silu"' },
    { file: 'config.json', key: 'tie_word_embeddings', value: 'true' },
  ])
  expect(await settingsOf(undefined)).toEqual([])
  expect(await settingsOf({})).toEqual([])
  expect(
    await settingsOf(
      { _class_name: 'UNet2DModel', act_fn: 'silu' },
      'config.json',
      'diffusion_pytorch_model.safetensors',
    ),
  ).toEqual([])
})

test('the config of a module of sentence-transformers is called by its place', async () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, '0_Transformer'))
  writeSafetensors({ 'a.weight': { shape: [60, 60] } }, 'model.safetensors', join(folder, '0_Transformer'))
  writeFileSync(join(folder, '0_Transformer/config.json'), '{"model_type": "bert"}')
  const type = 'sentence_transformers.models.Transformer'
  writeFileSync(join(folder, 'modules.json'), JSON.stringify([{ idx: 0, name: '0', path: '0_Transformer', type }]))
  expect((await openCheckpoint(folder)).settings).toEqual([
    { file: '0_Transformer/config.json', key: 'model_type', value: '"bert"' },
  ])
})

test('the config beside a file of any other name may be of something else', async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'config.json'), JSON.stringify(LLAMA))
  const [own, other] = ['model.safetensors', 'net.safetensors'].map(name =>
    writeSafetensors({ 'a.weight': { shape: [60, 60] } }, name, folder),
  )
  expect((await openCheckpoint(own!)).settings).toHaveLength(7)
  expect((await openCheckpoint(other!)).settings).toBeUndefined()
})

test('long values, long keys and many settings are kept as their digests', async () => {
  const settings = (await settingsOf({
    layer_types: new Array(90).fill('full_attention'),
    [`${'x'.repeat(300)}_eps`]: 1,
  }))!
  for (const { key, value } of settings) {
    expect(key.length).toBeLessThanOrEqual(limits.settings.characters)
    expect(value.length).toBeLessThanOrEqual(limits.settings.characters)
  }
  expect(settings[0]!.value).toMatch(/^sha256 [0-9a-f]{32}$/)
  const many = (more: number) =>
    settingsOf(Object.fromEntries(Array.from({ length: limits.settings.count + 1 }, (_, i) => [`k${i}_eps`, i + more])))
  expect(await many(0)).toHaveLength(1)
  expect(await many(0)).not.toEqual(await many(1))
})

describe('settings that changed', () => {
  const QUANTISED = { quantization_config: { quant_method: 'fp8', weight_block_size: [128, 128] } }
  test.each<[string, object, object, string[]]>([
    ['a head that is no longer tied', { tie_word_embeddings: false }, {}, ['tie_word_embeddings']],
    [
      'untied, which it did not say before',
      { tie_word_embeddings: false },
      { tie_word_embeddings: undefined },
      ['tie_word_embeddings'],
    ],
    ['more layers', { num_hidden_layers: 8 }, {}, ['num_hidden_layers']],
    ['as many as its class has', { num_hidden_layers: undefined }, {}, ['num_hidden_layers']],
    [
      'the same under a name that nobody reads',
      { num_hidden_layers: undefined, my_layers: 4 },
      {},
      ['num_hidden_layers'],
    ],
    ['another kind', { model_type: 'gemma' }, {}, ['model_type']],
    ['the eps of its norms', { rms_norm_eps: 1e6 }, {}, ['rms_norm_eps']],
    [
      'longer rotary embeddings',
      { rope_parameters: { rope_type: 'linear', factor: 8 } },
      {},
      ['rope.type', 'rope.factor'],
    ],
    ['another base of them', { rope_theta: 5e5 }, { rope_theta: 1e4 }, ['rope.theta']],
    [
      'a quantisation that came',
      QUANTISED,
      {},
      ['quantization_config.quant_method', 'quantization_config.weight_block_size'],
    ],
    ['one that went', {}, QUANTISED, ['quantization_config.quant_method', 'quantization_config.weight_block_size']],
    [
      'of a text model',
      { text_config: { num_attention_heads: 8 } },
      { text_config: { num_attention_heads: 4 } },
      ['text_config.num_attention_heads'],
    ],
    ['heads that are left out', { pruned_heads: { 0: [1] } }, { pruned_heads: {} }, ['pruned_heads']],
    ['other code', { auto_map: { AutoModel: 'b.B' } }, { auto_map: { AutoModel: 'a.A' } }, ['auto_map']],
  ])('%s', async (_, head, base, expected) => {
    expect(await changes({ ...LLAMA, ...head }, { ...LLAMA, ...base })).toEqual(expected)
  })

  test.each<[string, object, object]>([
    ['nothing', {}, {}],
    [
      'the version, the type, the name',
      { transformers_version: '5', dtype: 'bfloat16' },
      { torch_dtype: 'float32', _name_or_path: 'x' },
    ],
    [
      'more tokens and labels',
      { vocab_size: 300, id2label: { 0: 'a' }, max_position_embeddings: 8192, pad_token_id: 3 },
      {},
    ],
    [
      'rotary embeddings, as transformers 5 has them',
      { rope_parameters: { rope_theta: 5e5, rope_type: 'llama3', factor: 8 } },
      { rope_theta: 5e5, rope_scaling: { type: 'llama3', rope_type: 'llama3', factor: 8 } },
    ],
    [
      'of several kinds of layers',
      {
        rope_parameters: {
          full_attention: { rope_theta: 1e6, rope_type: 'default' },
          sliding_attention: { rope_theta: 1e4, rope_type: 'default' },
        },
      },
      { rope_theta: 1e6, rope_local_base_freq: 1e4, rope_scaling: null },
    ],
    ['a base that was implied', { rope_parameters: { rope_theta: 1e4, rope_type: 'default' } }, {}],
    [
      'defaults of a later version',
      { attention_bias: false, mlp_bias: false, head_dim: 32, vision_use_head: true },
      {},
    ],
    ['a key that says the same as another', { num_hidden_layers: undefined, encoder_layers: 4 }, { encoder_layers: 4 }],
    ['code of the same repository', { auto_map: { AutoModel: 'a.A' } }, { auto_map: { AutoModel: 'org/repo--a.A' } }],
    ['tied, as it was implied', {}, { tie_word_embeddings: undefined }],
    [
      'what transformers 5 calls tied',
      { model_type: 'mt5', tie_word_embeddings: true },
      { model_type: 'mt5', tie_word_embeddings: false },
    ],
  ])('none: %s', async (_, head, base) => {
    expect(await changes({ ...LLAMA, ...head }, { ...LLAMA, ...base })).toEqual([])
  })

  test('a model with a head of its own is untied whether or not it says so', async () => {
    const [untied, silent] = [false, undefined].map(tie_word_embeddings => ({ ...LLAMA, tie_word_embeddings }))
    expect(await changes(untied!, silent!, 'config.json', ['language_model.lm_head.weight'])).toEqual([])
  })

  test('of an adapter what PEFT applies otherwise', async () => {
    const base = { peft_type: 'LORA', r: 8, lora_bias: false, target_modules: ['a'] }
    expect(await changes({ ...base, lora_bias: true, r: 9 }, base, 'adapter_config.json')).toEqual([
      'adapter_lora_bias',
    ])
  })

  test('of a report without them nothing is known', () => {
    expect(changedSettings(model('net', []), model('net', []))).toBeUndefined()
  })
})

describe('keys that one config has alone', () => {
  const { tie_word_embeddings: _, ...untied } = LLAMA
  const of = (version: string, more: object = {}) => ({ ...LLAMA, transformers_version: version, ...more })

  test('count where one version of transformers wrote both', async () => {
    expect(await changes(of('5.1', { sliding_window: 1 }), of('5.1', { sliding_window: null }))).toEqual([
      'sliding_window',
    ])
    expect(await changes(of('5.1', { sliding_window: 4096 }), of('4.9'))).toEqual([])
  })

  const GPT2 = { model_type: 'gpt2', n_head: 4, n_layer: 2, attention_bias: true }
  const BART = {
    ...{ model_type: 'bart', encoder_layers: 2, decoder_layers: 1 },
    ...{ encoder_attention_heads: 4, decoder_attention_heads: 2 },
  }
  const MULTIMODAL = { text_config: { num_attention_heads: 4 }, num_attention_heads: 4 }
  test.each<[string, object, object, string[]]>([
    ['heads under another name', GPT2, { num_attention_heads: 2 }, ['num_attention_heads']],
    ['layers under another name', GPT2, { num_hidden_layers: 1 }, ['num_hidden_layers']],
    ['the heads of the decoder', BART, { num_attention_heads: 2 }, ['num_attention_heads']],
    ['an encoder’s layers that went', BART, { encoder_layers: undefined }, ['encoder_layers']],
    ['no biases', GPT2, { qkv_bias: false }, ['qkv_bias']],
    ['heads that share nothing any more', LLAMA, { num_key_value_heads: 1 }, ['num_key_value_heads']],
    [
      'all heads, beside those that share',
      { ...LLAMA, num_key_value_heads: 4 },
      { num_attention_heads: undefined },
      ['num_attention_heads'],
    ],
    ['a text model', LLAMA, { text_config: { num_attention_heads: 2 } }, ['text_config.num_attention_heads']],
    [
      'what a text model had',
      MULTIMODAL,
      { text_config: {}, num_attention_heads: 2 },
      ['text_config.num_attention_heads', 'num_attention_heads'],
    ],
    [
      'which key is read in the place of which',
      LLAMA,
      { attribute_map: { x: 'num_hidden_layers' }, x: 1 },
      ['attribute_map'],
    ],
    [
      'a view of what comes',
      LLAMA,
      { is_causal: false, use_bidirectional_attention: true },
      ['is_causal', 'use_bidirectional_attention'],
    ],
    ['a view that is usual', LLAMA, { is_causal: true, use_bidirectional_attention: false }, []],
    ['experts of a token', { model_type: 'ernie', moe_k: 4 }, { num_experts_per_tok: 1 }, ['num_experts_per_tok']],
    ['the same under another name', GPT2, { num_attention_heads: 4, num_hidden_layers: 2, qkv_bias: true }, []],
    ['what is of the encoder', BART, { num_attention_heads: 4, num_hidden_layers: 2 }, []],
    ['what is of the decoder', { model_type: 'trocr', decoder_layers: 2 }, { num_hidden_layers: 2 }, []],
    ['as many as there are', LLAMA, { num_key_value_heads: 4 }, []],
    [
      'layers that are two each',
      { model_type: 'longcat_flash', num_layers: 2, num_hidden_layers: 4 },
      { num_hidden_layers: undefined },
      [],
    ],
  ])('whatever the versions: %s', async (_, config, more, expected) => {
    const versioned = { ...config, transformers_version: '5.24.0' }
    for (const transformers_version of [undefined, '4.57.1']) {
      expect(await changes({ ...versioned, ...more, transformers_version }, versioned)).toEqual(expected)
    }
  })

  test('count where the version alone went, which all write', async () => {
    const base = { ...LLAMA, transformers_version: '5.1' }
    expect(await changes({ ...LLAMA, sliding_window: 1 }, base)).toEqual(['sliding_window'])
    expect(await changes({ ...base, sliding_window: 1 }, LLAMA)).toEqual([])
  })

  test('that tie embeddings count where the head has no weight of its own', async () => {
    expect(await changes(untied, LLAMA)).toEqual(['tie_word_embeddings'])
    expect(await changes(untied, LLAMA, 'config.json', ['lm_head.weight'])).toEqual([])
  })

  test('may lie among the settings of the text model', async () => {
    const { hidden_act: act, ...rest } = LLAMA
    expect(await changes({ ...rest, text_config: { hidden_act: act } }, LLAMA)).toEqual([])
    expect(await changes({ ...rest, text_config: { hidden_act: 'gelu' } }, LLAMA)).toEqual(['hidden_act'])
  })
})

test('numbers of a config that transformers did not write are of its project’s data', async () => {
  const own = (scale: number) => ({ hidden_dim: 8, num_layers: 2, normalization: { mean: scale / 3, scale } })
  expect(await changes(own(1.326), own(1.356))).toEqual([])
  expect(await changes({ ...own(1.326), num_layers: 3 }, own(1.326))).toEqual(['num_layers'])
  expect(await changes({ ...LLAMA, scale: 1.5 }, { ...LLAMA, scale: 1.25 })).toEqual(['scale'])
})

test('beside an adapter the config of its base model is none of its settings', async () => {
  const beside = (file: string) => settingsOf(LLAMA, 'config.json', file)
  expect((await beside('adapter_model.safetensors')) ?? []).toEqual([])
  expect(await beside('model.safetensors')).not.toEqual([])
})

describe('a config that was there', () => {
  const text = JSON.stringify(LLAMA)
  test.each<[string, object | string | undefined]>([
    ['is not there', undefined],
    ['says nothing', {}],
    ['is another framework’s', { _class_name: 'UNet2DModel' }],
  ])('and %s, is one change', async (_, config) => {
    expect(await changes(config, LLAMA)).toEqual(['config.json'])
    expect(await changes(LLAMA, config)).toBeUndefined()
    expect(await changes(config, config)).toBeUndefined()
  })

  test.each([
    ['with a comma too many', text.replace('}', ',}')],
    ['with a mark of its order of bytes', `\xef\xbb\xbf${text}`],
    ['with bytes that are no UTF-8', text.replace('llama', 'll\xe9ma')],
    ['that is no object', '"llama"'],
    ['that is a list', `[${text}]`],
  ])('and is no JSON: %s', async (_, config) => {
    expect(await settingsOf(config)).toEqual([{ file: 'config.json', key: '*', value: 'null' }])
    expect(await changes(config, LLAMA)).toEqual(['config.json'])
    expect(await changes(LLAMA, config)).toBeUndefined()
  })

  test('is none of another kind of file', async () => {
    const [settings, one] = [[...(await settingsOf(LLAMA))!], model('net', [])]
    const base = { ...one, source: { ...one.source, settings } }
    const of = (format: string) => changedSettings({ ...one, source: { ...one.source, format, settings: [] } }, base)
    expect(of('torch-zip')).toEqual([{ name: 'config.json', base: 'with settings', head: 'gone, or without any' }])
    expect(of('keras')!.map(({ name }) => name)).not.toContain('config.json')
    expect(changedSettings(one, base)).toBeUndefined()
  })
})

test('a config that names others in its place is refused', async () => {
  await expect(settingsOf({ ...LLAMA, configuration_files: ['config.4.0.0.json'] })).rejects.toThrow(
    'names other configs for versions of transformers (configuration_files: "config.4.0.0.json")',
  )
  expect(await settingsOf({ configuration_files: [] })).toEqual([])
})

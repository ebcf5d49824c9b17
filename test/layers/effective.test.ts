import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import type { DType } from '../../src/checkpoint/types.ts'
import type { Model } from '../../src/report/schema.ts'
import { analyseFile } from '../support/analyse.ts'
import { temporaryFolder } from '../support/folder.ts'
import { generate } from '../support/golden.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'

const folder = 'test/fixtures/effective'
type Expected = Record<string, Record<string, { shape: number[]; lambda_max: number; norm: number }>>
const expected: Expected = JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8'))

const layersOf = ({ layers }: Model) =>
  Object.fromEntries(layers.filter(({ status }) => status !== 'error').map(layer => [layer.name, layer]))

test.each(Object.keys(expected))('%s: each layer is the weight that its module applies, by its name', async name => {
  const layers = layersOf(await analyseFile(`${folder}/${name}`, { min_evals: 0 }))
  expect(Object.keys(layers).sort()).toEqual(Object.keys(expected[name]!).sort())
  for (const [key, { shape, lambda_max, norm }] of Object.entries(expected[name]!)) {
    expect(layers[key]!.shape, key).toEqual(shape)
    expect(layers[key]!.lambda_max! / lambda_max, key).toBeCloseTo(1, 5)
    expect(layers[key]!.norm! / norm, key).toBeCloseTo(1, 5)
  }
})

test('what a weight is made of is no layer, and says of which it is a part', async () => {
  const { skipped } = await analyseFile(`${folder}/weight-norm.safetensors`, { min_evals: 0 })
  const parts = skipped.filter(({ tensor }) => tensor.endsWith('_g'))
  expect(parts).toHaveLength(4)
  for (const { tensor, code, reason } of parts) {
    expect([code, reason]).toEqual(['buffer', `a part of "${tensor.slice(0, -2)}"`])
  }
})

test.each<DType>(['BOOL', 'U8', 'F32'])('a mask of %s', async dtype => {
  const n = 16
  const values = Float32Array.from({ length: n * n }, (_, i) => Math.sin(i * i))
  const kept = Uint8Array.from(values, value => (Math.abs(value) > 0.5 ? 1 : 0))
  const mask = { dtype, shape: [n, n], values: dtype === 'F32' ? Float32Array.from(kept) : kept }
  const pruned = await analyseFile(
    writeSafetensors({ 'a.weight_orig': { shape: [n, n], values }, 'a.weight_mask': mask }),
  )
  const plain = await analyseFile(
    writeSafetensors({ 'a.weight': { shape: [n, n], values: values.map((x, i) => x * kept[i]!) } }),
  )
  expect(pruned.layers).toHaveLength(1)
  expect(pruned.layers[0]).toMatchObject({
    name: 'a',
    lambda_max: plain.layers[0]!.lambda_max,
    zeros: plain.layers[0]!.zeros,
  })
})

test('a parametrization that is not known is a layer that is not read', async () => {
  const { layers } = await analyseFile(`${folder}/orthogonal.safetensors`, { min_evals: 0 })
  expect(layers.find(({ name }) => name === 'fc')).toMatchObject({
    status: 'error',
    error: { code: 'quantised', message: expect.stringMatching(/remove the parametrization/) },
  })
})

test('factors whose scale nobody knows are not read', async () => {
  const alone = analyseFile(`${folder}/lora/adapter_model.safetensors`, { min_evals: 0 })
  expect(layersOf(await alone)).toMatchObject({ q: {}, v: {} })
  const { copyFileSync } = await import('node:fs')
  const path = `${temporaryFolder()}/adapter_model.safetensors`
  copyFileSync(`${folder}/lora/adapter_model.safetensors`, path)
  await expect(analyseFile(path, { min_evals: 0 })).rejects.toThrow(/whose scale is not known: keep its adapter_config/)
})

test('a pattern that is a regular expression gives no scale', async () => {
  const { cpSync, readFileSync, writeFileSync } = await import('node:fs')
  const path = temporaryFolder()
  cpSync(`${folder}/lora`, path, { recursive: true })
  const config = JSON.parse(readFileSync(`${path}/adapter_config.json`, 'utf8'))
  writeFileSync(`${path}/adapter_config.json`, JSON.stringify({ ...config, alpha_pattern: { '(a+)+$': 3 } }))
  await expect(analyseFile(path, { min_evals: 0 })).rejects.toThrow(/whose scale is not known/)
})

describe("PEFT's scale", () => {
  const scaled = async (change: object, tensors: Record<string, Written> = {}) => {
    const path = temporaryFolder()
    const factor = (seed: number, shape: number[]) => generate(seed, shape, false)
    const module = 'base_model.model.a.fc'
    writeSafetensors(
      {
        [`${module}.lora_A.weight`]: factor(1, [12, 40]),
        [`${module}.lora_B.weight`]: factor(2, [30, 12]),
        ...tensors,
      },
      'adapter_model.safetensors',
      path,
    )
    const config = { peft_type: 'LORA', r: 12, lora_alpha: 24, target_modules: '.*', ...change }
    writeFileSync(`${path}/adapter_config.json`, JSON.stringify(config))
    return openCheckpoint(path)
  }
  const scaleOf = async (...given: Parameters<typeof scaled>) => (await scaled(...given)).updates?.[0]?.scale

  test.each<[string, object, number | undefined]>([
    ['lora_alpha / r', {}, 2],
    ['rsLoRA', { use_rslora: true }, 24 / Math.sqrt(12)],
    ['rsLoRA, as Python has it', { use_rslora: 1 }, 24 / Math.sqrt(12)],
    ['no rsLoRA', { use_rslora: 0 }, 2],
    ['KaSA', { kasa_config: { beta: 1 } }, undefined],
    ['no KaSA', { kasa_config: {} }, 2],
    ['BD-LoRA', { use_bdlora: true }, undefined],
    ['QA-LoRA', { use_qalora: 'yes' }, undefined],
    ['Arrow', { arrow_config: [1] }, undefined],
    ['no Arrow', { arrow_config: [] }, 2],
    ['the name of the module', { alpha_pattern: { 'a.fc': 12 } }, 1],
    ['the end of its name', { alpha_pattern: { fc: 12 } }, 1],
    ['the first that fits', { alpha_pattern: { x: 36, 'a.fc': 12, fc: 48 } }, 1],
    ['a dot is any character', { alpha_pattern: { 'a.f.': 12 } }, 1],
    ['no whole component', { alpha_pattern: { c: 12 } }, 2],
    ['the name with what PEFT puts before it', { alpha_pattern: { 'base_model.model.a.fc': 12 } }, 2],
    ['the begin and the end', { alpha_pattern: { '^a.fc$': 12 } }, 1],
    ['the begin alone', { alpha_pattern: { '^fc': 12 } }, 2],
    ['longer than the name', { alpha_pattern: { 'x.a.fc': 12 } }, 2],
    ['no number', { alpha_pattern: { fc: '12' } }, undefined],
    ['another rank: the factors of all experts of a parameter', { r: 3 }, undefined],
    ['the rank of the module', { r: 3, rank_pattern: { fc: 12 } }, 2],
    ['another rank of the module', { rank_pattern: { fc: 3 } }, undefined],
    ['a rank that nobody can tell', { rank_pattern: { '(a|b)': 12 } }, undefined],
    ['a module of the list', { target_modules: ['q', 'fc'] }, 2],
    ['a module by its whole name', { target_modules: ['a.fc'] }, 2],
    ['none of the list', { target_modules: ['q', 'c', 'x.fc'] }, undefined],
    ['one that is excluded', { exclude_modules: ['fc'] }, undefined],
    ['others that are excluded', { exclude_modules: ['q'] }, 2],
    ['the owner of a parameter', { target_modules: ['q'], target_parameters: ['fc.weight'] }, 2],
    ['no layer, where some are wanted', { layers_to_transform: [0] }, undefined],
    ['DoRA without magnitudes', { use_dora: true }, undefined],
  ])('%s', async (_, change, scale) => expect(await scaleOf(change)).toBe(scale))

  test.each(['lora_diag', 'lora_mid.weight', 'dora_scale', 'lora_E'])('%s makes another product', async part => {
    const module = 'base_model.model.a.fc'
    const { updates, tensors } = await scaled(
      {},
      { [`${module}.${part}`]: { shape: [12, 12], values: new Float32Array(144).fill(1) } },
    )
    expect(updates).toEqual([])
    expect(tensors.map(({ skip }) => skip)).toEqual(new Array(3).fill(expect.stringMatching(/merge it before saving/)))
  })

  test.each([
    ['lin.lora_A', 'lin.lora_B'],
    ['lin.lora_a', 'lin.lora_b'],
    ['lin.lora_a.weight', 'lin.lora_b.weight'],
    ['blk.0.attn_q.weight.lora_a', 'blk.0.attn_q.weight.lora_b'],
  ])('factors under other names are not read: %s', async (...names) => {
    const factor = { shape: [12, 12], values: new Float32Array(144).fill(1) }
    const path = writeSafetensors(Object.fromEntries([...names, 'other.weight'].map(name => [name, factor])))
    const { tensors } = await openCheckpoint(path)
    expect(tensors.map(({ skip }) => skip)).toEqual([
      ...new Array(2).fill(expect.stringMatching(/under a name that has no reader/)),
      undefined,
    ])
  })

  test('more patterns and factors than anybody has take no minute', async () => {
    const names = Array.from({ length: 300 }, (_, i) => `base_model.model.l.${i}`)
    const factor = (shape: number[]) => ({ shape, values: new Float32Array(12) })
    const tensors = names.flatMap(name => [
      [`${name}.lora_A.weight`, factor([12, 1])],
      [`${name}.lora_B.weight`, factor([1, 12])],
    ])
    const rank_pattern = Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`x${i}`, 12]))
    const { updates } = await scaled({ rank_pattern }, Object.fromEntries(tensors))
    expect(updates!.length).toBeGreaterThan(200)
    expect(updates!.length).toBeLessThan(300)
  })

  test('another scale is another content', async () => {
    const digest = async (lora_alpha: number) =>
      (await analyseFile((await scaled({ lora_alpha })).path)).layers[0]!.digest
    expect(await digest(24)).not.toBe(await digest(48))
    expect(await digest(24)).toBe(await digest(24))
  })

  test.each<[string, string[], boolean]>([
    ['a.norm', [], false],
    ['a.norm', ['norm'], true],
    ['a.input_norm', ['norm'], true],
    ['a.cls.dense', ['cls'], true],
    ['a.dense', ['cls', 'den'], false],
    ['a.embed_tokens', [], true],
    ['a.embed_tokens.base_layer', [], true],
    ['a.embed_tokens.token_adapter.base_layer', [], true],
    ['cls.predictions.decoder', [], true],
    ['decoder', [], true],
    ['a.query.base_layer', [], false],
    ['a.modules_to_save.x.fc', [], false],
    ['a.cls.modules_to_save.x.fc', ['cls'], true],
    ['a.attention.output.dense', [], false],
    ['a.decoder.fc', [], false],
    ['a.query.lora_magnitude_vector.x', [], true],
  ])('the whole weight of %s, where %j are saved', async (module, modules_to_save, isRead) => {
    const whole = { [`base_model.model.${module}.weight`]: generate(3, [30, 20], false) }
    const { tensors } = await scaled({ modules_to_save }, whole)
    expect(tensors.find(({ name }) => name.includes(module))?.skip === undefined).toBe(isRead)
  })

  test('a tensor called alpha is none of PEFT', async () => {
    const alpha = { 'base_model.model.a.fc.alpha': { shape: [1], values: Float32Array.of(1200) } }
    expect(await scaleOf({}, alpha)).toBe(2)
    expect(await scaleOf({ peft_type: undefined }, alpha)).toBe(100)
  })

  test.each(['pissa', 'pissa_niter_4', 'olora', 'corda', 'loftq', 'lora_ga'])(
    'an adapter that changes its base model is not read: %s',
    async init_lora_weights => {
      const { updates, tensors } = await scaled({ init_lora_weights })
      expect(updates).toEqual([])
      expect(tensors.map(({ skip }) => skip)).toEqual([
        expect.stringContaining(`(init_lora_weights: "${init_lora_weights}"): convert it with save_pretrained`),
        expect.stringContaining('changes its base model'),
      ])
    },
  )

  test.each([
    ['alora_invocation_tokens', [250, 251], 'is applied only behind certain tokens (alora_invocation_tokens)'],
    ['alora_invocation_tokens', [], 'is applied only behind certain tokens (alora_invocation_tokens)'],
    [
      'layer_replication',
      [
        [0, 3],
        [0, 3],
      ],
      'changes its base model when it is loaded (layer_replication)',
    ],
  ])('an adapter of which no weight is the sum is not read: %s %j', async (key, value, reason) => {
    const { updates, tensors } = await scaled({ [key]: value })
    expect(updates).toEqual([])
    expect(tensors.map(({ skip }) => skip)).toEqual([expect.stringContaining(reason), expect.stringContaining(reason)])
  })

  test('what PEFT writes of these where they are not used is nothing', async () => {
    expect(await scaleOf({ alora_invocation_tokens: null, layer_replication: null })).toBe(2)
    expect(await scaleOf({ layer_replication: [] })).toBe(2)
  })

  test.each([true, false, 'gaussian', 'eva', 'orthogonal', undefined])('one that does not is: %s', async way => {
    expect(await scaleOf({ init_lora_weights: way })).toBe(2)
  })
})

test('a pruned weight beside which another lies is not read', async () => {
  const tensors = {
    'fc.weight': generate(1, [40, 30], false),
    'fc.weight_orig': generate(2, [40, 30], false),
    'fc.weight_mask': { shape: [40, 30], values: Float32Array.from({ length: 1200 }, (_, i) => i % 2) },
    'other.weight': generate(3, [40, 30], false),
  }
  const { layers } = await analyseFile(writeSafetensors(tensors), { min_evals: 0 })
  expect(layers.map(({ name, status }) => [name, status])).toEqual([
    ['fc.weight_orig', 'error'],
    ['other', 'success'],
  ])
  expect(layers[0]!.error!.message).toMatch(/a weight that pruning does not apply lies beside it/)
})

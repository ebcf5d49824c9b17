import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openCheckpoint } from '../../../src/checkpoint/index.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { type Written, writeSafetensors } from '../../support/safetensors.ts'

const codes = (dtype: 'I8' | 'F8_E4M3'): Written => ({ dtype, shape: [60, 60], values: new Uint8Array(3600).fill(1) })
const scale: Written = { shape: [60, 1], values: new Float32Array(60).fill(1) }
const LLAMA = { model_type: 'llama', architectures: ['LlamaForCausalLM'] }
const said = (more: object) => ({ ...LLAMA, quantization_config: { quant_method: 'any', ...more } })
const groups = (...targets: string[]) => said({ config_groups: { group_0: { targets } } })

async function reason(config: object | undefined, more: Record<string, Written> = {}, name = 'config.json') {
  const folder = temporaryFolder()
  const module = 'model.layers.0.mlp.gate_proj'
  const tensors = { [`${module}.weight`]: codes('F8_E4M3'), [`${module}.weight_scale`]: scale, ...more }
  writeSafetensors(tensors, 'model.safetensors', folder)
  if (config) writeFileSync(join(folder, name), JSON.stringify(config))
  if (name !== 'config.json') writeFileSync(join(folder, 'config.json'), JSON.stringify(LLAMA))
  return (await openCheckpoint(folder)).tensors.find(({ name }) => name === `${module}.weight`)?.broken
}

test.each<[string, object, RegExp]>([
  ['no word of it', LLAMA, /config\.json beside it has no quantization_config, without which/],
  [
    'a list of compressed-tensors',
    said({ ignore: ['model.layers.0.mlp.gate_proj'] }),
    /leaves its module out \(ignore: "model/,
  ],
  ['an expression of its', said({ ignore: ['lm_head', 're:.*mlp.*'] }), /\(ignore: "re:\.\*mlp\.\*"\)/],
  ['targets that it is none of', groups('re:.*self_attn.*'), /\(targets: "re:\.\*self_attn\.\*"\)/],
  ['the end of its name', said({ modules_to_not_convert: ['gate_proj'] }), /\(modules_to_not_convert: "gate_proj"\)/],
  ['the begin of its name', said({ llm_int8_skip_modules: ['model.layers.0'] }), /\(llm_int8_skip_modules: "model/],
  ['an expression', said({ modules_to_not_convert: ['model.*mlp'] }), /\(modules_to_not_convert: "model\.\*mlp"\)/],
])('quantised weights whose config leaves them as they are, by %s, are error rows', async (_, config, found) => {
  expect(await reason(config)).toMatch(found)
})

test.each<[string, object | undefined]>([
  ['no config', undefined],
  ['one of no framework', { quantisation: 1 }],
  ['of diffusers', { ...LLAMA, _class_name: 'FluxTransformer2DModel' }],
  ['one that says so', said({})],
  ['that of the text model', { ...LLAMA, text_config: { quantization_config: { quant_method: 'fp8' } } }],
  ['other modules', said({ ignore: ['lm_head', 're:vision.*'], modules_to_not_convert: ['lm_head', 'mlp.gate'] })],
  ['a part of a component', said({ modules_to_not_convert: ['model.layers.0.mlp.gate'] })],
  ['all that is Linear', groups('Linear')],
  ['expressions for it', groups('re:.*self_attn.*', 're:.*gate_proj$')],
  ['an expression that is not known', said({ ignore: ['re:(?<=a)b'] })],
])('read: %s', async (_, config) => {
  expect(await reason(config)).toBeUndefined()
})

test.each(['hf_quant_config.json', 'quantize_config.json', 'quant_config.json'])(
  'other loaders are told by %s',
  async name => expect(await reason({ bits: 8 }, {}, name)).toBeUndefined(),
)

test('of ComfyUI, which goes by its own marks, nothing is asked', async () => {
  const mark: Written = { dtype: 'U8', shape: [4], values: new Uint8Array(4) }
  expect(await reason(LLAMA, { 'model.layers.0.mlp.gate_proj.comfy_quant': mark })).toBeUndefined()
})

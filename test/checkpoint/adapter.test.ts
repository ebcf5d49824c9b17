import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { temporaryFolder } from '../support/folder.ts'
import { generate } from '../support/golden.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'

const MODEL = 'base_model.model.'

/** A folder as PEFT saves it. */
function saved(config: object | undefined, tensors: Record<string, Written>, file = 'adapter_model.safetensors') {
  const folder = temporaryFolder()
  writeSafetensors(tensors, file, folder)
  if (config) writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify(config))
  return openCheckpoint(folder)
}

const matrix = generate(1, [30, 20], false)
const lora = (module: string, seed = 1): Record<string, Written> => ({
  [`${MODEL}${module}.lora_A.weight`]: generate(seed, [4, 20], false),
  [`${MODEL}${module}.lora_B.weight`]: generate(seed + 1, [30, 4], false),
})
const LORA = { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: '.*' }

/** Which tensors are read, but for factors, and why the others are not. */
async function readOf(opened: ReturnType<typeof saved>) {
  const { tensors, updates = [] } = await opened
  const factors = new Set(updates.flatMap(({ down, up }) => [down, up]))
  return {
    updates: updates.map(({ key }) => key),
    read: tensors.filter(({ name, skip }) => skip === undefined && !factors.has(name)).map(({ name }) => name),
    reasons: [...new Set(tensors.flatMap(({ skip }) => skip ?? []))],
  }
}

describe('adapters of other kinds than LoRA', () => {
  /** As PEFT 0.21.2 saves them. */
  const PARTS = [
    ['ADALORA', `${MODEL}q.lora_E`],
    ['ADAPTION_PROMPT', `${MODEL}attn.adaption_prompt`],
    ['BEFT', `${MODEL}q.beft_bias`],
    ['BOFT', `${MODEL}q.boft_s`],
    ['CPT', 'prompt_embeddings'],
    ['DEFT', `${MODEL}q.deft_P`],
    ['DELORA', `${MODEL}q.delora_A`],
    ['FROD', 'base_model.frod_V.self_attn_q_proj'],
    ['GLORA', `${MODEL}q.glora_A.Xd`],
    ['GRALORA', `${MODEL}q.gralora_A`],
    ['HIRA', `${MODEL}q.hira_A`],
    ['HRA', `${MODEL}q.hra_u`],
    ['IA3', `${MODEL}q.ia3_l`],
    ['LILY', `${MODEL}q.lily_router.weight`],
    ['LOHA', `${MODEL}q.hada_w1_a`],
    ['LOKR', `${MODEL}q.lokr_w2`],
    ['MISS', `${MODEL}q.miss_block`],
    ['MULTITASK_PROMPT_TUNING', 'prefix_task_rows'],
    ['OFT', `${MODEL}q.oft_R.weight`],
    ['OSF', `${MODEL}q.osf_svd_params.U_low`],
    ['PEANUT', `${MODEL}q.peanut_A.weight`],
    ['POLY', `${MODEL}q.poly_lora_A`],
    ['PSOFT', `${MODEL}q.psoft_R.weight`],
    ['PVERA', 'base_model.pvera_A'],
    ['RANDLORA', 'base_model.randlora_A'],
    ['ROAD', `${MODEL}q.road_theta`],
    ['SHADOW', 'base_model.shadow_backbone.default.layers.0.mlp.down_proj.weight'],
    ['SHIRA', `${MODEL}q.shira_indices`],
    ['SUPERTUNING', `${MODEL}q.supertuning_values`],
    ['TINYLORA', 'base_model.tinylora_v.0'],
    ['TRAINABLE_TOKENS', `${MODEL}embed_tokens.trainable_tokens_delta`],
    ['UNILORA', 'base_model.unilora_theta_d'],
    ['VBLORA', 'base_model.vblora_vector_bank'],
    ['VERA', 'base_model.vera_A'],
  ] as const

  test.each(PARTS)('nothing of %s is a layer: %s', async (peft_type, name) => {
    const why = `a part of an adapter of a kind that has no reader (peft_type: "${peft_type}"): merge it before saving`
    expect(await readOf(saved({ peft_type }, { [name]: matrix }))).toEqual({ updates: [], read: [], reasons: [why] })
    const bare = await readOf(saved(undefined, { [name]: matrix }, 'net.safetensors'))
    expect(bare).toEqual({ updates: [], read: [], reasons: [expect.stringMatching(/has no reader: merge/)] })
  })

  test('the config decides, whatever the parts are called', async () => {
    const named = { ...lora('q'), [`${MODEL}v.new_part`]: matrix, something: matrix, [`${MODEL}v.weight`]: matrix }
    const { updates, read } = await readOf(saved({ peft_type: 'NEW' }, named))
    expect({ updates, read }).toEqual({ updates: [], read: [] })
  })

  test('what they save whole is read', async () => {
    const whole = [`${MODEL}cls.dense.weight`, `${MODEL}embed_tokens.weight`]
    const parts = { [`${MODEL}cls.dense.hada_w1_a`]: matrix, [`${MODEL}embed_tokens.vera_A`]: matrix }
    const tensors = { ...Object.fromEntries(whole.map(name => [name, matrix])), ...parts }
    expect((await readOf(saved({ peft_type: 'LOHA', modules_to_save: ['cls'] }, tensors))).read).toEqual(whole)
  })

  test('a whole model beside such a config stays one', async () => {
    const { read } = await readOf(saved({ peft_type: 'IA3' }, { 'q.weight': matrix }, 'model.safetensors'))
    expect(read).toEqual(['q.weight'])
  })

  test.each(['road_encoder', 'poly_attn', 'lily_head', 'deft_block', 'shadow_net', 'miss_proj', 'vera', 'hira_proj'])(
    'a module of a model is none of their parts: %s',
    async module => {
      const name = `model.${module}.weight`
      expect((await readOf(saved(undefined, { [name]: matrix }, 'model.safetensors'))).read).toEqual([name])
    },
  )

  test("MonteCLoRA's sampler is no layer, and its factors are LoRA's", async () => {
    const sampler = { [`${MODEL}q.lora_monteclora_sampler.gaussian_var_prior`]: generate(3, [4, 4], false) }
    const { updates, read } = await readOf(saved({ ...LORA, monteclora_config: {} }, { ...lora('q'), ...sampler }))
    expect({ updates, read }).toEqual({ updates: ['q.weight'], read: [] })
  })
})

describe('keys that PEFT loads', () => {
  const [A, B] = [`${MODEL}q.lora_A`, `${MODEL}q.lora_B`]
  const [down, up, other] = [generate(1, [4, 20], false), generate(2, [30, 4], false), generate(5, [4, 20], false)]
  const pair = { [`${A}.weight`]: down, [`${B}.weight`]: up }
  const named = (name: string) => ({ [`${A}.${name}.weight`]: down, [`${B}.${name}.weight`]: up })
  const plain = { 'q.lora_A.weight': down, 'q.lora_B.weight': up }
  const embedded = { [`${MODEL}e.lora_embedding_A`]: down, [`${MODEL}e.lora_embedding_B`]: up }

  test.each<[string, Record<string, Written>]>([
    ['a factor', { ...pair, [`${A}.default.weight`]: other }],
    ['the other one', { ...pair, [`${B}.default.weight`]: up }],
    ['under any name', { ...pair, [`${A}.foo.weight`]: other }],
    ['both factors', { ...pair, ...named('default') }],
    ['of an embedding', { ...embedded, [`${MODEL}e.lora_embedding_A.default`]: other }],
    ['magnitudes', { ...pair, ...magnitudes('.default.weight'), ...magnitudes('') }],
  ])('a factor that is there twice is not read: %s', async (_, tensors) => {
    const use_dora = Object.keys(tensors).some(name => name.includes('magnitude'))
    const { updates, read, reasons } = await readOf(saved({ ...LORA, use_dora }, tensors))
    expect({ updates, read }).toEqual({ updates: [], read: [] })
    expect(reasons).toEqual([expect.stringMatching(/there twice/)])
  })

  function magnitudes(end: string): Record<string, Written> {
    return { [`${MODEL}q.lora_magnitude_vector${end}`]: generate(4, [30, 1], false) }
  }

  test.each<[string, Record<string, Written>, RegExp | undefined]>([
    ['as PEFT saves them', pair, undefined],
    ["with the name of the adapter that is PEFT's default", named('default'), undefined],
    ['with that of another', named('foo'), /under the name of an adapter \("foo"\)/],
    ['without its prefix', plain, /a key that PEFT does not load/],
    ["as kohya's", { [`${MODEL}q.lora_down.weight`]: down, [`${MODEL}q.lora_up.weight`]: up }, /save it as PEFT does/],
  ])('factors %s', async (_, tensors, reason) => {
    const { updates, read, reasons } = await readOf(saved(LORA, tensors))
    expect({ updates, read }).toEqual({ updates: reason ? [] : ['q.weight'], read: [] })
    expect(reasons).toEqual(reason ? [expect.stringMatching(reason)] : [])
  })
})

describe('whole tensors of the base model in a LoRA', () => {
  const whole = (name: string, shape = [30, 20]) => ({ [name]: generate(7, shape, false) })
  const isRead = async (name: string, change: object = {}, shape?: number[]) => {
    const { tensors } = await saved({ ...LORA, ...change }, { ...lora('q'), ...whole(name, shape) })
    return tensors.find(tensor => tensor.name === name)!.skip ?? true
  }

  test.each<[string, number[]]>([
    ['attn.weight', [30, 20]],
    ['attn.in_proj_weight', [48, 16]],
    ['experts.gate_up_proj', [2, 8, 8]],
    ['pos_embed', [1, 8, 8]],
    ['bn.running_var', [30]],
    ['q.base_layer.bias', [30]],
  ])('PEFT puts them in their place: %s', async (name, shape) => {
    expect(await isRead(MODEL + name, {}, shape)).toMatch(/^a whole tensor of the base model.*modules_to_save/)
  })

  test.each<[string, object, number[]]>([
    ['attn.in_proj_weight', { modules_to_save: ['attn'] }, [48, 16]],
    ['cls.experts.gate_up_proj', { modules_to_save: ['cls'] }, [2, 8, 8]],
    ['lm_head.bias', {}, [30]],
    ['q.base_layer.bias', { bias: 'lora_only' }, [30]],
    ['fc.bias', { bias: 'all' }, [30]],
  ])('what the config says is saved is read: %s', async (name, change, shape) => {
    expect(await isRead(MODEL + name, change, shape)).toBe(true)
  })

  test('what has no prefix PEFT passes over', async () => {
    expect(await isRead('q.weight')).toMatch(/under a key that PEFT does not load/)
  })

  test('an adapter without a factor is one, too', async () => {
    const { read } = await readOf(saved(LORA, whole(`${MODEL}attn.in_proj_weight`)))
    expect(read).toEqual([])
  })
})

describe('LoRA on nn.MultiheadAttention', () => {
  const pair = (module: string, [outputs, inputs]: [number, number]) => ({
    [`${MODEL}${module}.lora_A.weight`]: generate(1, [4, inputs], false),
    [`${MODEL}${module}.lora_B.weight`]: generate(2, [outputs, 4], false),
  })
  const both = { ...pair('x.attn', [48, 16]), ...pair('x.attn.base_layer.out_proj', [16, 16]) }
  const updatesOf = async (change: object, tensors: Record<string, Written> = both) =>
    (await saved({ ...LORA, target_modules: ['attn'], ...change }, tensors)).updates!.map(({ key, scale }) => [
      key,
      scale,
    ])

  // By PEFT 0.21.2 a forward pass adds scale·B·A to in_proj_weight, and twice that to out_proj.weight.
  test('the attention stands for both of its weights, and PEFT adds that of its output twice', async () => {
    expect(await updatesOf({})).toEqual([
      ['x.attn.in_proj_weight', 2],
      ['x.attn.out_proj.weight', 4],
    ])
  })

  test('patterns and lists are of the attention', async () => {
    expect(await updatesOf({ alpha_pattern: { attn: 16 } })).toEqual([
      ['x.attn.in_proj_weight', 4],
      ['x.attn.out_proj.weight', 8],
    ])
    expect(await updatesOf({ exclude_modules: ['attn'] })).toEqual([])
    expect(await updatesOf({ target_modules: ['out_proj'] })).toEqual([])
  })

  test('a projection of that name is none by itself', async () => {
    const [out, plain] = [pair('x.attn.base_layer.out_proj', [16, 16]), pair('x.attn.out_proj', [16, 16])]
    expect(await updatesOf({}, out)).toEqual([])
    expect(await updatesOf({ target_modules: ['out_proj'] }, plain)).toEqual([['x.attn.out_proj.weight', 2]])
  })
})

test('a whole weight beside the factors of its module is not read: PEFT looks for it in base_layer', async () => {
  const head = { [`${MODEL}lm_head.weight`]: matrix, ...lora('lm_head') }
  const { updates, reasons } = await readOf(saved(LORA, head))
  expect(updates).toEqual(['lm_head.weight'])
  expect(reasons).toEqual([expect.stringMatching(/looks for in base_layer and does not load/)])
})

test('factors of stacked experts are told to be such', async () => {
  const config = { ...LORA, target_modules: ['q_proj'], target_parameters: ['mlp.experts.up'] }
  const { updates, reasons } = await readOf(saved(config, { ...lora('mlp.experts.base_layer') }))
  expect(updates).toEqual([])
  expect(reasons).toEqual([expect.stringMatching(/of a kind that has no reader/)])
})

describe('modules that an expression names', () => {
  const layers = ['model.layers.0.q_proj', 'model.layers.1.q_proj', 'model.vision.q_proj']
  const of = async (change: object) =>
    readOf(saved({ ...LORA, ...change }, Object.assign({}, ...layers.map(module => lora(module)))))

  test.each<[object, number[]]>([
    [{ target_modules: '.*\\.(q|v)_proj' }, [0, 1, 2]],
    [{ target_modules: '(?!.*vision).*q_proj' }, [0, 1]],
    [{ target_modules: 'q_proj' }, []],
    [{ exclude_modules: '.*vision.*' }, [0, 1]],
    [{ exclude_modules: 'vision' }, [0, 1, 2]],
    [{ exclude_modules: '' }, [0, 1, 2]],
    [{ target_modules: ['q_proj'], exclude_modules: 'model\\.layers\\.\\d\\..*' }, [2]],
    [{ layers_to_transform: [1], layers_pattern: ['layers'] }, [1]],
    [{ layers_to_transform: [1], layers_pattern: 'blocks' }, []],
  ])('%j: as re.fullmatch has it', async (change, wanted) => {
    const { updates, reasons } = await of(change)
    expect(updates).toEqual(wanted.map(i => `${layers[i]}.weight`))
    expect(reasons).toEqual(wanted.length < 3 ? [expect.stringMatching(/leaves out: PEFT does not load it/)] : [])
  })

  test.each([
    { exclude_modules: '(?<=x)y' },
    { target_modules: '(?i)Q_PROJ' },
    { target_modules: 'ALL-linear' },
    { target_modules: null },
    { layers_to_transform: [1], layers_pattern: '(?:layers)' },
  ])('one that is not known: %j', async change => {
    const { updates, reasons } = await of(change)
    expect(updates).toEqual([])
    expect(reasons).toEqual([expect.stringMatching(/do not tell its modules: save the adapter again/)])
  })

  test('which number is the layer’s, where there are several, versions of PEFT differ in', async () => {
    const experts = ['l.layers.1.experts.0.up', 'l.layers.1.experts.1.up'].map(module => lora(module))
    const { updates } = await readOf(saved({ ...LORA, layers_to_transform: [1] }, Object.assign({}, ...experts)))
    expect(updates).toEqual(['l.layers.1.experts.1.up.weight'])
  })
})

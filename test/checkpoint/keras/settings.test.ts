import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openCheckpoint } from '../../../src/checkpoint/index.ts'
import { compare } from '../../../src/comparison/compare.ts'
import { limits } from '../../../src/limits.ts'
import { judge } from '../../../src/policy/judge.ts'
import type { Model } from '../../../src/report/schema.ts'
import { changedSettings } from '../../../src/report/settings.ts'
import { analyseFile, defaults } from '../../support/analyse.ts'
import { model } from '../../support/models.ts'
import { write } from '../hdf5/build.ts'
import { makeZip } from '../torch/build.ts'

// biome-ignore lint/suspicious/noExplicitAny: JSON that tests reach into
type Json = Record<string, any>

const fixture = (name: string) => `test/fixtures/keras/${name}`

function archive(config: object | string | undefined, version = '3.15.1'): string {
  const text = typeof config === 'string' ? config : JSON.stringify(config)
  return write(
    makeZip([
      { name: 'metadata.json', data: Buffer.from(JSON.stringify({ keras_version: version })) },
      ...(text === undefined ? [] : [{ name: 'config.json', data: Buffer.from(text) }]),
      { name: 'model.weights.h5', data: readFileSync(fixture('places/inserted.weights.h5')) },
    ]),
    'model.keras',
  )
}

const settingsOf = async (...config: Parameters<typeof archive>) => (await openCheckpoint(archive(...config))).settings!

async function changes(head: Parameters<typeof archive>, base: Parameters<typeof archive>): Promise<string[]> {
  const [now, before] = await Promise.all(
    [head, base].map(async (config): Promise<Model> => {
      const one = model('net', [])
      return { ...one, source: { ...one.source, settings: [...(await settingsOf(...config))] } }
    }),
  )
  return changedSettings(now, before)!.map(({ name, head, base }) => `${name}: ${base} → ${head}`)
}

const tensor = (name: string, node = 0) => ({
  class_name: '__keras_tensor__',
  config: { shape: [null, 8], dtype: 'float32', keras_history: [name, node, 0] },
})
const policy = (name: string, id?: number) => ({
  ...{ module: 'keras', class_name: 'DTypePolicy', config: { name }, registered_name: null },
  ...(id && { shared_object_id: id }),
})
const layer = (class_name: string, name: string, inputs: readonly unknown[], options: object = {}): Json => ({
  ...{ module: 'keras.layers', class_name, registered_name: null, build_config: { input_shape: [null, 8] }, name },
  config: { name, trainable: true, dtype: policy('float32', 5), ...options },
  inbound_nodes: inputs.length === 0 ? [] : [{ args: inputs, kwargs: { mask: null } }],
})
const dense = (name: string, from: string, options: object = {}) =>
  layer('Dense', name, [tensor(from)], {
    ...{ units: 8, activation: 'relu', use_bias: true, kernel_constraint: null, quantization_config: null },
    ...{ kernel_initializer: { class_name: 'HeNormal', config: { seed: 3 }, shared_object_id: 9 }, ...options },
  })
const INNER = {
  ...{ module: 'keras', class_name: 'Sequential', name: 'inner', inbound_nodes: [{ args: [tensor('c')], kwargs: {} }] },
  config: { name: 'inner', layers: [layer('LeakyReLU', 'leaky', [], { negative_slope: 0.3 }), dense('d', '')] },
}
const NET = (): Json =>
  structuredClone({
    ...{ module: 'keras', class_name: 'Functional', compile_config: { optimizer: 'adam' } },
    config: {
      ...{ name: 'functional_1', trainable: true },
      layers: [
        { class_name: 'InputLayer', config: { batch_shape: [null, 8], name: 'in' }, name: 'in', inbound_nodes: [] },
        ...[dense('a', 'in'), dense('b', 'a'), dense('c', 'b', { activation: 'linear' })],
        layer('BatchNormalization', 'norm', [tensor('c')], { axis: -1, epsilon: 0.001, momentum: 0.99 }),
        INNER,
        layer('Add', 'add', [[tensor('norm'), tensor('inner', 1)]]),
      ],
      ...{ input_layers: [['in', 0, 0]], output_layers: [['add', 0, 0]] },
    },
  })
const edited = (edit: (layers: Json[], config: Json) => void): Json => {
  const net = NET()
  edit(net.config.layers, net.config)
  return net
}

test('kinds of layers, their options in turn, and what goes into what', async () => {
  expect(Object.fromEntries((await settingsOf(NET())).map(({ key, value }) => [key, value]))).toEqual({
    keras_version: '"3.15.1"',
    graph: expect.stringMatching(/^sha256 /),
    Add: '1',
    'Add.dtype': '"float32"',
    BatchNormalization: '1',
    'BatchNormalization.axis': '-1',
    'BatchNormalization.dtype': '"float32"',
    'BatchNormalization.epsilon': '0.001',
    Dense: '4',
    'Dense.activation': '2 × "relu", "linear", "relu"',
    'Dense.dtype': '"float32"',
    'Dense.use_bias': 'true',
    Functional: '1',
    InputLayer: '1',
    LeakyReLU: '1',
    'LeakyReLU.dtype': '"float32"',
    'LeakyReLU.negative_slope': '0.3',
    Sequential: '1',
  })
})

test.each<[string, (layers: Json[], config: Json) => void, readonly (string | RegExp)[]]>([
  [
    'an activation',
    ([, a]) => Object.assign(a.config, { activation: 'linear' }),
    ['Keras: Dense.activation: 2 × "relu", "linear", "relu" → "linear", "relu", "linear", "relu"'],
  ],
  [
    'an activation that is left out',
    ([, a]) => delete a.config.activation,
    ['Keras: Dense.activation: 2 × "relu", "linear", "relu" → none, "relu", "linear", "relu"'],
  ],
  [
    'another type of numbers',
    ([, , b]) => Object.assign(b.config, { dtype: policy('bfloat16') }),
    ['Keras: Dense.dtype: "float32" → "float32", "bfloat16", 2 × "float32"'],
  ],
  [
    'the number of another policy, which Keras takes for it',
    ([, a, b, c]) => {
      a.config.dtype = policy('float16', 7)
      for (const one of [b, c]) one.config.dtype = policy('float32', 7)
    },
    ['Keras: Dense.dtype: "float32" → 3 × "float16", "float32"'],
  ],
  [
    'two layers with one number, which are one to Keras',
    ([, a, b]) => {
      for (const one of [a, b]) one.shared_object_id = 777
    },
    ['Keras: shared: undefined → [["layers/dense","layers/dense_1"]]'],
  ],
  [
    'a layer that is passed by, whose weights are not loaded',
    ([, , b, c]) => {
      c.inbound_nodes = b.inbound_nodes
    },
    [/^Keras: graph: sha256 \w+ → sha256 \w+$/, 'Keras: unused: undefined → ["layers/dense_1"]'],
  ],
  [
    'another output',
    (_, config) => {
      config.output_layers = [['b', 0, 0]]
    },
    [/graph/, /"layers\/dense_2","layers\/batch_normalization"/],
  ],
  ['a call for training', layers => Object.assign(layers[4].inbound_nodes[0].kwargs, { training: true }), [/graph/]],
  [
    'a number of a norm',
    layers => Object.assign(layers[4].config, { epsilon: 0.1 }),
    ['Keras: BatchNormalization.epsilon: 0.001 → 0.1'],
  ],
  [
    'within a model of the model',
    layers => Object.assign(layers[5].config.layers[0].config, { negative_slope: 0.9 }),
    ['Keras: LeakyReLU.negative_slope: 0.3 → 0.9'],
  ],
  ['the order within a model of the model', layers => layers[5].config.layers.reverse(), [/graph/]],
  [
    'a layer of another kind',
    ([, , , , norm]) => Object.assign(norm, { class_name: 'LayerNormalization' }),
    [/graph/, 'Keras: BatchNormalization: 1 → undefined', 'Keras: LayerNormalization: undefined → 1'],
  ],
])('%s is told', async (_, edit, told) => {
  const found = await changes([edited(edit)], [NET()])
  expect(found).toEqual(told.map(one => (typeof one === 'string' ? one : expect.stringMatching(one))))
})

test('what another session, a training or another save writes is nothing', async () => {
  const renamed = JSON.parse(JSON.stringify(NET()).replace(/"(a|b|c|d|norm|inner|add|in)"/g, '"$1_17"')) as Json
  const other = structuredClone(renamed)
  for (const one of other.config.layers as Json[]) {
    one.module = 'keras.src'
    delete one.build_config
    one.config.trainable = false
    if (one.config.dtype) one.config.dtype = policy('float32')
    if (one.class_name === 'BatchNormalization')
      Object.assign(one.config, { momentum: 0.9, epsilon: Math.fround(0.001) })
    if (one.class_name === 'Dense') one.config.kernel_initializer.config.seed = 4
    one.config = Object.fromEntries(Object.entries(one.config).reverse())
  }
  other.compile_config = { optimizer: 'sgd' }
  for (const head of [renamed, other]) expect(await changes([head], [NET()])).toEqual([])
})

test('an older .h5 says it in an attribute, and what has weights alone says nothing', async () => {
  const { settings } = await openCheckpoint(fixture('keras3-legacy.h5'))
  expect(settings).toContainEqual({ file: 'Keras', key: 'DepthwiseConv2D.depth_multiplier', value: '2' })
  expect(settings).toContainEqual({ file: 'Keras', key: 'keras_version', value: '"3.15.1"' })
  const first = await openCheckpoint(fixture('keras1-model.h5'))
  expect(first.settings).toContainEqual({ file: 'Keras', key: 'graph', value: '[["",["convolution2d","dense"]]]' })
  expect((await openCheckpoint(fixture('keras3.weights.h5'))).settings).toBeUndefined()
})

const withOption = (option: object) => {
  return edited(layers => {
    for (const { class_name, config } of [...layers, ...layers[5].config.layers])
      if (class_name === 'Dense') Object.assign(config, option)
  })
}

test.each([
  [{ option: false }, '3.6.0', []],
  [{ option: null }, '3.15.1', []],
  [{ data_format: 'channels_last' }, '3.6.0', []],
  [{ option: false }, '3.15.1', ['Keras: Dense.option: undefined → false']],
  [{ option: 'relu' }, '3.6.0', ['Keras: Dense.option: undefined → "relu"']],
])('what another version leaves out is implied: %j, %s', async (option, version, told) => {
  expect(await changes([withOption(option)], [NET(), version])).toEqual(told)
})

test.each([
  ['no JSON', '{"class_name": '],
  ['not there', undefined],
  ['too large', `"${'x'.repeat(limits.keras.configBytes)}"`],
])('a config that is %s is told once', async (_, config) => {
  expect(await changes([config], [NET()])).toEqual(['Keras: *: undefined → not read'])
  expect(await changes([config], [config])).toEqual([])
})

test('numbers that Python knows and JSON does not are no reason to pass over it', async () => {
  const text = JSON.stringify(edited(([, a]) => Object.assign(a.config, { activation: 'tanh' })))
  expect(await changes([`${text.slice(0, -1)}, "x": NaN}`], [NET()])).toHaveLength(1)
})

test('layers go into each other by the names beside their configs', async () => {
  const turned = edited(layers => {
    const [, a, b, c] = layers
    ;[a.name, b.name, c.name] = ['b', 'c', 'a']
  })
  expect(await changes([turned], [NET()])).toEqual([expect.stringMatching(/^Keras: graph: /)])
})

test('what is computed of the data for a layer counts by how much there is of it', async () => {
  const normalised = (mean: unknown) => edited(layers => layers.push(layer('Normalization', 'n', [], { mean })))
  expect(await changes([normalised([0.5, 0.25])], [normalised([1, 2])])).toEqual([])
  expect(await changes([normalised([0.5])], [normalised([1, 2])])).toEqual([
    'Keras: Normalization.mean: "2 numbers" → "1 numbers"',
  ])
})

test('many layers make no large report', async () => {
  const layers = Array.from({ length: 500 }, (_, i) => dense(`d${i}`, '', { activation: i % 2 ? 'relu' : 'gelu' }))
  const settings = await settingsOf({ class_name: 'Sequential', config: { layers } })
  expect(JSON.stringify(settings).length).toBeLessThan(1_000)
  expect(settings.find(({ key }) => key === 'Dense.activation')?.value).toMatch(
    /^250 × "gelu", 250 × "relu", in turns of sha256 \w+$/,
  )
  const kinds = Array.from({ length: 600 }, (_, i) => layer(`K${i}`, '', []))
  expect(await settingsOf({ class_name: 'Sequential', config: { layers: kinds } })).toHaveLength(2)
})

test('warns, where no weight changed', async () => {
  const base = await analyseFile(fixture('keras3.keras'))
  const settings = base.source.settings!.map(one => (one.key === 'graph' ? { ...one, value: 'sha256 0' } : one))
  const head = { ...base, source: { ...base.source, settings } }
  const baseline = { path: 'base', kind: 'checkpoint', options: defaults, models: [base] } as const
  const { pairs } = compare([head], defaults, baseline)
  const { rules } = judge({ rules: [], ignore: [], enforce: true }, pairs, { cause: '' })
  expect(rules.map(({ name, level, layer }) => [name, level, layer])).toEqual([
    ['other-config', 'warn', 'Keras: graph'],
  ])
})

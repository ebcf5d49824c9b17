import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openCheckpoint } from '../../../src/checkpoint/index.ts'
import { compare } from '../../../src/comparison/compare.ts'
import { explain } from '../../../src/errors.ts'
import { judge } from '../../../src/policy/judge.ts'
import { analyseFile, defaults } from '../../support/analyse.ts'
import { write } from '../hdf5/build.ts'
import { makeZip } from '../torch/build.ts'
import { refusal } from './values.ts'

const fixture = (name: string) => `test/fixtures/keras/places/${name}`

/** What is called how, and where Keras looks for it. */
async function placed(path: string) {
  const { tensors } = await openCheckpoint(path)
  return Object.fromEntries(tensors.map(({ name, place }) => [name, place]))
}

const archive = (config: object, weights = 'inserted.weights.h5') =>
  write(
    makeZip([
      { name: 'config.json', data: Buffer.from(JSON.stringify(config)) },
      { name: 'model.weights.h5', data: readFileSync(fixture(weights)) },
    ]),
    'model.keras',
  )
const dense = (...names: string[]) => ({
  layers: names.map(name => ({ class_name: 'Dense', config: { name } })),
})

test.each(['session.weights.h5', 'later.weights.h5'])('%s: the number of a session is in no name', async name => {
  expect(await placed(fixture(name))).toEqual({
    'dense/kernel': 'layers/dense/vars/0',
    'dense/bias': 'layers/dense/vars/1',
    'dense_1/kernel': 'layers/dense_1/vars/0',
    'dense_1/bias': 'layers/dense_1/vars/1',
    'head/kernel': 'layers/dense_2/vars/0',
    'head/bias': 'layers/dense_2/vars/1',
  })
})

test('version 3: the place is that of the group, whatever the name says', async () => {
  expect(await placed(fixture('exchanged.weights.h5'))).toMatchObject({
    'mid/kernel': 'layers/dense/vars/0',
    'stem/kernel': 'layers/dense_1/vars/0',
  })
})

test.each([
  ['session.h5', 'dense', 'dense_1'],
  ['later.h5', 'dense_1', 'dense_2'],
  ['exchanged.h5', 'dense_1', 'dense'],
])('%s: the older format goes by the order of its lists', async (name, first, second) => {
  const places = await placed(fixture(name))
  expect(places).toEqual({
    [`${first}/${first}/kernel:0`]: '0/0',
    [`${first}/${first}/bias:0`]: '0/1',
    [`${second}/${second}/kernel:0`]: '1/0',
    [`${second}/${second}/bias:0`]: '1/1',
    'head/head/kernel:0': '2/0',
    'head/head/bias:0': '2/1',
  })
})

test('weights of the model itself have a place of their own, and layers without weights none', async () => {
  expect(await placed('test/fixtures/keras/lists/top-level.h5')).toMatchObject({
    'model_weights/dense/dense/kernel:0': '0/0',
  })
  const places = Object.values(await placed('test/fixtures/keras/keras3-legacy.h5'))
  expect(new Set(places.map(place => place?.split('/')[0])).size).toBe(
    Math.max(...places.map(place => Number(place?.split('/')[0]))) + 1,
  )
})

test.each([
  ['twice.h5', 'lists "dense" twice among its layers or weights'],
  ['both.weights.h5', 'lists layers as older versions of Keras do, and has "layers" for Keras 3, which reads no lists'],
  ['both-listed.weights.h5', 'and has "layers/dense/vars/0" for Keras 3, which reads no lists'],
])('%s: what two versions of Keras would load otherwise is refused', async (name, reason) => {
  expect(await refusal(fixture(name))).toContain(reason)
  await expect(openCheckpoint(fixture(name)).catch(explain)).resolves.toContain('model.save')
})

test('of an archive the config says what layers are called, and which are loaded', async () => {
  const { tensors, ignored } = await openCheckpoint(
    archive({ class_name: 'Sequential', config: dense('one', 'two', 'three') }),
  )
  expect(tensors.map(({ name }) => name).filter(name => name.endsWith('kernel'))).toEqual([
    'one/kernel',
    'two/kernel',
    'three/kernel',
  ])
  expect(ignored).toEqual(['layers/dense_3 (not in the config)'])
})

test('a class that is not one of Keras may keep more in its group than its config lists', async () => {
  const { tensors, ignored } = await openCheckpoint(archive({ class_name: 'Mine', config: dense('one') }))
  expect([tensors.length, ignored]).toEqual([8, []])
})

test('rows of a report say the place', async () => {
  const { layers, skipped } = await analyseFile(fixture('exchanged.weights.h5'))
  expect(layers.map(({ name, place }) => [name, place])).toEqual([
    ['mid', 'layers/dense/vars/0'],
    ['stem', 'layers/dense_1/vars/0'],
    ['head', 'layers/dense_2/vars/0'],
  ])
  expect(skipped.map(({ place }) => place)).toEqual([0, 1, 2].map(i => `layers/dense${i ? `_${i}` : ''}/vars/1`))
})

/** What the rules say of one file against another, and what is paired. */
async function compared(head: string, base: string) {
  const [now, before] = await Promise.all([head, base].map(name => analyseFile(fixture(name))))
  const { pairs, comparison } = compare([now!], defaults, {
    path: 'base',
    kind: 'checkpoint',
    options: defaults,
    models: [before!],
  })
  const { rules } = judge({ rules: [], ignore: [], enforce: true }, pairs, { cause: '' })
  return {
    same: comparison.models[0]!.tensors?.same,
    rules: rules.map(({ name }) => name),
    reasons: rules.map(({ layer, reason }) => `${layer}: ${reason}`),
  }
}

test.each([
  ['later.weights.h5', 'session.weights.h5'],
  ['session.weights.h5', 'later.weights.h5'],
  ['later.h5', 'session.h5'],
  ['session.h5', 'later.h5'],
])('%s against %s: one model, saved in two sessions, is the same', async (head, base) => {
  expect(await compared(head, base)).toMatchObject({ same: true, rules: [] })
})

test.each([
  ['exchanged.weights.h5', 'named.weights.h5', 'mid', 'stem/kernel'],
  ['exchanged.h5', 'session.h5', 'dense_1/dense_1', 'dense/dense/kernel:0'],
])('%s against %s: names that changed places with their weights warn', async (head, base, layer, was) => {
  const { same, rules, reasons } = await compared(head, base)
  expect([same, rules]).toEqual([false, expect.arrayContaining(['exchanged-weights', 'other-names'])])
  expect(reasons).toContain(
    `${layer}: it is in the place that ${JSON.stringify(was)} has in the baseline, and Keras loads by places`,
  )
})

test('a layer between others moves those behind it: they go by their names', async () => {
  const { rules } = await compared('inserted.weights.h5', 'named.weights.h5')
  expect(rules).not.toContain('exchanged-weights')
  expect(rules).not.toContain('other-names')
})

test('what an older file keeps beside a LoRA is not what Keras applies', async () => {
  const { tensors } = await openCheckpoint(fixture('lora.h5'))
  const broken = tensors.filter(({ broken }) => broken?.includes('Keras adds a LoRA to it'))
  expect(broken.map(({ name }) => name.split('/').at(-1)).sort()).toEqual([
    'kernel:0',
    'lora_kernel_a:0',
    'lora_kernel_b:0',
  ])
  expect(broken.every(({ name }) => name.startsWith('stem/'))).toBe(true)
})

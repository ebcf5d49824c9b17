import { expect, test } from 'vitest'
import { openCheckpoint } from '../../../src/checkpoint/index.ts'
import { explain } from '../../../src/errors.ts'
import { refusal } from './values.ts'

const fixture = (name: string) => `test/fixtures/keras/lists/${name}`

/** Names of tensors, and of what is left out with its reason. */
async function found(name: string) {
  const { tensors, ignored } = await openCheckpoint(fixture(name))
  return { tensors: tensors.map(tensor => tensor.name), ignored }
}

const DENSE = 'model_weights/dense/dense/kernel:0'

test.each<[string, string[], string[]]>([
  ['all.h5', [DENSE], []],
  ['top-level.h5', [DENSE, 'model_weights/top_level_model_weights/own:0'], []],
  ['unlisted-weight.h5', [DENSE], ['model_weights/dense/dense/other:0 (not in weight_names)']],
  ['unlisted-layer.h5', [DENSE], ['model_weights/other (not in layer_names)']],
  ['root.h5', ['dense/dense/kernel:0'], ['model_weights (not in layer_names)']],
  // Keras takes a file by its name: it looks into `model_weights` of its old format alone.
  ['decoy.h5', [DENSE], ['layers (beside model_weights)']],
  ['decoy.weights.h5', ['layers/dense/vars/0', DENSE], []],
])('%s: what Keras loads, by its lists, is what is read', async (name, tensors, ignored) => {
  const read = await found(name)
  expect(read.tensors.map(tensor => tensor.replace(/^dense$/, 'layers/dense/vars/0'))).toEqual(
    expect.arrayContaining(tensors.filter(tensor => !tensor.startsWith('layers/'))),
  )
  expect(read.tensors).toHaveLength(tensors.length)
  expect(read.ignored).toEqual(ignored)
})

test.each([
  ['absolute.h5', '"model_weights/dense//optimizer_weights/real:0"'],
  ['missing-weight.h5', '"model_weights/dense/dense/bias:0"'],
  ['missing-layer.h5', '"model_weights/gone"'],
])('%s: a list that leads elsewhere is refused', async (name, listed) => {
  expect(await refusal(fixture(name))).toContain(`lists ${listed} among its layers or weights, where none is`)
  await expect(openCheckpoint(fixture(name)).catch(explain)).resolves.toContain('model.save')
})

test('version 3 goes by the places of groups: lists hide nothing', async () => {
  expect((await found('version3.weights.h5')).tensors.sort()).toEqual(['dense/kernel', 'other/kernel'])
})

test('a layer that begins with a counter and a scalar is no optimizer: its matrices are as large as none of the model', async () => {
  const { tensors, ignored } = await found('counting.weights.h5')
  expect([tensors.length, ignored]).toEqual([4, []])
})

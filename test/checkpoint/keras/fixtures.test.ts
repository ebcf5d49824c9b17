import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { expectations, read, summary } from './values.ts'

const folder = new URL('../../fixtures/keras/', import.meta.url)
const fixture = (name: string) => fileURLToPath(new URL(name, folder))
const expected = expectations(folder)

test.each(Object.keys(expected))('%s: names, shapes and values are those that were written', async name => {
  expect(await summary(fixture(name))).toEqual(expected[name])
})

test.each(['keras1-tensorflow.h5', 'keras2.h5', 'keras3.keras', 'keras3-legacy.h5', 'ordered.h5'])(
  '%s: tensors come in the order of the model',
  async name => {
    expect((await read(fixture(name))).tensors.map(tensor => tensor.name)).toEqual(Object.keys(expected[name]))
  },
)

test('what is stored in one piece is read at its offset, also within an archive', async () => {
  for (const name of ['keras2.h5', 'keras3.keras']) {
    const { tensors } = await read(fixture(name))
    expect(tensors.map(({ source }) => source.kind)).toEqual(tensors.map(() => 'file'))
  }
})

test('optimizer state is left out and named', async () => {
  for (const name of ['keras2.h5', 'keras3-legacy.h5']) {
    expect((await read(fixture(name))).ignored).toEqual(['optimizer_weights (optimizer state)'])
  }
})

test('what is not numbers, soft links and second links are left out and named', async () => {
  const { ignored, unread } = await read(fixture('layouts.h5'))
  expect(unread).toMatchObject([{ name: 'record', dtype: 'records', reason: 'holds records' }])
  expect(ignored).toEqual(['soft (a soft link)', 'text (text)', 'twice (one more link to what was read)'])
})

test('formats and dtypes', async () => {
  const { format, tensors } = await read(fixture('keras3-bfloat16.weights.h5'))
  expect([format, ...tensors.map(({ dtype }) => dtype)]).toEqual(['hdf5', 'BF16', 'BF16'])
  expect((await read(fixture('keras3.keras'))).format).toBe('keras')
  const chunked = (await read(fixture('chunked.h5'))).tensors
  expect(chunked.map(({ dtype }) => dtype)).toEqual(['F32', 'F32', 'F32', 'F64', 'F16', 'F16'])
})

import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { expectations, read, refusal, summary } from '../keras/values.ts'

const folder = new URL('../../fixtures/numpy/', import.meta.url)
const fixture = (name: string) => fileURLToPath(new URL(name, folder))
const expected = expectations(folder)

test.each(Object.keys(expected))('%s: names, shapes and values are those that numpy wrote', async name => {
  expect(await summary(fixture(name))).toEqual(expected[name])
})

test('stored members are read at their offset, Fortran order through strides', async () => {
  const { format, tensors, ignored } = await read(fixture('stored.npz'))
  expect(format).toBe('npz')
  const kinds = Object.fromEntries(tensors.map(({ name, dtype, source }) => [name, `${dtype} ${source.kind}`]))
  expect(kinds).toMatchObject({
    f64: 'F64 file',
    'conv/weight': 'F32 file',
    'big-endian': 'F16 packed',
    complex: 'C64 file',
  })
  expect(tensors.find(({ name }) => name === 'fortran')?.source.strides).toEqual([1, 6])
  expect(ignored).toEqual(['labels (of the type "<U3")', 'dates (of the type "<M8[D]")'])
})

test('deflated members are unpacked', async () => {
  const { tensors } = await read(fixture('deflated.npz'))
  expect(tensors.map(({ source }) => source.kind)).toEqual(['packed', 'packed', 'packed'])
})

test('an array of pickled objects is refused where it is alone, and left unread among others', async () => {
  const message = await refusal(fixture('objects.npy'))
  expect(message).toContain('is an array of pickled Python objects, which could run code when loaded')
  expect(message).toContain('none of dtype=object')
  for (const name of ['objects.npz', 'object-records.npz']) {
    const { unread } = await read(fixture(name))
    expect(unread).toContainEqual(
      expect.objectContaining({ dtype: 'object', reason: expect.stringMatching(/pickled/) }),
    )
  }
})

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { lzf } from '../../../src/checkpoint/hdf5/lzf.ts'
import { openCheckpoint } from '../../../src/checkpoint/index.ts'
import { openTensor } from '../../../src/spectrum/spool.ts'
import { expectations, read, summary } from '../keras/values.ts'

const folder = new URL('../../fixtures/hdf5/', import.meta.url)
const fixture = (name: string) => fileURLToPath(new URL(name, folder))
const expected = expectations(folder)

test.each(Object.keys(expected))('%s: names, shapes and values are those that h5py reads', async name => {
  expect(await summary(fixture(name))).toEqual(expected[name])
})

test('what is not read is listed with its shape, and the others are', async () => {
  const { unread, ignored } = await read(fixture('unread.h5'))
  expect(unread!.map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
    ['complex', 'records', [4, 4]],
    ['growing', 'unknown', [4, 4]],
    ['opaque', 'opaque bytes', [4, 4]],
    ['scaled', 'I64', [4, 4]],
  ])
  expect(unread![1]!.reason).toMatch(/listed by an extensible array/)
  expect(unread![3]!.reason).toMatch(/compressed by scaleoffset .*h5repack/)
  expect(ignored).toEqual(['text (text)'])
})

test.each([
  ['a run beyond the input', [5, 1, 2]],
  ['a copy from before the begin', [0, 7, 0x20, 9]],
  ['more than there is room for', [3, 1, 2, 3, 4, 0xe0, 255, 0]],
  ['less than is wanted', [0, 7]],
])('lzf: %s is damage', (_, bytes) => {
  expect(() => lzf('w', Uint8Array.from(bytes), 8)).toThrow(/is no 8 bytes of lzf/)
})

async function applied(name: string): Promise<Float32Array> {
  const { tensors } = await openCheckpoint(fixture(name))
  const kernel = tensors.find(({ shape }) => shape.length === 2 && shape[0] === 64)!
  expect(kernel).toMatchObject({ name: 'd/kernel', dtype: 'F32', shape: [64, 24] })
  expect(kernel.broken).toBeUndefined()
  expect(tensors.filter(({ companion, shape }) => !companion && shape.length !== 1)).toEqual([kernel])
  const { file, source } = await openTensor(kernel)
  try {
    const floats = new Float32Array(64 * 24)
    await file.read(new Uint8Array(floats.buffer), 0, floats.byteLength, source.offset)
    return floats
  } finally {
    await file.close()
  }
}

test.each(['int8', 'int4'])("Keras' %s kernels are what the layer applies", async name => {
  const npy = readFileSync(fixture(`${name}.expected.npy`))
  const wanted = new Float32Array(
    npy.buffer.slice(npy.byteOffset + npy.length - 64 * 24 * 4, npy.byteOffset + npy.length),
  )
  const found = await applied(`${name}.keras`)
  for (const [i, value] of found.entries()) expect(Math.abs(value - wanted[i]!)).toBeLessThanOrEqual(1e-6)
})

test.each(['int8.weights.h5', 'int4-columns.keras'])(
  '%s: integers whose mode is not known are not read',
  async name => {
    const { tensors } = await openCheckpoint(fixture(name))
    expect(tensors.find(({ dtype, shape }) => dtype === 'F32' && shape.length === 2)?.broken).toMatch(
      /save the whole model/,
    )
  },
)

test('an optimizer is told by its iterations and its learning rate, whatever it is called', async () => {
  const { tensors, ignored } = await read(fixture('gan.weights.h5'))
  expect(tensors.map(({ name }) => name)).toEqual(['critic/kernel', 'critic/bias'])
  expect(ignored).toContain('opt_d (optimizer state)')
})

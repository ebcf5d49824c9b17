import { closeSync, readFileSync, readSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { lzf } from '../../../src/checkpoint/hdf5/lzf.ts'
import { openCheckpoint } from '../../../src/checkpoint/index.ts'
import { quantisedGroup } from '../../../src/checkpoint/keras/quantised.ts'
import { contiguous, type DType, size, type Tensor } from '../../../src/checkpoint/types.ts'
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

/** The one quantised tensor of an archive, and its values. */
async function applied(name: string, layer: string, shape: readonly number[]): Promise<Float32Array> {
  const { tensors } = await openCheckpoint(fixture(name))
  const [kernel, ...others] = tensors.filter(({ companion, shape }) => !companion && size(shape) > 100)
  expect(others).toEqual([])
  expect(kernel).toMatchObject({ name: layer, dtype: 'F32', shape })
  expect(kernel.broken).toBeUndefined()
  const { fd, source } = await openTensor(kernel)
  try {
    const floats = new Float32Array(size(shape))
    readSync(fd, floats, 0, floats.byteLength, source.offset)
    return floats
  } finally {
    closeSync(fd)
  }
}

test.each<[string, string, number[]]>([
  ['int8', 'd/kernel', [64, 24]],
  ['int4', 'd/kernel', [64, 24]],
  ['int4-odd', 'dense/kernel', [48, 25]],
  ['einsum-heads', 'einsum_dense/kernel', [48, 4, 9]],
  ['einsum-merge', 'einsum_dense/kernel', [4, 9, 30]],
  ['einsum-int4', 'einsum_dense/kernel', [48, 36]],
  ['embedding', 'embedding/embeddings', [50, 25]],
  ['embedding-int4', 'embedding/embeddings', [50, 25]],
  ['embedding-blocks', 'embedding/embeddings', [50, 25]],
])('%s: what Keras quantised is what its layer applies', async (name, layer, shape) => {
  const npy = readFileSync(fixture(`${name}.expected.npy`))
  const end = npy.byteOffset + npy.length
  const wanted = new Float32Array(npy.buffer.slice(end - size(shape) * 4, end))
  const found = await applied(`${name}.keras`, layer, shape)
  for (const [i, value] of found.entries()) expect(Math.abs(value - wanted[i]!)).toBeLessThanOrEqual(1e-6)
})

test.each(['int8.weights.h5'])('%s: integers whose mode is not known are not read', async name => {
  const { tensors } = await openCheckpoint(fixture(name))
  expect(tensors.find(({ dtype, shape }) => dtype === 'F32' && shape.length === 2)?.broken).toMatch(
    /save the whole model/,
  )
})

describe('what does not fit its config is not read', () => {
  const tensor = (dtype: DType, shape: number[]): Tensor => {
    const source = { kind: 'file', path: 'x', offset: 0, strides: contiguous(shape) } as const
    return { name: `${dtype} ${shape}`, dtype, shape, source }
  }
  const group = (...tensors: Tensor[]) => tensors.map((tensor, index) => ({ index, tensor }))
  const layer = {
    place: '',
    name: '',
    className: 'EinsumDense',
    ordering: undefined,
    nested: false,
    outputs: undefined,
  }
  const read = (equation: string | undefined, mode: string, more: object, ...tensors: Tensor[]) => {
    const found = quantisedGroup(group(...tensors), { ...layer, mode, equation, ...more })
    return [...found.values()].filter(({ companion }) => !companion).map(({ broken }) => broken === undefined)
  }
  const codes = tensor('I8', [6, 4, 8])
  const scale = tensor('F32', [1, 1, 4, 8])

  test.each<[string, boolean[]]>([
    ['abc,cde->abde', [true]],
    ['...c,cde->...de', [true]],
    ['abc,cde->abed', [false]],
    ['abe,dce->abcd', [false]],
    ['abc->abc', [false]],
    ['nothing', [false]],
  ])('an EinsumDense by %s', (equation, wanted) => {
    expect(read(equation, 'int8', {}, codes, scale)).toEqual(wanted)
  })

  test.each<[string, string, object, Tensor[]]>([
    ['a scale of another shape', 'int8', {}, [codes, tensor('F32', [8, 4])]],
    ['a scale of integers', 'int8', {}, [codes, tensor('I32', [4, 8])]],
    ['no scale', 'int8', {}, [codes]],
    ['another mode', 'gptq/4/128', {}, [codes, scale]],
    ['half as many scales', 'int4/-1', { className: 'Dense' }, [tensor('I8', [6, 4]), tensor('F32', [4])]],
    ['embeddings of unknown width', 'int4/-1', { className: 'Embedding' }, [tensor('I8', [6, 4]), tensor('F32', [6])]],
    [
      'embeddings of another width',
      'int4/-1',
      { className: 'Embedding', outputs: 9 },
      [tensor('I8', [6, 4]), tensor('F32', [6])],
    ],
  ])('%s', (_, mode, more, tensors) => {
    expect(read('abc,cde->abde', mode, more, ...tensors)).toEqual([false])
  })

  test('the other matrix of embeddings that are not tied', () => {
    const [there, back] = [tensor('I8', [50, 25]), tensor('I8', [25, 50])]
    const scales = [tensor('F32', [50]), { ...tensor('F32', [50]), name: 'other' }]
    const asked = { className: 'ReversibleEmbedding', outputs: 25 }
    expect(read(undefined, 'int8', asked, there, scales[0]!, back, scales[1]!)).toEqual([true, false])
  })
})

test('an optimizer is told by its iterations and its learning rate, whatever it is called', async () => {
  const { tensors, ignored } = await read(fixture('gan.weights.h5'))
  expect(tensors.map(({ name }) => name)).toEqual(['critic/kernel', 'critic/bias'])
  expect(ignored).toContain('opt_d (optimizer state)')
})

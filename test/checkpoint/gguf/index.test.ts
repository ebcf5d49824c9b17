import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { gguf as reader } from '../../../src/checkpoint/gguf/index.ts'
import type { Tensor } from '../../../src/checkpoint/types.ts'
import { limits } from '../../../src/limits.ts'
import { u32, u64 } from '../../support/bytes.ts'
import { bytesOf, sha256 } from '../onnx/build.ts'
import { describeWith, recognisedBy, refusal, write } from '../onnx/open.ts'
import { ARRAY, gguf, info, pair, STRING, string, UINT32 } from './build.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/gguf', import.meta.url))
const expected: Record<string, Expected[]> = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8'))

interface Expected {
  name: string
  dtype: string
  shape: number[]
  first: number[]
  sha256: string
}

const F32 = 0
const Q4_0 = 2

describe.each(Object.entries(expected))('%s, written by gguf-py', (file, rows) => {
  const path = join(fixtures, file)

  test('is recognised', async () => {
    expect(await recognisedBy(reader, path)).toBe(true)
  })

  test('has the tensors and, bit for bit, the values that gguf-py reads', async () => {
    const tensors: Tensor[] = [...(await describeWith(reader, path)).tensors]
    const found = await Promise.all(
      tensors
        .filter(({ skip }) => !skip)
        .map(async tensor => {
          const bytes = await bytesOf(tensor)
          const first = tensor.source.kind === 'packed' ? [0, 4, 8, 12].map(at => bytes.readFloatLE(at)) : undefined
          return { ...tensor, source: undefined, ...(first && { first }), sha256: sha256(bytes) }
        }),
    )
    expect(found).toMatchObject(rows.map(row => (row.dtype === 'F32' && file === 'quantised.gguf' ? row : plain(row))))
    expect(found).toHaveLength(rows.length)
  })
})

function plain({ name, dtype, shape, sha256 }: Expected) {
  return { name, dtype, shape, sha256 }
}

test('types that are not dequantised are described with the reason', async () => {
  const tensors: Tensor[] = [...(await describeWith(reader, join(fixtures, 'quantised.gguf'))).tensors]
  expect(tensors.filter(({ skip }) => skip).map(({ name, shape, skip }) => [name, shape, skip])).toEqual([
    ['IQ2_XS.weight', [2, 512], 'its type, IQ2_XS, is not one that is dequantised'],
  ])
  const path = write(gguf({ tensors: [info('w', [4], 77, 0)], data: 32 }), 'net.gguf')
  expect((await describeWith(reader, path)).tensors).toMatchObject([
    { skip: 'its type, ggml type 77, is not one that is dequantised' },
  ])
})

test('a tensor of many blocks is unpacked in several pieces', async () => {
  const path = write(gguf({ tensors: [info('w', [32, 10_000], Q4_0, 0)], data: 180_000 }), 'net.gguf')
  const [tensor] = (await describeWith(reader, path)).tensors
  expect(tensor).toMatchObject({ dtype: 'F32', shape: [10_000, 32] })
  expect(await bytesOf(tensor)).toHaveLength(1_280_000)
})

test.each<[string, Uint8Array, RegExp]>([
  ['version 1', gguf({ version: 1 }), /is GGUF version 1, of 2023; 2 and 3 are read/],
  ['a version of the future', gguf({ version: 4 }), /is GGUF version 4/],
  ['a big-endian file', gguf({ version: 0x03000000 }), /is a big-endian GGUF file/],
  [
    'a header that is cut off',
    gguf({}).subarray(0, 14),
    /the number of tensors reaches to byte 16, but the file has 14/,
  ],
  ['2^60 tensors', gguf({ counts: [2n ** 60n, 0] }), /claims 1152921504606847000 tensors, more than 250000/],
  ['more tensors than the file holds', gguf({ counts: [1_000, 0] }), /the name of a tensor reaches to byte 32, but/],
  ['2^60 metadata pairs', gguf({ counts: [0, 2n ** 60n] }), /claims 1152921504606847000 metadata pairs/],
  [
    'a key of 2^60 bytes',
    gguf({ pairs: [u64(2n ** 60n)] }),
    /the key of metadata pair 0 has 1152921504606847000 bytes/,
  ],
  ['a name of 2^60 bytes', gguf({ tensors: [u64(2n ** 60n)] }), /the name of a tensor has 1152921504606847000 bytes/],
  [
    'a string of 2^60 bytes',
    gguf({ pairs: [pair('k', STRING, u64(2n ** 60n))] }),
    /"k" reaches to byte 11529215046068/,
  ],
  [
    'a string of 2^64 - 1 bytes',
    gguf({ pairs: [pair('k', STRING, u64(-1))] }),
    /"k" reaches to byte 18446744073709552/,
  ],
  [
    'an array of 2^60 numbers',
    gguf({ pairs: [pair('k', ARRAY, u32(UINT32), u64(2n ** 60n))] }),
    /"k" reaches to byte 4611686018427388/,
  ],
  [
    'an array of 2^60 strings',
    gguf({ pairs: [pair('k', ARRAY, u32(STRING), u64(2n ** 60n), string('a'))] }),
    /"k" reaches to byte \d+, but/,
  ],
  [
    'arrays nested too deep',
    gguf({ pairs: [pair('k', ARRAY, ...new Array(limits.gguf.nestingLevels + 1).fill([u32(ARRAY), u64(1)]).flat())] }),
    /"k" nests arrays more than 4 deep/,
  ],
  ['a value of an unknown type', gguf({ pairs: [pair('k', 13)] }), /"k" has the unknown type 13/],
  ['an alignment of 0', gguf({ pairs: [pair('general.alignment', UINT32, u32(0))] }), /general.alignment is 0/],
  ['an odd alignment', gguf({ pairs: [pair('general.alignment', UINT32, u32(12))] }), /general.alignment is 12/],
  ['a huge alignment', gguf({ pairs: [pair('general.alignment', UINT32, u32(2 ** 31))] }), /general.alignment is 21/],
  [
    'two alignments',
    gguf({ pairs: new Array(2).fill(pair('general.alignment', UINT32, u32(32))) }),
    /"general.alignment" is there twice/,
  ],
  [
    'an alignment of another type',
    gguf({ pairs: [pair('general.alignment', 10, u64(32))] }),
    /"general.alignment" is of type 10, not an unsigned number of 32 bits/,
  ],
  [
    'two values of any key',
    gguf({ pairs: new Array(2).fill(pair('general.name', STRING, string('a'))) }),
    /"general.name" is there twice/,
  ],
  [
    'a key with a zero byte, which llama.cpp takes for its end',
    gguf({ pairs: [pair('general.alignment\0', UINT32, u32(64))] }),
    /has a zero byte within/,
  ],
  ['a tensor of such a name', gguf({ tensors: [info('w\0', [8], F32, 0)], data: 32 }), /has a zero byte within/],
  [
    'one part of a split model',
    gguf({ pairs: [pair('split.count', 2, Buffer.from([3, 0]))] }),
    /is one of 3 parts of a model/,
  ],
  [
    'too many dimensions',
    gguf({ tensors: [info('w', new Array(33).fill(1), F32, 0)] }),
    /"w" has 33 dim|"w": has 33 dim/,
  ],
  ['an overflowing shape', gguf({ tensors: [info('w', [2 ** 30, 2 ** 30], F32, 0)] }), /"w": its shape .* overflows/],
  ['a dimension of 2^60', gguf({ tensors: [info('w', [2n ** 60n, 0], F32, 0)] }), /"w": its shape .* overflows/],
  [
    'rows of broken blocks',
    gguf({ tensors: [info('w', [33], Q4_0, 0)] }),
    /its rows of 33 are no whole Q4_0 blocks of 32/,
  ],
  [
    'an unaligned offset',
    gguf({ tensors: [info('w', [2], F32, 4)], data: 64 }),
    /offset 4 is no multiple of the alignme/,
  ],
  [
    'a tensor beyond the end',
    gguf({ tensors: [info('w', [9], F32, 0)], data: 32 }),
    /"w": reaches to byte \d+, but the/,
  ],
  [
    'an offset of 2^60',
    gguf({ tensors: [info('w', [1], F32, 2n ** 60n)], data: 32 }),
    /"w": reaches to byte 11529215046/,
  ],
  [
    'overlapping tensors',
    gguf({ tensors: [info('b', [8], F32, 32), info('a', [9], F32, 0)], data: 64 }),
    /the tensors "a" and "b" overlap/,
  ],
  [
    'two tensors of one name',
    gguf({ tensors: [info('w', [8], F32, 0), info('w', [8], F32, 32)], data: 64 }),
    /"w": is there twice/,
  ],
])('refuses %s', async (_, bytes, pattern) => {
  expect(await refusal(reader, write(bytes, 'net.gguf'))).toMatch(pattern)
})

test('only the whole key is the alignment', async () => {
  const tensors = [info('w', [8], F32, 0)]
  const [plain, prefixed] = await Promise.all(
    ['x.general.name', 'x.general.alignment'].map(async key => {
      const bytes = gguf({ tensors, pairs: [pair(key, UINT32, u32(4_096))], data: 8_192 })
      return { bytes, ...(await describeWith(reader, write(bytes, 'net.gguf'))).tensors[0].source } as {
        bytes: Buffer
        offset: number
      }
    }),
  )
  expect(plain.offset).toBe(plain.bytes.length - 8_192)
  expect(prefixed.offset).toBe(prefixed.bytes.length - 8_192)
})

test('heads are told by the keys of the architecture alone', async () => {
  const pairs = [
    ...['x', 'llama', 'x.llama'].map((prefix, i) => pair(`${prefix}.attention.head_count`, UINT32, u32(4 * (i + 1)))),
    pair('llama.embedding_length', UINT32, u32(64)),
    pair('general.architecture', STRING, string('llama')),
  ]
  const { attention } = await describeWith(reader, write(gguf({ pairs }), 'net.gguf'))
  expect(attention).toMatchObject({ hidden: 64, heads: 8, sharedHeads: 8, width: 8 })
})

test('more values in arrays than any tokenizer has are refused', async () => {
  const strings = Buffer.alloc(8 * (limits.work.stepsCount + 1))
  const path = write(
    gguf({ pairs: [pair('k', ARRAY, u32(STRING), u64(limits.work.stepsCount + 1), strings)] }),
    'net.gguf',
  )
  expect(await refusal(reader, path)).toMatch(/takes more than 10000000 steps/)
})

test('the numbers by which llama.cpp applies the weights are settings', async () => {
  const float = (value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeFloatLE(value)
    return bytes
  }
  const pairs = [
    pair('general.architecture', STRING, string('llama')),
    pair('general.file_type', UINT32, u32(7)),
    pair('llama.block_count', UINT32, u32(3)),
    pair('llama.context_length', UINT32, u32(2048)),
    pair('llama.rope.freq_base', 6, float(10000)),
    pair('llama.attention.layer_norm_rms_epsilon', 6, float(1e-5)),
    pair('llama.rope.scaling.type', STRING, string('linear')),
    pair('llama.use_parallel_residual', 7, Buffer.from([1])),
    pair('tokenizer.ggml.bos_token_id', UINT32, u32(1)),
    pair('other.block_count', UINT32, u32(9)),
  ]
  const { settings } = await describeWith(reader, write(gguf({ pairs }), 'net.gguf'))
  expect(settings).toEqual(
    Object.entries({
      architecture: '"llama"',
      'attention.layer_norm_rms_epsilon': '0.00001',
      block_count: '3',
      'rope.freq_base': '10000',
      'rope.scaling.type': '"linear"',
      use_parallel_residual: '1',
    }).map(([key, value]) => ({ file: 'GGUF', key, value })),
  )
})

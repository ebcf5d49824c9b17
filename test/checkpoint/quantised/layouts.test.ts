import { closeSync, existsSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openCheckpoint, size, type Tensor } from '../../../src/checkpoint/index.ts'
import { openTensor } from '../../../src/spectrum/spool.ts'
import { type Written, writeSafetensors } from '../../support/safetensors.ts'

const FIXTURES = 'test/fixtures/layouts'

/** The elements of a tensor whose rows lie in order or, for its transpose, in columns. */
async function values(tensor: Tensor): Promise<number[]> {
  const { fd, source } = await openTensor(tensor)
  try {
    const floats = new Float32Array(size(tensor.shape))
    readSync(fd, floats, 0, floats.byteLength, source.offset)
    const [stride, inner] = source.strides.slice(-2)
    const columns = tensor.shape.at(-1)!
    if (inner === 1) return [...floats]
    return Array.from(floats, (_, i) => floats[Math.floor(i / columns) * stride! + (i % columns) * inner!]!)
  } finally {
    closeSync(fd)
  }
}

function expected(name: string): number[] {
  const bytes = readFileSync(join(FIXTURES, `${name}.expected.safetensors`))
  const start = 8 + Number(bytes.readBigUInt64LE(0))
  return Array.from({ length: (bytes.length - start) / 4 }, (_, i) => bytes.readFloatLE(start + 4 * i))
}

test.each([
  ['torchao-f8', '0._weight_qdata', '0.weight', [48, 64]],
  ['torchao-int8', '0._weight_qdata', '0.weight', [48, 64]],
  ['quanto-f8', '0.weight._data', '0.weight', [48, 64]],
  ['quanto-int8', '0.weight._data', '0.weight', [48, 64]],
  ['mlx-3', 'l.weight', undefined, [48, 128]],
  ['mlx-4', 'l.weight', undefined, [48, 128]],
  ['mlx-6', 'l.weight', undefined, [48, 128]],
  ['mlx-mxfp4', 'l.weight', undefined, [48, 128]],
  ['compressed-asymmetric', 'l.weight_packed', 'l', [16, 64]],
  ['int8-asymmetric', 'l.weight', undefined, [16, 64]],
  ['nvfp4-modelopt', 'l.weight', undefined, [48, 128]],
  ['nvfp4-compressed', 'l.weight_packed', 'l', [48, 128]],
  ['nvfp4-comfy', 'l.weight', undefined, [48, 128]],
  ['mxfp8', 'l.weight', undefined, [48, 128]],
  ['mxfp4', 'l.weight_packed', 'l', [48, 128]],
  ['gpt-oss', 'mlp.experts.gate_up_proj_blocks', 'mlp.experts.gate_up_proj', [2, 40, 128]],
  ['gptq3', 'l.qweight', 'l', [32, 64]],
])('%s stands for what its framework makes of it', async (name, key, label, shape) => {
  const folder = join(FIXTURES, name)
  const { tensors } = await openCheckpoint(existsSync(folder) ? folder : `${folder}.safetensors`)
  const tensor = tensors.find(tensor => tensor.name === key)!
  expect(tensor).toMatchObject({ dtype: 'F32', shape, ...(label && { label }) })
  expect(tensor.broken).toBeUndefined()
  const [found, wanted] = [await values(tensor), expected(name)]
  expect(found).toHaveLength(wanted.length)
  for (const [i, value] of found.entries()) {
    expect(Math.abs(value - wanted[i]!), `element ${i}`).toBeLessThanOrEqual(2 ** -20 * Math.abs(wanted[i]!) + 1e-7)
  }
  const others = tensors.filter(other => other !== tensor && !/_?bias$|(?:in|out)put_scale$/.test(other.name))
  expect(others.filter(({ companion }) => !companion)).toEqual([])
})

const of = (dtype: 'U8' | 'I8' | 'I32' | 'F16' | 'F8_E4M3', ...shape: number[]): Written => {
  const width = { U8: 1, I8: 1, I32: 4, F16: 2, F8_E4M3: 1 }[dtype]
  return { dtype, shape, values: new Uint8Array(shape.reduce((a, b) => a * b, width)).fill(1) }
}

describe('codes in a layout that has no reader', () => {
  test.each<[string, string, Record<string, Written>, string[]]>([
    [
      'SqueezeLLM',
      'a.qweight',
      { 'a.qweight': of('I32', 8, 64), 'a.lookup_table': of('F16', 64, 16) },
      ['a.lookup_table'],
    ],
    [
      'VPTQ',
      'a.indices',
      { 'a.indices': of('I32', 64, 32), 'a.centroids.weight': of('F16', 64, 48), 'a.weight_scale': of('F16', 96) },
      ['a.centroids.weight', 'a.weight_scale'],
    ],
    [
      'EXL3',
      'a.trellis',
      { 'a.trellis': of('I32', 6, 4, 64), 'a.suh': of('F16', 96), 'a.svh': of('F16', 64) },
      ['a.suh', 'a.svh'],
    ],
    ['Marlin', 'l.B', { 'l.B': of('I32', 80, 128), 'l.s': of('F16', 10, 64) }, ['l.s']],
    [
      'llm-awq',
      'l.qweight',
      { 'l.qweight': of('U8', 16, 1280), 'l.scales': of('F16', 16, 64), 'l.scaled_zeros': of('F16', 16, 64) },
      ['l.scales', 'l.scaled_zeros'],
    ],
    [
      'AQLM',
      'l.codes',
      { 'l.codes': of('I8', 64, 64, 2), 'l.codebooks': of('F16', 2, 64, 1, 8), 'l.scales': of('F16', 64, 1) },
      ['l.codebooks', 'l.scales'],
    ],
    [
      'SVDQuant',
      'b.qweight',
      { 'b.qweight': of('I8', 64, 64), 'b.wscales': of('F16', 4, 64), 'b.proj_down': of('F16', 64, 32) },
      ['b.wscales', 'b.proj_down'],
    ],
    [
      'int4 of two rows a byte',
      'l.weight',
      { 'l.weight': of('U8', 24, 1024), 'l.weight_scale': of('F16', 48, 16) },
      ['l.weight_scale'],
    ],
    [
      'quanto, 4 bits',
      'l.weight._data._data',
      {
        'l.weight._data._data': of('U8', 32, 64),
        'l.weight._scale': of('F16', 64, 2),
        'l.weight._shift': of('F16', 64, 2),
      },
      ['l.weight._scale', 'l.weight._shift'],
    ],
    [
      'MLX without its config',
      'l.weight',
      { 'l.weight': of('I32', 64, 80), 'l.scales': of('F16', 64, 10) },
      ['l.scales'],
    ],
    ['F8 beside a scale of an unknown name', 'l.w', { 'l.w': of('F8_E4M3', 64, 80), 'l.w_descale': of('F16', 64) }, []],
    ['integers under a name of weights', 'l.weight', { 'l.weight': of('I8', 64, 80) }, []],
  ])('%s is a layer that is not read, and no companion is one', async (_, key, tensors, companions) => {
    const described = (await openCheckpoint(writeSafetensors(tensors))).tensors
    expect(described.find(({ name }) => name === key)?.broken).toMatch(/^it is quantised, and /)
    expect(described.filter(({ companion }) => companion).map(({ name }) => name)).toEqual(
      expect.arrayContaining(companions),
    )
  })

  test('integers that index, count or mask are none, whatever lies beside them', async () => {
    const { tensors } = await openCheckpoint(
      writeSafetensors({
        'a.position_ids': of('I32', 4, 64),
        'a.relative_position_index': of('I32', 49, 49),
        'a.attn_mask': of('U8', 64, 64),
        'a.scale': of('F16', 64),
      }),
    )
    expect(tensors.filter(({ broken, companion }) => broken || companion)).toEqual([])
  })
})

describe('what config.json says of quantised weights', () => {
  const bytes = (n: number, of: (i: number) => number) => Uint8Array.from({ length: n }, (_, i) => of(i))
  const f8 = (rows: number, columns: number): Written => ({
    dtype: 'F8_E4M3',
    shape: [rows, columns],
    values: bytes(rows * columns, () => 0x38),
  })
  const ints = (values: number[], shape: number[]): Written => ({
    dtype: 'I32',
    shape,
    values: new Uint8Array(Int32Array.from(values).buffer),
  })
  const opened = async (quantization_config: unknown, tensors: Record<string, Written>, name = 'config.json') => {
    const path = writeSafetensors(tensors)
    writeFileSync(
      join(dirname(path), name),
      JSON.stringify(name === 'config.json' ? { quantization_config } : quantization_config),
    )
    const found = (await openCheckpoint(path)).tensors.filter(({ companion }) => !companion)
    expect(found).toHaveLength(1)
    return found[0]!
  }

  test('numbers that Python knows and JSON does not are no reason to pass over it; what frameworks read is not passed over', async () => {
    const scale: Written = { shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) }
    const path = writeSafetensors({ 'a.weight': f8(100, 100), 'a.weight_scale_inv': scale })
    const config = join(dirname(path), 'config.json')
    const own = '"quantization_config": {"weight_block_size": [64, 64]}'
    for (const other of ['NaN', '-Infinity', '"a \\"NaN\\" b"']) {
      writeFileSync(config, `{"x": ${other}, ${own}}`)
      expect((await openCheckpoint(path)).tensors.find(({ name }) => name === 'a.weight')!.broken).toBeUndefined()
    }
    writeFileSync(config, `{"x": ${'['.repeat(40)}${']'.repeat(40)}, ${own}}`)
    await expect(openCheckpoint(path)).rejects.toThrow(/config\.json: nests deeper than/)
    writeFileSync(config, `{"x": , ${own}}`)
    expect((await openCheckpoint(path)).tensors.find(({ name }) => name === 'a.weight')!.broken).toMatch(/does not fit/)
  })

  test('the sides of blocks, the last of which is shorter', async () => {
    const scale: Written = { shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) }
    const tensors = { 'a.weight': f8(100, 100), 'a.weight_scale_inv': scale }
    const read = await values(await opened({ weight_block_size: [64, 64] }, tensors))
    const at = (row: number, column: number) => read[100 * row + column]
    expect([at(63, 63), at(63, 64), at(64, 63), at(99, 99)]).toEqual([1, 2, 3, 4])
    expect((await opened({ weight_block_size: [32, 32] }, tensors)).broken).toMatch(
      /its scale of shape \[2,2\] does not fit/,
    )
    // A scale for each row is none of blocks.
    const rows: Written = { shape: [100, 1], values: Float32Array.from({ length: 100 }, (_, i) => i) }
    const each = await opened({ weight_block_size: [64, 64] }, { 'a.weight': f8(100, 100), 'a.weight_scale': rows })
    expect((await values(each)).slice(-1)).toEqual([99])
  })

  describe('whether there are zero points', () => {
    const tensors = {
      'a.weight': { dtype: 'I8', shape: [16, 16], values: bytes(256, () => 5) } satisfies Written,
      'a.weight_scale': { shape: [1], values: Float32Array.of(2) } satisfies Written,
      'a.weight_zero_point': { dtype: 'I8', shape: [1], values: bytes(1, () => 3) } satisfies Written,
    }
    const groups = (...symmetric: (boolean | undefined)[]) => ({
      config_groups: Object.fromEntries(symmetric.map((one, i) => [`group_${i}`, { weights: { symmetric: one } }])),
    })
    test.each<[string, unknown, number]>([
      ['no config', {}, 4],
      ['asymmetric', groups(false), 4],
      ['symmetric', groups(true), 10],
      ['symmetric, which is the default', groups(undefined), 10],
    ])('%s', async (_, config, value) => {
      expect((await values(await opened(config, tensors)))[0]).toBe(value)
    })
    test('groups of both kinds', async () => {
      expect((await opened(groups(true, false), tensors)).broken).toMatch(/groups with zero points, and others without/)
    })
  })

  describe('of GPTQ', () => {
    const order = Array.from({ length: 64 }, (_, i) => Math.floor(i / 32))
    const gptq = (more: Record<string, Written> = {}) => ({
      'l.qweight': ints(new Array(128).fill(0x12345678), [8, 16]),
      'l.qzeros': ints(new Array(4).fill(0x77777777), [2, 2]),
      'l.scales': { dtype: 'F16', shape: [2, 16], values: bytes(64, i => (i % 2 ? 0x3c : 0)) } satisfies Written,
      'l.g_idx': ints(order, [64]),
      ...more,
    })
    const shuffled = { 'l.g_idx': ints([...order].reverse(), [64]) }
    const zeros = { 'l.qzeros': ints(new Array(4).fill(0x66666666), [2, 2]) }
    test.each<[string, object, Record<string, Written>, RegExp | undefined]>([
      ['all as the tensors are', { bits: 4, group_size: 32, desc_act: false, sym: true }, {}, undefined],
      ['another order, which desc_act allows', { desc_act: true }, shuffled, undefined],
      ['another order', { desc_act: false }, shuffled, /its g_idx has another order than its config says/],
      ['other zero points, which sym: false allows', { sym: false }, zeros, undefined],
      ['other zero points', { sym: true }, zeros, /its zero points are not those in the middle/],
      ['the zero points of gptq_v2', { sym: true, checkpoint_format: 'gptq_v2' }, {}, /not those in the middle/],
      ['other bits', { bits: 8 }, {}, /its config says 8 bits a weight, but it has 4/],
      ['other groups', { group_size: 64 }, {}, /its config says groups of 64, but its 64 rows have 2/],
      ['one group', { group_size: -1 }, {}, undefined],
      ['modules of their own', { bits: 8, group_size: 64, dynamic: { '+:.*': {} } }, {}, undefined],
      ['no modules of their own', { bits: 8, dynamic: {} }, {}, /its config says 8 bits a weight, but it has 4/],
      ['the newer name of the format', { sym: true, format: 'GPTQ_V2' }, {}, /not those in the middle/],
    ])('%s', async (_, config, more, broken) => {
      for (const name of ['config.json', 'quantize_config.json']) {
        const tensor = await opened(config, gptq(more), name)
        if (broken) expect(tensor.broken).toMatch(broken)
        else expect(tensor.broken).toBeUndefined()
      }
    })
  })
})

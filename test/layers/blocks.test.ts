import { describe, expect, test } from 'vitest'
import { type AttentionConfig, contiguous, type Tensor } from '../../src/checkpoint/types.ts'
import { type Block, blocksIn, expertBlocks, gatesIn, type Surroundings } from '../../src/layers/packed.ts'
import { product, shapeOf, stored } from '../../src/recipe/values.ts'
import { elementsOf } from '../support/elements.ts'

const tensor = (name: string, shape: number[]): Tensor => {
  return { name, dtype: 'F32', shape, source: { kind: 'file', path: 'x', offset: 0, strides: contiguous(shape) } }
}

/** Runs of numbers as `0-3 8-11`. */
function runs(numbers: readonly number[]): string {
  const found: number[][] = []
  for (const n of numbers) {
    const last = found.at(-1)
    if (last && last[1]! + 1 === n) last[1] = n
    else found.push([n, n])
  }
  return found.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(' ')
}

/** The rows and the columns of the tensor that a block takes, each in its order. */
function placesOf({ values }: Block, [rows, columns]: readonly number[]): string {
  const numbers = { w: Array.from({ length: rows! * columns! }, (_, i) => i) }
  const [height, width] = shapeOf(values)
  const elements = [...elementsOf(values, numbers)]
  const left = Array.from({ length: height! }, (_, i) => Math.floor(elements[i * width!]! / columns!))
  const top = elements.slice(0, width!).map(at => at % columns!)
  for (const [i, row] of left.entries())
    for (const [j, column] of top.entries()) expect(elements[i * width! + j]).toBe(row * columns! + column)
  const all = runs(top)
  return all === runs(Array.from({ length: columns! }, (_, i) => i)) ? runs(left) : `${runs(left)} × ${all}`
}

function said(found: readonly Block[] | string | undefined, shape: readonly number[]) {
  return Array.isArray(found)
    ? found.map(block => `${block.part} ${placesOf(block, shape)}`).join(', ')
    : (found as string | undefined)
}

const NO_HEADS = expect.stringMatching(/where depends on the number of heads: keep its config.json/)
const NO_FIT = expect.stringMatching(/its shape is not what config.json says/)
const NO_FAMILY = expect.stringMatching(/how is not known of this kind of model/)
const NO_WIDTH = expect.stringMatching(/gate and up lie in it together/)

const config = (more: Partial<AttentionConfig> = {}): AttentionConfig => ({
  ...{ family: 'llama', hidden: 8, heads: 4, sharedHeads: 4, width: 2 },
  ...{ grouped: false, multiQuery: undefined, ownCode: false },
  ...more,
})

describe('blocks of a matrix', () => {
  const split = (key: string, shape: number[], attention?: AttentionConfig, beside: Record<string, number[]> = {}) => {
    const around: Surroundings = { sibling: leaf => beside[leaf], attention }
    return said(blocksIn(key, stored(tensor('w', shape)), around), shape)
  }
  const THIRDS = 'q 0-3, k 4-7, v 8-11'

  test.each<[string, number[], unknown]>([
    ['a.in_proj_weight', [12, 5], THIRDS],
    ['a.qkv.weight', [12, 5], THIRDS],
    ['a.to_qkv.weight', [12, 5], THIRDS],
    ['a/qkv/weight_v', [12, 5], THIRDS],
    ['qkv', [12, 5], THIRDS],
    ['weight', [12, 4], undefined],
    ['a.qkv.bias', [12, 4], undefined],
    ['a.my_qkv.weight', [12, 4], undefined],
    ['a.qkv_norm.weight', [12, 4], undefined],
    ['a.qkv.weight', [13, 5], NO_HEADS],
    ['a.qkv_proj.weight', [12, 4], THIRDS],
    ['a.attn_qkv.weight', [12, 4], THIRDS],
    ['a.Wqkv.weight', [12, 4], THIRDS],
    ['a.W_pack.weight', [12, 4], THIRDS],
    ['a.W_pack.weight', [12, 5], NO_HEADS],
    ['h.0.attn.qkv_proj.weight', [12, 4], NO_FAMILY],
    ['x.h.12.attn.qkv_proj.weight', [12, 4], NO_FAMILY],
    ['xh.0.attn.qkv_proj.weight', [12, 4], THIRDS],
    ['h.0.attn.qkv_projection.weight', [12, 4], undefined],
    ['h.0.attn.Wqkv.weight', [12, 4], THIRDS],
    ['a.c_attn.weight', [4, 12], 'q 0-3 × 0-3, k 0-3 × 4-7, v 0-3 × 8-11'],
    ['a.c_attn.weight', [12, 4], THIRDS],
    ['a.c_attn.weight', [10, 4], NO_HEADS],
    ['a.query_key_value.weight', [12, 4], NO_HEADS],
    ['a.wqkv.weight', [12, 4], NO_HEADS],
    ['a.to_kv.weight', [8, 5], 'k 0-3, v 4-7'],
    ['a.to_kv.weight', [9, 5], undefined],
    ['a.gate_up_proj.weight', [8, 5], 'gate 0-3, up 4-7'],
    ['a.w12.weight', [8, 5], 'gate 0-3, up 4-7'],
    ['a.w12.weight', [9, 5], undefined],
    ['a.w123.weight', [8, 5], undefined],
    ['a.fc.weight', [12, 4], undefined],
  ])('%s [%s]', (key, shape, wanted) => expect(split(key, shape)).toEqual(wanted))

  test('only of a matrix', () => {
    const around = { sibling: () => undefined, attention: undefined }
    for (const shape of [[12], [12, 4, 2]]) expect(blocksIn('qkv', stored(tensor('w', shape)), around)).toBeUndefined()
  })

  const grouped = { sharedHeads: 2 }
  test.each<[string, number[], AttentionConfig, unknown]>([
    ['a.qkv_proj.weight', [16, 8], config(grouped), 'q 0-7, k 8-11, v 12-15'],
    ['a.qkv_proj.weight', [17, 8], config(grouped), NO_FIT],
    ['a.qkv_proj.weight', [24, 8], config(grouped), 'q 0-7, k 8-15, v 16-23'],
    ['a.qkv_proj.weight', [16, 9], config(grouped), NO_FIT],
    ['a.qkv_proj.weight', [16, 8], config({ ...grouped, width: undefined }), NO_HEADS],
    ['a.qkv_proj.weight', [16, 8], config({ ...grouped, heads: undefined }), NO_HEADS],
    ['a.qkv_proj.weight', [16, 8], config({ sharedHeads: undefined }), NO_HEADS],
    ['a.qkv.weight', [12, 8], config(grouped), 'q 0-3, k 4-7, v 8-11'],
  ])('%s [%s] of %o', (key, shape, attention, wanted) => {
    expect(split(key, shape, attention)).toEqual(wanted)
  })

  test('CodeGen has queries, values and keys in each of four cuts', () => {
    const codegen = config({ family: 'codegen' })
    const wanted = 'q 0-1 6-7 12-13 18-19, v 2-3 8-9 14-15 20-21, k 4-5 10-11 16-17 22-23'
    expect(split('a.qkv_proj.weight', [24, 8], codegen)).toBe(wanted)
    expect(split('a.qkv_proj.weight', [24, 6], codegen)).toEqual(NO_FIT)
    expect(split('a.qkv_proj.weight', [25, 8], codegen)).toEqual(NO_FIT)
    expect(split('a.qkv_proj.weight', [24, 8], { ...codegen, ownCode: true })).toEqual(NO_FAMILY)
  })

  const INTERLEAVED = 'q 0-1 6-7 12-13 18-19, k 2-3 8-9 14-15 20-21, v 4-5 10-11 16-17 22-23'
  const PAIRS = 'q 0-3 8-11, k 4-5 12-13, v 6-7 14-15'
  test.each<[string, number, Partial<AttentionConfig>, unknown]>([
    ['gpt_neox', 24, {}, INTERLEAVED],
    ['gpt_neox_japanese', 24, {}, INTERLEAVED],
    ['bloom', 24, {}, INTERLEAVED],
    ['bloom', 23, {}, NO_FIT],
    ['bloom', 24, { heads: undefined }, NO_HEADS],
    ['bloom', 24, { sharedHeads: undefined }, NO_HEADS],
    ['bloom', 24, { width: undefined }, NO_HEADS],
    ['falcon', 24, {}, INTERLEAVED],
    ['RefinedWeb', 24, {}, INTERLEAVED],
    ['RefinedWebModel', 24, {}, INTERLEAVED],
    ['falcon', 26, {}, NO_FIT],
    ['falcon', 16, { grouped: true, ...grouped }, PAIRS],
    ['falcon', 17, { grouped: true, ...grouped }, NO_FIT],
    ['falcon', 18, { grouped: true, sharedHeads: 3 }, NO_FIT],
    ['falcon', 12, { multiQuery: true }, 'q 0-7, k 8-9, v 10-11'],
    ['falcon', 14, { multiQuery: true }, NO_FIT],
    ['gpt_bigcode', 12, {}, 'q 0-7, k 8-9, v 10-11'],
    ['gpt_bigcode', 12, { multiQuery: true }, 'q 0-7, k 8-9, v 10-11'],
    ['gpt_bigcode', 13, { multiQuery: true }, NO_FIT],
    ['gpt_bigcode', 24, { multiQuery: false }, INTERLEAVED],
    ['gpt_bigcode', 25, { multiQuery: false }, NO_FIT],
    ['internlm2', 16, grouped, PAIRS],
    ['internlm2', 18, grouped, NO_FIT],
    ['chatglm', 24, {}, INTERLEAVED],
    ['chatglm', 25, {}, NO_FIT],
    ['chatglm', 16, { multiQuery: true, ...grouped }, 'q 0-7, k 8-11, v 12-15'],
    ['chatglm', 17, { multiQuery: true, ...grouped }, NO_FIT],
    ['opt', 24, {}, NO_FAMILY],
  ])('%s, %d rows, %o', (family, rows, more, wanted) => {
    expect(split('a.query_key_value.weight', [rows, 8], config({ family, ...more }))).toEqual(wanted)
    expect(split('a.wqkv.weight', [rows, 8], config({ family, ...more }))).toEqual(wanted)
  })

  test('GPT-BigCode has its c_attn as linear layers have it', () => {
    expect(
      split('a.c_attn.weight', [4, 12], config({ family: 'gpt_bigcode', hidden: 4, heads: 1, sharedHeads: 1 })),
    ).toEqual(NO_FIT)
    expect(split('a.c_attn.weight', [12, 8], config({ family: 'gpt_bigcode' }))).toBe('q 0-7, k 8-9, v 10-11')
  })

  const LSTM = 'gate i 0-2, gate f 3-5, gate g 6-8, gate o 9-11'
  test.each<[string, number[], Record<string, number[]>, unknown]>([
    ['rnn.weight_hh_l0', [12, 3], {}, LSTM],
    ['rnn.weight_ih_l0', [12, 7], { weight_hh_l0: [12, 3] }, LSTM],
    ['rnn.weight_ih_l1_reverse', [12, 7], { weight_hh_l1_reverse: [12, 3] }, LSTM],
    ['rnn.weight_ih', [12, 7], { weight_hh: [12, 3] }, LSTM],
    ['rnn.weight_ih_l0', [12, 7], { weight_hh_l1: [12, 3] }, undefined],
    ['rnn.weight_ih_l0', [12, 7], { weight_hh_l0: [9, 3] }, undefined],
    ['rnn.weight_hh_l0', [12, 4], {}, 'gate r 0-3, gate z 4-7, gate n 8-11'],
    ['rnn.weight_hh_l0', [12, 6], {}, undefined],
    ['rnn.weight_hh_l0', [12, 5], {}, undefined],
    ['rnn.weight_hh_l0', [12, 2], { weight_hr_l0: [2, 3] }, LSTM],
    ['rnn.weight_hh_l0', [13, 2], { weight_hr_l0: [2, 3] }, undefined],
    ['rnn.weight_hh_l0x', [12, 3], {}, undefined],
    ['rnn.my_weight_hh', [12, 3], {}, undefined],
    [
      'lstm/kernel',
      [7, 12],
      { recurrent_kernel: [3, 12] },
      'gate i 0-6 × 0-2, gate f 0-6 × 3-5, gate c 0-6 × 6-8, gate o 0-6 × 9-11',
    ],
    [
      'lstm/recurrent_kernel:0',
      [3, 12],
      { 'recurrent_kernel:0': [3, 12] },
      'gate i 0-2 × 0-2, gate f 0-2 × 3-5, gate c 0-2 × 6-8, gate o 0-2 × 9-11',
    ],
    ['gru/kernel:0', [7, 12], { recurrent_kernel: [4, 12] }, 'gate z 0-6 × 0-3, gate r 0-6 × 4-7, gate h 0-6 × 8-11'],
    ['lstm/kernel', [7, 12], { recurrent_kernel: [3, 12, 1] }, undefined],
    ['lstm/kernel', [7, 12], { recurrent_kernel: [3, 9] }, undefined],
    ['rnn/kernel', [7, 12], { recurrent_kernel: [12, 12] }, undefined],
    ['dense/kernel', [7, 12], {}, undefined],
    ['dense/my_kernel', [7, 12], { recurrent_kernel: [3, 12] }, undefined],
    ['dense/kernel:01', [7, 12], { recurrent_kernel: [3, 12] }, undefined],
  ])('%s [%s] beside %o', (key, shape, beside, wanted) => {
    expect(split(key, shape, undefined, beside)).toEqual(wanted)
  })

  test('of a low-rank update the factor is cut', () => {
    const [left, right] = [stored(tensor('left', [12, 2])), stored(tensor('right', [2, 12]))]
    const numbers = {
      left: Array.from({ length: 24 }, (_, i) => i),
      right: Array.from({ length: 24 }, (_, i) => 100 + i),
    }
    const around = { sibling: () => undefined, attention: undefined }
    const rows = blocksIn('in_proj_weight', product(left, right, 0.5), around) as Block[]
    expect(rows.map(({ values }) => values.op)).toEqual(['product', 'product', 'product'])
    const whole = elementsOf(product(left, right, 0.5), numbers)
    expect(elementsOf(rows[1]!.values, numbers)).toEqual(whole.slice(48, 96))
    const wide = blocksIn(
      'c_attn',
      product(stored(tensor('left', [4, 6])), stored(tensor('right', [6, 12])), 3),
      around,
    ) as Block[]
    const long = { left: numbers.left, right: Array.from({ length: 72 }, (_, i) => i * i) }
    const all = elementsOf(product(stored(tensor('left', [4, 6])), stored(tensor('right', [6, 12])), 3), long)
    expect(wide[2]!.values.op).toBe('product')
    expect([...elementsOf(wide[2]!.values, long)]).toEqual([...all].filter((_, i) => i % 12 >= 8))
  })
})

describe('gate and up of an expert', () => {
  const split = (shape: number[], attention?: AttentionConfig, key = 'experts.gate_up_proj') =>
    said(expertBlocks(key, stored(tensor('w', shape)), attention), shape)
  const oss = config({ family: 'gpt_oss' })

  test.each<[number[], AttentionConfig | undefined, unknown]>([
    [[8, 6], config(), 'gate 0-7 × 0-2, up 0-7 × 3-5'],
    [[6, 8], config(), 'gate 0-2, up 3-5'],
    [[8, 7], config(), NO_WIDTH],
    [[7, 8], config(), NO_WIDTH],
    [[6, 10], config(), NO_WIDTH],
    [[8, 8], config(), NO_WIDTH],
    [[8, 6], undefined, NO_WIDTH],
    [[8, 6], config({ hidden: undefined }), NO_WIDTH],
    [[8, 6], oss, 'gate 0-7 × 0 2 4, up 0-7 × 1 3 5'],
    [[6, 8], oss, NO_WIDTH],
    [[8, 7], oss, NO_WIDTH],
  ])('[%s] of %o', (shape, attention, wanted) => expect(split(shape, attention)).toEqual(wanted))

  test('of another tensor there are none', () => {
    expect(split([8, 6], config(), 'experts.down_proj')).toBeUndefined()
  })
})

test('gates by their names', () => {
  const gates = (rows: number, names: string[]) => said(gatesIn(stored(tensor('w', [rows, 2])), names), [rows, 2])
  expect(gates(6, ['z', 'r', 'h'])).toBe('gate z 0-1, gate r 2-3, gate h 4-5')
  expect(gates(7, ['z', 'r', 'h'])).toBeUndefined()
  expect(gates(6, [])).toBeUndefined()
})

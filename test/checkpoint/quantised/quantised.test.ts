import { closeSync, readFileSync, readSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openCheckpoint, type Tensor } from '../../../src/checkpoint/index.ts'
import { strictReport } from '../../../src/report/schema.ts'
import { openTensor } from '../../../src/spectrum/spool.ts'
import { cli } from '../../support/cli.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { goldenTensor } from '../../support/golden.ts'
import { type Written, writeSafetensors } from '../../support/safetensors.ts'

const FIXTURES = 'test/fixtures/quantised'

/** The elements in row-major order of the shape. */
async function values({ shape, ...tensor }: Tensor): Promise<number[]> {
  const { fd, source } = await openTensor({ shape, ...tensor })
  try {
    const floats = new Float32Array(shape[0]! * shape[1]!)
    readSync(fd, floats, 0, floats.byteLength, source.offset)
    const [rows, columns] = shape as [number, number]
    return Array.from({ length: rows * columns }, (_, i) => {
      return floats[Math.floor(i / columns) * source.strides[0]! + (i % columns) * source.strides[1]!]!
    })
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
  ['f8-tensor', 'a.weight', [16, 12]],
  ['f8-row', 'a.weight', [16, 12]],
  ['f8-block', 'a.weight', [200, 140]],
  ['f8-comfy', 'a.weight', [16, 12]],
  ['gptq4', 'l.qweight', [16, 64]],
  ['gptq8', 'l.qweight', [16, 64]],
  ['gptq4-act-order', 'l.qweight', [16, 64]],
  ['gptq-v2', 'l.qweight', [16, 64]],
  ['awq', 'l.qweight', [24, 64]],
  ['compressed', 'l.weight_packed', [16, 64]],
  ['nf4', 'l.weight', [48, 64]],
  ['nf4-nested', 'l.weight', [48, 64]],
  ['fp4', 'l.weight', [48, 64]],
  ['int8', 'l.weight', [48, 64]],
])('%s stands for what its framework makes of it, and its companions are no layers', async (name, key, shape) => {
  const { tensors } = await openCheckpoint(join(FIXTURES, name === 'gptq-v2' ? name : `${name}.safetensors`))
  const tensor = tensors.find(tensor => tensor.name === key)!
  expect(tensor).toMatchObject({ dtype: 'F32', shape })
  const [found, wanted] = [await values(tensor), expected(name)]
  expect(found).toHaveLength(wanted.length)
  for (const [i, value] of found.entries()) {
    expect(Math.abs(value - wanted[i]!), `element ${i}`).toBeLessThanOrEqual(2 ** -22 * Math.abs(wanted[i]!))
  }
  const others = tensors.filter(other => other !== tensor && !/bias$/.test(other.name))
  expect(others.every(({ companion }) => companion)).toBe(true)
})

async function report(path: string) {
  const { stdout, status } = await cli(path, '--json', '-')
  const { models, verdict } = strictReport.parse(JSON.parse(stdout))
  return { status, verdict: verdict!, ...models[0]! }
}

test('the layer has the name of its module, and companions count for nothing', async () => {
  const { layers, skipped, summary } = await report(join(FIXTURES, 'gptq4.safetensors'))
  expect(layers.map(({ name, tensor, shape }) => [name, tensor, shape])).toEqual([['l', 'l.qweight', [16, 64]]])
  expect(skipped.map(({ tensor, code }) => [tensor, code]).sort()).toEqual([
    ['l.bias', 'rank'],
    ['l.g_idx', 'buffer'],
    ['l.qzeros', 'buffer'],
    ['l.scales', 'buffer'],
  ])
  expect(summary.coverage).toBe(1024 / 1040)
})

test('a missing scale is an error row that names it, where others have theirs', async () => {
  const { layers, verdict, status } = await report(join(FIXTURES, 'f8-missing.safetensors'))
  expect(layers.map(({ name, status, error }) => [name, status, error?.code])).toEqual([
    ['a', 'success', undefined],
    ['b', 'error', 'quantised'],
  ])
  expect(layers[1]!.error!.message).toBe(
    'it is quantised, and its scale (b.weight_scale) is missing, though others have theirs',
  )
  expect({ status, verdict: verdict.status }).toEqual({ status: 1, verdict: 'inconclusive' })
})

test('F8 without any scale is plain numbers', async () => {
  const { tensors } = await openCheckpoint(join(FIXTURES, 'f8-plain.safetensors'))
  expect(tensors).toMatchObject([{ name: 'a.weight', dtype: 'F8_E5M2', source: { kind: 'file' } }])
})

const bytes = (n: number, value = 1) => new Uint8Array(n).fill(value)
const words = (shape: number[]): Written => ({ dtype: 'I32', shape, values: bytes(4 * shape.reduce((a, b) => a * b)) })
const half = (shape: number[]): Written => ({ dtype: 'F16', shape, values: bytes(2 * shape.reduce((a, b) => a * b)) })
const f8 = (shape: number[]): Written => ({ dtype: 'F8_E4M3', shape, values: bytes(shape.reduce((a, b) => a * b)) })
const state = (text: string): Written => ({ dtype: 'U8', shape: [text.length], values: Buffer.from(text) })
const gptq = { 'l.qweight': words([8, 16]), 'l.qzeros': words([2, 2]), 'l.scales': half([2, 16]) }
const NF4 = [
  ...[-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334],
  ...[-0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224],
  ...[0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1],
]
const GOOD = '{"shape": [32, 32], "blocksize": 64, "quant_type": "nf4"}'
const nf4 = (text: string, more: Record<string, Written> = {}) => ({
  'l.weight': { dtype: 'U8', shape: [512, 1], values: bytes(512) } satisfies Written,
  'l.weight.absmax': { shape: [16] },
  'l.weight.quant_map': { shape: [16], values: Float32Array.from(NF4) },
  'l.weight.quant_state.bitsandbytes__nf4': state(text),
  ...more,
})

describe('what does not fit is an error row, with the reason', () => {
  test.each<[string, Record<string, Written>, RegExp]>([
    ['no scales', { 'l.qweight': words([8, 16]), 'l.qzeros': words([2, 2]) }, /its scales is missing/],
    ['no zeros', { 'l.qweight': words([8, 16]), 'l.scales': half([2, 16]) }, /its qzeros is missing/],
    ['shapes of different layers', { ...gptq, 'l.scales': half([3, 16]) }, /do not fit together/],
    [
      'a zero point that some loaders wrap round',
      { ...gptq, 'l.qzeros': { ...words([2, 2]), values: bytes(16, 0xff) } },
      /a zero point is the largest there is/,
    ],
    ['five bits', { ...gptq, 'l.qzeros': words([2, 5]), 'l.scales': half([2, 32]) }, /bits a weight are not supported/],
    ['a short g_idx', { ...gptq, 'l.g_idx': words([5]) }, /its g_idx of shape \[5\] does not fit 64 rows/],
    ['a group out of range', { ...gptq, 'l.g_idx': words([64]) }, /its g_idx puts row 0 into group 16843009 of 2/],
    [
      'scales of another shape',
      { 'a.weight': f8([20, 20]), 'a.weight_scale': { shape: [3, 7] } },
      /does not fit \[20,20\]/,
    ],
    ['scales of another type', { 'a.weight': f8([20, 20]), 'a.weight_scale': words([1]) }, /./],
    [
      'zero points of another type',
      { 'a.weight': f8([20, 20]), 'a.weight_scale': { shape: [1] }, 'a.weight_zero_point': state('zero') },
      /zero points are of the type U8/,
    ],
    ['a state that nests deeply', nf4('['.repeat(20) + ']'.repeat(20)), /its quant_state is not JSON/],
    ['a long state', nf4(' '.repeat(65_537)), /its quant_state has 65537 bytes/],
    ['a state that is no JSON', nf4('{'), /its quant_state is not JSON/],
    ['a state without shape', nf4('{"blocksize": 64}'), /no usable shape and blocksize/],
    ['a huge shape', nf4('{"shape": [1000000, 1000000], "blocksize": 64}'), /do not fit \[1000000,1000000\]/],
    ['a negative shape', nf4('{"shape": [-1, 5], "blocksize": 64}'), /no usable shape/],
    [
      'half a nested state',
      nf4(GOOD, { 'l.weight.absmax': { dtype: 'U8', shape: [16] } }),
      /nested_quant_map is missing/,
    ],
    [
      'a table of its own, which bitsandbytes does not take',
      nf4(GOOD, { 'l.weight.quant_map': { shape: [16], values: Float32Array.from(NF4, x => 2 * x) } }),
      /its quant_map or quant_type is not that of nf4/,
    ],
    ['a type that is not its key’s', nf4(GOOD.replace('nf4', 'fp4')), /quant_map or quant_type is not that of nf4/],
    ['a state of each type', nf4(GOOD, { 'l.weight.quant_state.bitsandbytes__fp4': state(GOOD) }), /one of fp4/],
    [
      'two scales',
      { 'a.weight': f8([20, 20]), 'a.weight_scale': { shape: [1] }, 'a.weight_scale_inv': { shape: [1] } },
      /"a.weight_scale" and "a.weight_scale_inv" may both be its scale/,
    ],
    [
      'blocks of which nobody says the size',
      { 'a.weight': f8([100, 100]), 'a.weight_scale': { shape: [2, 2] } },
      /its scale of shape \[2,2\] does not fit/,
    ],
  ])('%s', async (_, tensors, message) => {
    const path = writeSafetensors({ ...tensors, 'good.weight': goldenTensor('G1') })
    const { layers } = await report(path)
    const broken = layers.filter(({ status }) => status === 'error')
    if (message.source === '.') return expect(layers.length).toBeGreaterThan(0)
    expect(broken).toHaveLength(1)
    expect(broken[0]!.error!.message).toMatch(message)
    expect(layers.find(({ name }) => name === 'good')!.status).toBe('success')
  })

  test('a scale that is NaN', async () => {
    const scale = { shape: [1], values: [Number.NaN] }
    const { layers } = await report(writeSafetensors({ 'a.weight': f8([20, 20]), 'a.weight_scale': scale }))
    expect(layers[0]).toMatchObject({ status: 'error', error: { code: 'non-finite' } })
  })
})

test('packed integers without any known layout are never read as numbers', async () => {
  const { skipped } = await report(
    writeSafetensors({ 'x.blocks': { dtype: 'U8', shape: [32, 32] }, 'good.weight': goldenTensor('G1') }),
  )
  expect(skipped).toMatchObject([{ tensor: 'x.blocks', code: 'dtype' }])
})

test.each([
  ['config.json', 'gptq', 'gptq_v2', /quantize_config.json and config.json say different checkpoint_format/],
  ['config.json', 'gptq_v2', 'gptq_v2', undefined],
])('two configs of GPTQ: %s says %s, the other %s', async (name, one, other, reason) => {
  const folder = temporaryFolder()
  renameSync(writeSafetensors(gptq), join(folder, 'model.safetensors'))
  writeFileSync(join(folder, name), JSON.stringify({ quantization_config: { checkpoint_format: one } }))
  writeFileSync(join(folder, 'quantize_config.json'), JSON.stringify({ checkpoint_format: other }))
  const { tensors } = await openCheckpoint(folder)
  const layer = tensors.find(({ name }) => name === 'l.qweight')!
  if (reason) expect(layer.broken).toMatch(reason)
  else expect(layer.source).toMatchObject({ codec: 'quantised', parameters: { kind: 'gptq', zeroOffset: 0 } })
})

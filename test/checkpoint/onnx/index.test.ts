import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { onnx } from '../../../src/checkpoint/onnx/index.ts'
import type { OnnxTensor } from '../../../src/checkpoint/onnx/types.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { withHeader } from '../../support/safetensors.ts'
import { bytesOf, floats, initializer, message, model, number, sha256, tensor, varint } from './build.ts'
import { describeWith, recognisedBy, write } from './open.ts'

// Unpacked copies go where the test removes them: a test runner's worker ends without an exit.
beforeEach(() => void vi.stubEnv('RUNNER_TEMP', temporaryFolder()))
afterEach(() => void vi.unstubAllEnvs())

const fixtures = fileURLToPath(new URL('../../fixtures/onnx', import.meta.url))
const expected: Record<string, Expected[]> = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8'))

interface Expected {
  name: string
  dtype: string
  shape: number[]
  sha256: string
  label?: string
}

describe.each(Object.entries(expected))('%s, written by the onnx package', (file, rows) => {
  const path = join(fixtures, file)

  test('is recognised', async () => {
    expect(await recognisedBy(onnx, path)).toBe(true)
  })

  test('has the tensors and values that the onnx package reads', async () => {
    const tensors: OnnxTensor[] = [...(await describeWith(onnx, path)).tensors]
    const read = tensors.filter(({ skip }) => !skip)
    const found = await Promise.all(
      read.map(async ({ name, dtype, shape, label, source }) => {
        const digest = sha256(await bytesOf({ name, dtype, shape, source }))
        return { name, dtype, shape, sha256: digest, ...(label && { label }) }
      }),
    )
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
    expect(found.sort(byName)).toEqual([...rows].sort(byName))
  })
})

test('what is not read is described with its reason', async () => {
  const tensors: OnnxTensor[] = [...(await describeWith(onnx, join(fixtures, 'dtypes.onnx'))).tensors]
  expect(tensors.filter(({ skip }) => skip).map(({ name, shape, skip }) => [name, shape, skip])).toEqual([
    ['int4', [2, 4], 'its ONNX type, INT4, is not one that is read'],
    ['fnuz', [2, 2], 'its ONNX type, FLOAT8E4M3FNUZ, is not one that is read'],
    ['strings', [2], 'its ONNX type, STRING, is not one that is read'],
    ['sparse', [4, 3], 'a sparse tensor'],
  ])
})

test('the size counts external data, each file once', async () => {
  expect(await describeWith(onnx, join(fixtures, 'external.onnx'))).toMatchObject({ bytes: 256 + 556 })
})

test('values one by one, in several parts, and packed over more than the window are read alike', async () => {
  const many = Float32Array.from({ length: 40_000 }, (_, i) => i / 7)
  const path = write(
    model(
      message(5, tensor('single', [2], ...[1, 2].map(x => Buffer.concat([varint(4 * 8 + 5), floats(x)])))),
      message(5, tensor('parts', [3], message(4, floats(1, 2)), message(4, floats(3)))),
      message(5, tensor('packed', [2], message(4, floats(1, 2)))),
      message(5, tensor('long', [40_001], message(4, Buffer.from(many.buffer)), message(4, floats(5)))),
      message(5, number(1, 2), number(2, 10), message(8, 'halves'), number(5, 0x3c00), number(5, 0xc000)),
      message(5, number(1, 2), number(2, 6), message(8, 'ints'), message(5, varint(-1), varint(7))),
      message(5, message(1, varint(2), varint(1)), number(2, 1), message(8, 'packed dims'), message(9, floats(1, 2))),
    ),
    'net.onnx',
  )
  const { tensors } = await describeWith(onnx, path)
  const bytes = await Promise.all(tensors.map(bytesOf))
  expect(tensors.map(({ name, source }) => [name, source.kind])).toEqual([
    ['single', 'packed'],
    ['parts', 'packed'],
    ['packed', 'file'],
    ['long', 'packed'],
    ['halves', 'packed'],
    ['ints', 'packed'],
    ['packed dims', 'file'],
  ])
  expect(bytes.map(b => b.toString('hex')).filter((_, i) => i !== 3)).toEqual([
    floats(1, 2).toString('hex'),
    floats(1, 2, 3).toString('hex'),
    floats(1, 2).toString('hex'),
    '003c00c0',
    'ffffffff07000000',
    floats(1, 2).toString('hex'),
  ])
  expect(bytes[3].equals(Buffer.concat([Buffer.from(many.buffer), floats(5)]))).toBe(true)
})

test('fields may come in any order, and unknown ones are passed over', async () => {
  const backwards = Buffer.concat([
    message(9, floats(1, 2)),
    message(8, 'w'),
    number(99, 5),
    number(2, 1),
    number(1, 2),
    Buffer.concat([varint(100 * 8 + 1), Buffer.alloc(8)]),
  ])
  const path = write(model(message(5, backwards)), 'net.onnx')
  expect((await describeWith(onnx, path)).tensors).toMatchObject([{ name: 'w', shape: [2], dtype: 'F32' }])
})

test('two nodes of one name keep their graphs apart', async () => {
  const body = (...values: number[]) => message(6, message(5, tensor('w', [1], message(9, floats(...values)))))
  const node = (output: string, value: number) =>
    message(1, message(2, output), message(3, 'loop'), message(4, 'Loop'), message(5, message(1, 'body'), body(value)))
  const { tensors } = await describeWith(onnx, write(model(node('a', 1), node('b', 2)), 'net.onnx'))
  expect(tensors.map(({ name }) => name)).toEqual(['loop/body/w', 'loop:b/body/w'])
})

test('a weight that a graph within uses is labelled by the node there', async () => {
  const matmul = message(
    1,
    message(1, 'x'),
    message(1, '12'),
    message(2, 'y'),
    message(3, '/head/MatMul'),
    message(4, 'MatMul'),
  )
  const branch = message(5, message(1, 'then_branch'), message(6, matmul))
  const path = write(
    model(message(1, message(3, 'if'), message(4, 'If'), branch), message(5, tensor('12', [1], message(9, floats(1))))),
    'net.onnx',
  )
  expect((await describeWith(onnx, path)).tensors).toMatchObject([{ name: '12', label: 'head.weight' }])
})

test.each<[string, Uint8Array]>([
  ['an empty file', Buffer.alloc(0)],
  ['text', Buffer.from('\b\n this is no model')],
  ['safetensors', withHeader('{}'.padEnd(8))],
  [
    'a TensorFlow SavedModel',
    Buffer.concat([number(1, 1), message(2, message(1, message(4, 'serve')), message(2, 'x'))]),
  ],
  [
    'a Core ML model',
    Buffer.concat([number(1, 5), message(2, message(1, message(1, 'x')), message(100, 'y')), message(500, 'layers')]),
  ],
  ['gzip of something else', Buffer.from('1f8b0800000000000003cb48cdc9c95728cf2fca49010085114a0d0b000000', 'hex')],
  ['zeros', Buffer.alloc(100)],
])('%s is not taken for ONNX', async (_, bytes) => {
  expect(await recognisedBy(onnx, write(bytes, 'net.onnx'))).toBe(false)
})

test('a model with a long documentation in front is recognised, and one that is cut off', async () => {
  const long = Buffer.concat([
    number(1, 8),
    message(2, 'pytorch'),
    message(6, 'x'.repeat(9000)),
    message(7, message(2, 'g')),
  ])
  expect(await recognisedBy(onnx, write(long, 'net.onnx'))).toBe(true)
  const whole = initializer('w', [2], message(9, floats(1, 2)))
  expect(await recognisedBy(onnx, write(whole.subarray(0, -12), 'net.onnx'))).toBe(true)
})

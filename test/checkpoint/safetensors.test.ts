import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { CheckpointError, explain } from '../../src/errors.ts'
import { limits } from '../../src/limits.ts'
import { temporaryFolder } from '../support/folder.ts'
import { safetensorsBytes, withHeader, writeSafetensors } from '../support/safetensors.ts'

function write(bytes: Uint8Array, name = 'net.safetensors'): string {
  const path = join(temporaryFolder(), name)
  writeFileSync(path, bytes)
  return path
}

async function refusal(path: string): Promise<string> {
  const error = await openCheckpoint(path).then(
    () => undefined,
    error => error,
  )
  expect(error).toBeInstanceOf(CheckpointError)
  expect(error.message).toContain(path)
  return explain(error)
}

const one = (info: object, bytes = 16) => withHeader(JSON.stringify({ w: info }), Buffer.alloc(bytes))

test('describes tensors by offset, in the order of the file', async () => {
  const path = writeSafetensors({
    'b.weight': { shape: [2, 3] },
    a: { dtype: 'F8_E4M3', shape: [4] },
    scalar: { dtype: 'F64', shape: [] },
  })
  const { format, tensors, bytes } = await openCheckpoint(path)
  expect(format).toBe('safetensors')
  const start = bytes - 24 - 4 - 8
  expect(tensors).toEqual([
    { name: 'b.weight', dtype: 'F32', shape: [2, 3], source: { kind: 'file', path, offset: start, strides: [3, 1] } },
    { name: 'a', dtype: 'F8_E4M3', shape: [4], source: { kind: 'file', path, offset: start + 24, strides: [1] } },
    { name: 'scalar', dtype: 'F64', shape: [], source: { kind: 'file', path, offset: start + 28, strides: [] } },
  ])
})

test('is known by content, whatever it is called', async () => {
  const path = write(safetensorsBytes({ w: { shape: [2, 2] } }, { format: 'pt' }), 'weights.bin')
  expect(await openCheckpoint(path)).toMatchObject({ format: 'safetensors', tensors: [{ name: 'w' }] })
})

test('a name of Object.prototype is a name', async () => {
  const header =
    '{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"constructor":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'
  const { tensors } = await openCheckpoint(write(withHeader(header, Buffer.alloc(8))))
  expect(tensors.map(({ name }) => name)).toEqual(['__proto__', 'constructor'])
})

test.each<[string, Uint8Array, RegExp]>([
  ['an empty file', Buffer.alloc(0), /is empty/],
  ['a text file', Buffer.from('hello, this is no checkpoint'), /is a text file, not a checkpoint: "hello/],
  ['an unknown kind', Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), /of no known kind \(it begins with 0102/],
  ['a header longer than the file', withHeader('{"w":1}').subarray(0, 12), /claims 7 bytes, but the file has 12/],
  [
    'a header of absurd length',
    Buffer.concat([Buffer.from('ffffffffffffff7f', 'hex'), Buffer.from('{"a":')]),
    /claims 9223372036854775807 bytes/,
  ],
  ['a header that is no JSON', withHeader('{"w": nope}'), /not valid JSON/],
  ['a header cut in the middle of a character', withHeader('{"w\xff'), /not valid JSON/],
  ['an unknown dtype', one({ dtype: 'F128', shape: [1], data_offsets: [0, 16] }), /unknown dtype "F128"/],
  ['a dtype of Object.prototype', one({ dtype: 'constructor', shape: [1], data_offsets: [0, 16] }), /unknown dtype/],
  ['no shape', one({ dtype: 'F32', data_offsets: [0, 16] }), /shape undefined/],
  ['a negative dimension', one({ dtype: 'F32', shape: [-4], data_offsets: [0, 16] }), /shape \[-4\]/],
  ['a fractional dimension', one({ dtype: 'F32', shape: [0.5], data_offsets: [0, 2] }), /shape \[0.5\]/],
  ['too many dimensions', one({ dtype: 'F32', shape: new Array(33).fill(1), data_offsets: [0, 4] }), /shape \[1,1/],
  [
    'a shape whose product overflows',
    one({ dtype: 'F32', shape: [4294967296, 4294967296], data_offsets: [0, 16] }),
    /overflows/,
  ],
  [
    'a shape that does not fit its bytes',
    one({ dtype: 'F32', shape: [5], data_offsets: [0, 16] }),
    /takes 20 bytes, but its offsets give it 16/,
  ],
  [
    'offsets that are out of range',
    one({ dtype: 'F32', shape: [8], data_offsets: [0, 32] }),
    /ends at byte 32 of the data, but the file has 16/,
  ],
  ['offsets that run backwards', one({ dtype: 'F32', shape: [2], data_offsets: [8, 0] }), /data_offsets \[8,0\]/],
  ['a null entry', withHeader('{"w": null}', Buffer.alloc(4)), /unknown dtype/],
  [
    'overlapping tensors',
    withHeader(
      JSON.stringify({
        a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
        b: { dtype: 'F32', shape: [2], data_offsets: [4, 12] },
      }),
      Buffer.alloc(12),
    ),
    /"a" and "b" overlap/,
  ],
  [
    'a hole between tensors',
    withHeader(JSON.stringify({ a: { dtype: 'F32', shape: [1], data_offsets: [4, 8] } }), Buffer.alloc(8)),
    /bytes 0 to 4 of its data belong to no tensor/,
  ],
  [
    'bytes after the last tensor',
    one({ dtype: 'F32', shape: [1], data_offsets: [0, 4] }),
    /bytes 4 to 16 of its data belong to no tensor/,
  ],
])('refuses %s', async (_, bytes, message) => {
  expect(await refusal(write(bytes))).toMatch(message)
})

test('a name that is too long is refused without being printed whole', async () => {
  const header = JSON.stringify({
    ['x'.repeat(limits.checkpoint.nameCharacters + 1)]: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
  })
  expect((await refusal(write(withHeader(header, Buffer.alloc(4))))).length).toBeLessThan(1000)
})

test('a truncated file is refused, wherever it is cut', async () => {
  const bytes = safetensorsBytes({ 'a.weight': { shape: [16, 16] }, 'b.weight': { shape: [4] } })
  for (let length = 0; length < bytes.length; length += 13) await refusal(write(bytes.subarray(0, length)))
})

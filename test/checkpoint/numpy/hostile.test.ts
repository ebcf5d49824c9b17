import { expect, test } from 'vitest'
import { parseHeader } from '../../../src/checkpoint/numpy/header.ts'
import { u16, u32 } from '../../support/bytes.ts'
import { bytes, write } from '../hdf5/build.ts'
import { read, refusal } from '../keras/values.ts'
import { type Entry, makeZip } from '../torch/build.ts'

function npy(header: string, data = 0, version = 1, length = header.length): Buffer {
  const size = version === 1 ? u16(length) : u32(length)
  const magic = Buffer.from('\x93NUMPY', 'latin1')
  return Buffer.concat([magic, bytes(version, 0), size, Buffer.from(header), Buffer.alloc(data)])
}

const dictionary = (descr: string, shape: string, order = 'False') =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`

test.each([
  ["'<f4'", '(2, 3)', 24],
  ['"<f4"', '(2L, 3L)', 24],
  ["'<f4'", '()', 4],
  ["'|u1'", '(5,)', 5],
])('a header with %s and %s', async (descr, shape, data) => {
  expect(await refusal(write(npy(dictionary(descr, shape), data)))).toBe('accepted')
})

test.each([
  ['no dictionary', '[1, 2]', /its header has something else where \{ is due at character 0/],
  ['a call', "{'descr': __import__('os').system('id')}", /its header has an unexpected "__?[a-z]*/],
  ['an escape', "{'descr': '\\x41'}", /its header has an unexpected/],
  ['an open end', "{'descr': '<f4'", /its header has something else where \} is due/],
  ['more behind', `${dictionary("'<f4'", '(2,)')}; 1`, /its header has something after the dictionary/],
  ['a key twice', "{'shape': (), 'shape': ()}", /its header has a second "shape"/],
  ['other keys', "{'descr': '<f4', 'fortran_order': False, 'shap': (2,)}", /its header has the keys \["descr",/],
  ['a number as order', dictionary("'<f4'", '(2,)', '1'), /or values of other kinds than NumPy's/],
  ['a negative size', dictionary("'<f4'", '(-1,)'), /its header has an unexpected "-"/],
  ['a huge size', dictionary("'<f4'", '(99999999999999999999,)'), /has the shape \[100000000000000000000\]/],
  ['sizes that overflow', dictionary("'<f8'", '(4294967296, 4294967296)'), /its shape \[.*\] overflows/],
  ['33 dimensions', dictionary("'<f4'", `(${'1, '.repeat(33)})`), /has the shape/],
  ['tuples without end', dictionary('('.repeat(1000), '()'), /its header has more than 8 nested tuples/],
  ['objects', dictionary("'|O'", '(2,)'), /is an array of pickled Python objects/],
  ['records with objects', dictionary("[('a', '<f4'), ('b', '|O')]", '(2,)'), /is an array of pickled Python objects/],
  ['records', dictionary("[('a', '<f4')]", '(2,)'), /is an array an array of records|not of numbers/],
  ['text', dictionary("'<U3'", '(2,)'), /not of numbers/],
  ['a type with more behind it', dictionary("'<f4,'", '(2,)'), /is an array of the type "<f4,"/],
  ['raw bytes', dictionary("'|V3'", '(2,)'), /not of numbers/],
  ['more than is there', dictionary("'<f4'", '(4, 4)'), /F32 of shape \[4,4\] takes 64 bytes, but 8 are there/],
])('a header with %s', async (_, header, found) => {
  expect(await refusal(write(npy(header, 8)))).toMatch(found)
})

test.each([
  ['of a later version', npy(dictionary("'<f4'", '(2,)'), 8, 4), /is of the unknown version 4.0/],
  [
    'of 4 GB',
    npy(dictionary("'<f4'", '(2,)'), 8, 2, 0xffffffff),
    /its header claims 4294967307 bytes, more than 65536/,
  ],
  ['beyond the file', npy('{', 0, 1, 60_000), /bytes 0 to 60010 are needed, but the file has 11/],
  ['cut short', npy('').subarray(0, 8), /is not a NumPy array/],
])('a header %s', async (_, content, found) => {
  expect(await refusal(write(content, 'a.npy'))).toMatch(found)
})

const good = npy(dictionary("'<f4'", '(2, 3)'), 24)
const member = (name: string, data: Uint8Array, more: Partial<Entry> = {}): Entry => ({ name, data, ...more })
const archive = (...entries: Entry[]) => write(makeZip(entries), 'a.npz')

test('names are keys, never paths', async () => {
  const { tensors, ignored } = await read(archive(member('a.b/c.npy', good), member('notes.txt', Buffer.from('x'))))
  expect(tensors.map(({ name }) => name)).toEqual(['a.b/c'])
  expect(ignored).toEqual(['notes.txt (not an array)'])
})

test.each([
  ['a bomb', member('w.npy', good, { method: 8, size: 3e8 }), /claims to inflate from/],
  [
    'a size that is a lie',
    member('w.npy', good, { method: 8, size: good.length - 4 }),
    /bytes are there|inflates to more/,
  ],
  [
    'a size beyond it',
    member('w.npy', npy(dictionary("'<f4'", '(6,)'), 20), { method: 8, size: 1000 }),
    /but \d+ are there/,
  ],
  ['a wrong checksum', member('w.npy', good, { method: 8, crc: 7 }), /the checksum \(CRC-32\) of a deflated member/],
  ['a member that is no array', member('w.npy', Buffer.from('hello, world')), /tensor "w": is not a NumPy array/],
  ['an empty member', member('w.npy', Buffer.alloc(0)), /tensor "w": is not a NumPy array/],
  ['an empty deflated member', member('w.npy', Buffer.alloc(0), { method: 8 }), /tensor "w": is not a NumPy array/],
  ['a long header', member('w.npy', npy('{', 0, 1, 60_000), { method: 8 }), /its header claims \d+ bytes/],
])('an npz with %s', async (_, entry, found) => {
  expect(await refusal(archive(entry))).toMatch(found)
})

test('a member without the ending is an array for NumPy, and so it is here', async () => {
  const { tensors } = await read(archive(member('a.npy', good), member('w', good, { method: 8 })))
  expect(tensors.map(({ name }) => name)).toEqual(['a', 'w'])
})

test.each([
  ['w.npy', 'w'],
  ['w', 'w.npy'],
])('members %s and %s are one for NumPy', async (...names) => {
  const entries = names.map(name => member(name, good))
  expect(await refusal(archive(member('a.npy', good), ...entries))).toContain('has two members that NumPy calls "w"')
})

test('two bytes of anything have no order, whatever their type says', () => {
  const parse = (descr: string) => parseHeader('a', npy(dictionary(descr, '(2,)')))
  expect(parse("'>V2'")).toMatchObject({ dtype: 'BF16', swap: 1 })
  expect(parse("'>f4'")).toMatchObject({ dtype: 'F32', swap: 4 })
})

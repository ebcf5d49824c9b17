import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { expect, onTestFinished, test, vi } from 'vitest'
import { onnx } from '../../../src/checkpoint/onnx/index.ts'
import { limits } from '../../../src/limits.ts'
import { root, runNode } from '../../support/cli.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { floats, initializer, message, model, number, tensor, varint } from './build.ts'
import { describeWith, recognisedBy, refusal, write } from './open.ts'

const raw = (...values: number[]) => message(9, floats(...values))
const cut = (bytes: Buffer, by: number) => bytes.subarray(0, -by)

/** Graphs within graphs. */
function nested(depth: number): Buffer {
  let graph: Buffer = message(5, tensor('w', [1], raw(1)))
  for (let i = 0; i < depth; i++) graph = message(1, message(3, 'n'), message(5, message(1, 'b'), message(6, graph)))
  return model(graph)
}

test.each<[string, Uint8Array, RegExp]>([
  ['a truncated model', cut(initializer('w', [2], raw(1, 2)), 9), /reaches to byte \d+, beyond the file, which has/],
  [
    'a field beyond its message',
    Buffer.concat([number(1, 8), message(7, Buffer.concat([varint(5 * 8 + 2), varint(100)])), Buffer.alloc(200)]),
    /reaches to byte \d+, beyond its message/,
  ],
  [
    'a length of 2^60',
    Buffer.concat([number(1, 8), varint(7 * 8 + 2), varint(2n ** 60n)]),
    /reaches to byte 1152921504606847\d+, beyond the file/,
  ],
  ['a number that never ends', Buffer.concat([number(1, 8), Buffer.alloc(64, 0xff)]), /number of more than 64 bits/],
  ['a number that the end cuts off', Buffer.from([8, 8, 0x3a, 0x80]), /number that reaches beyond its message/],
  ['the field 0', model(Buffer.from([0, 0])), /impossible tag 0/],
  ['a group', model(Buffer.from([3 * 8 + 3])), /wire type 3/],
  ['graphs nested too deep', nested(limits.onnx.nestingLevels + 1), /nests graphs more than 32 deep/],
  ['graphs nested very deep', nested(3_000), /nests graphs more than 32 deep/],
  ['a negative dimension', initializer('w', [-2], raw(1, 2)), /"w": has a dimension that is negative or too large/],
  [
    'an overflowing shape',
    initializer('w', [2 ** 31, 2 ** 31], raw(1)),
    /"w": its shape \[2147483648,2147483648\] overf/,
  ],
  [
    'too many dimensions',
    initializer('w', new Array(limits.checkpoint.dimensionsCount + 1).fill(1), raw(1)),
    /more than 32 dimensions/,
  ],
  [
    'many dimensions packed',
    model(message(5, message(1, Buffer.alloc(5_000_000, 1)), message(8, 'w'))),
    /more than 32 dimensions/,
  ],
  ['raw data of another size', initializer('w', [2, 2], raw(1, 2)), /\[2,2\] takes 16 bytes, but it has 8/],
  ['a huge shape without its data', initializer('w', [2 ** 40]), /"w": has no values/],
  ['float data of another size', initializer('w', [3], message(4, floats(1, 2))), /takes 12 bytes, but it has 8/],
  [
    'fewer numbers than elements',
    model(message(5, number(1, 9), number(2, 10), message(5, varint(1)))),
    /can't have 1 b/,
  ],
  [
    'values of another type',
    initializer('w', [1], message(10, Buffer.alloc(8))),
    /of another type than its own, FLOAT/,
  ],
  ['values twice', initializer('w', [1], raw(1), message(4, floats(1))), /its values in 2 fields at once/],
  [
    'two tensors of one name',
    model(message(5, tensor('w', [1], raw(1))), message(5, tensor('w', [1], raw(2)))),
    /two te/,
  ],
  ['a name without end', initializer('x'.repeat(5_000), [1], raw(1)), /has a name of 5000 bytes for a tensor/],
  ['no graph', Buffer.concat([number(1, 8), message(2, 'x')]), /without a graph/],
  [
    'a node with a thousand and one attributes',
    model(message(1, ...new Array(limits.onnx.attributesCount + 1).fill(message(5, message(1, 'a'))))),
    /more than 1000 attributes/,
  ],
])('refuses %s', async (_, bytes, pattern) => {
  expect(await refusal(onnx, write(bytes, 'net.onnx'))).toMatch(pattern)
})

test.each<[string, Buffer, object]>([
  ['a data_location cut to 32 bits', Buffer.concat([number(14, 2n ** 32n + 1n)]), { source: { offset: 4 } }],
  ['a data_type cut to 32 bits', Buffer.concat([number(14, 1), number(2, 2n ** 32n + 10n)]), { dtype: 'F16' }],
])('reads %s, as protobuf does', async (_, fields, expected) => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'data'), Buffer.alloc(100))
  const entry = (key: string, value: string) => message(13, message(1, key), message(2, value))
  const more = Array.from({ length: 20 }, (_, i) => entry(`k${i}`, ''))
  const values = [entry('location', 'none'), ...more, entry('location', 'data'), entry('offset', '4')]
  const path = write(initializer('w', [2], raw(1, 2), ...values, fields), 'net.onnx', folder)
  expect((await describeWith(onnx, path)).tensors).toMatchObject([expected])
  expect((await describeWith(onnx, path)).tensors).toMatchObject([
    { source: { path: join(folder, 'data'), offset: 4 } },
  ])
})

test('refuses values in a place that is not known, a Constant with two, and a location of two files', async () => {
  const place = (value: number) => write(initializer('w', [1], raw(1), number(14, value)), 'net.onnx')
  expect(await refusal(onnx, place(2))).toMatch(/has its values in the unknown place 2/)
  const value = message(5, message(1, 'value'), message(5, tensor('w', [1], raw(1))), message(5, tensor('w', [1])))
  const constant = model(message(1, message(2, 'o'), message(4, 'Constant'), value))
  expect(await refusal(onnx, write(constant, 'net.onnx'))).toMatch(/a Constant at byte \d+ has two values/)
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'a'))
  for (const name of ['a/b', 'a\\b']) writeFileSync(join(folder, name), Buffer.alloc(8))
  const path = write(external({ location: 'a\\b' }), 'net.onnx', folder)
  expect(await refusal(onnx, path)).toMatch(/"a\\\\b" names two files/)
})

test('too many nodes are refused', async () => {
  const path = write(model(Buffer.alloc(2 * (limits.onnx.nodesCount + 1), Buffer.from([0x0a, 0]))), 'net.onnx')
  expect(await refusal(onnx, path)).toMatch(/more than 500000 nodes/)
})

test('too many fields are refused', async () => {
  const path = write(model(Buffer.alloc(2 * (limits.work.stepsCount + 1), Buffer.from([0x18, 0]))), 'net.onnx')
  expect(await refusal(onnx, path)).toMatch(/takes more than 10000000 steps/)
})

function external(entries: Record<string, string>): Buffer {
  const pairs = Object.entries(entries).map(([key, value]) => message(13, message(1, key), message(2, value)))
  return initializer('w', [2], ...pairs, number(14, 1))
}

test.each<[string, Record<string, string>, RegExp]>([
  ['of a parent', { location: '../data' }, /"w": its values lie in "..\/data", outside the model's folder/],
  ['of a parent, further down', { location: 'a/../../data' }, /outside the model's folder/],
  ['of a parent, as Windows has it', { location: '..\\data' }, /outside the model's folder/],
  ['at an absolute path', { location: '/etc/passwd' }, /outside the model's folder/],
  ['on a drive', { location: 'C:\\data' }, /outside the model's folder/],
  ['without a name', {}, /outside the model's folder/],
  ['with a NUL', { location: 'da\0ta' }, /outside the model's folder/],
  ['that is not there', { location: 'none' }, /none: no such file, in which .*"w" has its values/],
  ['that is a folder', { location: 'folder' }, /"folder" is not a file/],
  ['through a symbolic link', { location: 'link' }, /"link" is a symbolic link out of the model's folder/],
  ['through a linked folder', { location: 'linked/secret' }, /is a symbolic link out of the model's folder/],
  ['that is too short', { location: 'data', offset: '4' }, /lies at bytes 4 to 12 of "data", which has 10/],
  ['of another length', { location: 'data', length: '4' }, /takes 8 bytes, but has 4 in "data"/],
  ['at a negative offset', { location: 'data', offset: '-4' }, /has the offset "-4"/],
  ['at an offset beyond numbers', { location: 'data', offset: '9'.repeat(30) }, /has the offset "9999/],
])('refuses external data %s', async (_, entries, pattern) => {
  const folder = temporaryFolder()
  const inside = join(folder, 'model')
  mkdirSync(join(inside, 'folder'), { recursive: true })
  mkdirSync(join(folder, 'other'))
  writeFileSync(join(folder, 'data'), Buffer.alloc(10))
  writeFileSync(join(folder, 'other', 'secret'), Buffer.alloc(10))
  writeFileSync(join(inside, 'data'), Buffer.alloc(10))
  symlinkSync(join(folder, 'data'), join(inside, 'link'))
  symlinkSync(join(folder, 'other'), join(inside, 'linked'))
  expect(await refusal(onnx, write(external(entries), 'net.onnx', inside))).toMatch(pattern)
})

test('a symbolic link within the folder is followed', async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'data'), Buffer.alloc(10))
  symlinkSync('data', join(folder, 'link'))
  const path = write(external({ location: './link', offset: '2', length: '8' }), 'net.onnx', folder)
  expect((await describeWith(onnx, path)).tensors).toMatchObject([
    { source: { path: join(folder, 'link'), offset: 2 } },
  ])
})

test.each<[string, (whole: Buffer) => Buffer, RegExp]>([
  [
    'a gzip bomb',
    () => gzipSync(initializer('w', [2 ** 24], message(9, Buffer.alloc(2 ** 26)))),
    /to more than \d+ byt/,
  ],
  ['truncated gzip', whole => cut(whole, 6), /can't be unpacked \(unexpected end of file\)/],
  ['gzip with a wrong checksum', whole => Buffer.concat([cut(whole, 8), Buffer.alloc(8, 1)]), /can't be unpacked/],
  ['gzip of a damaged model', () => gzipSync(cut(initializer('w', [2], raw(1, 2)), 9)), /beyond the file/],
])('refuses %s, and leaves no copy behind', async (_, damage, pattern) => {
  const temporaries = temporaryFolder()
  vi.stubEnv('RUNNER_TEMP', temporaries)
  onTestFinished(() => void vi.unstubAllEnvs())
  const path = write(damage(gzipSync(initializer('w', [2], raw(1, 2)))), 'net.onnx.gz')
  expect(await recognisedBy(onnx, path)).toBe(true)
  expect(await refusal(onnx, path)).toMatch(pattern)
  expect(readdirSync(temporaries)).toEqual([])
})

test('an unpacked copy has no name while it is read, where the system has such files, and is gone at the end', async () => {
  const folder = temporaryFolder()
  const script = join(folder, 'describe.mjs')
  const path = write(gzipSync(initializer('w', [2], raw(1, 2))), 'net.onnx.gz', folder)
  const [index, file] = ['checkpoint/onnx/index.ts', 'bytes/file.ts'].map(name => join(root, 'src', name))
  const source = `
    import { readdirSync, readFileSync } from 'node:fs'
    import { RandomAccessFile } from ${JSON.stringify(file)}
    import { onnx } from ${JSON.stringify(index)}
    const { tensors } = await onnx.read(await RandomAccessFile.open(${JSON.stringify(path)}), {})
    const { path, offset } = tensors[0].source
    const copies = readdirSync(process.env.RUNNER_TEMP).filter(name => name.startsWith('spectral-gate-'))
    console.log(copies.length, readFileSync(path).readFloatLE(offset + 4))`
  await build({
    stdin: { contents: source, resolveDir: root },
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: script,
  })
  const { stdout } = await runNode(relative(root, script), [], { env: { ...process.env, RUNNER_TEMP: folder } })
  expect(stdout.trim()).toBe(process.platform === 'linux' ? '0 2' : '1 2')
  expect(readdirSync(folder).filter(name => name.startsWith('spectral-gate-'))).toEqual([])
})

test('a prefix that makes long names of many short ones', async () => {
  const count = Math.ceil(limits.work.namesCharacters / 4_000) + 1
  const short = Array.from({ length: count }, (_, i) => message(5, number(1, 0), number(2, 1), message(8, String(i))))
  const node = message(
    1,
    message(2, 'o'),
    message(3, 'n'.repeat(4_000)),
    message(4, 'If'),
    message(5, message(1, 'b'), message(6, ...short)),
  )
  expect(await refusal(onnx, write(model(node), 'net.onnx'))).toMatch(/names .* more than 67108864 characters together/)
})

test('external data that is a pointer is missing, under its own path', async () => {
  const folder = temporaryFolder()
  const pointer = join(folder, 'pointer')
  writeFileSync(pointer, 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 10\n')
  const described = describeWith(onnx, write(external({ location: 'pointer' }), 'net.onnx', folder))
  await expect(described).rejects.toMatchObject({
    name: 'MissingCheckpointError',
    where: pointer,
    message: expect.stringContaining('is a Git LFS pointer'),
  })
})

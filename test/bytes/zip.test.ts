import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Zip } from '../../src/bytes/zip.ts'
import { CheckpointError } from '../../src/errors.ts'
import { limits } from '../../src/limits.ts'
import { type Entry, makeZip, withFile, type ZipOptions } from '../checkpoint/torch/build.ts'

const A = Buffer.from('the first member')
const B = Buffer.alloc(5000, 'b')

async function refusal(bytes: Uint8Array, use: (zip: Zip) => Promise<unknown> = async () => {}): Promise<string> {
  const error = await withFile(bytes, async file => use(await Zip.open(file))).then(
    () => undefined,
    error => error,
  )
  expect(error).toBeInstanceOf(CheckpointError)
  expect(error.message).toContain('model.pt')
  return error.message
}

function readAll(zip: Zip): Promise<Buffer[]> {
  return Promise.all([...zip.members.values()].map(member => zip.read(member)))
}

describe('reading', () => {
  it.each<[string, ZipOptions]>([
    ['zip', {}],
    ['zip64', { zip64: true }],
  ])('%s: whole members, and where stored ones lie', async (_, options) => {
    const bytes = makeZip(
      [
        { name: 'a/1', data: A },
        { name: 'b', data: B, method: 8 },
        { name: 'empty', data: Buffer.alloc(0) },
      ],
      options,
    )
    await withFile(bytes, async file => {
      const zip = await Zip.open(file)
      expect([...zip.members.keys()]).toEqual(['a/1', 'b', 'empty'])
      const [a, b, empty] = zip.members.values()
      for (const [member, data] of [
        [a, A],
        [b, B],
        [empty, Buffer.alloc(0)],
      ] as const) {
        expect(await zip.read(member)).toEqual(data)
      }
      const offset = await zip.locate(a)
      expect(bytes.subarray(offset, offset + a.size)).toEqual(A)
      await expect(zip.locate(b)).rejects.toThrow('is compressed')
    })
  })

  it('more members than fit into one window', async () => {
    const entries = Array.from({ length: 3000 }, (_, i) => ({ name: `member/${i}`, data: Buffer.from(String(i)) }))
    await withFile(makeZip(entries), async file => {
      const zip = await Zip.open(file)
      for (const i of [0, 1, 1500, 2999]) {
        expect(await zip.read(zip.members.get(`member/${i}`)!)).toEqual(Buffer.from(String(i)))
      }
    })
  })

  it('a zip within a zip, through a source of its own', async () => {
    const inner = makeZip([{ name: 'a', data: A }])
    await withFile(makeZip([{ name: 'inner.zip', data: inner }]), async file => {
      const outer = await Zip.open(file)
      const member = outer.members.get('inner.zip')!
      const start = await outer.locate(member)
      const zip = await Zip.open({
        path: `${file.path}!inner.zip`,
        size: member.size,
        read: (offset, length) => file.read(start + offset, length),
      })
      expect(await readAll(zip)).toEqual([A])
    })
  })
})

describe('what no honest writer makes', () => {
  const a: Entry = { name: 'a', data: A }
  const b: Entry = { name: 'b', data: B }

  it.each<[string, Entry[], ZipOptions, string]>([
    ['two members of one name', [a, { ...b, name: 'a' }], {}, 'has two members named "a"'],
    ['two members in one place', [a, { ...a, name: 'b', headerOf: 0 }], {}, 'overlaps'],
    ['a member that reaches into the next', [{ ...a, size: 40 }, b], {}, 'its member "a" overlaps "b"'],
    ['a member that reaches into the directory', [a, { ...b, size: 6000 }], {}, 'overlaps the central directory'],
    ['an encrypted member', [{ ...a, flags: 1, size: 16 }], {}, 'is not a readable zip'],
    ['fewer entries than there are', [a, b], { count: 1 }, 'has more members than the 1'],
    ['more entries than there are', [a, b], { count: 3 }, 'but the file has'],
    [
      'names of more than 64 MiB',
      Array.from({ length: 1100 }, (_, i) => ({ ...a, name: `${i}`.padEnd(65_000, 'x') })),
      {},
      'holds names of more than 67108864 characters',
    ],
    ['more entries than the limit', [a], { zip64: true, count: limits.zip.entriesCount + 1 }, 'zip entries, more than'],
    ['a name that leads upwards', [{ ...a, name: '../a' }], {}, 'invalid relative path'],
    ['a name that leads upwards beyond ASCII', [{ ...a, name: 'ä/../../a' }], {}, 'invalid relative path'],
    ['a name from the root', [{ ...a, name: '/a' }], {}, 'absolute path'],
    ['a name with a backslash', [{ ...a, name: 'b\\a' }], {}, 'has another name for other tools'],
    ['a name with a backslash beyond ASCII', [{ ...a, name: 'ä\\a' }], {}, 'has another name for other tools'],
    ['a name that ends early', [{ ...a, name: 'a\0b' }], {}, 'has another name for other tools'],
  ])('%s', async (_, entries, options, found) => {
    expect(await refusal(makeZip(entries, options))).toContain(found)
  })

  it('an encrypted compressed member', async () => {
    expect(await refusal(makeZip([{ ...b, method: 8, flags: 1 }]))).toContain('its member "b" is encrypted')
  })

  it('a member whose local header pushes its data over the next one', async () => {
    const bytes = makeZip([a, b])
    bytes.writeUInt16LE(20, 28)
    expect(await refusal(bytes, zip => zip.locate(zip.members.get('a')!))).toContain('"a" overlaps what follows it')
  })

  it('a local header that tells of another method', async () => {
    const bytes = makeZip([a])
    bytes.writeUInt16LE(8, 8)
    expect(await refusal(bytes, readAll)).toContain('two compression methods for "a"')
  })

  it.each<[string, Entry, string]>([
    ['another checksum', { ...a, crc: 1 }, 'its checksum (CRC-32) is wrong'],
    ['more than it claims', { ...b, method: 8, size: 4000 }, 'inflates to more than its 4000 bytes'],
    ['less than it claims', { ...b, method: 8, size: 6000 }, 'has 5000 bytes instead of 6000'],
    ['a bomb', { name: 'z', data: Buffer.alloc(8 << 20), method: 8 }, 'more than 200 times'],
    ['a size beyond the limit', { ...b, method: 8, size: limits.zip.memberBytes + 1 }, 'bytes, more than'],
  ])('%s', async (_, entry, found) => {
    expect(await refusal(makeZip([entry]), readAll)).toContain(found)
  })

  it('damaged deflate data', async () => {
    const bytes = makeZip([{ name: 'r', data: randomBytes(1000).subarray(0, 1000), method: 8 }])
    bytes.fill(0xff, 31, 80)
    expect(await refusal(bytes, readAll)).toContain('"r"')
  })

  it('a compression method that is not deflate', async () => {
    const bytes = makeZip([{ ...b, method: 8 }])
    bytes.writeUInt16LE(12, 8)
    bytes.writeUInt16LE(12, bytes.indexOf('PK\x01\x02', 0, 'latin1') + 10)
    expect(await refusal(bytes, readAll)).toContain('is compressed by method 12')
  })

  it.each([0, 1, 21, 22, 100])('a file cut to %d bytes', async length => {
    expect(await refusal(makeZip([a, b]).subarray(0, length))).toContain('it looks truncated')
  })
})

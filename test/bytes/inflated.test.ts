import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RandomAccessFile } from '../../src/bytes/file.ts'
import { openInflated } from '../../src/bytes/inflated.ts'
import type { FileRange } from '../../src/bytes/range.ts'
import { BudgetError } from '../../src/errors.ts'
import { limits } from '../../src/limits.ts'
import { temporaryFolder } from '../support/folder.ts'

const members = [1, 2].map(seed => Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * seed) % 251)))
const deflated = members.map(member => deflateRawSync(member))
const ranges = deflated.map(({ length }, i): FileRange => {
  const offset = i === 0 ? 0 : deflated[0].length
  return { offset, length, inflated: { size: members[i].length, crc32: crc32(members[i]) } }
})

let path: string
let file: RandomAccessFile
beforeEach(async () => {
  path = join(temporaryFolder(), 'archive')
  writeFileSync(path, Buffer.concat(deflated))
  file = await RandomAccessFile.open(path)
})
const { zerosBytes, inflateRatio } = limits.zip
afterEach(async () => {
  await file.close()
  Object.assign(limits.zip, { zerosBytes, inflateRatio })
})

async function contents(range: FileRange, at = 0, length = range.inflated!.size): Promise<Buffer> {
  const inflated = await openInflated(file, range)
  try {
    return await inflated.read(at, length)
  } finally {
    await inflated.close()
  }
}

describe('a deflated member that is opened for each of its parts', () => {
  test('is read at any offset, and not beyond its end', async () => {
    expect(await contents(ranges[0])).toEqual(members[0])
    expect(await contents(ranges[1], 123_456, 7)).toEqual(members[1].subarray(123_456, 123_463))
    await expect(contents(ranges[1], 299_999, 2)).rejects.toThrow(
      'bytes 299999 to 300001 of what is inflated are needed, of 300000',
    )
    await expect(contents(ranges[1], -1, 2)).rejects.toThrow('of what is inflated are needed')
  })

  test('is inflated once, and counted each time', async () => {
    Object.assign(limits.zip, { zerosBytes: 3 * members[0].length, inflateRatio: 1 })
    await file.close()
    file = await RandomAccessFile.open(path)
    await contents(ranges[0])
    // Whoever reads the file once more has nothing.
    truncateSync(path)
    expect(await contents(ranges[0])).toEqual(members[0])
    expect(await contents(ranges[0], 5, 5)).toEqual(members[0].subarray(5, 10))
    await expect(contents(ranges[0])).rejects.toThrow(BudgetError)
  })

  test('is inflated again after another one was', async () => {
    await contents(ranges[0])
    await contents(ranges[1])
    truncateSync(path)
    await expect(contents(ranges[0])).rejects.toThrow(path)
  })

  test('stays readable while another one is opened', async () => {
    const first = await openInflated(file, ranges[0])
    expect(await contents(ranges[1])).toEqual(members[1])
    expect(await first.read(0, members[0].length)).toEqual(members[0])
    await first.close()
  })

  test('is not that of a file that was written anew', async () => {
    await contents(ranges[0])
    await file.close()
    writeFileSync(path, Buffer.concat([...deflated].reverse()))
    file = await RandomAccessFile.open(path)
    await expect(contents(ranges[0])).rejects.toThrow(/deflated/)
    expect(await contents({ ...ranges[1], offset: 0 })).toEqual(members[1])
  })

  test('which is damaged is refused each time', async () => {
    const damaged = { ...ranges[0], inflated: { ...ranges[0].inflated!, crc32: 1 } }
    for (let time = 0; time < 2; time++) await expect(contents(damaged)).rejects.toThrow('the checksum (CRC-32)')
    expect(await contents(ranges[0])).toEqual(members[0])
  })
})

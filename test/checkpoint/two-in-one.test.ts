import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { explain } from '../../src/errors.ts'
import { temporaryFolder } from '../support/folder.ts'
import { writeSafetensors } from '../support/safetensors.ts'
import { archive, dict, makeZip, tensor } from './torch/build.ts'

const opened = (bytes: Uint8Array, name: string) => {
  const path = join(temporaryFolder(), name)
  writeFileSync(path, bytes)
  return openCheckpoint(path).then(({ format }) => format, explain)
}
const hdf5 = readFileSync('test/fixtures/keras/keras2.h5')
const zip = makeZip(archive(dict({ w: tensor({ shape: [2, 2], strides: [2, 1] }) }), Buffer.alloc(16)))

/** A tensor of bytes whose content begins or ends where the file has this at `at`, or at its end. */
function around(content: Buffer, at?: number): Buffer {
  const plain = readFileSync(writeSafetensors({ w: { shape: [20, 30] } }))
  const header = 8 + Number(plain.readBigUInt64LE(0))
  const filled = Buffer.alloc(4 * 1024)
  if (at === undefined) content.copy(filled, filled.length - content.length)
  else content.copy(filled, at - header)
  const described = JSON.parse(plain.toString('utf8', 8, header))
  const text = JSON.stringify({
    w: { ...described.w, dtype: 'U8', shape: [filled.length], data_offsets: [0, filled.length] },
  })
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header - 8))
  return Buffer.concat([length, Buffer.from(text.padEnd(header - 8)), filled])
}

test.each([512, 1024, 2048])('HDF5 at byte %d of another kind is refused', async at => {
  expect(await opened(around(hdf5.subarray(0, 64), at), 'net.h5')).toMatch(/is safetensors with an HDF5 file within/)
})

test('elsewhere it is found by nobody', async () => {
  expect(await opened(around(hdf5.subarray(0, 64), 1536), 'net.h5')).toBe('safetensors')
})

test('a zip at the end of another kind is refused, with a comment, too', async () => {
  const commented = Buffer.concat([zip, Buffer.from('comment')])
  commented.writeUInt16LE(7, zip.length - 2)
  for (const end of [zip, commented]) {
    expect(await opened(around(end), 'net.zip')).toMatch(/is safetensors with a zip at its end/)
    expect(await opened(Buffer.concat([hdf5, end]), 'net.keras')).toMatch(/is hdf5 with a zip at its end/)
  }
  commented.writeUInt16LE(8, zip.length - 2)
  expect(await opened(around(commented), 'net.zip')).toBe('safetensors')
})

test('a zip is one', async () => {
  expect(await opened(zip, 'net.pt')).toBe('torch-zip')
  expect(await opened(hdf5, 'net.h5')).toBe('hdf5')
})

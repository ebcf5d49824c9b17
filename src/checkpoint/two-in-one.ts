import type { RandomAccessFile } from '../bytes/file.ts'
import { CheckpointError, RESAVE } from '../errors.ts'
import type { Format } from './types.ts'

const ZIPS: readonly Format[] = ['torch-zip', 'keras', 'sb3-zip', 'npz']
const HDF5 = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1')
const END_OF_ZIP = Buffer.from('PK\x05\x06', 'latin1')
/** The record at the end of a zip, and the longest comment behind it. */
const RECORD = 22
const COMMENT = 0xffff

/**
 * A file whose beginning is of one kind may be of another to who looks elsewhere: h5py looks for HDF5 at 0, 512, 1024, …, Python for a
 * zip at the end.
 * @throws CheckpointError where both are there
 */
export async function refuseTwoInOne(file: RandomAccessFile, format: Format): Promise<void> {
  if (ZIPS.includes(format)) return
  const isWithin = format !== 'hdf5' && (await isHdf5Within(file))
  const also = isWithin ? 'an HDF5 file within' : (await endsAsZip(file)) ? 'a zip at its end' : undefined
  if (also)
    throw new CheckpointError(file.path, `is ${format} with ${also}: which is loaded depends on who looks`, RESAVE)
}

async function isHdf5Within(file: RandomAccessFile): Promise<boolean> {
  for (let at = 512; at + HDF5.length <= file.size; at *= 2) {
    if ((await file.read(at, HDF5.length)).equals(HDF5)) return true
  }
  return false
}

async function endsAsZip(file: RandomAccessFile): Promise<boolean> {
  const length = Math.min(RECORD + COMMENT, file.size)
  const end = await file.read(file.size - length, length)
  for (let at = end.lastIndexOf(END_OF_ZIP); at >= 0; at = at > 0 ? end.lastIndexOf(END_OF_ZIP, at - 1) : -1) {
    if (at + RECORD <= end.length && at + RECORD + end.readUInt16LE(at + 20) === end.length) return true
  }
  return false
}

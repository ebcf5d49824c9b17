import { CheckpointError, quoted, RESAVE } from '../errors.ts'
import { limits } from '../limits.ts'
import type { RandomAccessFile } from './file.ts'
import { checkRatio, type FileRange } from './range.ts'
import type { ZipMember } from './zip.ts'

const LOCAL_SIGNATURE = 0x04034b50
const LOCAL_HEADER = 30
const DEFLATED = 8

/** The name of the first member, told from the first bytes of a zip. */
export function firstMember(head: Buffer): string | undefined {
  if (head.length < LOCAL_HEADER || head.readUInt32LE() !== LOCAL_SIGNATURE) return undefined
  return head.toString('utf8', LOCAL_HEADER, LOCAL_HEADER + head.readUInt16LE(26))
}

/**
 * Where a member's data lies in the file, stored or deflated. Up to `any` bytes it may inflate to from however few.
 * @throws CheckpointError where it is compressed otherwise, reaches beyond its place, or claims to be a bomb
 */
export async function memberRange(
  file: RandomAccessFile,
  member: ZipMember,
  any: number = limits.zip.anyRatioBytes,
): Promise<FileRange> {
  const where = `${file.path}: ${quoted(member.name)}`
  const local = await file.read(member.header, LOCAL_HEADER)
  const offset = member.header + LOCAL_HEADER + local.readUInt16LE(26) + local.readUInt16LE(28)
  if (local.readUInt32LE() !== LOCAL_SIGNATURE || offset + member.compressedSize > member.bound) {
    throw new CheckpointError(where, 'does not lie where the directory of the zip says', RESAVE)
  }
  if (member.stored) return { offset, length: member.size }
  if (member.method !== DEFLATED) {
    throw new CheckpointError(
      where,
      `is compressed by method ${member.method}; only deflate is known`,
      'Pack the zip again without compression (zip -0).',
    )
  }
  const inflated = { size: member.size, crc32: member.crc32 }
  const range = { offset, length: member.compressedSize, inflated }
  checkRatio(where, range, any)
  return range
}

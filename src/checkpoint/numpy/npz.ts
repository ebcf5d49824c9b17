import type { RandomAccessFile } from '../../bytes/file.ts'
import { firstMember, memberRange } from '../../bytes/member.ts'
import { type FileRange, readRange } from '../../bytes/range.ts'
import { Zip, type ZipMember } from '../../bytes/zip.ts'
import { CheckpointError, quoted, tensorIn } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Reader } from '../reader.ts'
import type { Tensor, UnreadTensor } from '../types.ts'
import { headerLength, isNpy, parseHeader } from './header.ts'
import { describe } from './npy.ts'

/** NumPy's `.npz`: a zip of `.npy` members, stored (`savez`) or deflated (`savez_compressed`). */
export const npz: Reader = {
  format: 'npz',

  recognises({ head }) {
    return firstMember(head)?.endsWith('.npy') ?? false
  },

  async read(file) {
    const zip = await Zip.open(file)
    const tensors: Tensor[] = []
    const unread: UnreadTensor[] = []
    const ignored: string[] = []
    const leaveOut = (entry: string) => ignored.length < limits.checkpoint.ignoredEntries && ignored.push(entry)
    let inflated = 0
    for (const member of zip.members.values()) {
      if (!member.name.endsWith('.npy') && !(await isArray(file, member))) {
        if (!member.name.endsWith('/')) leaveOut(`${member.name} (not an array)`)
        if (zip.members.has(`${member.name}.npy`)) throw shadowed(file.path, member.name)
        continue
      }
      const name = member.name.endsWith('.npy') ? member.name.slice(0, -'.npy'.length) : member.name
      if (name !== member.name && zip.members.has(name)) throw shadowed(file.path, name)
      if (name === member.name && zip.members.has(`${name}.npy`)) throw shadowed(file.path, name)
      const where = tensorIn(file.path, name)
      if (name.length > limits.checkpoint.nameCharacters)
        throw new CheckpointError(where, `its name has more than ${limits.checkpoint.nameCharacters} characters`)
      if (tensors.length + unread.length === limits.checkpoint.tensorsCount)
        throw new CheckpointError(where, `is one of more than ${limits.checkpoint.tensorsCount} tensors`)
      const range = await memberRange(file, member, limits.zip.zerosBytes)
      inflated += range.inflated?.size ?? 0
      checkTotal(where, file, inflated)
      const header = parseHeader(where, await readHeader(file, where, range, member))
      if ('reason' in header && !header.mayBeWeights) leaveOut(`${name} (${header.reason})`)
      else if ('reason' in header) {
        const { type, shape, reason } = header
        unread.push({ name, dtype: type.slice(0, 100), shape, reason })
      } else tensors.push(describe(file.path, name, range, header))
    }
    return { tensors, unread, stateDict: '', ignored }
  },
}

/** Whether a member without the ending is an array all the same: NumPy asks for its first bytes. */
async function isArray(file: RandomAccessFile, member: ZipMember): Promise<boolean> {
  if (member.name.endsWith('/')) return false
  const range = await memberRange(file, member, limits.zip.zerosBytes)
  for await (const piece of readRange(file, member.stored ? { ...range, length: Math.min(6, range.length) } : range)) {
    return isNpy(Buffer.from(piece.subarray(0, 6)))
  }
  return false
}

function shadowed(path: string, name: string): CheckpointError {
  return new CheckpointError(
    path,
    `has two members that NumPy calls ${quoted(name)}`,
    'Save it again with numpy.savez.',
  )
}

async function readHeader(file: RandomAccessFile, where: string, range: FileRange, member: ZipMember): Promise<Buffer> {
  if (member.stored) {
    const length = headerLength(where, await file.read(range.offset, Math.min(12, range.length)))
    if (length > range.length) throw new CheckpointError(where, `its header claims ${length} bytes of ${range.length}`)
    return file.read(range.offset, length)
  }
  let head = Buffer.alloc(0)
  let length = 12
  for await (const piece of readRange(file, range)) {
    head = Buffer.concat([head, piece])
    if (head.length >= 12) length = headerLength(where, head)
    if (head.length >= length) return head.subarray(0, length)
  }
  headerLength(where, head)
  throw new CheckpointError(where, `its header claims ${length} bytes of ${head.length}`)
}

function checkTotal(where: string, file: RandomAccessFile, total: number): void {
  if (total <= Math.max(limits.zip.memberBytes, file.size * limits.zip.inflateRatio)) return
  throw new CheckpointError(where, `with it the file claims to inflate from ${file.size} to ${total} bytes`)
}

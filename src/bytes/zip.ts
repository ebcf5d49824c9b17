import { isAscii, isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { crc32, inflateRaw } from 'node:zlib'
import {
  type Entry,
  fromRandomAccessReaderPromise,
  getFileNameLowLevel,
  RandomAccessReader,
  validateFileName,
  type ZipFile,
} from 'yauzl'
import { CheckpointError, quoted, RESAVE } from '../errors.ts'
import { limits } from '../limits.ts'
import { Budget } from './budget.ts'
import type { RandomAccessFile } from './file.ts'

const REPACK = 'Save the checkpoint again: no tool that writes checkpoints makes such a zip.'
const STORED = 0
const DEFLATED = 8
const LOCAL_HEADER = 30
/** Info-ZIP's extra field with a name in UTF-8. */
const UNICODE_PATH = 0x7075
const CENTRAL_SIGNATURE = 0x02014b50

/** What a zip is read from: a file, or anything else that can be read at any offset (a stored zip within a zip). */
export type ZipSource = Pick<RandomAccessFile, 'path' | 'size' | 'read'> & Partial<Pick<RandomAccessFile, 'budget'>>

/** One member as the central directory describes it. Its name is a key, never a path. Sizes and offsets are in bytes. */
export interface ZipMember {
  readonly name: string
  readonly size: number
  readonly compressedSize: number
  /** Neither compressed nor encrypted: `locate` says where its bytes lie. */
  readonly stored: boolean
  readonly method: number
  readonly crc32: number
  readonly header: number
  /** Where the next member or the central directory begins: its data must end before. */
  readonly bound: number
}

/**
 * A zip, read by its central directory alone. Opening it checks the whole directory: the number of entries, duplicate names,
 * encryption, members that overlap each other or lie outside the file.
 */
export class Zip {
  readonly path: string
  /** What reading the file has taken that it lies in. */
  readonly budget: Budget
  /** In the order of the central directory. */
  readonly members: ReadonlyMap<string, ZipMember>
  readonly #source: ZipSource
  readonly #zip: ZipFile

  private constructor(source: ZipSource, zip: ZipFile, budget: Budget, members: Map<string, ZipMember>) {
    this.path = source.path
    this.budget = budget
    this.members = members
    this.#source = source
    this.#zip = zip
  }

  /**
   * Reads the central directory. The source stays open, and stays the caller's to close.
   * @throws CheckpointError where it is not a zip, or one that no honest writer makes.
   */
  static async open(source: ZipSource): Promise<Zip> {
    const reader = new WindowedReader(source, 64 * 1024)
    try {
      const zip = await fromRandomAccessReaderPromise(reader, source.size, { autoClose: false, decodeStrings: false })
      const budget = source.budget ?? new Budget(source.path, source.size)
      return new Zip(source, zip, budget, await list(source, zip, budget))
    } catch (error) {
      throw asCheckpointError(source.path, error)
    } finally {
      // From here on, single local headers are read.
      reader.window = 256
    }
  }

  /**
   * The absolute offset of a stored member's bytes in the source; `member.size` bytes from there are its content.
   * @throws CheckpointError where the member is compressed, or its local header contradicts the central directory.
   */
  async locate(member: ZipMember): Promise<number> {
    if (!member.stored) {
      throw new CheckpointError(
        this.path,
        `its member ${quote(member.name)} is compressed, and can't be read at an offset`,
        'Pack the zip again without compression (zip -0), or save the checkpoint again.',
      )
    }
    return this.#dataStart(member)
  }

  /**
   * A whole member, inflated where it is compressed, its CRC checked.
   * @param most bytes that it may have: checked before anything is allocated, and again while inflating
   * @throws CheckpointError where it is larger, damaged, or compressed by another method than deflate.
   */
  async read(member: ZipMember, most: number = limits.zip.memberBytes): Promise<Buffer> {
    const where = `${this.path}: ${quote(member.name)}`
    const { size, compressedSize } = member
    if (Math.max(size, compressedSize) > most) {
      throw new CheckpointError(where, `has ${Math.max(size, compressedSize)} bytes, more than ${most}`)
    }
    if (size > limits.zip.anyRatioBytes && size > compressedSize * limits.zip.inflateRatio) {
      throw new CheckpointError(
        where,
        `claims to inflate from ${compressedSize} to ${size} bytes, more than ${limits.zip.inflateRatio} times`,
        REPACK,
      )
    }
    if (!member.stored && member.method !== DEFLATED) {
      throw new CheckpointError(where, `is compressed by method ${member.method}; only deflate is known`, REPACK)
    }
    if (!member.stored) this.budget.inflate(size)
    const raw = await this.#source.read(await this.#dataStart(member), compressedSize)
    const bytes = member.stored ? raw : await inflate(where, raw, size)
    if (bytes.length !== size) throw new CheckpointError(where, `has ${bytes.length} bytes instead of ${size}`, RESAVE)
    if (crc32(bytes) !== member.crc32) throw new CheckpointError(where, 'its checksum (CRC-32) is wrong', RESAVE)
    return bytes
  }

  async #dataStart(member: ZipMember): Promise<number> {
    const { name, header, compressedSize, bound } = member
    let start: number
    try {
      const wanted = { relativeOffsetOfLocalHeader: header, compressedSize } as Entry
      const local = await this.#zip.readLocalFileHeaderPromise(wanted)
      start = local.fileDataStart
      if (local.compressionMethod !== member.method) throw new Error(`two compression methods for ${quote(name)}`)
    } catch (error) {
      throw asCheckpointError(this.path, error)
    }
    if (start + compressedSize > bound) {
      throw new CheckpointError(this.path, `its member ${quote(name)} overlaps what follows it`, REPACK)
    }
    return start
  }
}

/** Gives yauzl bytes of ours, so that sizes and errors are ours. Reads ahead: a directory is many small entries in a row. */
class WindowedReader extends RandomAccessReader {
  window: number
  readonly #source: ZipSource
  #start = 0
  #block: Buffer = Buffer.alloc(0)

  constructor(source: ZipSource, window: number) {
    super()
    this.#source = source
    this.window = window
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    const deliver = () => {
      const from = position - this.#start
      this.#block.copy(buffer, offset, from, from + length)
      callback(null)
    }
    if (position >= this.#start && position + length <= this.#start + this.#block.length) {
      deliver()
      return
    }
    this.#source.read(position, Math.max(length, Math.min(this.window, this.#source.size - position))).then(block => {
      this.#start = position
      this.#block = block
      deliver()
    }, callback)
  }
}

async function list(source: ZipSource, zip: ZipFile, budget: Budget): Promise<Map<string, ZipMember>> {
  const { path } = source
  if (zip.entryCount > limits.zip.entriesCount) {
    throw new CheckpointError(path, `has ${zip.entryCount} zip entries, more than ${limits.zip.entriesCount}`)
  }
  // @types/yauzl 3.4.0 calls the cursor a boolean.
  const cursor = () => zip.readEntryCursor as unknown as number
  const directory = cursor()
  const members = new Map<string, Mutable<ZipMember>>()
  for await (const entry of zip.eachEntry()) {
    const name = nameOf(path, entry)
    if (members.has(name)) throw new CheckpointError(path, `has two members named ${quote(name)}`, REPACK)
    budget.name(name.length)
    if (entry.isEncrypted()) {
      throw new CheckpointError(
        path,
        `its member ${quote(name)} is encrypted`,
        'Save the checkpoint without a password.',
      )
    }
    members.set(name, {
      name,
      size: entry.uncompressedSize,
      compressedSize: entry.compressedSize,
      stored: entry.compressionMethod === STORED,
      method: entry.compressionMethod,
      crc32: entry.crc32,
      header: entry.relativeOffsetOfLocalHeader,
      bound: directory,
    })
  }
  if ((await source.read(cursor(), 4)).readUInt32LE() === CENTRAL_SIGNATURE) {
    throw new CheckpointError(path, `has more members than the ${members.size} that its directory counts`, REPACK)
  }
  setBounds(path, [...members.values()])
  return members
}

/**
 * The name in the entry itself.
 * @throws CheckpointError where it leads out of the zip, or is another for other tools: where an extra field gives one, or backslashes
 * are read as slashes
 */
function nameOf(path: string, { generalPurposeBitFlag, fileNameRaw, extraFields }: Entry): string {
  const renamed = extraFields.some(({ id }) => id === UNICODE_PATH)
  // yauzl puts names together character by character.
  const name =
    isAscii(fileNameRaw) && !renamed
      ? fileNameRaw.toString('latin1')
      : getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, true)
  const isOther = renamed && isUtf8(fileNameRaw) && name !== fileNameRaw.toString('utf8')
  if (isOther || name.includes('\\') || name.includes('\0')) {
    throw new CheckpointError(path, `its member ${quote(name)} has another name for other tools`, REPACK)
  }
  const invalid = validateFileName(name)
  if (invalid) throw asCheckpointError(path, new Error(invalid))
  return name
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Gives each member the place where the next one begins, and refuses those that reach beyond it. */
function setBounds(path: string, members: Mutable<ZipMember>[]): void {
  let next: ZipMember | undefined
  for (const member of members.sort((a, b) => b.header - a.header)) {
    if (next) member.bound = next.header
    if (member.header + LOCAL_HEADER + member.compressedSize > member.bound) {
      const what = next ? quote(next.name) : 'the central directory'
      throw new CheckpointError(path, `its member ${quote(member.name)} overlaps ${what}`, REPACK)
    }
    next = member
  }
}

async function inflate(where: string, raw: Buffer, size: number): Promise<Buffer> {
  try {
    return await promisify<Buffer, { maxOutputLength: number }, Buffer>(inflateRaw)(raw, {
      maxOutputLength: Math.max(size, 1),
    })
  } catch (cause) {
    const more = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    throw new CheckpointError(where, more ? `inflates to more than its ${size} bytes` : 'is damaged', RESAVE, { cause })
  }
}

function asCheckpointError(path: string, error: unknown): CheckpointError {
  if (error instanceof CheckpointError) return error
  const reason = error instanceof Error ? error.message : String(error)
  if (/^End of central directory record signature not found/.test(reason)) {
    const found = 'is not a readable zip: it ends without the directory of its members, and it looks truncated'
    return new CheckpointError(path, found, 'Fetch or save it again: was the download or the upload complete?')
  }
  return new CheckpointError(path, `is not a readable zip: ${reason.slice(0, 300)}`, RESAVE, { cause: error })
}

function quote(name: string): string {
  return quoted(name)
}

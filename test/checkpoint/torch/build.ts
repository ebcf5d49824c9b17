import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'
import { RandomAccessFile } from '../../../src/bytes/file.ts'
import type { Contents } from '../../../src/checkpoint/reader.ts'
import { torchZip } from '../../../src/checkpoint/torch/index.ts'
import { u16, u32, u64 } from '../../support/bytes.ts'

/** A member as a test wants it written, lies included. */
export interface Entry {
  name: string
  data: Uint8Array
  method?: 0 | 8
  flags?: number
  /** Claimed instead of the real one. */
  size?: number
  crc?: number
  /** Local header of another entry to point at, by its position. */
  headerOf?: number
}

export interface ZipOptions {
  zip64?: boolean
  /** Claimed number of entries. */
  count?: number
}

/** Writes a zip by hand: what no honest writer makes must be writable here. */
export function makeZip(entries: readonly Entry[], { zip64 = false, count = entries.length }: ZipOptions = {}): Buffer {
  const chunks: Buffer[] = []
  const central: Buffer[] = []
  const offsets: number[] = []
  let offset = 0
  for (const { name, data, method = 0, flags = 0, headerOf, ...claimed } of entries) {
    const stored = method === 8 ? deflateRawSync(data) : Buffer.from(data)
    const size = claimed.size ?? data.length
    const compressed = method === 8 ? stored.length : size
    const crc = claimed.crc ?? crc32(data)
    const title = Buffer.from(name)
    offsets.push(headerOf === undefined ? offset : offsets[headerOf])
    const sizes = zip64 ? [0xffffffff, 0xffffffff] : [compressed, size]
    const common = [u16(flags | 0x800), u16(method), u32(0), u32(crc), u32(sizes[0]), u32(sizes[1]), u16(title.length)]
    const wide = zip64
      ? Buffer.concat([u16(1), u16(24), u64(size), u64(compressed), u64(offsets[offsets.length - 1])])
      : Buffer.alloc(0)
    const local = Buffer.concat([u32(0x04034b50), u16(45), ...common, u16(0), title, stored])
    central.push(
      Buffer.concat([
        ...[u32(0x02014b50), u16(45), u16(45), ...common, u16(wide.length), u16(0), u16(0), u16(0), u32(0)],
        ...[u32(zip64 ? 0xffffffff : offsets[offsets.length - 1]), title, wide],
      ]),
    )
    if (headerOf !== undefined) continue
    chunks.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(central)
  if (!zip64) {
    const end = [u32(0x06054b50), u16(0), u16(0), u16(count), u16(count), u32(directory.length), u32(offset), u16(0)]
    return Buffer.concat([...chunks, directory, ...end])
  }
  const end64 = [u64(44), u16(45), u16(45), u32(0), u32(0), u64(count), u64(count), u64(directory.length), u64(offset)]
  const locator = [u32(0x07064b50), u32(0), u64(offset + directory.length), u32(1)]
  const saturated = [
    u32(0x06054b50),
    u16(0),
    u16(0),
    u16(0xffff),
    u16(0xffff),
    u32(0xffffffff),
    u32(0xffffffff),
    u16(0),
  ]
  return Buffer.concat([...chunks, directory, u32(0x06064b50), ...end64, ...locator, ...saturated])
}

/** Opcodes from text and numbers: text is taken as it is, numbers are single bytes. */
export function opcodes(...parts: (string | number | Buffer)[]): Buffer {
  return Buffer.concat(
    parts.map(part => {
      if (typeof part === 'string') return Buffer.from(part, 'latin1')
      return typeof part === 'number' ? Buffer.from([part]) : part
    }),
  )
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return opcodes('X', u32(bytes.length), bytes)
}

export function int(value: number): Buffer {
  return opcodes(`I${value}\n`)
}

export function tuple(...items: Buffer[]): Buffer {
  return opcodes('(', ...items, 't')
}

export function dict(items: Record<string, Buffer>): Buffer {
  return opcodes('}(', ...Object.entries(items).flatMap(([key, value]) => [text(key), value]), 'u')
}

interface View {
  key?: string
  storage?: string
  numel?: number
  offset?: number
  shape: number[]
  strides: number[]
}

/** A call of `_rebuild_tensor_v2`. */
export function tensor({ key = '0', storage = 'FloatStorage', numel = 4, offset = 0, shape, strides }: View): Buffer {
  const id = tuple(text('storage'), opcodes(`ctorch\n${storage}\n`), text(key), text('cpu'), int(numel))
  const args = tuple(
    ...[opcodes(id, 'Q'), int(offset), tuple(...shape.map(int)), tuple(...strides.map(int))],
    ...[opcodes(0x89), opcodes('ccollections\nOrderedDict\n', ')', 'R')],
  )
  return opcodes('ctorch._utils\n_rebuild_tensor_v2\n', args, 'R')
}

export function pickle(value: Buffer): Buffer {
  return opcodes(0x80, 2, value, '.')
}

/** A checkpoint with the storages `0`, `1`, …. */
export function archive(value: Buffer, ...storages: Uint8Array[]): Entry[] {
  return [
    { name: 'm/data.pkl', data: pickle(value) },
    ...storages.map((data, i) => ({ name: `m/data/${i}`, data })),
    { name: 'm/version', data: Buffer.from('3\n') },
  ]
}

/** What the reader makes of the bytes as a file. */
export async function readBytes(bytes: Uint8Array, stateDict?: string): Promise<Contents> {
  return withFile(bytes, file => torchZip.read(file, { stateDict }))
}

export async function withFile<T>(bytes: Uint8Array, use: (file: RandomAccessFile) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'spectral-gate-'))
  const path = join(folder, 'model.pt')
  writeFileSync(path, bytes)
  const file = await RandomAccessFile.open(path)
  try {
    return await use(file)
  } finally {
    await file.close()
    rmSync(folder, { recursive: true })
  }
}

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { u16, u32, u64 } from '../../support/bytes.ts'
import { temporaryFolder } from '../../support/folder.ts'

export const NOWHERE = 0xffffffffffffffffn

/** One message of an object header: its kind and its fields. */
export type Message = readonly [kind: number, body: Buffer]

/**
 * Lays out an HDF5 file by hand: what no honest writer makes must be writable here. Parts follow each other, each on a multiple
 * of 8; the first is the root group's object header, at `ROOT`.
 */
export const ROOT = 96

export function hdf5(...parts: readonly Buffer[]): Buffer {
  const body = parts.map(part => Buffer.concat([part, Buffer.alloc((8 - (part.length % 8)) % 8)]))
  const size = ROOT + body.reduce((sum, part) => sum + part.length, 0)
  const superblock = Buffer.concat([
    Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'),
    bytes(0, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16, 0, 0, 0, 0, 0),
    ...[u64(0), u64(NOWHERE), u64(size), u64(NOWHERE)],
    ...[u64(0), u64(ROOT), u64(0), u64(0), u64(0)],
  ])
  return Buffer.concat([superblock, ...body])
}

/** Object header, version 1. */
export function header(...messages: readonly Message[]): Buffer {
  const block = continuation(...messages)
  return Buffer.concat([bytes(1, 0), u16(messages.length), u32(1), u32(block.length), u32(0), block])
}

/** The messages of a continuation block. */
export function continuation(...messages: readonly Message[]): Buffer {
  return Buffer.concat(
    messages.map(([kind, body]) => {
      const padded = Buffer.concat([body, Buffer.alloc((8 - (body.length % 8)) % 8)])
      return Buffer.concat([u16(kind), u16(padded.length), bytes(0, 0, 0, 0), padded])
    }),
  )
}

export const continues = (address: number, length: number): Message => [
  0x10,
  Buffer.concat([u64(address), u64(length)]),
]

export const link = (name: string, address: number): Message => [
  0x06,
  Buffer.concat([bytes(1, 0, name.length), Buffer.from(name), u64(address)]),
]

export const symbolTable = (tree: number, heap: number): Message => [0x11, Buffer.concat([u64(tree), u64(heap)])]

export const F32 = bytes(0x11, 0x20, 0x1f, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0)

/** The header of a dataset of floats, which lies at `address` in one piece, or as `layout` says. */
export function dataset(shape: readonly (number | bigint)[], layout: Buffer, ...more: readonly Message[]): Buffer {
  const space = Buffer.concat([bytes(1, shape.length, 0, 0, 0, 0, 0, 0), ...shape.map(u64)])
  return header([0x01, space], [0x03, F32], [0x08, layout], ...more)
}

export const contiguous = (address: number | bigint, length: number): Buffer =>
  Buffer.concat([bytes(3, 1), u64(address), u64(length)])

export const chunked = (tree: number | bigint, ...chunk: readonly number[]): Buffer =>
  Buffer.concat([bytes(3, 2, chunk.length + 1), u64(tree), ...chunk.map(u32), u32(4)])

export const deflated: Message = [0x0b, Buffer.concat([bytes(1, 1, 0, 0, 0, 0, 0, 0), u16(1), u16(0), u16(0), u16(0)])]

/** A node of a version 1 B-tree: keys and children in turn. */
export function tree(kind: 0 | 1, level: number, entries: readonly (readonly [key: Buffer, child: number])[]): Buffer {
  const flat = entries.flatMap(([key, child]) => [key, u64(child)])
  return Buffer.concat([
    Buffer.from('TREE'),
    bytes(kind, level),
    u16(entries.length),
    u64(NOWHERE),
    u64(NOWHERE),
    ...flat,
  ])
}

export const chunkKey = (length: number, ...offsets: readonly number[]): Buffer =>
  Buffer.concat([u32(length), u32(0), ...offsets.map(u64), u64(0)])

export function write(content: Buffer, name = 'hostile.h5'): string {
  const path = join(temporaryFolder(), name)
  writeFileSync(path, content)
  return path
}

export function bytes(...values: readonly number[]): Buffer {
  return Buffer.from(values)
}

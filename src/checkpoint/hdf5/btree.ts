import { limits } from '../../limits.ts'
import type { Cursor } from './cursor.ts'
import type { Store } from './store.ts'

/** An entry of a version 1 B-tree's leaf: its key, and the address of its child. */
export interface LeafEntry {
  readonly key: Cursor
  readonly child: number
}

/**
 * The leaves' entries of a version 1 B-tree, in order. `kind` is 0 for groups and 1 for chunks.
 * @throws CheckpointError where a tree of chunks is out of order: libhdf5 would not find them, and give the fill value
 */
export async function* entriesV1(
  store: Store,
  address: number,
  kind: number,
  keyLength: number,
): AsyncGenerator<LeafEntry> {
  yield* nodeV1(store, address, kind, keyLength, undefined, new Set(), undefined)
}

async function* nodeV1(
  store: Store,
  address: number,
  kind: number,
  keyLength: number,
  expectedLevel: number | undefined,
  seen: Set<number>,
  span: Span | undefined,
): AsyncGenerator<LeafEntry> {
  const prefix = 8 + 2 * store.widths.address
  const head = await store.at(address, prefix)
  head.signature('TREE')
  if (head.u8() !== kind) throw head.error('is a B-tree of another kind')
  const level = head.u8()
  if (seen.has(address) || (expectedLevel ?? level) !== level || level > limits.hdf5.nestingLevels) {
    throw head.error('is a node of a B-tree that leads to itself')
  }
  seen.add(address)
  const used = head.u16()
  const step = keyLength + store.widths.address
  const body = await store.at(address + prefix, used * step + (kind === CHUNKS ? keyLength : 0))
  const keyAt = (i: number) => body.bytes.subarray(i * step, i * step + keyLength)
  for (let i = 0; i < used; i++) {
    const key = body.sub(keyLength)
    const child = body.target('child')
    let within = span
    if (kind === CHUNKS) {
      const own = { from: keyAt(i), to: keyAt(i + 1) }
      const outside = span && (isBefore(own.from, span.from) || !isBefore(own.from, span.to))
      if (!isBefore(own.from, own.to) || (level === 0 && outside)) {
        throw head.error('is a B-tree whose chunks are out of order')
      }
      within = span ? common(span, own) : own
    }
    if (level === 0) yield { key, child }
    else yield* nodeV1(store, child, kind, keyLength, level - 1, seen, within)
  }
}

const CHUNKS = 1

/** Keys that those of a node's leaves lie between, from the first up to, not including, the other. */
interface Span {
  readonly from: Buffer
  readonly to: Buffer
}

function common(a: Span, b: Span): Span {
  return { from: isBefore(a.from, b.from) ? b.from : a.from, to: isBefore(a.to, b.to) ? a.to : b.to }
}

/** Whether a chunk's key is smaller, by its offsets, which follow a length and a mask. */
function isBefore(key: Buffer, other: Buffer): boolean {
  for (let at = 8; at < key.length; at += 8) {
    const [a, b] = [key.readBigUInt64LE(at), other.readBigUInt64LE(at)]
    if (a !== b) return a < b
  }
  return false
}

/** The records of a version 2 B-tree, in order. `kind` says what they are. */
export async function* recordsV2(store: Store, address: number, kind: number): AsyncGenerator<Cursor> {
  const head = await store.at(address, 22 + store.widths.address + store.widths.length)
  head.signature('BTHD')
  head.version(0)
  if (head.u8() !== kind) throw head.error('is a B-tree of another kind')
  const nodeSize = head.u32()
  const recordSize = head.u16()
  const depth = head.u16()
  head.skip(2)
  const root = head.pointer()
  const count = head.u16()
  if (root === undefined) return
  if (depth > limits.hdf5.nestingLevels || recordSize === 0 || nodeSize < 10 + recordSize)
    throw head.error('has absurd sizes')
  const tree: TreeV2 = { store, kind, nodeSize, recordSize, widths: pointerWidths(store, nodeSize, recordSize, depth) }
  yield* nodeV2(tree, root, count, depth, new Set())
}

interface TreeV2 {
  readonly store: Store
  readonly kind: number
  readonly nodeSize: number
  readonly recordSize: number
  readonly widths: readonly PointerWidths[]
}

/** Of what a node at some depth says of each child: how many records it has, and how many all below it. */
interface PointerWidths {
  readonly count: number
  readonly total: number
}

function pointerWidths(store: Store, nodeSize: number, recordSize: number, depth: number): PointerWidths[] {
  const room = nodeSize - 10
  const leafMost = Math.floor(room / recordSize)
  const count = bytesFor(leafMost)
  const widths: PointerWidths[] = [{ count: 0, total: 0 }]
  let total = leafMost
  for (let level = 1; level <= depth; level++) {
    const width = { count, total: level === 1 ? 0 : bytesFor(total) }
    widths.push(width)
    const pointer = store.widths.address + width.count + width.total
    const most = Math.max(0, Math.floor((room - pointer) / (recordSize + pointer)))
    total = Math.min(Number.MAX_SAFE_INTEGER, (most + 1) * total + most)
  }
  return widths
}

function bytesFor(value: number): number {
  let bytes = 1
  for (let rest = Math.floor(value / 256); rest > 0; rest = Math.floor(rest / 256)) bytes++
  return bytes
}

async function* nodeV2(
  tree: TreeV2,
  address: number,
  count: number,
  depth: number,
  seen: Set<number>,
): AsyncGenerator<Cursor> {
  const { store, recordSize } = tree
  const node = await store.at(address, tree.nodeSize)
  if (seen.has(address)) throw node.error('is a node of a B-tree that leads to itself')
  seen.add(address)
  node.signature(depth === 0 ? 'BTLF' : 'BTIN')
  node.version(0)
  if (node.u8() !== tree.kind) throw node.error('is a B-tree of another kind')
  const records = node.sub(count * recordSize)
  if (depth === 0) {
    for (let i = 0; i < count; i++) yield records.sub(recordSize)
    return
  }
  const width = tree.widths[depth]
  for (let i = 0; i <= count; i++) {
    const child = node.target('child')
    const below = node.uint(width.count)
    node.skip(width.total)
    yield* nodeV2(tree, child, below, depth - 1, seen)
    if (i < count) yield records.sub(recordSize)
  }
}

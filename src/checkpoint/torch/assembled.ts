import { RandomAccessFile } from '../../bytes/file.ts'
import { limits } from '../../limits.ts'
import { contiguous, size } from '../elements.ts'

/** A tensor that lies in several files, a block in each: the parameters of the codec `assembled`. */
export interface AssembledParameters {
  readonly shape: readonly number[]
  /** Of an element. */
  readonly width: number
  readonly blocks: readonly Block[]
}

/** Elements in a file, row-major. */
export interface Block {
  readonly path: string
  /** Bytes. */
  readonly offset: number
  /** The index of its first element in the whole. */
  readonly start: readonly number[]
  readonly shape: readonly number[]
}

/** Why blocks are no whole tensor: one is outside, two overlap, or some elements are in none; undefined where they are. */
export function misfitOf(
  shape: readonly number[],
  blocks: readonly Pick<Block, 'start' | 'shape'>[],
): string | undefined {
  if (blocks.some(block => block.shape.some((n, d) => block.start[d] + n > shape[d])))
    return 'has a part outside of its shape'
  const covered = blocks.reduce((sum, block) => sum + size(block.shape), 0)
  if (covered !== size(shape)) return `has parts of ${covered} elements for the ${size(shape)} of its shape`
  return areApart(blocks, 0) ? undefined : 'has parts that overlap, or lie in no order'
}

type Box = Pick<Block, 'start' | 'shape'>

/**
 * Whether no two of these overlap: they are cut apart along one dimension after another, as ranks shard tensors, in a time that
 * grows with their number. Parts that no cuts, or only many of them, tell apart are not taken to be.
 */
function areApart(blocks: readonly Box[], level: number): boolean {
  if (blocks.length <= 1) return true
  if (level > limits.distributed.cutLevels) return false
  // What can be cut apart at all can be, whichever cut comes first.
  for (const d of blocks[0].start.keys()) {
    const groups = groupsAlong(blocks, d)
    if (groups.length > 1) return groups.every(group => areApart(group, level + 1))
  }
  return false
}

/** Those that planes across a dimension tell apart. */
function groupsAlong(blocks: readonly Box[], d: number): Box[][] {
  const groups: Box[][] = []
  let end = 0
  for (const block of [...blocks].sort((a, b) => a.start[d] - b.start[d])) {
    const { start, shape } = block
    if (groups.length === 0 || start[d] >= end) groups.push([block])
    else groups[groups.length - 1].push(block)
    end = Math.max(end, start[d] + shape[d])
  }
  return groups
}

/** The elements of the whole, row-major, some of its first dimension at a time. */
export async function* assembled({ shape, width, blocks }: AssembledParameters): AsyncGenerator<Uint8Array> {
  const files = new Map<string, RandomAccessFile>()
  const [rows, ...rest] = shape
  const rowBytes = width * size(rest)
  const step = Math.max(1, Math.floor(limits.spectrum.chunkBytes / rowBytes))
  try {
    for (let from = 0; from < rows; from += step) {
      const count = Math.min(step, rows - from)
      const slab = Buffer.alloc(count * rowBytes)
      for (const block of blocks) {
        const [low, high] = [Math.max(from, block.start[0]), Math.min(from + count, block.start[0] + block.shape[0])]
        if (low >= high) continue
        const file = files.get(block.path) ?? (await RandomAccessFile.open(block.path))
        files.set(block.path, file)
        const own = width * size(block.shape.slice(1))
        const bytes = await file.read(block.offset + (low - block.start[0]) * own, (high - low) * own)
        place(bytes, block, low - from, high - low, slab, shape, width)
      }
      yield slab
    }
  } finally {
    await Promise.all([...files.values()].map(file => file.close()))
  }
}

/** Copies some rows of a block into the rows of the whole from `row` on, one run along the last dimension at a time. */
function place(
  bytes: Buffer,
  block: Block,
  row: number,
  count: number,
  slab: Buffer,
  shape: readonly number[],
  width: number,
): void {
  const last = shape.length - 1
  const strides = contiguous(shape)
  const inner = block.shape.slice(1)
  const run = width * (last === 0 ? count : block.shape[last])
  const runs = bytes.length / run
  for (let i = 0; i < runs; i++) {
    // The position of the run among the rows of the block, in mixed radix.
    let rest = i
    let at = last === 0 ? row : block.start[last]
    for (let d = last - 1; d >= 0; d--) {
      const n = d === 0 ? count : inner[d - 1]
      at += (d === 0 ? row + (rest % n) : block.start[d] + (rest % n)) * strides[d]
      rest = Math.floor(rest / n)
    }
    bytes.copy(slab, at * width, i * run, (i + 1) * run)
  }
}

import type { Cursor } from './cursor.ts'
import type { Store } from './store.ts'

/** Where the objects of a dense group, or of many attributes, lie. */
export interface FractalHeap {
  /** The object that an id names. */
  object(id: Cursor): Promise<Cursor>
}

interface Table {
  readonly store: Store
  readonly width: number
  readonly startingSize: number
  readonly maxDirectSize: number
  /** Bytes of a block's own offset within the heap. */
  readonly offsetBytes: number
  readonly directRows: number
}

/** Opens a fractal heap: managed objects in direct and indirect blocks, and tiny ones within their id. */
export async function openFractalHeap(store: Store, address: number): Promise<FractalHeap> {
  const { address: a, length: l } = store.widths
  const head = await store.at(address, 22 + 12 * l + 3 * a)
  head.signature('FRHP')
  head.version(0)
  const idLength = head.u16()
  const filtered = head.u16()
  head.skip(1)
  const largest = head.u32()
  head.skip(l + a + l + a + 8 * l)
  const width = head.u16()
  const startingSize = head.size()
  const maxDirectSize = head.size()
  const maxHeapBits = head.u16()
  head.skip(2)
  const root = head.pointer()
  const rows = head.u16()
  if (filtered > 0) throw head.error('is a compressed heap')
  if (width === 0 || startingSize === 0 || maxDirectSize < startingSize || maxHeapBits > 64 || idLength < 1) {
    throw head.error('is a heap of absurd sizes')
  }
  const table: Table = {
    store,
    width,
    startingSize,
    maxDirectSize,
    offsetBytes: Math.ceil(maxHeapBits / 8),
    directRows: Math.round(Math.log2(maxDirectSize / startingSize)) + 2,
  }
  const lengthBytes = bytesFor(Math.min(maxDirectSize, largest))
  return {
    async object(id) {
      const kind = id.u8() & 0x30
      if (kind === 0x20) return id.sub((id.bytes[0] & 0x0f) + 1)
      if (kind !== 0) throw id.error('names an object of a kind that is not read (huge)')
      const offset = id.uint(table.offsetBytes)
      const length = id.uint(lengthBytes)
      if (root === undefined) throw head.error('is an empty heap that something refers to')
      const block = await locate(table, root, rows, offset)
      return store.at(block.address + offset - block.offset, length)
    },
  }
}

/** The direct block in which an offset of the heap lies. */
async function locate(
  table: Table,
  root: number,
  rows: number,
  offset: number,
): Promise<{ address: number; offset: number }> {
  const { store, width } = table
  let address = root
  let begin = 0
  let left = rows
  // A direct block has no rows. Each indirect block covers less than the one above it.
  while (left > 0) {
    const { row, column, start } = place(table, offset - begin)
    const entry = row * width + column
    if (row >= left) throw (await store.at(address, 4)).error(`is no heap block for offset ${offset}`)
    const head = 5 + store.widths.address + table.offsetBytes
    const block = await store.at(address, head)
    block.signature('FHIB')
    const pointer = await store.at(address + head + entry * store.widths.address, store.widths.address)
    address = pointer.target('block')
    begin += start
    left = row < table.directRows ? 0 : indirectRows(table, row)
  }
  return { address, offset: begin }
}

/** Rows of blocks: two of the starting size, then each twice the row before. */
function place(table: Table, offset: number): { row: number; column: number; start: number } {
  let start = 0
  for (let row = 0; ; row++) {
    const size = blockSize(table, row)
    if (offset < start + size * table.width) {
      const column = Math.floor((offset - start) / size)
      return { row, column, start: start + column * size }
    }
    start += size * table.width
  }
}

function blockSize(table: Table, row: number): number {
  let size = table.startingSize
  for (let r = 1; r < row; r++) size *= 2
  return size
}

/** Rows of an indirect block that stands in a row. */
function indirectRows(table: Table, row: number): number {
  return Math.round(Math.log2(blockSize(table, row) / (table.startingSize * table.width))) + 1
}

function bytesFor(value: number): number {
  return Math.floor(Math.log2(Math.max(1, value)) / 8) + 1
}

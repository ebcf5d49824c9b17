import { CheckpointError, RESAVE } from '../../errors.ts'
import { type Bytes, Store } from './store.ts'

const MAGIC = '\x89HDF\r\n\x1a\n'

/** An HDF5 file whose superblock was read. */
export interface Opened {
  readonly store: Store
  /** Address of the root group's object header. */
  readonly root: number
}

/** Where the superblock lies among the first bytes: at 0, or behind a user block of 512, 1024 or 2048 bytes. */
export function superblockOffset(head: Buffer): number | undefined {
  return [0, 512, 1024, 2048].find(at => head.toString('latin1', at, at + 8) === MAGIC)
}

/**
 * Reads the superblock, versions 0 to 3.
 * @throws CheckpointError where it is none, or of another version
 */
export async function openHdf5(bytes: Bytes): Promise<Opened> {
  const head = await bytes.read(0, Math.min(4096, bytes.size))
  const at = superblockOffset(head)
  if (at === undefined) throw new CheckpointError(bytes.path, 'is not an HDF5 file')
  const cursor = await new Store(bytes, at).upTo(0, 256)
  cursor.skip(8)
  const version = cursor.version(0, 1, 2, 3)
  if (version < 2) cursor.skip(4)
  const widths = { address: cursor.u8(), length: cursor.u8() }
  if (![4, 8].includes(widths.address) || ![4, 8].includes(widths.length)) {
    throw cursor.error(`has addresses of ${widths.address} bytes and lengths of ${widths.length}; known are 4 and 8`)
  }
  // v0: a byte, two u16, flags u32, and in v1 two more u16; v2 and v3: flags.
  cursor.skip(version === 0 ? 9 : version === 1 ? 13 : 1)
  const store = new Store(bytes, at, widths)
  const fields = await store.upTo(cursor.at, 128)
  // Where the superblock was found counts, not the base address it states: so does libhdf5.
  const base = fields.pointer() ?? 0
  fields.skip(widths.address)
  // Counted from the beginning of the file, as the base address is.
  const end = fields.pointer()
  if (end !== undefined && end - base > store.size) {
    throw new CheckpointError(bytes.path, `ends at byte ${store.size}, but its HDF5 has ${end}`, RESAVE)
  }
  // The driver's address and the offset of the root's name.
  if (version < 2) fields.skip(2 * widths.address)
  return { store, root: fields.target('root group') }
}

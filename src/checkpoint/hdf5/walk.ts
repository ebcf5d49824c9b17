import { CheckpointError, quoted, RESAVE, tensorIn } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { Attributes } from './attributes.ts'
import { type Dataset, isDataset, readDataset, shapeOf, UnreadableDataset } from './dataset.ts'
import { type Message, readHeader } from './header.ts'
import { UnreadableLayout } from './layout.ts'
import { type Link, readLinks } from './links.ts'
import type { Opened } from './superblock.ts'

/** A group or dataset that was reached, by the names that lead to it. */
export interface Found {
  readonly path: string
  readonly attributes: Attributes
  /** Absent for a group. */
  readonly dataset?: Dataset
}

/** What a walk through an HDF5 file asks and tells. */
export interface Visitor {
  /** A group before its children, a dataset once. */
  visit(found: Found): void | Promise<void>
  /** The children of a group that are of interest, in the order to visit them. */
  children(group: Found, links: readonly Link[]): readonly Link[] | Promise<readonly Link[]>
  /** A dataset in a form that is not read. */
  unreadable(path: string, reason: string, shape: readonly number[]): void
  /** Something that is not followed: why, in a few words. */
  leaveOut(path: string, reason: string): void
}

/**
 * Visits each group and dataset once, however many links lead to it.
 * @throws CheckpointError where the file is malformed, or links into other files
 */
export async function walk({ store, root }: Opened, visitor: Visitor): Promise<void> {
  const seen = new Set<number>([root])

  async function enter(path: string, address: number, depth: number): Promise<void> {
    const messages = await readHeader(store, address)
    const attributes = await Attributes.read(store, messages)
    if (isDataset(messages)) {
      const where = tensorIn(store.path, path)
      const dataset = describe(where, messages, path)
      if (dataset) await visitor.visit({ path, attributes, dataset })
      return
    }
    const links = await readLinks(store, messages)
    if (!links) {
      visitor.leaveOut(path, 'neither a group nor a dataset')
      return
    }
    await group({ path, attributes }, links, depth)
  }

  function describe(where: string, messages: readonly Message[], path: string): Dataset | undefined {
    try {
      return readDataset(store, where, messages)
    } catch (error) {
      if (!(error instanceof UnreadableDataset || error instanceof UnreadableLayout)) throw error
      visitor.unreadable(path, error.message.slice(where.length + 2), shapeOf(messages))
      return undefined
    }
  }

  async function group(found: Found, links: readonly Link[], depth: number): Promise<void> {
    const { path } = found
    if (depth > limits.hdf5.nestingLevels) {
      throw new CheckpointError(store.path, `nests more than ${limits.hdf5.nestingLevels} groups at ${quoted(path)}`)
    }
    await visitor.visit(found)
    for (const { name, address } of await visitor.children(found, links)) {
      const child = path ? `${path}/${name}` : name
      if (child.length > limits.checkpoint.nameCharacters) {
        throw new CheckpointError(
          store.path,
          `holds a name of more than ${limits.checkpoint.nameCharacters} characters`,
          RESAVE,
        )
      }
      store.budget.name(child.length)
      if (address === undefined) visitor.leaveOut(child, 'a soft link')
      else if (seen.has(address)) visitor.leaveOut(child, 'one more link to what was read')
      else {
        seen.add(address)
        await enter(child, address, depth + 1)
      }
    }
  }

  const messages: readonly Message[] = await readHeader(store, root)
  const links = await readLinks(store, messages)
  if (!links) throw new CheckpointError(store.path, 'has no root group', RESAVE)
  await group({ path: '', attributes: await Attributes.read(store, messages) }, links, 0)
}

import { CheckpointError, quoted } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { entriesV1, recordsV2 } from './btree.ts'
import type { Cursor } from './cursor.ts'
import { openFractalHeap } from './fractal-heap.ts'
import { find, MESSAGE, type Message } from './header.ts'
import type { Store } from './store.ts'

/** A name in a group, and the object header that it leads to; none where it is a soft link. */
export interface Link {
  readonly name: string
  readonly address: number | undefined
}

/**
 * The links of a group, in the order in which they were made where the file keeps it, by name otherwise. Undefined where the
 * object is no group.
 * @throws CheckpointError for a link into another file
 */
export async function readLinks(store: Store, messages: readonly Message[]): Promise<Link[] | undefined> {
  const table = find(messages, MESSAGE.symbolTable)
  if (table) return symbolTable(store, table.body)
  const info = find(messages, MESSAGE.linkInfo)
  const compact = messages.filter(message => message.type === MESSAGE.link)
  if (!info && compact.length === 0) return undefined
  const links = compact.map(message => readLink(message.body))
  for await (const body of info ? denseObjects(store, info.body, 5, 4) : []) {
    if (links.length === limits.checkpoint.tensorsCount)
      throw body.error(`is one of more than ${limits.checkpoint.tensorsCount} links`)
    const link = readLink(body)
    store.counted(body, link.name)
    links.push(link)
  }
  return links.sort((a, b) => a.order - b.order || naturally(a.name, b.name))
}

/**
 * The messages that a group or dataset keeps in a fractal heap: links or attributes.
 * @param info the link info or attribute info message
 * @param kind of the B-tree that lists them by name
 * @param skip bytes of its records before the heap's id
 */
export async function* denseObjects(store: Store, info: Cursor, kind: number, skip: number): AsyncGenerator<Cursor> {
  info.version(0)
  const flags = info.u8()
  if (flags & 1) info.skip(kind === 5 ? 8 : 2)
  const heapAddress = info.pointer()
  const tree = info.pointer()
  if (heapAddress === undefined || tree === undefined) return
  const heap = await openFractalHeap(store, heapAddress)
  for await (const record of recordsV2(store, tree, kind)) {
    record.skip(skip)
    yield await heap.object(record.sub(record.left))
  }
}

async function symbolTable(store: Store, body: Cursor): Promise<Link[]> {
  const tree = body.target('B-tree')
  const heap = await store.at(body.target('heap'), 8 + 2 * store.widths.length + store.widths.address)
  heap.signature('HEAP')
  heap.version(0)
  heap.skip(3)
  const length = heap.size()
  heap.skip(store.widths.length)
  const names = await store.at(heap.target('data'), length)
  const links: Link[] = []
  for await (const { child } of entriesV1(store, tree, 0, store.widths.length)) {
    const head = await store.at(child, 8)
    head.signature('SNOD')
    head.version(1)
    head.skip(1)
    const count = head.u16()
    const nodes = await store.at(child + 8, count * (2 * store.widths.address + 24))
    for (let i = 0; i < count; i++) {
      const offset = nodes.uint(store.widths.address)
      const address = nodes.pointer()
      const soft = nodes.u32() === 2
      nodes.skip(20)
      if (offset >= length) throw nodes.error(`has a name at ${offset} of ${length}`)
      names.at = offset
      if (links.length === limits.checkpoint.tensorsCount)
        throw nodes.error(`holds one of more than ${limits.checkpoint.tensorsCount} links`)
      links.push({ name: store.counted(nodes, checkName(names, names.text())), address: soft ? undefined : address })
    }
  }
  return links.sort((a, b) => naturally(a.name, b.name))
}

const EXTERNAL = 64

function readLink(cursor: Cursor): Link & { order: number } {
  cursor.version(1)
  const flags = cursor.u8()
  const kind = flags & 8 ? cursor.u8() : 0
  const order = flags & 4 ? cursor.uint(8) : 0
  if (flags & 16) cursor.skip(1)
  const name = checkName(cursor, cursor.take(cursor.uint([1, 2, 4, 8][flags & 3])).toString('utf8'))
  if (kind === EXTERNAL) {
    throw new CheckpointError(
      `${cursor.path}: ${quoted(name)}`,
      'is a link into another file, which is never followed',
      'Copy what it leads to into the file: h5py.Group.copy(…, expand_external=True).',
    )
  }
  return { name, address: kind === 0 ? cursor.pointer() : undefined, order }
}

function checkName(cursor: Cursor, name: string): string {
  if (name.length > limits.checkpoint.nameCharacters)
    throw cursor.error(`has a name of more than ${limits.checkpoint.nameCharacters} characters`)
  return name
}

/** By name, a number at its end by its value: dense_2 before dense_10. */
function naturally(a: string, b: string): number {
  const [stemA, numberA] = parted(a)
  const [stemB, numberB] = parted(b)
  if (stemA !== stemB) return stemA < stemB ? -1 : 1
  return numberA.length - numberB.length || (numberA < numberB ? -1 : numberA > numberB ? 1 : 0)
}

/** A name, and the digits at its end, not more than 15 of them. */
function parted(name: string): [stem: string, number: string] {
  let at = name.length
  while (at > 0 && name.length - at < 15 && name[at - 1] >= '0' && name[at - 1] <= '9') at--
  return [name.slice(0, at), name.slice(at)]
}

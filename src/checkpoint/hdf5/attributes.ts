import { CheckpointError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { size } from '../elements.ts'
import type { Cursor } from './cursor.ts'
import { readDataspace } from './dataspace.ts'
import { type ElementType, readDatatype } from './datatype.ts'
import { find, MESSAGE, type Message } from './header.ts'
import { denseObjects } from './links.ts'
import type { Store } from './store.ts'

interface Attribute {
  readonly type: ElementType
  readonly count: number
  readonly data: Cursor
}

/** The attributes of one object: read at once, decoded when asked for. */
export class Attributes {
  readonly #store: Store
  readonly #attributes: ReadonlyMap<string, Attribute>

  private constructor(store: Store, attributes: ReadonlyMap<string, Attribute>) {
    this.#store = store
    this.#attributes = attributes
  }

  static async read(store: Store, messages: readonly Message[]): Promise<Attributes> {
    const attributes = new Map<string, Attribute>()
    const add = (body: Cursor) => {
      const found = readAttribute(body)
      if (found) attributes.set(found.name, found)
    }
    for (const { type, shared, body } of messages) if (type === MESSAGE.attribute && !shared) add(body)
    const info = find(messages, MESSAGE.attributeInfo)
    for await (const body of info ? denseObjects(store, info.body, 8, 0) : []) {
      if (attributes.size === limits.hdf5.messagesCount)
        throw body.error(`is one of more than ${limits.hdf5.messagesCount} attributes`)
      add(body)
    }
    return new Attributes(store, attributes)
  }

  has(name: string): boolean {
    return this.#attributes.has(name)
  }

  /** The strings of an attribute; undefined where there is none, or it holds something else. */
  async texts(name: string): Promise<string[] | undefined> {
    const attribute = this.#attributes.get(name)
    if (!attribute || (attribute.type.kind !== 'fixed-text' && attribute.type.kind !== 'text')) return undefined
    const { type, count, data } = attribute
    data.at = 0
    if (count * type.bytes > data.left) throw data.error(`is too short for the attribute ${JSON.stringify(name)}`)
    const texts: string[] = []
    for (let i = 0; i < count; i++) {
      const element = data.sub(type.bytes)
      texts.push(type.kind === 'fixed-text' ? element.text() : await this.#fromHeap(element))
    }
    return texts
  }

  /** An attribute of one string. */
  async text(name: string): Promise<string | undefined> {
    return (await this.texts(name))?.[0]
  }

  async #fromHeap(element: Cursor): Promise<string> {
    const length = element.u32()
    const address = element.pointer()
    const index = element.u32()
    if (length === 0 || !address) return ''
    const object = await globalHeapObject(this.#store, address, index)
    return object.take(Math.min(length, object.left)).toString('utf8')
  }
}

function readAttribute(cursor: Cursor): (Attribute & { name: string }) | undefined {
  const version = cursor.version(1, 2, 3)
  const flags = cursor.u8()
  const sizes = [cursor.u16(), cursor.u16(), cursor.u16()]
  if (version === 3) cursor.skip(1)
  const [name, type, space] = sizes.map(length => {
    const part = cursor.sub(length)
    if (version === 1) cursor.skip(Math.min((8 - (length % 8)) % 8, cursor.left))
    return part
  })
  // A type or space that stands elsewhere: nothing that Keras writes.
  if (version > 1 && flags & 3) return undefined
  const elementType = readDatatype(type)
  const count = size(readDataspace(space).shape)
  if (count > limits.checkpoint.tensorsCount)
    throw cursor.error(`is an attribute of ${count} elements, more than ${limits.checkpoint.tensorsCount}`)
  return { name: name.text(), type: elementType, count, data: cursor.sub(cursor.left) }
}

async function globalHeapObject(store: Store, address: number, wanted: number): Promise<Cursor> {
  const prefix = 8 + store.widths.length
  const head = await store.at(address, prefix)
  head.signature('GCOL')
  head.version(1)
  head.skip(3)
  const end = address + head.size()
  for (let at = address + prefix; at + prefix <= end; ) {
    const object = await store.at(at, prefix)
    const index = object.u16()
    object.skip(6)
    const length = object.size()
    if (index === wanted && index > 0) return store.at(at + prefix, length)
    if (index === 0) break
    at += prefix + Math.ceil(length / 8) * 8
  }
  throw new CheckpointError(store.path, `its global heap at byte ${address} has no object ${wanted}`)
}

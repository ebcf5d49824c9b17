import { limits } from '../../limits.ts'
import type { Cursor } from './cursor.ts'
import type { Store } from './store.ts'

/** Kinds of message that are looked at. */
export const MESSAGE = {
  dataspace: 0x01,
  linkInfo: 0x02,
  datatype: 0x03,
  oldFill: 0x04,
  fill: 0x05,
  link: 0x06,
  externalFiles: 0x07,
  layout: 0x08,
  filters: 0x0b,
  attribute: 0x0c,
  continuation: 0x10,
  symbolTable: 0x11,
  attributeInfo: 0x15,
} as const

/** One message of an object header. A shared one stands elsewhere: its body is but a reference. */
export interface Message {
  readonly type: number
  readonly shared: boolean
  readonly body: Cursor
}

/** All messages of an object (a group or a dataset), those in continuation blocks too, in order. */
export async function readHeader(store: Store, address: number): Promise<Message[]> {
  const start = await store.upTo(address, 64)
  const later = start.bytes.toString('latin1', 0, 4) === 'OHDR'
  let flags = 0
  if (later) {
    start.skip(4)
    start.version(2)
    flags = start.u8()
    start.skip((flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0))
  } else {
    start.version(1)
    start.skip(7)
  }
  const length = start.uint(later ? [1, 2, 4, 8][flags & 3] : 4)
  if (!later) start.skip(4)
  const messages: Message[] = []
  const seen = new Set<number>()
  const blocks = [await store.at(address + start.at, length)]
  for (const block of blocks) {
    while (block.left >= (later ? 4 : 8)) {
      const message = later ? laterMessage(block, flags) : earlyMessage(block)
      if (!message) break
      if (messages.length === limits.hdf5.messagesCount)
        throw block.error(`has more than ${limits.hdf5.messagesCount} messages`)
      messages.push(message)
      if (message.type === MESSAGE.continuation) blocks.push(await continuation(store, message.body, later, seen))
    }
  }
  return messages
}

async function continuation(store: Store, body: Cursor, later: boolean, seen: Set<number>): Promise<Cursor> {
  const address = body.target('continuation')
  if (seen.has(address)) throw body.error('continues in itself')
  seen.add(address)
  const block = await store.at(address, body.size())
  if (!later) return block
  block.signature('OCHK')
  // A checksum closes it.
  return block.sub(block.left - 4)
}

function earlyMessage(cursor: Cursor): Message {
  const type = cursor.u16()
  const length = cursor.u16()
  const shared = (cursor.u8() & 2) !== 0
  cursor.skip(3)
  return { type, shared, body: cursor.sub(length) }
}

/** Undefined where less than a message's prefix is left: a gap. */
function laterMessage(cursor: Cursor, headerFlags: number): Message | undefined {
  const prefix = headerFlags & 4 ? 6 : 4
  if (cursor.left < prefix) return undefined
  const type = cursor.u8()
  const length = cursor.u16()
  const shared = (cursor.u8() & 2) !== 0
  cursor.skip(prefix - 4)
  return { type, shared, body: cursor.sub(length) }
}

/** The first message of a kind. */
export function find(messages: readonly Message[], type: number): Message | undefined {
  return messages.find(message => message.type === type)
}

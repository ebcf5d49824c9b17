import { quoted } from '../../errors.ts'
import { Inert, Persistent, type Value } from './values.ts'

export const SAVE = "Save the weights alone: torch.save(model.state_dict(), 'model.pt')."
/** How many paths a message lists. */
export const LISTED = 20

/** The first of some paths of keys. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, LISTED).map(name => (name === '' ? 'at the top' : quoted(name)))
  return shown.join(', ') + (names.length > LISTED ? ', …' : '')
}

/** What a value is, for people. */
export function kind(value: Value): string {
  if (value instanceof Inert) return `a ${value.type.slice(0, 200)}`
  if (value instanceof Persistent) return 'a storage'
  if (value instanceof Uint8Array) return 'bytes'
  if (value instanceof Map) return 'a dictionary'
  if (Array.isArray(value) || value instanceof Set) return 'a list'
  return value === null ? 'None' : `a ${typeof value}`
}

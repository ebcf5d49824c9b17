import { type ChangedSetting, EMPTY, type Setting, WHOLE } from './setting.ts'

/** A model's own config in a file of Keras. */
export const KERAS = 'Keras'
const VERSION = 'keras_version'
/** What layers of Keras are built with where an older version does not say. */
const IMPLIED: Readonly<Record<string, string>> = { data_format: '"channels_last"', value_range: '[0,255]' }

/**
 * Settings of Keras' own config that differ from the baseline's: all that both have, of kinds of layers that both have what one has
 * alone and is not implied, and kinds that one has alone. Where one can't be read, or has too much, that alone is told.
 */
export function changedOfKeras(head: readonly Setting[], base: readonly Setting[]): ChangedSetting[] {
  const [now, before] = [head, base].map(all => {
    return new Map(all.flatMap(({ file, key, value }) => (file === KERAS ? [[key, value] as const] : [])))
  })
  if (now.size === 0 || before.size === 0) return []
  const isWhole = now.has(WHOLE) || before.has(WHOLE)
  const isOneVersion = now.get(VERSION) === before.get(VERSION)
  return [...new Set([...before.keys(), ...now.keys()])].flatMap(key => {
    const [own, was] = [now.get(key), before.get(key)]
    if (own === was || key === VERSION || (isWhole && key !== WHOLE)) return []
    const changed = { name: `${KERAS}: ${key}`, head: own, base: was }
    const [kind, option] = key.split('.')
    if (option === undefined || (own !== undefined && was !== undefined)) return [changed]
    const isOfBoth = now.has(kind) && before.has(kind)
    const value = (own ?? was)!
    const isImplied = EMPTY.has(value) || IMPLIED[option] === value
    return isOfBoth && (isOneVersion || !isImplied) ? [changed] : []
  })
}

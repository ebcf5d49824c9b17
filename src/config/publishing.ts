import { optionOf, PUBLISHING_NAMES, type PublishingName } from './table.ts'

/** Values as the config file or the inputs give them. What was not given is absent or empty. */
export type RawPublishing = Partial<Record<PublishingName, string>>

/** One value of each option: the last layer that sets it, or its default, or an empty text. */
export function resolvePublishing(...layers: readonly RawPublishing[]): Record<PublishingName, string> {
  return Object.fromEntries(
    PUBLISHING_NAMES.map(name => [name, layers.findLast(layer => layer[name])?.[name] ?? optionOf(name).default ?? '']),
  ) as Record<PublishingName, string>
}

import type { Model } from './schema.ts'

export type Setting = NonNullable<Model['source']['settings']>[number]

/** A setting that differs from the baseline's. */
export interface ChangedSetting {
  /** The config and the key. */
  readonly name: string
  /** As JSON, or its digest; undefined where it is not there. Of a whole config what it is. */
  readonly head: string | undefined
  readonly base: string | undefined
}

/** What says no more than that a key is not there. */
export const EMPTY: ReadonlySet<string> = new Set(['false', '0', '""', '[]', '{}', '"none"'])
/** What stands for all of a config. */
export const WHOLE = '*'

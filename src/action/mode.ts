import { UserError } from '../errors.ts'
import { nearest } from '../words.ts'

/**
 * What a step does. `gate`: the whole way from checkpoints to the verdict. `part`: metrics alone, kept for a later job.
 * `merge`: from the parts of earlier jobs to the verdict.
 */
export const MODES = ['gate', 'part', 'merge'] as const
export type Mode = (typeof MODES)[number]

/**
 * The input `mode`. Empty: `gate`, or `part` where a shard is set.
 * @throws UserError where it is none of these, or does not go with a shard
 */
export function parseMode(text: string, sharded: boolean): Mode {
  const value = text.trim()
  if (value === '') return sharded ? 'part' : 'gate'
  const mode = MODES.find(mode => mode === value)
  if (!mode) {
    const near = nearest(value, MODES)
    throw new UserError(
      `mode is ${JSON.stringify(value)}, but takes ${MODES.join(', ')}.`,
      near && `Did you mean ${near}?`,
    )
  }
  if (sharded && mode !== 'part') throw new UserError(`mode: ${mode} does not go with a shard: that makes a part.`)
  return mode
}

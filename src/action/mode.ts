import { UserError } from '../errors.ts'
import { nearest } from '../words.ts'

/**
 * What a step does. `gate`: the whole way from checkpoints to the verdict. `part`: metrics alone, kept for a later job.
 * `merge`: from the parts of earlier jobs to the verdict. `comment`: the comment alone, on a fork's run.
 * `series`: no gate, but what a series of models shows.
 */
const GATING = ['gate', 'part', 'merge'] as const
const MODES = [...GATING, 'comment', 'series']
/** The modes that make a report. */
export type GatingMode = (typeof GATING)[number]

/**
 * The input `mode`. Empty: `gate`, or `part` where a shard is set.
 * @throws UserError where it is none of these, or does not go with a shard
 */
export function parseMode(text: string, sharded: boolean): GatingMode {
  const value = text.trim()
  if (value === '') return sharded ? 'part' : 'gate'
  const mode = GATING.find(mode => mode === value)
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

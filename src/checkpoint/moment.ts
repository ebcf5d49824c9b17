import { Relatives } from './quantised/family.ts'
import type { Moment, Stamp } from './types.ts'

/** What trainers call it, the first that is there being taken: Lightning, transformers, fairseq and Megatron, plain loops; kohya. */
const STEPS = [
  'global_step',
  'global_steps',
  'num_updates',
  'step',
  'steps',
  'iteration',
  'iterations',
  'iter',
  'ss_steps',
]
const EPOCHS = ['epoch', 'current_epoch', 'ss_epoch']

/**
 * The moment that numbers beside weights tell.
 * @param value of a key; whatever is no number of steps or epochs is passed over
 * @returns undefined where they tell none
 */
export function momentIn(value: (key: string) => unknown): Moment | undefined {
  const [step, epoch] = [STEPS, EPOCHS].map(names => names.map(name => countOf(value(name))).find(isKnown))
  if (step === undefined && epoch === undefined) return undefined
  return { ...(step !== undefined && { step }), ...(epoch !== undefined && { epoch }) }
}

/** What transformers' Trainer writes of a training. */
export const TRAINER_STATE = 'trainer_state.json'

/** The same of what transformers' Trainer writes beside a model; its stamp is added where it is read. */
export async function momentBeside(path: string, stamps: Stamp[]): Promise<Moment | undefined> {
  // It tells no more than when: one that is too long is none.
  const state = await new Relatives([], stamps).config(path, TRAINER_STATE).catch(() => undefined)
  if (typeof state !== 'object' || state === null) return undefined
  return momentIn(key => (Object.hasOwn(state, key) ? (state as Record<string, unknown>)[key] : undefined))
}

/** Epochs may be fractions. Headers of safetensors have texts alone. */
function countOf(value: unknown): number | undefined {
  const text = typeof value === 'string' && value.length <= 24 && /^\d+(?:\.\d+)?$/.test(value)
  const number = text || typeof value === 'number' || typeof value === 'bigint' ? Number(value) : Number.NaN
  return number >= 0 && number <= Number.MAX_SAFE_INTEGER ? number : undefined
}

function isKnown(value: number | undefined): value is number {
  return value !== undefined
}

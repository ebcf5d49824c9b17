import type { CustomMetric, Model } from '../report/schema.ts'

/** Two moments of one training. */
export interface Moments {
  readonly unit: 'step' | 'epoch'
  readonly head: number
  readonly base: number
}

/** Names of custom metrics that say it, where the files do not. */
const GIVEN = { step: ['step', 'steps', 'global_step'], epoch: ['epoch', 'epochs'] } as const

/**
 * How far two trainings had come where both sides tell, in steps before epochs: what is given as a custom metric before what the
 * files say. Whether they are one training, the weights tell.
 * @returns undefined where one of them does not tell, or both are as far
 */
export function momentsOf(
  head: Model,
  base: Model,
  figures: { readonly head: readonly CustomMetric[]; readonly base: readonly CustomMetric[] },
): Moments | undefined {
  for (const unit of ['step', 'epoch'] as const) {
    const [now, before] = [momentOf(unit, head, figures.head), momentOf(unit, base, figures.base)]
    if (now === undefined || before === undefined) continue
    return now === before ? undefined : { unit, head: now, base: before }
  }
  return undefined
}

function momentOf(unit: Moments['unit'], { source }: Model, figures: readonly CustomMetric[]): number | undefined {
  const names: readonly string[] = GIVEN[unit]
  return figures.find(({ name }) => names.includes(name))?.value ?? source[unit]
}

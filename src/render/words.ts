import { BUILT_IN_RULES } from '../policy/built-in.ts'
import { SEEDS } from '../policy/built-in-judge.ts'
import type { LayerMetric } from '../report/columns.ts'
import type { Change, Judgement } from '../report/schema.ts'
import { isJudged } from '../report/state.ts'

/** Where alpha is ideal: WeightWatcher's `over-trained` lies below. */
const IDEAL = 2

/** Which way is better, for the one number that has such a way; empty for the others, and where it did not move. */
export function direction(metric: LayerMetric, { head, base, change }: Change): string {
  if (metric !== 'alpha' || head === null || base === null || !change) return ''
  if (change > 0) return head - IDEAL > IDEAL - base ? 'worse' : 'better'
  return head >= IDEAL ? 'better' : 'over-trained'
}

/** Beyond it more than learning may be behind a heavier tail. */
const MUCH_HEAVIER = BUILT_IN_RULES['heavier-tail'].threshold

/** Change of one layer's tail shape to be shown at once: several times what the mean does between seeds. */
export const SHAPE_MOVED = 0.25

/** What a change of the tail's shape means, for models of one architecture. */
export function shapeWord(change: number): string {
  if (Math.abs(change) <= SEEDS) return 'as between seeds'
  if (change > 0) return 'lighter, worse'
  return change < MUCH_HEAVIER
    ? 'much heavier: more learned, or too much regularisation or learning rate'
    : 'heavier, better'
}

/**
 * Which way is better for the mean alpha, where the shape of the tails can tell whether it moved with the spectrum: its search for
 * xmin makes it jump where the spectrum does not.
 *
 * @param sameLayers whether the means are over the same layers: else they move with those that came or went, too
 */
export function alphaWord(change: Change, judgement: Judgement | undefined, sameLayers = true): string {
  if (judgement && judgement.relation !== 'same') return ''
  const shape = judgement?.primary === 'tail_shape' ? judgement.tail_shape : null
  if (shape === null && judgement?.layers.length) return ''
  if (shape === null || !change.change) return direction('alpha', change)
  if (Math.abs(shape) <= SEEDS || Math.sign(shape) !== Math.sign(change.change)) {
    // Of layers that the shape leaves out, nobody can say whether the spectrum moved; and one that did is not the mean.
    const moved = judgement!.layers.some(layer =>
      isJudged(layer) ? Math.abs(layer.change ?? 0) > SHAPE_MOVED : layer.change !== 0,
    )
    return moved || !sameLayers ? '' : 'xmin moved, the spectrum did not'
  }
  return shape < MUCH_HEAVIER ? '' : direction('alpha', change)
}

/** The same of a mean, where another metric than alpha may be the one to compare. */
export function meanWord(
  metric: LayerMetric,
  change: Change,
  judgement: Judgement | undefined,
  sameLayers = true,
): string {
  if (metric === 'alpha') return alphaWord(change, judgement, sameLayers)
  if (metric !== judgement?.primary || !change.change) return ''
  return change.change < 0 ? 'better' : 'worse'
}

/** What the words mean, in a line. */
export const LEGEND =
  'alpha: lower is better down to about 2; below 2 over-trained, above 6 under-trained. The norms say how large the weights are, not how good.'

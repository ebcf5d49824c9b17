import { expect, test } from 'vitest'
import { alphaWord } from '../../src/render/words.ts'
import type { Judgement } from '../../src/report/schema.ts'

const change = { head: 4.4, base: 4.2, change: 0.2 }

/** A judgement by the shape of tails whose layers changed by so much. */
function judged(
  changes: readonly number[],
  more: Partial<Judgement> = {},
  notes: Judgement['layers'][number]['note'][] = [],
) {
  const layers = changes.map((change, i) => {
    const both = { head: 3, base: 3 }
    return { name: `l${i}`, shape: [64, 64], change, distance: 0, alpha_hill: both, S: both, note: notes[i] ?? '' }
  })
  const tail_shape = changes.reduce((sum, change) => sum + change, 0) / changes.length
  return { relation: 'same', primary: 'tail_shape', tail_shape, layers, ...more } as Judgement
}

const STILL = 'xmin moved, the spectrum did not'

test.each<[string, Judgement | undefined, string]>([
  ['nothing to compare shapes by', undefined, 'worse'],
  ['another architecture', judged([0.5], { relation: 'resized' }), ''],
  ['shapes that stayed', judged([0.01, -0.02]), STILL],
  ['shapes that moved the other way', judged([-0.2, -0.15]), STILL],
  ['shapes that moved with it', judged([0.2, 0.15]), 'worse'],
  ['shapes that stayed on the mean, but for one layer', judged([0.26, ...new Array(17).fill(0)]), ''],
  ['one whose tail became heavier', judged([-0.26, ...new Array(17).fill(0)]), ''],
  ['one at the boundary', judged([0.25, ...new Array(17).fill(0)]), STILL],
  ['a layer with too few eigenvalues that moved', judged([0.01, 0.1], {}, ['', 'few-evals']), ''],
  ['and one that did not', judged([0.01, 0], {}, ['', 'few-evals']), STILL],
])('of alpha: %s', (_, judgement, word) => {
  expect(alphaWord(change, judgement)).toBe(word)
  if (word === STILL) expect(alphaWord(change, judgement, false)).toBe('')
})

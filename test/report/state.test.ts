import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Layer } from '../../src/report/schema.ts'
import { ADVICE_NAMES, adviceOf, adviceTable } from '../../src/report/state.ts'
import { analyseTensors } from '../support/analyse.ts'
import { layer } from '../support/models.ts'

/** A layer of which nothing is advised. */
const FINE = { S: 9, D: 0.05, num_pl_spikes: 40, rank_loss: 0, num_evals: 100, warning: '' as const }

test.each<[string, Partial<Layer>, string[]]>([
  ['nothing', {}, []],
  ['S at its bound', { S: 2.3 }, ['random-like']],
  ['S above it', { S: 2.31 }, []],
  ['S that was not computed', { S: null }, []],
  ['an alpha below 2', { warning: 'over-trained' }, ['over-trained']],
  ['an alpha above 6', { warning: 'under-trained' }, ['under-trained']],
  ['a trap', { rand_num_spikes: 1 }, ['correlation-trap']],
  ['no trap', { rand_num_spikes: 0 }, []],
  ['a tenth of the rank', { rank_loss: 10 }, ['rank-collapsed']],
  ['less than that', { rank_loss: 9 }, []],
  ['no eigenvalues at all', { num_evals: 0, rank_loss: 0 }, []],
  // (0.208 − 0.005)·(6.325 + 0.26 + 0.079) = 1.353; of 0.2 it is 1.299.
  ['D beyond chance', { D: 0.208 }, ['poor-fit']],
  ['D within it', { D: 0.2 }, []],
  ['the same D of fewer eigenvalues', { D: 0.208, num_pl_spikes: 20 }, []],
  ['a smaller D of more', { D: 0.1, num_pl_spikes: 400 }, ['poor-fit']],
  ['no fit', { D: 0.5, status: 'degenerate' }, []],
  ['what could not be read', { S: 1, rank_loss: 99, status: 'error' }, []],
])('%s', (_, more, expected) => {
  expect(adviceOf(layer('a', 3, { ...FINE, ...more }))).toEqual(expected)
})

test('a matrix of half its rank, and noise', async () => {
  let state = 12345
  const uniform = () => {
    state = (state * 1103515245 + 12345) % 2147483648
    return state / 2147483648 - 0.5
  }
  const noise = Array.from({ length: 100 * 60 }, uniform)
  // The second half of the columns repeats the first.
  const half = noise.map((_, i) => noise[60 * Math.floor(i / 60) + (i % 30)])
  const { layers } = await analyseTensors({
    half: { dtype: 'F32', shape: [100, 60], values: half },
    noise: { dtype: 'F32', shape: [100, 60], values: noise },
  })
  const advice = Object.fromEntries(layers.map(row => [row.name, adviceOf(row)]))
  expect(advice.half).toContain('rank-collapsed')
  expect(advice.half).not.toContain('random-like')
  expect(advice.noise).toContain('random-like')
  expect(advice.noise).not.toContain('rank-collapsed')
})

test('the documentation has each', () => {
  expect(readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')).toContain(adviceTable())
  expect(adviceTable().trim().split('\n')).toHaveLength(2 + ADVICE_NAMES.length)
})

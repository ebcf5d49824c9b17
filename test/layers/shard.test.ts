import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseShard, shardPositions } from '../../src/layers/shard.ts'

test('shards have every layer once, and no more work than 4/3 of the least possible', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 1e9 }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      (costs, of) => {
        const shards = Array.from({ length: of }, (_, i) => shardPositions(costs, { index: i + 1, of }))
        expect(shards.flat().sort((a, b) => a - b)).toEqual(costs.map((_, i) => i))
        const load = shards.map(shard => shard.reduce((sum, i) => sum + costs[i]!, 0))
        const sorted = [...costs].sort((a, b) => b - a)
        const total = costs.reduce((sum, cost) => sum + cost, 0)
        const least = Math.max(total / of, sorted[0] ?? 0, (sorted[of - 1] ?? 0) + (sorted[of] ?? 0))
        expect(Math.max(...load)).toBeLessThanOrEqual((4 / 3) * least + 1e-6)
      },
    ),
  )
})

test('a shard is i/n', () => {
  expect(parseShard(' 2/4 ')).toEqual({ index: 2, of: 4 })
  for (const text of ['0/4', '5/4', '1/0', '1/257', '1', '1/2/3', '-1/2', 'a/b', '1/1e2'])
    expect(() => parseShard(text), text).toThrow(/takes i\/n/)
})

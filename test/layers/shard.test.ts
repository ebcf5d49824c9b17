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

test('a shard at its bounds', () => {
  expect(parseShard('1/1')).toEqual({ index: 1, of: 1 })
  expect(parseShard('256/256')).toEqual({ index: 256, of: 256 })
  expect(parseShard('  12  /  34  ')).toEqual({ index: 12, of: 34 })
  for (const text of ['257/257', '1000/1000', '', '/', '1/'])
    expect(() => parseShard(text), text).toThrow(/takes i\/n with 1 ≤ i ≤ n ≤ 256/)
})

test('a cost that is no number is a fault, and hides no layer', () => {
  expect(() => shardPositions([1, Number.NaN], { index: 1, of: 1 })).toThrow(RangeError)
})

test('the longest first, of equal ones the first, each to the shard with least to do', () => {
  const shards = (costs: number[], of: number) =>
    Array.from({ length: of }, (_, i) => shardPositions(costs, { index: i + 1, of }))
  expect(shards([1, 10, 5, 4], 2)).toEqual([[1], [0, 2, 3]])
  expect(shards([2, 2, 2, 2], 2)).toEqual([
    [0, 2],
    [1, 3],
  ])
  expect(shards([3], 2)).toEqual([[0], []])
})

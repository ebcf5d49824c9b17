import { expect, test } from 'vitest'
import { pairModels } from '../../src/comparison/pair.ts'
import { layer, model } from '../support/models.ts'

/** The names that are paired, of layers of one shape unless a name ends in another's. */
function matched(head: string[], base: string[]): [string, string][] {
  const of = (names: string[]) => [
    model(
      'net',
      names.map((name, i) => ({ ...layer(name, 3), shape: [40 + i, 64] })),
    ),
  ]
  return pairModels(of(head), of(base)).pairs[0]!.matched.map(pair => [pair.head.name, pair.base.name])
}

test("a prefix that all layers of one side have, as Lightning's beside a foreign key", () => {
  expect(matched(['model.fc', 'model.g'], ['fc', 'g'])).toEqual([
    ['model.fc', 'fc'],
    ['model.g', 'g'],
  ])
  expect(matched(['fc', 'g'], ['net.backbone.fc', 'net.backbone.g'])).toHaveLength(2)
  expect(matched(['model.fc', 'model.g', 'head'], ['fc', 'g', 'old'])).toHaveLength(2)
})

test('a prefix of its own on each side', () => {
  expect(matched(['model.fc', 'model.g', 'criterion'], ['net.fc', 'net.g', 'loss'])).toEqual([
    ['model.fc', 'net.fc'],
    ['model.g', 'net.g'],
  ])
})

test('what adapters put around a layer', () => {
  expect(matched(['base_model.model.q.base_layer', 'base_model.model.k'], ['q', 'k'])).toHaveLength(2)
})

test('a new layer that ends as an old one is called is no old one renamed', () => {
  expect(matched(['fc', 'g', 'aux.h'], ['fc', 'g', 'h'])).toEqual([
    ['fc', 'fc'],
    ['g', 'g'],
  ])
  expect(matched(['a.x', 'b.y', 'c.z'], ['x', 'y', 'z'])).toEqual([])
})

test('where two would fit, neither is taken', () => {
  const twins = [{ ...layer('m.a.base_layer', 3) }, { ...layer('m.module.a', 3) }]
  const { pairs } = pairModels([model('net', twins)], [model('net', [layer('m.a', 3)])])
  expect(pairs[0]!.matched).toEqual([])
})

test('renamed layers, by their name or the beginning of it, the longest first', () => {
  const renames = [
    { from: 'a.', to: 'x.' },
    { from: 'a.b.', to: 'y.' },
    { from: 'fc', to: 'head' },
  ]
  const pairs = (heads: string[], bases: string[]) =>
    pairModels(
      [
        model(
          'net',
          heads.map(name => layer(name, 3)),
        ),
      ],
      [
        model(
          'net',
          bases.map(name => layer(name, 3)),
        ),
      ],
      renames,
    ).pairs[0]!.matched.map(({ head, base }) => [head.name, base.name])
  expect(pairs(['x.q', 'y.q', 'head', 'k'], ['a.q', 'a.b.q', 'fc', 'k'])).toEqual([
    ['x.q', 'a.q'],
    ['y.q', 'a.b.q'],
    ['head', 'fc'],
    ['k', 'k'],
  ])
  // A baseline that has the new names already, and a name that is no whole one.
  expect(pairs(['x.q', 'head'], ['x.q', 'head'])).toHaveLength(2)
  expect(pairs(['header', 'z'], ['fcer', 'z'])).toEqual([['z', 'z']])
})

import { expect, test } from 'vitest'
import { pairModels, type Rename } from '../../src/comparison/pair.ts'
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

test('a namesake takes no layer’s place: the exact key decides', () => {
  const of = (...layers: [name: string, tensor: string][]) =>
    model(
      'net',
      layers.map(([name, tensor]) => layer(name, 3, { tensor })),
    )
  const pairs = (head: ReturnType<typeof of>, base: ReturnType<typeof of>, renames: Rename[] = []) =>
    pairModels([head], [base], renames).pairs[0]!.matched.map(({ head, base }) => [head.tensor, base.tensor])
  const decoy = of(['l5', 'l5'], ['l5.weight', 'l5.weight'])
  const plain = of(['l5', 'l5.weight'])
  expect(pairs(decoy, plain)).toEqual([['l5.weight', 'l5.weight']])
  expect(pairs(plain, decoy)).toEqual([['l5.weight', 'l5.weight']])
  expect(pairs(of(['b', 'b']), of(['a', 'a'], ['b', 'b']), [{ from: 'a', to: 'b' }])).toEqual([['b', 'b']])
  expect(pairs(of(['a', 'a']), of(['a', 'a']), [{ from: 'a', to: 'b' }])).toEqual([['a', 'a']])
})

test('what PEFT trained a copy of is called as the module was', () => {
  expect(matched(['l.5.modules_to_save.default', 'l.6'], ['l.5', 'l.6'])).toHaveLength(2)
  expect(matched(['l.modules_to_saves.default'], ['l'])).toEqual([])
  expect(matched(['a.base_model.b'], ['a.b'])).toEqual([])
  expect(matched(['a.modules_to_save'], ['a'])).toEqual([])
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

test('renames go with names that the baseline has already', () => {
  const of = (...names: string[]) => [
    model(
      'net',
      names.map(name => layer(name, 3, { tensor: `${name}.other` })),
    ),
  ]
  const renames = [{ from: 'fc', to: 'head' }]
  const pairs = (heads: string[], bases: string[]) => {
    const [{ matched }] = pairModels(of(...heads), of(...bases), renames).pairs as [
      ReturnType<typeof pairModels>['pairs'][0],
    ]
    return matched.map(({ head, base }) => [head.name, base.name])
  }
  expect(pairs(['head', 'fc'], ['fc', 'z'])).toEqual([['head', 'fc']])
  expect(pairs(['fc'], ['fc'])).toEqual([['fc', 'fc']])
})

test('a prefix is one where at least half of the fewer layers have it, and more than have partners', () => {
  // Two of four fit: half.
  expect(matched(['m.a', 'm.b', 'x', 'y'], ['a', 'b', 'u', 'v'])).toHaveLength(2)
  expect(matched(['m.a', 'x', 'y', 'z'], ['a', 'u', 'v', 'w'])).toEqual([])
  // The side with fewer layers counts.
  expect(matched(['m.a', 'm.b', 'x', 'y', 'z', 'w', 'q'], ['a', 'b', 'u'])).toHaveLength(2)
  // As many as have partners already is not enough.
  expect(matched(['c', 'd', 'm.a', 'm.b'], ['c', 'd', 'a', 'b'])).toHaveLength(2)
  expect(matched(['c', 'm.a', 'm.b'], ['c', 'a', 'b'])).toHaveLength(3)
})

test('the prefix that most have wins, four components deep at most', () => {
  expect(matched(['p.a', 'q.b', 'q.c'], ['a', 'b', 'c'])).toEqual([
    ['q.b', 'b'],
    ['q.c', 'c'],
  ])
  expect(matched(['q.b', 'q.c', 'p.a'], ['b', 'c', 'a'])).toEqual([
    ['q.b', 'b'],
    ['q.c', 'c'],
  ])
  expect(matched(['1.2.3.4.a', '1.2.3.4.b'], ['a', 'b'])).toHaveLength(2)
  expect(matched(['1.2.3.4.5.a', '1.2.3.4.5.b'], ['a', 'b'])).toEqual([])
})

test('a first component of its own on each side: that which more than half have', () => {
  expect(matched(['x.o', 'm.a', 'm.b', 'm.c'], ['n.a', 'n.b', 'n.c', 'y.o'])).toHaveLength(0)
  const names = (prefix: string, other: string) => [`${prefix}.a`, `${prefix}.b`, `${prefix}.c`, `${other}`]
  expect(matched(names('m', 'x.o'), names('n', 'y.p'))).toEqual([
    ['m.a', 'n.a'],
    ['m.b', 'n.b'],
    ['m.c', 'n.c'],
  ])
  // Half is not enough.
  expect(matched(['m.a', 'm.b', 'x.o', 'z.p'], ['n.a', 'n.b', 'y.u', 'w.v'])).toEqual([])
  // Nor are as few as have partners already.
  expect(matched(['c', 'd', 'm.a', 'm.b'], ['c', 'd', 'n.a', 'n.b'])).toHaveLength(2)
})

test("a wrapper's component is whole, wherever it stands", () => {
  expect(matched(['a.module.b', 'xmodule.c'], ['a.b', 'c'])).toEqual([['a.module.b', 'a.b']])
  expect(matched(['a.modules.b'], ['a.b'])).toEqual([])
})

test('namesakes are refused, on which side they are', () => {
  const two = [model('x', []), model('x', [])]
  expect(() => pairModels(two, [])).toThrow('Two models are called "x".')
  expect(() => pairModels([model('a', [])], two)).toThrow('The baseline has two models called "x".')
})

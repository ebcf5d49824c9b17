import { expect, test } from 'vitest'
import { pairModels, type Rename } from '../../src/comparison/pair.ts'
import { byPlace } from '../../src/comparison/places.ts'
import type { Skipped } from '../../src/report/schema.ts'
import { layer, model } from '../support/models.ts'

/** Rows in places 0, 1, …, which `-` leaves empty: `name` or `name:columns`. */
const rows = (...names: string[]) =>
  names.flatMap((text, i) => {
    const [tensor = '', columns = '4'] = text.split(':')
    return tensor === '-' ? [] : [{ tensor, shape: [4, Number(columns)], place: String(i) }]
  })

test.each<[string, string[], string[], [string, string][], [string, string][]]>([
  ['the same', ['a', 'b'], ['a', 'b'], [], []],
  [
    'other names',
    ['x', 'y'],
    ['a', 'b'],
    [
      ['a', 'x'],
      ['b', 'y'],
    ],
    [],
  ],
  [
    'numbers that moved on by one',
    ['d_1', 'd_2'],
    ['d', 'd_1'],
    [
      ['d', 'd_1'],
      ['d_1', 'd_2'],
    ],
    [],
  ],
  [
    'two exchanged',
    ['b', 'a', 'c'],
    ['a', 'b', 'c'],
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    [
      ['b', 'a'],
      ['a', 'b'],
    ],
  ],
  [
    'three in a round',
    ['c', 'a', 'b'],
    ['a', 'b', 'c'],
    [
      ['a', 'c'],
      ['b', 'a'],
      ['c', 'b'],
    ],
    [
      ['c', 'a'],
      ['a', 'b'],
      ['b', 'c'],
    ],
  ],
  [
    'one in the place of another, with a new one in its own',
    ['b', 'n'],
    ['a', 'b'],
    [
      ['a', 'b'],
      ['b', 'n'],
    ],
    [],
  ],
  ['one that came between', ['a', 'n', 'b'], ['a', 'b'], [], []],
  ['one that went', ['b'], ['a', 'b'], [], []],
  [
    'exchanged beside one that came',
    ['b', 'a', 'n'],
    ['a', 'b'],
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    [
      ['b', 'a'],
      ['a', 'b'],
    ],
  ],
  [
    'exchanged beside one that went',
    ['b', 'a', '-', 'd'],
    ['a', 'b', 'c', 'd'],
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    [
      ['b', 'a'],
      ['a', 'b'],
    ],
  ],
  [
    'names of which neither side knows the other’s, beside one that came',
    ['x', 'b', 'n'],
    ['a', 'b'],
    [['a', 'x']],
    [],
  ],
  ['another shape in the place', ['x:5', 'b'], ['a', 'b'], [], []],
  ['exchanged with another shape', ['b', 'a:5'], ['a', 'b'], [], []],
  ['a baseline without places', ['a', 'b'], [], [], []],
])('%s', (_, head, base, names, exchanged) => {
  const found = byPlace(rows(...head), rows(...base))
  expect([...found.names].sort()).toEqual([...names].sort())
  expect([...found.exchanged].sort()).toEqual([...exchanged].sort())
})

test('a tensor that is split has a row for each of its shapes', () => {
  const split = (tensor: string, ...columns: number[]) => columns.map(n => ({ tensor, shape: [4, n], place: '0' }))
  expect(byPlace(split('a', 1, 2), split('b', 1, 2)).names).toEqual(new Map([['b', 'a']]))
  expect(byPlace(split('a', 1, 2), split('b', 1, 3)).names).toEqual(new Map())
})

const placed = (names: string[], more: Partial<Skipped>[] = []) => ({
  ...model(
    'net',
    names.map((name, i) => layer(name, 3, { tensor: `${name}/kernel`, place: `${i}/0` })),
  ),
  skipped: more.map((row, i): Skipped => {
    return { tensor: '', shape: [64], dtype: 'F32', code: 'rank', reason: '1-D', place: `${i}/1`, ...row }
  }),
})
const paired = (head: ReturnType<typeof placed>, base: ReturnType<typeof placed>, renames: Rename[] = []) =>
  pairModels([head], [base], renames)

test('layers of one place are a pair, and so is what is beside them', () => {
  const [head, base] = [placed(['b', 'a'], [{ tensor: 'b/bias' }]), placed(['a', 'b'], [{ tensor: 'a/bias' }])]
  const { pairs, removed } = paired(head, base)
  const [pair] = pairs
  expect(pair!.matched.map(({ head, base }) => [head.name, head.place, base.place])).toEqual([
    ['b', '0/0', '0/0'],
    ['a', '1/0', '1/0'],
  ])
  expect(pair!.base?.skipped.map(({ tensor }) => tensor)).toEqual(['b/bias'])
  expect([pair!.exchanged, removed]).toEqual([
    new Map([
      ['b/kernel', 'a/kernel'],
      ['a/kernel', 'b/kernel'],
    ]),
    [],
  ])
})

test('what rename says of a layer comes before places', () => {
  const renames = [
    { from: 'a', to: 'b' },
    { from: 'b', to: 'a' },
  ]
  const [pair] = paired(placed(['b', 'a']), placed(['b', 'a']), renames).pairs
  expect(pair!.matched.map(({ head, base }) => [head.name, base.name])).toEqual([
    ['b', 'a'],
    ['a', 'b'],
  ])
  expect(pair!.exchanged).toBeUndefined()
})

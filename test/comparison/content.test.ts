import { describe, expect, test } from 'vitest'
import { compare } from '../../src/comparison/compare.ts'
import { compareCustomMetrics } from '../../src/comparison/custom-metrics.ts'
import { pairModels } from '../../src/comparison/pair.ts'
import { subtract } from '../../src/comparison/subtract.ts'
import { tensorChanges } from '../../src/comparison/tensors.ts'
import type { Comparison, Layer, Model, Skipped } from '../../src/report/schema.ts'
import { defaults } from '../support/analyse.ts'
import { layer, model } from '../support/models.ts'

const row = (tensor: string, digest?: string, shape = [8]): Skipped => ({
  ...{ tensor, shape, dtype: 'F32', code: 'rank', reason: '1-D' },
  ...(digest !== undefined && { digest }),
})
const with_ = (layers: Layer[], skipped: Skipped[] = []): Model => ({ ...model('m', layers), skipped })

function compared(head: Model, base: Model, options = defaults): Comparison['models'][number] {
  const baseline = { path: 'b', kind: 'report' as const, options: defaults, models: [base] }
  return compare([head], options, baseline).comparison.models[0]
}

describe('the content of tensors', () => {
  const same = with_([layer('a', 2, { digest: 'A' })], [row('a.bias', 'B'), row('bn', 'C')])

  test('same bytes, and none missing', () => {
    expect(compared(same, same).tensors).toEqual({ same: true, changed: [], added: [], removed: [] })
  })

  test('what an older version did not hash is not called the same, nor changed', () => {
    const older = with_([layer('a', 2)], [row('a.bias'), row('bn')])
    expect(compared(same, older).tensors).toEqual({ same: false, changed: [], added: [], removed: [] })
    expect(compared(older, older).tensors).toMatchObject({ same: false })
    const half = with_([layer('a', 2, { digest: 'A' })], [row('a.bias'), row('bn', 'C')])
    expect(compared(same, half).tensors).toEqual({ same: false, changed: [], added: [], removed: [] })
    expect(compared(half, same).tensors).toEqual({ same: false, changed: [], added: [], removed: [] })
  })

  test('a layer whose bytes changed and whose numbers did not is listed, one whose numbers did is not', () => {
    const head = with_([layer('a', 2, { digest: 'X' }), layer('b', 3, { digest: 'Y' })])
    const base = with_([layer('a', 2, { digest: 'A' }), layer('b', 2, { digest: 'B' })])
    expect(compared(head, base).tensors).toEqual({ same: false, changed: ['a.weight'], added: [], removed: [] })
    expect(compared(head, base).layers.map(({ name }) => name)).toEqual(['b'])
  })

  test('skipped tensors that changed, came and went; a shape is part of the name', () => {
    const head = with_([], [row('a', 'A2'), row('new', 'N'), row('s', 'S', [4])])
    const base = with_([], [row('a', 'A'), row('old', 'O'), row('s', 'S', [5])])
    expect(compared(head, base).tensors).toEqual({
      same: false,
      changed: ['a'],
      added: ['new', 's'],
      removed: ['old', 's'],
    })
  })

  test('a layer that came or went is no equal model', () => {
    const more = with_([layer('a', 2, { digest: 'A' }), layer('b', 2, { digest: 'B' })])
    const less = with_([layer('a', 2, { digest: 'A' })])
    expect(compared(more, less).tensors!.same).toBe(false)
    expect(compared(less, more).tensors!.same).toBe(false)
  })

  test('there is none where nothing could be compared', () => {
    const baseline = { path: 'b', kind: 'report' as const, options: defaults, models: [model('x', []), model('y', [])] }
    const [alone] = compare([same], defaults, baseline).comparison.models
    expect(alone).toMatchObject({ base: null, summary: null, added: [], removed: [], matched: 0 })
    expect(alone).not.toHaveProperty('tensors')
    const other = compared(same, same, { ...defaults, min_evals: 50 })
    expect(other).toMatchObject({ summary: null, layers: [], matched: 1 })
    expect(other).not.toHaveProperty('tensors')
    expect(other).not.toHaveProperty('shared_alpha')
  })
})

describe('alpha over the layers fitted on both sides', () => {
  const kept = [layer('a', 2), layer('b', 4)]
  const shared = (head: Layer[], base: Layer[]) => compared(model('m', head), model('m', base)).shared_alpha

  test.each<[string, Layer[], Layer[], [number, number]]>([
    ['a layer that went', kept, [...kept, layer('bad', 9)], [3, 3]],
    ['a layer that went without a fit', kept, [...kept, layer('bad', null)], [3, 3]],
    ['a layer that came', [...kept, layer('good', 1.5)], kept, [3, 3]],
    ['a layer that lost its fit', [...kept, layer('bad', null)], [...kept, layer('bad', 9)], [3, 3]],
    ['a layer that has a fit now', [...kept, layer('bad', 9)], [...kept, layer('bad', null)], [3, 3]],
    ['and one that moved', [layer('a', 3), layer('b', 4)], [...kept, layer('c', 1)], [3.5, 3]],
  ])('%s', (_, head, base, [now, before]) => {
    expect(shared(head, base)).toEqual({ layers: 2, head: now, base: before, change: now - before })
  })

  test.each<[string, Layer[], Layer[]]>([
    ['nothing changed', kept, kept],
    ['a value changed', [layer('a', 3), layer('b', 4)], kept],
    ['never fitted', [...kept, layer('c', null)], [...kept, layer('c', null)]],
    ['a layer without a fit came', [...kept, layer('c', null)], kept],
    ['none fitted on both sides', [layer('a', null), layer('b', 4)], [layer('a', 2), layer('b', null)]],
  ])('nothing to tell: %s', (_, head, base) => expect(shared(head, base)).toBeUndefined())
})

describe('layers', () => {
  test('the largest change of alpha first, those without one last; a changed status is a change', () => {
    const head = [layer('a', 2), layer('b', 5), layer('c', null), layer('d', 2, { log_norm: 9 }), layer('e', 1)]
    const base = [layer('a', 2), layer('b', 4), layer('c', 4), layer('d', 2), layer('e', 3)]
    const { layers, matched } = compared(model('m', head), model('m', base))
    expect(layers.map(({ name }) => name)).toEqual(['e', 'b', 'c', 'd'])
    expect(layers[2].status).toEqual({ head: 'failed', base: 'success' })
    expect(layers[2].alpha).toEqual({ head: null, base: 4, change: null })
    expect(matched).toBe(5)
    const degenerate = [layer('a', 2, { status: 'degenerate' })]
    expect(compared(model('m', degenerate), model('m', [layer('a', 2)])).layers).toHaveLength(1)
  })

  test('parts of one tensor are layers of their own', () => {
    const head = model('m', [layer('a', 2, { part: 'q' }), layer('a', 3, { part: 'k' })])
    const base = model('m', [layer('a', 2, { part: 'q' }), layer('a', 2, { part: 'v' })])
    const { added, removed, matched } = compared(head, base)
    expect({ added, removed, matched }).toEqual({
      added: [{ name: 'a', shape: [64, 64], part: 'k' }],
      removed: [{ name: 'a', shape: [64, 64], part: 'v' }],
      matched: 1,
    })
    expect(compared(model('m', [layer('x', 1), layer('a', 1)]), model('m', [layer('a', 1)])).added).toEqual([
      { name: 'x', shape: [64, 64] },
    ])
  })
})

test('custom metrics: the head’s in their order, then the baseline’s; which way is better is the newest word', () => {
  const head = [
    { name: 'accuracy', value: 0.9, better: 'higher' as const },
    { name: 'steps', value: 10 },
  ]
  const base = [
    { name: 'loss', value: 1, better: 'lower' as const },
    { name: 'accuracy', value: 0.5 },
  ]
  expect(compareCustomMetrics(head, base)).toEqual([
    { name: 'accuracy', better: 'higher', head: 0.9, base: 0.5, change: 0.4 },
    { name: 'steps', head: 10, base: null, change: null },
    { name: 'loss', better: 'lower', head: null, base: 1, change: null },
  ])
  const baseline = { path: 'b', kind: 'report' as const, options: defaults, models: [], figures: base }
  expect(compare([], defaults, baseline, head).comparison.figures).toHaveLength(3)
  expect(compare([], defaults, { ...baseline, figures: undefined }).comparison).not.toHaveProperty('figures')
})

test('a difference beyond a double is none', () => {
  expect(subtract(3, 1)).toBe(2)
  expect(subtract(null, 1)).toBeNull()
  expect(subtract(1, null)).toBeNull()
  expect(subtract(1e308, -1e308)).toBeNull()
})

describe('what a solver rounds', () => {
  test.each<[number, number, number]>([
    [1e6 + 0.9e-5, 1e6, 0],
    [1e6 + 1.2e-5, 1e6, 1],
    [-1e6 - 0.9e-5, -1e6, 0],
    [-1e6 - 1.2e-5, -1e6, -1],
    [0.9e-13, 0, 0],
    [1.2e-13, 0, 1],
    // The larger side counts.
    [1.0e-13, -0.5e-13, 1],
  ])('%s and %s', (head, base, sign) => {
    expect(Math.sign(subtract(head, base)!)).toBe(sign)
    expect(Math.sign(subtract(base, head)!) + 0).toBe(-sign + 0)
  })

  test('a difference of exactly as much is none', () => expect(subtract(1e-13, 0)).toBe(0))
  test('a side without a value, or beyond a double', () => {
    expect([subtract(null, 1), subtract(1, null), subtract(1.7e308, -1.7e308)]).toEqual([null, null, null])
  })
})

describe('what became of each tensor', () => {
  const changes = (head: Model, base?: Model) =>
    Object.fromEntries(
      tensorChanges(pairModels([head], base ? [base] : []).pairs[0]!).map(({ row, became }) => [
        `${row.name} ${row.shape}`,
        became,
      ]),
    )

  test('layers and the rest, by content', () => {
    const head = with_(
      [layer('a', 2, { digest: 'A' }), layer('b', 2, { digest: 'B2' }), layer('c', 2), layer('new', 2)],
      [row('a.bias', 'X'), row('b.bias', 'Y2'), row('c.bias'), row('n.bias', 'N'), row('none', 'D', [0])],
    )
    const base = with_(
      [layer('a', 2, { digest: 'A' }), layer('b', 2, { digest: 'B' }), layer('c', 2, { digest: 'C' }), layer('old', 2)],
      [row('a.bias', 'X'), row('b.bias', 'Y'), row('c.bias', 'Z'), row('o.bias', 'O'), row('none', 'E', [0])],
    )
    expect(changes(head, base)).toEqual({
      ...{
        'a 64,64': 'same',
        'b 64,64': 'changed',
        'c 64,64': 'unknown',
        'new 64,64': 'added',
        'old 64,64': 'removed',
      },
      ...{
        'a.bias 8': 'same',
        'b.bias 8': 'changed',
        'c.bias 8': 'unknown',
        'n.bias 8': 'added',
        'o.bias 8': 'removed',
      },
      'none 0': 'same',
    })
    expect(new Set(Object.values(changes(head)))).toEqual(new Set(['added']))
  })

  test('rows of one tensor are one, which says most; what went is apart', () => {
    const of = (parts: Record<string, string | undefined>, shape = [64, 64]) =>
      with_(
        Object.entries(parts).map(([part, digest]) =>
          layer('a', 2, { part, shape, tensor: 'a.weight', ...(digest !== undefined && { digest }) }),
        ),
      )
    expect(changes(of({ q: 'Q', k: 'K' }), of({ q: 'Q', k: 'K' }))).toEqual({ 'a 64,64': 'same' })
    expect(changes(of({ q: 'Q', k: 'K' }), of({ q: 'Q', k: 'L' }))).toEqual({ 'a 64,64': 'changed' })
    expect(changes(of({ q: 'P', k: 'K' }), of({ q: 'Q', k: 'K' }))).toEqual({ 'a 64,64': 'changed' })
    expect(changes(of({ q: 'Q', k: undefined }), of({ q: 'Q', k: 'K' }))).toEqual({ 'a 64,64': 'unknown' })
    expect(changes(of({ q: undefined, k: 'L' }), of({ q: 'Q', k: 'K' }))).toEqual({ 'a 64,64': 'changed' })
    expect(tensorChanges(pairModels([of({ q: 'Q' })], [of({ q: 'Q' }, [8, 8])]).pairs[0]!).map(c => c.became)).toEqual([
      'added',
      'removed',
    ])
  })

  test('what an optimizer keeps is no part of the model', () => {
    const state = { ...row('m.a', 'S'), code: 'optimizer' as const }
    expect(changes(with_([], [state, row('b', 'B')]), with_([], [row('b', 'B')]))).toEqual({ 'b 8': 'same' })
  })

  test("a wrapper's prefix does not matter", () => {
    expect(
      changes(with_([], [row('module.a', 'A'), row('module.b', 'B')]), with_([], [row('a', 'A'), row('b', 'C')])),
    ).toEqual({
      'a 8': 'same',
      'b 8': 'changed',
    })
  })
})

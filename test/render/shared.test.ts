import { expect, test } from 'vitest'
import { compare } from '../../src/comparison/compare.ts'
import { sharedAlpha } from '../../src/render/shared.ts'
import { renderText } from '../../src/render/text.ts'
import type { Layer, Report } from '../../src/report/schema.ts'
import { defaults } from '../support/analyse.ts'
import { layer, model } from '../support/models.ts'

function compared(head: Layer[], base: Layer[]): Report {
  const models = [model('m', head)]
  const baseline = { path: 'b', kind: 'report' as const, options: defaults, models: [model('m', base)] }
  const { comparison } = compare(models, defaults, baseline)
  return { schemaVersion: 1, tool: { name: 'spectral-gate', version: '0' }, options: defaults, models, comparison }
}
const sentence = (head: Layer[], base: Layer[]) => {
  const report = compared(head, base)
  return sharedAlpha(report, report.models[0])
}

const kept = [layer('a', 2), layer('b', 4)]

test.each<[string, Layer[], Layer[]]>([
  ['a layer that went', kept, [...kept, layer('bad', 9)]],
  ['a layer that came', [...kept, layer('good', 1.5)], kept],
  ['a layer that lost its fit', [...kept, layer('bad', null)], [...kept, layer('bad', 9)]],
  ['a layer that has a fit now', [...kept, layer('bad', 9)], [...kept, layer('bad', null)]],
])('%s moves the mean, and the mean of the others is told', (_, head, base) => {
  expect(sentence(head, base)).toBe('over the 2 layers fitted on both sides: 3.000 → 3.000 (0)')
})

test.each<[string, Layer[], Layer[]]>([
  ['nothing changed', kept, kept],
  ['a value changed', [layer('a', 3), layer('b', 4)], kept],
  ['never fitted', [...kept, layer('c', null)], [...kept, layer('c', null)]],
  ['none in common', [layer('x', 2)], kept],
])('nothing to tell: %s', (_, head, base) => {
  expect(sentence(head, base)).toBe('')
})

test('the terminal shows what came and what went', () => {
  const text = renderText(compared([...kept, layer('good', 1.5)], [...kept, layer('bad', 9)]))
  expect(text).toMatch(/^good .* new \|/m)
  expect(text).toContain('\ngone: bad\nalpha over the 2 layers')
})

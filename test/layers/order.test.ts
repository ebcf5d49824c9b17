import fc from 'fast-check'
import { expect, test } from 'vitest'
import { naturalOrder } from '../../src/layers/order.ts'

const ordered = (names: string[]) => naturalOrder(names).map(i => names[i])

test.each<[string, string[], string[]]>([
  ['as text sorts', ['h.0.a', 'h.10.a', 'h.2.a', 'wte'], ['h.0.a', 'h.2.a', 'h.10.a', 'wte']],
  ['as a model is built', ['conv1', 'layer1.0', 'layer2.0', 'fc'], ['conv1', 'layer1.0', 'layer2.0', 'fc']],
  ['numbers within words', ['conv10', 'conv2', 'conv1'], ['conv1', 'conv2', 'conv10']],
  ['leading zeros', ['b.010', 'b.02', 'b.1'], ['b.1', 'b.02', 'b.010']],
  ['what is between', ['x.10.q', 'x.10.k', 'x.9.q', 'x.9.k'], ['x.9.q', 'x.9.k', 'x.10.q', 'x.10.k']],
])('%s', (_, names, expected) => expect(ordered(names)).toEqual(expected))

test('every name stands once, and in order it stays', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.stringMatching(/^[a-c.]{0,3}\d{0,3}[.x]?\d{0,2}$/)), names => {
      const once = ordered(names)
      expect([...once].sort()).toEqual([...names].sort())
      expect(ordered(once)).toEqual(once)
    }),
  )
})

test('as many layers as a checkpoint may have', () => {
  const names = Array.from({ length: 250_000 }, (_, i) => `layer${250_000 - i}`)
  expect(naturalOrder(names)[0]).toBe(249_999)
})

test('names made to fill the memory keep their order', () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `${20_000 - i}${'9a'.repeat(500)}`)
  expect(ordered(names)).toEqual(names)
})

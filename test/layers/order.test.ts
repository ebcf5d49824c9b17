import fc from 'fast-check'
import { expect, test } from 'vitest'
import { naturalOrder } from '../../src/layers/order.ts'

const ordered = (names: string[]) => naturalOrder(names).map(i => names[i])

test.each<[string, string[], string[]]>([
  ['as text sorts', ['h.0.a', 'h.10.a', 'h.2.a', 'wte'], ['h.0.a', 'h.2.a', 'h.10.a', 'wte']],
  ['as a model is built', ['conv1', 'layer1.0', 'layer2.0', 'fc'], ['conv1', 'layer1.0', 'layer2.0', 'fc']],
  ['numbers within words', ['conv10', 'conv2', 'conv1'], ['conv1', 'conv2', 'conv10']],
  ['leading zeros', ['b.010', 'b.02', 'b.1'], ['b.1', 'b.02', 'b.010']],
  ['zeros that lead', ['b.0002', 'b.001', 'b.00', 'b.10'], ['b.00', 'b.001', 'b.0002', 'b.10']],
  ['zeros within', ['b.201', 'b.2010', 'b.21'], ['b.21', 'b.201', 'b.2010']],
  ['equal numbers stay', ['b.02', 'b.2', 'b.002'], ['b.02', 'b.2', 'b.002']],
  ['words that begin with a digit later', ['a.x1', 'a.2', 'a.x0', 'a.1'], ['a.x0', 'a.x1', 'a.1', 'a.2']],
  ['of one length', ['b.31', 'b.12', 'b.25', 'b.20'], ['b.12', 'b.20', 'b.25', 'b.31']],
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

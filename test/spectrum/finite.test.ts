import { expect, test } from 'vitest'
import { DTYPE_BITS, FLOATS } from '../../src/checkpoint/types.ts'
import { widen } from '../../src/checkpoint/widen.ts'
import { firstNonFinite, largestMagnitude } from '../../src/spectrum/finite.ts'

test.each(FLOATS)('%s: what is not finite is what widens to it', dtype => {
  const size = DTYPE_BITS[dtype] / 8
  let seed = 1
  const bytes = Uint8Array.from({ length: 65_536 * size }, () => {
    seed = (1664525 * seed + 1013904223) % 2 ** 32
    return seed / 2 ** 24
  })
  // Every pattern of the upper two bytes, the sign, exponent and first bits of the mantissa.
  for (let i = 0; i < 65_536; i++) {
    const at = (i + 1) * size
    bytes[at - 1] = size === 1 ? i & 255 : i >> 8
    if (size > 1) bytes[at - 2] = i & 255
  }
  const wrong = Array.from({ length: 65_536 }, (_, i) => bytes.slice(i * size, (i + 1) * size)).filter(one => {
    const [value] = widen(dtype, one)
    return (
      firstNonFinite(dtype, one) < 0 !== Number.isFinite(value) ||
      !Object.is(largestMagnitude(dtype, one), Math.abs(value))
    )
  })
  expect(wrong).toEqual([])
  const small = bytes.map((byte, i) => (i % size === size - 1 ? byte & 0xbf : byte))
  const most = widen(dtype, small).reduce((largest, value) => Math.max(largest, Math.abs(value)), 0)
  expect(most).toBeGreaterThan(0)
  expect(largestMagnitude(dtype, small)).toBe(most)
  expect(largestMagnitude(dtype, bytes)).not.toBeLessThan(Number.MAX_VALUE)
  const finite = new Uint8Array(100 * size)
  expect(largestMagnitude(dtype, finite)).toBe(0)
  expect(firstNonFinite(dtype, finite)).toBe(-1)
  finite.fill(0xff, 77 * size, 78 * size)
  expect(firstNonFinite(dtype, finite)).toBe(77)
})

import { expect, test } from 'vitest'
import type { FloatDType } from '../../src/checkpoint/types.ts'
import { widen } from '../../src/checkpoint/widen.ts'

const bytes = (...list: number[]) => Uint8Array.from(list)

test.each<[FloatDType, Uint8Array, number[]]>([
  ['F64', new Uint8Array(Float64Array.of(1.1, -0).buffer), [1.1, -0]],
  ['F32', new Uint8Array(Float32Array.of(0.5, -3e38, 1e-45).buffer), [0.5, Math.fround(-3e38), Math.fround(1e-45)]],
  [
    'F16',
    bytes(0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0xff, 0x7b, 0x00, 0x7c, 0x00, 0x80),
    [1, -2, 2 ** -24, 65504, Number.POSITIVE_INFINITY, -0],
  ],
  ['BF16', bytes(0x80, 0x3f, 0x00, 0xc0, 0x01, 0x00, 0x80, 0xff), [1, -2, 2 ** -133, Number.NEGATIVE_INFINITY]],
  ['F8_E4M3', bytes(0x38, 0xb8, 0x7e, 0x01, 0x78), [1, -1, 448, 2 ** -9, 256]],
  ['F8_E5M2', bytes(0x3c, 0xbc, 0x7b, 0x01, 0x7c), [1, -1, 57344, 2 ** -16, Number.POSITIVE_INFINITY]],
])('widens %s exactly', (dtype, raw, expected) => {
  expect([...widen(dtype, raw)]).toEqual(expected)
})

test.each<[FloatDType, Uint8Array]>([
  ['F16', bytes(0x01, 0x7c)],
  ['BF16', bytes(0xc0, 0x7f)],
  ['F8_E4M3', bytes(0x7f)],
  ['F8_E4M3', bytes(0xff)],
  ['F8_E5M2', bytes(0x7d)],
])('%s has NaN', (dtype, raw) => {
  expect([...widen(dtype, raw)]).toEqual([Number.NaN])
})

test('every F32 that is a half or a bfloat16 comes back the same', () => {
  const all = new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer)
  const float = new Float32Array(Uint32Array.from({ length: 65536 }, (_, i) => i << 16).buffer)
  const wide = widen('BF16', all)
  for (let i = 0; i < 65536; i++)
    if (!Object.is(wide[i], float[i])) throw new Error(`bfloat16 ${i}: ${wide[i]} for ${float[i]}`)
})

import { describe, expect, test } from 'vitest'
import { clipFingers } from '../../src/metrics/fingers.ts'
import type { PowerLaw } from '../../src/metrics/powerlaw.ts'

const x = Float64Array.from({ length: 20 }, (_, i) => i + 1)

/** Clipped by fits whose alphas are given: of all values, of 2 less, of 3 less, and so on; the last again and again. */
function clipped(...alphas: (number | null)[]) {
  const asked: number[] = []
  const fitted = (values: Float64Array): PowerLaw | null => {
    asked.push(x.length - values.length)
    const at = Math.max(0, x.length - values.length - 1)
    const alpha = alphas[Math.min(at, alphas.length - 1)]
    return alpha === null ? null : ({ alpha } as PowerLaw)
  }
  const { law, ...more } = clipFingers(x, fitted)
  return { ...more, alpha: law?.alpha ?? null, asked }
}

describe('fingers', () => {
  test('are clipped where alpha falls by more than 1, and counted less one', () => {
    expect(clipped(6, 4.9)).toEqual({ alpha: 4.9, raw_alpha: 6, num_fingers: 1, asked: [0, 2] })
    expect(clipped(6, 5.5, 5.2, 4)).toEqual({ alpha: 4, raw_alpha: 6, num_fingers: 3, asked: [0, 2, 3, 4] })
  })

  test('a fall by 1 is none', () => {
    expect(clipped(6, 5)).toMatchObject({ alpha: 6, raw_alpha: 6, num_fingers: 0 })
    expect(clipped(6, 5.5).asked).toEqual([0, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('none is looked for beyond an alpha of 2', () => {
    expect(clipped(2.9, 2, 1.5)).toEqual({ alpha: 2.9, raw_alpha: 2.9, num_fingers: 0, asked: [0, 2] })
    expect(clipped(2.9, 2.1, 1.5)).toMatchObject({ alpha: 1.5, num_fingers: 2 })
  })

  test('a fit that is none ends it', () => {
    expect(clipped(6, null, 1)).toEqual({ alpha: 6, raw_alpha: 6, num_fingers: 0, asked: [0, 2] })
    expect(clipped(null)).toEqual({ alpha: null, raw_alpha: Number.NaN, num_fingers: 0, asked: [0] })
  })

  test('none more than asked for', () => {
    const fits = (values: Float64Array) => ({ alpha: values.length === 20 ? 9 : 8.5 }) as PowerLaw
    expect(clipFingers(x, fits, 0)).toMatchObject({ raw_alpha: 9, num_fingers: 0 })
    expect(clipFingers(x, values => ({ alpha: values.length }) as PowerLaw, 2).num_fingers).toBe(1)
  })
})

import { beforeAll, describe, expect, test } from 'vitest'
import type { FloatDType } from '../../src/checkpoint/types.ts'
import { widen } from '../../src/checkpoint/widen.ts'
import { Kernel } from '../../src/spectrum/kernel.ts'
import wasm from '../../src/spectrum/kernel.wasm'
import { oracleEigenvalues } from '../support/oracle.ts'

let kernel: Kernel
beforeAll(async () => {
  kernel = await Kernel.create(wasm)
})

/** Numbers in (0, 1), the same in every run. */
function random(seed: number): () => number {
  let s = seed
  return () => {
    s = (1664525 * s + 1013904223) % 4294967296
    return (s + 0.5) / 4294967296
  }
}

const gaussian = (draw: () => number) => Math.sqrt(-2 * Math.log(draw())) * Math.cos(2 * Math.PI * draw())

/** A k×n matrix, row-major, with Pareto-distributed entries: heavy tails. */
function heavy(k: number, n: number, seed = 1): Float64Array {
  const draw = random(seed)
  return Float64Array.from({ length: k * n }, () => Math.sign(draw() - 0.5) * (draw() ** -0.7 - 1))
}

/** A square matrix U·diag(σ)·Vᵀ with the given singular values, U and V products of random reflectors. */
function withSingularValues(sigma: readonly number[], seed = 2): Float64Array {
  const n = sigma.length
  const draw = random(seed)
  const a = new Float64Array(n * n)
  for (let i = 0; i < n; i++) a[i * n + i] = sigma[i]
  for (let r = 0; r < 4; r++) {
    const v = Float64Array.from({ length: n }, () => gaussian(draw))
    const scale = 2 / v.reduce((sum, x) => sum + x * x, 0)
    const left = r % 2 === 0
    for (let c = 0; c < n; c++) {
      const at = (i: number) => (left ? i * n + c : c * n + i)
      let dot = 0
      for (let i = 0; i < n; i++) dot += v[i] * a[at(i)]
      for (let i = 0; i < n; i++) a[at(i)] -= scale * dot * v[i]
    }
  }
  return a
}

function rowsOf(a: Float64Array, n: number): Float64Array[] {
  return Array.from({ length: a.length / n }, (_, i) => a.slice(i * n, (i + 1) * n))
}

/** The kernel's eigenvalues of a k×n matrix in F64, given in chunks of so many rows. */
function eigenvalues(a: Float64Array, n: number, chunk = Number.POSITIVE_INFINITY, on = kernel): Float64Array {
  const k = a.length / n
  on.begin(n, a.byteLength)
  for (let p = 0; p < k; p += chunk) {
    const rows = Math.min(chunk, k - p)
    on.window(a.byteLength).set(new Uint8Array(a.buffer, a.byteOffset + p * n * 8, rows * n * 8))
    expect(on.add('F64', 0, rows, n, 1)).toBe(true)
  }
  return on.eigenvalues()
}

function expectClose(ours: Float64Array, truth: Float64Array, tolerance = 1e-13): void {
  expect(ours).toHaveLength(truth.length)
  const most = truth[truth.length - 1]
  const worst = ours.reduce((worst, value, i) => Math.max(worst, Math.abs(value - truth[i])), 0)
  expect(worst).toBeLessThanOrEqual(tolerance * most)
}

describe('against ml-matrix', () => {
  test.each([
    [1, 1],
    [5, 1],
    [2, 2],
    [3, 2],
    [4, 4],
    [7, 5],
    [31, 31],
    [32, 32],
    [33, 33],
    [63, 60],
    [64, 64],
    [65, 65],
    [80, 66],
    [100, 100],
    [97, 81],
    [257, 130],
    [600, 96],
    [130, 129],
  ])('%d×%d', (k, n) => {
    const a = heavy(k, n)
    expectClose(eigenvalues(a, n), oracleEigenvalues(rowsOf(a, n)), 5e-14)
  })

  test.each([200, 321, 352])('order %d, a band of 16 or 32', n => {
    const a = heavy(n, n, n)
    const ours = eigenvalues(a, n)
    const truth = oracleEigenvalues(rowsOf(a, n))
    // ml-matrix itself is good to about n·1e-15 only.
    expectClose(ours, truth, 2e-13)
    for (let i = n >> 1; i < n; i++) expect(Math.abs(ours[i] - truth[i])).toBeLessThanOrEqual(1e-12 * truth[i])
  })
})

describe('known spectra', () => {
  test.each([20, 64, 65, 160, 330])('singular values of density 1/σ with condition 10⁴, order %d', n => {
    const sigma = Array.from({ length: n }, (_, i) => 10 ** ((-4 * i) / (n - 1)))
    const truth = Float64Array.from(sigma, s => s * s).sort()
    const ours = eigenvalues(withSingularValues(sigma), n)
    expectClose(ours, truth, 1e-13)
    for (let i = n >> 1; i < n; i++) expect(Math.abs(ours[i] - truth[i])).toBeLessThanOrEqual(1e-12 * truth[i])
  })

  test('trace and Frobenius norm are kept', () => {
    const a = heavy(400, 300, 9)
    const norm = a.reduce((sum, x) => sum + x * x, 0)
    expect(eigenvalues(a, 300).reduce((sum, x) => sum + x, 0)).toBeCloseTo(norm, -Math.floor(Math.log10(norm)) + 12)
  })

  const n = 70
  const fill = (f: (i: number, j: number) => number) =>
    Float64Array.from({ length: n * n }, (_, at) => f(Math.floor(at / n), at % n))
  test.each<[string, Float64Array, (i: number) => number, number]>([
    ['zero', fill(() => 0), () => 0, 0],
    ['identity', fill((i, j) => (i === j ? 1 : 0)), () => 1, 1e-15],
    ['diagonal', fill((i, j) => (i === j ? i + 1 : 0)), i => (i + 1) * (i + 1), 1e-15],
    ['rank 1', fill((i, j) => (i + 1) * (j + 1)), i => (i < n - 1 ? 0 : ((n * (n + 1) * (2 * n + 1)) / 6) ** 2), 1e-14],
    [
      'graded over 1e-20 … 1',
      fill((i, j) => (i === j ? 10 ** ((-20 * i) / (n - 1)) : 0)),
      i => 10 ** ((-40 * (n - 1 - i)) / (n - 1)),
      1e-15,
    ],
    ['entries of 1e-20', fill((i, j) => (i === j ? 1e-20 : 0)), () => 1e-40, 1e-15],
    ['entries of 1e18', fill((i, j) => (i === j ? 1e18 : 0)), () => 1e36, 1e-15],
    ['entries of 1e150', fill((i, j) => (i === j ? 1e150 : 0)), () => 1e300, 1e-15],
    ['subnormal entries', fill((i, j) => (i === j ? 5e-324 : 0)), () => 0, 0],
  ])('%s', (_, a, expected, tolerance) => {
    expectClose(
      eigenvalues(a, n),
      Float64Array.from({ length: n }, (_, i) => expected(i)),
      tolerance,
    )
  })

  test.each([30, 80, 300])('columns whose squares underflow do not disturb the others, order %d', n => {
    const rows = n + 10
    let seed = n
    const random = () => {
      seed = (1664525 * seed + 1013904223) % 2 ** 32
      return seed / 2 ** 32
    }
    for (const exponent of [-140, -150, -158, -160, -161, -161.5, -162]) {
      const tiny = 10 ** exponent
      const matrix = Float64Array.from({ length: rows * n }, (_, at) => random() * (at % n < 3 ? tiny : 1))
      // The other columns alone: what the tiny ones add is far below the last bit.
      const expected = oracleEigenvalues(Array.from({ length: rows }, (_, i) => matrix.slice(i * n + 3, (i + 1) * n)))
      const found = eigenvalues(matrix, n)
      const most = expected.at(-1)!
      for (const [i, value] of expected.entries())
        expect(Math.abs(found[i + 3] - value)).toBeLessThanOrEqual(1e-13 * most)
      expect(found[2]).toBeLessThanOrEqual(1e-15 * most)
    }
  })

  test('Hilbert', () => {
    const hilbert = fill((i, j) => 1 / (i + j + 1))
    const ours = eigenvalues(hilbert, n)
    expectClose(ours, oracleEigenvalues(rowsOf(hilbert, n)), 1e-14)
    expect(Math.min(...ours)).toBeGreaterThanOrEqual(0)
  })

  test('squares beyond the range of a double are infinite, not wrong', () => {
    expect(
      eigenvalues(
        fill(() => 1e200),
        n,
      ),
    ).toEqual(new Float64Array(n).fill(Number.POSITIVE_INFINITY))
  })
})

describe('bit for bit', () => {
  test.each([24, 100, 330])('the same for any cut into chunks, order %d', n => {
    const a = heavy(1100, n, n)
    const whole = eigenvalues(a, n)
    for (const chunk of [256, 512, 1024]) expect(eigenvalues(a, n, chunk)).toEqual(whole)
  })

  test('the same from an instance that served other matrices and from a new one', async () => {
    const a = heavy(150, 150, 3)
    const used = eigenvalues(a, 150)
    eigenvalues(heavy(400, 390, 4), 390)
    eigenvalues(heavy(5, 5, 5), 5)
    expect(eigenvalues(a, 150)).toEqual(used)
    expect(eigenvalues(a, 150, undefined, await Kernel.create(wasm))).toEqual(used)
  })
})

describe('packing', () => {
  const types: [FloatDType, number][] = [
    ['F64', 8],
    ['F32', 4],
    ['F16', 2],
    ['BF16', 2],
    ['F8_E4M3', 1],
    ['F8_E5M2', 1],
  ]

  /** Random finite elements: the top bit of the exponent is cleared. */
  function elements(dtype: FloatDType, bytes: number, count: number): Uint8Array {
    const draw = random(bytes)
    return Uint8Array.from({ length: count * bytes }, (_, i) => {
      const top = i % bytes === bytes - 1
      const byte = Math.floor(256 * draw())
      return top ? byte & (dtype === 'F64' ? 0xbf : dtype === 'F8_E4M3' ? 0xf7 : 0xbf) : byte
    })
  }

  function run(
    dtype: FloatDType,
    raw: Uint8Array,
    n: number,
    base: number,
    k: number,
    pStride: number,
    iStride: number,
  ) {
    kernel.begin(n, raw.length)
    kernel.window(raw.length).set(raw)
    const finite = kernel.add(dtype, base, k, pStride, iStride)
    return { finite, values: finite ? kernel.eigenvalues() : undefined }
  }

  test.each(types)('%s is widened exactly: every layout gives what its doubles give', (dtype, bytes) => {
    const raw = elements(dtype, bytes, 60 * 40)
    const wide = widen(dtype, raw)
    const reference = (k: number, n: number, base: number, pStride: number, iStride: number) =>
      eigenvalues(
        Float64Array.from({ length: k * n }, (_, at) => wide[base + Math.floor(at / n) * pStride + (at % n) * iStride]),
        n,
      )
    for (const [k, n, base, pStride, iStride] of [
      [60, 40, 0, 40, 1],
      [40, 39, 0, 1, 40],
      [60, 8, 3, 40, 5],
      [20, 13, 0, 120, 3],
      [300, 7, 1, 7, 1],
    ]) {
      expect(run(dtype, raw, n, base, k, pStride, iStride).values).toEqual(reference(k, n, base, pStride, iStride))
    }
  })

  test.each<[FloatDType, number[]]>([
    ['F64', [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]],
    ['F64', [0, 0, 0, 0, 0, 0, 0xf0, 0xff]],
    ['F32', [0, 0, 0xc0, 0x7f]],
    ['F32', [0, 0, 0x80, 0xff]],
    ['F16', [0, 0x7e]],
    ['F16', [0, 0xfc]],
    ['BF16', [0xc0, 0x7f]],
    ['BF16', [0x80, 0xff]],
    ['F8_E4M3', [0x7f]],
    ['F8_E4M3', [0xff]],
    ['F8_E5M2', [0x7c]],
    ['F8_E5M2', [0xff]],
  ])('%s %j is not finite, wherever it stands', (dtype, pattern) => {
    const bytes = pattern.length
    for (const n of [3, 4, 6, 65]) {
      for (const at of [0, n - 1, n, 20 * n - 1]) {
        const raw = new Uint8Array(20 * n * bytes)
        raw.set(pattern, at * bytes)
        expect(run(dtype, raw, n, 0, 20, n, 1).finite).toBe(false)
      }
    }
  })
})

test('the plan of the memory is the kernel’s own', () => {
  expect(Kernel.memoryFor(4096, 8 << 20)).toBeLessThan(8 * 4096 * 4096 * 1.13 + (8 << 20))
  expect(() => kernel.begin(40_000, 0)).toThrow(RangeError)
  expectClose(eigenvalues(heavy(9, 9), 9), oracleEigenvalues(rowsOf(heavy(9, 9), 9)), 1e-14)
})

test('tells the share of the work done, up to all of it', () => {
  const a = heavy(400, 400)
  kernel.begin(400, a.byteLength)
  kernel.window(a.byteLength).set(new Uint8Array(a.buffer))
  kernel.add('F64', 0, 400, 400, 1)
  const shares: number[] = []
  kernel.eigenvalues(share => shares.push(share))
  expect(shares.length).toBeGreaterThan(10)
  expect(shares).toEqual([...shares].sort((a, b) => a - b))
  expect(shares.at(-1)).toBe(1)
})

import { expect, test } from 'vitest'
import { minimise } from '../../src/metrics/nelder-mead.ts'

/** Where scipy.optimize.fmin of SciPy 1.17 ends, how often it asks, and the sum of the first 40 places that it asks at. */
test.each<[string, (x: number) => number, number, number, number, number]>([
  ['(x − 3)²', x => (x - 3) ** 2, 1, 3.0000000000000044, 38, 100.89990234375013],
  ['|x − 0.3|', x => Math.abs(x - 0.3), 2, 0.2999999999999985, 34, 19.400097656249958],
  ['cos 3x + x²/10', x => Math.cos(3 * x) + 0.1 * x * x, 1, 1.0244140625, 20, 20.445410156249995],
  ['x⁴ from 0', x => (x - 0.01) ** 4, 0, 0.010000000000000002, 24, 0.17443750000000008],
  ['steps, where values are equal', x => Math.floor(5 * x) ** 2, 1, 0.95, 30, 28.525000000000002],
  ['a fall without end', x => -x, 1, 6.338253001141164e28, 200, 183538.60000000038],
  [
    'a root, which is steep where it is small',
    x => Math.sqrt(Math.abs(x - 1.02)),
    1,
    1.0200000762939445,
    38,
    38.73599987030028,
  ],
])('%s: the steps are those of SciPy', (_, f, start, end, evaluations, sum) => {
  const seen: number[] = []
  const found = minimise(x => {
    seen.push(x)
    return f(x)
  }, start)
  expect(Math.abs(found / end - 1)).toBeLessThan(1e-12)
  expect(seen).toHaveLength(evaluations)
  expect(Math.abs(seen.slice(0, 40).reduce((sum, x) => sum + x, 0) / sum - 1)).toBeLessThan(1e-12)
})

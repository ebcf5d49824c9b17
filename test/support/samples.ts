import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { bootstrap } from '../../src/metrics/bootstrap.ts'

export const bootstrapped = (values: Float64Array, draws: number, replica = 0, options = {}) =>
  bootstrap({ values, options, draws, shape: [values.length, replica] })!

/** As many samples as asked for, each sorted, of a law given by uniform and normal numbers. */
export function samples(count: number, n: number, value: (uniform: () => number) => number): Float64Array[] {
  const random = xoroshiro128plus(1)
  const uniform = () => uniformFloat64(random)
  return Array.from({ length: count }, () => Float64Array.from({ length: n }, () => value(uniform)).sort())
}

export const power = (alpha: number) => (uniform: () => number) => Math.exp(-Math.log(1 - uniform()) / (alpha - 1))
export const exponential = (uniform: () => number) => 0.1 - Math.log(1 - uniform())
export const logNormal = (uniform: () => number) =>
  Math.exp(0.3 + 0.5 * Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()))

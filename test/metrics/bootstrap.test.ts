import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Bootstrap, bootstrap } from '../../src/metrics/bootstrap.ts'
import { isComplete, withOnly } from '../../src/metrics/layer.ts'
import { fitPowerLaw } from '../../src/metrics/powerlaw.ts'
import { columnsOf } from '../../src/report/columns.ts'
import { adviceOf } from '../../src/report/state.ts'
import { analyseTensors } from '../support/analyse.ts'
import { cli } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { goldenTensor } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'
import { bootstrapped, exponential, power, samples } from '../support/samples.ts'

const { cases } = JSON.parse(readFileSync(new URL('../fixtures/tails/bootstrap.json', import.meta.url), 'utf8')) as {
  cases: ({ name: string; seed: number; n: number; alpha: number; D: number; draws: number } & Bootstrap)[]
}

/** What the fixture's script draws, from the same generator. */
const DRAWN: Record<string, (u: number) => number> = {
  'a power law above a flat body': u => (u < 0.4 ? 0.2 + 2 * u : Math.exp(-Math.log(Math.min((1 - u) / 0.6, 1)) / 1.5)),
  exponential: u => 0.1 - Math.log(1 - u),
  'a power law alone': u => Math.exp(-Math.log(1 - u) / 2.5),
  uniform: u => 1 + u,
}

function sampleOf(name: string, seed: number, n: number): Float64Array {
  let s = seed
  return Float64Array.from({ length: n }, () => {
    s = (1664525 * s + 1013904223) % 2 ** 32
    return DRAWN[name]((s + 0.5) / 2 ** 32)
  }).sort()
}

test('the random numbers are those of every version: what a report says can be compared with the next', () => {
  const [body] = samples(1, 60, exponential)
  const [tail] = samples(1, 60, power(2.2))
  const fingers = Float64Array.from([...tail, 1e5, 2e5])
  const rounded = ({ p_value, alpha_low, alpha_high }: Bootstrap) =>
    [p_value, alpha_low, alpha_high].map(value => Number(value.toPrecision(9)))
  expect(rounded(bootstrapped(body, 40))).toEqual([0.25, 1.8399206, 7.64931868])
  expect(rounded(bootstrapped(tail, 40))).toEqual([0.25, 1.72123325, 4.00723272])
  expect(rounded(bootstrapped(body, 40, 0, { xmax: 'force' }))).toEqual([0.375, 1.92659893, 7.64931868])
  expect(rounded(bootstrapped(fingers, 40, 0, { fix_fingers: 'clip_xmax' }))).toEqual([0, 1.61331302, 2.50036506])
  const shares: number[] = []
  const ofShape = bootstrap({ values: body, options: {}, draws: 33, shape: [6, 10] }, share => shares.push(share))!
  expect(rounded(ofShape)).toEqual([0.272727273, 1.81647486, 6.33788942])
  expect(shares).toEqual([0, 16, 32, 33, 49, 65].map(done => done / 66))
})

describe('beside an independent bootstrap in Python', () => {
  test.each(cases.map(one => [one.name, one] as const))('%s', (_, one) => {
    const x = sampleOf(one.name, one.seed, one.n)
    const law = fitPowerLaw(x)!
    expect(law.alpha).toBeCloseTo(one.alpha, 9)
    expect(law.D).toBeCloseTo(one.D, 9)
    const ours = bootstrapped(x, 2500)
    // Both are shares of 2,500 draws, with other random numbers.
    const error = Math.sqrt((2 * Math.max(one.p_value * (1 - one.p_value), 1e-3)) / 2500)
    expect(Math.abs(ours.p_value - one.p_value)).toBeLessThan(4 * error)
    const width = one.alpha_high - one.alpha_low
    expect(Math.abs(ours.alpha_low - one.alpha_low)).toBeLessThan(0.1 * width)
    expect(Math.abs(ours.alpha_high - one.alpha_high)).toBeLessThan(0.1 * width)
  })
})

test('the interval of more values is narrower', () => {
  const width = (n: number) => {
    const [x] = samples(1, n, power(2.5))
    const { alpha_low, alpha_high } = bootstrapped(x, 200)
    return alpha_high - alpha_low
  }
  expect(width(1600)).toBeLessThan(width(100) / 2)
})

test('fits as the layer is fitted: cut off at xmax, of few values, without fingers', () => {
  const [x] = samples(1, 200, power(1.6))
  const cut = bootstrapped(x, 100, 0, { xmax: 'force' })
  expect(cut.p_value).not.toBe(bootstrapped(x, 100).p_value)
  const few = x.filter((_, i) => i % 12 === 0)
  expect(bootstrapped(few, 100, 0, { small_sample_fit: 'adjusted-d' }).alpha_high).not.toBe(
    bootstrapped(few, 100).alpha_high,
  )
  const fingers = Float64Array.from([...samples(1, 120, power(3))[0], 1e7, 1.1e7, 1.2e7])
  const { alpha_low } = bootstrapped(fingers, 100, 0, { fix_fingers: 'clip_xmax' })
  expect(Number.isFinite(alpha_low)).toBe(true)
})

test('there is none of what has no law', () => {
  expect(bootstrap({ values: new Float64Array(0), options: {}, draws: 100, shape: [1] })).toBeNull()
  expect(bootstrap({ values: new Float64Array(9).fill(2), options: {}, draws: 100, shape: [9] })).toBeNull()
})

test('the share that is done grows to its end', () => {
  const shares: number[] = []
  const [x] = samples(1, 50, power(2))
  bootstrap({ values: x, options: {}, draws: 100, shape: [50] }, share => shares.push(share))
  expect(shares).toEqual([...shares].sort((a, b) => a - b))
  expect(shares.at(-1)!).toBeGreaterThan(0.9)
  expect(shares.at(-1)!).toBeLessThanOrEqual(1)
})

describe('as columns', () => {
  test('they change no other number, and are the same whatever the layer is called', async () => {
    const tensors = (name: string) => ({ [name]: goldenTensor('G3'), z: { shape: [20, 30] } })
    const [one, two, plain] = await Promise.all([
      analyseTensors(tensors('a'), { bootstrap: 100 }),
      analyseTensors(tensors('b'), { bootstrap: 100 }),
      analyseTensors(tensors('a')),
    ])
    expect(one.layers.map(layer => withOnly(layer))).toEqual(plain.layers)
    const { alpha, p_value, alpha_low, alpha_high, bootstrap_draws } = one.layers[0]
    expect(two.layers[0]).toMatchObject({ p_value, alpha_low, alpha_high })
    expect(bootstrap_draws).toBe(100)
    expect(alpha_low).toBeLessThanOrEqual(alpha!)
    expect(alpha_high).toBeGreaterThanOrEqual(alpha!)
    for (const metric of columnsOf('bootstrap')) expect(one.layers[1][metric]).toBeNull()
  })

  test('a row of as many draws alone is taken over', async () => {
    const { layers } = await analyseTensors({ a: goldenTensor('G3') }, { bootstrap: 100 })
    expect(isComplete(layers[0], { bootstrap: 100 })).toBe(true)
    expect(isComplete(layers[0], { bootstrap: 200 })).toBe(false)
    expect(isComplete(layers[0])).toBe(true)
  })

  test('p decides about a poor fit where it is known', async () => {
    const { layers } = await analyseTensors({ a: goldenTensor('G3') })
    const good = { ...layers[0], status: 'success' as const }
    expect(adviceOf({ ...good, p_value: 0.009 })).toContain('poor-fit')
    expect(adviceOf({ ...good, D: 0.9, p_value: 0.01 })).not.toContain('poor-fit')
    expect(adviceOf({ ...good, D: 0.9, p_value: null })).toContain('poor-fit')
  })

  test('the report is the same for any number of workers; rules and the baseline know them', async () => {
    const folder = temporaryFolder()
    const path = writeSafetensors(
      { 'a.weight': goldenTensor('G1'), 'b.weight': goldenTensor('G4'), 'c.weight': goldenTensor('G6') },
      'net.safetensors',
      folder,
    )
    const args = [path, '--json', '-', '--no-enforce']
    const [one, two] = await Promise.all(['1', '2'].map(n => cli(...args, '--bootstrap', '150', '--workers', n)))
    expect(one.stderr).toBe('')
    expect(one.stdout).toBe(two.stdout)
    const plain = `${folder}/plain.json`
    await cli(path, '--json', plain)
    const rules = ['any(p_value) < 2', 'any(delta(p_value)) > 0'].flatMap(rule => ['--fail-if', rule])
    const { stdout } = await cli(...args, '--bootstrap', '100', '--baseline', plain, ...rules)
    const { comparison, verdict } = JSON.parse(stdout)
    expect(comparison.status).toBe('compared')
    expect(
      verdict.rules
        .filter(({ builtin }: { builtin: boolean }) => !builtin)
        .map(({ outcome, reason }: Record<string, string>) => [outcome, reason.replace(/.*; /, '')]),
    ).toEqual([
      ['violated', expect.any(String)],
      ['inconclusive', 'in the baseline, p_value was not computed: ask with bootstrap'],
    ])
  })

  test('so few or so many draws are refused, and without eigenvalues there are none', async () => {
    const path = writeSafetensors({ a: goldenTensor('G1') })
    for (const draws of ['99', '10001'])
      expect((await cli(path, '--bootstrap', draws)).stderr).toContain('takes 100 to 10000 draws, or 0 for none')
    expect((await cli(path, '--bootstrap', '100', '--metrics', 'spectral-norm')).stderr).toContain(
      'bootstrap needs all eigenvalues',
    )
  })
})

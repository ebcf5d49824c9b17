import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { resolveSettings } from '../../src/config/settings.ts'
import { writeThresholds } from '../../src/pipeline/calibrate.ts'
import { calibrate, type Named } from '../../src/policy/calibrate.ts'
import { defaults } from '../support/analyse.ts'
import { cli } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { goldenTensor } from '../support/golden.ts'
import { layer, model } from '../support/models.ts'
import { writeSafetensors } from '../support/safetensors.ts'

/** A model whose tails and norms lie so far from the first's. */
const named = (shape: number, log_norm = 2, quantile = 1): Named => ({
  name: `seed ${shape}`,
  model: model('net', [
    layer('a', 3, { alpha_hill: 1 + 2 * Math.exp(shape), log_norm, S: 8, quantiles: [0, quantile] }),
  ]),
  options: defaults,
})

describe('thresholds of a recipe', () => {
  test('follow the spread between its seeds', async () => {
    const { thresholds, spread } = await calibrate([
      ...[named(0, 2), named(0.1, 2.1), named(-0.1, 1.9), named(0.1, 2.1), named(-0.1, 1.9)],
    ])
    expect(spread.tail_shape).toBeCloseTo(0.1, 12)
    // t of 4 degrees: 2.776 and 4.604, times 0.1·√2.
    expect(thresholds).toEqual({
      'lighter-tail': 0.66,
      'slightly-lighter-tail': 0.4,
      'heavier-tail': -0.4,
      'moved-spectrum': 0.01,
      'moved-norm': 0.4,
    })
  })

  test('are never tighter than what few models can tell', async () => {
    expect((await calibrate([0, 0, 0, 0].map(shape => named(shape)))).thresholds).toEqual({
      ...{ 'lighter-tail': 0.1, 'slightly-lighter-tail': 0.06, 'heavier-tail': -0.06 },
      ...{ 'moved-spectrum': 0.01, 'moved-norm': 0.02 },
    })
  })

  test('of the distance of spectra is one and a half times the largest', async () => {
    const { thresholds } = await calibrate([named(0), named(0), named(0), named(0, 2, 1.2)])
    expect(thresholds['moved-spectrum']).toBe(Math.ceil(100 * 1.5 * (0.1 - 1 / 64)) / 100)
  })

  test('need four models that are not the same', async () => {
    const of = (digest: string) => ({
      ...named(0),
      name: digest,
      model: model('net', [layer('a', 3, { alpha_hill: 3, S: 8, digest })]),
    })
    await expect(calibrate(['1', '2', '1', '4'].map(of))).rejects.toThrow('1 has the weights of 1.')
  })

  test('need four models of one architecture and the same options', async () => {
    await expect(calibrate([0, 0, 0].map(shape => named(shape)))).rejects.toThrow('3 models say too little')
    const other = { ...named(0), model: model('net', [layer('z', 3, { alpha_hill: 3, S: 8 })]) }
    await expect(calibrate([named(0), named(0), named(0), other])).rejects.toThrow("can't be compared with seed 0")
    const options = { ...defaults, min_evals: 5 }
    await expect(calibrate([named(0), named(0), named(0), { ...named(0), options }])).rejects.toThrow('min_evals is 5')
  })
})

test('a config file keeps its comments and all else', async () => {
  const path = join(temporaryFolder(), 'config.yml')
  writeFileSync(path, '# ours\nfail-if: alpha > 6 # why\nthresholds: lighter-tail=9\n')
  const calibrated = await calibrate([0, 0, 0, 0].map(shape => named(shape)))
  await writeThresholds(path, calibrated)
  const text = readFileSync(path, 'utf8')
  expect(text).toMatch(/^# ours\nfail-if: alpha > 6 # why\nthresholds:\n {2}- lighter-tail=0.1\n/)
  writeFileSync(path, 'nonsense: 1\n')
  await expect(writeThresholds(path, calibrated)).rejects.toThrow('nonsense')
})

test('thresholds are read by name, and none but a measured one', () => {
  expect(resolveSettings({ thresholds: 'lighter-tail=0.2\nheavier-tail: -0.3' }).policy.thresholds).toEqual({
    'lighter-tail': 0.2,
    'heavier-tail': -0.3,
  })
  expect(() => resolveSettings({ thresholds: 'exploded=9' })).toThrow('"exploded" is no built-in rule with a threshold')
  expect(() => resolveSettings({ thresholds: 'lighter-tail' })).toThrow('is no NAME=NUMBER')
})

test('the command line prints what it finds, and writes it where it is told', async () => {
  const folder = temporaryFolder()
  const { shape, values } = goldenTensor('G3')
  const numbers = Float32Array.from(values as Float32Array)
  // The same spectrum four times, of other weights.
  const seeds = [numbers, numbers.map(x => -x), numbers.slice().reverse(), numbers.map(x => -x).reverse()]
  const files = seeds.map((values, i) =>
    writeSafetensors({ 'a.weight': { shape, values } }, `seed${i}.safetensors`, folder),
  )
  const path = join(folder, 'gate.yml')
  const { status, stdout } = await cli('calibrate', ...files, '--into', path)
  expect(status).toBe(0)
  expect(stdout).toMatch(/^# 4 models: standard deviation 0\.000 of the tail's shape/)
  expect(readFileSync(path, 'utf8')).toContain('- slightly-lighter-tail=0.06')
  expect(await cli('calibrate', ...files.slice(2))).toMatchObject({ status: 2 })
  expect(await cli(files[0], '--into', path)).toMatchObject({ status: 2 })
})

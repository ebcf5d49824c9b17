import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { resolveSettings } from '../../src/config/settings.ts'
import { hill } from '../../src/metrics/hill.ts'
import type { Report } from '../../src/report/schema.ts'
import { analyseTensors } from '../support/analyse.ts'
import { cli } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { generate } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'

/** Two networks of one architecture, the second of lighter tails, and names for reports beside them. */
function networks() {
  const folder = temporaryFolder()
  const write = (name: string, seed: number, colscale: boolean) =>
    writeSafetensors(
      { 'a.weight': generate(seed, [120, 90], colscale), 'b.weight': generate(seed + 1, [90, 80], colscale) },
      name,
      folder,
    )
  const [quarter, half] = ['quarter.json', 'half.json'].map(name => join(folder, name))
  return { base: write('base.safetensors', 1, true), head: write('head.safetensors', 3, false), quarter, half }
}

async function report(...args: string[]): Promise<Report> {
  const { stdout } = await cli(...args, '--json', '-', '--no-enforce')
  return JSON.parse(stdout)
}

const outcomes = ({ verdict }: Report) =>
  verdict!.rules.filter(({ builtin }) => !builtin).map(({ outcome, reason }) => [outcome, reason])
const builtIn = ({ verdict }: Report) => [
  ...(verdict!.held ?? []),
  ...verdict!.rules.filter(({ builtin }) => builtin).map(({ name }) => name),
]
const TAILS = ['lighter-tail', 'slightly-lighter-tail', 'heavier-tail', 'newly-over-trained']

describe('the share of alpha_hill', () => {
  test('is that of the positive eigenvalues, two at least and all at most', () => {
    const lambda = Float64Array.of(0, 1, 2, 4, 8)
    const over = (...values: number[]) =>
      1 + values.length / values.reduce((sum, x) => sum + Math.log(x / values[0]), 0)
    expect(hill(lambda, 0.5)!.alpha).toBeCloseTo(over(4, 8), 14)
    expect(hill(lambda, 0.75)!.alpha).toBeCloseTo(over(2, 4, 8), 14)
    expect(hill(lambda, 1)!.alpha).toBeCloseTo(over(1, 2, 4, 8), 14)
    expect(hill(lambda, 0.01)!.alpha).toBeCloseTo(over(4, 8), 14)
    expect(hill(lambda)).toEqual(hill(lambda, 0.25))
  })

  test('moves its columns alone, and the fingerprint', async () => {
    const tensors = { w: generate(3, [90, 60], true) }
    const [quarter, half] = await Promise.all(
      [undefined, 0.5].map(
        async hill_share =>
          (await analyseTensors(tensors, { analyses: ['farms'], ...(hill_share && { hill_share }) })).layers[0],
      ),
    )
    const { alpha_hill, sigma_hill, alpha_hill_farms, fingerprint } = quarter
    expect({ ...half, alpha_hill, sigma_hill, alpha_hill_farms, fingerprint }).toEqual(quarter)
    for (const metric of ['alpha_hill', 'sigma_hill', 'alpha_hill_farms', 'fingerprint'] as const)
      expect(half[metric], metric).not.toBe(quarter[metric])
  })

  test('of windows is an independent computation’s', async () => {
    const file = new URL('../fixtures/tails/farms.json', import.meta.url)
    const [one] = JSON.parse(readFileSync(file, 'utf8')).cases.slice(1)
    const tensors = { w: generate(one.seed, one.shape, one.colscale) }
    const { layers } = await analyseTensors(tensors, { analyses: ['farms'], hill_share: 0.5 })
    expect(layers[0].alpha_hill_farms).toBeCloseTo(one.alpha_hill_farms['0.5'], 9)
  })

  test('takes 0.01 to 1, and stands in the options where it is not a quarter', () => {
    const options = (share: string) => resolveSettings({ 'hill-share': share }).options
    expect(options('0.5').hill_share).toBe(0.5)
    expect(options('1').hill_share).toBe(1)
    expect(options('.125').hill_share).toBe(0.125)
    for (const usual of ['0.25', '0.250', '']) expect(options(usual)).not.toHaveProperty('hill_share')
    for (const wrong of ['0', '0.009', '1.1', '2', 'half', '50%', '1e-1', '-0.5', '0.1234567'])
      expect(() => options(wrong)).toThrow(/hill-share is .*, but takes 0.01 to 1/)
    expect(() => resolveSettings({ 'hill-share': '0.5', metrics: 'spectral-norm' })).toThrow(/needs all eigenvalues/)
  })
})

describe('with another share', () => {
  test('on both sides changes are measured, and no built-in rule judges tails; the others do', async () => {
    const { base, head } = networks()
    const usual = await report(head, '--baseline', base)
    expect(usual.comparison!.models[0].judgement!.primary).toBe('tail_shape')
    expect(builtIn(usual)).toEqual(expect.arrayContaining(['slightly-lighter-tail', 'heavier-tail']))
    const other = await report(
      ...[head, '--baseline', base, '--hill-share', '0.5'],
      ...['--fail-if', 'any(delta(alpha_hill)) > 100', '--fail-if', 'primary > 100'],
    )
    expect(other.options.hill_share).toBe(0.5)
    const { judgement, layers } = other.comparison!.models[0]
    expect(judgement).toMatchObject({
      primary: '',
      tail_shape: null,
      from_above: null,
      hill_share: { head: 0.5, base: 0.5 },
    })
    expect(judgement!.why).toContain('alpha_hill is over 50 % of each spectrum (hill-share)')
    expect(judgement!.why).toContain('measured at 25 %: no built-in rule judges the shape of the tails')
    expect(judgement!.layers.every(({ change }) => typeof change === 'number')).toBe(true)
    expect(layers.every(({ alpha_hill }) => typeof alpha_hill.change === 'number')).toBe(true)
    expect(outcomes(other)).toEqual([
      ['ok', ''],
      ['inconclusive', judgement!.why],
    ])
    const judged = builtIn(other)
    for (const name of TAILS) expect(judged).not.toContain(name)
    expect(other.verdict!.tail_limits).toBeUndefined()
    for (const name of ['moved-spectrum', 'lost-structure', 'moved-norm', 'rounded']) expect(judged).toContain(name)
  })

  test('on one side its columns are not compared, with the reason, and all others are', async () => {
    const { base, head, quarter } = networks()
    await cli(base, '--json', quarter, '--farms')
    const found = await report(
      ...[head, '--baseline', quarter, '--hill-share', '0.5', '--farms'],
      ...['any(delta(alpha_hill)) > 100', 'delta(median(alpha_hill_farms)) > 100', 'any(delta(alpha)) > 1000'].flatMap(
        rule => ['--fail-if', rule],
      ),
      ...['any(delta(alpha) where sigma_hill > 0) > 1000', 'any(alpha_hill) > 1000', 'delta(coverage) > 1'].flatMap(
        rule => ['--fail-if', rule],
      ),
    )
    expect(found.comparison).toMatchObject({ status: 'compared', reason: '' })
    const reason = 'alpha_hill is over 50 % of the eigenvalues, but over 25 % in the baseline'
    expect(outcomes(found)).toEqual([
      ['inconclusive', reason],
      ['inconclusive', reason],
      ['ok', ''],
      ['inconclusive', reason],
      ['ok', ''],
      ['ok', ''],
    ])
    const { judgement, layers } = found.comparison!.models[0]
    expect(judgement).toMatchObject({ primary: '', hill_share: { head: 0.5, base: 0.25 } })
    expect(judgement!.why).toContain('over 25 % in the baseline: the shape of the tails can')
    expect(judgement!.layers.every(({ change, distance }) => change === null && distance !== null)).toBe(true)
    expect(layers).toHaveLength(2)
    for (const { alpha, alpha_hill } of layers) {
      expect(alpha.change).not.toBeNull()
      expect(alpha_hill).toMatchObject({ base: null, change: null })
    }
    expect(builtIn(found)).toContain('moved-spectrum')
    for (const name of TAILS) expect(builtIn(found)).not.toContain(name)
  })

  test('an unchanged model has no changed layer, though another share was its baseline’s', async () => {
    const { base, quarter } = networks()
    await cli(base, '--json', quarter)
    const found = await report(base, '--baseline', quarter, '--hill-share', '0.5')
    expect(found.comparison!.models[0].layers).toEqual([])
    expect(found.models[0].layers.every(({ reused }) => reused === undefined)).toBe(true)
  })

  test('every view says so', async () => {
    const { base, head, half } = networks()
    const page = half.replace('.json', '.html')
    const { stdout } = await cli(head, '--baseline', base, '--hill-share', '0.5', '--no-enforce', '--html', page)
    expect(stdout.replace(/\s+/g, ' ')).toContain('no built-in rule judges the shape of the tails')
    expect(readFileSync(page, 'utf8')).toContain('no built-in rule judges the shape of the tails')
  })
})

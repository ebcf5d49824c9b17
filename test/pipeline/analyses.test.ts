import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isComplete, withOnly } from '../../src/metrics/layer.ts'
import { ADDED, ANALYSES } from '../../src/report/analyses.ts'
import { columnsOf } from '../../src/report/columns.ts'
import { parseReport, serialiseReport } from '../../src/report/io.ts'
import { type Report, strictReport } from '../../src/report/schema.ts'
import { analyseTensors } from '../support/analyse.ts'
import { cli } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { goldenTensor } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'

/** Two networks that have one layer in common, and names for reports beside them. */
function networks() {
  const folder = temporaryFolder()
  const write = (name: string, b: string) =>
    writeSafetensors({ 'a.weight': goldenTensor('G1'), 'b.weight': goldenTensor(b) }, name, folder)
  const [first, second] = ['1.json', '2.json'].map(name => join(folder, name))
  return { path: write('net.safetensors', 'G4'), other: write('other.safetensors', 'G3'), first, second }
}

async function report(...args: string[]): Promise<Report> {
  const { stdout, stderr } = await cli(...args, '--json', '-', '--no-enforce')
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

const outcomes = ({ verdict }: Report) =>
  verdict!.rules.filter(({ builtin }) => !builtin).map(({ outcome, reason }) => [outcome, reason])

test('without being asked for, an analysis leaves no trace', async () => {
  const { path } = networks()
  const plain = await report(path)
  expect(plain.options).not.toHaveProperty('analyses')
  for (const metric of columnsOf(...ANALYSES)) expect(plain.models[0].layers[0]).not.toHaveProperty(metric)
  expect((await cli(path, '--csv', '-')).stdout.split('\n')[0]).not.toContain('sigma_mp')
})

test('asked for, it adds its columns to rows and CSV, and changes no other number', async () => {
  const { path } = networks()
  const [plain, asked] = [await report(path), await report(path, '--mp-fit')]
  expect(asked.options.analyses).toEqual(['mp-fit'])
  expect(asked.models[0].layers.map(layer => withOnly(layer))).toEqual(plain.models[0].layers)
  expect(asked.models[0].layers.every(layer => isComplete(layer, { analyses: ['mp-fit'] }) && isComplete(layer))).toBe(
    true,
  )
  expect(plain.models[0].layers.some(layer => isComplete(layer, { analyses: ['mp-fit'] }))).toBe(false)
  const [head, first] = (await cli(path, '--mp-fit', '--csv', '-')).stdout.split('\n').map(line => line.split(','))
  for (const metric of columnsOf('mp-fit'))
    expect(Number(first[head.indexOf(metric)])).toBe(asked.models[0].layers[0][metric])
})

test('without structure S alone is missing, the baseline stays comparable, and rows without it are measured again', async () => {
  const { path, first } = networks()
  const [whole, without] = [await report(path), await report(path, '--no-structure')]
  const bare = ({ models }: Report) => models[0].layers.map(({ S, ...row }) => row)
  expect(bare(without)).toEqual(bare(whole))
  expect(whole.models[0].layers.every(({ S }) => typeof S === 'number')).toBe(true)
  expect(without.models[0].layers.every(({ S }) => S === null)).toBe(true)
  expect(without.options.structure).toBe(false)
  await cli(path, '--no-structure', '--json', first)
  const compared = await report(path, '--baseline', first)
  expect(compared.comparison).toMatchObject({ status: 'compared', reason: '' })
  expect(compared.models[0].layers.every(({ S, reused }) => typeof S === 'number' && reused === undefined)).toBe(true)
})

describe('a rule on an analysis', () => {
  test('is decided where it was asked for', async () => {
    const { path } = networks()
    const asked = await report(path, '--mp-fit', '--fail-if', 'any(num_spikes) > 10', '--fail-if', 'mp_softrank > 1')
    expect(outcomes(asked)).toEqual([
      ['violated', ''],
      ['ok', ''],
    ])
    const [a, b] = asked.models[0].layers
    expect(asked.verdict!.rules.find(({ rule }) => rule.startsWith('mp_'))!.value).toBeCloseTo(
      (a.mp_softrank! + b.mp_softrank!) / 2,
      14,
    )
  })

  test('says how to ask where it was not', async () => {
    const { path } = networks()
    const rules = ['any(num_spikes) > 10', 'mp_softrank > 1', 'count(bulk_max > 1) > 0', 'sigma_mp[a] > 3']
    const plain = await report(path, ...rules.flatMap(rule => ['--fail-if', rule]))
    expect(outcomes(plain)).toEqual(
      ['num_spikes', 'mp_softrank', 'bulk_max', 'sigma_mp'].map(metric => [
        'inconclusive',
        `${metric} was not computed: ask with mp-fit`,
      ]),
    )
  })
})

describe('a baseline', () => {
  test('without it is one for all other numbers, and lends no row; with it, it lends what was asked for', async () => {
    const { path, other, first: plain, second: asked } = networks()
    await cli(other, '--json', plain)
    await cli(other, '--json', asked, '--mp-fit')
    const rules = [
      '--fail-if',
      'delta(alpha) > 100',
      '--fail-if',
      'delta(mp_softrank) > 100',
      '--fail-if',
      'any(delta(num_spikes)) > 100',
    ]
    const lacking = await report(path, '--mp-fit', '--baseline', plain, ...rules)
    expect(lacking.comparison!.status).toBe('compared')
    expect(outcomes(lacking)).toEqual([
      ['ok', ''],
      ['inconclusive', 'in the baseline, mp_softrank was not computed: ask with mp-fit'],
      ['inconclusive', 'in the baseline, num_spikes was not computed: ask with mp-fit'],
    ])
    const having = await report(path, '--mp-fit', '--baseline', asked, ...rules)
    expect(outcomes(having).map(([outcome]) => outcome)).toEqual(['ok', 'ok', 'ok'])
    const surplus = await report(path, '--baseline', asked)
    expect(surplus.comparison!.status).toBe('compared')
    expect(surplus.models).toEqual((await report(path)).models)
    const reused = await report(path, '--mp-fit', '--baseline', other)
    expect(reused.models[0].layers.map(({ reused }) => reused)).toEqual(['baseline', undefined])
    expect(reused.models[0].layers[0].sigma_mp).toBe((await report(path, '--mp-fit')).models[0].layers[0].sigma_mp)
  })
})

test('a report has the columns of its analyses, and no others', async () => {
  const { path } = networks()
  const json = await report(path, '--mp-fit')
  expect(() => strictReport.parse(json)).not.toThrow()
  expect(() => serialiseReport({ ...json, options: { ...json.options, analyses: [] } })).toThrow(/mp-fit was asked for/)
  delete json.models[0].layers[1].sigma_mp
  expect(() => serialiseReport(json)).toThrow(/mp-fit was asked for/)
  expect(() => parseReport(Buffer.from(JSON.stringify(json)), 'x.json')).not.toThrow()
})

test('a row with an error has its columns, without numbers', async () => {
  const broken = { shape: [20, 20], values: new Float32Array(400).fill(Number.NaN) }
  const { layers } = await analyseTensors(
    { broken },
    { analyses: [...ADDED], fix_fingers: 'clip_xmax', bootstrap: 100 },
  )
  for (const metric of columnsOf(...ANALYSES)) expect(layers[0][metric]).toBeNull()
})

test('parts made with other analyses are not merged', async () => {
  const { path, first: one, second: two } = networks()
  await cli(path, '--shard', '1/2', '--json', one, '--mp-fit')
  await cli(path, '--shard', '2/2', '--json', two)
  expect((await cli('--merge', one, two)).stderr).toContain('other options (analyses)')
  await cli(path, '--shard', '2/2', '--json', two, '--mp-fit')
  const merged = await cli('--merge', one, two, '--json', '-')
  expect(merged.stdout).toBe((await cli(path, '--mp-fit', '--json', '-')).stdout)
})

test('another fit is not compared, and lends no row', async () => {
  const { path, first } = networks()
  await cli(path, '--json', first)
  const clipped = await report(path, '--baseline', first, '--fix-fingers', 'clip_xmax', '--fail-if', 'delta(alpha) > 9')
  expect(clipped.comparison!).toMatchObject({
    status: 'incomparable',
    reason: 'fix_fingers is "clip_xmax", but the baseline was made with the default',
  })
  expect(outcomes(clipped)[0][0]).toBe('inconclusive')
  await cli(path, '--json', first, '--small-sample-fit', 'least-d')
  expect((await report(path, '--baseline', first)).comparison!.reason).toBe(
    'small_sample_fit is the default, but the baseline was made with "least-d"',
  )
  const [plain, asked] = [await report(path), await report(path, '--fix-fingers', 'clip_xmax')]
  const fingerprints = [plain, asked].flatMap(({ models }) => models[0].layers.map(({ fingerprint }) => fingerprint))
  expect(new Set(fingerprints).size).toBe(4)
})

test('a convolution can be read as slices or as an operator: the views say so, and the readings are not compared', async () => {
  const { path, first } = networks()
  await cli(path, '--json', first)
  const slices = await report(path, '--conv', 'slices', '--baseline', first)
  expect(slices.options.conv2d).toBe('slices')
  expect(slices.comparison!.reason).toBe('conv2d is "slices", but the baseline was made with "pooled"')
  expect(slices.models[0].layers.map(({ part }) => part).filter(Boolean)).toHaveLength(9)
  expect(slices.models[0].convolutions).toHaveLength(1)
  const operator = await report(path, '--conv', 'operator', '--conv-grid', '4')
  expect(operator.options).toMatchObject({ conv2d: 'operator', conv_grid: 4 })
  expect(operator.models[0].layers.map(({ num_evals }) => num_evals)).toEqual([40, 256])
  expect((await cli(path, '--conv', 'operator', '--conv-grid', '4')).stdout).toContain(
    'Convolutions are read as linear operators on a 4 × 4 image with periodic boundary and no stride.',
  )
  expect((await cli(path, '--conv', 'operator', '--conv-grid', '1000')).stderr).toContain('takes 1 to 256')
  const [one, two] = await Promise.all(
    ['1', '2'].map(n => cli(path, '--conv', 'operator', '--json', '-', '--workers', n)),
  )
  expect(one.stdout).toBe(two.stdout)
})

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Report, strictReport } from '../../src/report/schema.ts'
import { cli } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { generate, goldenTensor } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'

async function report(...args: string[]): Promise<Report> {
  const { stdout, stderr } = await cli(...args, '--json', '-')
  expect(stderr).toBe('')
  return strictReport.parse(JSON.parse(stdout))
}

/** Rows without the mark of where their numbers come from. */
const numbers = ({ models }: Report) => models[0].layers.map(({ reused, ...row }) => row)
const reused = ({ models }: Report) => Object.fromEntries(models[0].layers.map(({ name, reused }) => [name, reused]))

test('an unchanged layer takes its numbers from the baseline’s checkpoint, under its own name; a full run gives the same', async () => {
  const folder = temporaryFolder()
  const base = writeSafetensors(
    { 'a.weight': goldenTensor('G1'), 'b.weight': goldenTensor('G4') },
    'base.safetensors',
    folder,
  )
  const head = writeSafetensors(
    { 'renamed.weight': goldenTensor('G1'), 'b.weight': goldenTensor('G3') },
    'head.safetensors',
    folder,
  )
  const quick = await report(head, '--baseline', base)
  const full = await report(head, '--baseline', base, '--no-reuse')
  expect(reused(quick)).toEqual({ renamed: 'baseline', b: undefined })
  expect(reused(full)).toEqual({ renamed: undefined, b: undefined })
  expect(numbers(quick)).toEqual(numbers(full))
  expect(quick.models[0].summary).toEqual(full.models[0].summary)
})

test('a report among the files lends no number: anybody may have written in it', async () => {
  const folder = temporaryFolder()
  const path = writeSafetensors({ 'a.weight': goldenTensor('G1') }, 'net.safetensors', folder)
  const json = join(folder, 'base.json')
  await cli(path, '--json', json)
  writeFileSync(json, readFileSync(json, 'utf8').replace(/"alpha": 1\.88\d+/, '"alpha": 1.5'))
  const [layer] = (await report(path, '--baseline', json)).models[0].layers
  expect(layer.alpha).toBeCloseTo(1.883, 3)
  expect(layer.reused).toBeUndefined()
})

test('equal layers of one run are computed once', async () => {
  const path = writeSafetensors({ a: goldenTensor('G1'), tied: goldenTensor('G1'), b: goldenTensor('G3') })
  const quick = await report(path)
  expect(reused(quick)).toEqual({ a: undefined, tied: 'run', b: undefined })
  expect(numbers(quick)).toEqual(numbers(await report(path, '--no-reuse')))
})

test('the same bytes of report for any number of workers', async () => {
  const layers = Object.fromEntries(
    Array.from({ length: 12 }, (_, i) => [`l${i}`, generate(i + 1, [300 + 20 * i, 280], i % 2 === 0)]),
  )
  const path = writeSafetensors(layers)
  const [one, two, four] = await Promise.all([1, 2, 4].map(n => cli(path, '--json', '-', '--workers', String(n))))
  expect(one.status).toBe(0)
  expect(two.stdout).toBe(one.stdout)
  expect(four.stdout).toBe(one.stdout)
})

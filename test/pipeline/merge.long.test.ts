import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cli } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { goldenTensor } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'

/** Tied tensors, a layer that can't be read and its equal, one that has no fit, and tensors that are skipped. */
function net(folder: string, broken: boolean): string {
  const nan = { shape: [20, 20], values: Float32Array.from({ length: 400 }, (_, i) => (i === 7 ? Number.NaN : i)) }
  const tensors = {
    'a.weight': goldenTensor('G1'),
    'b.weight': goldenTensor('G4'),
    'tied.weight': goldenTensor('G1'),
    'zero.weight': { shape: [12, 12] },
    'c.weight': goldenTensor('G2'),
    'c.bias': { shape: [60] },
    ...(broken && { 'nan.weight': nan, 'nan2.weight': nan }),
  }
  return writeSafetensors(tensors, 'net.safetensors', folder)
}

async function shards(checkpoint: string, of: number, ...more: string[]): Promise<string[]> {
  const folder = temporaryFolder()
  const paths = Array.from({ length: of }, (_, i) => join(folder, `${i + 1}.json`))
  for (const [i, path] of paths.entries()) {
    const { status, stderr } = await cli(checkpoint, '--shard', `${i + 1}/${of}`, '--json', path, ...more)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  }
  return paths
}

const ABSOLUTE = ['--fail-if', 'alpha > 1']
const RULES = [...ABSOLUTE, '--warn-if', 'delta(alpha) > 0']

test.each([
  ['2 shards', 2, true, []],
  ['3 shards', 3, false, []],
  ['more shards than layers', 9, true, []],
  ['without reuse', 2, false, ['--no-reuse']],
])('%s merged have the bytes of the whole run, with and without a baseline', async (_, of, broken, more) => {
  const folder = temporaryFolder()
  const checkpoint = net(folder, broken)
  const baseline = join(folder, 'base.json')
  const base = writeSafetensors({ 'a.weight': goldenTensor('G1'), 'b.weight': goldenTensor('G3') })
  await cli(base, '--json', baseline)
  const parts = await shards(checkpoint, of, ...more)
  for (const compared of [[], ['--baseline', baseline], ['--baseline', base]]) {
    const [whole, merged] = [join(folder, 'whole.json'), join(folder, 'merged.json')]
    const rules = compared.length > 0 ? RULES : ABSOLUTE
    const { status } = await cli(checkpoint, ...rules, ...compared, ...more, '--json', whole)
    expect(status).toBe(1)
    const again = await cli('--merge', ...parts.reverse(), ...rules, ...compared, ...more, '--json', merged)
    expect(again.status, again.stderr).toBe(1)
    expect(readFileSync(merged, 'utf8')).toBe(readFileSync(whole, 'utf8'))
  }
})

test('a part says what it is, and judges nothing', async () => {
  const { stdout } = await cli(net(temporaryFolder(), false), '--shard', '1/2', '--fail-if', 'alpha > 0')
  expect(stdout).toMatch(/\npart 1 of 2: \d of 5 layers, to be merged\n$/)
  expect(stdout).not.toMatch(/mean|coverage|✅|❌/)
})

describe('refuses', () => {
  const checkpointOf = (broken = false) => net(temporaryFolder(), broken)
  const merge = (...paths: string[]) => cli('--merge', ...paths)

  test('a missing and a doubled shard, by number', async () => {
    const [first, second, third] = (await shards(checkpointOf(), 3)) as [string, string, string]
    const missing = await merge(first, third)
    expect(missing).toMatchObject({ status: 2, stdout: '' })
    expect(missing.stderr).toContain('"net" was split into 3 shards, and there is no part of number 2.')
    expect((await merge(first, second, third, second)).stderr).toMatch(/Shard 2\/3 of the model "net" is there twice/)
    const [half] = (await shards(checkpointOf(), 2)) as [string, string]
    expect((await merge(half, second, third)).stderr).toMatch(/are not shards of one checkpoint/)
  })

  test('shards of checkpoints that differ', async () => {
    const [first] = (await shards(checkpointOf(), 2)) as [string, string]
    const [, second] = (await shards(checkpointOf(true), 2)) as [string, string]
    expect((await merge(first, second)).stderr).toMatch(
      /are not shards of one checkpoint, though both are of the model/,
    )
  })

  test('parts made with other options, and two models of one name', async () => {
    const [first] = (await shards(checkpointOf(), 1)) as [string]
    const [other] = (await shards(checkpointOf(), 1, '--min-evals', '15')) as [string]
    expect((await merge(first, other)).stderr).toMatch(/were made with other options \(min_evals\)/)
    const [again] = (await shards(checkpointOf(), 1, '--no-reuse')) as [string]
    expect((await merge(first, again)).stderr).toMatch(/other options \(reuse\)/)
    expect((await merge(first, first)).stderr).toMatch(/The model "net" is there twice/)
  })

  test('what is not a part, and a part where a whole report belongs', async () => {
    const whole = join(temporaryFolder(), 'whole.json')
    await cli(checkpointOf(), '--json', whole)
    expect((await merge(whole)).stderr).toMatch(/whole\.json: is a whole report\nA part is made with/)
    const [part] = (await shards(checkpointOf(), 1)) as [string]
    expect((await cli(checkpointOf(), '--baseline', part)).stderr).toMatch(
      /is a part of a report\nMerge all parts first/,
    )
    expect((await merge('none.json')).stderr).toMatch(/none\.json: can't be read \(ENOENT\)/)
    expect((await cli(checkpointOf(), '--merge', '--shard', '1/2')).stderr).toMatch(/contradict/)
  })

  test.each([
    ['a row too many', (part: Part) => part.part.models[0].positions.push(4), /does not say where its layers belong/],
    ['a row twice', (part: Part) => part.part.models[0].positions.fill(0), /layer 0 of the model "net" is there twice/],
    ['a hole', (part: Part) => part.part.models[0].positions.splice(0, 1, 9), /do not have each of its 5 layers/],
    ['no model', (part: Part) => part.part.models.pop(), /does not say where its layers belong/],
    ['another version', (part: Part) => Object.assign(part.tool, { version: '9' }), /was made by version 9/],
  ])('a forged part: %s', async (_, forge, message) => {
    const [path] = (await shards(checkpointOf(), 1)) as [string]
    const part = JSON.parse(readFileSync(path, 'utf8')) as Part
    forge(part)
    writeFileSync(path, JSON.stringify(part))
    expect(await merge(path)).toMatchObject({ status: 2, stderr: expect.stringMatching(message) })
  })
})

interface Part {
  tool: { version: string }
  part: { models: [{ positions: number[] }] }
}

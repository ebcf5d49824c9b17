import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, openSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { strictReport } from '../../src/report/schema.ts'
import { cli, runNode } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { generate, goldenTensor } from '../support/golden.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'

const net = () =>
  writeSafetensors({ 'a.weight': goldenTensor('G1'), 'conv.weight': goldenTensor('G4'), 'a.bias': { shape: [60] } })

test('prints a table, the summary and the verdict', async () => {
  const { status, stdout, stderr } = await cli(net())
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(/^a +\| 60×40 +\| +40 \| 1\.883 /m)
  expect(stdout).toMatch(/^conv +\| 24×16×3×3 \| +144 \| 2\.093 /m)
  expect(stdout).toMatch(/^alpha +\| +1\.988$/m)
  expect(stdout).toContain('net: 2 layers, all fitted; 98.9 % of the parameters analysed, 1 tensor skipped')
  expect(stdout).toMatch(/✅ passed: no rule is set; alpha 1\.988 over 2 layers\n$/)
})

test('--json - prints the report and nothing else, the same bytes every time', async () => {
  const path = net()
  const first = await cli(path, '--json', '-')
  expect(first).toEqual(await cli(path, '--json', '-'))
  expect(first.stderr).toBe('')
  const report = strictReport.parse(JSON.parse(first.stdout))
  expect(report).toMatchObject({
    schemaVersion: 1,
    models: [
      {
        name: 'net',
        source: { path: 'net.safetensors', format: 'safetensors' },
        skipped: [{ tensor: 'a.bias', reason: '1-D' }],
      },
    ],
    verdict: { status: 'passed' },
  })
  expect(first.stdout).not.toContain(process.cwd())
})

test('writes files, and compares with an earlier report as with an earlier checkpoint', async () => {
  const folder = temporaryFolder()
  const base = writeSafetensors({ 'a.weight': goldenTensor('G1') }, 'main.safetensors', folder)
  const head = writeSafetensors(
    { 'a.weight': generate(7, [60, 40], false), 'b.weight': goldenTensor('G2') },
    'head.safetensors',
    folder,
  )
  const json = join(folder, 'out', 'main.json')
  expect(await cli(base, '--json', json, '--csv', join(folder, 'main.csv'))).toMatchObject({ status: 0 })
  expect(readFileSync(join(folder, 'main.csv'), 'utf8')).toMatch(/^model,name,tensor/)
  const rules = ['--fail-if', 'delta(alpha) > 0.2', '--warn-if', 'alpha > 9']
  const withReport = await cli(head, '--baseline', json, ...rules, '--markdown', '-')
  const withCheckpoint = await cli(head, '--baseline', base, ...rules, '--markdown', '-')
  expect(withReport.status).toBe(1)
  expect(withReport.stdout).toMatch(/^### ❌ Failed: `delta\(alpha\) > 0.2` is true: \+1\.916; /)
  const rest = (text: string) => text.replace(/baseline .*? ·/, '')
  expect(rest(withCheckpoint.stdout)).toBe(rest(withReport.stdout))
  expect(await cli(head, '--baseline', json, ...rules, '--no-enforce')).toMatchObject({ status: 0 })
})

test('several checkpoints have one verdict', async () => {
  const { status, stdout } = await cli(
    `good=${net()}`,
    `bad=${writeSafetensors({ w: goldenTensor('G2') })}`,
    '--fail-if',
    'alpha > 4',
  )
  expect(status).toBe(1)
  expect(stdout).toMatch(/❌ +\| fail if alpha > 4 +\| bad +\| +4\.207/)
  expect(stdout).toMatch(/✅ +\| fail if alpha > 4 +\| good +\| +1\.988/)
})

test('a file whose name contains = is a file', async () => {
  const path = writeSafetensors({ w: goldenTensor('G1') }, 'epoch=3-step=100.ckpt')
  const { stdout } = await runNode('dist/cli.js', ['epoch=3-step=100.ckpt', '--json', '-'], { cwd: join(path, '..') })
  expect(JSON.parse(stdout).models[0]).toMatchObject({
    name: 'epoch=3-step=100',
    source: { path: 'epoch=3-step=100.ckpt' },
  })
})

test('what can be read as a name and a path, and is there as a whole, is refused', async () => {
  const cwd = join(writeSafetensors({ w: goldenTensor('G1') }, 'net=a.pt'), '..')
  copyFileSync(join(cwd, 'net=a.pt'), join(cwd, 'a.pt'))
  const { status, stderr } = await runNode('dist/cli.js', ['net=a.pt'], { cwd })
  expect(status).toBe(2)
  expect(stderr).toContain('Write ./net=a.pt where that is meant')
})

const nan = (): Written => ({
  shape: [20, 20],
  values: Float32Array.from({ length: 400 }, (_, i) => (i === 7 ? Number.NaN : Math.sin(i))),
})

test.each<[string, () => string[], number, RegExp]>([
  ['no checkpoint', () => [], 2, /No checkpoint was named/],
  [
    'an unknown option',
    () => [net(), '--fial-if', 'alpha > 6'],
    2,
    /Unknown option --fial-if\.\nDid you mean --fail-if\?/,
  ],
  [
    'a rule with a typo',
    () => [net(), '--fail-if', 'alhpa > 6'],
    2,
    /fail-if, column 1: unknown metric "alhpa"\n.*\n +\^.*\nDid you mean alpha\?/,
  ],
  ['a missing file', () => ['nothing.pt'], 2, /nothing\.pt: no such file or folder/],
  ['a folder without checkpoints', () => [temporaryFolder()], 2, /has no checkpoint in it/],
  ['a text file', () => ['package.json'], 2, /package\.json: is a text file, not a checkpoint/],
  ['a truncated file', () => [truncated(net())], 2, /net\.safetensors: tensor "a.bias": ends at byte/],
  [
    'no layer that qualifies',
    () => [writeSafetensors({ b: { shape: [64] }, c: { shape: [3, 3] } })],
    2,
    /none of its 2 tensors qualifies as a layer \(1 × 1-D, 1 × 3 eigenvalues, fewer than min-evals 10\)/,
  ],
  ['no tensor', () => [writeSafetensors({})], 2, /holds no tensors/],
  [
    'a missing baseline',
    () => [net(), '--baseline', 'nothing.json'],
    2,
    /The baseline can't be used\. nothing\.json: no such file/,
  ],
  [
    'an unreadable baseline',
    () => [net(), '--baseline', 'package.json'],
    2,
    /The baseline can't be used\. package\.json: is JSON, but not a report of Spectral Gate: /,
  ],
  [
    'two outputs on standard output',
    () => [net(), '--json', '-', '--csv', '-'],
    2,
    /--json and --csv can't both go to standard output/,
  ],
  ['two models of one name', () => [net(), net()], 2, /Two models are called "net"/],
  ['an output that can’t be written', () => [net(), '--json', '/dev/null/x.json'], 2, /x\.json: can't be written/],
])('%s: exit status and remedy', async (_, args, status, message) => {
  const finished = await cli(...args())
  expect(finished.stderr).toMatch(message)
  expect(finished).toMatchObject({ status, stdout: '' })
  expect(finished.stderr).not.toMatch(/^ +at /m)
})

test('NaN in a weight is a row that says so, and the gate fails', async () => {
  const { status, stdout } = await cli(writeSafetensors({ 'a.weight': goldenTensor('G1'), 'b.weight': nan() }))
  expect(status).toBe(1)
  expect(stdout).toContain('error: NaN at index [0, 7]')
  expect(stdout).toMatch(/❌ failed: 1 layer could not be read, b: NaN at index \[0, 7\]/)
})

test('an all-zero layer is a row that says so, and the verdict is not passed', async () => {
  const { status, stdout } = await cli(
    writeSafetensors({ 'a.weight': goldenTensor('G1'), 'z.weight': { shape: [20, 20] } }),
  )
  expect(status).toBe(0)
  expect(stdout).toMatch(/⚠️ warned: 1 layer could not be judged, z: all its eigenvalues are 0/)
})

test('a baseline made with other options leaves relative rules inconclusive, and the job fails', async () => {
  const path = net()
  const json = join(temporaryFolder(), 'main.json')
  await cli(path, '--json', json, '--min-evals', '50')
  const { status, stdout } = await cli(path, '--baseline', json, '--fail-if', 'delta(alpha) > 1')
  expect(status).toBe(1)
  expect(stdout).toContain('min_evals is 10, but the baseline was made with 50')
  expect(stdout).toContain('🟡 inconclusive')
})

test('a truncated report is no baseline', async () => {
  const path = net()
  const json = join(temporaryFolder(), 'main.json')
  await cli(path, '--json', json)
  truncateSync(json, 500)
  expect(await cli(path, '--baseline', json)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('main.json: is not valid JSON'),
  })
})

test('hostile names reach the terminal as escapes', async () => {
  const name = '\u001b[2J\u202e\n::error::x'
  const { stdout } = await cli(writeSafetensors({ [name]: goldenTensor('G1'), b: goldenTensor('G2') }))
  expect(stdout).toContain('\\u001b[2J\\u202e\\u000a::error::x')
})

test.each<[string, (path: string, folder: string) => string[], RegExp]>([
  ['the checkpoint', path => [path, '--json', path], /net\.safetensors is read/],
  ['the checkpoint by a link', (path, folder) => [path, '--csv', join(folder, 'link')], /net\.safetensors is read/],
  ['the checkpoint of a name', path => [`m=${path}`, '--describe', '--json', path], /net\.safetensors is read/],
  ['a file of the folder', path => [dirname(path), '--markdown', path], /net\.safetensors is read/],
  ['the baseline', (path, folder) => [path, '--baseline', `${folder}/b`, '--json', `${folder}/./b`], /b is read/],
  ['another output', (path, folder) => [path, '--json', `${folder}/o`, '--csv', `${folder}/x/../o`], /two outputs/],
])('an output in the place of %s is refused before anything is written', async (_, args, message) => {
  const folder = temporaryFolder()
  const path = net()
  const bytes = readFileSync(path)
  symlinkSync(path, join(folder, 'link'))
  writeFileSync(join(folder, 'b'), '{}')
  const { status, stderr } = await cli(...args(path, folder))
  expect(stderr).toMatch(message)
  expect(status).toBe(2)
  expect(readFileSync(path).equals(bytes)).toBe(true)
  expect(readFileSync(join(folder, 'b'), 'utf8')).toBe('{}')
})

test.runIf(existsSync('/dev/full'))('a full disk behind standard output is an error, no stack', () => {
  const full = openSync('/dev/full', 'w')
  const { status, stderr } = spawnSync(process.execPath, ['dist/cli.js', net()], { stdio: ['ignore', full, 'pipe'] })
  expect(stderr.toString()).toBe("Error: standard output can't be written (ENOSPC)\n")
  expect(status).toBe(2)
})

test('a reader that stops early changes nothing', async () => {
  const many = Array.from({ length: 3000 }, (_, i) => [`l${i}.weight`, { shape: [40, 2] }])
  const child = spawn(process.execPath, ['dist/cli.js', writeSafetensors(Object.fromEntries(many)), '--describe'])
  let stderr = ''
  child.stderr.on('data', data => {
    stderr += data
  })
  child.stdout.once('data', () => child.stdout.destroy())
  expect(await once(child, 'close')).toEqual([0, null])
  expect(stderr).toBe('')
})

test('--describe lists layers and what would be skipped, without reading a weight', async () => {
  const path = writeSafetensors({ 'a.weight': nan(), 'a.bias': { shape: [60] }, 'tiny.weight': { shape: [2, 2] } })
  const { status, stdout } = await cli(path, '--describe')
  expect(status).toBe(0)
  expect(stdout).toMatch(/^a +\| dense \| 20×20 \| F32 +\| 20 \| 20 \| +1 \| +20$/m)
  expect(stdout).toMatch(/^tiny\.weight \| 2×2 +\| F32 +\| 2 eigenvalues, fewer than min-evals 10$/m)
  const json = JSON.parse((await cli(path, '--describe', '--json', '-')).stdout)
  expect(json).toMatchObject([
    {
      name: 'net',
      format: 'safetensors',
      layers: [{ tensor: 'a.weight', N: 20, M: 20 }],
      skipped: [{ reason: '1-D' }, {}],
    },
  ])
})

test('--version and --help', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  expect(await cli('--version')).toEqual({ status: 0, stdout: `spectral-gate ${version}\n`, stderr: '' })
  const { stdout } = await cli('--help')
  expect(stdout).toContain('--fail-if RULE')
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(125)
})

function truncated(path: string): string {
  const bytes = readFileSync(path)
  writeFileSync(path, bytes.subarray(0, bytes.length - 100))
  return path
}

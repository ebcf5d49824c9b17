import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cli, root } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { generate } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'

const OLD = join(root, 'test/fixtures/reports/0.1.0-depth3-batch8.json')

test('render draws a report, one of an earlier version too, in every form but its own', async () => {
  const folder = temporaryFolder()
  const json = join(folder, 'r.json')
  const head = writeSafetensors(
    { 'a.weight': generate(1, [60, 40], false), 'b.weight': generate(2, [80, 50], true) },
    'head.safetensors',
  )
  const base = writeSafetensors(
    { 'a.weight': generate(3, [60, 40], false), 'b.weight': generate(2, [80, 50], true) },
    'base.safetensors',
  )
  const forms = (name: string) => ['html', 'markdown', 'csv'].map(form => join(folder, `${name}.${form}`))
  const [html, markdown, csv] = forms('run')
  const made = await cli(head, '--baseline', base, '--json', json, '--html', html, '--markdown', markdown, '--csv', csv)
  expect(made.status).toBe(0)
  const [html2, markdown2, csv2] = forms('drawn')
  const drawn = await cli('render', json, '--html', html2, '--markdown', markdown2, '--csv', csv2)
  expect(drawn).toMatchObject({ status: 0, stdout: made.stdout, stderr: '' })
  for (const [a, b] of [
    [html, html2],
    [markdown, markdown2],
    [csv, csv2],
  ])
    expect(readFileSync(b, 'utf8')).toBe(readFileSync(a, 'utf8'))
  const { comparison } = JSON.parse(readFileSync(json, 'utf8'))
  const { layers } = comparison.models[0]
  expect(layers.map(({ name }: { name: string }) => name)).toEqual(['a'])
  const { esd, xmin, num_pl_spikes } = layers[0].base
  expect(esd.counts.reduce((sum: number, count: number) => sum + count)).toBe(40)
  expect(xmin).toBeGreaterThan(0)
  expect(num_pl_spikes).toBeLessThanOrEqual(40)
  const old = join(folder, 'old.html')
  expect((await cli('render', OLD, '--html', old)).status).toBe(0)
  expect(readFileSync(old, 'utf8')).toMatch(/^<!doctype html>/)
})

test('render says what it can’t do', async () => {
  const folder = temporaryFolder()
  const [list, text, series] = ['a.json', 'b.json', 'c.json'].map(name => join(folder, name))
  writeFileSync(list, '[1]')
  writeFileSync(text, 'not json')
  writeFileSync(series, '{"points": [], "schemaVersion": 1}')
  const said = async (...args: string[]) => {
    const { status, stderr } = await cli('render', ...args)
    expect(status, stderr).toBe(2)
    return stderr
  }
  expect(await said()).toContain('render takes one report')
  expect(await said(OLD, OLD)).toContain('render takes one report')
  expect(await said(OLD, '--json', '-')).toContain('--json does not go with render')
  expect(await said(OLD, '--fail-if', 'alpha > 6')).toContain('--fail-if does not go with render')
  expect(await said(join(folder, 'none.json'))).toContain("can't be read (ENOENT)")
  expect(await said(list)).toContain('not a report of Spectral Gate')
  expect(await said(text)).toContain('render takes a report that --json wrote')
  expect(await said(series)).toContain('not a series')
  expect(await said(OLD, '--html', OLD)).toContain('the output would take its place')
})

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { explain, UserError } from '../../src/errors.ts'
import {
  parseForeignReport,
  parsePart,
  parseReport,
  readPart,
  readReport,
  serialiseReport,
} from '../../src/report/io.ts'
import { foreignReport, type Report } from '../../src/report/schema.ts'
import { VERSION } from '../../src/version.ts'
import { defaults } from '../support/analyse.ts'
import { temporaryFolder } from '../support/folder.ts'
import { layer, model } from '../support/models.ts'

const report: Report = {
  schemaVersion: 1,
  tool: { name: 'spectral-gate', version: '0.0.0' },
  options: defaults,
  models: [model('net', [layer('a[1, 2]', 2.123456789012345), layer('b', null)])],
}

test('a report comes back the same, and the same bytes again', () => {
  const text = serialiseReport(report)
  expect(parseReport(Buffer.from(text), 'x')).toEqual(report)
  expect(serialiseReport(parseReport(Buffer.from(text), 'x'))).toBe(text)
  expect(text).toContain('"shape": [64, 64]')
})

test('what a newer version added is dropped', () => {
  const newer = JSON.parse(serialiseReport(report))
  newer.novelty = 1
  newer.models[0].layers[0].hill = { alpha: 2 }
  expect(parseReport(Buffer.from(JSON.stringify(newer)), 'x')).toEqual(report)
})

test('a report that would be too large to be read again is not written', () => {
  const size = Buffer.byteLength(serialiseReport(report))
  const marks = [...serialiseReport(report).matchAll(/[[{,:](?=[\s\d"[{])/g)].length
  const most = { bytes: size, marksCount: 2 * marks }
  expect(serialiseReport(report, most)).toBe(serialiseReport(report))
  for (const [bounds, found] of [
    [
      { ...most, bytes: size - 1 },
      `The report would have ${size} bytes, more than the ${size - 1} that are read again`,
    ],
    [{ ...most, marksCount: marks / 2 }, `more than the ${marks / 2} commas, colons and brackets that are read again`],
  ] as const) {
    const write = () => serialiseReport(report, bounds)
    expect(write).toThrow(UserError)
    expect(write).toThrow(found)
  }
})

test('bytes are counted, not characters', () => {
  const wide = { ...report, models: [model('ネット'.repeat(100), [layer('a', 2)])] }
  const text = serialiseReport(wide)
  expect(() => serialiseReport(wide, { bytes: text.length, marksCount: 10_000 })).toThrow(/bytes, more than the/)
})

test('what we write is held to the schema', () => {
  expect(() => serialiseReport({ ...report, novelty: 1 } as Report)).toThrow()
  expect(() => serialiseReport({ ...report, models: [model('net', [layer('a', Number.NaN)])] })).toThrow()
})

test.each<[string, (json: ReturnType<typeof JSON.parse>) => unknown, RegExp]>([
  ['a newer schema', json => ({ ...json, schemaVersion: 2 }), /written by a newer version \(schema 2\)/],
  ['another JSON file', () => ({ name: 'package' }), /not a report of Spectral Gate/],
  ['null', () => null, /not a report/],
  [
    'a string for a number',
    json => {
      json.models[0].layers[0].alpha = '2'
      return json
    },
    /alpha/,
  ],
  [
    'a missing option',
    json => {
      delete json.options.min_evals
      return json
    },
    /min_evals/,
  ],
])('refuses %s', (_, change, message) => {
  const text = Buffer.from(JSON.stringify(change(JSON.parse(serialiseReport(report)))))
  expect(() => parseReport(text, 'main.json')).toThrow(message)
  expect(() => parseReport(text, 'main.json')).toThrow(/^main\.json: /)
})

test('refuses what is no JSON, naming the file', async () => {
  const path = join(temporaryFolder(), 'base.json')
  writeFileSync(path, '{ "schemaVersion": 1, ')
  const error = await readReport(path).catch(error => error)
  expect(error).toBeInstanceOf(UserError)
  expect(explain(error)).toContain(`${path}: is not valid JSON`)
})

test('JSON on a terminal moves no cursor and turns no order, and means the same', () => {
  const name = 'a\u001b[31m\u009b31m\u202ebc\u2028\u{e0001}é'
  const text = serialiseReport({ ...report, models: [model(name, [layer('a', 2)])] })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
  expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202a-\u202e]|\u{e0001}/u)
  expect(text).toContain('é')
  expect(JSON.parse(text).models[0].name).toBe(name)
})

test('a part is read as one, and a whole report is none', async () => {
  const part = { reuse: true, shard: { index: 1, of: 2 }, models: [{ positions: [0], layers: 2 }] }
  const whole = JSON.parse(serialiseReport(report))
  const text = (json: unknown) => Buffer.from(JSON.stringify(json))
  expect(() => parsePart(text(whole), 'a.json')).toThrow('a.json: ')
  expect(() => parseReport(text({ ...whole, part }), 'a.json')).toThrow('a.json: ')
  const path = join(temporaryFolder(), 'part.json')
  writeFileSync(path, text({ ...whole, part }))
  expect((await readPart(path)).part).toMatchObject(part)
  await expect(readReport(path)).rejects.toThrow(UserError)
})

test('a part of this version has the words of this version', () => {
  const whole = JSON.parse(serialiseReport({ ...report, tool: { name: 'spectral-gate', version: VERSION } }))
  const part = { reuse: true, shard: { index: 1, of: 1 }, models: [{ positions: [0, 1], layers: 2 }] }
  const read = (change: (layer: object) => void) => {
    const json = structuredClone({ ...whole, part })
    change(json.models[0].layers[0])
    return () => parsePart(Buffer.from(JSON.stringify(json)), 'a.json')
  }
  expect(read(() => {})).not.toThrow()
  expect(read(layer => Object.assign(layer, { status: 'other' }))).toThrow(
    /^a\.json: is not a part as this version writes it: models\[0\]\.layers\[0\]\.status: /,
  )
})

test('a file that is not there, or is none, is named', async () => {
  const folder = temporaryFolder()
  await expect(readReport(join(folder, 'x.json'))).rejects.toThrow(`${folder}/x.json: can't be read (ENOENT)`)
  await expect(readReport(folder)).rejects.toThrow(UserError)
  await expect(readReport(folder)).rejects.toThrow(folder)
})

test('what is wrong is named by its place', () => {
  const json = JSON.parse(serialiseReport(report))
  json.models[0].layers[1].num_evals = -1
  expect(() => parseReport(Buffer.from(JSON.stringify(json)), 'a.json')).toThrow(
    /models\[0\]\.layers\[1\]\.num_evals: /,
  )
  expect(() => parseReport(Buffer.from('[]'), 'a.json')).toThrow(/^a\.json: /)
  const newer = { ...JSON.parse(serialiseReport(report)), schemaVersion: 2 }
  expect(() => parseReport(Buffer.from(JSON.stringify(newer)), 'a.json')).toThrow(/version/i)
})

test('strangers’ reports take from what may be read of all of them', () => {
  const bytes = Buffer.from(serialiseReport(report))
  const left = { marksCount: 10_000 }
  expect(parseForeignReport(bytes, 'x', left)).toEqual(report)
  const taken = 10_000 - left.marksCount
  expect(taken).toBeGreaterThan(100)
  left.marksCount = taken
  parseForeignReport(bytes, 'x', left)
  expect(() => parseForeignReport(bytes, 'x', left)).toThrow(/^x: holds more than 0 commas, colons and brackets$/)
})

test('every list of a stranger’s report has a bound', () => {
  const unbounded: string[] = []
  const walk = (schema: Record<string, unknown>, path: string) => {
    if (schema.type === 'array' && !('maxItems' in schema)) unbounded.push(path)
    for (const [key, inner] of Object.entries(schema))
      if (typeof inner === 'object' && inner !== null) walk(inner as Record<string, unknown>, `${path}/${key}`)
  }
  walk(z.toJSONSchema(foreignReport, { io: 'input' }), '')
  expect(unbounded).toEqual([])
})

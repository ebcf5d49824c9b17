import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonProblem, parseJson } from '../../src/bytes/json.ts'

const most = { depth: 16, marks: 1000 }
const parse = (text: string, bounds = most) => parseJson(Buffer.from(text), bounds)
const problem = (text: string, bounds = most) => {
  try {
    return parse(text, bounds)
  } catch (error) {
    return jsonProblem(error)
  }
}

test('gives what JSON.parse gives', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'binary' }), value => {
      const text = JSON.stringify(value)
      expect(parse(text, { depth: 64, marks: 1e6 })).toEqual(JSON.parse(text))
    }),
    { seed: 11 },
  )
})

test.each<[string, string]>([
  ['nesting', '['.repeat(17)],
  ['nesting behind a string with brackets', `["]]]]\\\\"${',['.repeat(17)}`],
  ['many numbers', `[${'0,'.repeat(1001)}0]`],
  ['many keys', `{${'"":0,'.repeat(501)}"":0}`],
  ['many lists', `[${'[],'.repeat(501)}[]]`],
])('%s: refused before it is parsed', (_, text) => {
  expect(problem(text)).toMatch(/^(nests deeper than 16|holds more than 1000 commas, colons and brackets)$/)
})

test.each(['', '{', '"', '"\\"', '{"a":}', '[1,]', '\\'])('%j is not valid JSON', text => {
  expect(problem(text)).toBe('is not valid JSON')
})

test('marks in strings do not count', () => {
  const text = JSON.stringify('[{,:'.repeat(1000) + '\\"'.repeat(9))
  expect(parse(text)).toBe(JSON.parse(text))
})

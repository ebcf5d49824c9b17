import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Context } from '../../src/github/context.ts'
import { clean, explainFailure } from '../../src/github/failures.ts'

test('a message loses what may be secret in it: the query of a URL', () => {
  expect(clean('PUT https://store.example/a.zip?sig=SECRET&se=1 failed.')).toBe(
    'PUT https://store.example/a.zip?… failed',
  )
})

test('any message becomes one short line without invisible characters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 1000 }), message => {
      expect(clean(message)).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{0,300}$/u)
    }),
  )
})

test('a branch that is gone takes no other permission', () => {
  const error = Object.assign(new Error('Branch not found - https://docs.github.com/rest'), { status: 404 })
  expect(explainFailure(error, "It can't be read", 'contents: read', {} as Context)).toBe(
    "It can't be read: GitHub has no such branch (404): was it deleted?",
  )
})

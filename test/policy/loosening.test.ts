import { expect, test } from 'vitest'
import { loosenedRules } from '../../src/policy/loosening.ts'
import { parseRule } from '../../src/policy/rule.ts'

const fail = (...texts: string[]) => texts.map(text => parseRule(text, 'fail'))
const warn = (...texts: string[]) => texts.map(text => parseRule(text, 'warn'))

test.each([
  ['the same', fail('alpha > 6'), fail('alpha>6.0'), false],
  ['gone', fail('alpha > 6'), [], true],
  ['a higher threshold', fail('alpha > 6'), fail('alpha > 7'), true],
  ['a lower threshold', fail('alpha > 6'), fail('alpha > 5'), false],
  ['the threshold left out', fail('alpha >= 6'), fail('alpha > 6'), true],
  ['the threshold taken in', fail('alpha > 6'), fail('alpha >= 6'), false],
  ['a lower bound that is lowered', fail('alpha < 2'), fail('alpha < 1'), true],
  ['a lower bound that is raised', fail('alpha < 2'), fail('alpha < 3'), false],
  ['the other side', fail('alpha > 6'), fail('alpha < 7'), true],
  ['a warning in place of a failure', fail('alpha > 6'), warn('alpha > 6'), true],
  ['a failure in place of a warning', warn('alpha > 6'), fail('alpha > 6'), false],
  ['another metric', fail('alpha > 6'), fail('log_norm > 6'), true],
  ['another layer', fail('alpha[a] > 6'), fail('alpha[b] > 6'), true],
  ['percent in place of a number', fail('delta(alpha) > 5'), fail('delta(alpha) > 5%'), true],
  ['a mean in place of each layer', fail('any(alpha) > 6'), fail('alpha > 6'), true],
  ['restricted', fail('any(alpha) > 6'), fail('any(alpha where S > 3) > 6'), true],
  ['restricted otherwise', fail('any(alpha where S > 3) > 6'), fail('any(alpha where S > 4) > 6'), true],
  ['no longer restricted', fail('any(alpha where S > 3) > 6'), fail('any(alpha) > 6'), true],
  [
    'the same restriction',
    fail('mean(D where S > 3 and type = dense) > 6'),
    fail('mean(D where type=dense and S>3) > 6'),
    false,
  ],
])('%s', (_, before, after, loosened) => {
  expect(loosenedRules(before, after)).toEqual(loosened ? before : [])
})

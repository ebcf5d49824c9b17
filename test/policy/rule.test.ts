import fc from 'fast-check'
import { expect, test } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { parseRule } from '../../src/policy/rule.ts'

const mean = (metric: string) => ({ kind: 'mean', metric })

const named = (pattern: string) => ({ kind: 'name', pattern })
const metric = (metric: string, operator: string, threshold: number) => ({
  ...{ kind: 'metric', metric, operator, threshold },
})

test.each([
  ['alpha > 6', { subject: { kind: 'value', value: mean('alpha') }, operator: '>', threshold: 6, unit: '' }],
  ['alpha_weighted>3.5', { subject: { kind: 'value', value: mean('alpha_weighted') }, threshold: 3.5 }],
  ['  delta( alpha ) >= -0.2 ', { subject: { kind: 'delta', value: mean('alpha') }, operator: '>=', threshold: -0.2 }],
  ['delta(alpha) > 5%', { subject: { kind: 'delta', value: mean('alpha') }, threshold: 5, unit: '%' }],
  ['any(alpha) < 1.5', { subject: { kind: 'any', metric: 'alpha', delta: false }, operator: '<' }],
  ['any(delta(log_norm)) > 10 %', { subject: { kind: 'any', metric: 'log_norm', delta: true }, unit: '%' }],
  [
    'count(alpha > 6) > 3',
    {
      subject: { kind: 'value', value: { kind: 'count', metric: 'alpha', operator: '>', threshold: 6 } },
      threshold: 3,
    },
  ],
  ['median(alpha) > 5', { subject: { kind: 'value', value: { kind: 'median', metric: 'alpha' } } }],
  [
    'delta(median(D)) <= 1e-3',
    { subject: { kind: 'delta', value: { kind: 'median', metric: 'D' } }, operator: '<=', threshold: 0.001 },
  ],
  ['primary > 0.1', { subject: { kind: 'primary' }, threshold: 0.1, unit: '' }],
  ['primary < -1 history', { subject: { kind: 'primary' }, threshold: -1, unit: 'history' }],
  ['delta(log_norm) > 2history', { subject: { kind: 'delta', value: mean('log_norm') }, unit: 'history' }],
  ['delta(alpha) > 3 sigma', { subject: { kind: 'delta', value: mean('alpha') }, threshold: 3, unit: 'sigma' }],
  ['any(delta(alpha_hill)) > 4 sigma', { subject: { kind: 'any', metric: 'alpha_hill' }, unit: 'sigma' }],
  ['failed > 0', { subject: { kind: 'value', value: { kind: 'model', metric: 'failed' } } }],
  ['coverage < .9', { subject: { kind: 'value', value: { kind: 'model', metric: 'coverage' } }, threshold: 0.9 }],
  [
    'alpha[layer1.0.conv1] > 4',
    { subject: { kind: 'value', value: { kind: 'layer', metric: 'alpha', layer: 'layer1.0.conv1' } } },
  ],
  [
    'delta(alpha["a]b c"]) > 4',
    { subject: { kind: 'delta', value: { kind: 'layer', metric: 'alpha', layer: 'a]b c' } } },
  ],
  ['count(changed) > 0', { subject: { kind: 'changed' }, threshold: 0 }],
  ['count( changed where name ~ "backbone.*" ) > 0', { subject: { kind: 'changed', where: [named('backbone.*')] } }],
  ['count(random-like) > 0', { subject: { kind: 'value', value: { kind: 'advice', advice: 'random-like' } } }],
  [
    'count(poor-fit where num_evals >= 50) > 3',
    { subject: { value: { kind: 'advice', advice: 'poor-fit', where: [metric('num_evals', '>=', 50)] } } },
  ],
  ['delta(count(rank-collapsed)) > 0', { subject: { kind: 'delta', value: { kind: 'advice' } } }],
  ['std(alpha) > 2', { subject: { kind: 'value', value: { kind: 'std', metric: 'alpha' } } }],
  [
    'mean(alpha where num_evals >= 50) > 6',
    { subject: { kind: 'value', value: { ...mean('alpha'), where: [metric('num_evals', '>=', 50)] } }, threshold: 6 },
  ],
  [
    'delta(alpha where name ~ "layer3.*") > 0.2',
    { subject: { kind: 'delta', value: { ...mean('alpha'), where: [named('layer3.*')] } } },
  ],
  [
    'any(delta(alpha) where name ~ layer3.* and type = conv2d) > 4 sigma',
    {
      subject: { kind: 'any', delta: true, where: [named('layer3.*'), { kind: 'type', type: 'conv2d' }] },
      unit: 'sigma',
    },
  ],
  [
    'count(alpha > 6 where type=dense) > 3',
    { subject: { value: { kind: 'count', threshold: 6, where: [{ kind: 'type', type: 'dense' }] } }, threshold: 3 },
  ],
  [
    'delta(median(alpha where D < .1)) > 1',
    { subject: { kind: 'delta', value: { kind: 'median', where: [metric('D', '<', 0.1)] } } },
  ],
])('reads %s', (text, expected) => {
  expect(parseRule(text, 'fail')).toMatchObject({ text: text.trim(), level: 'fail', ...expected })
})

test.each([
  ['alhpa > 6', 1, 'unknown metric "alhpa"', 'Did you mean alpha?'],
  ['alpha-weighted2 > 6', 1, 'unknown metric', 'Did you mean alpha_weighted?'],
  ['accuracy > 6', 1, 'unknown metric "accuracy"', 'Known are alpha,'],
  ['meadian(alpha) > 6', 1, 'unknown function "meadian"', 'Did you mean median?'],
  ['delta(alhpa) > 6', 7, 'unknown metric "alhpa"', 'Did you mean alpha?'],
  ['any(failed) > 6', 5, 'failed is a number of the model, not of a layer', ''],
  ['delta(any(alpha)) > 1', 7, 'any(…) can’t stand inside another function'.replace('’', "'"), 'any(delta('],
  ['delta(delta(alpha)) > 1', 7, "delta(…) can't stand inside", ''],
  ['alpha 6', 7, 'an operator is missing', '> >= < <='],
  ['alpha == 6', 7, 'unknown operator ==', '> >= < <='],
  ['alpha > six', 9, 'a number is missing', ''],
  ['alpha > 1e999', 9, 'a number is missing', ''],
  ['alpha >', 8, 'a number is missing', ''],
  ['alpha > 6 and D > 1', 11, 'the rule should end here', 'one rule a line'],
  ['alpha > 6 sigma', 11, 'sigma needs a change', 'delta('],
  ['alpha > 6 history', 11, 'history needs a change', 'delta('],
  ['primary > 6%', 12, 'primary is a logarithm', 'a plain number'],
  ['primary > 6 sigma', 13, 'no standard error is known of it', 'delta(alpha)'],
  ['delta(log_norm) > 6 sigma', 21, 'no standard error is known of it', 'delta(alpha)'],
  ['delta(median(alpha)) > 1 sigma', 26, 'no standard error is known of it', ''],
  ['delta(entropy) > 6 history', 20, 'earlier baselines do not have it', 'primary'],
  ['any(delta(alpha)) > 6 history', 23, 'earlier baselines do not have it', ''],
  ['delta(alpha) > 6 sigmas', 18, 'the rule should end here', ''],
  ['primry > 1', 1, 'unknown metric "primry"', 'Did you mean primary?'],
  ['delta(primary) > 1', 7, 'unknown metric "primary"', ''],
  ['alpha > 6%', 10, 'a percentage needs a change', 'delta('],
  ['delta(alpha > 6', 13, 'expected )', ''],
  ['alpha[] > 6', 7, 'a layer is missing', ''],
  ['alpha[fc > 6', 13, 'expected ]', ''],
  ['> 6', 1, 'a metric is missing', ''],
  ['alpha where num_evals >= 50 > 6', 7, 'where stands inside brackets', 'mean(alpha where'],
  ['alpha > 6 where num_evals >= 50', 11, 'where stands inside brackets', 'mean(alpha where'],
  ['delta(count(changed)) > 0', 13, 'changed compares with the baseline already', 'count(changed) > 0'],
  ['count(changed) > 5%', 19, 'a count of changes has no base', 'a plain number'],
  ['count(changed > 5) > 5', 15, 'expected )', ''],
  ['count(random-lik) > 0', 7, 'unknown metric "random-lik"', 'Did you mean random-like?'],
  ['random-like > 0', 1, 'random-like is advice on a layer', 'Write count(random-like) > 0.'],
  ['mean(poor-fit) > 0', 6, 'poor-fit is advice on a layer', ''],
  ['changed > 0', 1, 'unknown metric "changed"', ''],
  ['any(alpha where name = x) > 6', 22, 'expected ~', 'name ~ "layer3.*"'],
  ['any(alpha where name ~ ) > 6', 24, 'a pattern is missing', ''],
  ['any(alpha where name ~ "!") > 6', 24, 'a pattern is missing', ''],
  ['any(alpha where name ~ "@(a|b)") > 6', 24, 'a pattern has no brackets but', '{q,k,v}'],
  ['any(alpha where group = attn) > 6', 25, 'unknown group "attn"', 'Known are attention, embedding'],
  ['any(alpha where group = attention.w) > 6', 25, 'unknown group "attention.w"', 'Did you mean attention.'],
  ['any(alpha where type ~ x) > 6', 22, 'expected =', 'type = conv2d'],
  ['any(alpha where type = conv2) > 6', 24, 'unknown type "conv2"', 'Did you mean conv2d?'],
  ['any(alpha where type = ) > 6', 24, 'a type is missing', 'dense, conv2d'],
  ['any(alpha where alhpa > 6) > 6', 17, 'unknown metric "alhpa"', 'alpha'],
  ['any(alpha where D = 6) > 6', 19, 'unknown operator =', ''],
  ['any(alpha where D > 6 or S > 1) > 6', 23, 'expected )', ''],
  ['delta(failed where D > 6) > 6', 14, 'expected )', ''],
  ['delta(alpha where S > 3) > 1 history', 30, 'earlier baselines do not have it', ''],
])('points at what is wrong in %s', (text, column, found, remedy) => {
  const error = refusal(text)
  expect(error.message).toContain(`warn-if, column ${column}: ${found}`)
  expect(error.remedy).toContain(remedy)
  const [, rule, pointer] = error.message.split('\n')
  expect(rule).toBe(`warn-if: ${text}`)
  expect(pointer.indexOf('^')).toBe('warn-if: '.length + column - 1)
})

test('the order of conditions does not make another rule', () => {
  const [a, b] = ['type = dense and S > 3 and S > 3', 'S>3.0 and type=dense'].map(
    where => parseRule(`any(alpha where ${where}) > 6`, 'fail').subject,
  )
  expect(a).toEqual(b)
})

test('no text crashes the parser', () => {
  const pieces = fc.constantFrom(
    'alpha',
    'delta',
    'any',
    'count',
    'where',
    'name',
    'type',
    '~',
    '=',
    'and',
    '*',
    '{a,',
    '}',
    'failed',
    '(',
    ')',
    '[',
    ']',
    '"',
    '>',
    '<=',
    '5',
    '%',
    ' ',
    '-',
    '.',
    'x',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(pieces, { maxLength: 12 }).map(list => list.join('')),
      ),
      text => {
        try {
          parseRule(text, 'fail')
        } catch (error) {
          expect(error).toBeInstanceOf(UserError)
        }
      },
    ),
    { numRuns: 5000, seed: 3 },
  )
})

function refusal(text: string): UserError {
  try {
    parseRule(text, 'warn')
  } catch (error) {
    return error as UserError
  }
  throw new Error(`${text} was accepted`)
}

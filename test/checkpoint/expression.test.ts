import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Expression } from '../../src/checkpoint/expression.ts'

test.each<[string, string, boolean | undefined]>([
  ['.*', 'model.layers.0.q_proj', true],
  ['', '', true],
  ['q_proj', 'q_proj', true],
  ['q_proj', 'x.q_proj', false],
  ['.*\\.(q|v)_proj', 'layers.3.v_proj', true],
  ['.*\\.(q|v)_proj', 'layers.3.k_proj', false],
  ['.*\\.(q|v)_proj', 'layers.3.q_projx', false],
  ['layers\\.[0-3]\\.q', 'layers.4.q', false],
  ['layers\\.\\d+\\.q', 'layers.42.q', true],
  ['layers\\.(?:1|2){2}\\.q', 'layers.21.q', true],
  ['l{2,3}', 'llll', false],
  ['l{2,}', 'llll', true],
  ['l{,2}', 'l', true],
  ['[^a-z]+', 'A1', true],
  ['[]x]', ']', true],
  ['^a.*z$', 'abcz', true],
  ['a^b', 'ab', false],
  ['(a|b$)*', 'aab', true],
  ['^(model(?!.*(lm_head|vision)).*)$', 'model.layers.0.q', true],
  ['^(model(?!.*(lm_head|vision)).*)$', 'model.vision.q', false],
  ['model(?=\\.).*', 'model.x', true],
  ['model(?=\\.).*', 'modelx', false],
  ['(?:.*?)|(?:\\bmodel\\.layers\\.[\\d]{1,}\\.(?:q|v))', 'model.layers.10.q', true],
  ['(?:\\bmodel\\.\\blayers\\B)', 'model.layers', false],
  ['\\Aa\\.b\\Z', 'a.b', true],
  ['(a*)*', 'aaaa', true],
  ['(a|)+b', 'aab', true],
  ['(?i)A', 'a', undefined],
  ['(?<!a)b', 'b', undefined],
  ['(a)\\1', 'aa', undefined],
  ['a++', 'a', undefined],
  ['(a', 'a', undefined],
  ['a)', 'a', undefined],
  ['a\\', 'a', undefined],
  ['[a', 'a', undefined],
  ['*', 'a', undefined],
  ['((a{999}){999}){999}', 'a', undefined],
  ['('.repeat(100) + ')'.repeat(100), '', undefined],
  ['a'.repeat(20_000), 'a', undefined],
])('%s on %s', (text, name, fits) => {
  expect(Expression.of(text)?.fits(name)).toBe(fits)
})

test('what takes others years is told at once, or is not', () => {
  const began = performance.now()
  for (const text of ['(a+)+b', '(a|a)*b', '(a|aa)+$b', '((a*)*)*b', '(?=(a+)+b)(a*)*'])
    expect(Expression.of(text)?.fits('a'.repeat(4000))).toBe(false)
  expect(Expression.of('((?=.*.*.*b).)*')?.fits('a'.repeat(4000))).toBe(false)
  expect(performance.now() - began).toBeLessThan(20_000)
})

test('it fits what a regular expression fits', () => {
  const atom = fc.constantFrom('a', 'b', '.', '\\.', '[ab]', '[^a]', '\\w', '\\d', '\\b', '\\B', '^', '$')
  const { expression } = fc.letrec<{ expression: string }>(tie => ({
    expression: fc.oneof(
      { maxDepth: 4 },
      atom,
      fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => a + b),
      fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `(${a}|${b})`),
      fc
        .tuple(tie('expression'), fc.constantFrom('*', '+', '?', '{2}', '{1,2}', '*?'))
        .map(([a, end]) => `(?:${a})${end}`),
      fc.tuple(fc.constantFrom('=', '!'), tie('expression')).map(([kind, a]) => `(?${kind}${a})`),
    ),
  }))
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '.', '1'), maxLength: 6 })
  fc.assert(
    fc.property(expression, name, (text, name) => {
      expect(Expression.of(text)?.fits(name)).toBe(new RegExp(`^(?:${text})$`).test(name))
    }),
    { numRuns: 3000 },
  )
})

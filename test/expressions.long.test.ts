import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'acorn'
import { transformSync } from 'esbuild'
import { check } from 'recheck'
import { expect, test } from 'vitest'

/** Files that run in the product: build/ reads our own text, and the kernel is compiled apart. */
const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter(file => /\.[jt]s$/.test(file) && !/\.d\.|^(spectrum\/kernel|build)\//.test(file))
  .sort()

/** Made of a list of our own symbols, one character each. */
const CONSTRUCTED = ['policy/scanner.ts']

interface Expression {
  readonly source: string
  readonly flags: string
}

/** A file's regular-expression literals, and whether it makes others while it runs. */
function expressionsOf(file: string): { literals: Expression[]; constructs: boolean } {
  const literals: Expression[] = []
  let constructs = false
  const { code } = transformSync(readFileSync(join('src', file), 'utf8'), { loader: 'ts' })
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    const { type, regex, name } = node as { type?: string; regex?: { pattern: string; flags: string }; name?: string }
    if (type === 'Literal' && regex) literals.push({ source: regex.pattern, flags: regex.flags })
    if (type === 'Identifier' && name === 'RegExp') constructs = true
    for (const value of Object.values(node)) walk(value)
  }
  walk(parse(code, { ecmaVersion: 'latest', sourceType: 'module' }))
  return { literals, constructs }
}

const found = files.map(file => ({ file, ...expressionsOf(file) }))

/** In words: how long the expression may take for a text of n characters. */
async function complexity({ source, flags }: Expression): Promise<string> {
  // A sticky expression is asked at one place alone: one that may begin anywhere is held to more than it has to.
  const found = await check(source, flags, { checker: 'automaton', timeout: 100_000 })
  if (found.status === 'safe') return found.status
  return `${found.status}: ${found.status === 'vulnerable' ? found.complexity.summary : found.error.kind}`
}

test('the analyser finds what takes quadratic and exponential time', async () => {
  expect(await complexity(/^(a+)+$/)).toBe('vulnerable: exponential')
  expect(await complexity(/\s+$/)).toBe('vulnerable: 2nd degree polynomial')
  expect(await complexity(/^\s+/)).toBe('safe')
})

test('no regular expression is made while the product runs', () => {
  expect(found.filter(({ constructs }) => constructs).map(({ file }) => file)).toEqual(CONSTRUCTED)
})

test('every regular expression takes linear time, whatever the text', { timeout: 1_200_000 }, async () => {
  const all = new Map(
    found.flatMap(({ file, literals }) => literals.map(one => [`/${one.source}/${one.flags}`, { file, one }])),
  )
  expect(all.size).toBeGreaterThan(250)
  const slow: string[] = []
  for (const [text, { file, one }] of all) {
    const found = await complexity(one)
    if (found !== 'safe') slow.push(`${file}: ${text} ${found}`)
  }
  expect(slow).toEqual([])
})

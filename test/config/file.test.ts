import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { CONFIG_PATH, parseConfig, readConfig } from '../../src/config/file.ts'
import { resolvePublishing } from '../../src/config/publishing.ts'
import { configSchema } from '../../src/config/schema.ts'
import { resolveSettings } from '../../src/config/settings.ts'
import { FILE_NAMES, OPTION_NAMES, optionOf, PUBLISHING_NAMES } from '../../src/config/table.ts'
import { explain, UserError } from '../../src/errors.ts'
import { limits } from '../../src/limits.ts'
import { temporaryFolder } from '../support/folder.ts'

const EXAMPLE = `# what the gate holds
baseline: auto
fail-if:
  - alpha > 6
  - delta(alpha) > 5%
warn-if: |
  # only a hint
  any(alpha) < 1.5
exclude: ['*.bias']
min-evals: 20
enforce: false
baseline-required: true
baseline-max-age: 30d
comment: on-change
`

async function refusal(text: string): Promise<string> {
  try {
    await parseConfig(text, 'gate.yml')
  } catch (error) {
    expect(error).toBeInstanceOf(UserError)
    return explain(error)
  }
  throw new Error('was accepted')
}

test('a config file is a layer of settings, and of what concerns publishing', async () => {
  const { settings, publishing } = await parseConfig(EXAMPLE, 'gate.yml')
  const resolved = resolveSettings(settings, { 'min-evals': '30' })
  expect(resolved).toMatchObject({ baseline: 'auto', options: { min_evals: 30, exclude: ['*.bias'] } })
  expect(resolved.policy.enforce).toBe(false)
  expect(resolved.policy.rules.map(({ text, level }) => [text, level])).toEqual([
    ['alpha > 6', 'fail'],
    ['delta(alpha) > 5%', 'fail'],
    ['any(alpha) < 1.5', 'warn'],
  ])
  expect(publishing).toEqual({ 'baseline-required': 'true', 'baseline-max-age': '30d', comment: 'on-change' })
})

test('inputs go over the file, the file over the defaults', () => {
  expect(resolvePublishing({ comment: 'never' }, { comment: '', 'comment-key': 'x' })).toEqual({
    'missing-checkpoint': 'error',
    html: 'true',
    'baseline-required': 'false',
    'baseline-max-age': '',
    'baseline-branch': '',
    'baseline-workflow': '',
    'baseline-artifact': '',
    'baseline-key': '',
    comment: 'never',
    'comment-key': 'x',
    'recreate-on-worse': 'false',
    'accept-label': '',
    'artifact-name': '',
  })
})

test.each(['', '# nothing\n', 'fail-if:\n', '{}', '---\n'])('an empty one: %j', async text => {
  expect(await parseConfig(text, 'gate.yml')).toEqual({ settings: {}, publishing: {} })
})

test('a number where a text is taken', async () => {
  expect((await parseConfig('baseline-max-age: 30\nbaseline-branch: 1.5', 'gate.yml')).publishing).toEqual({
    'baseline-max-age': '30',
    'baseline-branch': '1.5',
  })
})

test('no option is called the same twice', () => {
  expect(PUBLISHING_NAMES.filter(name => OPTION_NAMES.includes(name as never))).toEqual([])
})

describe('refuses', () => {
  test.each<[string, string]>([
    ['fail_if: alpha > 6', 'gate.yml: there is no option "fail_if": did you mean fail-if?'],
    ['fial-if: alpha > 6', 'did you mean fail-if?'],
    ['baseline-maxage: 3d', 'did you mean baseline-max-age?'],
    ['github-token: secret', 'there is no option "github-token"\nKnown are missing-checkpoint, baseline, '],
    ['__proto__: {}', 'there is no option "__proto__"'],
    ['constructor: {}', 'there is no option "constructor"'],
    ['enforce: "yes"', 'gate.yml: enforce takes true or false.'],
    ['min-evals: -1', 'min-evals takes a whole number of 0 or more.'],
    ['min-evals: 1.5', 'min-evals takes a whole number'],
    ['comment: sometimes', 'comment takes always, on-change, on-failure, never.'],
    ['fail-if: [1, 2]', 'fail-if takes a list of texts'],
    ['fail-if:\n  - alpha: 6', 'fail-if takes a list of texts'],
    ['state-dict: [a]', 'state-dict takes one line of text.'],
    ['state-dict: |\n  a\n  b', 'state-dict takes one line of text.'],
    ['- alpha > 6', 'gate.yml: has to be a mapping of options'],
    ['text', 'has to be a mapping'],
    ['fail-if: a\nfail-if: b', 'is not valid YAML: Map keys must be unique at line 2, column 1'],
    ['fail-if: [', 'is not valid YAML: '],
    ['a: 1\n---\nb: 2', 'is not valid YAML: '],
    ['exclude:\n  - *.bias', 'A text that begins with * has to be quoted'],
    ['include: &a [x]\nexclude: *a', 'A text that begins with * has to be quoted'],
    ['? [a]\n: 1', 'is not valid YAML: '],
  ])('%j', async (text, message) => {
    expect(await refusal(text)).toContain(message)
  })

  test('a bomb of aliases', async () => {
    const levels = Array.from({ length: 12 }, (_, i) => `l${i}: &l${i} [${Array(10).fill(i ? `*l${i - 1}` : 'x')}]`)
    expect(await refusal(levels.join('\n'))).toContain('is not valid YAML')
  })

  test('one that is too large', async () => {
    expect(await refusal(`# ${'x'.repeat(limits.config.bytes)}`)).toContain('characters, more than')
  })

  test.each([
    ['brackets', '['.repeat(200_000)],
    ['brackets that are closed', `include: ${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['mappings', '{a: '.repeat(50_000)],
    ['lists in a line', '- '.repeat(100_000)],
    ['keys in a line', '? '.repeat(100_000)],
    ['lists and keys in a line', 'a: ? - '.repeat(30_000)],
    ['indented mappings', Array.from({ length: 700 }, (_, level) => `${' '.repeat(level)}a:\n`).join('')],
    ['indented lists', Array.from({ length: 700 }, (_, level) => `${' '.repeat(level)}-\n`).join('')],
    ['keys', Array.from({ length: 25_000 }, (_, i) => `k${i}: 1\n`).join('')],
    ['keys that are as many as may be', Array.from({ length: 7_999 }, (_, i) => `k${i}: 1\n`).join('')],
    ['keys in brackets', `{${Array.from({ length: 25_000 }, (_, i) => `k${i}`).join()}}`],
    ['a long key', `${'k'.repeat(200_000)}: 1`],
    ['a long key that is quoted', `"${'k'.repeat(200_000)}": 1`],
    ['anchors', Array.from({ length: 20_000 }, (_, i) => `- &a${i} x\n`).join('')],
    ['tags', '!a '.repeat(60_000)],
    ['escapes', `a: "${'\\u0041'.repeat(40_000)}`],
    ['folded lines', `a: >\n${' \n'.repeat(100_000)}`],
    ['empty lines in quotes', `a: "${'\n '.repeat(100_000)}"`],
    ['texts in quotes', '"a" '.repeat(60_000)],
    ['comments', '#\n'.repeat(100_000)],
    ['directives', '%YAML 1.2\n'.repeat(20_000)],
    ['unknown directives', '%\n'.repeat(120_000)],
    ['closing brackets', ']'.repeat(250_000)],
    ['closing braces', '}'.repeat(250_000)],
    ['documents', '---\n'.repeat(60_000)],
    ['aliases', '*a '.repeat(80_000)],
    ['aliases in a list', `[${'*a,'.repeat(60_000)}]`],
  ])('many %s, at once and without a crash', { timeout: 30_000 }, async (_, text) => {
    const begin = process.cpuUsage()
    const said = await parseConfig(text, 'gate.yml').then(() => 'accepted', explain)
    const { user, system } = process.cpuUsage(begin)
    expect(said).toMatch(/^(accepted|gate\.yml: )/)
    expect(said).not.toContain('call stack')
    expect(said.length).toBeLessThan(3_000)
    expect(user + system).toBeLessThan(3e6)
  })

  test('but not a thousand patterns', async () => {
    const list = Array.from({ length: 1_000 }, (_, i) => `  - 'layers.${i}.{q,k,v}_proj[0-9]*'\n`).join('')
    expect((await parseConfig(`include:\n${list}`, 'gate.yml')).settings.include).toHaveLength(1_000)
  })

  test('anything odd with an error that names the file', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), async text => {
        try {
          await parseConfig(text, 'gate.yml')
        } catch (error) {
          expect(error).toBeInstanceOf(UserError)
          expect((error as Error).message).toMatch(/^gate\.yml: /)
        }
      }),
    )
  })
})

describe('the file', () => {
  const start = process.cwd()
  afterEach(() => process.chdir(start))

  function inFolder(files: Record<string, string>): void {
    const folder = temporaryFolder()
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(folder, name, '..'), { recursive: true })
      writeFileSync(join(folder, name), text)
    }
    process.chdir(folder)
  }

  test('is read from its usual place', async () => {
    inFolder({ [CONFIG_PATH]: 'enforce: false' })
    expect((await readConfig(CONFIG_PATH)).settings).toEqual({ enforce: 'false' })
  })

  test('may be absent where that is asked for', async () => {
    inFolder({})
    expect(await readConfig(CONFIG_PATH, true)).toBeUndefined()
  })

  test('may not be absent otherwise', async () => {
    inFolder({ 'x.yml': 'enforce: true' })
    expect((await readConfig('x.yml')).settings).toEqual({ enforce: 'true' })
    await expect(readConfig('y.yml')).rejects.toThrow("y.yml: the config file can't be read (ENOENT)")
    await expect(readConfig('.')).rejects.toThrow('is no file')
  })
})

describe('the JSON Schema', () => {
  const validate = new Ajv2020().compile(configSchema())

  test('accepts the example and describes each option', () => {
    expect(validate(parse(EXAMPLE))).toBe(true)
    const { properties } = configSchema() as { properties: Record<string, { description: string }> }
    expect(Object.keys(properties)).toEqual(FILE_NAMES)
    for (const [name, { description }] of Object.entries(properties))
      expect(description).toBe(optionOf(name as never).help)
  })

  test.each(['fial-if: x', 'enforce: 1', 'comment: sometimes', 'min-evals: -1', 'fail-if: [1]'])(
    'refuses %j',
    async text => {
      expect(validate(parse(text))).toBe(false)
      await expect(parseConfig(text, 'x')).rejects.toThrow(UserError)
    },
  )
})

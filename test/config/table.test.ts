import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { configSchema } from '../../src/config/schema.ts'
import { actionInputs, FILE_NAMES, OPTION_NAMES, type Option, TABLE } from '../../src/config/table.ts'
import { cli } from '../support/cli.ts'

const options = Object.entries(TABLE) as [string, Option][]

test('action.yml has the inputs of the table, as `npm run build` writes them', () => {
  const action = readFileSync('action.yml', 'utf8')
  expect(action).toContain(actionInputs())
  const { inputs } = parse(action)
  expect(Object.keys(inputs)).toEqual(options.map(([name]) => name))
  // A default there would override the config file.
  for (const [name, { expression }] of options)
    expect(inputs[name].default, name).toBe(expression && `\${{ ${expression} }}`)
  for (const [name, { help }] of options) expect(inputs[name].description, name).toContain(help)
})

test('defaults in action.yml are of contexts that a runner gives to them', () => {
  // input-default-context in the runner's action_yaml.json: any other, such as needs, would break each use of the Action.
  const given = /^(?:toJSON\()?(?:github|strategy|matrix|job|runner)\b/
  for (const [name, { expression }] of options) if (expression) expect(expression, name).toMatch(given)
})

test('the README’s table has every input, each once, with the table’s default', () => {
  const [, section] = /^## Inputs\n([\s\S]*?)^## /m.exec(readFileSync('README.md', 'utf8'))!
  const rows = [...section.matchAll(/^\| (`.*?) \| (.*?) ?\|/gm)].map(([, names, fallback]) => ({
    names: [...names.matchAll(/`([\w-]+)`/g)].map(([, name]) => name),
    defaults: fallback.split(',').map(text => text.replaceAll('`', '').trim()),
  }))
  const told = rows.flatMap(({ names, defaults }) => names.map((name, i) => ({ name, default: defaults[i] ?? '' })))
  expect(told.map(({ name }) => name).sort()).toEqual(
    options
      .map(([name]) => name)
      .filter(name => name !== 'matrix' && name !== 'strategy')
      .sort(),
  )
  for (const { name, default: fallback } of told) {
    const { default: expected } = TABLE[name as keyof typeof TABLE] as Option
    if (expected !== undefined) expect(fallback, name).toBe(expected)
  }
})

test('the schema of the config file and --help have what may be set there, with the table’s help', async () => {
  const { properties } = configSchema() as { properties: Record<string, { description: string; enum?: string[] }> }
  expect(Object.keys(properties)).toEqual(FILE_NAMES)
  for (const name of FILE_NAMES) {
    const option: Option = TABLE[name]
    expect(properties[name].description, name).toBe(option.help)
    if (option.values) expect(properties[name].enum, name).toEqual(option.values)
  }
  const help = (await cli('--help')).stdout.replace(/\s+/g, ' ')
  for (const name of OPTION_NAMES) {
    const option: Option = TABLE[name]
    expect(help).toContain(option.type === 'flag' ? `--[no-]${name} ` : `--${name} ${option.value} `)
    expect(help, name).toContain(option.help.replace(' One rule a line.', ''))
  }
  for (const [name] of options.filter(([, option]) => !option.in.includes('cli'))) {
    // A page is a file on the command line, and a question in the Action.
    if (name !== 'checkpoint' && name !== 'html') expect(help, name).not.toContain(`--${name} `)
  }
})

test('each help is a sentence', () => {
  for (const [name, { help }] of options) expect(help, name).toMatch(/\.$|\}\.$/)
})

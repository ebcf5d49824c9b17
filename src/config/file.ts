import { readSmallFile } from '../bytes/small-file.ts'
import { parseYaml, tooMuchYaml } from '../bytes/yaml.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { nearest } from '../words.ts'
import type { RawPublishing } from './publishing.ts'
import { configFile } from './schema.ts'
import type { RawSettings } from './settings.ts'
import {
  FILE_NAMES,
  type FileName,
  OPTION_NAMES,
  type Option,
  type OptionName,
  optionOf,
  type PublishingName,
} from './table.ts'

/** Where the config file lies if nobody says otherwise. */
export const CONFIG_PATH = '.github/spectral-gate.yml'

export interface Config {
  settings: RawSettings
  publishing: RawPublishing
}

export const NO_CONFIG: Config = { settings: {}, publishing: {} }

const EXPECTED: Record<Option['type'], string> = {
  text: 'takes one line of text',
  lines: 'takes a list of texts, or a text with one a line. Quote what begins with * or !, or holds ": " or " #"',
  count: 'takes a whole number of 0 or more',
  flag: 'takes true or false',
}

/**
 * The config file as a layer of settings below the inputs.
 * @param optional undefined is given where there is no such file
 * @throws UserError naming file, line or key
 */
export async function readConfig(path: string): Promise<Config>
export async function readConfig(path: string, optional: true): Promise<Config | undefined>
export async function readConfig(path: string, optional = false): Promise<Config | undefined> {
  let text: string
  try {
    text = (await readSmallFile(path, limits.config.bytes)).toString('utf8')
  } catch (cause) {
    if (cause instanceof UserError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (optional && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined
    throw new UserError(
      `${path}: the config file can't be read (${code})`,
      'The path is relative to the working directory. Is the repository checked out?',
      { cause },
    )
  }
  return parseConfig(text, path)
}

/** @param where names the file in errors */
export async function parseConfig(text: string, where: string): Promise<Config> {
  const config: Config = { settings: {}, publishing: {} }
  for (const [key, value] of Object.entries(await parseMapping(text, where))) {
    if (value === null) continue
    if (!FILE_NAMES.includes(key as FileName)) throw unknownKey(key, where)
    const option = optionOf(key as FileName)
    if (!configFile.shape[key]!.safeParse(value).success) {
      const expected = option.values ? `takes ${option.values.join(', ')}` : EXPECTED[option.type]
      throw new UserError(`${where}: ${key} ${expected}.`)
    }
    const plain = Array.isArray(value) ? value : String(value)
    if (OPTION_NAMES.includes(key as OptionName)) config.settings[key as OptionName] = plain
    else config.publishing[key as PublishingName] = plain as string
  }
  return config
}

async function parseMapping(text: string, where: string): Promise<object> {
  if (text.length > limits.config.bytes) {
    throw new UserError(`${where}: has ${text.length} characters, more than ${limits.config.bytes}`)
  }
  const { marksCount, nestingLevels } = limits.config
  const problem = tooMuchYaml(text, { marks: marksCount, depth: nestingLevels })
  if (problem) throw new UserError(`${where}: ${problem}`, 'Its options are texts, and lists of texts.')
  let value: unknown
  try {
    value = (await parseYaml(text)).toJS({ maxAliasCount: 0 })
  } catch (cause) {
    const said = cause instanceof Error ? cause.message.split('\n')[0]!.replace(/:$/, '') : String(cause)
    const alias = /alias/i.test(said) ? 'A text that begins with * has to be quoted; aliases are not allowed.' : ''
    throw new UserError(`${where}: is not valid YAML: ${said}`, alias, { cause })
  }
  if (value === null || value === undefined) return {}
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new UserError(`${where}: has to be a mapping of options, such as "fail-if: alpha > 6"`)
  }
  return value
}

function unknownKey(key: string, where: string): UserError {
  const near = nearest(key, FILE_NAMES)
  const shown = JSON.stringify(key.slice(0, 100))
  return new UserError(
    `${where}: there is no option ${shown}${near ? `: did you mean ${near}?` : ''}`,
    near ? '' : `Known are ${FILE_NAMES.join(', ')}.`,
  )
}

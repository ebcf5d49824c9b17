import * as z from 'zod'
import { FILE_NAMES, type Option, optionOf } from './table.ts'

const line = z
  .string()
  .max(1024)
  .regex(/^[^\r\n]*$/, 'takes one line')
const number = z.int().min(0).max(999_999_999)

const KINDS = {
  text: z.union([line, z.number()]),
  lines: z.union([z.string().max(65_536), z.array(line).max(1000)]),
  count: number,
  flag: z.boolean(),
} satisfies Record<Option['type'], z.ZodType>

/** What a config file may hold: one schema for what we read and for what editors are told. */
export const configFile = z.strictObject(
  Object.fromEntries(
    FILE_NAMES.map(name => {
      const { type, values, help } = optionOf(name)
      const kind = values ? z.enum(values as readonly [string, ...string[]]) : KINDS[type]
      return [name, kind.optional().describe(help)]
    }),
  ),
)

/** The JSON Schema (draft 2020-12) of the config file, for editors. */
export function configSchema(): object {
  return { title: 'Config file of Spectral Gate', ...z.toJSONSchema(configFile) }
}

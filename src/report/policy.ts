import * as z from 'zod'

/** What judged: the rules, and the options that can let something pass. Part of a report, so that the next one can hold itself to it. */
export function policySchemas(object: typeof z.object, list: <Item extends z.ZodType>(item: Item) => z.ZodArray<Item>) {
  const text = z.string().max(65_536)
  const policy = object({
    rules: list(object({ level: z.enum(['fail', 'warn']), rule: z.string().max(1024) })).describe('In force'),
    settings: z
      .record(z.string().max(64), text)
      .describe(
        'Options that can let something pass, where they are not the default; those of the analysis stand in options',
      ),
    config: z
      .string()
      .max(4096)
      .optional()
      .describe('Path in the repository of the config file that was read; absent where none was'),
    from_inputs: z
      .array(z.string().max(64))
      .max(1000)
      .optional()
      .describe('Options that the inputs set, rules too, whatever the config file says'),
    from_file: z
      .array(z.string().max(64))
      .max(1000)
      .optional()
      .describe('Options that the config file set, rules too: where a later version of it is at hand, that counts'),
  })
  const gateChange = object({
    introduced: z.boolean().describe('The base branch has no config file: the pull request brings the first one'),
    unreadable: z.string().max(4096).describe("Why the base branch's config file can't be read; empty otherwise"),
    changes: z
      .array(object({ option: z.string().max(64), old: text, new: text }))
      .max(1000)
      .describe('What the pull request would change. It takes effect when it is merged: the old judged'),
    proposed: object({ status: z.enum(['passed', 'warned', 'inconclusive', 'failed']), fails_job: z.boolean() })
      .nullable()
      .describe('What the new would have said; null where that is not known'),
  })
  return { policy, gateChange }
}

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { renderCsv } from '../render/csv.ts'
import { renderMarkdown } from '../render/markdown.ts'
import { renderText } from '../render/text.ts'
import { serialiseReport } from '../report/io.ts'
import type { Report } from '../report/schema.ts'

const RENDERERS = {
  json: serialiseReport,
  markdown: (report: Report) => renderMarkdown(report, { limit: limits.comment }),
  csv: renderCsv,
}

/**
 * Writes the report in each of the wanted formats. `-` is standard output, and then nothing else goes there; otherwise it gets
 * the table for people.
 */
export async function renderOutput(
  report: Report,
  outputs: Partial<Record<keyof typeof RENDERERS, string | undefined>>,
  print: (text: string) => void,
): Promise<void> {
  let taken = false
  for (const format of ['json', 'markdown', 'csv'] as const) {
    const path = outputs[format]
    if (path === undefined) continue
    const text = RENDERERS[format](report)
    if (path === '-') print(text)
    else await write(path, text)
    taken ||= path === '-'
  }
  if (!taken) print(renderText(report))
}

async function write(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
  } catch (cause) {
    throw new UserError(`${path}: can't be written (${(cause as NodeJS.ErrnoException).code})`, '', { cause })
  }
}

import { limits } from '../limits.ts'
import type { Report } from '../report/schema.ts'

/** A form of the report that the command line writes to a file: its option is its name. */
interface OutputFormat {
  /** For --help. */
  readonly help: string
  /** The writer is loaded when it is used. */
  render(report: Report): Promise<string>
}

/** The forms of a report, in the order in which they are written. A new one is a row here and a writer in render/. */
export const FORMATS = {
  json: {
    help: 'The report, for tools and as a later baseline.',
    render: async report => (await import('../report/io.ts')).serialiseReport(report),
  },
  markdown: {
    help: 'The pull-request comment.',
    render: async report =>
      (await import('../render/markdown.ts')).renderMarkdown(report, { limit: limits.report.commentCharacters }),
  },
  csv: {
    help: 'One row a layer.',
    render: async report => (await import('../render/csv.ts')).renderCsv(report),
  },
  html: {
    help: 'A page to look at, of one file: spectra, plots, a table to sort and filter.',
    render: async report => (await import('../render/page/index.ts')).renderPage(report),
  },
} as const satisfies Record<string, OutputFormat>

export type FormatName = keyof typeof FORMATS
export const FORMAT_NAMES = Object.keys(FORMATS) as FormatName[]

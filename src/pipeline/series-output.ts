import { join } from 'node:path'
import type { FormatName } from '../config/formats.ts'
import { limits } from '../limits.ts'
import { renderSeriesCsv } from '../render/csv.ts'
import { renderSeriesMarkdown, renderSeriesText, seriesHeadline, seriesPlots } from '../render/series.ts'
import { phrase } from '../render/text.ts'
import { serialiseSeries } from '../series/report.ts'
import type { SeriesReport } from '../series/schema.ts'
import { write } from './output.ts'

const WRITERS = {
  json: serialiseSeries,
  markdown: (report: SeriesReport) => renderSeriesMarkdown(report, limits.report.commentCharacters),
  csv: renderSeriesCsv,
  html: async (report: SeriesReport) => (await import('../render/page/index.ts')).renderSeriesPage(report),
} satisfies Record<FormatName, (report: SeriesReport) => string | Promise<string>>

/** Writes a series in each of the wanted forms, and its plots into a folder; `-` is standard output, which otherwise gets the text. */
export async function writeSeries(
  report: SeriesReport,
  { plots, ...outputs }: Partial<Record<FormatName, string>> & { readonly plots?: string | undefined },
  print: (text: string) => void,
  { width, quiet }: { readonly width?: number | undefined; readonly quiet?: boolean },
): Promise<void> {
  let taken = false
  for (const [format, path] of Object.entries(outputs) as [FormatName, string][]) {
    const text = await WRITERS[format](report)
    if (path === '-') print(text)
    else await write(path, text)
    taken ||= path === '-'
  }
  if (plots !== undefined) await writePlots(report, plots)
  if (!taken) print(quiet ? `${phrase(seriesHeadline(report))}\n` : renderSeriesText(report, width))
}

/** An SVG a metric, called after it. @returns the paths */
export async function writePlots(report: SeriesReport, folder: string): Promise<string[]> {
  const paths: string[] = []
  const taken = new Set<string>()
  for (const { metric, svg } of seriesPlots(report)) {
    let name = metric.replace(/[^\w.-]/g, '-')
    // a/b and a-b; D and d, where the disk takes them for one.
    while (taken.has(name.toLowerCase())) name += '-'
    taken.add(name.toLowerCase())
    const path = join(folder, `${name}.svg`)
    await write(path, svg)
    paths.push(path)
  }
  return paths
}

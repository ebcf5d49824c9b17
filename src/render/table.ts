import { markdownTable } from 'markdown-table'

/** Aligned columns for a terminal: `align` has a letter a column, l or r. */
export function terminalTable(rows: string[][], align: string): string {
  return markdownTable(rows, { align: align.split(''), delimiterStart: false, delimiterEnd: false })
}

import type { FigureChange, Report } from '../report/schema.ts'
import { format, formatChange } from './numbers.ts'
import { figureTrend } from './trend.ts'

/**
 * The project's own figures as the rows of a table, header first; none where there are none.
 * @param quote how names are written
 */
export function figureTable(report: Report, quote: (name: string) => string): string[][] {
  const compared = report.comparison?.figures
  const figures =
    compared ??
    report.figures?.map(({ name, value }): FigureChange => ({ name, head: value, base: null, change: null }))
  if (!figures || figures.length === 0) return []
  const trends = figures.map(({ name, head }) => figureTrend(report, name, head))
  const drawn = trends.some(trend => trend !== '')
  const rows = figures.map((figure, i) => [
    quote(figure.name),
    format(figure.head),
    ...(compared ? [format(figure.base), `${formatChange(figure.change)}${judged(figure)}`] : []),
    ...(drawn ? [trends[i]] : []),
  ])
  return [['figure', 'head', ...(compared ? ['base', 'change'] : []), ...(drawn ? ['trend'] : [])], ...rows]
}

function judged({ change, better }: FigureChange): string {
  if (!change || !better) return ''
  return change > 0 === (better === 'higher') ? ', better' : ', worse'
}

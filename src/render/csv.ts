import { stringify } from 'csv-stringify/sync'
import { askedIn } from '../report/analyses.ts'
import { COMPARED_METRICS, metricsWith } from '../report/columns.ts'
import type { Report } from '../report/schema.ts'
import { printable } from './escape.ts'
import { before } from './sections.ts'

/**
 * One row a layer, WeightWatcher's column names, full doubles; an absent number is an empty field. Where there is a comparison,
 * base and change of the compared columns follow. Fields that a spreadsheet would take for a formula are escaped.
 */
export function renderCsv(report: Report): string {
  const compared = report.comparison?.status === 'compared'
  const rows = report.models.flatMap(model => {
    const past = before(report, model)
    return model.layers.map(layer => {
      const row: Record<string, unknown> = { ...layer, model: model.name, shape: layer.shape.join('x') }
      for (const metric of compared ? COMPARED_METRICS : []) {
        const found = past(layer, metric)
        if (found.kind !== 'compared') continue
        row[`${metric}_base`] = found.change.base
        row[`${metric}_change`] = found.change.change
      }
      return row
    })
  })
  const columns = [
    'model',
    'name',
    'tensor',
    'part',
    'layer_type',
    'shape',
    'dtype',
    ...metricsWith(askedIn(report.options)),
    'status',
    'warning',
    ...(compared ? COMPARED_METRICS.flatMap(metric => [`${metric}_base`, `${metric}_change`]) : []),
  ]
  return stringify(rows, {
    header: true,
    columns,
    cast: { number: String, string: printable },
    escape_formulas: true,
  })
}

import { stringify } from 'csv-stringify/sync'
import { LAYER_METRICS } from '../report/columns.ts'
import type { Report } from '../report/schema.ts'

/**
 * One row a layer, WeightWatcher's column names, full doubles; an absent number is an empty field. Fields that a spreadsheet
 * would take for a formula are escaped.
 */
export function renderCsv({ models }: Report): string {
  const rows = models.flatMap(model =>
    model.layers.map(
      layer => ({ model: model.name, ...layer, shape: layer.shape.join('x') }) as Record<string, unknown>,
    ),
  )
  const columns = [
    'model',
    'name',
    'tensor',
    'part',
    'layer_type',
    'shape',
    'dtype',
    ...LAYER_METRICS,
    'status',
    'warning',
  ]
  return stringify(rows, { header: true, columns, cast: { number: String }, escape_formulas: true })
}

import { stringify } from 'csv-stringify/sync'
import { askedIn } from '../report/analyses.ts'
import { COMPARED_METRICS, metricsWith } from '../report/columns.ts'
import { membershipOf } from '../report/groups.ts'
import type { Report } from '../report/schema.ts'
import { advertised } from '../series/directions.ts'
import type { SeriesReport } from '../series/schema.ts'
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
      const row: Record<string, unknown> = {
        ...layer,
        ...membershipOf(layer),
        model: model.name,
        shape: layer.shape.join('x'),
      }
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
    'group',
    'block',
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

/** A series as a table that `series` reads again: a row a model, what is known of it, and its metrics as full doubles. */
export function renderSeriesCsv({ points, metrics, target }: SeriesReport): string {
  const names = Object.keys(points[0].metrics)
  const heading = (metric: string) => {
    const better = advertised(metric) === null ? metrics.find(({ name }) => name === metric)?.better : null
    return better ? `${metric} (${better})` : metric
  }
  const rows = points.map(point => [
    point.name,
    ...(point.group === null ? [] : [point.group]),
    ...(point.step === null ? [] : [point.step]),
    ...(target ? [point.target] : []),
    ...names.map(metric => point.metrics[metric]),
  ])
  const head = [
    'name',
    ...(points[0].group === null ? [] : ['group']),
    ...(points[0].step === null ? [] : ['step']),
    ...(target ? [target.name] : []),
    ...names.map(heading),
  ]
  return stringify([head, ...rows], { cast: { number: String, string: printable }, escape_formulas: true })
}

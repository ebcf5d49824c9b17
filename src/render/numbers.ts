import { column, type LayerMetric } from '../report/columns.ts'
import type { Layer } from '../report/schema.ts'

const MINUS = '−'

/** A metric for people: three decimals, or three significant digits where that would hide it; a dash where there is none. */
export function format(value: number | null, decimals = 3): string {
  if (value === null) return '–'
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value).replace('-', MINUS)
  const size = Math.abs(value)
  const text = size >= 1e6 || size < 0.0005 ? value.toExponential(2) : value.toFixed(size >= 1000 ? 1 : decimals)
  return text.replaceAll('-', MINUS)
}

/** A metric that is a real number even where its value is whole: `2.000`. */
export function formatReal(value: number | null): string {
  return value !== null && Number.isInteger(value) && Math.abs(value) < 1000
    ? value.toFixed(3).replace('-', MINUS)
    : format(value)
}

/** A layer's number in the form of its column. */
export function formatMetric(layer: Layer, metric: LayerMetric): string {
  const value = layer[metric] ?? null
  return column(metric).kind === 'count' ? format(value) : formatReal(value)
}

/** A change with its sign; `0` where there is none. */
export function formatChange(value: number | null): string {
  if (value === null) return '–'
  if (value === 0) return '0'
  return value > 0 ? `+${formatReal(value)}` : formatReal(value)
}

export function formatPercent(value: number | null): string {
  return value === null ? '–' : `${value.toFixed(1).replace('-', MINUS)} %`
}

/** `coverage`: never rounded up to the whole. */
export function formatShare(value: number | null): string {
  if (value === null) return '–'
  const percent = 100 * value
  return `${percent === 100 ? '100' : (Math.floor(10 * percent) / 10).toFixed(1)} %`
}

/** `3 days`, `5 hours`, `2 minutes`. */
export function formatAge(seconds: number): string {
  const [size, unit] = seconds >= 2 * 86_400 ? [86_400, 'day'] : seconds >= 7200 ? [3600, 'hour'] : [60, 'minute']
  return plural(Math.floor(seconds / (size as number)), unit as string)
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}

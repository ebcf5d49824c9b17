import { readFileSync } from 'node:fs'
import { generator } from '../../src/series/inference.ts'
import type { Point, Series } from '../../src/series/points.ts'
import { judgeSeries } from '../../src/series/report.ts'
import type { SeriesMetric, SeriesReport } from '../../src/series/schema.ts'
import { readTable } from '../../src/series/table.ts'

export const fixture = (name: string) => readFileSync(new URL(`../fixtures/series/${name}`, import.meta.url), 'utf8')

/** A table that names no files. */
export function read(text: string, path = 'models.csv'): Promise<Series> {
  return readTable(text, path, async (file, where) => {
    throw new Error(`${where} names ${file}`)
  })
}

export async function judged(text: string, path?: string): Promise<SeriesReport> {
  return judgeSeries(await read(text, path))
}

export function metricOf({ metrics }: SeriesReport, name: string): SeriesMetric {
  return metrics.find(metric => metric.name === name)!
}

/** Groups of 24 whose alpha goes so with the error within each, and so over all. */
export function groups(seed: number, within: number, between: number, { count = 4, size = 24 } = {}): Series {
  const random = generator(seed)
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const points = Array.from({ length: count * size }, (_, i): Point => {
    const [g, a, b] = [Math.floor(i / size), normal(), normal()]
    const centre = Math.sqrt(between / 1.25) * g
    return {
      ...{ name: `m${i}`, group: `depth ${g}`, step: undefined },
      target: centre + within * a + Math.sqrt(1 - within * within) * b,
      metrics: new Map([['alpha', centre + a]]),
    }
  })
  return { target: { name: 'error', better: 'lower' }, points, directions: new Map(), ignored: [] }
}

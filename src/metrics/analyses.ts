import type { PlannedLayer } from '../layers/select.ts'
import type { Analysis } from '../report/analyses.ts'
import { type ColumnOf, columnsOf } from '../report/columns.ts'
import type { Esd } from './esd.ts'
import { fitMarchenkoPastur } from './marchenko-pastur.ts'

/** What an analysis has to go by. */
export interface Analysed {
  readonly layer: PlannedLayer
  readonly esd: Esd
}

/** What each analysis gives; null where it gives nothing. */
const COMPUTE: { readonly [A in Analysis]: (of: Analysed) => Readonly<Record<ColumnOf<A>, number>> | null } = {
  'mp-fit': ({ layer, esd }) => fitMarchenkoPastur(esd.lambda, layer.N, layer.M),
}

type Columns = Partial<Record<ColumnOf<Analysis>, number | null>>

/** The columns of the analyses that were asked for; null where a number is not finite. */
export function analysed(analyses: readonly Analysis[], of: Analysed): Columns {
  return Object.assign({}, ...analyses.map(analysis => columns(analysis, COMPUTE[analysis](of))))
}

/** As `analysed`, where there is no spectrum. */
export function notAnalysed(analyses: readonly Analysis[]): Columns {
  return Object.assign({}, ...analyses.map(analysis => columns(analysis, null)))
}

function columns(analysis: Analysis, values: Readonly<Partial<Record<ColumnOf<Analysis>, number>>> | null): Columns {
  const entries = columnsOf(analysis).map(metric => {
    const value = values?.[metric]
    return [metric, value !== undefined && Number.isFinite(value) ? value : null]
  })
  return Object.fromEntries(entries)
}

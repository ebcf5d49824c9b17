import type { PlannedLayer } from '../layers/select.ts'
import type { Analysis } from '../report/analyses.ts'
import { type ColumnFrom, type ColumnOf, columnsOf } from '../report/columns.ts'
import type { Layer } from '../report/schema.ts'
import type { Bootstrap } from './bootstrap.ts'
import type { Distances } from './distances.ts'
import type { Esd } from './esd.ts'
import type { ClippedFit } from './fingers.ts'
import { hill } from './hill.ts'
import { fitMarchenkoPastur } from './marchenko-pastur.ts'
import { fitOtherLaws } from './other-laws.ts'
import { randomised } from './randomised.ts'
import { traceLogTail } from './trace-log.ts'

/** What an analysis has to go by. */
export interface Analysed {
  readonly layer: PlannedLayer
  readonly esd: Esd
  readonly fit: Pick<Layer, ColumnFrom<'fit'>>
  readonly clipped: ClippedFit
  readonly distances: Distances | null
  readonly bootstrap: Bootstrap | null
  /** All eigenvalues of its square windows, ascending; null where it has none. */
  readonly windows: Float64Array | null
  /** Of alpha_hill. */
  readonly share: number | undefined
  /** All eigenvalues, ascending, of each shuffle of its weights; none where it was not shuffled. */
  readonly shuffled: readonly Float64Array[]
}

/** What each analysis gives; null where it gives nothing. */
const COMPUTE: { readonly [A in Analysis]: (of: Analysed) => Readonly<Record<ColumnOf<A>, number>> | null } = {
  'mp-fit': ({ layer, esd }) => fitMarchenkoPastur(esd.lambda, layer.N, layer.M),
  detx: ({ esd, fit }) => {
    const { num, value } = traceLogTail(esd.lambda)
    return { detX_num: num, detX_val: value, num_ERG_spikes: num, ERG_gap: num - (fit.num_pl_spikes ?? Number.NaN) }
  },
  randomize: ({ layer, esd, shuffled }) => randomised(esd.lambda, shuffled, layer.N, layer.M),
  distances: ({ distances }) => distances,
  'other-laws': ({ esd, clipped: { law } }) =>
    law &&
    fitOtherLaws(
      esd.lambda.filter(value => value >= law.xmin && value <= law.xmax),
      law,
    ),
  farms: ({ windows, share }) => windows && { alpha_hill_farms: hill(windows, share)?.alpha ?? Number.NaN },
  bootstrap: ({ bootstrap }) => bootstrap,
  'fix-fingers': ({ clipped: { law, raw_alpha, num_fingers } }) => (law ? { raw_alpha, num_fingers } : null),
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

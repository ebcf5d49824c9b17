import * as z from 'zod'
import { limits } from '../limits.ts'

export const SERIES_VERSION = 1

const count = z.int().min(0)
const real = z.number()
const name = z.string().max(limits.series.nameCharacters * 16)
const coefficient = z.number().min(-1).max(1).nullable().describe('null where one side is constant')
const p = z.number().min(0).max(1)
const interval = z.strictObject({ low: real, high: real }).nullable()
/** The same definition for what we write, and for what an earlier or a newer version wrote, whose unknown fields are dropped. */
function schemas(object: typeof z.object) {
  const sign = object({ layer: name, value: real })

  const moment = object({
    step: real,
    name,
    alpha: real.nullable(),
    target: real.nullable(),
    below_2: sign
      .nullable()
      .optional()
      .describe('The layer with the least alpha below 2; absent where only means are known'),
    trap: sign.nullable().optional().describe('The layer with the most rand_num_spikes; absent where nobody looked'),
  })

  const metric = object({
    name,
    better: z.enum(['smaller', 'larger']).nullable().describe('As advertised; null: nobody says'),
    n: count.describe('Models that have it'),
    missing: count,
    pearson: coefficient,
    spearman: coefficient,
    kendall: coefficient.describe('tau-b'),
    fisher: interval.describe("Fisher's 95 % interval of Pearson's r over all models"),
    p: p.nullable().describe('Two-sided, of what the verdict stands on: within groups where there are groups'),
    p_method: z.enum(['t', 'permutation']).nullable().describe('permutation: exact, over all orders'),
    holm: p.nullable().describe('p after Holm, over the metrics with an advertised direction'),
    bootstrap: interval.describe('Percentiles of a bootstrap, stratified by group; of what the verdict stands on'),
    within: object({
      n: count.describe('Models less one for each group beyond the first: what the interval stands on'),
      pearson: coefficient,
      spearman: coefficient,
      fisher: interval,
      slope: real.nullable().describe('b in y ~ group + b·x'),
      p: p.nullable(),
      unequal_slopes: object({ f: real, p }).nullable(),
      groups: z.array(object({ group: name, n: count, pearson: coefficient })),
    })
      .nullable()
      .describe('null without groups'),
    rests_on: object({ name, without: coefficient.describe('r without it') })
      .nullable()
      .describe('The one model without which r has another sign, or is no longer told from 0'),
    leave_one_out: interval.describe('The least and the greatest r without one model'),
    paradox: object({
      overall: real.describe("Pearson's r over all models"),
      within: real.describe('r within the groups'),
      groups: count,
      p: p.describe('The larger of the two'),
      holm: p.describe('p after Holm, over the metrics'),
      unequal_slopes: z.boolean().describe('The groups’ own slopes differ, p < .01'),
    }).nullable(),
    state: z
      .enum(['tracks', 'contradicts', 'unclear', 'between-groups', 'too-few', 'constant', 'no-direction', 'one-run'])
      .describe(
        'tracks: follows accuracy as advertised; contradicts: the other way; between-groups: over the groups, and not told from 0 within them; one-run: moments of one training, described alone',
      ),
  })

  const seriesReport = object({
    schemaVersion: z.literal(SERIES_VERSION),
    tool: object({ name: z.literal('spectral-gate'), version: z.string().max(64) }),
    kind: z.enum(['models', 'training']).describe('training: moments of one run, or of several'),
    target: object({ name, better: z.enum(['higher', 'lower']) }).nullable(),
    n: count,
    groups: z.array(object({ name, n: count })).describe('Empty without groups'),
    verdict: object({
      status: z
        .enum(['recommended', 'none', 'too-few', 'training'])
        .describe('recommended: one metric to gate on; none: none tracks; too-few: nobody can say'),
      metric: name.nullable(),
      contradicted: z.array(name).describe('Metrics that point the other way than advertised'),
      before_holm: z.array(name).describe('Metrics that track alone, and not after Holm'),
    }),
    metrics: z.array(metric),
    trainings: z
      .array(
        object({
          group: name.nullable(),
          least_alpha: moment.nullable().describe('Where alpha has its minimum'),
          first_below_2: moment.nullable(),
          first_trap: moment.nullable(),
          steps: z.array(moment),
        }),
      )
      .describe('Of kind training, each run'),
    points: z.array(
      object({
        name,
        group: name.nullable(),
        step: real.nullable(),
        target: real.nullable(),
        metrics: z.record(z.string(), real.nullable()),
      }),
    ),
    notes: z.array(z.string().max(4096)),
    ignored: z.array(name).describe('Columns that are not looked at'),
  })

  return { moment, seriesReport }
}

const strict = schemas(z.strictObject as typeof z.object)
/** What a series shows, as it is written. */
export const seriesReport = strict.seriesReport
/** As it is read. */
export const lenientSeries = schemas(z.object).seriesReport

export type SeriesReport = z.infer<typeof seriesReport>
export type SeriesMetric = SeriesReport['metrics'][number]
export type Moment = z.infer<typeof strict.moment>
export type Training = SeriesReport['trainings'][number]

/** The JSON Schema (draft 2020-12) of what `series --json` writes. */
export function seriesJsonSchema(): object {
  return { title: 'A series of models, as Spectral Gate writes it', ...z.toJSONSchema(seriesReport) }
}

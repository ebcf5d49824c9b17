import * as z from 'zod'
import { limits } from '../limits.ts'
import { ADDED, ANALYSES, type Analysis, askedIn } from './analyses.ts'
import {
  ALL_METRICS,
  COMPARED_METRICS,
  type ColumnOf,
  column,
  columnsFrom,
  columnsOf,
  type LayerMetric,
  SUMMARY_METRICS,
} from './columns.ts'
import { policySchemas } from './policy.ts'

export const SCHEMA_VERSION = 1

/**
 * `strict` is what we write: all columns, and nothing unknown. `lenient` is what an earlier or a newer version wrote: columns may be
 * absent, unknown fields are dropped, and an unknown value of an enumeration is kept as the word that it is. `foreign` is what anybody
 * may have written: the same, and every list has a bound.
 */
type Strictness = 'strict' | 'lenient' | 'foreign'

const number = z.number()
const finite = number.nullable().describe('null where the number is not finite')
const count = z.int().min(0)
const NUMBERS = { count, real: number, share: number.min(0).max(1) }
const shape = z.array(count).max(32)

/** What a project may call a custom metric of its own, so that a rule can name it. */
export const CUSTOM_METRIC_NAME = /^[A-Za-z_][\w./-]{0,99}$/

const NO_CHANGE = { head: null, base: null, change: null }

/** A word of ours, which needs no escape anywhere. */
const WORD = /^[A-Za-z][A-Za-z0-9-]{0,63}$/

/** A longer text without its middle: the ends of names tell more. */
function shortened(text: string, most: number): string {
  if (text.length <= most) return text
  const end = Math.floor((most - 1) / 2)
  return `${text.slice(0, most - 1 - end)}…${text.slice(text.length - end)}`
}

/** The report and its parts. The same definition validates what we read, what we write, and makes the published JSON Schema. */
function schemas(strictness: Strictness) {
  const object = ((shape: z.core.$ZodLooseShape) =>
    strictness === 'strict' ? z.strictObject(shape) : z.object(shape)) as typeof z.object

  /** Text out of a checkpoint can have any length; ours has to fit the schema. */
  const text = (most: number) =>
    strictness === 'strict'
      ? z
          .string()
          .overwrite(value => shortened(value, most))
          .max(most)
      : z.string().max(most)
  /** As long as the model asks for: it has a bound of its own where a stranger wrote it. */
  function list<Item extends z.ZodType>(item: Item, most: number = limits.relay.listEntries): z.ZodArray<Item> {
    return strictness === 'foreign' ? z.array(item).max(most) : z.array(item)
  }
  const name = text(4096)
  const digest = text(128)

  function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
    const known = z.enum(words)
    return strictness === 'strict' ? known : asWritten(known)
  }

  /** An enumeration of a report that is compared with, which any version may have written. */
  function asWritten<Known extends z.ZodType>(known: Known): Known {
    return z.union([known, z.string().regex(WORD)]) as unknown as Known
  }

  /** A schema for each of the metrics, which an earlier report may lack: `absent` stands there then. */
  function perMetric<K extends LayerMetric, Schema extends z.ZodType>(
    metrics: readonly K[],
    schema: (metric: K) => Schema,
    absent?: z.infer<Schema>,
  ): Record<K, Schema> {
    const lenient = (schema: Schema) => (absent === undefined ? schema.optional() : z._default(schema, absent as never))
    const entries = metrics.map(metric => {
      return [metric, strictness === 'strict' ? schema(metric) : lenient(schema(metric))]
    })
    return Object.fromEntries(entries) as Record<K, Schema>
  }

  const known = (metric: LayerMetric) => NUMBERS[column(metric).kind].describe(column(metric).help)
  const computed = (metric: LayerMetric) => known(metric).nullable()
  /** Absent where its analysis was not asked for: `asAsked` holds writers to it. */
  const onRequest = <A extends Analysis>(...analyses: readonly A[]) => {
    const entries = columnsOf(...analyses).map(metric => [metric, computed(metric).optional()])
    return Object.fromEntries(entries) as Record<ColumnOf<A>, z.ZodOptional<ReturnType<typeof computed>>>
  }
  const status = oneOf(['success', 'failed', 'degenerate', 'error'])

  const histogram = object({
    log10_edges: z.array(number).max(101).describe('Edges of the bins: log10 of the eigenvalue'),
    counts: z.array(count).max(100).describe('Eigenvalues in each bin; those of 0 are in none'),
  })

  const place = name.describe(
    'Where the framework looks for the tensor whatever it is called: a path in a Keras 3 file, or the numbers of the layer and of the weight in the lists of an older one',
  )
  const layer = object({
    name: name.describe("The tensor's key without wrapper prefixes and without .weight"),
    tensor: name.describe('The exact key in the file'),
    place: place.optional(),
    part: name.optional().describe('A slice, gate or head, where a tensor has several'),
    layer_type: oneOf(['dense', 'conv2d', 'conv1d', 'conv3d']),
    shape,
    dtype: text(16),
    ...perMetric(columnsFrom('matrix', 'spectrum'), known),
    ...perMetric(columnsFrom('fit'), computed),
    status,
    only: oneOf(['spectral-norm']).optional().describe('Which columns were computed; the others are null'),
    error: object({ code: text(64), message: text(4096) }).optional(),
    warning: oneOf(['', 'over-trained', 'under-trained']),
    ...perMetric(columnsFrom('tail', 'norms', 'shuffle', 'weights'), computed),
    ...onRequest(...ANALYSES),
    esd: histogram,
    quantiles: z
      .array(number)
      .max(101)
      .optional()
      .describe('Of the singular values over their root mean square: percent 0 to 100'),
    sketch: z
      .array(number)
      .max(64)
      .optional()
      .describe('Count sketch of the weights: the distance between two estimates that between the weights'),
    fingerprint: text(128).optional().describe('SHA-256 over all that the numbers follow from'),
    digest: digest.optional().describe('SHA-256 over type, shape and bytes of what it is made of'),
    reused: oneOf(['baseline', 'run'])
      .optional()
      .describe('Not computed again: from the baseline, or from an equal layer of this run'),
  })

  const skipped = object({
    tensor: name,
    place: place.optional(),
    shape,
    dtype: text(16),
    code: oneOf([
      'dtype',
      'rank',
      'size',
      'buffer',
      'optimizer',
      'excluded',
      'unread',
      'aside',
      'identical',
      'unmatched',
    ]),
    reason: text(1024),
    digest: digest.optional().describe('SHA-256 over type, shape and bytes'),
    non_finite: text(256).optional().describe('Its first NaN or Inf'),
    largest: number.min(0).optional().describe('The largest magnitude of its elements, of floating-point tensors'),
  })

  const summary = object({
    layers: count.describe('All rows'),
    failed: count.describe('Rows whose status is not success'),
    errors: count.describe('Rows whose status is error'),
    non_finite: z
      .int()
      .min(0)
      .nullable()
      .default(null)
      .describe('Tensors with a NaN or an Inf, skipped ones too; null where an earlier version did not look'),
    coverage: finite.describe("The share of the model's parameters that was analysed"),
    ...perMetric(SUMMARY_METRICS, () => finite, null),
    mp_softrank: finite.optional().describe('Mean over the layers that have it, where mp-fit was asked for'),
  })

  const groups = list(
    object({
      group: name,
      kind: oneOf(['function', 'block']),
      layers: count,
      fitted: count,
      ...perMetric(SUMMARY_METRICS, () => finite, null),
    }),
  )

  const model = object({
    name,
    source: object({
      path: text(4096),
      format: text(64),
      bytes: count,
      state_dict: text(4096).optional().describe('Where in the file the weights were found'),
      ignored: z.array(text(4096)).max(1000).optional().describe('What lies beside the weights'),
      step: number.optional().describe('Of the training, where the file or trainer_state.json says so'),
      epoch: number.optional().describe('The same in epochs'),
      settings: z
        .array(object({ file: text(4096), key: text(1024), value: text(1024).describe('As JSON, or its digest') }))
        .max(1000)
        .optional()
        .describe('What the configs beside the weights say that decides how a framework loads and applies them'),
    }),
    layers: list(layer),
    skipped: list(skipped),
    whole: list(object({ tensor: name, reason: text(1024) }))
      .optional()
      .describe('Packed tensors that could not be split, where that was asked for, and why'),
    summary,
    convolutions: list(
      object({ name, tensor: name, slices: count, fitted: count, ...perMetric(SUMMARY_METRICS, () => finite, null) }),
    )
      .optional()
      .describe('Where the kernel slices of convolutions are layers: means over the slices of each'),
    groups: groups.optional().describe('Means over the usual groups of layers, by their names, and over each block'),
  })

  const options = object({
    min_evals: count,
    max_evals: count,
    max_N: count,
    include: z.array(text(1024)).max(1000),
    exclude: z.array(text(1024)).max(1000),
    conv2d: oneOf(['pooled', 'slices', 'operator']).describe('How convolutions are read'),
    conv_grid: count.optional().describe('Of operators: the side of the image, whose boundary is periodic'),
    metrics: oneOf(['spectral-norm']).optional().describe('Which columns were computed, where not all'),
    conv_dims: oneOf(['all']).optional().describe('Whether convolutions of 1 and 3 dimensions are layers, too'),
    split_packed: z.literal(true).optional().describe('Whether what is packed in one tensor is split into its blocks'),
    xmax: oneOf(['force']).optional().describe('Whether D is that to the law cut off at the largest eigenvalue'),
    analyses: z
      .array(oneOf(ADDED))
      .max(100)
      .optional()
      .describe('Those whose columns the layers have beside the others'),
    hill_share: number
      .min(0)
      .max(1)
      .optional()
      .describe('Share of the eigenvalues that alpha_hill is over, where it is not 0.25'),
    bootstrap: count.optional().describe('Draws of which p_value and the interval of alpha are'),
    structure: z.literal(false).optional().describe('Where S was not measured'),
    base_model: text(4096).optional().describe('The checkpoint whose weights were subtracted'),
    merge_adapter: z.literal(true).optional().describe('Whether an adapter was merged with it, in place of that'),
    fix_fingers: oneOf(['clip_xmax']).optional().describe('Whether the largest eigenvalues may be left out of the fit'),
    small_sample_fit: oneOf(['least-d', 'adjusted-d'])
      .optional()
      .describe('How fewer than 20 eigenvalues are fitted: as WeightWatcher 0.7.7 does, or means to'),
  })

  const change = object({ head: finite, base: finite, change: finite })
  const both = object({ head: finite, base: finite })
  const baseSpectrum = object({ esd: histogram, xmin: finite, xmax: finite, num_pl_spikes: count.nullable() })

  const judgement = object({
    relation: oneOf(['same', 'resized', 'unrelated']).describe('What the architectures are to each other'),
    how: z
      .array(oneOf(['quantised', 'pruned', 'cast', 'continued', 'retrained', 'adapter', 'same-training']))
      .max(16)
      .describe('What became of the weights, as far as they say so'),
    primary: oneOf(['', 'tail_shape', 'alpha_weighted']).describe('What is compared; empty where nothing can be'),
    why: text(1024),
    tail_shape: finite.describe(
      'Mean of ln[(alpha_hill − 1)/(base − 1)] over the layers that are judged: above 0 is lighter',
    ),
    tail_shape_median: finite,
    driven_by: count.describe('The fewest layers without which tail_shape would be at most half of what it is'),
    from_above: finite.describe('The same mean over those whose base is 2 or more'),
    spectrum_distance: finite.describe('Mean distance of the quantiles of the normalised spectra'),
    spectrum_noise: finite.describe('Mean of 1/√(num_evals·N)'),
    log_norm: finite.describe('Mean change of log_norm'),
    weight_distance: finite.describe('Relative distance of the weights, estimated from the sketches'),
    moments: object({ unit: oneOf(['step', 'epoch']), head: number, base: number })
      .optional()
      .describe('How far each training had come, where both tell and are not as far'),
    hill_share: object({ head: number, base: number })
      .optional()
      .describe('Share of alpha_hill, where it is not 0.25 on both sides: nothing is said of the tails then'),
    judged: count.describe('Layers that take part in the means'),
    layers: list(
      object({
        name,
        shape,
        part: name.optional(),
        change: finite.describe('ln[(alpha_hill − 1)/(base − 1)]'),
        distance: finite.describe('Of the quantiles'),
        alpha_hill: both,
        S: both,
        note: oneOf(['', 'random-like', 'few-evals', 'update']).describe(
          'random-like: it looks random in the baseline, and has nothing to lose. few-evals: too few eigenvalues to take part in means. update: what an adapter adds to a weight, which takes no part either',
        ),
      }),
    ),
  })
  const customName = z.string().regex(CUSTOM_METRIC_NAME)
  const better = oneOf(['higher', 'lower']).optional().describe('Which direction is')

  const comparison = object({
    status: oneOf(['compared', 'incomparable']),
    reason: text(4096).describe('Why they are incomparable; empty otherwise'),
    baseline: object({ path: text(4096), kind: oneOf(['report', 'checkpoint']) }),
    models: list(
      object({
        name,
        base: name.nullable().describe('Name of the model it is compared with; null where there is none'),
        summary: object(perMetric(SUMMARY_METRICS, () => change, NO_CHANGE)).nullable(),
        matched: count.describe('Layers found on both sides'),
        layers: list(
          object({
            name,
            shape,
            part: name.optional(),
            // What a later version calls it stays its word.
            status: object({ head: status, base: asWritten(status) }),
            ...perMetric(COMPARED_METRICS, () => change, NO_CHANGE),
            base: baseSpectrum
              .optional()
              .describe(
                "The baseline's spectrum and where its tail lies, to be drawn; of the first 10,000 such layers",
              ),
          }),
        ).describe('Those that differ, the largest change of alpha first'),
        added: list(object({ name, shape, part: name.optional() })),
        removed: list(object({ name, shape, part: name.optional() })),
        judgement: judgement
          .optional()
          .describe('How the two are compared, and the changes that the built-in rules judge'),
        shared_alpha: object({ layers: count, head: finite, base: finite, change: finite })
          .optional()
          .describe('Mean alpha over the layers fitted on both sides, where the means are over other layers'),
        tensors: object({
          same: z.boolean().describe('Every tensor of both sides was compared, and has the same bytes'),
          changed: list(name).describe('Whose bytes changed and whose spectrum did not, or is not looked at'),
          added: list(name).describe('Skipped tensors that the baseline lacks'),
          removed: list(name).describe('Skipped tensors that only the baseline has'),
        })
          .optional()
          .describe('What spectra do not show'),
      }),
    ),
    removed: list(name).describe('Models that only the baseline has'),
    figures: z
      .array(object({ name: customName, better: asWritten(better), head: finite, base: finite, change: finite }))
      .max(1000)
      .optional(),
  })

  const rule = object({
    rule: text(1024),
    level: oneOf(['fail', 'warn']),
    builtin: z.boolean(),
    name: text(64).optional().describe('Of a built-in rule that compares, to switch it off by'),
    model: name.describe('Empty where the rule is about a custom metric, or there is no model'),
    outcome: oneOf(['ok', 'violated', 'inconclusive']),
    value: finite.describe('What was measured'),
    unit: oneOf(['', '%', 'sigma', 'history']),
    threshold: number,
    layers: count.describe('Layers behind the value'),
    of: count.describe('Layers of the model'),
    layer: name.optional().describe('The layer that decided, where one did'),
    reason: text(4096).describe('Why it is inconclusive, or what was found'),
    caution: text(1024).optional().describe('Why its metric misleads for these two models'),
    cause: oneOf(['', 'no-baseline', 'unavailable', 'incomparable', 'no-layer', 'no-value']),
  })

  const verdict = object({
    status: oneOf(['passed', 'accepted', 'warned', 'inconclusive', 'failed']),
    first_run: z.boolean().describe('There is nothing to compare with yet'),
    enforced: z.boolean(),
    fails_job: z.boolean(),
    rules: list(rule),
    held: z
      .array(text(64))
      .max(100)
      .optional()
      .describe(
        'Built-in rules that compare with the baseline and are true of no model; absent where nothing was compared',
      ),
    tail_limits: list(object({ model: name, name: text(64), level: oneOf(['fail', 'warn']), threshold: number }))
      .optional()
      .describe('What the mean change of the shape of the tails was held to, of each model'),
    accepted: object({
      label: text(1024),
      by: text(256),
      at: text(64),
      was: oneOf(['failed', 'inconclusive']),
    })
      .optional()
      .describe('A reviewer let it pass'),
    refused: object({ label: text(1024), reason: text(1024) })
      .optional()
      .describe('Why a label that is there accepts nothing'),
  })

  const provenance = object({
    repository: text(512),
    commit: text(64),
    ref: text(1024),
    event: text(64),
    workflow: text(1024),
    run_id: count,
    run_attempt: count,
    run_url: text(2048),
    time: text(64),
    gate: z.string().max(64).optional().describe('What tells its comment from those of other gates'),
    runner: text(256).optional().describe('Where its job ran, which tells it from others of the run'),
    checkout: text(64).optional().describe('What was checked out, where that is not the judged change'),
  })

  const baseline = object({
    state: oneOf([
      'exact',
      'ancestor',
      'degraded',
      'given',
      'first-run',
      'expired',
      'forbidden',
      'disabled',
      'invalid',
      'unreachable',
    ]),
    reason: text(4096).describe('For people: what it is, or why there is none and what to do'),
    branch: text(1024),
    wanted: text(64).nullable().describe('The commit that was asked for'),
    commit: text(64).optional().describe('The commit that it is of'),
    run_id: count.optional(),
    run_url: text(2048).optional(),
    time: text(64).optional().describe('When it was published'),
    distance: count.optional().describe('Commits between it and the wanted one'),
    history: z
      .array(
        object({
          commit: text(64),
          time: text(64),
          run_id: count,
          figures: z
            .array(object({ name: customName, value: number }))
            .max(1000)
            .optional(),
          models: z
            .array(
              object({
                name,
                summary: object(perMetric(SUMMARY_METRICS, () => finite, null)),
                tail_shape: finite.optional().describe('What it found against the one before it'),
              }),
            )
            .max(1000),
        }),
      )
      .max(100)
      .describe('Of the branch, the oldest first, the baseline last'),
  })

  const index = z.int().min(1).max(256)
  const part = object({
    shard: object({ index, of: index }).optional().describe('Its share of the layers of each model'),
    job: object({ id: text(256), index: count, of: count, runner: text(256).optional() })
      .optional()
      .describe('The leg of the matrix that made it, from 0'),
    reuse: z.boolean(),
    state_dict: text(1024).optional().describe('The option state-dict that it was made with'),
    missing: list(object({ name, reason: text(4096) }))
      .optional()
      .describe('Models whose checkpoint was not there, and why'),
    models: list(
      object({
        layers: count.describe('Of the whole model'),
        positions: list(count).describe("Where this part's layers stand among them"),
      }),
    ).describe('For each of the models above'),
  })

  const { policy, gateChange } = policySchemas(object, list)

  const report = object({
    schemaVersion: z.literal(SCHEMA_VERSION),
    tool: object({ name: z.literal('spectral-gate'), version: text(64) }),
    options,
    models: list(model, limits.relay.modelsCount),
    figures: z
      .array(object({ name: customName, value: number, better }))
      .max(1000)
      .optional()
      .describe("The project's own, from its metrics file"),
    baseline: baseline.optional().describe('Where the Action looked for the baseline, and what became of it'),
    comparison: comparison.optional(),
    verdict: verdict.optional(),
    policy: policy.optional().describe('What judged'),
    gate_change: gateChange.optional().describe('What a pull request would change of it'),
    provenance: provenance.optional(),
    part: part.optional().describe('What a part of a report is part of: it has neither comparison nor verdict'),
  })

  return { report }
}

/** Every row has the columns of the analyses in the options, and no others. */
function asAsked(report: z.infer<ReturnType<typeof schemas>['report']>, context: z.RefinementCtx): void {
  const asked = askedIn(report.options)
  const wrong = (layer: object, metric: LayerMetric) => {
    const { analysis } = column(metric)
    return analysis !== undefined && metric in layer !== asked.includes(analysis)
  }
  for (const [i, { layers }] of report.models.entries()) {
    for (const [j, layer] of layers.entries()) {
      const metric = ALL_METRICS.find(metric => wrong(layer, metric))
      const path = ['models', i, 'layers', j, metric ?? '']
      if (metric)
        context.addIssue({
          code: 'custom',
          path,
          message: `is there exactly where ${column(metric).analysis} was asked for`,
        })
    }
  }
}

/** What we write: an unknown field is our own mistake. */
export const strictReport = schemas('strict').report.superRefine(asAsked)
/** What we read: fields of a newer minor version are dropped. */
export const lenientReport = schemas('lenient').report
/** What we read of strangers. */
export const foreignReport = schemas('foreign').report

export type Report = z.infer<typeof strictReport>
export type Model = Report['models'][number]
export type Layer = Model['layers'][number]
export type Skipped = Model['skipped'][number]
export type Summary = Model['summary']
export type AnalysisOptions = Report['options']
export type Histogram = Layer['esd']
export type Comparison = NonNullable<Report['comparison']>
export type Judgement = NonNullable<Comparison['models'][number]['judgement']>
export type LayerChange = Comparison['models'][number]['layers'][number]
export type Change = NonNullable<Comparison['models'][number]['summary']>['alpha']
export type Verdict = NonNullable<Report['verdict']>
export type RuleResult = Verdict['rules'][number]
export type BaselineRecord = NonNullable<Report['baseline']>
export type Provenance = NonNullable<Report['provenance']>
export type CustomMetric = NonNullable<Report['figures']>[number]
export type CustomMetricChange = NonNullable<Comparison['figures']>[number]
export type PolicyRecord = NonNullable<Report['policy']>
export type GateChange = NonNullable<Report['gate_change']>
export type Part = NonNullable<Report['part']>
export type Status = Layer['status']

/** The JSON Schema (draft 2020-12) of a report as we write it. */
export function jsonSchema(): object {
  return z.toJSONSchema(strictReport)
}

import { compare } from '../comparison/compare.ts'
import { UserError } from '../errors.ts'
import type { AnalysisOptions, Judgement, Model } from '../report/schema.ts'
import { standardDeviation } from '../statistics.ts'
import type { BuiltInName } from './built-in.ts'
import { SEEDS } from './built-in-judge.ts'

/** Fewer say too little of a spread: Student's t of 2 degrees is 4.3. */
export const LEAST_MODELS = 4

export interface Calibrated {
  readonly models: number
  readonly thresholds: Partial<Record<BuiltInName, number>>
  /** Standard deviations between the models, for people: of the shape of the tail, and of log_norm. */
  readonly spread: { readonly tail_shape: number; readonly log_norm: number }
}

export interface Named {
  readonly name: string
  readonly model: Model
  readonly options: AnalysisOptions
}

/** No threshold is tighter, however alike the models are: they are few, and their spread is not known well. */
const LEAST = { tail: SEEDS, fail: 0.1, norm: 0.02, spectrum: 0.01 } as const

/**
 * Thresholds for a project's own recipe, from models that differ in their seed alone. Of what is a difference of two models (the
 * shape of the tail, log_norm) it is t·s·√2, s the standard deviation between the m models, t Student's quantile with m − 1 degrees
 * of 97.5 % for warnings and 99.5 % for failures; of the distance of spectra one and a half times the largest seen.
 *
 * @throws UserError where there are fewer than four, two of them are the same, or can't be compared
 */
export async function calibrate(models: readonly Named[]): Promise<Calibrated> {
  if (models.length < LEAST_MODELS)
    throw new UserError(
      `${models.length} models say too little of how far seeds are apart: it takes ${LEAST_MODELS} at least.`,
      'Train the same recipe with other seeds.',
    )
  refuseTwins(models)
  const { default: jStat } = await import('jstat')
  const pairs = models.flatMap((base, i) => models.slice(i + 1).map(head => judgementOf(head, base)))
  const first = pairs.slice(0, models.length - 1)
  const deviation = (of: (judgement: Judgement) => number | null) =>
    standardDeviation([0, ...first.map(one => of(one)!)])
  const spread = { tail_shape: deviation(one => one.tail_shape), log_norm: deviation(one => one.log_norm) }
  const reach = (p: number, s: number) => jStat.studentt.inv(p, models.length - 1) * s * Math.SQRT2
  const slight = Math.max(LEAST.tail, reach(0.975, spread.tail_shape))
  const distance = Math.max(...pairs.map(one => one.spectrum_distance! - one.spectrum_noise!))
  return {
    models: models.length,
    spread,
    thresholds: {
      'lighter-tail': up(Math.max(LEAST.fail, slight, reach(0.995, spread.tail_shape))),
      'slightly-lighter-tail': up(slight),
      'heavier-tail': -up(slight),
      'moved-spectrum': up(Math.max(LEAST.spectrum, 1.5 * distance)),
      'moved-norm': up(Math.max(LEAST.norm, reach(0.975, spread.log_norm))),
    },
  }
}

/** The same weights twice are one seed. */
function refuseTwins(models: readonly Named[]): void {
  const known = new Map<string, string>()
  for (const { name, model } of models) {
    const digests = model.layers.map(({ digest }) => digest)
    if (digests.includes(undefined)) continue
    const key = digests.join()
    const twin = known.get(key)
    if (twin !== undefined)
      throw new UserError(`${name} has the weights of ${twin}.`, 'Train the same recipe with other seeds.')
    known.set(key, name)
  }
}

function judgementOf(head: Named, base: Named): Judgement {
  const { comparison, pairs } = compare([head.model], head.options, {
    ...{ path: base.name, kind: 'report', options: base.options, models: [base.model] },
  })
  const judgement = pairs[0].judgement
  const why = comparison.status === 'incomparable' ? comparison.reason : judgement?.why
  if (judgement?.primary !== 'tail_shape' || judgement.tail_shape === null)
    throw new UserError(
      `${head.name} can't be compared with ${base.name}: ${why}`,
      'Models of one recipe have the same layers, analysed with the same options.',
    )
  return judgement
}

/** Rounded up to two digits after the point. */
function up(value: number): number {
  return Math.ceil(100 * value - 1e-9) / 100
}

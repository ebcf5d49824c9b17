import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'

/** What is known of a model: its accuracy, or its error. */
export interface Target {
  /** As its column is called. */
  readonly name: string
  readonly better: 'higher' | 'lower'
}

/** What one layer shows at some moment of a training. */
export interface LayerSign {
  readonly layer: string
  readonly value: number
}

/** What a model's layers say beside the means; undefined where it comes from a table, which has no layers. */
export interface LayerSigns {
  /** The layer with the least alpha below 2; null where none is. */
  readonly below2: LayerSign | null
  /** The layer with the most spikes that randomising it leaves (correlation traps); null where none has one, undefined where nobody looked. */
  readonly trap: LayerSign | null | undefined
}

/** One model of a series. */
export interface Point {
  readonly name: string
  readonly group: string | undefined
  /** Its moment in a training, where it is one of several. */
  readonly step: number | undefined
  /** Accuracy or error; undefined where it is not known. */
  readonly target: number | undefined
  /** null where the model has none, such as a mean over no layer. */
  readonly metrics: ReadonlyMap<string, number | null>
  readonly signs?: LayerSigns | undefined
}

/** A series as it was read. */
export interface Series {
  /** Undefined where no model's accuracy is known. */
  readonly target: Target | undefined
  readonly points: readonly Point[]
  /** Which way a metric of the user's own is said to be better. */
  readonly directions: ReadonlyMap<string, 'smaller' | 'larger'>
  /** Columns that are not looked at. */
  readonly ignored: readonly string[]
}

/**
 * One series from several, in their order.
 * @throws UserError where they do not speak of the same thing, or are too many
 */
export function joined(all: readonly Series[]): Series {
  const targets = new Map(all.flatMap(({ target }) => (target ? [[target.name, target]] : [])))
  if (targets.size > 1 || (targets.size === 1 && all.some(({ target }) => !target))) {
    const names = [...targets.keys()].map(name => JSON.stringify(name)).join(', ')
    throw new UserError(
      `These files do not know the same of their models: ${names}${all.some(({ target }) => !target) ? ', nothing' : ''}.`,
      'One series has one column of accuracies, or of errors, in every file.',
    )
  }
  const points = all.flatMap(({ points }) => points)
  if (points.length > limits.series.modelsCount) throw tooMany(points.length)
  return {
    target: [...targets.values()][0],
    points,
    directions: new Map(all.flatMap(({ directions }) => [...directions])),
    ignored: [...new Set(all.flatMap(({ ignored }) => ignored))],
  }
}

export function tooMany(count: number): UserError {
  return new UserError(`A series of ${count} models is more than the ${limits.series.modelsCount} that are looked at.`)
}

/** The metrics of a series, in the order in which they first stand in it. */
export function metricsOf({ points }: Series): string[] {
  const names = [...new Set(points.flatMap(({ metrics }) => [...metrics.keys()]))]
  if (names.length > limits.series.metricsCount)
    throw new UserError(`${names.length} metrics are more than the ${limits.series.metricsCount} that are looked at.`)
  return names
}

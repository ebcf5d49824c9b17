import { isLayerMetric } from '../report/columns.ts'

/** Which way a metric is said to be better. `null`: nobody says so, and it is never recommended. */
export type Direction = 'smaller' | 'larger' | null

interface Advertised {
  readonly better: Direction
  /** Where that is said. */
  readonly source: string
}

const IMPLICIT = 'Martin, Mahoney: Implicit self-regularization in deep neural networks, JMLR 22 (2021)'
const TRENDS =
  'Martin, Peng, Mahoney: Predicting trends in the quality of neural networks, Nature Communications 12 (2021)'
const CONTEST = 'Martin, Mahoney: Post-mortem on a deep learning contest, arXiv 2106.00734 (2021)'
const NONE = 'no direction is advertised'

/**
 * What each metric is said to do, in the order in which they are recommended where the figures can't tell them apart: the tail's
 * shape first, then shape and scale together, the mere scale of the weights last.
 */
export const DIRECTIONS: Readonly<Record<string, Advertised>> = {
  alpha: { better: 'smaller', source: IMPLICIT },
  alpha_hill: { better: 'smaller', source: IMPLICIT },
  alpha_weighted: { better: 'smaller', source: TRENDS },
  log_alpha_norm: { better: 'smaller', source: TRENDS },
  log_norm: { better: 'smaller', source: TRENDS },
  log_spectral_norm: { better: 'smaller', source: TRENDS },
  D: { better: 'smaller', source: CONTEST },
  stable_rank: { better: null, source: NONE },
  log_stable_rank: { better: null, source: NONE },
  mp_softrank: { better: null, source: NONE },
  rand_distance: { better: null, source: NONE },
  entropy: { better: null, source: NONE },
}

/** Columns of a table that are metrics without being told so. */
export function isKnownMetric(name: string): boolean {
  return Object.hasOwn(DIRECTIONS, name) || isLayerMetric(name)
}

/** The direction as advertised; null for what has none, and for what nobody knows. */
export function advertised(name: string): Direction {
  return Object.hasOwn(DIRECTIONS, name) ? DIRECTIONS[name].better : null
}

/** A place in the order of recommendation; what is not in the table comes last. */
export function preference(name: string): number {
  const at = Object.keys(DIRECTIONS).indexOf(name)
  return at < 0 ? Number.POSITIVE_INFINITY : at
}

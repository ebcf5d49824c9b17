import { mean } from '../statistics.ts'

/** Loaded with this module, by those who judge a series. */
const { default: jStat } = await import('jstat')

/** Models as columns: the metric, the accuracy, and the number of each model's group from 0. All of one length. */
export interface Sample {
  readonly x: readonly number[]
  readonly y: readonly number[]
  readonly group: readonly number[]
}

/** A coefficient between −1 and 1, or null where one side is constant. */
export type Coefficient = (sample: Sample) => number | null

/** Sums over a sample about its means: Σ(x−x̄)², Σ(y−ȳ)², Σ(x−x̄)(y−ȳ). */
export interface Sums {
  readonly xx: number
  readonly yy: number
  readonly xy: number
}

/** Pearson's r over all models, whatever their groups. */
export const pearson: Coefficient = ({ x, y }) => ofSums(sums(x, y))

/**
 * Pearson's r within the groups: of what remains of x and y without the means of their groups. It is the partial correlation of
 * y ~ group + x (Cohen et al., Applied Multiple Regression, 2003, section 8.2), and the same as `pearson` where there is one group.
 */
export const withinPearson: Coefficient = sample => ofSums(total(groupSums(sample)))

/** Spearman's ρ over all models: Pearson's r of the average ranks. */
export const spearman: Coefficient = ({ x, y }) => {
  if (isConstant(x) || isConstant(y)) return null
  return clamped(jStat.spearmancoeff(x, y))
}

/** Spearman's ρ of what remains of x and y without the means of their groups. */
export const withinSpearman: Coefficient = sample => spearman(centred(sample))

/** Kendall's τ-b over all models, which takes ties into account (Kendall 1945). */
export const kendall: Coefficient = ({ x, y }) => {
  let agreeing = 0
  let inX = 0
  let inY = 0
  for (let i = 1; i < x.length; i++) {
    for (let j = 0; j < i; j++) {
      const dx = Math.sign(x[i] - x[j])
      const dy = Math.sign(y[i] - y[j])
      agreeing += dx * dy
      inX += dx * dx
      inY += dy * dy
    }
  }
  return inX === 0 || inY === 0 ? null : clamped(agreeing / Math.sqrt(inX * inY))
}

/** The sums of each group, by its number. */
export function groupSums(sample: Sample): Sums[] {
  const { x, y } = sample
  return rowsOfGroups(sample).map(rows =>
    sums(
      rows.map(i => x[i]),
      rows.map(i => y[i]),
    ),
  )
}

/** The rows of each group that has any, by its number. */
export function rowsOfGroups({ group }: Pick<Sample, 'group'>): number[][] {
  const members: number[][] = []
  group.forEach((g, i) => {
    members[g] ??= []
    members[g].push(i)
  })
  return members.filter(rows => rows !== undefined)
}

export function total(all: readonly Sums[]): Sums {
  return all.reduce((sum, { xx, yy, xy }) => ({ xx: sum.xx + xx, yy: sum.yy + yy, xy: sum.xy + xy }), {
    ...{ xx: 0, yy: 0, xy: 0 },
  })
}

export function sums(x: readonly number[], y: readonly number[]): Sums {
  const [a, b] = [deviations(x), deviations(y)]
  let [xx, yy, xy] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    xx += a[i] * a[i]
    yy += b[i] * b[i]
    xy += a[i] * b[i]
  }
  return { xx, yy, xy }
}

export function ofSums({ xx, yy, xy }: Sums): number | null {
  return xx > 0 && yy > 0 ? clamped(xy / Math.sqrt(xx) / Math.sqrt(yy)) : null
}

function centred({ x, y, group }: Sample): Sample {
  const [a, b]: number[][] = [[], []]
  for (const rows of rowsOfGroups({ group })) {
    const [dx, dy] = [x, y].map(values => deviations(rows.map(i => values[i])))
    rows.forEach((i, k) => {
      a[i] = dx[k]
      b[i] = dy[k]
    })
  }
  return { x: a, y: b, group }
}

/** From the mean; exactly 0 where all are equal, which a rounded mean would hide. */
export function deviations(values: readonly number[]): number[] {
  if (isConstant(values)) return values.map(() => 0)
  const middle = mean(values)
  return values.map(value => value - middle)
}

function isConstant(values: readonly number[]): boolean {
  return values.every(value => value === values[0])
}

function clamped(r: number): number {
  return Math.max(-1, Math.min(1, r))
}

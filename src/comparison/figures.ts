import type { Figure, FigureChange } from '../report/schema.ts'
import { subtract } from './subtract.ts'

/** The figures of both sides, the head's in its order and then those that only the base has. */
export function compareFigures(heads: readonly Figure[], bases: readonly Figure[]): FigureChange[] {
  const base = new Map(bases.map(figure => [figure.name, figure]))
  const head = new Map(heads.map(figure => [figure.name, figure]))
  return [...heads, ...bases.filter(({ name }) => !head.has(name))].map(({ name, better }) => {
    const [now, before] = [head.get(name)?.value ?? null, base.get(name)?.value ?? null]
    return { name, ...(better && { better }), head: now, base: before, change: subtract(now, before) }
  })
}

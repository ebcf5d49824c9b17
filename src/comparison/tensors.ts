import { layerNames } from '../layers/names.ts'
import type { Comparison, Layer, Skipped } from '../report/schema.ts'
import type { Pair } from './pair.ts'

type TensorChanges = NonNullable<Comparison['models'][number]['tensors']>

/**
 * What spectra do not show, by the content of each tensor: layers whose bytes changed and whose eigenvalues did not (permuted,
 * negated), biases and norms that changed, skipped tensors that came or went. `same` only where every tensor was compared.
 * @param differ the layers whose numbers changed
 */
export function compareTensors(
  { head, base, matched, added, removed }: Pair,
  differ: ReadonlySet<Layer>,
): TensorChanges {
  const before = new Map(named(base?.skipped ?? []))
  const now = named(head.skipped)
  const kept = now
    .filter(([name]) => before.has(name))
    .map(([name, skipped]) => ({ head: skipped, base: before.get(name)! }))
  const names = new Set(now.map(([name]) => name))
  const changed = [
    ...matched.filter(pair => contentChanged(pair) && !differ.has(pair.head)).map(({ head }) => head.tensor),
    ...kept.filter(contentChanged).map(({ head }) => head.tensor),
  ]
  const appeared = now.filter(([name]) => !before.has(name)).map(([, { tensor }]) => tensor)
  const gone = [...before].filter(([name]) => !names.has(name)).map(([, { tensor }]) => tensor)
  const all = [...matched, ...kept]
  return {
    same:
      base !== null &&
      [changed, appeared, gone, added, removed].every(list => list.length === 0) &&
      all.every(({ head, base }) => head.digest !== undefined && head.digest === base.digest),
    changed,
    added: base ? appeared : [],
    removed: gone,
  }
}

/** By the names that layers have, so that a wrapper's prefix on one side does not matter. */
function named(skipped: readonly Skipped[]): [string, Skipped][] {
  const names = layerNames(skipped.map(({ tensor }) => ({ name: tensor })))
  return skipped.map(row => [JSON.stringify([names.get(row.tensor) ?? row.tensor, row.shape]), row])
}

/** Whether both sides know what the tensor holds, and it is not the same. */
function contentChanged({ head, base }: { head: Layer | Skipped; base: Layer | Skipped }): boolean {
  return head.digest !== undefined && base.digest !== undefined && head.digest !== base.digest
}

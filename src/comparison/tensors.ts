import { layerNames } from '../layers/names.ts'
import { layerKey } from '../report/metrics.ts'
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
  const kept = keptTensors({ head, base })
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

/** Tensors that are no layers and are on both sides, by name and shape. */
export function keptTensors({ head, base }: Pick<Pair, 'head' | 'base'>): { head: Skipped; base: Skipped }[] {
  const before = new Map(named(base?.skipped ?? []))
  return named(head.skipped).flatMap(([name, skipped]) => {
    const partner = before.get(name)
    return partner ? [{ head: skipped, base: partner }] : []
  })
}

/** Tensors of the baseline that are no layers, and that the other side has under none of its names, neither among those nor as a layer. */
export function lostTensors({ head, base }: Pick<Pair, 'head' | 'base'>): Skipped[] {
  if (!base) return []
  const [now, before] = [head, base].map(({ layers, skipped }) => namesOf([...layers, ...skipped]))
  const known = new Set(now.values())
  return base.skipped.filter(({ tensor }) => !now.has(tensor) && !known.has(before.get(tensor) ?? tensor))
}

/** The names that the tensors of rows would have as layers; several rows may be of one. */
function namesOf(rows: readonly { readonly tensor: string }[]): Map<string, string> {
  return layerNames([...new Set(rows.map(({ tensor }) => tensor))].map(name => ({ name })))
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

/** What became of a tensor since the baseline; `unknown` where a side does not know what it holds. */
export interface TensorChange {
  readonly row: { readonly name: string; readonly tensor: string } & Partial<Layer>
  readonly became: 'same' | 'changed' | 'added' | 'removed' | 'unknown'
}

/**
 * Every tensor of both sides, layers and skipped ones, biases and norms included, by its content. Layers are paired as everywhere,
 * the rest by name and shape. Several rows of one tensor (slices, experts) are one. What an optimizer keeps is no part of the model.
 */
export function tensorChanges({ head, base, matched, added, removed }: Pair): TensorChange[] {
  const [now, before] = [others(head, added), base ? others(base, removed) : new Map<string, Other>()]
  const kept = [...now].flatMap(([key, { row }]) => {
    const partner = before.get(key)
    return partner ? [{ row, became: becameOf(row, partner.row) }] : []
  })
  const each: TensorChange[] = [
    ...matched.map(({ head, base }) => ({ row: head, became: becameOf(head, base) })),
    ...kept,
    ...[...now].flatMap(([key, { row }]) => (before.has(key) ? [] : [{ row, became: 'added' as const }])),
    ...[...before].flatMap(([key, { row }]) => (now.has(key) ? [] : [{ row, became: 'removed' as const }])),
  ]
  const single = new Map<string, TensorChange>()
  for (const change of each) {
    const key = JSON.stringify([change.row.tensor, change.became === 'removed'])
    const known = single.get(key)
    if (!known || WEIGHT[known.became] < WEIGHT[change.became]) single.set(key, change)
  }
  return [...single.values()]
}

/** Of rows of one tensor the one that says most. */
const WEIGHT = { same: 0, unknown: 1, added: 2, removed: 2, changed: 3 }

interface Other {
  readonly row: TensorChange['row']
}

/** Rows without a partner among the layers, by name, shape and part. */
function others(model: Pair['head'], layers: readonly Layer[]): Map<string, Other> {
  const skipped = model.skipped.filter(({ code }) => code !== 'optimizer')
  const names = namesOf([...model.layers, ...skipped])
  const rows = [
    ...layers.map(row => ({ row })),
    ...skipped.map(({ tensor, shape, digest }) => ({
      row: { name: names.get(tensor) ?? tensor, tensor, shape, ...(digest !== undefined && { digest }) },
    })),
  ]
  return new Map(rows.map(({ row }) => [layerKey(row as Layer), { row }]))
}

function becameOf(head: Partial<Layer>, base: Partial<Layer>): TensorChange['became'] {
  if (head.shape?.includes(0)) return 'same'
  if (head.digest === undefined || base.digest === undefined) return 'unknown'
  return head.digest === base.digest ? 'same' : 'changed'
}

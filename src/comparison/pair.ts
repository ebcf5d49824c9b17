import { UserError } from '../errors.ts'
import { layerKey } from '../report/metrics.ts'
import type { Layer, Model } from '../report/schema.ts'

/** A model beside its baseline, layers aligned by name and shape. */
export interface Pair {
  readonly head: Model
  readonly base: Model | null
  /** Layers found on both sides, in the order of the head. */
  readonly matched: readonly { readonly head: Layer; readonly base: Layer }[]
  readonly added: readonly Layer[]
  readonly removed: readonly Layer[]
}

/**
 * Pairs the models of two reports. One model on each side is a pair whatever it is called; otherwise they are paired by name.
 * Layers are aligned by (name, shape, part), and what that leaves over by the exact key of its tensor.
 * @throws UserError where two models of one side have the same name
 */
export function pairModels(heads: readonly Model[], bases: readonly Model[]): { pairs: Pair[]; removed: Model[] } {
  const single = heads.length === 1 && bases.length === 1
  const byName = new Map(single ? [[heads[0].name, bases[0]]] : unique(bases).map(model => [model.name, model]))
  const pairs = unique(heads).map(head => align(head, byName.get(head.name) ?? null))
  const taken = new Set(pairs.map(pair => pair.base))
  return { pairs, removed: bases.filter(base => !taken.has(base)) }
}

function unique(models: readonly Model[]): readonly Model[] {
  const names = new Set<string>()
  for (const { name } of models) {
    if (names.has(name)) {
      throw new UserError(`Two models are called ${JSON.stringify(name)}.`, 'Give each a name of its own: NAME=PATH.')
    }
    names.add(name)
  }
  return models
}

function align(head: Model, base: Model | null): Pair {
  const left = new Set(base?.layers)
  const partners = new Map<Layer, Layer>()
  for (const key of [(layer: Layer) => layer.name, (layer: Layer) => layer.tensor]) {
    const free = new Map([...left].map(layer => [layerKey({ ...layer, name: key(layer) }), layer]))
    for (const layer of head.layers) {
      const partner = partners.has(layer) ? undefined : free.get(layerKey({ ...layer, name: key(layer) }))
      if (partner && left.delete(partner)) partners.set(layer, partner)
    }
  }
  return {
    head,
    base,
    matched: head.layers.flatMap(layer => {
      const partner = partners.get(layer)
      return partner ? [{ head: layer, base: partner }] : []
    }),
    added: head.layers.filter(layer => !partners.has(layer)),
    removed: [...left],
  }
}

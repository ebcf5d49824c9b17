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
  refuseNamesakes(heads.map(({ name }) => name))
  if (!single)
    refuseNamesakes(
      bases.map(({ name }) => name),
      'The baseline',
    )
  const byName = new Map(single ? [[heads[0].name, bases[0]]] : bases.map(model => [model.name, model]))
  const pairs = heads.map(head => align(head, byName.get(head.name) ?? null))
  const taken = new Set(pairs.map(pair => pair.base))
  return { pairs, removed: bases.filter(base => !taken.has(base)) }
}

/** @throws UserError where two models have the same name */
export function refuseNamesakes(names: readonly string[], whose = ''): void {
  const seen = new Set<string>()
  const twice = names.find(name => seen.size === seen.add(name).size)
  if (twice === undefined) return
  throw new UserError(
    `${whose ? `${whose} has two models` : 'Two models are'} called ${JSON.stringify(twice)}.`,
    'Give each a name of its own: NAME=PATH.',
  )
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

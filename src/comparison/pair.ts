import { UserError } from '../errors.ts'
import type { LayerMetric } from '../report/columns.ts'
import { layerKey } from '../report/metrics.ts'
import type { Judgement, Layer, Model } from '../report/schema.ts'
import { isUpdate } from '../report/state.ts'
import { firstTwice } from '../words.ts'
import { byPlace } from './places.ts'

/** A model beside its baseline, layers aligned by name and shape. */
export interface Pair {
  readonly head: Model
  /** Its tensors under the names that the head has in their places, where it is loaded by places. */
  readonly base: Model | null
  /** Layers found on both sides, in the order of the head. */
  readonly matched: readonly { readonly head: Layer; readonly base: Layer }[]
  readonly added: readonly Layer[]
  readonly removed: readonly Layer[]
  /** Layers of the head that are called so because `rename` says it. */
  readonly renamed?: ReadonlySet<Layer>
  /** By tensors of the head, of what is loaded by its place: what the baseline has there, where the names changed places. */
  readonly exchanged?: ReadonlyMap<string, string>
  /** How they are compared; undefined where nothing can be. */
  readonly judgement?: Judgement
  /** Columns that were computed in another way on each side, and in which; the others can be compared. */
  readonly incomparable?: { readonly metrics: readonly LayerMetric[]; readonly reason: string }
}

/** What layers of the baseline are called now: a name, or the beginning of names up to and with a dot. */
export interface Rename {
  readonly from: string
  readonly to: string
}

/**
 * Pairs the models of two reports. One model on each side is a pair whatever it is called; otherwise they are paired by name.
 * What Keras loads has the name of its place in the head on both sides. Layers are aligned by the exact key of their tensor where that is
 * their name, by (name, shape, part), those of the baseline under the names that they have now, and what that leaves over by the exact key
 * of its tensor, then without what wrappers put into names (PEFT's `base_layer`), then without a prefix that most of one side have and the other does not. What an adapter adds
 * to a weight is never aligned with the weight.
 * @throws UserError where two models of one side have the same name
 */
export function pairModels(
  heads: readonly Model[],
  bases: readonly Model[],
  renames: readonly Rename[] = [],
): { pairs: Pair[]; removed: Model[] } {
  const single = heads.length === 1 && bases.length === 1
  refuseNamesakes(heads.map(({ name }) => name))
  if (!single)
    refuseNamesakes(
      bases.map(({ name }) => name),
      'The baseline',
    )
  const byName = new Map(single ? [[heads[0].name, bases[0]]] : bases.map(model => [model.name, model]))
  const pairs = heads.map(head => align(head, byName.get(head.name) ?? null, renames))
  const taken = new Set(heads.map(({ name }) => byName.get(name)))
  return { pairs, removed: bases.filter(base => !taken.has(base)) }
}

/** @throws UserError where two models have the same name */
export function refuseNamesakes(names: readonly string[], whose = ''): void {
  const twice = firstTwice(names)
  if (twice === undefined) return
  throw new UserError(
    `${whose ? `${whose} has two models` : 'Two models are'} called ${JSON.stringify(twice)}.`,
    'Give each a name of its own: NAME=PATH.',
  )
}

function align(head: Model, original: Model | null, renames: readonly Rename[]): Pair {
  const { base, exchanged } = inPlaces(head, original, renames)
  const left = new Set(base?.layers)
  const partners = new Map<Layer, Layer>()
  const pairUp = (keyOfHead: (layer: Layer) => string | undefined, keyOfBase = keyOfHead) => {
    const free = unique([...left], keyOfBase)
    const open = head.layers.filter(layer => !partners.has(layer))
    for (const [key, layer] of unique(open, keyOfHead)) {
      const partner = free.get(key)
      if (partner && left.delete(partner)) partners.set(layer, partner)
    }
  }
  // What keeps its whole key has a namesake beside it, which is called as others would be.
  const own = (layer: Layer) => (layer.name === layer.tensor ? layer.tensor : undefined)
  const stays = ({ name, tensor }: Layer) => (renamed(name, renames) === name ? tensor : undefined)
  pairUp(own, stays)
  pairUp(stays, own)
  pairUp(
    layer => layer.name,
    layer => renamed(layer.name, renames),
  )
  if (renames.length > 0) pairUp(layer => layer.name)
  pairUp(layer => layer.tensor)
  pairUp(layer => unwrapped(layer.name))
  const open = head.layers.filter(layer => !partners.has(layer))
  const prefixes = [
    { of: open, to: [...left], apply: (strip: Strip) => pairUp(({ name }) => strip(unwrapped(name)), plain) },
    { of: [...left], to: open, apply: (strip: Strip) => pairUp(plain, ({ name }) => strip(unwrapped(name))) },
  ]
  for (const { of, to, apply } of prefixes) {
    const prefix = commonPrefix(of, to)
    // Fewer than what has partners already are more likely to be new than renamed.
    if (prefix && prefix.count > partners.size && 2 * prefix.count >= Math.min(of.length, to.length)) {
      apply(name => (name.startsWith(prefix.text) ? name.slice(prefix.text.length) : undefined))
    }
  }
  const [ours, theirs] = [firstComponent(head.layers.filter(layer => !partners.has(layer))), firstComponent([...left])]
  if (ours && theirs && Math.min(ours.count, theirs.count) > partners.size) {
    const strip = (prefix: string) => (layer: Layer) =>
      plain(layer).startsWith(prefix) ? plain(layer).slice(prefix.length) : undefined
    pairUp(strip(ours.text), strip(theirs.text))
  }
  const meant = [...partners].filter(([{ name }, base]) => name !== base.name && renamed(base.name, renames) === name)
  return {
    head,
    base,
    ...(meant.length > 0 && { renamed: new Set(meant.map(([layer]) => layer)) }),
    ...(exchanged.size > 0 && { exchanged }),
    matched: head.layers.flatMap(layer => {
      const partner = partners.get(layer)
      return partner ? [{ head: layer, base: partner }] : []
    }),
    added: head.layers.filter(layer => !partners.has(layer)),
    removed: [...left],
  }
}

/** A baseline by the names that its places have in the head. What `rename` says of any of its layers comes before. */
function inPlaces(
  head: Model,
  base: Model | null,
  renames: readonly Rename[],
): Pick<Pair, 'base'> & Required<Pick<Pair, 'exchanged'>> {
  const rows = (model: Model) => [...model.layers, ...model.skipped]
  const isMeant = base?.layers.some(({ name }) => renamed(name, renames) !== name)
  const { names, exchanged } = byPlace(rows(head), base && !isMeant ? rows(base) : [])
  if (!base || names.size === 0) return { base, exchanged }
  const called = new Map(head.layers.map(({ tensor, name }) => [tensor, name]))
  const under = (tensor: string) => names.get(tensor) ?? tensor
  const layers = base.layers.map(layer => {
    const tensor = under(layer.tensor)
    return tensor === layer.tensor ? layer : { ...layer, tensor, name: called.get(tensor) ?? tensor }
  })
  const skipped = base.skipped.map(row => ({ ...row, tensor: under(row.tensor) }))
  return { base: { ...base, layers, skipped }, exchanged }
}

/** By the longest rename that fits. */
function renamed(name: string, renames: readonly Rename[]): string {
  const fits = ({ from }: Rename) => name === from || (from.endsWith('.') && name.startsWith(from))
  const [best] = renames.filter(fits).sort((a, b) => b.from.length - a.from.length)
  return best ? `${best.to}${name.slice(best.from.length)}` : name
}

type Strip = (name: string) => string | undefined

function plain({ name }: Layer): string {
  return unwrapped(name)
}

const WRAPPERS = new Set(['base_layer', 'original_module', '_orig_mod', 'module'])
/** Those that have another component after them. */
const PAIRS: ReadonlyMap<string, (next: string) => boolean> = new Map<string, (next: string) => boolean>([
  ['base_model', next => next === 'model'],
  ['modules_to_save', () => true],
])

/** A name without the components that adapters and parametrizations put into it. */
function unwrapped(name: string): string {
  const path = name.split('.')
  const kept: string[] = []
  for (let i = 0; i < path.length; i++) {
    const isPair = i + 1 < path.length && PAIRS.get(path[i])?.(path[i + 1])
    if (isPair) i++
    else if (!WRAPPERS.has(path[i])) kept.push(path[i])
  }
  return kept.join('.')
}

/** Layers of one key can be one layer, seen twice: what an adapter adds to a weight is none with the weight. */
function keyUnder(name: string, layer: Layer): string {
  return `${isUpdate(layer) ? 'Δ' : ''}${layerKey({ ...layer, name })}`
}

/** Layers by their key, shape and part, those left out whose key is not theirs alone. */
function unique(layers: readonly Layer[], keyOf: (layer: Layer) => string | undefined): Map<string, Layer> {
  const found = new Map<string, Layer>()
  const twice = new Set<string>()
  for (const layer of layers) {
    const name = keyOf(layer)
    if (name === undefined) continue
    const key = keyUnder(name, layer)
    if (found.has(key)) twice.add(key)
    found.set(key, layer)
  }
  for (const key of twice) found.delete(key)
  return found
}

const DEEP = 4

/** The leading components that lead from the names of most of some layers to those of others. */
function commonPrefix(of: readonly Layer[], to: readonly Layer[]): { text: string; count: number } | undefined {
  const wanted = unique(to, plain)
  const counts = new Map<string, number>()
  for (const layer of of) {
    const name = plain(layer)
    for (let at = name.indexOf('.'), depth = 0; at > 0 && depth < DEEP; at = name.indexOf('.', at + 1), depth++) {
      if (!wanted.has(keyUnder(name.slice(at + 1), layer))) continue
      const prefix = name.slice(0, at + 1)
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1)
    }
  }
  const best = [...counts].reduce<[string, number] | undefined>((a, b) => (a && a[1] >= b[1] ? a : b), undefined)
  return best && { text: best[0], count: best[1] }
}

/** The first component that most of some layers have. */
function firstComponent(layers: readonly Layer[]): { text: string; count: number } | undefined {
  const counts = new Map<string, number>()
  for (const layer of layers) {
    const [, first] = /^([^.]+\.)./.exec(plain(layer)) ?? []
    if (first) counts.set(first, (counts.get(first) ?? 0) + 1)
  }
  const [best] = [...counts].sort((a, b) => b[1] - a[1])
  return best && 2 * best[1] > layers.length ? { text: best[0], count: best[1] } : undefined
}

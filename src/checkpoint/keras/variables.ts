import type { KerasLayer } from './config.ts'

/** A variable in a Keras 3 file: `layers/dense/vars/0`. */
export interface Variable {
  readonly path: string
  readonly rank: number
}

const VARIABLE = /^(?:(.*)\/)?vars\/(\d+)$/
const CONTAINERS = new Set(['layers', '_layer_checkpoint_dependencies'])
/** What the variables of Keras' own layers are, by the name of the layer's group without its number. */
const VARIABLES: readonly [RegExp, readonly string[]][] = [
  [/^separable_conv\dd$/, ['depthwise_kernel', 'pointwise_kernel', 'bias']],
  [/^(?:depthwise_)?conv\dd(?:_transpose)?$|^(?:einsum_)?dense$/, ['kernel', 'bias']],
  [/(?:^|_)cell$/, ['kernel', 'recurrent_kernel', 'bias']],
  [/^embedding$/, ['embeddings']],
]

/** Whether a path is that of a variable as Keras 3 lays them out. */
export function isVariable(path: string): boolean {
  return VARIABLE.test(path)
}

/**
 * The kind of layer that a variable belongs to, as Keras spells it: that of its group (`layers/dense_1`) or, where a layer is
 * an attribute (`encoder`), of the name that Keras gave it. Without the number that makes it unique.
 */
export function layerKind(path: string, given: ReadonlyMap<string, string>): string {
  const place = VARIABLE.exec(path)?.[1] ?? ''
  const kinds = [place.slice(place.lastIndexOf('/') + 1), given.get(place) ?? ''].map(kindOf)
  return kinds.find(kind => VARIABLES.some(([pattern]) => pattern.test(kind))) ?? kinds[0]
}

/** A name without the number that makes it unique. */
function kindOf(name: string): string {
  return name.replace(/_\d+$/, '')
}

/**
 * The names of Keras 3 variables: those that the layers have in the model, and what each variable is (`stem/kernel`,
 * `head/deep/bias`). A variable that nothing is known of, or whose name would not be its own, keeps its path.
 * @param given the names that the file itself gives to layers, by their place
 * @param layers of the model's config, where there is one: what Keras calls them
 */
export function variableNames(
  variables: readonly Variable[],
  given: ReadonlyMap<string, string>,
  layers: readonly KerasLayer[],
): Map<string, string> {
  const known = new Map([...given, ...layers.flatMap(({ place, name }) => (name ? [[place, name] as const] : []))])
  const ranks = new Map<string, number[]>()
  for (const { path, rank } of variables) {
    const [, place = '', index] = VARIABLE.exec(path) ?? []
    const group = ranks.get(place) ?? []
    if (group.length === 0) ranks.set(place, group)
    if (Number(index) < variables.length) group[Number(index)] = rank
  }
  const names = new Map<string, string>()
  const uses = new Map<string, number>()
  for (const { path } of variables) {
    const [, place = '', index] = VARIABLE.exec(path) ?? []
    const name = [layerName(place, known), variable(layerKind(path, given), Number(index), ranks.get(place) ?? [])]
    names.set(path, name.filter(Boolean).join('/'))
    uses.set(names.get(path)!, (uses.get(names.get(path)!) ?? 0) + 1)
  }
  for (const [path, name] of names) if (uses.get(name)! > 1) names.set(path, path)
  return names
}

/**
 * Children of `layers` go by their name in the model, but for one that Keras counted: it counts all layers of a session, and loads by the
 * number in the group. Attributes of a layer (`cell`) go by the name of the attribute.
 */
function layerName(place: string, known: ReadonlyMap<string, string>): string {
  const path = place.split('/')
  const name: string[] = []
  path.forEach((component, i) => {
    if (CONTAINERS.has(component) && i + 1 < path.length) return
    const own = CONTAINERS.has(path[i - 1] ?? '') && known.get(path.slice(0, i + 1).join('/'))
    name.push(own && kindOf(own) !== kindOf(component) ? own : component)
  })
  return name.join('/')
}

function variable(kind: string, index: number, ranks: readonly number[]): string {
  const known = VARIABLES.find(([pattern]) => pattern.test(kind))?.[1]
  if (known) return known[index] ?? `vars/${index}`
  const [first = 0, second = 1] = ranks
  // A bias of the heads of an attention has two dimensions, and its kernel one more.
  const biased = first >= 2 && (second === 1 || (first === 3 && second === 2))
  if (ranks.length <= 2 && biased) return ['kernel', 'bias'][index]
  return `vars/${index}`
}

import type { LowRank } from '../checkpoint/low-rank.ts'
import type { Checkpoint, Tensor } from '../checkpoint/types.ts'

/** An adapter beside the weights that it belongs to. */
export interface Merged {
  /** The adapter's tensors, and those of the base model that it changes. */
  readonly tensors: readonly Tensor[]
  readonly updates: readonly LowRank[]
  /** Factors whose weight the base model does not have, or has several of, each with the reason. */
  readonly unmatched: readonly { readonly tensor: Tensor; readonly reason: string }[]
}

/** Leading components by which the names of an adapter and of a base model may differ: `base_model.model.`, `transformer.`, `model.`. */
const PREFIXES = 3
/** What kohya puts before the path of a module, whose dots it writes as underscores. */
const KOHYA = /^lora_(?:unet|te\d?|transformer|prior_unet|prior_te)_/

/**
 * The low-rank updates of an adapter, each with the tensor of a base model that it is added to: the one of its very key, or the only
 * one whose key differs from it in what stands before, up to three components, or in kohya's spelling.
 */
export function mergeAdapter(
  adapter: Pick<Checkpoint, 'tensors' | 'updates'>,
  base: Pick<Checkpoint, 'tensors'>,
): Merged {
  const byName = new Map(adapter.tensors.map(tensor => [tensor.name, tensor]))
  const bySpelling = spellings(base.tensors)
  const exact = new Map(base.tensors.map(tensor => [tensor.name, tensor]))
  const used = new Map<string, Tensor>()
  const lost = new Set<string>()
  const updates: LowRank[] = []
  const unmatched: Merged['unmatched'][number][] = []
  const matches = (adapter.updates ?? []).map(update => {
    const found = exact.get(update.key) ?? candidate(update.key, bySpelling)
    return { update, found, name: found && typeof found !== 'string' ? found.name : '' }
  })
  const counts = new Map<string, number>()
  for (const { name } of matches) counts.set(name, (counts.get(name) ?? 0) + 1)
  for (const { update, found, name } of matches) {
    if (found && typeof found !== 'string' && !byName.has(name) && counts.get(name) === 1) {
      used.set(name, found)
      updates.push({ ...update, key: name, base: name })
      continue
    }
    const reason =
      found === undefined
        ? `the base model has no ${update.key}`
        : `which weight of the base model ${update.key} is cannot be told`
    unmatched.push({ tensor: byName.get(update.up)!, reason })
    for (const one of [update.up, update.down, update.magnitude]) if (one !== undefined) lost.add(one)
  }
  return { tensors: [...used.values(), ...adapter.tensors.filter(({ name }) => !lost.has(name))], updates, unmatched }
}

/** Weights by the paths of their modules, dots as underscores; a word where several are spelt so. */
type Spellings = ReadonlyMap<string, Tensor | 'several'>

/** The whole paths, and their ends without one to three leading components. */
function spellings(tensors: readonly Tensor[]): { readonly whole: Spellings; readonly ends: Spellings } {
  const [whole, ends] = [new Map<string, Tensor | 'several'>(), new Map<string, Tensor | 'several'>()]
  const add = (to: typeof whole, spelling: string, tensor: Tensor) =>
    to.set(spelling, to.has(spelling) ? 'several' : tensor)
  for (const tensor of tensors) {
    if (!/\.(?:in_proj_)?weight$/.test(tensor.name)) continue
    const [full, ...rest] = endsOf(tensor.name)
    add(whole, full, tensor)
    for (const end of rest) add(ends, end, tensor)
  }
  return { whole, ends }
}

function endsOf(key: string): string[] {
  const path = key.replace(/\.weight$/, '').split('.')
  return Array.from({ length: Math.min(PREFIXES + 1, path.length) }, (_, from) => path.slice(from).join('_'))
}

/** One path has to be the end of the other: two that only end alike are different modules. */
function candidate(key: string, { whole, ends }: ReturnType<typeof spellings>): Tensor | 'several' | undefined {
  const [full, ...rest] = endsOf(key.replace(KOHYA, ''))
  const shorter = () => rest.map(end => whole.get(end)).find(found => found !== undefined)
  return whole.get(full) ?? ends.get(full) ?? shorter()
}

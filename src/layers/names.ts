import type { Tensor } from '../checkpoint/types.ts'

/** Path components that wrappers put anywhere into a key: torch.compile, FSDP, activation checkpointing. */
const WRAPPERS = new Set(['_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module'])
/** Components that wrap the whole model where they lead: DataParallel, Lightning, training scripts. */
const ROOTS = new Set(['module', 'model', 'state_dict', 'model_state_dict', 'net', 'network'])

/**
 * The names of layers, from the keys of their tensors: without wrapper components, without roots that every key shares, without
 * `.weight` or `/kernel:0`. `module.` is left out of a key wherever it leads, alone or not. Where two keys would get the same
 * name, both keep their exact key.
 *
 * A tensor with a label of its own goes by that, in the same way.
 *
 * @param tensors all of a checkpoint's, in the order of the file
 * @returns a map from key to name
 */
export function layerNames(tensors: readonly Pick<Tensor, 'name' | 'label'>[]): Map<string, string> {
  const keys = tensors.map(({ name, label }) => label ?? name)
  const paths = keys.map(key => unwrap(key.split('.')))
  // How many components of each path are left out.
  const from = paths.map(() => 0)
  const first = (i: number) => paths[i][from[i]]
  while (
    paths.length > 0 &&
    paths.every((path, i) => path.length - from[i] > 1 && first(i) === first(0)) &&
    ROOTS.has(first(0))
  ) {
    for (const [i, path] of paths.entries()) {
      from[i]++
      while (first(i) === 'module' && from[i] < path.length - 1) from[i]++
    }
  }
  const names = paths.map((path, i) =>
    path
      .slice(from[i])
      .join('.')
      .replace(/(?:\.weight|\/kernel(?::0)?)$/, ''),
  )
  const uses = new Map<string, number>()
  for (const name of names) uses.set(name, (uses.get(name) ?? 0) + 1)
  // A key that stays as it is may be what another would be called: that one keeps its key, too.
  const exact = new Set(tensors.map(({ name }) => name))
  const own = (i: number) => uses.get(names[i]) === 1 && (names[i] === tensors[i].name || !exact.has(names[i]))
  return new Map(tensors.map(({ name }, i) => [name, own(i) ? names[i] : name]))
}

function unwrap(path: readonly string[]): string[] {
  const kept = path.filter((component, i) => i === path.length - 1 || !WRAPPERS.has(component))
  const first = kept.findIndex((component, i) => component !== 'module' || i === kept.length - 1)
  return kept.slice(first)
}

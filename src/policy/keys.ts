import type { Pair } from '../comparison/pair.ts'
import type { Layer, Model } from '../report/schema.ts'
import { dottedEnds, moduleOf as parentOf } from '../words.ts'

/** Whether a file is one of which frameworks load what has the right name, and no more. */
export function isOfNames({ source: { format, path } }: Model): boolean {
  // A folder, or what transformers calls a model: what reads others is the user's own.
  return format === 'safetensors' || (format.startsWith('torch') && !/\.(?!bin$)[a-z]\w{1,5}$/i.test(path))
}

/** Whether both are of one framework, which gives a parameter one name; ONNX numbers what it makes. */
export function areNamedAlike({ head, base }: { readonly head: Model; readonly base: Model | null }): boolean {
  const family = ({ source: { format } }: Model) => (/^(?:torch|safetensors)/.test(format) ? 'torch' : format)
  return base !== null && family(head) === family(base) && head.source.format !== 'onnx'
}

/** The key without the parameter's own name, which another type of quantisation changes. */
export function moduleOf({ tensor }: { readonly tensor: string }): string {
  return parentOf(tensor)
}

/**
 * What the tensors of the baseline that are no layers are called on the other side: as they were, or with another beginning, as its layers
 * there have. What that has not is left out.
 */
export function keysOf({ head, base, matched }: Pick<Pair, 'head' | 'base' | 'matched'>): ReadonlyMap<string, string> {
  const now = new Set([...head.layers, ...head.skipped].map(({ tensor }) => tensor))
  const renamed = renamings(matched)
  const found = (base?.skipped ?? []).flatMap(({ tensor }) => {
    const names = renamed.flatMap(([from, to]) => (tensor.startsWith(from) ? [to + tensor.slice(from.length)] : []))
    const name = [tensor, ...names].find(name => now.has(name))
    return name === undefined ? [] : [[tensor, name] as const]
  })
  return new Map(found)
}

/** What keys begin with on either side where they end alike, of layers whose keys differ; the first of many. */
function renamings(matched: Pair['matched']): [from: string, to: string][] {
  const found = new Map<string, [string, string]>()
  for (const { head, base } of matched) {
    if (head.tensor === base.tensor || found.size === MOST_RENAMINGS) continue
    const [from, to] = [base, head].map(({ tensor }) => tensor.split('.'))
    while (from.length > 0 && to.length > 0 && from.at(-1) === to.at(-1)) {
      from.pop()
      to.pop()
    }
    const renaming = [from, to].map(parts => parts.map(part => `${part}.`).join('')) as [string, string]
    found.set(JSON.stringify(renaming), renaming)
  }
  return [...found.values()]
}

const MOST_RENAMINGS = 64

/** All modules that a key lies in; the whole model, an empty text, is one. */
export function containers(key: string): string[] {
  const ends = dottedEnds(key)
  return ['', ...ends.map(end => key.slice(0, key.length - end.length - 1))]
}

/** The module that a parameter is called after; one that is computed (torch.nn.utils.parametrizations) has a module of its own. */
export function ownerOf(layer: Layer): string {
  // Libraries that quantise keep a weight's parts below it: `weight._data`.
  const module = moduleOf(layer)
  const own = /\.weight\._\w+$/.test(layer.tensor) ? parentOf(module) : module
  return own.replace(/\.parametrizations\.[^.]+$/, '')
}

/** Whether it is of a copy that training keeps beside the weights. */
export function isAveraged({ tensor }: { readonly tensor: string }): boolean {
  const [first] = tensor.split('.', 1)
  return first.split('_').some(word => AVERAGES.has(word))
}

const AVERAGES: ReadonlySet<string> = new Set(['ema', 'average', 'averaged', 'shadow', 'teacher'])

/** The last is the parameter's name, which all have. */
export function endsOf(key: string): string[] {
  return dottedEnds(key).slice(0, -1)
}

/** What transformers makes of the names that norms had in TensorFlow. */
export const OLDER: Readonly<Record<string, string>> = { gamma: 'weight', beta: 'bias' }

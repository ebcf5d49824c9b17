import type { Layer, Model } from '../report/schema.ts'
import { dottedEnds } from '../words.ts'

/** Whether a file is one of which frameworks load what has the right name, and no more. */
export function isOfNames({ source }: Model): boolean {
  return source.format === 'safetensors'
}

/** Whether both are of one framework, which gives a parameter one name; ONNX numbers what it makes. */
export function areNamedAlike({ head, base }: { readonly head: Model; readonly base: Model | null }): boolean {
  const family = ({ source: { format } }: Model) => (/^(?:torch|safetensors)/.test(format) ? 'torch' : format)
  return base !== null && family(head) === family(base) && head.source.format !== 'onnx'
}

/** The key without the parameter's own name, which another type of quantisation changes. */
export function moduleOf({ tensor }: { readonly tensor: string }): string {
  return tensor.slice(0, Math.max(0, tensor.lastIndexOf('.')))
}

/** All modules that a key lies in; the whole model, an empty text, is one. */
export function containers(key: string): string[] {
  const ends = dottedEnds(key)
  return ['', ...ends.map(end => key.slice(0, key.length - end.length - 1))]
}

/** The module that a parameter is called after; one that is computed (torch.nn.utils.parametrizations) has a module of its own. */
export function ownerOf(layer: Layer): string {
  return moduleOf(layer).replace(/\.parametrizations\.[^.]+$/, '')
}

/** Whether it is of a copy that training keeps beside the weights. */
export function isAveraged({ tensor }: Layer): boolean {
  const [first] = tensor.split('.', 1)
  return first.split('_').some(word => AVERAGES.has(word))
}

const AVERAGES: ReadonlySet<string> = new Set(['ema', 'average', 'averaged', 'shadow', 'teacher'])

/** The last is the parameter's name, which all have. */
export function endsOf(key: string): string[] {
  return dottedEnds(key).slice(0, -1)
}

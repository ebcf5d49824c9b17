import { reshape, shapeOf, type Values } from '../recipe/values.ts'

/** Modules that project into the heads of an attention, and out of them, as Flax and Keras call them. */
const INTO = new Set(
  ['query', 'key', 'value', 'q', 'k', 'v'].flatMap(name => [name, `${name}_proj`, `${name}_dense`, `to_${name}`]),
)
const OUT_OF = new Set([
  ...[
    'out',
    'o',
    'out_proj',
    'o_proj',
    'output',
    'output_dense',
    'attention_output',
    'attention_output_dense',
    'to_out',
  ],
])

/**
 * The kernel of an attention as a matrix, where it has a dimension for its heads: (in, heads, size) of what projects into them,
 * (heads, size, out) of what projects out of them. The same tensor could be a conv1d's (k, in, out), so that its module's name and
 * the shape of its bias, or of the kernels beside it, have to say so.
 * Source: flax.linen.DenseGeneral in MultiHeadDotProductAttention, EinsumDense in keras.layers.MultiHeadAttention.
 * @param shapes of all tensors by their keys
 * @returns undefined where it is none
 */
export function withoutHeads(
  key: string,
  values: Values,
  shapes: ReadonlyMap<string, readonly number[]>,
): Values | undefined {
  const shape = shapeOf(values)
  if (shape.length !== 3) return undefined
  const [, prefix = '', module = '', leaf = ''] = /^((?:.*[./])?)([^./]+)([./]kernel(?::0)?)$/.exec(key) ?? []
  const beside = (names: ReadonlySet<string>) => {
    const found = [...names].map(name => shapes.get(prefix + name + leaf))
    return found.filter(other => other?.length === 3) as [number, number, number][]
  }
  const [a, b, c] = shape
  if (INTO.has(module)) {
    const bias = shapes.get(prefix + module + leaf.replace('kernel', 'bias'))
    const fits = bias?.join() === `${b},${c}` || beside(OUT_OF).some(([, size]) => size === c)
    return fits ? reshape(values, [a, b * c]) : undefined
  }
  if (!OUT_OF.has(module)) return undefined
  return beside(INTO).some(([, heads, size]) => heads === a && size === b) ? reshape(values, [a * b, c]) : undefined
}

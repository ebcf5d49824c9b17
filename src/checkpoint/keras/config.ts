import { parseJson } from '../../bytes/json.ts'
import { limits } from '../../limits.ts'
import { withoutNaN } from '../quantised/family.ts'

/** One layer of a Keras model as its config describes it. */
export interface KerasLayer {
  /** Where its variables lie in a Keras 3 file, `layers/sequential/layers/dense_1`. */
  readonly place: string
  readonly name: string
  readonly className: string
  /** `th` where a Keras 1 kernel is (out, in, kh, kw). */
  readonly ordering: string | undefined
  /** The mode of its dtype policy where that quantises: `int8`, `int4/16`. */
  readonly mode: string | undefined
  /** What an EinsumDense applies its kernel by: `abc,cde->abde`. */
  readonly equation: string | undefined
  /** Columns of an embedding. */
  readonly outputs: number | undefined
  /** Whether it holds layers itself. */
  readonly nested: boolean
}

/**
 * The layers of a model's parsed JSON, those of nested models too, in order. Empty where it is none that Keras writes.
 * @param whole is given the groups of Keras' own models, such as `layers`, whose layers are all among them
 */
export function readConfig(config: unknown, whole?: Set<string>): KerasLayer[] {
  const layers: KerasLayer[] = []
  collect(config, '', 0, layers, { characters: 0, whole })
  return layers
}

/** What Keras saves as the layers that their config lists, and nothing else in their group. */
const MODELS = ['Sequential', 'Functional']

/** @returns undefined where it is none that Keras writes */
export function parse(text: string | undefined): unknown {
  if (!text || text.length > limits.keras.configBytes) return undefined
  const bounds = { depth: limits.keras.jsonLevels, marks: limits.keras.jsonMarks }
  try {
    return parseJson(withoutNaN(Buffer.from(text)), bounds)
  } catch {
    return undefined
  }
}

function collect(
  model: unknown,
  place: string,
  depth: number,
  found: KerasLayer[],
  total: { characters: number; readonly whole: Set<string> | undefined },
): void {
  const config = field(model, 'config')
  // The config of a Keras 1 Sequential is the list itself.
  const layers = Array.isArray(config) ? config : field(config, 'layers')
  if (!Array.isArray(layers) || depth > limits.keras.nestingLevels) return
  const used = new Map<string, number>()
  if (MODELS.includes(field(model, 'class_name') as string)) total.whole?.add(`${place}layers`)
  for (const layer of layers) {
    const className = field(layer, 'class_name')
    if (typeof className !== 'string') continue
    const kind = snakeCase(className)
    const uses = used.get(kind) ?? 0
    used.set(kind, uses + 1)
    const at = `${place}layers/${uses ? `${kind}_${uses}` : kind}`
    // No file has a group of such a name.
    total.characters += at.length
    if (at.length > limits.checkpoint.nameCharacters || total.characters > limits.keras.placesCharacters) {
      total.whole?.delete(`${place}layers`)
      continue
    }
    const options = field(layer, 'config')
    const name = nameOf(layer)
    const ordering = field(options, 'dim_ordering')
    const mode = field(field(field(options, 'dtype'), 'config'), 'mode')
    const [equation, outputs] = [field(options, 'equation'), field(options, 'output_dim')]
    const nested = Array.isArray(options) || Array.isArray(field(options, 'layers'))
    found.push({
      place: at,
      name: typeof name === 'string' ? name : '',
      className,
      ordering: typeof ordering === 'string' ? ordering : undefined,
      mode: typeof mode === 'string' ? mode : undefined,
      equation: typeof equation === 'string' && equation.length <= CLASS_CHARACTERS ? equation : undefined,
      outputs: typeof outputs === 'number' ? outputs : undefined,
      nested,
    })
    collect(layer, `${at}/`, depth + 1, found, total)
  }
}

/** The names of classes are far shorter; Keras' own pattern takes time that grows with the square. */
const CLASS_CHARACTERS = 256

/** How Keras 3 turns the name of a class into that of a group. */
export function snakeCase(name: string): string {
  return name
    .slice(0, CLASS_CHARACTERS)
    .replace(/\W+/g, '')
    .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
}

/** What the graph of a model calls a layer. */
export function nameOf(layer: unknown): unknown {
  return field(field(layer, 'config'), 'name') ?? field(layer, 'name')
}

export function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Record<string, unknown>)[name]
}

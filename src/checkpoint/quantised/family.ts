import { isUtf8 } from 'node:buffer'
import { basename, dirname, join } from 'node:path'
import { jsonProblem, parseJson } from '../../bytes/json.ts'
import { readStamped } from '../../bytes/small-file.ts'
import { CheckpointError, quoted } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { contiguous, type Stamp, type Tensor } from '../types.ts'
import type { Part, Scheme } from './scheme.ts'

/** Why a quantised tensor can't be read. */
export class Misfit extends Error {
  override name = 'Misfit'
}

/** A checkpoint's tensors by name and by module, and what the files beside them say. */
export class Relatives {
  readonly #byName: ReadonlyMap<string, Tensor>
  readonly #byModule = new Map<string, Tensor[]>()
  readonly #configs = new Map<string, Promise<unknown>>()

  readonly #stamps: Stamp[]

  /** @param stamps where those of the files beside them are put that are read */
  constructor(tensors: readonly Tensor[], stamps: Stamp[]) {
    this.#stamps = stamps
    this.#byName = new Map(tensors.map(tensor => [tensor.name, tensor]))
    for (const tensor of tensors) {
      for (let base = moduleOf(tensor.name), up = 0; up < LEVELS; base = moduleOf(base), up++) {
        const members = this.#byModule.get(base)
        if (!members) this.#byModule.set(base, [tensor])
        else if (members.length <= CROWD) members.push(tensor)
        if (base === '') break
      }
    }
  }

  get(name: string): Tensor | undefined {
    return this.#byName.get(name)
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  /** Those in a module, or in a module within it; none where they are so many that nothing can be told from that. */
  within(module: string): readonly Tensor[] {
    const members = this.#byModule.get(module) ?? []
    return members.length > CROWD ? [] : members
  }

  /**
   * A JSON file beside a file; undefined where there is none.
   * @throws CheckpointError where it can't be read
   */
  config(path: string, name: string): Promise<unknown> {
    const file = join(dirname(path), name)
    const known = this.#configs.get(file) ?? readConfig(file, this.#stamps)
    this.#configs.set(file, known)
    return known
  }
}

/** Files beside one that say how the weights in it are meant. */
export const SIDECARS: readonly string[] = ['adapter_config.json', 'config.json', 'quantize_config.json']
/** A module with more tensors is a whole model without modules. */
const CROWD = 64
/** `layer.weight.quant_state` and the like lie below the layer that they belong to. */
const LEVELS = 3

/**
 * What is no JSON, to Python's parser, frameworks don't load either.
 * @throws CheckpointError where there is one that they load, and that is not read here
 */
async function readConfig(path: string, stamps: Stamp[]): Promise<unknown> {
  try {
    const { bytes, stamp } = await readStamped(path, limits.checkpoint.configBytes)
    stamps.push(stamp)
    if (!isUtf8(bytes)) return undefined
    const config = parseJson(withoutNaN(bytes), {
      depth: limits.json.nestingLevels,
      marks: limits.checkpoint.configMarks,
    })
    refuseOthers(path, config)
    return config
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (cause instanceof SyntaxError || code === 'ENOENT' || code === 'ENOTDIR') return undefined
    if (cause instanceof CheckpointError) throw cause
    const found = code === undefined ? jsonProblem(cause) : `can't be read (${code})`
    throw new CheckpointError(path, found, 'It says how the weights beside it are meant: make it one that can be read.')
  }
}

/**
 * A config.json may name others for later versions of transformers, which then read one of those in its place
 * (transformers/configuration_utils.py, get_configuration_file).
 * @throws CheckpointError where it does
 */
function refuseOthers(path: string, config: unknown): void {
  const others = basename(path) === 'config.json' ? field(config, 'configuration_files') : undefined
  if (!Array.isArray(others) || others.length === 0) return
  throw new CheckpointError(
    path,
    `names other configs for versions of transformers (configuration_files: ${quoted(String(others[0]))}), which read one of those in its place`,
    'Keep the one that is meant as config.json, without configuration_files.',
  )
}

/** Numbers that Python's JSON has, and JSON does not, as null. */
export function withoutNaN(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1')
  if (!/NaN|Infinity/.test(text)) return bytes
  let inText = false
  const plain = text.replace(/\\.|"|-?Infinity|NaN/gs, word => {
    if (word === '"') inText = !inText
    return inText || word === '"' || word[0] === '\\' ? word : 'null'
  })
  return Buffer.from(plain, 'latin1')
}

/** A name without its last component, whatever separates them. */
export function moduleOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('.'), name.lastIndexOf('/')))
}

/** A tensor and those that belong to it by their names. */
export class Family {
  readonly tensor: Tensor
  /** The name without its last component, and that component. */
  readonly base: string
  readonly leaf: string
  /** The module whose tensors may be the tensor's companions: quanto packs what it packs, `weight._data._data`. */
  readonly scope: string
  readonly used = new Set<string>()
  readonly #all: Relatives

  constructor(tensor: Tensor, all: Relatives) {
    this.tensor = tensor
    this.base = moduleOf(tensor.name)
    this.scope = this.base.replace(/\._data$/, '')
    this.leaf = tensor.name.slice(this.base === '' ? 0 : this.base.length + 1)
    this.#all = all
  }

  /** The first of these keys that is there, as a companion of the tensor. */
  find(...names: readonly string[]): Tensor | undefined {
    const found = names.map(name => this.#all.get(name)).find(tensor => tensor !== undefined)
    if (found) this.used.add(found.name)
    return found
  }

  /**
   * The one of these keys that is there, as a companion of the tensor.
   * @throws Misfit where there are several
   */
  single(...names: readonly string[]): Tensor | undefined {
    const found = [...new Set(names)].filter(name => this.#all.has(name))
    if (found.length > 1) throw new Misfit(`${found.slice(0, 2).map(quoted).join(' and ')} may both be its scale`)
    return this.find(...found)
  }

  /** A member of the family with this last component. */
  sibling(...names: readonly string[]): Tensor | undefined {
    return this.find(...names.map(name => this.named(name)))
  }

  /** The key of a member with this last component. */
  named(leaf: string): string {
    return this.base === '' ? leaf : this.tensor.name.slice(0, this.base.length + 1) + leaf
  }

  /** @throws Misfit where it is not there */
  need(name: string): Part {
    const found = this.sibling(name)
    if (!found) throw new Misfit(`its ${name} is missing`)
    return part(found)
  }

  /** The others in the module, or where it is a crowd those whose names begin with this one's. */
  others(): readonly Tensor[] {
    return this.#all.within(this.scope).filter(other => other !== this.tensor)
  }

  config(name: string): Promise<unknown> {
    return this.#all.config(this.tensor.source.path, name)
  }
}

/** Keys under which a config may say how the weights beside it are quantised. */
export const QUANTISATIONS: readonly string[] = ['quantization_config', 'quantization', 'compression_config']

/** Whether a config has the keys of one of transformers. */
export function isOfTransformers(config: unknown): boolean {
  return Array.isArray(field(config, 'architectures')) || typeof field(config, 'model_type') === 'string'
}

/** A member of a JSON object. */
export function field(value: unknown, key: string): unknown {
  const known = typeof value === 'object' && value !== null && Object.hasOwn(value, key)
  return known ? (value as Record<string, unknown>)[key] : undefined
}

/** @throws Misfit where the tensor's elements do not lie one after the other in a file */
export function part({ name, dtype, shape, source }: Tensor): Part {
  const dense = source.kind === 'file' && source.strides.join() === contiguous(shape).join()
  if (!dense) throw new Misfit(`${quoted(name)} is a view, or packed`)
  return { path: source.path, offset: source.offset, dtype, shape }
}

/** A tensor of F32 values that the codec makes; `strides` where the stored rows are not the shape's. */
export function as(family: Family, shape: readonly number[], scheme: Scheme, strides = contiguous(shape)): Tensor {
  const { tensor } = family
  return {
    name: tensor.name,
    dtype: 'F32',
    shape,
    source: { kind: 'packed', path: tensor.source.path, codec: 'quantised', parameters: scheme, strides },
    ...labelOf(family),
  }
}

/** Ends of keys under which quantisers keep a weight, and the weight's own key without them. */
const PAYLOAD = /(?:[._]?_qdata|_packed|\._data(?:\._data)?|_q|_quantized|_quantised|_codes|_blocks)$/

/** The weight's key where the payload's says more than that, or nothing. */
export function labelOf({ tensor, base, leaf }: Family): Pick<Tensor, 'label'> {
  if (/^(?:qweight|Qidxs|codes|W_q|B|weight_packed)$/.test(leaf) && base !== '') return { label: base }
  const stem = tensor.name.replace(PAYLOAD, '').replace(/([./])_(\w+)$/, '$1$2')
  if (stem !== tensor.name && stem !== '') return { label: stem }
  return tensor.label ? { label: tensor.label } : {}
}

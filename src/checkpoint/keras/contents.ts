import type { RandomAccessFile } from '../../bytes/file.ts'
import type { RangeParameters } from '../../bytes/range.ts'
import { CheckpointError, quoted, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { ChunkParameters } from '../hdf5/codec.ts'
import type { Dataset } from '../hdf5/dataset.ts'
import { type Embedded, openEmbedded } from '../hdf5/embedded.ts'
import type { Link } from '../hdf5/links.ts'
import type { Store } from '../hdf5/store.ts'
import { openHdf5 } from '../hdf5/superblock.ts'
import { type Found, type Visitor, walk } from '../hdf5/walk.ts'
import type { Contents } from '../reader.ts'
import {
  type ByteSource,
  contiguous,
  type DType,
  type Setting,
  size,
  type Tensor,
  type UnreadTensor,
} from '../types.ts'
import { type KerasLayer, parse, readConfig } from './config.ts'
import { asPyTorch, type Orientation, orientation } from './orientation.ts'
import { type GroupMember, quantisedGroup } from './quantised.ts'
import { settingsOf } from './settings.ts'
import { isVariable, variableNames } from './variables.ts'

/** Where whole models keep their weights, what is beside the layers in there, and what training leaves. */
const MODEL = 'model_weights'
const TOP_LEVEL = 'top_level_model_weights'
const OPTIMIZER = new Set(['optimizer_weights', 'optimizer'])
const SAVE_AGAIN = 'Save the model again with model.save or model.save_weights.'

interface Item {
  readonly path: string
  readonly dtype: DType
  readonly dataset: Dataset
}

/**
 * The tensors of an HDF5 file: those of a Keras model under their layers, or every dataset of numbers of any other.
 * @param archive where it lies in one: the model's parsed JSON, if it is of use
 */
export async function readHdf5(
  file: RandomAccessFile,
  embedded: Embedded,
  archive?: { readonly config: unknown },
): Promise<Contents> {
  const bytes = await openEmbedded(file, embedded)
  try {
    const opened = await openHdf5(bytes)
    // Keras goes by these names.
    const isVersion3 = archive !== undefined || file.path.toLowerCase().endsWith('.weights.h5')
    const collector = new Collector(file.path, archive?.config, isVersion3)
    await walk(opened, collector)
    collector.checkLists()
    const place: Place = { file, embedded, store: opened.store }
    const { unread, ignored, settings } = collector
    return { tensors: collector.tensors(place), unread, stateDict: '', ignored, ...(settings && { settings }) }
  } finally {
    await bytes.close()
  }
}

class Collector implements Visitor {
  readonly ignored: string[] = []
  readonly unread: UnreadTensor[] = []
  /** Of a whole model, whose JSON is its own. */
  settings: readonly Setting[] | undefined
  readonly #path: string
  readonly #items: Item[] = []
  /** Groups of which Keras 3 loads the layers of the config alone. */
  readonly #whole = new Set<string>()
  /** Names that Keras 3 gives to layers, by their place. */
  readonly #given = new Map<string, string>()
  readonly #order = new Map<string, number>()
  readonly #isVersion3: boolean
  /** Groups that say which weights are theirs, and all that these groups name. */
  readonly #listing = new Set<string>()
  readonly #listed = new Set<string>()
  /** Of the older format: the layers that have weights, in the order of the list, and where in its layer a weight stands. */
  readonly #layerNames: string[] = []
  readonly #slots = new Map<string, { readonly layer: string; readonly index: number }>()
  readonly #reached = new Set<string>()
  #layers: readonly KerasLayer[]
  #keras = false
  #keras1 = false
  #lists = false

  constructor(path: string, config: unknown, isVersion3: boolean) {
    this.#path = path
    this.#isVersion3 = isVersion3
    this.#layers = readConfig(config, this.#whole)
    for (const { place } of this.#layers) this.#order.set(place, this.#order.size)
  }

  async visit({ path, attributes, dataset }: Found): Promise<void> {
    this.#reached.add(path)
    if (dataset && this.#lists && this.#isVersion3 && isVariable(path)) this.#refuseBoth(path)
    if (dataset && this.#isUnlisted(path)) {
      this.leaveOut(path, 'not in weight_names')
      return
    }
    if (!dataset) {
      if (path === '' || path === MODEL) {
        this.#keras ||= ['layer_names', 'keras_version', 'model_config'].some(name => attributes.has(name))
        const version = await attributes.text('keras_version')
        this.#keras1 = this.#keras && (version === undefined ? path === '' || this.#keras1 : version.startsWith('1.'))
        if (path === '' && attributes.has('model_config')) {
          const config = parse(await attributes.text('model_config'))
          if (this.#layers.length === 0) this.#layers = readConfig(config)
          if (!this.#isVersion3) this.settings = settingsOf(config, version)
        }
      }
      if (path === 'vars' || path.endsWith('/vars')) {
        const name = await attributes.text('name')
        if (name && name.length <= limits.checkpoint.nameCharacters && !name.includes('/'))
          this.#given.set(path.slice(0, -'/vars'.length), name)
      }
      return
    }
    const { type } = dataset
    const brainFloat = type.kind === 'other' && type.name === 'opaque bytes' && type.bytes === 2
    if (dataset.unread !== undefined) this.#leaveUnread(path, dataset, dtypeOf(type), dataset.unread)
    else if (type.kind === 'number') this.#add({ path, dtype: type.dtype, dataset })
    else if (brainFloat && (await attributes.text('dtype')) === 'bfloat16') this.#add({ path, dtype: 'BF16', dataset })
    else if (type.kind === 'other') this.#leaveUnread(path, dataset, type.name, `holds ${type.name}`)
    else this.leaveOut(path, 'text')
  }

  async children({ path, attributes }: Found, links: readonly Link[]): Promise<readonly Link[]> {
    let kept = links
    // Version 3 goes by the places of groups, and knows no lists.
    const isTop = path === '' || path === MODEL
    const layers = isTop || this.#lists ? await listed(attributes, 'layer_names') : undefined
    if (isTop && layers) this.#lists = true
    const weights = this.#lists ? await listed(attributes, 'weight_names') : undefined
    const prefix = path ? `${path}/` : ''
    if (weights) this.#listing.add(path)
    if (isTop && layers && this.#layerNames.length === 0)
      for (const name of layers) this.#layerNames.push(prefix + name)
    for (const [i, name] of (weights ?? []).entries()) this.#slots.set(prefix + name, { layer: path, index: i })
    for (const name of [...(layers ?? []), ...(weights ?? [])]) {
      this.#list(prefix + name)
      if (this.#order.size < limits.checkpoint.tensorsCount) this.#order.set(prefix + name, this.#order.size)
    }
    if (path === '') {
      const model = !this.#isVersion3 && !layers && links.some(({ name }) => name === MODEL)
      kept = links.filter(({ name }) => (model ? name === MODEL : !OPTIMIZER.has(name)))
      for (const { name } of links) {
        if (OPTIMIZER.has(name)) this.leaveOut(name, 'optimizer state')
        else if (model && name !== MODEL) this.leaveOut(name, `beside ${MODEL}`)
      }
    }
    if (layers) {
      const heads = new Set([...layers.map(name => name.split('/', 1)[0]), TOP_LEVEL])
      const unlisted = kept.find(({ name }) => !heads.has(name))
      if (isTop && this.#isVersion3 && unlisted) this.#refuseBoth(prefix + unlisted.name)
      for (const { name } of kept) if (!heads.has(name)) this.leaveOut(prefix + name, 'not in layer_names')
      kept = kept.filter(({ name }) => heads.has(name))
    }
    if (this.#whole.has(path)) {
      for (const { name } of kept)
        if (!this.#order.has(prefix + name)) this.leaveOut(prefix + name, 'not in the config')
      kept = kept.filter(({ name }) => this.#order.has(prefix + name))
    }
    const rank = ({ name }: Link) => this.#order.get(prefix + name) ?? Number.POSITIVE_INFINITY
    return [...kept].sort((a, b) => compare(rank(a), rank(b)))
  }

  /** @throws CheckpointError where a layer or weight is listed twice: Keras would load it in two places */
  #list(name: string): void {
    if (this.#listed.has(name))
      throw new CheckpointError(this.#path, `lists ${quoted(name)} twice among its layers or weights`, SAVE_AGAIN)
    this.#listed.add(name)
  }

  /** @throws CheckpointError always: older versions of Keras load what is listed, Keras 3 the groups in their places */
  #refuseBoth(path: string): never {
    const both = `lists layers as older versions of Keras do, and has ${quoted(path)} for Keras 3, which reads no lists`
    throw new CheckpointError(this.#path, both, SAVE_AGAIN)
  }

  /** Where Keras looks for what lies at a path: the older format goes by the order of its lists, version 3 by the path itself. */
  #placeOf(path: string, layers: ReadonlyMap<string, number>): { place?: string } {
    if (isVariable(path) && !this.#lists) return { place: path }
    const slot = this.#slots.get(path)
    const layer = slot && (layers.get(slot.layer) ?? (slot.layer.endsWith(TOP_LEVEL) ? TOP_LEVEL : undefined))
    return layer === undefined ? {} : { place: `${layer}/${slot!.index}` }
  }

  /**
   * Keras reads what the lists name, wherever that leads.
   * @throws CheckpointError where a list names what is not below its group
   */
  checkLists(): void {
    for (const name of this.#listed) {
      if (this.#reached.has(name)) continue
      throw new CheckpointError(
        this.#path,
        `lists ${quoted(name)} among its layers or weights, where none is`,
        SAVE_AGAIN,
      )
    }
  }

  /** Whether a dataset lies below groups that list their weights, and none of them lists it. */
  #isUnlisted(path: string): boolean {
    if (this.#listing.size === 0 || this.#listed.has(path)) return false
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1))
      if (this.#listing.has(path.slice(0, end))) return true
    return this.#listing.has('')
  }

  unreadable(path: string, reason: string, shape: readonly number[]): void {
    this.#reached.add(path)
    if (this.#isUnlisted(path)) this.leaveOut(path, 'not in weight_names')
    else this.#leaveUnread(path, { shape }, 'unknown', reason)
  }

  leaveOut(path: string, reason: string): void {
    if (this.ignored.length < limits.checkpoint.ignoredEntries) this.ignored.push(`${path} (${reason})`)
  }

  tensors(place: Place): Tensor[] {
    const items = this.#sorted()
    checkTotals(place, items)
    const classes = new Map(this.#layers.map(layer => [layer.name, layer]))
    const shapes = new Map(items.map(({ path, dataset }) => [path, dataset.shape]))
    const variables = items.filter(({ path }) => isVariable(path))
    const names = variableNames(
      variables.map(({ path, dataset }) => ({ path, rank: dataset.shape.length })),
      this.#given,
      this.#layers,
    )
    const full = new Set([...this.#slots.values()].map(({ layer }) => layer))
    const numbers = new Map(this.#layerNames.filter(name => full.has(name)).map((name, i) => [name, i]))
    const loras = new Set(items.flatMap(({ path }) => withFactor(path)))
    const tensors = items.map(item => {
      const { path, dtype, dataset } = item
      let how: Orientation = 'as-is'
      if (names.has(path) || this.#keras) {
        how = this.#keras1 && isTheano(path, dataset.shape, shapes) ? 'as-is' : orientation(path, classes, this.#given)
      }
      if (how === 'as-is' && !this.#keras && /(?:^|\/)kernel(?::0)?$/.test(path)) how = 'kernel'
      const { shape, strides } = asPyTorch(dataset.shape, contiguous(dataset.shape), how)
      const named = { name: names.get(path) ?? path, ...this.#placeOf(path, numbers) }
      const broken = loras.has(path) && { broken: LORA }
      return { ...named, dtype, shape, source: source(place, item, strides), ...broken }
    })
    return this.#dequantised(items, tensors)
  }

  #leaveUnread(name: string, { shape }: Pick<Dataset, 'shape'>, dtype: string, reason: string): void {
    if (this.#items.length + this.unread.length === limits.checkpoint.tensorsCount) {
      throw new CheckpointError(this.#path, `holds more than ${limits.checkpoint.tensorsCount} tensors`)
    }
    const place = isVariable(name) && !this.#lists ? { place: name } : {}
    this.unread.push({ name, dtype, shape, reason, ...place })
  }

  #add(item: Item): void {
    if (this.#items.length === limits.checkpoint.tensorsCount) {
      throw new CheckpointError(this.#path, `holds more than ${limits.checkpoint.tensorsCount} tensors`)
    }
    this.#items.push(item)
  }

  /** Keras' quantised layers, a group each, as what they stand for. */
  #dequantised(items: readonly Item[], tensors: readonly Tensor[]): Tensor[] {
    const layers = new Map(this.#layers.map(layer => [layer.place, layer]))
    const groups = new Map<string, GroupMember[]>()
    for (const [i, { path }] of items.entries()) {
      const [, place = '', index] = /^(?:(.*)\/)?vars\/(\d+)$/.exec(path) ?? []
      if (index === undefined) continue
      const group = groups.get(place) ?? []
      group.push({ index: Number(index), tensor: tensors[i] })
      groups.set(place, group)
    }
    const found = new Map<string, Tensor>()
    const optimizers = new Set<string>()
    for (const [place, group] of groups) {
      if (isOptimizer(place, group, tensors)) {
        this.leaveOut(place, 'optimizer state')
        for (const { tensor } of group) optimizers.add(tensor.name)
      } else {
        for (const [name, tensor] of quantisedGroup(group, layers.get(place))) found.set(name, tensor)
      }
    }
    return tensors.filter(({ name }) => !optimizers.has(name)).map(tensor => found.get(tensor.name) ?? tensor)
  }

  /** The tensors of a layer lie in groups within its own, so `weight_names` orders them only now. */
  #sorted(): Item[] {
    const order = ({ path }: Item) => this.#order.get(path)
    const sorted: Item[][] = []
    for (let i = 0; i < this.#items.length; ) {
      let end = i + 1
      const listed = order(this.#items[i]) !== undefined
      while (listed && end < this.#items.length && order(this.#items[end]) !== undefined) end++
      const run = this.#items.slice(i, end)
      sorted.push(listed ? run.sort((a, b) => order(a)! - order(b)!) : run)
      i = end
    }
    return sorted.flat()
  }
}

const LORA =
  'Keras adds a LoRA to it, which an older .h5 keeps beside it: save the model as .keras, which holds their sum'

/** A factor of Keras' own LoRA, and what it is added to. Source: enable_lora (keras/src/layers/core/dense.py). */
function withFactor(path: string): string[] {
  const [, before, weight, after] = /^(.*\/|)lora_(kernel|embeddings)_[ab](:0)?$/.exec(path) ?? []
  return weight === undefined ? [] : [path, `${before}${weight}${after ?? ''}`]
}

/**
 * Whether a group is that of a Keras 3 optimizer: its iterations, its learning rate, and its slots. One that is called otherwise is told
 * by these, which are as large as the weights that they are of.
 */
function isOptimizer(place: string, group: readonly GroupMember[], tensors: readonly Tensor[]): boolean {
  const [iterations, rate] = [0, 1].map(index => group.find(member => member.index === index)?.tensor)
  const begins = iterations?.shape.length === 0 && /^[IU]/.test(iterations.dtype) && rate?.shape.length === 0
  if (!begins || /optim/i.test(place)) return begins
  const own = new Set(group.map(({ tensor }) => tensor))
  const weights = new Set(tensors.filter(tensor => !own.has(tensor)).map(({ shape }) => shape.join()))
  return group.every(({ tensor: { shape } }) => shape.length < 2 || weights.has(shape.join()))
}

/** Lists too long for one attribute are cut into `layer_names0`, `layer_names1`, …; undefined where there is none. */
async function listed(attributes: Found['attributes'], name: string): Promise<string[] | undefined> {
  if (attributes.has(name)) return (await attributes.texts(name)) ?? []
  if (!attributes.has(`${name}0`)) return undefined
  const parts: string[] = []
  for (let i = 0; attributes.has(`${name}${i}`); i++) {
    for (const part of (await attributes.texts(`${name}${i}`)) ?? []) parts.push(part)
  }
  return parts
}

/** With Theano's ordering a Keras 1 kernel is (out, in, kh, kw): its bias has as many elements as its first dimension. */
function isTheano(path: string, shape: readonly number[], shapes: ReadonlyMap<string, readonly number[]>): boolean {
  const bias = shapes.get(path.replace(/_W((?:_\d+)?(?::0)?)$/, '_b$1'))
  return shape.length === 4 && bias?.length === 1 && bias[0] === shape[0] && bias[0] !== shape[3]
}

interface Place {
  readonly file: RandomAccessFile
  readonly embedded: Embedded
  readonly store: Store
}

function source({ file: { path }, embedded, store }: Place, item: Item, strides: readonly number[]): ByteSource {
  const { shape, type, filters, fill } = item.dataset
  const layout = writtenLayout(item.dataset)
  const bytes = size(shape) * type.bytes
  const bigEndian = type.kind === 'number' && type.bigEndian
  if (bytes === 0) return { kind: 'file', path, offset: embedded.offset, strides }
  if (layout.kind === 'chunked' && shape.length === 0) {
    const parameters = Uint8Array.from({ length: bytes }, (_, i) => fill?.[i] ?? 0)
    return { kind: 'packed', path, codec: 'inline', parameters, strides }
  }
  if (layout.kind === 'chunked') {
    const { base, widths } = store
    const { chunk, index } = layout
    const parameters: ChunkParameters = {
      tensor: item.path,
      embedded,
      base,
      widths,
      shape,
      chunk,
      index,
      filters,
      elementBytes: type.bytes,
      bigEndian,
      ...(fill && { fill }),
    }
    return { kind: 'packed', path, codec: 'hdf5-chunks', parameters, strides }
  }
  const start = store.base + layout.address!
  if (!embedded.inflated && !bigEndian) return { kind: 'file', path, offset: embedded.offset + start, strides }
  const swap = bigEndian ? type.bytes : 1
  const parameters: RangeParameters = embedded.inflated
    ? { range: embedded, skip: start, bytes, swap }
    : { range: { offset: embedded.offset + start, length: bytes }, skip: 0, bytes, swap }
  return { kind: 'packed', path, codec: 'range', parameters, strides }
}

/** A dataset in one piece that was never written has one chunk, which is not there. */
function writtenLayout({ layout, shape }: Dataset): Dataset['layout'] {
  if (layout.kind === 'chunked' || layout.address !== undefined) return layout
  return { kind: 'chunked', chunk: shape, index: { kind: 'single', address: undefined } }
}

function dtypeOf(type: Dataset['type']): string {
  return type.kind === 'number' ? type.dtype : type.kind === 'other' ? type.name : 'text'
}

/** Refuses tensors that share bytes, and chunks that together unpack to what no honest file does. */
function checkTotals({ file, store }: Place, items: readonly Item[]): void {
  let unpacked = 0
  const ranges: { path: string; begin: number; end: number }[] = []
  for (const { path, dataset } of items) {
    const bytes = size(dataset.shape) * dataset.type.bytes
    if (dataset.layout.kind === 'chunked' || dataset.layout.address === undefined) unpacked += bytes
    else if (bytes > 0) ranges.push({ path, begin: dataset.layout.address!, end: dataset.layout.address! + bytes })
  }
  if (unpacked > Math.max(limits.zip.zerosBytes, store.size * limits.zip.inflateRatio)) {
    throw new CheckpointError(file.path, `claims to unpack from ${store.size} to ${unpacked} bytes`, RESAVE)
  }
  ranges.sort((a, b) => a.begin - b.begin)
  for (let i = 1; i < ranges.length; i++) {
    if (ranges[i].begin >= ranges[i - 1].end) continue
    const both = [ranges[i - 1], ranges[i]].map(({ path }) => quoted(path)).join(' and ')
    throw new CheckpointError(file.path, `the tensors ${both} overlap`, RESAVE)
  }
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1
}

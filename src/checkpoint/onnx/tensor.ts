import { CheckpointError, RESAVE, tensorIn } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { type ByteSource, contiguous, size } from '../types.ts'
import { type ElementType, elementType } from './dtypes.ts'
import type { ExternalData } from './external.ts'
import type { OnnxTensor } from './types.ts'
import type { ValuesParameters } from './values.ts'
import { type Field, LENGTH, tag, VARINT, type Wire } from './wire.ts'

/** Where a message lies in the file. */
export type Extent = Pick<Field, 'start' | 'end'>

const DIMS = 1
const DATA_TYPE = tag(2, VARINT)
const SEGMENT = tag(3, LENGTH)
const NAME = tag(8, LENGTH)
const RAW_DATA = tag(9, LENGTH)
const EXTERNAL_DATA = tag(13, LENGTH)
const DATA_LOCATION = tag(14, VARINT)
/** Of external data; any other entry says nothing about the values. */
const ENTRIES = new Set(['location', 'offset', 'length'])
const VALUES = new Set([4, 5, 6, 7, 10, 11])

/** What holds values of less than a byte. */
const BYTE = elementType(2)

const SPARSE_VALUES = tag(1, LENGTH)
const SPARSE_DIMS = 3

/** What is gathered of a TensorProto: its fields may come in any order. */
interface Gathered {
  name: string
  readonly dims: number[]
  type: number
  raw: Extent | undefined
  /** By the number of the field: where its first occurrence lies, how many there are, their bytes. */
  readonly values: Map<number, { first: Field; count: number; bytes: number }>
  readonly entries: Map<string, string>
  external: boolean
  segmented: boolean
}

/** Describes TensorProto and SparseTensorProto messages. Source: onnx/onnx.proto of onnx 1.23. */
export class TensorReader {
  readonly #wire: Wire
  /** The file that the values are read from: the one that `wire` walks, under the name it can be opened by. */
  readonly #path: string
  readonly #external: ExternalData

  constructor(wire: Wire, path: string, external: ExternalData) {
    this.#wire = wire
    this.#path = path
    this.#external = external
  }

  /** @param name the tensor's key, given its own name */
  async dense(message: Extent, name: (own: string) => string): Promise<OnnxTensor> {
    const found = await this.#gather(message)
    const key = name(found.name)
    const where = tensorIn(this.#wire.bytes.path, key)
    const shape = checkShape(where, found.dims)
    const type = elementType(found.type)
    const skip = found.segmented
      ? 'a segment of a tensor'
      : type.unread && `its ONNX type, ${type.name}, is not one that is read`
    if (skip) {
      const described = { name: key, dtype: type.dtype, shape, source: unread(this.#path, shape), skip }
      if (found.segmented || !/^U?INT4$/.test(type.name)) return described
      const bytes = [Math.ceil(size(shape) / 2)]
      const source = await this.#source(where, found, BYTE, message, bytes)
      return { ...described, pairs: { name: key, dtype: BYTE.dtype, shape: bytes, source } }
    }
    return { name: key, dtype: type.dtype, shape, source: await this.#source(where, found, type, message, shape) }
  }

  /** The floats of a Constant's attribute, of which there are so many. */
  floats({ start, end }: Extent, name: string, count: number): OnnxTensor {
    const parameters: ValuesParameters = { start, end, field: 7, width: 4, bytes: 4 }
    const shape = checkShape(tensorIn(this.#wire.bytes.path, name), [count])
    const source = { kind: 'packed', path: this.#path, codec: 'onnx-values', parameters, strides: [1] } as const
    return { name, dtype: 'F32', shape, source }
  }

  /** A sparse tensor: named, and not read. */
  async sparse(message: Extent, name: (own: string) => string): Promise<OnnxTensor> {
    const dims: number[] = []
    let values: Gathered | undefined
    await this.#wire.walk(message.start, message.end, async field => {
      if (field.tag === SPARSE_VALUES) values = await this.#gather(field)
      else if (isRepeated(field, SPARSE_DIMS)) await this.#dims(field, dims)
    })
    const key = name(values?.name ?? '')
    const shape = checkShape(tensorIn(this.#wire.bytes.path, key), dims)
    const { dtype } = elementType(values?.type ?? 0)
    return { name: key, dtype, shape, source: unread(this.#path, shape), skip: 'a sparse tensor' }
  }

  async #gather(message: Extent): Promise<Gathered> {
    const found: Gathered = {
      name: '',
      dims: [],
      type: 0,
      raw: undefined,
      values: new Map(),
      entries: new Map(),
      external: false,
      segmented: false,
    }
    await this.#wire.walk(message.start, message.end, field => {
      switch (field.tag) {
        case DATA_TYPE:
          found.type = field.int32
          return
        case SEGMENT:
          found.segmented = true
          return
        case NAME:
          return this.#name(field, found)
        case RAW_DATA:
          found.raw = field
          return
        case EXTERNAL_DATA:
          return this.#entry(field, found)
        case DATA_LOCATION:
          if (field.int32 !== 0 && field.int32 !== 1) throw this.#unknownPlace(field)
          found.external = field.int32 === 1
          return
      }
      const number = field.tag >>> 3
      if (isRepeated(field, DIMS)) return this.#dims(field, found.dims)
      if (!VALUES.has(number)) return
      const known = found.values.get(number)
      if (known) {
        known.count++
        known.bytes += field.end - field.start
      } else if (field.end > field.start) {
        found.values.set(number, { first: field, count: 1, bytes: field.end - field.start })
      }
    })
    return found
  }

  #unknownPlace({ start, int32 }: Field): CheckpointError {
    const found = `a tensor has its values in the unknown place ${int32}, at byte ${start}`
    return new CheckpointError(this.#wire.bytes.path, found, RESAVE)
  }

  async #name(field: Field, found: Gathered): Promise<void> {
    found.name = await this.#wire.name(field, 'a tensor')
  }

  async #dims(field: Field, dims: number[]): Promise<void> {
    dims.push(...(await this.#wire.varints(field, limits.checkpoint.dimensionsCount + 1)))
    if (dims.length > limits.checkpoint.dimensionsCount) {
      throw new CheckpointError(
        this.#wire.bytes.path,
        `the tensor at byte ${field.start} has more than ${limits.checkpoint.dimensionsCount} dimensions`,
        RESAVE,
      )
    }
  }

  async #entry(field: Field, { entries }: Gathered): Promise<void> {
    const [key, value] = await this.#wire.entry(field)
    if (ENTRIES.has(key)) entries.set(key, value)
  }

  async #source(
    where: string,
    found: Gathered,
    type: ElementType,
    message: Extent,
    shape: readonly number[],
  ): Promise<ByteSource> {
    const strides = contiguous(shape)
    const elements = size(shape)
    const bytes = Math.ceil((elements * type.bits) / 8)
    if (found.external) {
      const { path, offset } = await this.#external.locate(where, found.entries, bytes)
      return { kind: 'file', path, offset, strides }
    }
    const held = [...found.values.keys()]
    if (found.raw && (found.raw.end > found.raw.start || held.length === 0)) held.push(9)
    if (held.length > 1) throw new CheckpointError(where, `has its values in ${held.length} fields at once`, RESAVE)
    const [field] = held
    if (field === undefined) {
      if (elements === 0) return { kind: 'file', path: this.#path, offset: message.start, strides }
      throw new CheckpointError(where, 'has no values', 'Save the model with its weights.')
    }
    if (field === 9) {
      checkBytes(where, type, shape, bytes, found.raw!.end - found.raw!.start)
      return { kind: 'file', path: this.#path, offset: found.raw!.start, strides }
    }
    if (field !== type.field.number) {
      throw new CheckpointError(where, `has values of another type than its own, ${type.name}`, RESAVE)
    }
    const { first, count, bytes: stored } = found.values.get(field)!
    const { width } = type.field
    if (width > 0) {
      checkBytes(where, type, shape, bytes, stored)
      if (count === 1) return { kind: 'file', path: this.#path, offset: first.start, strides }
    } else if (stored < elements || stored > 10 * elements) {
      throw new CheckpointError(where, `${type.name} of shape [${shape}] can't have ${stored} bytes of values`, RESAVE)
    }
    const { start, end } = message
    const parameters: ValuesParameters = { start, end, field, width, bytes: type.bits / 8 }
    return { kind: 'packed', path: this.#path, codec: 'onnx-values', parameters, strides }
  }
}

function isRepeated(field: Field, number: number): boolean {
  return field.tag === tag(number, VARINT) || field.tag === tag(number, LENGTH)
}

function checkShape(where: string, dims: readonly number[]): readonly number[] {
  if (!dims.every(Number.isSafeInteger)) {
    throw new CheckpointError(where, 'has a dimension that is negative or too large', RESAVE)
  }
  // 128 bits an element is the most.
  if (!Number.isSafeInteger(size(dims) * 16)) {
    throw new CheckpointError(where, `its shape [${dims}] overflows`, RESAVE)
  }
  return dims
}

function checkBytes(where: string, type: ElementType, shape: readonly number[], wanted: number, found: number): void {
  if (wanted === found) return
  throw new CheckpointError(
    where,
    `${type.name} of shape [${shape}] takes ${wanted} bytes, but it has ${found}`,
    RESAVE,
  )
}

/** The source of a tensor that nobody may read. */
function unread(path: string, shape: readonly number[]): ByteSource {
  return { kind: 'packed', path, codec: 'unread', parameters: null, strides: contiguous(shape) }
}

import { CheckpointError, RESAVE, tensorIn } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { DTYPE_BITS, type DType, size, type Tensor, type UnreadTensor } from '../types.ts'
import { describeArray, isArray } from './arrays.ts'
import { describeQuantised, QUANTISED_STORAGES } from './quantised.ts'
import type { Source } from './source.ts'
import { Global, Inert, Persistent, type Value } from './values.ts'

/** A storage's bytes in the source. */
export interface Extent {
  readonly offset: number
  readonly bytes: number
}

/** Where the storage of a key lies, undefined where there is none. */
export type Locate = (key: string) => Promise<Extent | undefined>

/** Storage classes of torch that name an element type. Source: torch.storage._dtype_to_storage_type_map. */
const STORAGES: Record<string, DType> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
  ComplexFloatStorage: 'C64',
  ComplexDoubleStorage: 'C128',
}
/** Storage classes by the width of what lies in the file. */
const STORED: Record<string, DType> = { ...STORAGES, ...QUANTISED_STORAGES, QInt32Storage: 'I32', UntypedStorage: 'U8' }
/** Types that torch stores untyped, beside a name of their own. Source: torch.storage._new_dtypes. */
const DTYPES: Record<string, DType> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
  float8_e8m0fnu: 'F8_E8M0',
  float8_e4m3fnuz: 'F8_E4M3FNUZ',
  float8_e5m2fnuz: 'F8_E5M2FNUZ',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
}

const MOVED = 'torch._utils._rebuild_device_tensor_from_cpu_tensor'
const WITH_STATE = 'torch._utils._rebuild_parameter_with_state'
/** Calls that hand on the tensor in their first argument. */
const WRAPPERS = new Set(['torch._utils._rebuild_parameter', WITH_STATE, 'torch.nn.parameter.Parameter', MOVED])
/** Calls `(function, type, arguments, state)` that name the call to make. */
const TYPED = new Set([
  'torch._tensor._rebuild_from_type_v2',
  'torch._tensor._rebuild_from_type',
  'torch.tensor._rebuild_from_type',
])
/** What such a type may be for the stored numbers to be the weights. */
const TYPES = new Set([
  'torch.Tensor',
  'torch._tensor.Tensor',
  'torch.tensor.Tensor',
  'torch.nn.parameter.Parameter',
  'torch.nn.parameter.Buffer',
])
const VIEWS = new Set([
  'torch._utils._rebuild_tensor',
  'torch._utils._rebuild_tensor_v2',
  'torch._utils._rebuild_tensor_v3',
])
const QUANTISED = 'torch._utils._rebuild_qtensor'
const SPARSE = 'is a sparse tensor: save its to_dense() instead'
const XLA = 'is an XLA tensor: save its cpu() instead'
const LAZY = 'is not initialised yet: run the model once before saving it'
const META = 'is on the meta device and has no values: load the weights before saving the model'
/** Tensors whose stored numbers are not their elements, or that have none: a place for readers to come. */
const UNREADABLE: Record<string, string> = {
  'torch._utils._rebuild_sparse_tensor': SPARSE,
  'torch._utils._rebuild_sparse_csr_tensor': SPARSE,
  'torch._utils._rebuild_nested_tensor': 'is a nested tensor: save its to_padded_tensor(0) instead',
  'torch._utils._rebuild_meta_tensor_no_storage': META,
  'torch._utils._rebuild_wrapper_subclass': 'is a subclass of Tensor without values of its own: save a plain tensor',
  'torch._utils._rebuild_device_tensor_from_numpy': XLA,
  'torch._utils._rebuild_xla_tensor': XLA,
  'torch.storage._load_from_bytes': 'is a pickle within the pickle: save a plain tensor',
  'torch.nn.parameter.UninitializedParameter': LAZY,
  'torch.nn.parameter.UninitializedBuffer': LAZY,
}

/** A call that makes a tensor. */
export type TensorCall = Inert & { readonly callee: Global }

/** Whether a value stands for a tensor, readable or not. */
export function isTensor(value: Value): value is TensorCall {
  return value instanceof Inert && value.callee instanceof Global && isTensorMaker(value.callee)
}

/** Whether a call of this name makes a tensor. */
export function isTensorMaker({ path: name }: Global): boolean {
  return (
    VIEWS.has(name) || name === QUANTISED || WRAPPERS.has(name) || TYPED.has(name) || Object.hasOwn(UNREADABLE, name)
  )
}

/**
 * A tensor as a view of its storage, or the reason why it is none. The view is checked against the storage's bytes in the file;
 * nothing is allocated.
 * @throws CheckpointError naming the file and the tensor.
 */
export async function describeTensor(
  source: Source,
  name: string,
  value: Inert,
  locate: Locate,
): Promise<Tensor | UnreadTensor> {
  const where = tensorIn(source.path, name)
  if (name.length > limits.checkpoint.nameCharacters) {
    throw new CheckpointError(
      where,
      `its name has ${name.length} characters, more than ${limits.checkpoint.nameCharacters}`,
    )
  }
  if (isArray(value)) return describeArray(source.path, where, name, value)
  const call = unwrap(where, value)
  if ('reason' in call) return unread(name, call.made, call.reason)
  const view = readView(where, call)
  if ('reason' in view) return unread(name, call, view.reason)
  const { dtype, offset, bytes, shape, strides } = await placed(where, view, locate)
  if (call.callee.path !== QUANTISED) return { name, dtype, shape, source: source.place(offset, bytes, strides) }
  const range = { dtype: dtype as 'I8', at: source.place(offset, bytes, strides), shape, strides }
  const found = await describeQuantised(range, call.args[4], (list, length) =>
    readList(source, where, list, length, locate),
  )
  return typeof found === 'string' ? unread(name, call, found) : { name, dtype: 'F32', shape, source: found }
}

/** The dtype of a storage's elements as they lie in the file, by its class. */
export function storageType(type: Value): DType | undefined {
  const name = typeName(type)
  return Object.hasOwn(STORED, name) ? STORED[name] : undefined
}

interface View {
  readonly dtype: DType
  readonly key: string
  /** What of the storage the view is within, in elements. */
  readonly within: readonly [begin: number, end: number]
  readonly shape: number[]
  readonly strides: number[]
}

/**
 * Attributes of a tensor that Python does not keep beside it: setting one may change its values, or what it is. Any other is a note.
 * Source: the data descriptors of torch.nn.Parameter in torch 2.15.
 */
const ATTRIBUTES = new Set(
  `H T _backward_hooks _base _cdata _grad _grad_fn _has_grad_dtype_override _has_symbolic_sizes_strides
  _post_accumulate_grad_hooks _python_dispatch _version data device dtype grad grad_dtype grad_fn imag is_cpu is_cuda is_ipu
  is_leaf is_maia is_meta is_mkldnn is_mps is_mtia is_nested is_quantized is_sparse is_sparse_csr is_vulkan is_xla is_xpu
  itemsize layout mH mT name names nbytes ndim output_nr real requires_grad retains_grad shape volatile`.split(/\s+/),
)

/** Why what would be done to a tensor once it is made keeps it from being read; undefined where nothing is. */
function changeOf(value: TensorCall): string | undefined {
  if (value.state !== undefined) return 'has a state that would replace its values: save a plain tensor'
  if (value.items.length > 0) return 'has elements that would be set one by one: save a plain tensor'
  const name = value.callee.path
  const state = name === WITH_STATE ? value.args[3] : TYPED.has(name) ? value.args[3] : undefined
  for (const part of Array.isArray(state) ? state : [state]) {
    if (part === undefined || part === null) continue
    if (!(part instanceof Map)) return 'has a state of an unknown kind: save a plain tensor'
    for (const key of part.keys()) {
      if (typeof key === 'string' && !key.startsWith('__') && !ATTRIBUTES.has(key)) continue
      return `has a state that would set its ${JSON.stringify(text(key).slice(0, 40))}: save a plain tensor`
    }
  }
  return undefined
}

/** Attributes that are set by copying values into the storage, which other tensors may share. */
const COPIED = ['real', 'imag']

/** Whether making a tensor would write into its storage, so that others change with it. */
export function copiesInto({ callee, args }: Inert): boolean {
  if (!(callee instanceof Global && (callee.path === WITH_STATE || TYPED.has(callee.path)))) return false
  const parts = Array.isArray(args[3]) ? args[3] : [args[3]]
  return parts.some(part => part instanceof Map && COPIED.some(key => part.has(key)))
}

/** The call that makes the view, out of the calls around it, or the reason why there is none. */
function unwrap(where: string, value: Inert): TensorCall | { made: Value; reason: string } {
  let inner: Value = value
  for (let depth = 0; depth < 8; depth++) {
    if (!isTensor(inner)) return { made: inner, reason: unknown(inner) }
    const name = inner.callee.path
    const change = changeOf(inner)
    if (change) return { made: inner, reason: change }
    if (VIEWS.has(name) || name === QUANTISED) return inner
    if (Object.hasOwn(UNREADABLE, name)) return { made: inner, reason: UNREADABLE[name] }
    if (WRAPPERS.has(name)) {
      if (name === MOVED && !isSameType(inner)) return { made: inner, reason: CONVERTED }
      inner = inner.args[0]
      continue
    }
    const [callee, type, args]: readonly Value[] = inner.args
    if (!(callee instanceof Global && Array.isArray(args))) return { made: inner, reason: unknown(callee) }
    const call = new Inert(callee, args)
    if (!TYPES.has(String(type))) return { made: call, reason: unknown(type) }
    if (inner.state !== undefined) call.state = inner.state
    inner = call
  }
  throw new CheckpointError(where, 'is wrapped more than 8 times', RESAVE)
}

function readView(where: string, { callee, args }: TensorCall): View | { reason: string } {
  const [storage, storageOffset, shape, strides] = args
  const third = callee.path.endsWith('_v3')
  const metadata = args[third ? 7 : 6]
  // torch takes the key for the sign, whatever its value.
  if (metadata instanceof Map && (metadata.has('neg') || metadata.has('conj'))) {
    return { reason: 'is a lazily negated view: save its resolve_neg()' }
  }
  const id = storage instanceof Persistent ? storage.id : undefined
  if (!Array.isArray(id) || id.length < 5 || id[0] !== 'storage' || typeof id[2] !== 'string') {
    throw new CheckpointError(where, 'its storage is not one that torch.save writes', RESAVE)
  }
  if (id[3] === 'meta') return { reason: META }
  if (!isCounts(shape) || !isCounts(strides) || shape.length !== strides.length || !isCount(storageOffset)) {
    const found = `shape ${text(shape)}, strides ${text(strides)}, offset ${text(storageOffset)}`
    throw new CheckpointError(where, `is no view of a storage: ${found}`, RESAVE)
  }
  const type = third ? args[6] : id[1]
  const known: Record<string, DType> = callee.path === QUANTISED ? QUANTISED_STORAGES : third ? DTYPES : STORAGES
  const dtype = Object.hasOwn(known, typeName(type)) ? known[typeName(type)] : undefined
  if (!dtype) return { reason: `has elements of the type ${text(type)}, which have no reader` }
  const [begin, end] = section(where, id[5])
  return { dtype, key: id[2], within: [begin + storageOffset, end], shape, strides }
}

/** Whether a tensor that is moved to a device keeps the type of its elements. */
function isSameType({ args: [inner, type] }: TensorCall): boolean {
  if (!(inner instanceof Inert && type instanceof Global)) return false
  const [storage, , , , , , own] = inner.args
  if (inner.callee instanceof Global && inner.callee.path.endsWith('_v3')) return typeName(own) === type.name
  const id = storage instanceof Persistent ? storage.id : undefined
  const stored = Array.isArray(id) ? typeName(id[1]) : ''
  return Object.hasOwn(NAMES, type.name) && STORAGES[stored] === NAMES[type.name]
}

const CONVERTED = 'is converted to another type while it is loaded: save a plain tensor'
/** torch's names of the types that have a storage class. */
const NAMES: Record<string, DType> = {
  ...{ float64: 'F64', double: 'F64', float32: 'F32', float: 'F32', float16: 'F16', half: 'F16', bfloat16: 'BF16' },
  ...{ int64: 'I64', long: 'I64', int32: 'I32', int: 'I32', int16: 'I16', short: 'I16', int8: 'I8', uint8: 'U8' },
  ...{ bool: 'BOOL', complex64: 'C64', cfloat: 'C64', complex128: 'C128', cdouble: 'C128' },
}

const ALL_NAMES: Record<string, DType> = { ...DTYPES, ...NAMES }

/** What torch calls a type (`torch.float32`); undefined of another value, and of a type that is not known. */
export function typeNamed(value: Value | undefined): DType | undefined {
  const name = typeName(value)
  return Object.hasOwn(ALL_NAMES, name) ? ALL_NAMES[name] : undefined
}

/** The part of a storage that its id names: storages were views of others before torch 0.4. */
function section(where: string, metadata: Value | undefined): [begin: number, end: number] {
  if (metadata === undefined || metadata === null) return [0, Number.POSITIVE_INFINITY]
  const [, begin, length] = Array.isArray(metadata) ? metadata : []
  if (isCount(begin) && isCount(length)) return [begin, begin + length]
  throw new CheckpointError(where, 'its storage is not one that torch.save writes', RESAVE)
}

async function placed(where: string, view: View, locate: Locate): Promise<View & Extent> {
  const { dtype, key, shape, strides } = view
  const storage = await locate(key)
  if (!storage) throw new CheckpointError(where, `its storage ${key.slice(0, 100)} is not in the file`, RESAVE)
  const width = DTYPE_BITS[dtype] / 8
  const [begin, end] = view.within
  const span = checkRange(where, dtype, begin, shape, strides, Math.min(end, Math.floor(storage.bytes / width)))
  return { ...view, offset: storage.offset + begin * width, bytes: span * width }
}

/** The numbers of a list, or of a small tensor with one dimension. */
async function readList(
  source: Source,
  where: string,
  list: Value,
  length: number,
  locate: Locate,
): Promise<number[] | undefined> {
  if (Array.isArray(list) && list.length !== length) return undefined
  if (Array.isArray(list)) return list.every(item => typeof item === 'number') ? list : undefined
  const call = list instanceof Inert ? unwrap(where, list) : undefined
  const view = call && 'callee' in call ? readView(where, call) : undefined
  if (!view || 'reason' in view || view.shape.length !== 1 || view.shape[0] !== length) return undefined
  // Of a view that repeats itself, a few bytes would be a long list.
  if (length > 1 && view.strides[0] === 0) return undefined
  const { dtype, offset, bytes, shape, strides } = await placed(where, view, locate)
  if (bytes > limits.spectrum.chunkBytes) return undefined
  const raw = await source.read(offset, bytes)
  const width = DTYPE_BITS[dtype] / 8
  const get = { F64: raw.readDoubleLE, F32: raw.readFloatLE, I32: raw.readInt32LE, I64: raw.readBigInt64LE }[
    dtype as 'F64'
  ]
  return get && Array.from({ length: shape[0] }, (_, i) => Number(get.call(raw, i * strides[0] * width)))
}

/** The shape that a tensor claims to have; undefined where none can be told. */
export function shapeOf(call: TensorCall): number[] | undefined {
  const inner = unwrap('', call)
  const made = 'reason' in inner ? inner.made : inner
  const args = made instanceof Inert ? made.args : []
  return args.find(arg => Array.isArray(arg) && isCounts(arg)) as number[] | undefined
}

/** What is known of a tensor without reading it. */
function unread(name: string, made: Value, reason: string): UnreadTensor {
  const args = made instanceof Inert ? made.args : []
  const inner = args.flatMap(arg => (Array.isArray(arg) && !isCounts(arg) ? arg.slice(0, 8) : [arg])).slice(0, 32)
  const shape = inner.find(arg => Array.isArray(arg) && isCounts(arg)) as number[] | undefined
  const types = inner.flatMap(arg => [arg, ...(arg instanceof Inert ? arg.args.slice(0, 1) : [])]).map(typeName)
  const known = types.map(type => STORAGES[type] ?? DTYPES[type]).filter(Boolean)
  // Of a sparse tensor: its indices are integers.
  const dtype = known.find(type => /^B?F/.test(type)) ?? known[0] ?? types.find(type => type !== '') ?? 'unknown'
  return { name, dtype: dtype.replace(/Storage$/, '').slice(0, 100), shape: shape ?? [], reason }
}

/** The name of torch's type that a value is, or that a storage has. */
function typeName(value: Value | undefined): string {
  const type = value instanceof Persistent && Array.isArray(value.id) ? value.id[1] : value
  return type instanceof Global && /^torch(\.cuda|\.storage)?$/.test(type.module) ? type.name : ''
}

/** The elements that a view covers, from its first to its last. */
function checkRange(
  where: string,
  dtype: DType,
  offset: number,
  shape: readonly number[],
  strides: readonly number[],
  available: number,
): number {
  const elements = size(shape)
  if (!Number.isSafeInteger(elements)) throw new CheckpointError(where, `its shape [${shape}] overflows`, RESAVE)
  const end = elements === 0 ? offset : shape.reduce((last, n, d) => last + (n - 1) * strides[d], offset + 1)
  if (end > available) {
    throw new CheckpointError(
      where,
      `${dtype} of shape [${shape}], strides [${strides}], offset ${offset} needs ${end} elements, but its storage has ${available}`,
      RESAVE,
    )
  }
  if (elements > Math.max(available, limits.checkpoint.expandedElements)) {
    throw new CheckpointError(
      where,
      `its shape [${shape}] repeats the ${available} elements of its storage ${elements} times over`,
      'Save it unexpanded.',
    )
  }
  return end - offset
}

function unknown(found: Value | undefined): string {
  return `is made by ${text(found)}, which has no reader: save plain tensors`
}

function isCounts(value: Value): value is number[] {
  return Array.isArray(value) && value.length <= limits.checkpoint.dimensionsCount && value.every(isCount)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** A value as an error quotes it. */
function text(value: Value | undefined): string {
  if (value instanceof Inert) return value.type.slice(0, 200)
  if (Array.isArray(value))
    return `[${value.slice(0, 16).map(item => (typeof item === 'object' ? '…' : String(item)))}]`
  if (value instanceof Map || value instanceof Set || value instanceof Uint8Array) return value.constructor.name
  return String(value instanceof Persistent ? 'a storage' : value).slice(0, 200)
}

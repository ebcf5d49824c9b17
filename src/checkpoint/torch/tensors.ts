import type { RandomAccessFile } from '../../bytes/file.ts'
import { CheckpointError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { DTYPE_BITS, type DType, size, type Tensor } from '../types.ts'
import { Global, Inert, Persistent, type Value } from './values.ts'

const RESAVE = 'The file is truncated or damaged: fetch or save it again.'

/** A storage's bytes in the file. */
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
/** Types that torch stores untyped, beside a name of their own. Source: torch.storage._new_dtypes. */
const DTYPES: Record<string, DType> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
  float8_e8m0fnu: 'F8_E8M0',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
}

/** Calls that hand on the tensor in their first argument. */
const WRAPPERS = new Set([
  'torch._utils._rebuild_parameter',
  'torch._utils._rebuild_parameter_with_state',
  'torch.nn.parameter.Parameter',
  'torch._utils._rebuild_device_tensor_from_cpu_tensor',
])
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
const SPARSE = ['is a sparse tensor', 'Save its to_dense() instead.'] as const
const XLA = ['is an XLA tensor', 'Save its cpu() instead.'] as const
const LAZY = ['is not initialised yet', 'Run the model once before saving it.'] as const
const META = ['is on the meta device and has no values', 'Load the weights before saving the model.'] as const
/** Tensors whose stored numbers are not their elements, or that have none: a place for readers to come. */
const UNREADABLE: Record<string, readonly [found: string, remedy: string]> = {
  'torch._utils._rebuild_sparse_tensor': SPARSE,
  'torch._utils._rebuild_sparse_csr_tensor': SPARSE,
  'torch._utils._rebuild_qtensor': ['is quantised', 'Save its dequantize() instead.'],
  'torch._utils._rebuild_nested_tensor': ['is a nested tensor', 'Save its to_padded_tensor(0) instead.'],
  'torch._utils._rebuild_meta_tensor_no_storage': META,
  'torch._utils._rebuild_wrapper_subclass': [
    'is a subclass of Tensor without values of its own',
    'Save a plain tensor.',
  ],
  'torch._utils._rebuild_device_tensor_from_numpy': XLA,
  'torch._utils._rebuild_xla_tensor': XLA,
  'torch.storage._load_from_bytes': ['is a pickle within the pickle', 'Save a plain tensor.'],
  'torch.nn.parameter.UninitializedParameter': LAZY,
  'torch.nn.parameter.UninitializedBuffer': LAZY,
}

/** A call that makes a tensor. */
export type TensorCall = Inert & { readonly callee: Global }

/** Whether a value stands for a tensor, readable or not. */
export function isTensor(value: Value): value is TensorCall {
  if (!(value instanceof Inert && value.callee instanceof Global)) return false
  const name = String(value.callee)
  return VIEWS.has(name) || WRAPPERS.has(name) || TYPED.has(name) || Object.hasOwn(UNREADABLE, name)
}

/**
 * A tensor as a view of its storage. The view is checked against the storage's bytes in the file; nothing is allocated.
 * @throws CheckpointError naming the file and the tensor.
 */
export async function describeTensor(
  file: Pick<RandomAccessFile, 'path'>,
  name: string,
  value: Inert,
  locate: Locate,
): Promise<Tensor> {
  const where = `${file.path}: tensor ${JSON.stringify(name.slice(0, 200))}`
  if (name.length > limits.name) {
    throw new CheckpointError(where, `its name has ${name.length} characters, more than ${limits.name}`)
  }
  const { dtype, key, storageOffset, shape, strides } = view(where, unwrap(where, value))
  const storage = await locate(key)
  if (!storage) throw new CheckpointError(where, `its storage data/${key.slice(0, 100)} is not in the file`, RESAVE)
  const width = DTYPE_BITS[dtype] / 8
  checkRange(where, dtype, storageOffset, shape, strides, Math.floor(storage.bytes / width))
  const offset = storage.offset + storageOffset * width
  return { name, dtype, shape, source: { kind: 'file', path: file.path, offset, strides } }
}

interface View {
  dtype: DType
  key: string
  storageOffset: number
  shape: number[]
  strides: number[]
}

/** The call that makes the view, out of the calls around it. */
function unwrap(where: string, value: Inert): Inert {
  let inner: Value = value
  for (let depth = 0; depth < 8; depth++) {
    if (!isTensor(inner)) throw unknownTensor(where, inner)
    const name = String(inner.callee)
    if (VIEWS.has(name)) return inner
    if (Object.hasOwn(UNREADABLE, name)) {
      throw new CheckpointError(where, ...UNREADABLE[name])
    }
    if (WRAPPERS.has(name)) {
      inner = inner.args[0]
      continue
    }
    const [callee, type, args] = inner.args
    if (!TYPES.has(String(type))) throw unknownTensor(where, type)
    if (!(callee instanceof Global && Array.isArray(args))) throw unknownTensor(where, callee)
    inner = new Inert(callee, args)
  }
  throw new CheckpointError(where, 'is wrapped more than 8 times', RESAVE)
}

function view(where: string, { callee, args }: Inert): View {
  const [storage, storageOffset, shape, strides] = args
  const third = String(callee).endsWith('_v3')
  const metadata = args[third ? 7 : 6]
  if (metadata instanceof Map && metadata.get('neg') === true) {
    throw new CheckpointError(where, 'is a lazily negated view', 'Save its resolve_neg().')
  }
  const id = storage instanceof Persistent ? storage.id : undefined
  if (!Array.isArray(id) || id.length < 5 || id[0] !== 'storage' || typeof id[2] !== 'string') {
    throw new CheckpointError(where, 'its storage is not one that torch.save writes', RESAVE)
  }
  if (id[3] === 'meta') {
    throw new CheckpointError(where, ...META)
  }
  if (!isCounts(shape) || !isCounts(strides) || shape.length !== strides.length || !isCount(storageOffset)) {
    const found = `shape ${text(shape)}, strides ${text(strides)}, offset ${text(storageOffset)}`
    throw new CheckpointError(where, `is no view of a storage: ${found}`, RESAVE)
  }
  return { dtype: elementType(where, third ? args[6] : id[1], third), key: id[2], storageOffset, shape, strides }
}

function elementType(where: string, type: Value, named: boolean): DType {
  const name = type instanceof Global ? type.name : ''
  const known = named ? DTYPES : STORAGES
  if (type instanceof Global && /^torch(\.cuda|\.storage)?$/.test(type.module) && Object.hasOwn(known, name)) {
    return known[name]
  }
  if (/^Q(U?Int|UInt\dx\d)/.test(name)) {
    throw new CheckpointError(where, `is quantised (${name})`, 'Save its dequantize() instead.')
  }
  throw new CheckpointError(
    where,
    `has elements of the unknown type ${text(type)}`,
    'Save it as one of the types of torch.float64 to torch.float8_e5m2, or leave it out.',
  )
}

function checkRange(
  where: string,
  dtype: DType,
  offset: number,
  shape: readonly number[],
  strides: readonly number[],
  available: number,
): void {
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
  if (elements > Math.max(available, limits.expanded)) {
    throw new CheckpointError(
      where,
      `its shape [${shape}] repeats the ${available} elements of its storage ${elements} times over`,
      'Save it unexpanded.',
    )
  }
}

function unknownTensor(where: string, found: Value): CheckpointError {
  return new CheckpointError(
    where,
    `is made by ${text(found)}, which Spectral Gate does not know`,
    "Save plain tensors: torch.save(model.state_dict(), 'model.pt'), or safetensors.torch.save_file.",
  )
}

function isCounts(value: Value): value is number[] {
  return Array.isArray(value) && value.length <= limits.dimensions && value.every(isCount)
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

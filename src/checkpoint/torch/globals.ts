import { CheckpointError } from '../../errors.ts'
import { Global, Inert, type Value } from './values.ts'

/**
 * Modules and functions that a checkpoint has no use for and an attack has. Nothing of any module is ever imported or called here: this list
 * only decides which files are refused outright rather than read with the call left out.
 */
const FORBIDDEN = new Set(
  `os posix nt subprocess sys socket socketserver ssl shutil runpy importlib imp zipimport pkgutil pty webbrowser ctypes
  _ctypes cffi codeop popen2 asyncio pdb bdb timeit cProfile doctest pip ensurepip venv pickle _pickle cPickle marshal shelve
  http urllib urllib2 httplib requests ftplib smtplib telnetlib xmlrpc code.interact code.InteractiveInterpreter
  code.InteractiveConsole commands.getoutput commands.getstatusoutput profile.run profile.runctx profile.Profile trace.Trace
  atexit.register builtins.eval builtins.exec builtins.execfile builtins.compile builtins.open builtins.__import__
  builtins.setattr builtins.delattr builtins.input builtins.breakpoint builtins.globals builtins.locals builtins.vars
  builtins.apply builtins.map builtins.filter builtins.file builtins.reload io.open _io.open io.open_code _io.open_code
  io.FileIO _io.FileIO operator.attrgetter operator.methodcaller _operator.attrgetter _operator.methodcaller torch.hub
  torch.load torch.serialization.load torch.utils.cpp_extension torch.utils.collect_env torch.ops torch._ops torch.classes
  torch._inductor torch.jit numpy.load numpy.testing numpy.f2py numpy.distutils`.split(/\s+/),
)
const FORBIDDEN_PARTS = Math.max(...[...FORBIDDEN].map(path => path.split('.').length))
/** Below what is forbidden, what TorchScript archives name: functions that hand on their first argument. */
const SCRIPT = new Set(
  ['intlist', 'doublelist', 'boollist', 'tensorlist', 'tensor_from_id']
    .map(name => `torch.jit._pickle.build_${name}`)
    .concat('torch.jit._pickle.restore_type_tag'),
)
/** Attributes that lead from any class to everything. */
const ESCAPES = new Set(['__globals__', '__builtins__', '__subclasses__', '__dict__', '__import__', '__loader__'])

const CONTAINERS: Record<string, (args: readonly Value[]) => Value | undefined> = {
  'collections.OrderedDict': ([items = []]) => dictionary(items),
  'collections.Counter': ([items = []]) => dictionary(items),
  'collections.defaultdict': ([, items = []]) => dictionary(items),
  'builtins.dict': ([items = []]) => dictionary(items),
  'builtins.list': ([items = []]) => list(items),
  'builtins.tuple': ([items = []]) => list(items),
  'torch.Size': ([items = []]) => list(items),
  'builtins.set': ([items = []]) => set(items),
  'builtins.frozenset': ([items = []]) => set(items),
  'builtins.bytearray': ([text = '', encoding = '']) => bytes(text, encoding),
  'builtins.bytes': ([text = '', encoding = '']) => bytes(text, encoding),
  '_codecs.encode': ([text = '', encoding = 'utf-8']) => bytes(text, encoding),
  'torch.jit._pickle.build_intlist': ([items = []]) => list(items),
  'torch.jit._pickle.build_doublelist': ([items = []]) => list(items),
  'torch.jit._pickle.build_boollist': ([items = []]) => list(items),
  'torch.jit._pickle.build_tensorlist': ([items = []]) => list(items),
  'torch.jit._pickle.restore_type_tag': ([value]) => value,
}

/** Whether naming this is reason enough to refuse a file. */
export function isForbidden({ module, name }: Global): boolean {
  if (SCRIPT.has(`${module}.${name}`)) return false
  const path = [...modern(module).split('.'), ...name.split('.')].slice(0, FORBIDDEN_PARTS)
  for (let n = 1; n <= path.length; n++) if (FORBIDDEN.has(path.slice(0, n).join('.'))) return true
  // A dotted name reaches through attributes: `mylib` `helpers.os.system`.
  const attributes = name.split('.')
  return attributes.length > 1 && attributes.some(part => ESCAPES.has(part) || FORBIDDEN.has(part))
}

/** Whether a call changes the tensor that it is given: `Tensor.copy_`, `operator.setitem`, `numpy.copyto`. */
export function changesItsArgument({ name }: Global): boolean {
  return /(?:[a-z\d]_|__setitem__|__i[a-z]+__|__setattr__|__setstate__|setitem|copyto)$/.test(name.slice(-64))
}

/** The error for a file that names something forbidden. `where` names the file, and the path of keys if there is one. */
export function refusal(where: string, global: Global): CheckpointError {
  const { module, name } = global
  const alias = module === 'posix' || module === 'nt' ? ` (os.${name.slice(0, 100)})` : ''
  return new CheckpointError(
    where,
    `its pickle names ${String(global).slice(0, 200)}${alias} (byte ${global.position}), which no checkpoint needs and an attack would call; nothing was executed`,
    "Don't load this file with Python. From a model that you trust, save the weights alone as safetensors: safetensors.torch.save_file(model.state_dict(), 'model.safetensors').",
  )
}

/**
 * What stands for the result of calling `callee`: the containers of Python as ours, an attribute of a class as a name, all else
 * as the record of the call. Undefined where arguments of a container make no sense.
 */
export function call(callee: Global | Inert, args: readonly Value[]): Value | undefined {
  if (!(callee instanceof Global)) return new Inert(callee, args)
  const name = `${modern(callee.module)}.${callee.name}`
  if (name === 'builtins.getattr') return attribute(callee, args)
  return Object.hasOwn(CONTAINERS, name) ? CONTAINERS[name](args) : new Inert(callee, args)
}

/** Members of an enumeration are pickled as `getattr(Class, 'MEMBER')`, bound methods as `getattr(object, 'method')`. */
function attribute(getattr: Global, args: readonly Value[]): Value | undefined {
  const [object, name] = args
  if (args.length !== 2 || typeof name !== 'string') return undefined
  if (object instanceof Global) return new Global(object.module, `${object.name}.${name}`, getattr.position)
  return new Inert(new Global(getattr.module, `getattr.${name}`, getattr.position), args)
}

function modern(module: string): string {
  return module === '__builtin__' ? 'builtins' : module
}

function dictionary(items: Value): Map<Value, Value> | undefined {
  if (items instanceof Map) return new Map(items)
  if (!Array.isArray(items)) return undefined
  const map = new Map<Value, Value>()
  for (const pair of items) {
    if (!Array.isArray(pair) || pair.length !== 2) return undefined
    map.set(pair[0], pair[1])
  }
  return map
}

function list(items: Value): Value[] | undefined {
  return Array.isArray(items) || items instanceof Set ? [...items] : undefined
}

function set(items: Value): Set<Value> | undefined {
  return Array.isArray(items) || items instanceof Set ? new Set(items) : undefined
}

function bytes(text: Value, encoding: Value): Uint8Array | undefined {
  if (text instanceof Uint8Array) return text
  if (typeof text !== 'string') return undefined
  return Buffer.from(text, encoding === 'latin1' || encoding === 'latin-1' ? 'latin1' : 'utf8')
}

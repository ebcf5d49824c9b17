import { isUtf8 } from 'node:buffer'
import { Budget } from '../../bytes/budget.ts'
import { CheckpointError, quoted, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { call, changesItsArgument, isForbidden, refusal } from './globals.ts'
import { copiesInto, isTensor, isTensorMaker } from './tensors.ts'
import { Global, Inert, Persistent, parts, type Value } from './values.ts'

const TOO_MUCH =
  'Save the weights alone, torch.save(model.state_dict(), …), or as safetensors, which has room for more.'

const CHANGED = 'No file of a model does that: save the weights again, alone, from a program that you trust.'

/** Opcodes by their byte. Source: CPython's Lib/pickle.py, protocols 0 to 5. */
const OP = {
  MARK: 0x28,
  EMPTY_TUPLE: 0x29,
  STOP: 0x2e,
  POP: 0x30,
  POP_MARK: 0x31,
  DUP: 0x32,
  BINBYTES: 0x42,
  SHORT_BINBYTES: 0x43,
  FLOAT: 0x46,
  BINFLOAT: 0x47,
  INT: 0x49,
  BININT: 0x4a,
  BININT1: 0x4b,
  LONG: 0x4c,
  BININT2: 0x4d,
  NONE: 0x4e,
  BINPERSID: 0x51,
  REDUCE: 0x52,
  STRING: 0x53,
  BINSTRING: 0x54,
  SHORT_BINSTRING: 0x55,
  UNICODE: 0x56,
  BINUNICODE: 0x58,
  EMPTY_LIST: 0x5d,
  APPEND: 0x61,
  BUILD: 0x62,
  GLOBAL: 0x63,
  DICT: 0x64,
  APPENDS: 0x65,
  GET: 0x67,
  BINGET: 0x68,
  INST: 0x69,
  LONG_BINGET: 0x6a,
  LIST: 0x6c,
  OBJ: 0x6f,
  PUT: 0x70,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  SETITEM: 0x73,
  TUPLE: 0x74,
  SETITEMS: 0x75,
  EMPTY_DICT: 0x7d,
  PROTO: 0x80,
  NEWOBJ: 0x81,
  TUPLE1: 0x85,
  TUPLE2: 0x86,
  TUPLE3: 0x87,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  LONG1: 0x8a,
  LONG4: 0x8b,
  SHORT_BINUNICODE: 0x8c,
  BINUNICODE8: 0x8d,
  BINBYTES8: 0x8e,
  EMPTY_SET: 0x8f,
  ADDITEMS: 0x90,
  FROZENSET: 0x91,
  NEWOBJ_EX: 0x92,
  STACK_GLOBAL: 0x93,
  MEMOIZE: 0x94,
  FRAME: 0x95,
  BYTEARRAY8: 0x96,
} as const

/** Bytes of memory, upper bounds as measured: lists and tables grow by doubling. */
const COST = { letter: 8, number: 32, slot: 8, item: 24, pair: 64, list: 48, object: 128, table: 256 }

/** Opcodes that Python knows and a checkpoint has no use for. */
const UNUSED: Record<number, string> = {
  80: 'PERSID',
  130: 'EXT1',
  131: 'EXT2',
  132: 'EXT4',
  151: 'NEXT_BUFFER',
  152: 'READONLY_BUFFER',
}

export interface Unpickled {
  readonly value: Value
  /** Bytes read, up to and with STOP. */
  readonly end: number
  /** The first name that no checkpoint needs and an attack would call, if the pickle has one. */
  readonly forbidden: Global | undefined
}

/** The bytes end before the pickle does: more of the file may hold the rest. */
export class UnfinishedPickle extends CheckpointError {}

/**
 * What stands for an object outside the pickle, by the id that the writer gave it.
 * @throws CheckpointError for an id that makes no sense
 */
export type Resolve = (id: Value) => Value

/**
 * Interprets a pickle as plain data: no name in it is imported, no call in it is made. Every count is bounded (limits.ts), and
 * nothing here recurses, so that nesting can't overflow the stack.
 *
 * @param where names the file in errors
 * @param resolve gives what ids stand for: a Persistent that holds the id without it
 * @param budget of the file: each opcode is a step
 * @throws CheckpointError for whatever is not a well-formed pickle within the limits, with the position in bytes; a malformed
 *   pickle that names something forbidden is refused for that.
 */
export function unpickle(
  bytes: Buffer,
  where: string,
  resolve: Resolve = id => new Persistent(id),
  budget: Budget = new Budget(where, bytes.length),
): Unpickled {
  const machine = new Machine(bytes, where, resolve, budget)
  try {
    return { value: machine.run(), end: machine.position, forbidden: machine.forbidden }
  } catch (error) {
    throw machine.forbidden ? refusal(where, machine.forbidden) : error
  }
}

class Machine {
  position = 0
  forbidden: Global | undefined
  readonly #bytes: Buffer
  readonly #where: string
  readonly #resolve: Resolve
  readonly #budget: Budget
  readonly #stack: Value[] = []
  readonly #marks: number[] = []
  /** A list, since the hash of a number in a table can be foreseen, and so be made to collide. */
  readonly #memo: Value[] = []
  #memoised = 0
  #oddKeys = 0
  /** The class of each storage, by its key. */
  readonly #storages = new Map<string, string>()
  #objects = 0
  #memory = 0
  #start = 0

  constructor(bytes: Buffer, where: string, resolve: Resolve, budget: Budget) {
    this.#bytes = bytes
    this.#where = where
    this.#resolve = resolve
    this.#budget = budget
  }

  run(): Value {
    for (;;) {
      this.#start = this.position
      const opcode = this.#byte()
      this.#budget.step()
      if (opcode === OP.STOP) return this.#pop()
      this.#step(opcode)
      this.#bound(this.#stack.length, limits.pickle.stackValues, 'values on its stack')
    }
  }

  #step(opcode: number): void {
    switch (opcode) {
      case OP.PROTO:
        this.#protocol(this.#byte())
        return
      case OP.FRAME:
        this.#skip(8)
        return
      case OP.MARK:
        this.#marks.push(this.#stack.length)
        this.#bound(this.#marks.length, limits.pickle.nestingLevels, 'nested marks')
        return
      case OP.POP:
        if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop()
        else this.#pop()
        return
      case OP.POP_MARK:
        this.#popMark()
        return
      case OP.DUP:
        this.#push(this.#top())
        return

      case OP.NONE:
        this.#push(null)
        return
      case OP.NEWTRUE:
        this.#push(true)
        return
      case OP.NEWFALSE:
        this.#push(false)
        return
      case OP.INT:
        this.#push(this.#integerLine(true))
        return
      case OP.LONG:
        this.#push(this.#integerLine(false))
        return
      case OP.BININT:
        this.#push(this.#bytes.readInt32LE(this.#skip(4)))
        return
      case OP.BININT1:
        this.#push(this.#byte())
        return
      case OP.BININT2:
        this.#push(this.#bytes.readUInt16LE(this.#skip(2)))
        return
      case OP.LONG1:
        this.#push(this.#long(this.#byte()))
        return
      case OP.LONG4:
        this.#push(this.#long(this.#length4()))
        return
      case OP.FLOAT:
        this.#push(this.#floatLine())
        return
      case OP.BINFLOAT:
        this.#push(this.#bytes.readDoubleBE(this.#skip(8)))
        this.#charge(COST.number)
        return

      case OP.UNICODE:
      case OP.STRING:
        this.#push(this.#stringLine(opcode === OP.STRING))
        return
      case OP.SHORT_BINUNICODE:
      case OP.SHORT_BINSTRING:
        this.#push(this.#text(this.#byte()))
        return
      case OP.BINUNICODE:
      case OP.BINSTRING:
        this.#push(this.#text(this.#length4()))
        return
      case OP.BINUNICODE8:
        this.#push(this.#text(this.#length8()))
        return
      case OP.SHORT_BINBYTES:
        this.#push(this.#blob(this.#byte()))
        return
      case OP.BINBYTES:
        this.#push(this.#blob(this.#length4()))
        return
      case OP.BINBYTES8:
      case OP.BYTEARRAY8:
        this.#push(this.#blob(this.#length8()))
        return

      case OP.EMPTY_TUPLE:
      case OP.EMPTY_LIST:
        this.#push(this.#made([]))
        return
      case OP.EMPTY_DICT:
        this.#push(this.#made(new Map()))
        return
      case OP.EMPTY_SET:
        this.#push(this.#made(new Set()))
        return
      case OP.TUPLE1:
      case OP.TUPLE2:
      case OP.TUPLE3:
        this.#push(this.#made(this.#take(opcode - OP.TUPLE1 + 1)))
        return
      case OP.TUPLE:
      case OP.LIST:
        this.#push(this.#made(this.#popMark()))
        return
      case OP.DICT: {
        const pairs = this.#popMark()
        this.#push(this.#made(new Map()))
        this.#setItems(pairs)
        return
      }
      case OP.FROZENSET: {
        const values = this.#popMark()
        this.#keys(values, 0)
        this.#push(this.#made(new Set(values)))
        return
      }
      case OP.APPEND:
        this.#append([this.#pop()])
        return
      case OP.APPENDS:
      case OP.ADDITEMS:
        this.#append(this.#popMark())
        return
      case OP.SETITEM:
        this.#setItems(this.#take(2))
        return
      case OP.SETITEMS:
        this.#setItems(this.#popMark())
        return

      case OP.PUT:
        this.#remember(this.#index())
        return
      case OP.BINPUT:
        this.#remember(this.#byte())
        return
      case OP.LONG_BINPUT:
        this.#remember(this.#length4())
        return
      case OP.MEMOIZE:
        this.#remember(this.#memoised)
        return
      case OP.GET:
        this.#recall(this.#index())
        return
      case OP.BINGET:
        this.#recall(this.#byte())
        return
      case OP.LONG_BINGET:
        this.#recall(this.#length4())
        return

      case OP.GLOBAL:
        this.#push(this.#global(this.#line(), this.#line()))
        return
      case OP.STACK_GLOBAL: {
        const [module, name] = this.#take(2)
        this.#push(this.#global(module, name))
        return
      }
      case OP.BINPERSID:
        this.#push(this.#persistent(this.#pop()))
        return
      case OP.REDUCE:
      case OP.NEWOBJ: {
        const [callee, args] = this.#take(2)
        this.#push(this.#call(callee, args))
        return
      }
      case OP.NEWOBJ_EX: {
        const [callee, args, keywords] = this.#take(3)
        this.#push(this.#call(callee, Array.isArray(args) ? this.#made([...args, keywords]) : args))
        return
      }
      case OP.INST: {
        const callee = this.#global(this.#line(), this.#line())
        this.#push(this.#call(callee, this.#popMark()))
        return
      }
      case OP.OBJ: {
        const [callee = null, ...args] = this.#popMark()
        this.#push(this.#call(callee, args))
        return
      }
      case OP.BUILD:
        this.#build(this.#pop())
        return

      default: {
        const name = UNUSED[opcode]
        const hex = `0x${opcode.toString(16).padStart(2, '0')}`
        throw this.#error(
          name ? `uses the opcode ${name} (${hex}), which no state dict needs` : `has the unknown opcode ${hex}`,
        )
      }
    }
  }

  #protocol(version: number): void {
    if (version > 5) throw this.#error(`is of protocol ${version}; 0 to 5 are known`)
  }

  // The stack

  #push(value: Value): void {
    this.#stack.push(value)
  }

  #top(): Value {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.#error('takes a value from an empty stack')
    return this.#stack[this.#stack.length - 1]
  }

  #pop(): Value {
    const value = this.#top()
    this.#stack.length--
    return value
  }

  #take(count: number): Value[] {
    if (this.#stack.length - count < (this.#marks.at(-1) ?? 0)) throw this.#error('takes a value from an empty stack')
    return this.#stack.splice(this.#stack.length - count, count)
  }

  #popMark(): Value[] {
    const mark = this.#marks.pop()
    if (mark === undefined) throw this.#error('looks for a mark that is not there')
    return this.#stack.splice(mark)
  }

  #remember(index: number): void {
    this.#bound(index + 1, limits.pickle.memoEntries, 'memo entries')
    if (this.#memo[index] === undefined) {
      this.#memoised++
      this.#charge(COST.pair)
    }
    this.#memo[index] = this.#top()
  }

  #recall(index: number): void {
    const value = this.#memo[index]
    if (value === undefined) throw this.#error(`recalls memo entry ${index}, which is not there`)
    this.#push(value)
  }

  // Objects

  #made<T extends Value>(value: T): T {
    this.#bound(++this.#objects, limits.pickle.objectsCount, 'objects')
    this.#charge(cost(value))
    return value
  }

  /** Counts what a value takes, roughly, and for good: what is dropped again is collected some time. */
  #charge(bytes: number): void {
    this.#memory += bytes
    if (this.#memory > limits.pickle.memoryBytes)
      throw this.#error(`takes more than ${limits.pickle.memoryBytes} bytes of memory`, TOO_MUCH)
  }

  #append(values: readonly Value[]): void {
    const target = this.#top()
    this.#charge(values.length * COST.item)
    if (target instanceof Set) {
      this.#keys(values, target.size)
      for (const value of values) target.add(value)
    } else if (Array.isArray(target)) for (const value of values) target.push(value)
    else if (target instanceof Inert) for (const value of values) target.items.push(value)
    else throw this.#error('appends to what is not a list')
  }

  #setItems(pairs: readonly Value[]): void {
    const target = this.#top()
    if (pairs.length % 2 !== 0) throw this.#error('has a key without a value')
    this.#charge(pairs.length * COST.item)
    if (target instanceof Map) {
      for (let i = 0; i < pairs.length; i += 2) {
        this.#keys([pairs[i]], target.size)
        if (isTwin(target, pairs[i])) throw this.#error('has two keys that are one for Python, as True and 1 are')
        target.set(pairs[i], pairs[i + 1])
      }
    } else if (isOfTensor(target)) {
      throw this.#error("sets elements of a tensor, which would change its storage's", CHANGED)
    } else if (target instanceof Inert) for (const value of pairs) target.items.push(value)
    else throw this.#error('sets items of what is not a dictionary')
  }

  /**
   * Counts the numbers among new keys that are not about as many as the keys before them: V8 hashes numbers without a secret, so that
   * a file could choose them all into one chain.
   */
  #keys(keys: Iterable<Value>, before: number): void {
    let size = before
    for (const key of keys) {
      const odd = typeof key === 'bigint' || (typeof key === 'number' && !(key >= 0 && key <= 4 * size + 64))
      if (odd) this.#bound(++this.#oddKeys, limits.pickle.scatteredKeys, 'scattered numbers as keys')
      size++
    }
  }

  /** What a call may copy into a dictionary or a set. */
  #copied(arg: Value): void {
    if (arg instanceof Map) this.#keys(arg.keys(), 0)
    else if (arg instanceof Set) this.#keys(arg, 0)
    else if (Array.isArray(arg) && arg.length > 64) {
      this.#keys(
        arg.map(item => (Array.isArray(item) && item.length === 2 ? item[0] : item)),
        0,
      )
    }
  }

  #persistent(id: Value): Value {
    // A class of modules, with its source: `torch.save(model)` before 1.6.
    if (Array.isArray(id) && id[0] === 'module' && id[1] instanceof Global) return id[1]
    if (Array.isArray(id) && id[0] === 'storage' && id[1] instanceof Global && typeof id[2] === 'string') {
      const type = this.#storages.get(id[2]) ?? id[1].name
      if (type !== id[1].name)
        throw this.#error(`has a storage of two types, ${quoted(type)} and ${quoted(id[1].name)}`)
      if (!this.#storages.has(id[2])) this.#charge(COST.pair)
      this.#storages.set(id[2], type)
    }
    return this.#made(this.#resolve(id))
  }

  #global(module: Value, name: Value): Global {
    if (typeof module !== 'string' || typeof name !== 'string') throw this.#error('names a global that is not text')
    const global = this.#made(new Global(module, name, this.#start))
    this.#charge(COST.letter * global.path.length)
    if (isForbidden(global)) this.forbidden ??= global
    return global
  }

  #call(callee: Value, args: Value): Value {
    if (!(callee instanceof Global || callee instanceof Inert)) throw this.#error('calls what is not a name')
    if (!Array.isArray(args)) throw this.#error(`calls ${this.#name(callee)} without a tuple of arguments`)
    const method = callee instanceof Inert ? callee.callee : callee
    const given = callee instanceof Inert ? callee.args : args
    if (method instanceof Global && changesItsArgument(method) && given.some(isOfTensor)) {
      throw this.#error(`calls ${this.#name(callee)}, which would change a tensor`, CHANGED)
    }
    for (const arg of args) this.#copied(arg)
    const value = call(callee, callee instanceof Global && isTensorMaker(callee) ? this.#frozen(args, 2) : args)
    if (isTensor(value ?? null) && copiesInto(value as Inert)) {
      throw this.#error(`calls ${this.#name(callee)} with a state that would change a tensor`, CHANGED)
    }
    if (value === undefined) throw this.#error(`calls ${this.#name(callee)} with arguments that it doesn't take`)
    if (value instanceof Global) {
      this.#charge(COST.letter * value.path.length)
      if (isForbidden(value)) this.forbidden ??= value
    }
    if (value instanceof Uint8Array) this.#charge(value.length)
    // A container is a copy, and what is copied may be recalled from the memo any number of times.
    if (!(value instanceof Inert)) for (const arg of args) this.#objects += weight(arg)
    return this.#made(value)
  }

  /** Lists as they are now: Python reads a shape when it makes the tensor, and it may grow later. */
  #frozen(args: readonly Value[], depth: number): Value[] {
    this.#objects += args.length >> 4
    return args.map(arg => {
      const list = Array.isArray(arg) && arg.length <= 64
      return list ? (depth > 0 ? this.#frozen(arg, depth - 1) : [...arg]) : arg
    })
  }

  #snapshot(state: Value): Value {
    if (!(state instanceof Map)) return Array.isArray(state) ? this.#frozen(state, 1) : state
    this.#keys(state.keys(), 0)
    this.#charge(state.size * COST.pair)
    return this.#made(new Map(state))
  }

  #build(state: Value): void {
    const target = this.#top()
    if (target instanceof Inert) {
      // Python would merge the two, or not, as the class has it.
      if (target.state !== undefined) throw this.#error('sets the state of one object twice')
      // Python copies it now: what is put into it later is no part of the object.
      target.state = this.#snapshot(state)
    } else if (!(Array.isArray(target) || target instanceof Map || target instanceof Set)) {
      throw this.#error('sets the state of what is not an object')
    }
  }

  #name(callee: Global | Inert): string {
    return (callee instanceof Global ? String(callee) : callee.type).slice(0, 200)
  }

  // Bytes

  #byte(): number {
    return this.#bytes[this.#skip(1)]
  }

  #length4(): number {
    return this.#bytes.readUInt32LE(this.#skip(4))
  }

  #length8(): number {
    const length = this.#bytes.readBigUInt64LE(this.#skip(8))
    return length > BigInt(this.#bytes.length) ? Number.MAX_SAFE_INTEGER : Number(length)
  }

  /** Where the next `count` bytes begin; they are passed. */
  #skip(count: number): number {
    const start = this.position
    if (count > this.#bytes.length - start) throw this.#unfinished(`ends after ${this.#bytes.length} bytes`)
    this.position += count
    return start
  }

  #blob(length: number): Buffer {
    const start = this.#skip(length)
    return this.#made(this.#bytes.subarray(start, start + length))
  }

  /** Text, or the bytes themselves where it is too long for a name or not UTF-8. */
  #text(length: number): string | Buffer {
    const start = this.#skip(length)
    if (length > limits.pickle.stringBytes) return this.#made(this.#bytes.subarray(start, start + length))
    const text = this.#string(start, start + length)
    if (!text.includes('\ufffd')) return text
    const raw = this.#bytes.subarray(start, start + length)
    return isUtf8(raw) ? text : this.#made(raw)
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.position)
    if (end < 0) throw this.#unfinished('has a line without an end')
    const length = end - this.position
    this.#bound(length, limits.pickle.stringBytes, 'characters in a line')
    const start = this.#skip(length + 1)
    return this.#string(start, end)
  }

  #string(start: number, end: number): string {
    const text = this.#bytes.toString('utf8', start, end)
    this.#charge(COST.number + (text.length === end - start ? text.length : 2 * text.length))
    return text
  }

  #stringLine(quoted: boolean): string {
    const start = this.position
    this.#line()
    const line = this.#bytes.toString('latin1', start, this.position - 1)
    const value = quoted ? unescapedString(line) : unescapedUnicode(line)
    if (value === undefined) throw this.#error(`has the text ${JSON.stringify(line.slice(0, 40))}`)
    return value
  }

  #index(): number {
    const index = this.#integerLine(false)
    if (typeof index !== 'number' || index < 0) throw this.#error('has a memo index that is not a number')
    return index
  }

  #integerLine(orBoolean: boolean): number | bigint | boolean {
    const line = this.#line()
    if (orBoolean && (line === '00' || line === '01')) return line === '01'
    const digits = /^([+-]?(?:0|[1-9]\d{0,4095}))L?$/.exec(line)?.[1]
    if (digits === undefined) throw this.#error(`has the integer ${JSON.stringify(line.slice(0, 40))}`)
    return narrow(BigInt(digits.replace(/^\+/, '')))
  }

  #floatLine(): number {
    const line = this.#line()
    const named: Record<string, number> = { nan: Number.NaN, inf: Infinity, '-inf': -Infinity, '-nan': Number.NaN }
    const value = Object.hasOwn(named, line) ? named[line] : /^[-+.\deE]+$/.test(line) ? Number(line) : Number.NaN
    if (Number.isNaN(value) && !line.endsWith('nan')) {
      throw this.#error(`has the number ${JSON.stringify(line.slice(0, 40))}`)
    }
    return value
  }

  /** A two's complement little-endian integer. */
  #long(length: number): number | bigint {
    this.#bound(length, limits.pickle.integerBytes, 'bytes in an integer')
    const start = this.#skip(length)
    if (length === 0) return 0
    this.#charge(COST.number + length)
    const hex = Buffer.from(this.#bytes.subarray(start, start + length))
      .reverse()
      .toString('hex')
    return narrow(BigInt.asIntN(length * 8, BigInt(`0x${hex}`)))
  }

  #bound(count: number, most: number, what: string): void {
    if (count > most) throw this.#error(`has more than ${most} ${what}`, TOO_MUCH)
  }

  #error(found: string, remedy = RESAVE): CheckpointError {
    return new CheckpointError(this.#where, `its pickle ${found} (byte ${this.#start})`, remedy)
  }

  #unfinished(found: string): CheckpointError {
    return new UnfinishedPickle(this.#where, `its pickle ${found} (byte ${this.#start})`, RESAVE)
  }
}

/**
 * The text of the opcode STRING: quoted, with the escapes of a Python literal of bytes, which are UTF-8.
 * @returns undefined where Python would refuse it
 */
function unescapedString(line: string): string | undefined {
  const quote = line[0]
  if (line.length < 2 || !(quote === "'" || quote === '"') || line.at(-1) !== quote) return undefined
  let wrong = false
  const bytes = line.slice(1, -1).replace(/\\(x[\da-fA-F]{2}|[0-7]{1,3}|.|$)/gs, (all, code: string) => {
    if (code.length > 1 && code[0] === 'x') return String.fromCharCode(Number.parseInt(code.slice(1), 16))
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 0xff)
    if (code === 'x' || code === '') wrong = true
    return ESCAPED[code] ?? all
  })
  return wrong ? undefined : Buffer.from(bytes, 'latin1').toString('utf8')
}

const ESCAPED: Record<string, string> = {
  ...{ '\\': '\\', "'": "'", '"': '"', a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' },
}

/**
 * The text of the opcode UNICODE: Latin-1, with `\\uXXXX` and `\\UXXXXXXXX` after an odd number of backslashes.
 * @returns undefined where Python would refuse it
 */
function unescapedUnicode(line: string): string | undefined {
  let wrong = false
  const text = line.replace(/(\\+)(u[\da-fA-F]{4}|U[\da-fA-F]{8}|[uU])?/g, (all, slashes: string, unit?: string) => {
    if (unit === undefined || slashes.length % 2 === 0) return all
    const code = unit.length === 1 ? Number.POSITIVE_INFINITY : Number.parseInt(unit.slice(1), 16)
    if (code <= 0x10ffff) return slashes.slice(1) + String.fromCodePoint(code)
    wrong = true
    return all
  })
  return wrong ? undefined : text
}

/** Whether a value is a tensor, or may share the storage of one that it was made of. */
function isOfTensor(value: Value): boolean {
  if (!(value instanceof Inert)) return false
  if (isTensor(value) || /^torch\.(?:\w*Tensor$|_tensor\.|nn\.parameter\.)/.test(value.type.slice(0, 200))) return true
  const queue: Value[] = [value]
  for (const one of queue) {
    if (one instanceof Persistent || isTensor(one)) return true
    // What is larger is a container of many things.
    if (queue.length > 64) return false
    if (one instanceof Inert || Array.isArray(one)) queue.push(...parts(one).slice(0, 64))
  }
  return false
}

/** Whether Python takes a key for one that a dictionary has, and JavaScript does not. */
function isTwin(map: ReadonlyMap<Value, Value>, key: Value): boolean {
  if (typeof key === 'boolean') return map.has(key ? 1 : 0)
  return (key === 0 || key === 1) && map.has(key === 1)
}

/** Bytes of memory that a value takes in V8, its slot in what holds it aside. */
function cost(value: Value): number {
  if (Array.isArray(value)) return COST.list + value.length * COST.slot
  if (value instanceof Map || value instanceof Set) return COST.table + value.size * COST.pair
  return COST.object
}

function narrow(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
}

/** What copying an argument costs, in objects. */
function weight(value: Value): number {
  if (Array.isArray(value)) return value.length
  if (value instanceof Map || value instanceof Set) return value.size
  return typeof value === 'string' ? value.length >> 6 : 0
}

import { quoted } from '../../errors.ts'

/**
 * What a pickle builds here: plain data. A class or function is its name (Global), and whatever Python would have made by
 * calling one is a record of the call (Inert). Neither has behaviour.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Value[]
  | Map<Value, Value>
  | Set<Value>
  | Global
  | Inert
  | Persistent

/** A name that the pickle imports. */
export class Global {
  readonly module: string
  readonly name: string
  /** Both, with a dot between them. */
  readonly path: string
  /** Of the opcode that named it, in bytes from the start of the pickle. */
  readonly position: number

  constructor(module: string, name: string, position: number) {
    this.module = module
    this.name = name
    this.path = `${module}.${name}`
    this.position = position
  }

  /** As people may be shown it: what is no name of Python's is quoted. */
  toString(): string {
    return /^[\p{L}\p{N}_.<>-]+$/u.test(this.path) ? this.path : quoted(this.path)
  }
}

const CALLS = 32

/** A call that was not made, and what would have been done to its result. */
export class Inert {
  readonly callee: Global | Inert
  readonly args: readonly Value[]
  /** Handed to `__setstate__`. */
  state: Value | undefined = undefined
  /** Appended to it, or set as its keys and values in turn. */
  readonly items: Value[] = []

  constructor(callee: Global | Inert, args: readonly Value[]) {
    this.callee = callee
    this.args = args
  }

  /** The name that was called, `module.name`; of an object that Python makes without a call, its class. */
  get type(): string {
    let callee = this.callee
    if (isReconstructor(callee) && this.args[0] instanceof Global) return String(this.args[0])
    for (let depth = 0; callee instanceof Inert; depth++) {
      if (depth === CALLS) return 'what a call of a call gave'
      callee = callee.callee
    }
    return String(callee)
  }
}

/** What lies outside the pickle, by the id that the writer gave it: a storage. */
export class Persistent {
  readonly id: Value

  constructor(id: Value) {
    this.id = id
  }
}

/** The values that a value is made of, the keys of dictionaries aside. */
export function parts(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value
  if (value instanceof Map || value instanceof Set) return [...value.values()]
  if (value instanceof Persistent) return [value.id]
  if (!(value instanceof Inert)) return []
  return [value.callee, ...(value.state === undefined ? [] : [value.state]), ...value.args, ...value.items]
}

function isReconstructor(callee: Value): boolean {
  return (
    callee instanceof Global && /^copy_?reg$/.test(callee.module) && /^(_reconstructor|__newobj__)/.test(callee.name)
  )
}

import { describe, expect, it } from 'vitest'
import { unpickle } from '../../../src/checkpoint/torch/pickle.ts'
import { Global, Inert, Persistent, type Value } from '../../../src/checkpoint/torch/values.ts'
import { CheckpointError } from '../../../src/errors.ts'
import { limits } from '../../../src/limits.ts'
import { u32, u64 } from '../../support/bytes.ts'
import { opcodes, text } from './build.ts'

function load(...parts: (string | number | Buffer)[]): Value {
  return unpickle(opcodes(...parts), 'f').value
}

function refusal(...parts: (string | number | Buffer)[]): string {
  try {
    load(...parts)
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError)
    return (error as Error).message
  }
  throw new Error('was not refused')
}

describe('opcodes', () => {
  it.each<[string, Buffer, Value]>([
    ['None', opcodes('N.'), null],
    ['True, protocol 0', opcodes('I01\n.'), true],
    ['False, protocol 2', opcodes(0x89, '.'), false],
    ['INT', opcodes('I-12\n.'), -12],
    ['LONG', opcodes('L123456789012345678901L\n.'), 123456789012345678901n],
    ['BININT', opcodes('J', u32(0xffffffff), '.'), -1],
    ['BININT2', opcodes('M', 1, 2, '.'), 513],
    ['LONG1 of nothing', opcodes(0x8a, 0, '.'), 0],
    ['LONG1, negative', opcodes(0x8a, 2, 0, 0xff, '.'), -256],
    ['LONG4', opcodes(0x8b, u32(9), u64(0), 1, '.'), 18446744073709551616n],
    ['FLOAT', opcodes('F-1.5e3\n.'), -1500],
    ['BINFLOAT', opcodes('G', 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, '.'), 1.5],
    ['STRING', opcodes("S'abc'\n."), 'abc'],
    ['UNICODE', opcodes('Vabc\n.'), 'abc'],
    ['SHORT_BINUNICODE', opcodes(0x8c, 3, 'abc', '.'), 'abc'],
    ['BINUNICODE8', opcodes(0x8d, u64(3), 'abc', '.'), 'abc'],
    ['BINBYTES', opcodes('B', u32(2), 'ab', '.'), Buffer.from('ab')],
    ['BYTEARRAY8', opcodes(0x96, u64(2), 'ab', '.'), Buffer.from('ab')],
    ['text that is not UTF-8', opcodes('X', u32(2), 0xed, 0xa0, '.'), Buffer.from([0xed, 0xa0])],
    ['LIST', opcodes('(K', 1, 'K', 2, 'l.'), [1, 2]],
    ['APPENDS', opcodes('](K', 1, 'K', 2, 'e.'), [1, 2]],
    ['TUPLE3', opcodes('K', 1, 'K', 2, 'K', 3, 0x87, '.'), [1, 2, 3]],
    ['DICT', opcodes('(', text('a'), 'K', 1, 'd.'), new Map([['a', 1]])],
    ['SETITEM', opcodes('}', text('a'), 'K', 1, 's.'), new Map([['a', 1]])],
    ['ADDITEMS', opcodes(0x8f, '(K', 1, 0x90, '.'), new Set([1])],
    ['FROZENSET', opcodes('(K', 1, 0x91, '.'), new Set([1])],
    ['PUT, GET', opcodes('K', 7, 'p70\n0g70\n.'), 7],
    ['MEMOIZE, LONG_BINGET', opcodes('K', 7, 0x94, '0j', u32(0), '.'), 7],
    ['DUP, POP_MARK', opcodes('K', 7, '(NN', '12', 0x86, '.'), [7, 7]],
    ['POP of a mark', opcodes('K', 7, '(0.'), 7],
    ['BINPERSID', opcodes(text('x'), 'Q.'), new Persistent('x')],
    ['FRAME', opcodes(0x80, 4, 0x95, u64(3), 'N.'), null],
  ])('%s', (_, bytes, value) => {
    expect(load(bytes)).toEqual(value)
  })

  it('containers of Python, however they are made', () => {
    const pairs = opcodes('((', text('a'), 'K', 1, 'tl')
    expect(load('ccollections\nOrderedDict\n', pairs, 0x85, 'R.')).toEqual(new Map([['a', 1]]))
    expect(load('ccollections\ndefaultdict\nc__builtin__\nlist\n', 0x85, 'R', text('a'), 'K', 1, 's.')).toEqual(
      new Map([['a', 1]]),
    )
    expect(load('c__builtin__\nset\n(K', 1, 'K', 1, 'l', 0x85, 'R.')).toEqual(new Set([1]))
    expect(load('c_codecs\nencode\n', text('é'), text('latin1'), 0x86, 'R.')).toEqual(Buffer.from([0xe9]))
    expect(load('ctorch\nSize\n(K', 3, 'K', 4, 't', 0x85, 'R.')).toEqual([3, 4])
  })

  it('all other names and calls are records', () => {
    const made = load('cmylib\nThing\n(K', 1, 't', 0x81, '}', text('x'), 'K', 2, 'sb.') as Inert
    expect(made).toBeInstanceOf(Inert)
    expect(made.type).toBe('mylib.Thing')
    expect(made.args).toEqual([1])
    expect(made.state).toEqual(new Map([['x', 2]]))
    expect(String(load(text('mylib'), text('Thing.inner'), 0x93, '.'))).toBe('mylib.Thing.inner')
    expect((load('(imylib\nOld\n.') as Inert).type).toBe('mylib.Old')
    expect((load('(cmylib\nOld\nK', 1, 'o.') as Inert).args).toEqual([1])
    expect((load('cmylib\nNew\n)}', 0x92, '.') as Inert).args).toEqual([new Map()])
    expect(String(load('cbuiltins\ngetattr\ncmylib\nLevel\n', text('HIGH'), 0x86, 'R.'))).toBe('mylib.Level.HIGH')
  })

  it('a dictionary with the key __proto__ is only that', () => {
    const value = load('}', text('__proto__'), '}', text('polluted'), 0x88, 'ss.') as Map<string, Value>
    expect(value.get('__proto__')).toEqual(new Map([['polluted', true]]))
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  it('says where it ended', () => {
    expect(unpickle(opcodes('N.rest'), 'f').end).toBe(2)
  })

  it('a list within itself', () => {
    const value = load(']q', 0, 'h', 0, 'a.') as Value[]
    expect(value[0]).toBe(value)
  })
})

describe('malformed pickles', () => {
  it.each<[string, (string | number | Buffer)[], string]>([
    ['an unknown opcode', ['N', 0xff], 'has the unknown opcode 0xff (byte 1)'],
    ['EXT1', [0x82, 1, '.'], 'uses the opcode EXT1 (0x82)'],
    ['NEXT_BUFFER', [0x97, '.'], 'uses the opcode NEXT_BUFFER'],
    ['no STOP', ['N'], 'ends after 1 bytes (byte 1)'],
    ['nothing', [], 'ends after 0 bytes'],
    ['a later protocol', [0x80, 6, 'N.'], 'is of protocol 6'],
    ['an empty stack', ['.'], 'takes a value from an empty stack'],
    ['a pop below a mark', ['N(', 0x85, '.'], 'takes a value from an empty stack'],
    ['no mark', ['Nt.'], 'looks for a mark'],
    ['an unknown memo entry', ['h', 9, '.'], 'recalls memo entry 9'],
    ['a string longer than the file', ['X', u32(0xffffffff), 'abc'], 'ends after'],
    ['a string of 2^64 bytes', [0x8d, u64(0xffffffffffffffffn), 'abc'], 'ends after'],
    ['an odd number of items', ['}(N', 'u.'], 'has a key without a value'],
    ['items of a list', [']NNs.'], 'sets items of what is not a dictionary'],
    ['append to a number', ['K', 1, 'Na.'], 'appends to what is not a list'],
    ['a call of a number', ['K', 1, ')R.'], 'calls what is not a name'],
    ['a call without arguments', ['cm\nf\nNR.'], 'calls m.f without a tuple'],
    ['wrong arguments', ['ccollections\nOrderedDict\nK', 1, 0x85, 'R.'], "arguments that it doesn't take"],
    ['a global that is not text', ['NN', 0x93, '.'], 'names a global that is not text'],
    ['state for a string', [text('a'), 'Nb.'], 'sets the state of what is not an object'],
    ['an integer that is none', ['Ix\n.'], 'has the integer "x"'],
    ['a number that is none', ['F1-\n.'], 'has the number "1-"'],
    ['a line without an end', ['I12'], 'has a line without an end'],
    ['a long integer', [0x8b, u32(limits.pickle.integerBytes + 1), Buffer.alloc(2000), '.'], 'bytes in an integer'],
  ])('%s', (_, parts, found) => {
    const message = refusal(...parts)
    expect(message).toMatch(/^f: its pickle /)
    expect(message).toContain(found)
  })
})

describe('bombs', () => {
  it('nested marks', () => {
    expect(refusal('('.repeat(limits.pickle.nestingLevels + 1))).toContain('nested marks')
  })

  it('a hundred thousand tuples in each other', () => {
    const value = load(')', Buffer.alloc(100_000, 0x85), '.')
    expect(Array.isArray(value)).toBe(true)
  })

  it('more objects than the limit', () => {
    expect(refusal(']0'.repeat(limits.pickle.objectsCount + 1))).toContain('objects')
  })

  it('more values on the stack than the limit', () => {
    expect(refusal(Buffer.alloc(limits.pickle.stackValues + 1, 'N'))).toContain('values on its stack')
  })

  it('more opcodes than the limit', () => {
    expect(refusal(Buffer.alloc(limits.work.stepsCount + 10, 'N0'))).toContain('steps')
  })

  it('a big list that is copied again and again', () => {
    const list = opcodes('](', Buffer.alloc(10_000, 'N'), 'eq', 0, '0')
    const copy = opcodes('c__builtin__\nlist\nh', 0, 0x85, 'R0')
    expect(refusal(list, ...new Array(200).fill(copy), 'N.')).toContain('objects')
  })
})

describe('names that no checkpoint needs', () => {
  it.each([
    ['posix', 'system'],
    ['nt', 'system'],
    ['os.path', 'join'],
    ['subprocess', 'Popen'],
    ['builtins', 'eval'],
    ['__builtin__', 'execfile'],
    ['builtins', '__import__'],
    ['mylib.helpers', 'os.system'],
    ['mylib', 'f.__globals__'],
    ['torch.hub', 'load'],
    ['runpy', '_run_code'],
  ])('%s %s', (module, name) => {
    const { forbidden } = unpickle(opcodes(text(module), text(name), 0x93, '.'), 'f')
    expect(String(forbidden)).toBe(`${module}.${name}`)
  })

  it.each([
    ['builtins', 'print'],
    ['code.models.net', 'Net'],
    ['mylib', 'Net.__init__'],
    ['numpy.core.multiarray', '_reconstruct'],
    ['__main__', 'TrainConfig'],
  ])('not %s %s', (module, name) => {
    expect(unpickle(opcodes(text(module), text(name), 0x93, '.'), 'f').forbidden).toBeUndefined()
  })

  it('even where the call is dropped again, or the rest is malformed', () => {
    const call = opcodes('cposix\nsystem\n', text('id'), 0x85, 'R0')
    expect(unpickle(opcodes(call, 'N.'), 'f').forbidden).toBeInstanceOf(Global)
    expect(refusal(call, 0xff)).toContain('names posix.system (os.system)')
  })

  it('an attribute of a class that leads to one', () => {
    const getattr = ['cbuiltins\ngetattr\ncmylib\nf\n', text('__globals__'), 0x86, 'R.']
    expect(unpickle(opcodes(...getattr), 'f').forbidden).toBeInstanceOf(Global)
  })
})

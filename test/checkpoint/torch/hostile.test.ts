import { describe, expect, it } from 'vitest'
import { membersOf } from '../../../src/checkpoint/torch/modules.ts'
import { Global, Inert, type Value } from '../../../src/checkpoint/torch/values.ts'
import { CheckpointError } from '../../../src/errors.ts'
import { limits } from '../../../src/limits.ts'
import { archive, dict, type Entry, int, makeZip, opcodes, readBytes, tensor, text } from './build.ts'

const FLOATS = Buffer.alloc(16)
const SQUARE = { shape: [2, 2], strides: [2, 1] }

async function refusal(entries: readonly Entry[] | Buffer): Promise<string> {
  const error = await readBytes(Buffer.isBuffer(entries) ? entries : makeZip(entries)).then(
    () => undefined,
    error => error,
  )
  expect(error).toBeInstanceOf(CheckpointError)
  return error.message
}

describe('views', () => {
  it('a good one, written by hand as the others are', async () => {
    const { tensors } = await readBytes(makeZip(archive(dict({ w: tensor(SQUARE) }), FLOATS)))
    expect(tensors).toMatchObject([{ name: 'w', dtype: 'F32', shape: [2, 2], source: { strides: [2, 1] } }])
  })

  const big = 2 ** 40
  it.each<[string, Parameters<typeof tensor>[0], string]>([
    ['a storage smaller than the view', { shape: [2, 3], strides: [3, 1] }, 'needs 6 elements, but its storage has 4'],
    ['a storage that claims more than it has', { ...SQUARE, numel: 100, offset: 4 }, 'needs 8 elements'],
    ['an element type wider than the storage', { ...SQUARE, storage: 'DoubleStorage' }, 'but its storage has 2'],
    ['a stride past the end', { shape: [2, 2], strides: [3, 1] }, 'needs 5 elements'],
    ['an offset past the end', { shape: [1], strides: [1], offset: big }, 'but its storage has 4'],
    ['an offset past the end of an empty view', { shape: [0], strides: [1], offset: 5 }, 'but its storage has 4'],
    ['a shape that overflows', { shape: [big, big], strides: [0, 0] }, 'overflows'],
    ['a shape of a few bytes times a terabyte', { shape: [big], strides: [0] }, 'repeats the 4 elements'],
    ['a negative dimension', { shape: [-1, 2], strides: [2, 1] }, 'is no view of a storage: shape [-1,2]'],
    ['a negative stride', { shape: [2, 2], strides: [-2, 1] }, 'is no view of a storage'],
    ['a negative offset', { ...SQUARE, offset: -1 }, 'is no view of a storage'],
    ['more strides than dimensions', { shape: [2], strides: [1, 1] }, 'is no view of a storage'],
    [
      'too many dimensions',
      { shape: new Array(40).fill(1), strides: new Array(40).fill(1) },
      'is no view of a storage',
    ],
    ['a storage that is not there', { ...SQUARE, key: '7' }, 'its storage data/7 is not in the file'],
    ['a storage by the name of another member', { ...SQUARE, key: '../version' }, 'is not in the file'],
  ])('%s', async (_, view, found) => {
    const message = await refusal(archive(dict({ 'layer.w': tensor(view) }), FLOATS))
    expect(message).toContain('model.pt: tensor "layer.w": ')
    expect(message).toContain(found)
  })

  it('an integer that a double cannot hold', async () => {
    const huge = tensor({ shape: [], strides: [] })
      .toString('latin1')
      .replace('(t(t', '(L99999999999999999999L\nt(I1\nt')
    expect(await refusal(archive(dict({ w: Buffer.from(huge, 'latin1') }), FLOATS))).toContain(
      'is no view of a storage',
    )
  })

  it('a name longer than the limit', async () => {
    const name = 'n'.repeat(limits.checkpoint.nameCharacters + 1)
    expect(await refusal(archive(dict({ [name]: tensor(SQUARE) }), FLOATS))).toContain('its name has 4097 characters')
  })
})

describe('structures', () => {
  const w = tensor(SQUARE)

  it('a dictionary within itself', async () => {
    const self = opcodes('}q', 1, '(', text('w'), w, text('self'), 'h', 1, 'u')
    expect(await refusal(archive(self, FLOATS))).toContain('"self": holds itself')
  })

  it('a laugh: dictionaries that each hold the next twice', async () => {
    const levels = Array.from({ length: 40 }, (_, i) =>
      opcodes('}(', text('a'), 'h', i, text('b'), 'h', i, 'uq', i + 1, '0'),
    )
    const laugh = opcodes(dict({ w }), 'q', 0, '0', ...levels, 'h', 40)
    expect(await refusal(archive(laugh, FLOATS))).toContain('has more than 250000 tensors')
  })

  it('a laugh without a tensor at its end', async () => {
    const levels = Array.from({ length: 40 }, (_, i) =>
      opcodes('}(', text('a'), 'h', i, text('b'), 'h', i, 'uq', i + 1, '0'),
    )
    const laugh = opcodes('}q', 0, '0', ...levels, dict({ w }), text('more'), 'h', 40, 's')
    expect((await readBytes(makeZip(archive(laugh, FLOATS)))).ignored).toEqual(['more'])
  })

  it('a dictionary in two places has its tensors in both', async () => {
    const both = opcodes('}(', text('encoder'), dict({ w }), 'q', 1, text('decoder'), 'h', 1, 'u')
    const { tensors } = await readBytes(makeZip(archive(both, FLOATS)))
    expect(tensors.map(({ name }) => name)).toEqual(['encoder.w', 'decoder.w'])
  })

  it('lists nested a hundred thousand deep, with a tensor at the bottom and without', async () => {
    const deep = (bottom: Buffer) => archive(dict({ w, deep: opcodes(bottom, Buffer.alloc(100_000, 0x85)) }), FLOATS)
    expect(await refusal(deep(w))).toContain('is nested more than')
    expect((await readBytes(makeZip(deep(opcodes('N'))))).ignored).toEqual(['deep'])
  })

  it('a state dict nested in `model` a thousand times', async () => {
    const nested = opcodes(...new Array(900).fill(opcodes('}', text('model'))), dict({ w }), 's'.repeat(900))
    const { tensors, stateDict } = await readBytes(makeZip(archive(nested, FLOATS)))
    expect([tensors.length, stateDict.length]).toEqual([1, 900 * 6 - 1])
  })

  it('a module chain of wrappers without an end', async () => {
    const wrap = opcodes('q', 9, '0ctorch._utils\n_rebuild_parameter\n(h', 9, 0x89, 'NtR')
    const wrapped = opcodes(w, ...new Array(20).fill(wrap))
    expect(await refusal(archive(dict({ w: wrapped }), FLOATS))).toContain('is wrapped more than 8 times')
  })

  it('more beside the weights than anybody reads', async () => {
    const many = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`k${i}`, int(i)]))
    const { ignored } = await readBytes(makeZip(archive(dict({ w, ...many }), FLOATS)))
    expect(ignored).toHaveLength(limits.checkpoint.ignoredEntries + 1)
    expect(ignored.at(-1)).toBe('and 2000 more')
  })
})

describe('archives', () => {
  const good = archive(dict({ w: tensor(SQUARE) }), FLOATS)
  const data = good.findIndex(entry => entry.name === 'm/data/0')

  it.each<[string, Entry[], string]>([
    ['no data.pkl', [{ name: 'a.npy', data: FLOATS }], 'is a zip without data.pkl: it holds "a.npy"'],
    ['no members', [], 'is an empty zip'],
    ['two archives', [...good, { name: 'n/data.pkl', data: FLOATS }], 'holds 2 PyTorch archives'],
    ['two pickles of one name', [...good, good[0]], 'has two members named "m/data.pkl"'],
    ['big-endian', [...good, { name: 'm/byteorder', data: Buffer.from('big') }], 'its byte order is "big"'],
    ['a compressed storage', good.with(data, { ...good[data], method: 8 }), '"m/data/0" is compressed'],
    ['a bomb of a pickle', [{ name: 'm/data.pkl', data: Buffer.alloc(32 << 20), method: 8 }], 'more than 200 times'],
    ['a truncated pickle', [{ name: 'm/data.pkl', data: opcodes(0x80, 2, '}(X') }], 'its pickle ends after'],
  ])('%s', async (_, entries, found) => {
    expect(await refusal(entries)).toContain(found)
  })

  it('a compressed pickle beside stored weights, as repacking tools write', async () => {
    const { tensors } = await readBytes(makeZip(good.with(0, { ...good[0], method: 8 })))
    expect(tensors).toHaveLength(1)
  })

  it('a file cut anywhere', async () => {
    const bytes = makeZip(good)
    for (let length = 4; length < bytes.length; length += 7) await refusal(bytes.subarray(0, length))
  })
})

describe('work that a small file asks for', () => {
  const w = tensor(SQUARE)
  const long = (value: bigint) => {
    const bytes = Buffer.alloc(12)
    bytes.writeBigUInt64LE(value & 0xffffffffffffffffn)
    bytes.writeUInt32LE(Number(value >> 64n), 8)
    return opcodes(0x8a, 12, bytes)
  }
  /** V8 hashes a BigInt by its lowest 64 bits. */
  const colliding = Array.from({ length: limits.pickle.scatteredKeys + 2 }, (_, i) => long((BigInt(i) << 64n) + 7n))

  it.each<[string, Buffer]>([
    ['keys of a dictionary', opcodes('}(', text('w'), w, ...colliding.flatMap(key => [key, 'N']), 'u')],
    ['keys one by one', opcodes('}', ...colliding.flatMap(key => [key, 'Ns']))],
    ['a frozen set', opcodes('(', ...colliding, 0x91)],
    ['a set', opcodes(0x8f, '(', ...colliding, 0x90)],
    ['a set of a list', opcodes('cbuiltins\nset\n(](', ...colliding, 'etR')],
    [
      'a dictionary of pairs',
      opcodes('ccollections\nOrderedDict\n(](', ...colliding.flatMap(key => ['(', key, 'Nt']), 'etR'),
    ],
  ])('numbers that collide as %s', async (_, value) => {
    expect(await refusal(archive(value, FLOATS))).toContain('scattered numbers as keys')
  })

  it('numbers that count are keys, as many as there are', async () => {
    const items = Array.from({ length: 30_000 }, (_, i) => opcodes(int(i), 'N'))
    const { tensors } = await readBytes(makeZip(archive(opcodes('}(', text('w'), w, ...items, 'u'), FLOATS)))
    expect(tensors).toMatchObject([{ name: 'w' }])
  })

  it('a memo index that is larger than any count', async () => {
    expect(await refusal(archive(opcodes('Np', '999999999\n0', dict({ w })), FLOATS))).toContain('memo entries')
  })

  it('a dictionary that is its own state dict', async () => {
    const self = opcodes('}q', 1, '(', text('ema'), dict({ w }), text('state'), 'h', 1, 'u')
    expect(await refusal(archive(self, FLOATS))).toContain('holds itself')
  })
})

describe('names of classes in messages', () => {
  const shown = (name: string) => [String(new Global('mod', name, 0)), new Inert(new Global('mod', name, 0), []).type]

  it.each(['Model', 'Größe', 'f.<locals>.Net', 'Net-2'])('%s is as it is', name => {
    expect(shown(name)).toEqual([`mod.${name}`, `mod.${name}`])
  })

  it.each([
    ['x\n::error title=y::z', '"mod.x\\n::error title=y::z"'],
    ['x\u001b[31m', '"mod.x\\u001b[31m"'],
    ['@octocat', '"mod.@octocat"'],
  ])('%j is quoted', (name, quoted) => {
    expect(shown(name)).toEqual([quoted, quoted])
  })
})

describe('attributes of a pickled module', () => {
  const of = (...state: [string, Value][]) => {
    const module = new Inert(new Global('net', 'Linear', 0), [])
    module.state = new Map<Value, Value>(state)
    return () => [...membersOf(module).named.keys()]
  }
  const parameters: [string, Value] = [
    '_parameters',
    new Map<Value, Value>([['weight', new Inert(new Global('t', 'T', 0), [])]]),
  ]

  it('are none of its members', () => {
    expect(of(parameters, ['training', true], ['in_features', 3])()).toEqual(['weight'])
  })

  it('that hide one are refused: Python takes them, state_dict() does not', () => {
    const shadow: [string, Value] = ['weight', new Inert(new Global('t', 'T', 0), [])]
    expect(of(parameters, shadow)).toThrow(/has a module net\.Linear with two things called "weight"/)
    expect(of(shadow, ['_modules', new Map<Value, Value>([['weight', null]])])).toThrow('two things called')
  })
})

describe('another state dict beside the one that is judged', () => {
  const of = (name: string, more: object = {}) =>
    makeZip(archive(dict({ model: dict({ 'a.weight': tensor(SQUARE) }), [name]: dict(more as never) }), FLOATS))
  const left = async (bytes: Buffer, wanted?: string) =>
    (await readBytes(bytes, wanted)).unread?.map(({ name, aside }) => [name, aside])

  it.each<[string, string, object, unknown]>([
    ['holds weights of another name', 'classifier', { 'b.weight': tensor(SQUARE) }, [['classifier.b.weight', true]]],
    ['is a copy', 'teacher', { 'a.weight': tensor(SQUARE) }, []],
    ['is an average', 'model_ema', { 'b.weight': tensor(SQUARE) }, []],
    ['is an optimizer', 'optimizer', { 'b.weight': tensor(SQUARE) }, []],
  ])('%s', async (_, name, tensors, rows) => {
    expect(await left(of(name, tensors))).toEqual(rows)
    expect(await left(of(name, tensors), 'model')).toEqual([])
  })
})

it('arguments that Lightning keeps beside its state_dict are no weights', async () => {
  const arguments_ = (nest: string, name: string, version = 'pytorch-lightning_version') => {
    const all = { [nest]: dict({ 'a.weight': tensor(SQUARE) }), [name]: dict({ prior: tensor(SQUARE) }) }
    return makeZip(archive(dict({ ...all, [version]: text('2.5.0') }), FLOATS))
  }
  for (const name of ['hyper_parameters', 'datamodule_hyper_parameters']) {
    const { tensors, unread, ignored } = await readBytes(arguments_('state_dict', name))
    expect({ tensors: tensors.length, unread }).toEqual({ tensors: 1, unread: [] })
    expect(ignored).toContain(name)
  }
  for (const [nest, name] of [
    ['model', 'hyper_parameters'],
    ['state_dict', 'parameters'],
  ] as const)
    expect((await readBytes(arguments_(nest, name))).unread).toHaveLength(1)
  expect((await readBytes(arguments_('state_dict', 'hyper_parameters', 'version'))).unread).toHaveLength(1)
})

it('weights at the top beside a dictionary of weights, of which nobody knows the one that is loaded', async () => {
  const weights = dict({ 'a.weight': tensor(SQUARE) })
  const both = makeZip(archive(dict({ 'a.weight': tensor(SQUARE), state_dict: weights }), FLOATS))
  expect(await refusal(both)).toContain('holds weights at its top, such as "a.weight", and others under "state_dict"')
  expect((await readBytes(both, 'state_dict')).tensors.map(({ name }) => name)).toEqual(['a.weight'])
  const beside = makeZip(archive(dict({ mean: tensor(SQUARE), state_dict: weights }), FLOATS))
  expect((await readBytes(beside)).stateDict).toBe('state_dict')
})

import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { Contents } from '../../../src/checkpoint/reader.ts'
import { u16, u32 } from '../../support/bytes.ts'
import { archive, dict, int, makeZip, opcodes, readBytes, tensor, text, tuple } from './build.ts'

/** What Python's unpickler or PyTorch's reader would make something else of than plain reading does. */

const VIEW = { shape: [2, 2], strides: [2, 1] }
const [GOOD, BAD] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)]
const w = tensor(VIEW)
const other = tensor({ ...VIEW, key: '1' })
const call = (path: string, ...args: Buffer[]) => {
  const at = path.lastIndexOf('.')
  return opcodes(`c${path.slice(0, at)}\n${path.slice(at + 1)}\n`, tuple(...args), 'R')
}
const hooks = call('collections.OrderedDict')
const yes = opcodes(0x88)
const none = opcodes('N')
const typed = (state: Buffer) =>
  call(
    'torch._tensor._rebuild_from_type_v2',
    ...[opcodes('ctorch._utils\n_rebuild_parameter\n'), opcodes('ctorch.nn.parameter\nParameter\n')],
    ...[tuple(w, yes, hooks), state],
  )
const stateful = (state: Buffer) => call('torch._utils._rebuild_parameter_with_state', w, yes, hooks, state)
const bound = (method: string) => call('builtins.getattr', w, text(method))
const read = (value: Buffer): Promise<Contents> => readBytes(makeZip(archive(value, GOOD, BAD)))
const refusal = (value: Buffer) =>
  read(value).then(
    () => 'accepted',
    error => error.message,
  )

describe('a tensor that would be changed once it is made is not read', () => {
  const set = tuple(opcodes('N'), int(0), tuple(int(2), int(2)), tuple(int(2), int(1)))
  it.each<[string, Buffer, RegExp]>([
    ['a state', opcodes(w, set, 'b'), /a state that would replace its values/],
    ['a state around it', opcodes(call('torch._utils._rebuild_parameter', w, yes, hooks), set, 'b'), /would replace/],
    ['a state within', call('torch._utils._rebuild_parameter', opcodes(w, set, 'b'), yes, hooks), /would replace/],
    ['a state as an argument', stateful(dict({ data: other })), /a state that would set its "data"/],
    ['slots', stateful(tuple(none, dict({ data: other }))), /a state that would set its "data"/],
    ['another class', stateful(dict({ __class__: int(1) })), /a state that would set its "__class__"/],
    ['a state that is no dictionary', typed(opcodes(w)), /a state of an unknown kind/],
    [
      'another type',
      call('torch._utils._rebuild_device_tensor_from_cpu_tensor', w, opcodes('ctorch\nint8\n'), text('cpu'), yes),
      /converted to another type/,
    ],
    ['another sign', opcodes(w.subarray(0, -2), dict({ neg: opcodes(0x89) }), 'tR'), /lazily negated/],
  ])('%s', async (_, value, found) => {
    const { tensors, unread } = await read(dict({ w: value, v: tensor(VIEW) }))
    expect(tensors.map(({ name }) => name)).toEqual(['v'])
    expect(unread).toMatchObject([{ name: 'w', reason: expect.stringMatching(found) }])
  })

  it('attributes that Python keeps beside the tensor are no change', async () => {
    const note = dict({ tensor_model_parallel: yes, partition_dim: int(0) })
    for (const value of [stateful(note), stateful(tuple(note, none)), typed(note), typed(dict({}))]) {
      const { tensors, unread } = await read(dict({ w: value }))
      expect(unread).toEqual([])
      expect(tensors).toMatchObject([{ name: 'w', dtype: 'F32', shape: [2, 2] }])
    }
    const same = call(
      'torch._utils._rebuild_device_tensor_from_cpu_tensor',
      ...[w, opcodes('ctorch\nfloat32\n'), text('cuda:0'), yes],
    )
    expect((await read(dict({ w: same }))).tensors).toMatchObject([{ name: 'w' }])
  })
})

describe('what changes other tensors refuses the file', () => {
  const module = (...states: Buffer[]) =>
    opcodes('ctorch.nn.modules.container\nSequential\n)', 0x81, ...states.flatMap(state => [state, 'b']))
  const state = (parameters: Record<string, Buffer>) =>
    dict({ _parameters: dict(parameters), _buffers: dict({}), _modules: dict({}) })

  it.each<[string, Buffer, RegExp]>([
    ['elements of a view', dict({ w, x: opcodes(w, none, other, 's') }), /sets elements of a tensor/],
    [
      'elements of a view that is dropped again',
      opcodes(w, none, other, 's0', dict({ w })),
      /sets elements of a tensor/,
    ],
    ['a call in place', opcodes(call('torch.Tensor.copy_', w, other), '0', dict({ w })), /would change a tensor/],
    [
      'elements of what shares a storage',
      opcodes('ctorch\nTensor\n', tuple(w), 0x81, none, other, 's0', dict({ w })),
      /sets elements of a tensor/,
    ],
    ['its real part', typed(dict({ real: other })), /with a state that would change a tensor/],
    ['a bound method', opcodes(bound('copy_'), tuple(other), 'R0', dict({ w })), /would change a tensor/],
    ['an operator', opcodes(call('operator.setitem', w, none, other), '0', dict({ w })), /would change a tensor/],
    ['two states of a module', module(state({ w: other }), state({ w })), /the state of one object twice/],
    ['items of a module', opcodes(module(state({ w })), int(0), other, 's'), /members would be set one by one/],
    [
      'keys that Python takes for one',
      opcodes('}(', yes, dict({ w }), int(1), dict({ w: other }), 'u'),
      /one for Python/,
    ],
    ['a storage of two types', dict({ h: tensor({ ...VIEW, storage: 'HalfStorage' }), w }), /a storage of two types/],
  ])('%s', async (_, value, found) => {
    expect(await refusal(value)).toMatch(found)
  })

  it('what grows after it was used is as it was then', async () => {
    const list = opcodes(']q', 7, '(', int(2), int(2), 'e')
    const view = tensor(VIEW)
    const shape = tuple(int(2), int(2))
    const grown = Buffer.concat([
      view.subarray(0, view.indexOf(shape)),
      list,
      view.subarray(view.indexOf(shape) + shape.length),
    ])
    const value = opcodes(dict({ w: grown }), 'h', 7, int(1), 'a0')
    expect((await read(value)).tensors).toMatchObject([{ name: 'w', shape: [2, 2] }])
    const built = opcodes(
      ...['ctorch.nn.modules.container\nSequential\n)', 0x81, state({ w }), 'q', 8, 'b'],
      ...['h', 8, text('_parameters'), dict({ v: other }), 's0'],
    )
    expect((await read(built)).tensors).toMatchObject([{ name: 'w' }])
  })

  it('one state, and a boolean alone, are fine', async () => {
    expect((await read(module(state({ w })))).tensors).toMatchObject([{ name: 'w' }])
    expect((await read(opcodes('}(', text('w'), w, yes, none, int(2), none, 'u'))).tensors).toMatchObject([
      { name: 'w' },
    ])
  })
})

describe('text as Python reads it', () => {
  it.each([
    ["S'\\x77.\\'\\\\n\\101'\n", "w.'\\nA"],
    ["S'\\303\\244'\n", 'ä'],
    ['S"a\\q"\n', 'a\\q'],
    ['V\\u0077\\\\u0077\\U0001f600\n', 'w\\\\u0077😀'],
    ['V\xe4\n', 'ä'],
  ])('%s', async (key, name) => {
    const { tensors } = await read(opcodes('}(', key, w, 'u'))
    expect(tensors.map(tensor => tensor.name)).toEqual([name])
  })

  it.each(["S'a\n", 'Sa\n', "S'\\x7'\n", 'V\\u007\n', 'V\\Uffffffff\n'])('%s is refused', async key => {
    expect(await refusal(opcodes('}(', key, w, 'u'))).toMatch(/has the text "/)
  })

  it('an integer that C reads as octal', async () => {
    expect(await refusal(opcodes('}(', text('w'), w, 'I010\n', none, 'u'))).toContain('has the integer "010"')
  })
})

describe('members that have two names', () => {
  const entries = archive(dict({ w }), GOOD)

  it('but for the case', async () => {
    const bytes = makeZip([...entries, { name: 'm/DATA/0', data: BAD }])
    await expect(readBytes(bytes)).rejects.toThrow('has two members named "m/DATA/0" but for the case')
  })

  it.each([
    ['a backslash', 'm\\data\\1'],
    ['an end within', 'm/data/1\0.txt'],
  ])('%s', async (_, name) => {
    const bytes = makeZip([...entries, { name, data: BAD }])
    await expect(readBytes(bytes)).rejects.toThrow('has another name for other tools')
  })

  it('a Unicode path', async () => {
    const bytes = withUnicodePath(makeZip([...entries, { name: 'm/data/1', data: BAD }]), 'm/data/1', 'm/data/2')
    await expect(readBytes(bytes)).rejects.toThrow('its member "m/data/2" has another name for other tools')
  })
})

/** Gives a member of a zip, in its central directory, a second name by Info-ZIP's extra field. */
function withUnicodePath(zip: Buffer, name: string, path: string): Buffer {
  const at = zip.lastIndexOf(Buffer.from(name)) + name.length
  const field = Buffer.concat([Buffer.from([1]), u32(crc32(Buffer.from(name))), Buffer.from(path)])
  const extra = Buffer.concat([u16(0x7075), u16(field.length), field])
  const out = Buffer.concat([zip.subarray(0, at), extra, zip.subarray(at)])
  out.writeUInt16LE(extra.length, at - name.length - 46 + 30)
  const end = out.length - 22
  out.writeUInt32LE(out.readUInt32LE(end + 12) + extra.length, end + 12)
  return out
}

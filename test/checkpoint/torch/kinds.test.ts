import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../../src/checkpoint/index.ts'
import { CheckpointError } from '../../../src/errors.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { archive, dict, int, makeZip, opcodes, readBytes, tensor, text, tuple } from './build.ts'

const fixture = (name: string) => join('test/fixtures/torch', name)

test.each([
  ['module.pt', ''],
  ['module-nested.pt', 'model'],
  ['torchscript.pt', ''],
])('%s: the parameters of a module, nothing imported', async (name, stateDict) => {
  const checkpoint = await openCheckpoint(fixture(name))
  expect(checkpoint.stateDict).toBe(stateDict)
  const shapes = Object.fromEntries(checkpoint.tensors.map(tensor => [tensor.name, tensor.shape]))
  expect(shapes).toMatchObject({ 'conv.weight': [4, 2, 3, 3], 'conv.bias': [4], 'head.weight': [3, 4] })
})

test.each([
  ['object.pt', 'layer.odd', /made by __main__\.Odd/],
  ['sparse.pt', 'w', /is a sparse tensor: save its to_dense\(\)/],
  ['meta.pt', 'w', /on the meta device/],
  ['complex32.pt', 'w', /elements of the type torch\.complex32/],
  ['negated.pt', 'w', /lazily negated view: save its resolve_neg\(\)/],
])('%s: a tensor that can’t be read is left out with its reason', async (name, tensor, reason) => {
  const { unread } = await openCheckpoint(fixture(name))
  expect(unread).toMatchObject([{ name: tensor, reason: expect.stringMatching(reason) }])
})

test('quantised.pt is dequantised, not read as raw integers', async () => {
  const { tensors } = await openCheckpoint(fixture('quantised.pt'))
  expect(tensors).toMatchObject([
    { name: 'w', dtype: 'F32', shape: [2, 2], source: { kind: 'packed', codec: 'torch-quantised' } },
  ])
})

test('a module cut anywhere is refused', async () => {
  const bytes = readFileSync(fixture('module.pt'))
  const path = join(temporaryFolder(), 'module.pt')
  for (let length = 0; length < bytes.length; length += 97) {
    writeFileSync(path, bytes.subarray(0, length))
    await expect(openCheckpoint(path)).rejects.toBeInstanceOf(CheckpointError)
  }
})

test('a module tells its buffers from its parameters; a frozen weight is one, too', async () => {
  const module = dict({
    _parameters: dict({ a: tensor({ shape: [2, 2], strides: [2, 1] }) }),
    _buffers: dict({
      table: tensor({ shape: [2, 2], strides: [2, 1] }),
      weight: tensor({ shape: [2, 2], strides: [2, 1] }),
    }),
    _modules: dict({}),
  })
  const net = opcodes('ctorch.nn.modules.container\nSequential\n)', 0x81, module, 'b')
  const { tensors } = await readBytes(makeZip(archive(net, Buffer.alloc(16, 1))))
  expect(tensors.map(({ name, constant }) => [name, constant])).toEqual([
    ['a', undefined],
    ['table', 'a buffer of its module, no parameter'],
    ['weight', undefined],
  ])
})

describe('what a module keeps outside its state dict', () => {
  const w = tensor({ shape: [2, 2], strides: [2, 1] })
  const module = (state: Buffer) => opcodes('ctorch.nn.modules.container\nSequential\n)', 0x81, state, 'b')
  const state = (parameters: Record<string, Buffer>, more: Record<string, Buffer>) =>
    dict({ _parameters: dict({ a: w, ...parameters }), _buffers: dict({}), _modules: dict({}), ...more })
  const unreadOf = async (net: Buffer) => {
    const { tensors, unread } = await readBytes(makeZip(archive(net, Buffer.alloc(16, 1), Buffer.alloc(16, 1))))
    return [
      tensors.map(({ name }) => name),
      (unread ?? []).map(({ name, dtype, shape, reason }) => [name, dtype, shape, reason]),
    ]
  }
  const why = expect.stringMatching(/outside the state dict: make it a parameter/)
  const other = module(state({}, {}))
  const none = opcodes('N')
  const parameter = opcodes('ctorch._utils\n_rebuild_parameter\n', tuple(w, opcodes('I01\n'), dict({})), 'R')

  test('each module once, and what C++ keeps is unread as such', async () => {
    const again = opcodes('](', opcodes(other, 'p9\n'), 'g9\ng9\ne')
    expect(await unreadOf(module(state({}, { layers: again, more: opcodes('](g9\ne') })))).toEqual([
      ['a'],
      [['layers.0', 'Sequential', [2, 2], why]],
    ])
    const packed = opcodes('c__torch__.torch.classes.rnn\nCellParamsBase\n)', 0x81, tuple(w, w), 'b')
    expect(await unreadOf(module(state({}, { _packed_weight_ih: packed })))).toEqual([
      ['a'],
      [
        [
          '_packed_weight_ih',
          'CellParamsBase',
          [2, 2],
          expect.stringMatching(/^is made by __torch__.torch.classes.rnn.CellParamsBase/),
        ],
      ],
    ])
  })

  test('a module with two things of one name is refused', async () => {
    const of = (tables: Record<string, Buffer>) =>
      module(dict({ _parameters: dict({}), _buffers: dict({}), _modules: dict({}), ...tables }))
    for (const tables of [
      { _parameters: dict({ a: w }), _buffers: dict({ a: w }) },
      { _parameters: dict({ a: w }), _modules: dict({ a: other }) },
    ])
      await expect(unreadOf(of(tables))).rejects.toThrow(/two things called "a"/)
    expect(await unreadOf(of({ _parameters: dict({ a: w }), _buffers: dict({ a: none }) }))).toEqual([['a'], []])
    expect(await unreadOf(of({ _parameters: dict({ a: none }), _buffers: dict({ a: w }) }))).toEqual([['a'], []])
  })

  test('a parameter is saved, whatever is said of buffers', async () => {
    const net = dict({
      ...{ _parameters: dict({ a: w }), _buffers: dict({}), _modules: dict({}) },
      _non_persistent_buffers_set: opcodes('c__builtin__\nset\n(](', text('a'), 'etR'),
    })
    expect(await unreadOf(module(net))).toEqual([['a'], []])
  })

  test.each<[string, Record<string, Buffer>, unknown[]]>([
    ['a tensor with the name of a weight', { weight: w }, [['weight', 'F32', [2, 2], why]]],
    ['a module in a list', { layers: opcodes('](', other, 'e') }, [['layers.0', 'Sequential', [2, 2], why]]],
    ['a module in a dictionary', { layers: dict({ b: other }) }, [['layers.b', 'Sequential', [2, 2], why]]],
    ['a module that is no submodule', { hidden: other }, [['hidden', 'Sequential', [2, 2], why]]],
    [
      'a module in a tuple of a list',
      { layers: opcodes('](', tuple(other, none), 'e') },
      [['layers.0.0', 'Sequential', [2, 2], why]],
    ],
    [
      'a module in an object',
      { held: opcodes('cholder\nHolder\n)', 0x81, dict({ net: other }), 'b') },
      [['held.net', 'Sequential', [2, 2], why]],
    ],
    [
      'a method of another module',
      { forward: opcodes('c__builtin__\ngetattr\n', tuple(other, text('forward')), 'R') },
      [['forward', 'Sequential', [2, 2], why]],
    ],
    ['parameters in a list', { Ws: opcodes('](', parameter, 'e') }, [['Ws.0', 'F32', [2, 2], why]]],
    [
      'tensors in a list with the name of weights',
      { weights: opcodes('](', w, w, 'e') },
      [
        ['weights.0', 'F32', [2, 2], why],
        ['weights.1', 'F32', [2, 2], why],
      ],
    ],
    ['a vector', { weight: tensor({ shape: [4], strides: [1] }) }, []],
    ['integers', { tokens: tensor({ shape: [2, 2], strides: [2, 1], storage: 'IntStorage', key: '1' }) }, []],
    ['an optimizer', { optimizer: dict({ state: dict({ weight: w }) }) }, []],
    [
      'a module and a parameter under the name of an optimizer',
      { optimizer: opcodes('](', other, parameter, w, dict({ weight: w }), 'e') },
      [
        ['optimizer.0', 'Sequential', [2, 2], why],
        ['optimizer.1', 'F32', [2, 2], why],
      ],
    ],
    [
      'a large matrix under any name',
      { mixing: tensor({ shape: [16, 16], strides: [0, 0] }) },
      [['mixing', 'F32', [16, 16], why]],
    ],
    ['a table of fewer columns', { mixing: tensor({ shape: [16, 15], strides: [0, 0] }) }, []],
    ['a stack of tables', { mixing: tensor({ shape: [16, 16, 16], strides: [0, 0, 0] }) }, []],
    ['a table', { anchors: w }, []],
    ['a list of tensors', { caches: opcodes('](', w, 'e') }, []],
  ])('%s', async (_, more, unread) => {
    expect(await unreadOf(module(state({}, more)))).toEqual([['a'], unread])
  })

  test('a mask is none', async () => {
    const mask = tensor({ shape: [16, 16], strides: [16, 1], key: '1', numel: 256 })
    const values = Float32Array.from({ length: 256 }, (_, i) => (i % 16 > i / 16 ? Number.NEGATIVE_INFINITY : 0))
    const read = (last: number) =>
      readBytes(
        makeZip(
          archive(module(state({}, { mixing: mask })), Buffer.alloc(16, 1), Buffer.from(values.with(17, last).buffer)),
        ),
      )
    expect((await read(Number.NEGATIVE_INFINITY)).unread).toEqual([])
    expect((await read(1)).unread).toMatchObject([{ name: 'mixing' }])
  })

  const hooks = dict({ hook: text('WeightNorm') })

  test.each([['weight_orig'], ['weight_g', 'weight_v'], ['weight_bar']])(
    'what a hook computes of %s is none',
    async (...names) => {
      const parameters = Object.fromEntries(names.map(name => [name, w]))
      const computed = module(state(parameters, { weight: w, _forward_pre_hooks: hooks }))
      expect(await unreadOf(computed)).toEqual([['a', ...names], []])
    },
  )

  test.each<[string, string[], Record<string, Buffer>]>([
    ['without a hook', ['weight_orig'], { weight: w }],
    ['of a gain alone', ['weight_g'], { weight: w, _forward_pre_hooks: hooks }],
  ])('what is called so %s counts', async (_, names, more) => {
    const parameters = Object.fromEntries(names.map(name => [name, w]))
    expect(await unreadOf(module(state(parameters, more)))).toEqual([['a', ...names], [['weight', 'F32', [2, 2], why]]])
  })

  test('a list is computed of nothing', async () => {
    const net = module(state({ layers_orig: w }, { layers: opcodes('](', other, 'e'), _forward_pre_hooks: hooks }))
    expect(await unreadOf(net)).toEqual([['a', 'layers_orig'], [['layers.0', 'Sequential', [2, 2], why]]])
  })

  test('a buffer that is not saved', async () => {
    const net = dict({
      _parameters: dict({ a: w }),
      _buffers: dict({ weight: w, mask: w }),
      _modules: dict({}),
      _non_persistent_buffers_set: opcodes('c__builtin__\nset\n(](', text('weight'), text('mask'), 'etR'),
    })
    expect(await unreadOf(module(net))).toEqual([['a'], [['weight', 'F32', [2, 2], why]]])
  })

  test('a list of submodules is none', async () => {
    const net = opcodes(
      'ctorch.nn.modules.container\nSequential\n)',
      0x81,
      dict({
        _parameters: dict({}),
        _buffers: dict({}),
        _modules: dict({ b: opcodes(other, 'p7\n') }),
        all: opcodes('](g7\ne'),
      }),
      'b',
    )
    expect(await unreadOf(net)).toEqual([['b.a'], []])
  })
})

describe('NumPy arrays in a dictionary or list without tensors', () => {
  const w = tensor({ shape: [2, 2], strides: [2, 1] })
  const array = (dtype: string, ...shape: number[]) => {
    const bytes = Buffer.alloc(shape.reduce((a, b) => a * b, 1) * 4, 1)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    const type = opcodes('cnumpy\ndtype\n', tuple(text(dtype)), 'R')
    const state = tuple(opcodes('B', length, bytes), type, tuple(...shape.map(int)), text('C'))
    return opcodes('cnumpy.core.numeric\n_frombuffer\n', state, 'R')
  }
  const read = async (value: Buffer) => {
    const { tensors, unread } = await readBytes(makeZip(archive(value, Buffer.alloc(16, 1))))
    return [tensors.map(({ name }) => name), (unread ?? []).map(({ name, shape, aside }) => [name, shape, aside])]
  }

  test('are unread where they may be weights', async () => {
    expect(await read(dict({ w, all: dict({ b: array('f4', 2, 3) }) }))).toEqual([['w'], [['all.b', [2, 3], true]]])
    expect(await read(dict({ w, all: opcodes('](', array('f4', 2, 3), dict({ c: array('f4', 4, 5) }), 'e') }))).toEqual(
      [
        ['w'],
        [
          ['all.0', [2, 3], true],
          ['all.1.c', [4, 5], true],
        ],
      ],
    )
  })

  test('vectors, integers and what training leaves are none', async () => {
    const more = {
      a: dict({ b: array('f4', 3) }),
      c: dict({ d: array('i4', 2, 2) }),
      history: dict({ e: array('f4', 2, 2) }),
      optimizer: dict({ f: array('f4', 2, 2) }),
    }
    expect(await read(dict({ w, ...more }))).toEqual([['w'], []])
  })

  test('beside a tensor they are tensors', async () => {
    expect(await read(dict({ w, b: array('f4', 2, 3) }))).toEqual([['w', 'b'], []])
  })
})

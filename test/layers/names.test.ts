import { expect, test } from 'vitest'
import { layerNames } from '../../src/layers/names.ts'

const names = (...keys: string[]) => [...layerNames(keys.map(name => ({ name }))).values()]

test('leaves out .weight and the kernel of Keras', () => {
  expect(names('conv1.weight', 'dense/kernel:0', 'dense_1/kernel', 'lstm.weight_ih_l0')).toEqual([
    'conv1',
    'dense',
    'dense_1',
    'lstm.weight_ih_l0',
  ])
})

test.each([
  ['module.a.weight', 'module.b.weight'],
  ['_orig_mod.a.weight', '_orig_mod.b.weight'],
  ['module._orig_mod.a.weight', 'module._orig_mod.b.weight'],
  ['_orig_mod.module.a.weight', '_orig_mod.module.b.weight'],
  ['model.module._orig_mod.a.weight', 'model.module._orig_mod.b.weight'],
  ['state_dict.model.a.weight', 'state_dict.model.b.weight'],
  ['_fsdp_wrapped_module.a.weight', '_fsdp_wrapped_module.b._checkpoint_wrapped_module.weight'],
])('leaves out what wrappers put before %s', (...keys) => {
  expect(names(...keys)).toEqual(['a', 'b'])
})

test('a wrapper in the middle of a key is left out too', () => {
  expect(names('blocks.0._orig_mod.fc.weight', 'head.weight')).toEqual(['blocks.0.fc', 'head'])
})

test('module. is left out of the keys that have it, roots only where all share them', () => {
  expect(names('module.a.weight', 'b.weight')).toEqual(['a', 'b'])
  expect(names('model.a.weight', 'lm_head.weight')).toEqual(['model.a', 'lm_head'])
  expect(names('encoder.a.weight', 'encoder.b.weight')).toEqual(['encoder.a', 'encoder.b'])
})

test('where two keys would get one name, both keep their exact key', () => {
  expect(names('a.weight', 'module.a.weight', 'b.weight')).toEqual(['a.weight', 'module.a.weight', 'b'])
  expect(names('a', 'a.weight')).toEqual(['a', 'a.weight'])
})

test('nothing is left of no key', () => {
  expect(names('weight', 'module', 'model.weight')).toEqual(['weight', 'module', 'model'])
  expect(names()).toEqual([])
})

test('a label stands for a key that says nothing', () => {
  expect([...layerNames([{ name: 'onnx::MatMul_12', label: 'encoder.fc' }, { name: 'b.weight' }])]).toEqual([
    ['onnx::MatMul_12', 'encoder.fc'],
    ['b.weight', 'b'],
  ])
})

test('no layer is called as another is, whatever the keys', () => {
  const keys = ['a.weight', 'module.a.weight', 'a.weight.weight', 'b', 'b.weight', 'module.b']
  const names = [...layerNames(keys.map(name => ({ name }))).values()]
  expect(new Set(names).size).toBe(keys.length)
})

test('long names of many roots take a time that grows with their length', () => {
  const keys = Array.from({ length: 2_000 }, (_, i) => ({ name: `${'model.'.repeat(680)}l${i}` }))
  const begin = performance.now()
  expect(layerNames(keys).get(keys[7]!.name)).toBe('l7')
  expect(performance.now() - begin).toBeLessThan(5_000)
})

test('roots are left out one after the other, each with the modules after it', () => {
  expect(names('model.module.a.weight', 'model.module.b.weight')).toEqual(['a', 'b'])
  expect(names('model.module.module', 'model.module.b')).toEqual(['module', 'b'])
  expect(names('model.net.a.b', 'model.net.c')).toEqual(['a.b', 'c'])
  expect(names('model.a', 'model')).toEqual(['model.a', 'model'])
  expect(names('model.model', 'model.model.a')).toEqual(['model', 'model.a'])
})

test('a wrapper’s name at the end is a name', () => {
  expect(names('a._orig_mod', 'b.module', 'module.module')).toEqual(['a._orig_mod', 'b.module', 'module'])
})

test('a key that is a name keeps it, and the other keeps its key', () => {
  expect(names('b', 'module.b.weight')).toEqual(['b', 'module.b.weight'])
})
